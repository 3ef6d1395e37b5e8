//! Refuses each request that does not address the server by an allowed name.
//! Does not decide which names are allowed: [`Hosts`] does.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::paths::{is_socketio, is_websocket};
use super::{engineio, rest};
use crate::limits::Hosts;
use crate::model::{Error, ErrorKind};
use crate::telemetry::{DialectLabel, Metrics};

/// What every refused client receives. JSON has to escape none of it.
const WHY: &str = "the Host of the request is not allowed; list it in --allowed-hosts";

/// The state of the check.
#[derive(Clone)]
pub(super) struct Guard {
    /// The allowed names.
    pub(super) hosts: Hosts,
    /// Counts refusals.
    pub(super) metrics: Metrics,
}

/// Serves a request that names an allowed host, and each about health: a load balancer need not know
/// a name of the server, and the answer has nothing to protect.
pub(super) async fn guard(
    State(Guard { hosts, metrics }): State<Guard>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path();
    if hosts.allow(request.uri(), request.headers()) || rest::is_health(path) {
        return next.run(request).await;
    }
    if rest::is_api(path) {
        metrics.refused(DialectLabel::Rest, ErrorKind::Forbidden);
        return rest::refusal(Error::forbidden(WHY));
    }
    if is_socketio(path) {
        metrics.turned_away("host");
        return engineio::forbidden(WHY);
    }
    if is_websocket(path) {
        metrics.turned_away("host");
    }
    (StatusCode::FORBIDDEN, format!("{WHY}\n")).into_response()
}
