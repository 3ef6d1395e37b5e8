//! The figures for Prometheus over HTTP, and who may see them.
//! It refuses to know what is counted.

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

/// Where they are, also with a trailing slash.
pub const PATH: &str = "/metrics";

/// For everybody: whoever reaches the address may see them.
pub fn open(metrics: Metrics) -> Router {
    let figures = get(async |State(metrics): State<Metrics>| figures(&metrics));
    Router::new()
        .route(PATH, figures.clone())
        .route("/metrics/", figures)
        .with_state(metrics)
}

/// For a service, and in open mode for everybody.
pub fn guarded(state: &GatewayState) -> Router {
    Router::new()
        .route(PATH, get(scrape))
        .route("/metrics/", get(scrape))
        .with_state(state.clone())
}

/// The store is not asked who this is: the figures are wanted most while it does not answer.
async fn scrape(State(state): State<GatewayState>, uri: Uri, headers: HeaderMap) -> Response {
    if matches!(*state.authenticator, Authenticator::Open) {
        return figures(&state.metrics);
    }
    let token = credentials::of_request(&uri, &headers);
    let caller = state
        .authenticator
        .authenticate(token.as_deref(), state.clock.now());
    match caller {
        Ok(Some(caller)) if caller.role == Role::Service => figures(&state.metrics),
        Ok(_) => rest::refusal(Error::forbidden("this needs a service token")),
        Err(_) => rest::refusal(unauthenticated()),
    }
}

fn figures(metrics: &Metrics) -> Response {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], metrics.text()).into_response()
}
