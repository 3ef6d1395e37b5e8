//! One client, from handshake to end, over any carrier, and its handler. All changes of its state
//! happen here and in `carrier`, under one lock.
//! Does not read or write.

use std::net::IpAddr;
use std::sync::{Arc, Weak};
use std::task::Context;
use std::time::Duration;

use bytes::Bytes;
use engineioxide_core::{Packet, ProtocolVersion, Sid, Str};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tungstenite::Utf8Bytes;

use super::registry::Registry;
use super::state::{Carrier, Control, Settings, State};
use crate::gateway::transport::{Handled, Work};
use crate::gateway::websocket::{Batch, Frame};
use crate::limits::ConnectionSlots;
use crate::telemetry::CloseReason;

/// How many bodies of one session may be there at once: one is handled, the next is read.
const BODIES: usize = 2;

/// How many bytes of packets that no application sent may wait for a client.
const CONTROL_LIMIT: usize = 64 * 1024;

/// The properties of a client when its session opens.
#[derive(Debug, Clone)]
pub struct Opening {
    /// The query of its first request.
    pub query: String,
    /// The token in the query, or in the header `Authorization`.
    pub token: Option<String>,
    /// The address of the client.
    pub client: IpAddr,
}

/// The handler of one session. Its methods do not block.
pub trait Handler: Send + Sync {
    /// The session has opened. Messages of the client are handled after the returned work.
    fn opened(&self, session: &Arc<Session>) -> Handled;

    /// Handles a text message.
    ///
    /// # Errors
    /// The session ends.
    fn text(&self, session: &Arc<Session>, text: Utf8Bytes) -> Result<Handled, CloseReason>;

    /// Handles a binary message.
    ///
    /// # Errors
    /// The session ends.
    fn binary(&self, session: &Arc<Session>, data: Bytes) -> Result<Handled, CloseReason>;

