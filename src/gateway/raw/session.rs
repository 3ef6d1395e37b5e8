//! The session of a raw WebSocket: one connection in one dialect.
//! Does not know the content of frames.

use std::net::IpAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::time::Instant;
use tungstenite::Utf8Bytes;

use super::frame::encoded;
use crate::gateway::dialect::{Framing, Incoming};
use crate::gateway::inbox::Inbox;
use crate::gateway::transport::Handled;
use crate::gateway::websocket::{Batch, Endpoint, Frame};
use crate::hub::Drained;
use crate::limits::Slot;
use crate::model::Error;
use crate::telemetry::CloseReason;

/// How often a client is pinged.
const PING: Duration = Duration::from_secs(25);

/// How long after that it may stay silent.
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// One raw WebSocket.
pub(super) struct RawSession {
    /// Its requests.
    inbox: Arc<Inbox>,
    /// When its token ends; `None`: never.
    expires_at: Option<Instant>,
    /// Its place among the clients of its address.
    _slot: Option<Slot<IpAddr>>,
    heartbeat: Mutex<Heartbeat>,
}

struct Heartbeat {
    /// When the client last sent anything.
    seen: Instant,
    /// When it is pinged next.
    ping_at: Instant,
    /// Whether a ping waits to be sent.
    due: bool,
}

impl RawSession {
    /// A session whose token is valid for `lifetime`; `None`: for ever.
    pub(super) fn new(
        inbox: Arc<Inbox>,
        lifetime: Option<Duration>,
        slot: Option<Slot<IpAddr>>,
    ) -> Arc<Self> {
        let now = Instant::now();
        let heartbeat = Heartbeat {
            seen: now,
            ping_at: now + PING,
            due: false,
        };
        Arc::new(Self {
            inbox,
            expires_at: lifetime.map(|lifetime| now + lifetime),
            _slot: slot,
            heartbeat: Mutex::new(heartbeat),
        })
    }

    fn request(
        &self,
        text: Utf8Bytes,
        admitted: Result<(), Error>,
    ) -> Result<Handled, CloseReason> {
        match self.inbox.connection.outbox().closed() {
            None | Some(CloseReason::ShuttingDown) => {}
            Some(why) => return Err(why),
        }
        self.inbox.push(Incoming {
            text,
            framing: Framing::Envelope,
            ack: None,
            admitted,
            attachments: false,
            read: Instant::now(),
        });
        Ok(self.inbox.handled())
    }
}

impl Endpoint for RawSession {
    fn text(self: &Arc<Self>, text: Utf8Bytes) -> Result<Handled, CloseReason> {
        let counted = self.inbox.connection.count_frame();
        self.request(text, counted)
    }

    fn binary(self: &Arc<Self>, data: Bytes) -> Result<Handled, CloseReason> {
        match self.inbox.connection.count_frame() {
            Ok(()) => {
                let not_text = self.inbox.session().not_text();
                self.request(Utf8Bytes::default(), Err(not_text))
            }
            // Over a limit, the text is still needed to match the refusal.
            over => self.request(Utf8Bytes::try_from(data).unwrap_or_default(), over),
        }
    }

    fn fill(&self, context: &Context<'_>, batch: &mut Batch) -> Option<CloseReason> {
        if std::mem::take(&mut self.heartbeat.lock().due) {
            batch.push(Frame::ping());
        }
        let drained = self.inbox.connection.outbox().take(context, &mut |frame| {
            batch.push(encoded(&frame));
            if batch.is_full() {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        });
        match drained {
            Drained::Closed(why) => Some(why),
            Drained::Empty | Drained::Enough => None,
        }
    }

    fn await_client(&self, context: &Context<'_>) -> Option<CloseReason> {
        self.inbox.connection.outbox().await_client(context)
    }

    fn written(&self) {
        let connection = &self.inbox.connection;
        connection
            .metrics()
            .delivered(connection.outbox().written());
    }

    fn seen(&self) {
        self.heartbeat.lock().seen = Instant::now();
    }

    fn tick(&self) -> Result<Instant, CloseReason> {
        let now = Instant::now();
        if self.expires_at.is_some_and(|at| at <= now) {
            return Err(CloseReason::Expired);
        }
        let mut heartbeat = self.heartbeat.lock();
        if heartbeat.seen + PING + PING_TIMEOUT <= now {
            return Err(CloseReason::Silent);
        }
        if heartbeat.ping_at <= now {
            heartbeat.ping_at = now + PING;
            heartbeat.due = true;
        }
        let silent_at = heartbeat.seen + PING + PING_TIMEOUT;
        let next = heartbeat.ping_at.min(silent_at);
        Ok(self.expires_at.map_or(next, |at| at.min(next)))
    }

    fn shut_down(&self) {
        self.inbox.shut_down();
    }

    fn end(&self, why: CloseReason) {
        self.inbox.connection.end(match why {
            // The queued frames cannot be sent any more.
            CloseReason::ShuttingDown => CloseReason::Gone,
            why => why,
        });
    }
}
