//! The frames that wait to be sent to one connection, within bounds.
//! Does not know sockets: a writer takes the frames out and sends them.

mod direct_sink;
mod state;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use self::state::{Purpose, State, weight};
use super::Outgoing;
use crate::telemetry::{Gauge, Taken};

pub use direct_sink::DirectSink;

/// How much news may wait for a connection before it counts as lagging.
#[derive(Debug, Clone, Copy)]
pub struct OutboxLimits {
    /// In frames.
    pub frames: usize,
    /// In bytes.
    pub bytes: usize,
}

/// The most bytes of responses that may wait while further requests are still begun.
const RESPONSES_BEFORE_WAIT: usize = 1024 * 1024;

/// The most bytes of responses that may wait at all, not counting the latest one.
const RESPONSES_LIMIT: usize = 16 * RESPONSES_BEFORE_WAIT;

/// The frames that wait for one connection, in order.
///
/// *News* (what others did) beyond the limits closes it: the client reconnects and requests what
/// it missed, rather than being skipped. *Responses* (to the client's own requests) delay its
/// next requests instead: a client may well request more than a queue should hold.
pub struct Outbox {
    limits: OutboxLimits,
    /// The bytes that wait in all outboxes.
    waiting: Gauge,
    state: Mutex<State>,
    /// Wakes the writer.
    filled: Notify,
    /// Wakes the inbox, which begins requests.
    emptied: Notify,
    /// Wakes one of those who bring news, who wakes the next.
    eased: Notify,
}

/// Why an outbox accepts nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// The connection has ended. What waited is dropped.
    Gone,
    /// The client does not keep up. What waited is dropped: the client will request it.
    Lagging,
    /// The client keeps sending over its rate limit. What waited is dropped.
    RateLimited,
    /// The server is shutting down. What waits is still sent.
    ShuttingDown,
}

/// How full an outbox is of news.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pressure {
    /// There is room.
    Normal,
    /// News fills more than half of it, while nothing but the server's own work delays sending.
    /// The relay waits before it delivers more, lest a client be disconnected that does read.
    High,
}

/// What the writer finds in an outbox.
#[derive(Debug)]
pub enum Next {
    /// The next frame to send.
    Frame(Outgoing),
    /// Nothing yet.
    Empty,
    /// Nothing ever again.
    Closed(Closed),
}

impl Outbox {
    /// An empty outbox.
    pub fn new(limits: OutboxLimits) -> Self {
        Self {
            limits,
            waiting: Gauge::default(),
            state: Mutex::default(),
            filled: Notify::new(),
            emptied: Notify::new(),
            eased: Notify::new(),
        }
    }

    /// The same, with its bytes counted in this gauge.
    #[must_use]
    pub fn counted_in(mut self, waiting: Gauge) -> Self {
        self.waiting = waiting;
        self
    }

    /// How much news may wait in it.
    pub const fn limits(&self) -> OutboxLimits {
        self.limits
    }

    /// Queues news. Over the limits the outbox closes as [`Closed::Lagging`].
    ///
    /// # Errors
    /// Why it accepts nothing more.
    pub fn push(&self, frame: Outgoing) -> Result<Pressure, Closed> {
        self.put(Purpose::News, frame, is_full_of_news)
    }

    /// Queues a message that is durable since this instant; otherwise as [`Outbox::push`].
    ///
    /// # Errors
    /// Why it accepts nothing more.
    pub fn deliver(&self, frame: Outgoing, durable: Instant) -> Result<Pressure, Closed> {
        self.put(Purpose::Message(durable), frame, is_full_of_news)
    }

    /// Queues a response to a request of this client.
    ///
    /// # Errors
    /// Why it accepts nothing more.
    pub fn respond(&self, frame: Outgoing) -> Result<(), Closed> {
        self.put(Purpose::Response, frame, |state, _| {
            state.responses.bytes > RESPONSES_LIMIT
        })
        .map(drop)
    }

    /// Queues responses to what the client requested when it connected, before everything that
    /// waits. For an outbox of which nothing was taken yet.
    pub fn respond_first(&self, frames: Vec<Outgoing>) {
        let mut state = self.state.lock();
        if matches!(state.closed, Some(Closed::Gone | Closed::Lagging)) {
            return;
        }
        for frame in frames.into_iter().rev() {
            state.responses.add(&frame);
            self.waiting.inc_by(weight(&frame));
            state.frames.push_front((Purpose::Response, frame));
        }
        state.idle = false;
        drop(state);
        self.filled.notify_one();
    }

