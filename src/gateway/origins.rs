//! Which web pages may use the server from a browser: by CORS for what is fetched, by a refusal
//! for an upgrade, which a browser asks of any server in any page's name.
//! It refuses to know who is calling: programs that are no browsers name no origin.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tower_http::cors::{AllowHeaders, AllowMethods, AllowOrigin, CorsLayer};

use crate::telemetry::Metrics;

/// Which web pages may use the server from a browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    /// Any.
    Any,
    /// Pages of these origins; others only from the server's own host.
    Listed(Vec<HeaderValue>),
}

impl Origins {
    /// What tells browsers which pages may read the answers.
    pub(super) fn cors(&self) -> CorsLayer {
        let origin = match self {
            Self::Any => AllowOrigin::mirror_request(),
            Self::Listed(origins) => AllowOrigin::list(origins.iter().cloned()),
        };
        CorsLayer::new()
            .allow_origin(origin)
            .allow_credentials(true)
            .allow_methods(AllowMethods::list([
                Method::GET,
                Method::POST,
                Method::PUT,
                Method::PATCH,
                Method::DELETE,
            ]))
            .allow_headers(AllowHeaders::mirror_request())
    }

    fn welcome(&self, headers: &HeaderMap) -> bool {
        let (Self::Listed(listed), Some(origin)) = (self, headers.get(header::ORIGIN)) else {
            return true;
        };
        let host = headers.get(header::HOST).map(HeaderValue::as_bytes);
        let own = origin
            .to_str()
            .ok()
            .and_then(|origin| origin.split_once("://"));
        listed.contains(origin) || own.is_some_and(|(_, own)| Some(own.as_bytes()) == host)
    }
}

/// What an upgrade has to pass.
#[derive(Clone)]
pub(super) struct Guard {
    /// Whose pages may connect.
    pub(super) origins: Origins,
    /// Counts who may not.
    pub(super) metrics: Metrics,
}

/// Refuses each upgrade, to a raw WebSocket or to that of Socket.IO, of a page that may not
/// connect.
pub(super) async fn guard(
    State(Guard { origins, metrics }): State<Guard>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    if headers.contains_key(header::UPGRADE) && !origins.welcome(headers) {
        metrics.turned_away("origin");
        return (StatusCode::FORBIDDEN, "this origin may not connect\n").into_response();
    }
    next.run(request).await
}
