//! Serves the metrics for Prometheus over HTTP, and checks the token.
//! Does not know the metrics.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::state::{GatewayState, unauthenticated};
use super::{credentials, rest};
use crate::auth::Authenticator;
use crate::model::{Error, ErrorKind, Role};
use crate::telemetry::{CONTENT_TYPE, Metrics};

/// The path of the metrics, also served with a trailing slash.
pub const PATH: &str = "/metrics";

/// How long the store is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// Without authentication.
pub fn open(metrics: Metrics) -> Router {
    let route = get(async |State(metrics): State<Metrics>| response(&metrics));
    Router::new()
        .route(PATH, route.clone())
        .route("/metrics/", route)
        .with_state(metrics)
}

/// Requires a service token, except in open mode.
pub fn guarded(state: &GatewayState) -> Router {
    Router::new()
        .route(PATH, get(scrape))
        .route("/metrics/", get(scrape))
        .with_state(state.clone())
}

/// A revocation is known by the store alone. It creates no user, and waits no longer than [`PATIENCE`]:
/// metrics matter most while the store is unavailable.
async fn scrape(State(state): State<GatewayState>, uri: Uri, headers: HeaderMap) -> Response {
    if matches!(*state.authenticator, Authenticator::Open) {
        return response(&state.metrics);
    }
    let token = credentials::of_request(&uri, &headers);
    let caller = state
        .authenticator
        .authenticate(token.as_deref(), state.clock.now());
    let Ok(Some(caller)) = caller else {
        return rest::refusal(unauthenticated());
    };
    let valid = tokio::time::timeout(PATIENCE, state.service.check_revoked(&caller));
    match valid.await {
        Ok(Err(error)) if error.kind == ErrorKind::Unauthenticated => rest::refusal(error),
        _ if caller.role == Role::Service => response(&state.metrics),
        _ => rest::refusal(Error::forbidden("this needs a service token")),
    }
}

fn response(metrics: &Metrics) -> Response {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], metrics.text()).into_response()
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;