    /// Takes the next frame, first in, first out.
    pub fn take(&self) -> Next {
        let mut state = self.state.lock();
        let Some((purpose, frame)) = state.frames.pop_front() else {
            state.idle = true;
            return state.closed.map_or(Next::Empty, Next::Closed);
        };
        state.idle = false;
        state.load(purpose).remove(&frame);
        self.waiting.dec_by(weight(&frame));
        if let Purpose::Message(durable) = purpose {
            state.take(durable);
        }
        let pressure = self.pressure(&state);
        drop(state);
        self.emptied.notify_one();
        if pressure == Pressure::Normal {
            self.eased.notify_one();
        }
        Next::Frame(frame)
    }

    /// The messages that were taken since the last call: the writer calls this once they are
    /// written.
    pub fn written(&self) -> Option<Taken> {
        self.state.lock().taken.take()
    }

    /// Returns a frame of [`Outbox::take`] to the front.
    pub fn put_back(&self, frame: Outgoing) {
        let mut state = self.state.lock();
        if matches!(state.closed, None | Some(Closed::ShuttingDown)) {
            state.responses.add(&frame);
            self.waiting.inc_by(weight(&frame));
            state.frames.push_front((Purpose::Response, frame));
            state.idle = false;
        }
    }

    /// Returns when there may be something to take. For one waiter at a time.
    pub async fn filled(&self) {
        self.filled.notified().await;
    }

    /// Returns when so little waits that another request may be begun, or the outbox is closed: a
    /// client that does not read its responses is delayed, not disconnected. For one waiter at a
    /// time.
    pub async fn has_room(&self) {
        while self.delays_requests() {
            self.emptied.notified().await;
        }
    }

    /// Whether the pressure is [`Pressure::High`].
    pub fn is_crowded(&self) -> bool {
        self.pressure(&self.state.lock()) == Pressure::High
    }

    /// Returns when the pressure is not [`Pressure::High`] any more. Several may wait for it: in
    /// turn, while none of them makes it high again.
    pub async fn eased(&self) {
        while self.is_crowded() {
            self.eased.notified().await;
        }
        self.eased.notify_one();
    }

    /// Records that the writer waits for the client to read, until the guard is dropped.
    pub fn await_client(&self) -> AwaitingClient<'_> {
        self.state.lock().awaits_client = true;
        self.eased.notify_one();
        AwaitingClient(self)
    }

    fn pressure(&self, state: &State) -> Pressure {
        if self.is_half_full(state) && !state.awaits_client && state.closed.is_none() {
            Pressure::High
        } else {
            Pressure::Normal
        }
    }

    fn delays_requests(&self) -> bool {
        let state = self.state.lock();
        let much = state.responses.bytes > RESPONSES_BEFORE_WAIT || self.is_half_full(&state);
        state.closed.is_none() && much
    }

    fn is_half_full(&self, state: &State) -> bool {
        let OutboxLimits { frames, bytes } = self.limits;
        state.news.frames > frames / 2 || state.news.bytes > bytes / 2
    }

    /// Closes it for this reason, unless it is closed already. Returns whether it was open.
    pub fn close(&self, why: Closed) -> bool {
        let first = self.shut(&mut self.state.lock(), why);
        self.wake_all();
        first
    }

    /// Why it is closed; `None`: it is open.
    pub fn closed(&self) -> Option<Closed> {
        self.state.lock().closed
    }

    fn put(
        &self,
        purpose: Purpose,
        frame: Outgoing,
        overflows: fn(&State, &OutboxLimits) -> bool,
    ) -> Result<Pressure, Closed> {
        let mut state = self.state.lock();
        if let Some(why) = state.closed {
            return Err(why);
        }
        if state.send_directly(purpose, &frame) {
            return Ok(Pressure::Normal);
        }
        if overflows(&state, &self.limits) {
            self.shut(&mut state, Closed::Lagging);
            drop(state);
            self.wake_all();
            return Err(Closed::Lagging);
        }
        state.load(purpose).add(&frame);
        self.waiting.inc_by(weight(&frame));
        state.frames.push_back((purpose, frame));
        state.idle = false;
        let pressure = self.pressure(&state);
        drop(state);
        self.filled.notify_one();
        Ok(pressure)
    }

    fn shut(&self, state: &mut State, why: Closed) -> bool {
        let before = state.bytes();
        let first = state.close(why);
        self.waiting.dec_by(before - state.bytes());
        first
    }

    fn wake_all(&self) {
        self.filled.notify_one();
        self.emptied.notify_one();
        self.eased.notify_one();
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.waiting.dec_by(self.state.get_mut().bytes());
    }
}

/// While this lives, the outbox's writer waits for the client to read.
pub struct AwaitingClient<'a>(&'a Outbox);

impl Drop for AwaitingClient<'_> {
    fn drop(&mut self) {
        self.0.state.lock().awaits_client = false;
    }
}

fn is_full_of_news(state: &State, limits: &OutboxLimits) -> bool {
    state.news.frames >= limits.frames || state.news.bytes > limits.bytes
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
