//! The responses to requests that are refused, as Node's server has them.
//! Does not know requests.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::gateway::websocket::BadHandshake;

/// No response is for a cache.
pub(super) const NO_STORE: (HeaderName, &str) = (header::CACHE_CONTROL, "no-store");

/// The response to a request that would open a session while the server shuts down.
pub fn unavailable() -> Response {
    Refusal::Unavailable.into_response()
}

/// The response to a request that may not be made, with the reason, which JSON need not escape.
pub fn forbidden(why: &'static str) -> Response {
    Refusal::Forbidden(why).into_response()
}

/// The `Retry-After` of a refusal that may succeed later, in seconds.
const RETRY_AFTER: &str = "1";

/// Why a request is refused, with the codes and the words of Node's server.
#[derive(Debug, Clone, Copy)]
pub(super) enum Refusal {
    /// Neither polling nor a WebSocket.
    Transport,
    /// No such session.
    Session,
    /// A session is opened with GET.
    Method,
    /// Anything else that the protocol does not allow.
    Request,
    /// Neither Engine.IO 4 nor 3.
    Version,
    /// Over a limit.
    TooMany,
    /// A body is longer than allowed.
    TooLarge,
    /// A request may not be made, for this reason.
    Forbidden(&'static str),
    /// A WebSocket cannot be opened.
    Handshake(BadHandshake),
    /// The server shuts down, or the store does not answer.
    Unavailable,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code, message) = match self {
            Self::Transport => (StatusCode::BAD_REQUEST, 0, "Transport unknown"),
            Self::Session => (StatusCode::BAD_REQUEST, 1, "Session ID unknown"),
            Self::Method => (StatusCode::BAD_REQUEST, 2, "Bad handshake method"),
            Self::Request => (StatusCode::BAD_REQUEST, 3, "Bad request"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, 3, "Bad request"),
            Self::TooMany => (StatusCode::TOO_MANY_REQUESTS, 4, "Forbidden"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, 4, "Forbidden"),
            Self::Forbidden(why) => (StatusCode::FORBIDDEN, 4, why),
            Self::Handshake(bad) => return bad.into_response(),
            Self::Version => (StatusCode::BAD_REQUEST, 5, "Unsupported protocol version"),
        };
        let body = format!(r#"{{"code":{code},"message":"{message}"}}"#);
        let json = (header::CONTENT_TYPE, "application/json");
        let mut response = (status, [json, NO_STORE], body).into_response();
        if matches!(self, Self::TooMany | Self::Unavailable) {
            let wait = HeaderValue::from_static(RETRY_AFTER);
            response.headers_mut().insert(header::RETRY_AFTER, wait);
        }
        response
    }
}

impl From<BadHandshake> for Refusal {
    fn from(bad: BadHandshake) -> Self {
        Self::Handshake(bad)
    }
}
