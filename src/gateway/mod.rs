//! The transports (HTTP, Socket.IO, raw WebSocket) and the dialects on them, behind one
//! [`Gateway`].
//! Does not know the store and the bus.

pub mod connection;
mod credentials;
pub mod dialect;
pub mod engineio;
mod inbox;
mod metrics;
mod origins;
mod raw;
mod request_guard;
mod rest;
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

use self::raw::RawServer;
pub use self::socketio::SocketIo;
use self::state::GatewayState;
use crate::limits::Origins;
use crate::model::{Error, ErrorKind};
use crate::telemetry::{DialectLabel, Metrics};

/// What of this module is held to its promises on inputs of strangers.
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

/// Where Socket.IO is served.
const SOCKET_IO: &str = "/socket.io/";

/// Where the figures for Prometheus are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Figures {
    /// Among the other addresses: for a service, in open mode for everybody.
    Here,
    /// At an address of their own.
    Elsewhere,
}

/// The tasks of all connections.
#[derive(Clone, Default)]
struct Tasks {
    /// Those that serve requests.
    requests: TaskTracker,
    /// Those that serve connections: they send what waits.
    connections: TaskTracker,
}

/// How clients are served.
pub struct Settings {
    /// What a day is.
    pub zone: TimeZone,
    /// The longest request, in bytes.
    pub frame_bytes: usize,
    /// What decodes the events of Socket.IO clients.
    pub socketio: SocketIo,
    /// Where the figures are.
    pub figures: Figures,
}

/// Everything that clients connect to.
pub struct Gateway {
    /// All its routes, to be served.
    pub router: Router,
    sessions: Arc<engineio::Server>,
    tasks: Tasks,
    closing: Arc<AtomicBool>,
}

/// What a request has to pass.
#[derive(Clone)]
struct Gate {
    closing: Arc<AtomicBool>,
    metrics: Metrics,
}

impl Gateway {
    /// The gateways over this state.
    pub fn new(state: &GatewayState, origins: &Origins, settings: Settings) -> Self {
        let Settings {
            zone,
            frame_bytes,
            socketio: choice,
            figures,
        } = settings;
        let tasks = Tasks::default();
        let closing = Arc::new(AtomicBool::new(false));
        let raw = RawServer {
            state: state.clone(),
            zone,
            frame_bytes,
            tasks: tasks.clone(),
        };
        let rest = rest::router(state, tasks.requests.clone(), frame_bytes);
        let router = rest.merge(raw.router());
        let router = match figures {
            Figures::Here => router.merge(metrics::guarded(state)),
            Figures::Elsewhere => router,
        };
        let request_guard = request_guard::Guard {
            limits: Arc::clone(&state.limits),
            metrics: state.metrics.clone(),
        };
        let origin_guard = origins::Guard {
            origins: origins.clone(),
            metrics: state.metrics.clone(),
        };
        let gate_keeping = Gate {
            closing: Arc::clone(&closing),
            metrics: state.metrics.clone(),
        };
        // From the outside in, as one layer: a router boxes each, and clones all for each request.
        let layers = ServiceBuilder::new()
            .layer(from_fn_with_state(request_guard, request_guard::guard))
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
            closing,
        }
    }

    /// The figures for Prometheus, to be served at an address of their own.
    pub fn figures(metrics: Metrics) -> Router {
        metrics::open(metrics)
    }

    /// From now on no new connection is served; those that are there go on.
    pub fn refuse_newcomers(&self) {
        self.closing.store(true, Ordering::Release);
    }

    /// Returns when every request that was begun has its answer in an outbox, after the
    /// service was closed.
    pub async fn settled(&self) {
        self.tasks.requests.close();
        self.tasks.requests.wait().await;
    }

    /// Returns when every connection has been sent what waited for it, after
    /// [`GatewayState::closing`] was cancelled.
    pub async fn drained(&self) {
        self.tasks.connections.close();
        self.tasks.connections.wait().await;
    }

    /// Ends every session that is left, in such a way that the clients come back by themselves.
    pub fn close(&self) {
        self.sessions.close();
    }
}

/// While the server shuts down only health and the sessions that exist are served.
async fn gate(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let path = request.uri().path().trim_end_matches('/');
    let served = ["/livez", "/readyz", "/healthz", metrics::PATH].contains(&path)
        || request
            .uri()
            .query()
            .is_some_and(|query| query.contains("sid="));
    if served || !gate.closing.load(Ordering::Acquire) {
        return next.run(request).await;
    }
    let headers = [(header::CONNECTION, "close"), (header::RETRY_AFTER, "1")];
    let why = "the server is shutting down";
    if rest::is_api(path) {
        gate.metrics
            .refused(DialectLabel::Rest, ErrorKind::Unavailable);
        return (headers, rest::refusal(Error::unavailable(why))).into_response();
    }
    let is_socketio = path == SOCKET_IO.trim_end_matches('/');
    if path == "/ws" || path.starts_with("/ws/") || is_socketio {
        gate.metrics.turned_away("shutting_down");
    }
    if is_socketio {
        return (headers, engineio::unavailable()).into_response();
    }
    let status = StatusCode::SERVICE_UNAVAILABLE;
    (status, headers, format!("{why}\n")).into_response()
}
