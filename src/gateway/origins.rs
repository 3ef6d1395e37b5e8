//! Origins of web pages: CORS headers for fetches, a refusal for upgrades, which a browser sends to
//! any server in any page's name.
//! Does not decide which pages may connect: [`Origins`] does.

use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tower_http::cors::{AllowHeaders, AllowMethods, AllowOrigin, CorsLayer};
use tracing::info;

use crate::limits::{Origins, RefusedPages};
use crate::telemetry::Metrics;

/// The CORS headers.
pub(super) fn cors(origins: &Origins) -> CorsLayer {
    let origin = match origins {
        Origins::Any => AllowOrigin::mirror_request(),
        Origins::Listed(listed) => {
            let (origins, listed) = (origins.clone(), listed.clone());
            let refused = RefusedPages::default();
            AllowOrigin::predicate(move |origin, request| {
                if !origins.allow(&request.headers) && refused.logs(origin, Instant::now()) {
                    log(origin);
                }
                listed.contains(origin)
            })
        }
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

/// Logs that a page may not connect. A page of a file has the origin `null`, which no list can have.
fn log(origin: &HeaderValue) {
    let origin = String::from_utf8_lossy(origin.as_bytes());
    let allowed = if origin == "null" { "*" } else { &*origin };
    info!(%origin, "refused a page of another origin; --allowed-origins {allowed} allows it");
}

/// The state of the check at an upgrade.
#[derive(Clone)]
pub(super) struct Guard {
    /// The allowed origins.
    pub(super) origins: Origins,
    /// Counts refusals.
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
    if headers.contains_key(header::UPGRADE) && !origins.allow(headers) {
        metrics.turned_away("origin");
        return (StatusCode::FORBIDDEN, "this origin may not connect\n").into_response();
    }
    next.run(request).await
}
