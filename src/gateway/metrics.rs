//! Serves the metrics for Prometheus over HTTP, and checks the token.
//! Does not know the metrics.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::state::{GatewayState, unauthenticated};
use super::{credentials, rest};
use crate::auth::Authenticator;
use crate::model::{Error, Role};
use crate::telemetry::{CONTENT_TYPE, Metrics};

/// The path of the metrics, also served with a trailing slash.
pub const PATH: &str = "/metrics";

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

/// Does not query the store for the user: metrics matter most while the store is unavailable.
async fn scrape(State(state): State<GatewayState>, uri: Uri, headers: HeaderMap) -> Response {
    if matches!(*state.authenticator, Authenticator::Open) {
        return response(&state.metrics);
    }
    let token = credentials::of_request(&uri, &headers);
    let caller = state
        .authenticator
        .authenticate(token.as_deref(), state.clock.now());
    match caller {
        Ok(Some(caller)) if caller.role == Role::Service => response(&state.metrics),
        Ok(_) => rest::refusal(Error::forbidden("this needs a service token")),
        Err(_) => rest::refusal(unauthenticated()),
    }
}

fn response(metrics: &Metrics) -> Response {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], metrics.text()).into_response()
}
