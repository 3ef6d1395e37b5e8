//! The transports (HTTP, Socket.IO, raw WebSocket) and the dialects on them, behind one
//! [`Gateway`].
//! Does not know the store and the bus.

pub mod closing;
pub mod connection;
mod credentials;
pub mod dialect;
pub mod engineio;
mod hosts;
pub mod inbox;
mod metrics;
mod origins;
mod paths;
mod raw;
mod request_guard;
pub mod request_log;
mod rest;
#[cfg(test)]
mod rights_tests;
mod socketio;
pub mod state;
pub mod tcp;
pub mod transport;
pub mod websocket;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use jiff::tz::TimeZone;
use tokio_util::task::TaskTracker;
use tower::ServiceBuilder;

use self::paths::{SOCKET_IO, is_socketio, is_websocket};
use self::raw::RawServer;
pub use self::rest::archive;
pub use self::socketio::SocketIo;
use self::state::GatewayState;
use crate::limits::{Hosts, Origins};
use crate::model::{Error, ErrorKind};
use crate::telemetry::{DialectLabel, Metrics};

/// The fuzz targets of this module.
#[cfg(any(test, fuzzing))]
pub fn targets() -> Vec<&'static crate::fuzz::Target> {
    let targets: [&[crate::fuzz::Target]; 5] = [
        &dialect::fuzz::TARGETS,
        &engineio::fuzz::TARGETS,
        &rest::fuzz::TARGETS,
        &socketio::fuzz::TARGETS,
        &websocket::fuzz::TARGETS,
    ];
    targets.into_iter().flatten().collect()
}

/// The address that serves the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricsAddress {
    /// The address of the gateway: with a service token, in open mode without one.
    Shared,
    /// An address of their own, without a token.
    Own,
}

/// The tasks of all connections.
#[derive(Clone, Default)]
struct Tasks {
    /// Those that serve requests.
    requests: TaskTracker,
    /// Those that serve connections: they send the outboxes.
    connections: TaskTracker,
}

/// The settings of the gateway.
pub struct Settings {
    /// The names by which clients may address the server.
    pub hosts: Hosts,
    /// The time zone of days.
    pub zone: TimeZone,
    /// The longest request, in bytes.
    pub frame_bytes: usize,
    /// The decoder of Socket.IO events.
    pub socketio: SocketIo,
    /// The address that serves the metrics.
    pub metrics: MetricsAddress,
}

/// Everything that clients connect to.
pub struct Gateway {
    /// All its routes, to be served.
    pub router: Router,
    sessions: Arc<engineio::Server>,
    tasks: Tasks,
    refusing: Arc<Refusing>,
}

/// What the server refuses because it shuts down.
#[derive(Default)]
struct Refusing {
    connections: AtomicBool,
    /// Of REST, and for pages.
    requests: AtomicBool,
}

/// The state of the gate that every request passes.
#[derive(Clone)]
struct Gate {
    refusing: Arc<Refusing>,
    metrics: Metrics,
}

impl Gateway {
    /// The gateways over this state.
    pub fn new(state: &GatewayState, origins: &Origins, settings: Settings) -> Self {
        let Settings {
            hosts,
            zone,
            frame_bytes,
            socketio: choice,
            metrics: metrics_address,
        } = settings;
        let tasks = Tasks::default();
        let refusing = Arc::<Refusing>::default();
        let raw = RawServer {
            state: state.clone(),
            zone,
            frame_bytes,
            tasks: tasks.clone(),
        };
        let rest = rest::router(state, tasks.requests.clone(), frame_bytes);
        let router = rest.merge(raw.router());
        let router = match metrics_address {
            MetricsAddress::Shared => router.merge(metrics::guarded(state)),
            MetricsAddress::Own => router,
        };
        let request_guard = request_guard::Guard {
            limits: Arc::clone(&state.limits),
            metrics: state.metrics.clone(),
        };
        let origin_guard = origins::Guard {
            origins: origins.clone(),
            metrics: state.metrics.clone(),
        };
        let host_guard = hosts::Guard {
            hosts,
            metrics: state.metrics.clone(),
        };
        let gate_keeping = Gate {
            refusing: Arc::clone(&refusing),
            metrics: state.metrics.clone(),
        };
        // From the outside in, as one layer: a router boxes each, and clones all for each request.
        let layers = ServiceBuilder::new()
            .layer(from_fn_with_state(request_guard, request_guard::guard))
            .layer(from_fn_with_state(host_guard, hosts::guard))
            .layer(origins::cors(origins))
            .layer(from_fn_with_state(origin_guard, origins::guard))
            .layer(from_fn_with_state(gate_keeping, gate));
        let sessions = socketio::server(state.clone(), tasks.clone(), choice, frame_bytes);
        let router = router
            .merge(Arc::clone(&sessions).router(SOCKET_IO))
            .layer(layers);
        Self {
            router,
            sessions,
            tasks,
            refusing,
        }
    }

    /// The routes of the metrics on an address of their own, and the names by which clients may
    /// address that.
    pub fn metrics_router(metrics: Metrics, hosts: Hosts) -> Router {
        let guard = hosts::Guard {
            hosts,
            metrics: metrics.clone(),
        };
        metrics::open(metrics).layer(from_fn_with_state(guard, hosts::guard))
    }

    /// Refuses new connections of clients from now on, and reports that the server is not ready;
    /// existing ones continue, and requests without a connection are served.
    pub fn refuse_new_connections(&self) {
        self.refusing.connections.store(true, Ordering::Release);
    }

    /// Refuses requests without a connection from now on, too.
    pub fn refuse_requests(&self) {
        self.refusing.requests.store(true, Ordering::Release);
    }

    /// Returns when every request that was begun has its answer in an outbox, after the
    /// service was closed.
    pub async fn settled(&self) {
        self.tasks.requests.close();
        self.tasks.requests.wait().await;
    }

    /// Returns when no connection is left: when the outbox of each has been sent, after
    /// [`GatewayState::closing`] was cancelled.
    pub async fn drained(&self) {
        self.tasks.connections.close();
        self.tasks.connections.wait().await;
    }

    /// Ends every session that is left, in such a way that the clients reconnect.
    pub fn close(&self) {
        self.sessions.close();
    }
}

/// While the server shuts down only health and the sessions that exist are served, and at first
/// requests without a connection.
async fn gate(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    if !gate.refusing.connections.load(Ordering::Acquire) {
        return next.run(request).await;
    }
    let why = "the server is shutting down";
    let path = request.uri().path().trim_end_matches('/');
    if rest::is_readiness(path) {
        return (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response();
    }
    let (is_websocket, is_socketio) = (is_websocket(path), is_socketio(path));
    let served = if is_websocket || is_socketio {
        is_socketio && engineio::names_session(request.uri())
    } else {
        let refused = gate.refusing.requests.load(Ordering::Acquire);
        !refused || rest::is_health(path) || path == metrics::PATH
    };
    if served {
        return next.run(request).await;
    }
    let headers = [(header::CONNECTION, "close"), (header::RETRY_AFTER, "1")];
    if rest::is_api(path) {
        gate.metrics
            .refused(DialectLabel::Rest, ErrorKind::Unavailable);
        return (headers, rest::refusal(Error::unavailable(why))).into_response();
    }
    if is_websocket || is_socketio {
        gate.metrics.turned_away("shutting_down");
    }
    if is_socketio {
        return (headers, engineio::unavailable()).into_response();
    }
    let status = StatusCode::SERVICE_UNAVAILABLE;
    (status, headers, format!("{why}\n")).into_response()
}
