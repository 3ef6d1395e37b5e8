//! Refusals as RFC 9457 has them: one JSON object for every error, whatever it was about.
//! Does not decide whether a request fails.

use std::collections::BTreeMap;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::openapi::{Ref, RefOr, response};
use utoipa::{IntoResponses, ToSchema};

use crate::model::{Error, ErrorKind};

/// The media type of a refusal.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// A request that was refused.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    error: Error,
}

impl Problem {
    /// A refusal with a status of its own, more specific than its code.
    pub const fn with_status(status: StatusCode, error: Error) -> Self {
        Self { status, error }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let status = status(error.kind);
        Self { status, error }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self { status, error } = self;
        let body = ProblemBody {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            detail: &error.message,
            code: Code::from(error.kind),
            retryable: error.kind.is_retryable(),
            retry_after_ms: error.retry_after_ms,
        };
        let body = serde_json::to_string(&body).unwrap_or_default();
        let mut response = (status, [(header::CONTENT_TYPE, MEDIA_TYPE)], body).into_response();
        // For the metrics.
        response.extensions_mut().insert(error.kind);
        let headers = response.headers_mut();
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = retry_after(&error) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

const fn status(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::Invalid => StatusCode::BAD_REQUEST,
        ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorKind::Forbidden => StatusCode::FORBIDDEN,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// After how many whole seconds it is worth another try.
fn retry_after(error: &Error) -> Option<u64> {
    match error.kind {
        ErrorKind::RateLimited => Some(error.retry_after_ms.unwrap_or(0).div_ceil(1000).max(1)),
        ErrorKind::Unavailable => Some(1),
        _ => None,
    }
}

/// The body of a refusal (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem, examples(json!({
    "type": "about:blank", "title": "Bad Request", "status": 400,
    "detail": "limit: must be a whole number of at least 1", "code": "invalid",
    "retryable": false
})))]
pub struct ProblemBody<'a> {
    /// Always `about:blank`: `code` has the kind of the problem.
    #[serde(rename = "type")]
    kind: &'a str,
    /// The status in words.
    title: &'a str,
    /// The status, once more.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// The error, for people: which field, which limit, which id.
    detail: &'a str,
    code: Code,
    /// Whether the same request may succeed later.
    retryable: bool,
    /// With `rate_limited`, and with `forbidden` where a mute or a ban ends: how long to wait, in
    /// milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    retry_after_ms: Option<u64>,
}

/// The code of a problem, for programs.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    Invalid,
    Unauthenticated,
    Forbidden,
    NotFound,
    Conflict,
    TooLarge,
    RateLimited,
    Unavailable,
    Internal,
}

impl From<ErrorKind> for Code {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Invalid => Self::Invalid,
            ErrorKind::Unauthenticated => Self::Unauthenticated,
            ErrorKind::Forbidden => Self::Forbidden,
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::Conflict => Self::Conflict,
            ErrorKind::TooLarge => Self::TooLarge,
            ErrorKind::RateLimited => Self::RateLimited,
            ErrorKind::Unavailable => Self::Unavailable,
            ErrorKind::Internal => Self::Internal,
        }
    }
}

/// The names under which the document describes refusals, with their statuses and what they
/// mean.
pub const REFUSALS: [(&str, &str, &str); 10] = [
    (
        "Invalid",
        "400",
        "The request is malformed: `detail` names the field and the reason.",
    ),
    (
        "Unauthenticated",
        "401",
        "There is no valid token. The reason is never reported.",
    ),
    ("Forbidden", "403", "Known, but not allowed."),
    ("NotFound", "404", "There is no such thing."),
    ("Conflict", "409", "It exists already with other content."),
    ("TooLarge", "413", "Over a limit: `detail` gives the limit."),
    (
        "WrongMediaType",
        "415",
        "The body is not declared as `application/json`.",
    ),
    (
        "RateLimited",
        "429",
        "Too fast: `retry_after_ms` and `Retry-After` have the time to wait.",
    ),
    (
        "Internal",
        "500",
        "A bug: `detail` is an id to look up in the server's log.",
    ),
    (
        "Unavailable",
        "503",
        "The store does not answer now. Nothing was stored: try again.",
    ),
];

type Described = BTreeMap<String, RefOr<response::Response>>;

fn described(statuses: &[&str]) -> Described {
    let meant = REFUSALS
        .into_iter()
        .filter(|(_, status, _)| statuses.contains(status));
    meant
        .map(|(name, status, _)| {
            let refusal = RefOr::Ref(Ref::from_response_name(name));
            (status.to_owned(), refusal)
        })
        .collect()
}

/// In the document: the errors of every request.
pub struct CommonErrors;

impl IntoResponses for CommonErrors {
    fn responses() -> Described {
        described(&["400", "401", "403", "429", "500", "503"])
    }
}

/// In the document: the error of a request that names something unknown.
pub struct NotFoundError;

impl IntoResponses for NotFoundError {
    fn responses() -> Described {
        described(&["404"])
    }
}

/// In the document: the errors of a request with a body.
pub struct BodyErrors;

impl IntoResponses for BodyErrors {
    fn responses() -> Described {
        described(&["413", "415"])
    }
}

/// In the document: the error of a request whose idempotency key belongs to another request.
pub struct ConflictError;

impl IntoResponses for ConflictError {
    fn responses() -> Described {
        described(&["409"])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(response: &Response, name: header::HeaderName) -> Option<&str> {
        response.headers().get(name)?.to_str().ok()
    }

    #[test]
    fn a_refusal_says_in_the_headers_what_to_do() {
        let token = Error::new(ErrorKind::Unauthenticated, "no valid token");
        let response = Problem::from(token).into_response();
        assert_eq!(response.status(), 401);
        assert_eq!(header(&response, header::CONTENT_TYPE), Some(MEDIA_TYPE));
        assert_eq!(header(&response, header::WWW_AUTHENTICATE), Some("Bearer"));
        assert_eq!(header(&response, header::RETRY_AFTER), None);
    }

    #[test]
    fn waiting_is_counted_in_whole_seconds_and_at_least_one() {
        for (milliseconds, seconds) in [(0, "1"), (1000, "1"), (1001, "2")] {
            let response = Problem::from(Error::rate_limited(milliseconds)).into_response();
            assert_eq!(response.status(), 429);
            assert_eq!(header(&response, header::RETRY_AFTER), Some(seconds));
        }
        let response = Problem::from(Error::unavailable("no store")).into_response();
        assert_eq!(header(&response, header::RETRY_AFTER), Some("1"));
    }

    #[test]
    fn every_kind_has_a_status_that_the_document_describes() {
        let kinds = [
            ErrorKind::Invalid,
            ErrorKind::Unauthenticated,
            ErrorKind::Forbidden,
            ErrorKind::NotFound,
            ErrorKind::Conflict,
            ErrorKind::TooLarge,
            ErrorKind::RateLimited,
            ErrorKind::Unavailable,
            ErrorKind::Internal,
        ];
        for kind in kinds {
            let code = serde_json::to_value(Code::from(kind)).expect("a word");
            assert_eq!(code, kind.code());
            let status = status(kind).as_str().to_owned();
            assert!(REFUSALS.iter().any(|(_, known, _)| *known == status));
        }
    }
}
