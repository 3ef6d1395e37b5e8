//! The log lines of the requests to this API.
//! Does not log addresses and queries: the pattern of the address names a request.

use std::sync::{Arc, OnceLock};

use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use tokio::time::Instant;

use crate::gateway::request_log;
use crate::model::{ErrorKind, UserId};
use crate::telemetry::DialectLabel;

/// The user of a request, once its token was checked.
#[derive(Clone, Default)]
pub struct CallerCell(pub Arc<OnceLock<UserId>>);

/// Logs a request after it was served.
pub async fn log(mut request: Request, next: Next) -> Response {
    let read = Instant::now();
    let name = name_of(&request);
    let CallerCell(user) = CallerCell::default();
    request
        .extensions_mut()
        .insert(CallerCell(Arc::clone(&user)));
    let response = next.run(request).await;
    let refused = response.extensions().get::<ErrorKind>().copied();
    let user = user.get().copied();
    request_log::log(DialectLabel::Rest, &name, user, refused, read);
    response
}

fn name_of(request: &Request) -> String {
    let methods = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::HEAD,
        Method::OPTIONS,
    ];
    let method = methods.iter().find(|method| *method == request.method());
    let path = request.extensions().get::<MatchedPath>();
    match (method, path) {
        (Some(method), Some(path)) => format!("{method} {}", path.as_str().trim_end_matches('/')),
        _ => request_log::UNKNOWN.to_owned(),
    }
}
