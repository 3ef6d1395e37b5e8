//! Socket.IO 5, and 4 for the JavaScript clients 2, on Engine.IO sessions: namespaces, admission to
//! them, and the packets.
//! Does not know the meaning of events: a [`DialectSession`] does.
//!
//! Events to the client are framed here and go straight to the transports. The events that the
//! client sends are decoded by one of two [`side`]s: `socketioxide`, which only [`oxide`] knows, or
//! the server itself, in [`native`].

mod decoder;
mod encode;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod namespace;
mod native;
mod oxide;
mod packet;
mod session;
mod side;
mod socket;

use std::sync::Arc;
use std::time::Duration;

use self::session::{Environment, SocketIoSession};
use self::side::Side;
pub use self::side::SocketIo;
use super::Tasks;
use super::engineio::{Server, Settings};
use super::state::GatewayState;

/// How often a client is pinged.
const PING_INTERVAL: Duration = Duration::from_secs(25);

/// How long its answer may take.
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a WebSocket may take to become a session's carrier.
const UPGRADE: Duration = Duration::from_secs(10);

/// The Socket.IO server, as the Engine.IO server below it. `frame_bytes` bounds a request over
/// either transport.
pub(super) fn server(
    state: GatewayState,
    tasks: Tasks,
    choice: SocketIo,
    frame_bytes: usize,
) -> Arc<Server> {
    let settings = Settings {
        ping_interval: PING_INTERVAL,
        ping_timeout: PING_TIMEOUT,
        handshake: state.limits.handshake(),
        upgrade: UPGRADE,
        max_payload: frame_bytes,
    };
    let (limits, metrics) = (Arc::clone(&state.limits), state.metrics.clone());
    let (connections, closing) = (tasks.connections.clone(), state.closing.clone());
    let environment = Arc::new(Environment {
        side: Side::new(choice, frame_bytes),
        state,
        tasks,
    });
    let begin = move |opening| {
        let session = SocketIoSession::new(Arc::clone(&environment), opening);
        Box::new(session) as _
    };
    let begin = Box::new(begin);
    Server::new(settings, limits, metrics, connections, closing, begin)
}