    /// Puts frames that wait for the client into `batch`, until it is full, and has `context`
    /// woken when there are more. Returns why the session ends, once nothing is left to be sent
    /// before that.
    fn fill(&self, context: &Context<'_>, batch: &mut Batch) -> Option<CloseReason>;

    /// Whether frames wait for the client, or will: after [`Handler::shut_down`] the requests that
    /// were received are answered.
    fn has_frames(&self) -> bool;

    /// The client has to read, or to poll, before more is taken. Has `context` woken if the
    /// session has to end meanwhile; returns why, if it has to already.
    fn await_client(&self, context: &Context<'_>) -> Option<CloseReason>;

    /// The frames taken last are sent.
    fn written(&self);

    /// A WebSocket carries the session from now on.
    fn upgraded(&self);

    /// The server shuts down: [`Handler::fill`] ends the session once nothing waits.
    fn shut_down(&self);

    /// The session has ended. Called once.
    fn closed(&self, why: CloseReason);
}

/// One client.
pub struct Session {
    /// A secret between the server and the client.
    pub(super) sid: Sid,
    protocol: ProtocolVersion,
    pub(super) settings: Arc<Settings>,
    /// Cancelled when the session has to end because the server shuts down.
    pub(super) closing: CancellationToken,
    registry: Weak<Registry<Self>>,
    pub(super) handler: Box<dyn Handler>,
    /// Messages are handled one after the other.
    pub(super) turn: Semaphore,
    pub(super) bodies: Semaphore,
    pub(super) state: Mutex<State>,
}

impl Session {
    pub(super) fn new(
        settings: &Arc<Settings>,
        registry: &Arc<Registry<Self>>,
        protocol: ProtocolVersion,
        handler: Box<dyn Handler>,
        carrier: Carrier,
        slots: ConnectionSlots,
        closing: CancellationToken,
    ) -> Arc<Self> {
        let now = Instant::now();
        let state = State {
            control: Control::default(),
            carrier,
            writer: None,
            watcher: None,
            heartbeat: now + settings.first_heartbeat(protocol),
            awaits_pong: false,
            admission: Some(now + settings.handshake),
            expires_at: None,
            draining: false,
            closed: None,
            slots,
        };
        Arc::new(Self {
            sid: Sid::new(),
            protocol,
            settings: Arc::clone(settings),
            closing,
            registry: Arc::downgrade(registry),
            handler,
            turn: Semaphore::new(1),
            bodies: Semaphore::new(BODIES),
            state: Mutex::new(state),
        })
    }

    /// The version of Engine.IO of the client.
    pub fn protocol(&self) -> ProtocolVersion {
        self.protocol
    }

    /// Whether a WebSocket carries the session.
    pub fn is_websocket(&self) -> bool {
        matches!(self.state.lock().carrier, Carrier::WebSocket)
    }

    /// A client was authenticated with a token that is valid for so long; `None`: for ever.
    pub fn admit(&self, lifetime: Option<Duration>) {
        let mut state = self.state.lock();
        state.admission = None;
        state.slots.unauthenticated = None;
        let expires_at = lifetime.map(|lifetime| Instant::now() + lifetime);
        state.expires_at = state.expires_at.into_iter().chain(expires_at).min();
        state.wake_timers();
    }

    /// No authenticated client is left: the session ends unless one authenticates in time.
    pub fn vacate(&self) {
        let mut state = self.state.lock();
        state.admission = Some(Instant::now() + self.settings.handshake);
        state.expires_at = None;
        state.wake_timers();
    }

    /// Sends packets, before anything that waits in the application's queues. A client that
    /// reads none of them is disconnected.
    pub fn send(&self, frames: impl IntoIterator<Item = Frame>) {
        let mut state = self.state.lock();
        if state.closed.is_some() {
            return;
        }
        frames.into_iter().for_each(|it| state.control.push(it));
        let flooded = state.control.bytes > CONTROL_LIMIT;
        state.wake_writer();
        drop(state);
        if flooded {
            self.close(CloseReason::Lagging);
        }
    }

    /// The application's queues may hold more frames: wakes the writer.
    pub fn wake(&self) {
        self.state.lock().wake_writer();
    }

    /// Why it has ended, if it has.
    pub fn closed(&self) -> Option<CloseReason> {
        self.state.lock().closed
    }

    /// Ends the session, once: wakes the writer, and accepts nothing any more.
    pub fn close(&self, why: CloseReason) {
        let mut state = self.state.lock();
        if state.closed.is_some() {
            return;
        }
        state.closed = Some(why);
        (state.slots, state.control) = Default::default();
        state.wake_writer();
        state.wake_watcher();
        drop(state);
        if let Some(registry) = self.registry.upgrade() {
            registry.forget(&self.sid);
        }
        self.handler.closed(why);
    }

    /// The server shuts down: the session ends once its queue is sent.
    pub fn shut_down(&self) {
        self.handler.shut_down();
        let mut state = self.state.lock();
        state.draining = true;
        state.wake_writer();
        state.wake_watcher();
    }

    /// Whether the server shuts down: the client may still receive queued frames, but its input is
    /// not accepted.
    pub(super) fn is_draining(&self) -> bool {
        self.state.lock().draining
    }

    /// Puts the queued frames into `batch`. Returns why the session ends, once nothing is left to
    /// be sent before that.
    pub(super) fn take(
        &self,
        state: &mut State,
        context: &Context<'_>,
        batch: &mut Batch,
    ) -> Option<CloseReason> {
        state.register_writer(context);
        if state.closed.is_some() {
            return state.closed;
        }
        state.control.take(batch);
        if batch.is_full() {
            return None;
        }
        let ended = self.handler.fill(context, batch);
        let drained = state.draining && batch.is_empty();
        match ended {
            None if drained && state.admission.is_some() => Some(CloseReason::ShuttingDown),
            ended => ended,
        }
    }

    // Input from the client.

    /// Returns when a WebSocket may handle its first message: after the bodies that were posted
    /// before it. `None`: they are handled already.
    pub(super) fn posted(self: &Arc<Self>) -> Option<Work> {
        if self.bodies.available_permits() == BODIES && self.turn.available_permits() > 0 {
            return None;
        }
        let session = Arc::clone(self);
        Some(Box::pin(async move {
            let bodies = u32::try_from(BODIES).unwrap_or(u32::MAX);
            let bodies = session.bodies.acquire_many(bodies).await;
            let turn = session.turn.acquire().await;
            bodies.and(turn).map(drop).map_err(|_| CloseReason::Gone)
        }))
    }

    /// Handles a packet.
    pub(super) fn packet(self: &Arc<Self>, packet: Packet) -> Result<Handled, CloseReason> {
        use ProtocolVersion::{V3, V4};
        if let Some(why) = self.closed() {
            return Err(why);
        }
        match (packet, self.protocol) {
            (Packet::Message(text), _) => self.handler.text(self, into_text(text)),
            (Packet::Binary(data) | Packet::BinaryV3(data), _) => self.handler.binary(self, data),
            (Packet::Close, _) => Err(CloseReason::Gone),
            (Packet::Pong, V4) => Ok(self.alive()),
            (Packet::Ping, V3) => {
                self.send([Frame::text(&[b"3"])]);
                Ok(self.alive())
            }
            (Packet::Noop | Packet::Upgrade, _) => Ok(Handled::Done),
            _ => Err(CloseReason::ProtocolError),
        }
    }

    /// Handles a text frame of a WebSocket.
    pub(super) fn text(self: &Arc<Self>, text: Utf8Bytes) -> Result<Handled, CloseReason> {
        if text.starts_with('4') {
            if let Some(why) = self.closed() {
                return Err(why);
            }
            // UTF-8 without its first byte, which is one character.
            let message = Bytes::from(text).slice(1..);
            return self.handler.text(self, as_text(message));
        }
        let packet = Packet::parse(self.protocol, Str::copy_from_slice(&text));
        self.packet(packet.map_err(|_| CloseReason::ProtocolError)?)
    }

    /// Handles a binary frame of a WebSocket.
    pub(super) fn binary(self: &Arc<Self>, data: Bytes) -> Result<Handled, CloseReason> {
        match (self.protocol, data.first()) {
            (ProtocolVersion::V4, _) => self.packet(Packet::Binary(data)),
            (ProtocolVersion::V3, Some(4)) => self.packet(Packet::BinaryV3(data.slice(1..))),
            _ => Err(CloseReason::ProtocolError),
        }
    }

    fn alive(&self) -> Handled {
        let mut state = self.state.lock();
        state.awaits_pong = false;
        state.heartbeat = Instant::now() + self.settings.first_heartbeat(self.protocol);
        Handled::Done
    }

    /// Runs the timers that are due, and returns when to call it again.
    pub(super) fn tick(&self) -> Result<Instant, CloseReason> {
        self.due(&mut self.state.lock())
    }

    pub(super) fn due(&self, state: &mut State) -> Result<Instant, CloseReason> {
        let now = Instant::now();
        if let Some(why) = state.closed {
            return Err(why);
        }
        if state.expires_at.is_some_and(|at| at <= now) {
            return Err(CloseReason::Expired);
        }
        if state.admission.is_some_and(|at| at <= now) {
            return Err(CloseReason::NotAdmitted);
        }
        if state.heartbeat <= now {
            if state.awaits_pong || self.protocol == ProtocolVersion::V3 {
                return Err(CloseReason::Silent);
            }
            // From when it was due, not from now: the client has had its time even if the timer
            // runs late.
            state.heartbeat += self.settings.ping_timeout;
            state.awaits_pong = true;
            if state.heartbeat <= now {
                return Err(CloseReason::Silent);
            }
            state.control.push(Frame::text(&[b"2"]));
            state.wake_writer();
        }
        let others = state.admission.into_iter().chain(state.expires_at);
        Ok(others.fold(state.heartbeat, Instant::min))
    }
}

fn into_text(text: Str) -> Utf8Bytes {
    as_text(Bytes::from(text))
}

/// Bytes that are UTF-8 already.
fn as_text(bytes: Bytes) -> Utf8Bytes {
    Utf8Bytes::try_from(bytes).unwrap_or_default()
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "session_property_tests.rs"]
mod property_tests;
