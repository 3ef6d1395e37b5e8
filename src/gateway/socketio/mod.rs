//! Socket.IO: the server's settings, and what stands around `socketioxide`.
//! Nothing else knows that library; its defects are worked around here, through its public API,
//! each described where the work-around stands.

mod encode;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod head;
mod namespace;
mod pump;
mod queue;
mod session;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use socketioxide::{ParserConfig, SocketIo};

use self::namespace::Namespace;
use self::session::{Sessions, watch};
use crate::gateway::Tasks;
use crate::gateway::dialect::DialectSession;
use crate::gateway::dialect::event_name::EventNameSession;
use crate::gateway::dialect::marketplace::MarketplaceSession;
use crate::gateway::state::GatewayState;
use crate::model::Identity;

/// How many packets the library queues per connection. The pump keeps it nearly empty; there
/// is room so that a ping finds a place, without which the client would be disconnected.
const QUEUE: usize = 1024;

/// How much is read from a WebSocket at a time, in bytes; one such buffer per connection.
/// The stream below asks the system for more at once.
const READ_BUFFER: usize = 128;

/// The Socket.IO server.
#[derive(Clone)]
pub struct SocketIoServer {
    io: SocketIo,
}

impl SocketIoServer {
    /// Puts `/socket.io/` in front of `router`. `frame_bytes` bounds a request in either
    /// transport.
    pub fn mount(
        router: Router,
        state: GatewayState,
        tasks: &Tasks,
        frame_bytes: usize,
    ) -> (Self, Router) {
        let parser = ParserConfig::common()
            .max_incoming_binaries(16)
            .max_incoming_binary_buf_size(frame_bytes)
            .packet_completion_timeout(Duration::from_secs(10));
        let (layer, io) = SocketIo::builder()
            .max_buffer_size(QUEUE)
            .max_payload(u64::try_from(frame_bytes).unwrap_or(u64::MAX))
            .ws_max_message_size(frame_bytes)
            .ws_max_frame_size(frame_bytes)
            .ws_read_buffer_size(READ_BUFFER)
            .connect_timeout(Duration::from_secs(10))
            .with_parser(parser)
            .build_layer();
        let sessions = Arc::new(Sessions::default());
        let chat = Namespace {
            path: "/",
            begin: event_name,
            state,
            sessions: Arc::clone(&sessions),
            requests: tasks.requests.clone(),
            pumps: tasks.pumps.clone(),
        };
        let events = Namespace {
            path: "/events",
            begin: marketplace,
            ..chat.clone()
        };
        chat.mount(&io);
        events.mount(&io);
        let router = router
            .layer(layer)
            .layer(from_fn_with_state(sessions, watch));
        (Self { io }, router)
    }

    /// Closes every connection in such a way that the clients come back by themselves: the
    /// transport ends, the socket is not disconnected.
    pub async fn close(&self) {
        self.io.close().await;
    }
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "as the table of namespaces has it"
)]
fn event_name(identity: &Identity) -> Option<Arc<dyn DialectSession>> {
    Some(Arc::new(EventNameSession::new(identity.connection)))
}

fn marketplace(identity: &Identity) -> Option<Arc<dyn DialectSession>> {
    let user = identity.user?;
    Some(Arc::new(MarketplaceSession::new(user)))
}
