//! What waits to be sent to one connection, within bounds.
//! It refuses to know sockets: somebody else takes frames out and sends them.

mod outlet;
mod state;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use self::state::{Purpose, State, weight};
use crate::gateway::dialect::Frame;
use crate::telemetry::{Gauge, Taken};

pub use outlet::Outlet;

/// How much of what others did may wait for a connection before it counts as lagging.
#[derive(Debug, Clone, Copy)]
pub struct OutboxLimits {
    /// In frames.
    pub frames: usize,
    /// In bytes.
    pub bytes: usize,
}

/// The most bytes of answers that may wait while further requests are still begun.
const ANSWERS_TO_WAIT_FOR: usize = 1024 * 1024;

/// The most bytes of answers that may wait at all, not counting the latest one.
const ANSWERS_LIMIT: usize = 16 * ANSWERS_TO_WAIT_FOR;

/// The frames that wait for one connection, in order.
///
/// *News* (what others did) beyond the limits close it: the client reconnects and asks for
/// what it missed, rather than being skipped. *Answers* (to the client's own requests) hold
/// up its next requests instead: a client may well ask for more than a queue should hold.
pub struct Outbox {
    limits: OutboxLimits,
    /// What waits, together with what waits elsewhere, in bytes.
    waiting: Gauge,
    state: Mutex<State>,
    /// Wakes the one who sends.
    filled: Notify,
    /// Wakes the one who begins requests.
    emptied: Notify,
    /// Wakes one of those who bring news, who wakes the next.
    eased: Notify,
}

/// Why an outbox takes nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// The connection has gone. What waited is dropped.
    Gone,
    /// The client does not keep up. What waited is dropped: it will ask for it.
    Lagging,
    /// The client goes on asking for more than it may. What waited is dropped.
    RateLimited,
    /// The server is going. What waits is still sent.
    ShuttingDown,
}

/// How much room an outbox has left for news.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fill {
    /// Enough.
    Easy,
    /// News has filled half of it while nothing but the server's own work keeps it from being
    /// sent. Whoever brings more waits first, lest a client be cut off that reads.
    Crowded,
}

/// What a sender finds in an outbox.
#[derive(Debug)]
pub enum Next {
    /// The next frame to send.
    Frame(Frame),
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

    /// The same, whose contents count towards this figure, in bytes.
    #[must_use]
    pub fn counted_in(mut self, waiting: Gauge) -> Self {
        self.waiting = waiting;
        self
    }

    /// Puts in what somebody did. Over the limits the outbox closes as [`Closed::Lagging`].
    ///
    /// # Errors
    /// Why it takes nothing more.
    pub fn tell(&self, frame: Frame) -> Result<Fill, Closed> {
        self.put(Purpose::News, frame, is_full_of_news)
    }

    /// Puts in a message that is durable since this moment, otherwise as [`Outbox::tell`].
    ///
    /// # Errors
    /// Why it takes nothing more.
    pub fn deliver(&self, frame: Frame, durable: Instant) -> Result<Fill, Closed> {
        self.put(Purpose::Message(durable), frame, is_full_of_news)
    }

    /// Puts in the answer to a request of this client.
    ///
    /// # Errors
    /// Why it takes nothing more.
    pub fn answer(&self, frame: Frame) -> Result<(), Closed> {
        self.put(Purpose::Answer, frame, |state, _| {
            state.answers.bytes > ANSWERS_LIMIT
        })
        .map(drop)
    }

    /// Puts in answers to what the client asked when it connected, before everything that
    /// waits. For a connection of which nothing was taken out yet.
    pub fn answer_first(&self, frames: Vec<Frame>) {
        let mut state = self.state.lock();
        if matches!(state.closed, Some(Closed::Gone | Closed::Lagging)) {
            return;
        }
        for frame in frames.into_iter().rev() {
            state.answers.add(&frame);
            state.frames.push_front((Purpose::Answer, frame));
        }
        state.resting = false;
        drop(state);
        self.filled.notify_one();
    }

    /// Takes out the next frame, in the order in which they were put in.
    pub fn take(&self) -> Next {
        let mut state = self.state.lock();
        let Some((purpose, frame)) = state.frames.pop_front() else {
            state.resting = true;
            return state.closed.map_or(Next::Empty, Next::Closed);
        };
        state.resting = false;
        state.load(purpose).remove(&frame);
        self.waiting.dec_by(weight(&frame));
        if let Purpose::Message(durable) = purpose {
            state.take(durable);
        }
        let fill = self.fill(&state);
        drop(state);
        self.emptied.notify_one();
        if fill == Fill::Easy {
            self.eased.notify_one();
        }
        Next::Frame(frame)
    }

    /// The messages that were taken out since this was last asked: whoever takes them asks when
    /// they are written.
    pub fn written(&self) -> Option<Taken> {
        self.state.lock().taken.take()
    }

    /// Puts back what [`Outbox::take`] gave, as the next to be taken.
    pub fn put_back(&self, frame: Frame) {
        let mut state = self.state.lock();
        if matches!(state.closed, None | Some(Closed::ShuttingDown)) {
            state.answers.add(&frame);
            self.waiting.inc_by(weight(&frame));
            state.frames.push_front((Purpose::Answer, frame));
            state.resting = false;
        }
    }

    /// Returns when there may be something to take. For one waiter at a time.
    pub async fn filled(&self) {
        self.filled.notified().await;
    }

    /// Returns when so little waits that another request may be begun, or none ever will: a
    /// client that does not read what its requests bring about is held up, not cut off. For
    /// one waiter at a time.
    pub async fn has_room(&self) {
        while self.holds_up_requests() {
            self.emptied.notified().await;
        }
    }

    /// Whether it is [`Fill::Crowded`].
    pub fn is_crowded(&self) -> bool {
        self.fill(&self.state.lock()) == Fill::Crowded
    }

    /// Returns when it is not [`Fill::Crowded`] any more. Several may wait for it: in turn, while
    /// none of them makes it crowded again.
    pub async fn eased(&self) {
        while self.is_crowded() {
            self.eased.notified().await;
        }
        self.eased.notify_one();
    }

    /// Notes that the one who sends waits for the client to read, until what this returns is
    /// dropped.
    pub fn await_client(&self) -> AwaitingClient<'_> {
        self.state.lock().awaits_client = true;
        self.eased.notify_one();
        AwaitingClient(self)
    }

    fn fill(&self, state: &State) -> Fill {
        if self.is_half_full(state) && !state.awaits_client && state.closed.is_none() {
            Fill::Crowded
        } else {
            Fill::Easy
        }
    }

    fn holds_up_requests(&self) -> bool {
        let state = self.state.lock();
        let much = state.answers.bytes > ANSWERS_TO_WAIT_FOR || self.is_half_full(&state);
        state.closed.is_none() && much
    }

    fn is_half_full(&self, state: &State) -> bool {
        let OutboxLimits { frames, bytes } = self.limits;
        state.news.frames > frames / 2 || state.news.bytes > bytes / 2
    }

    /// Takes nothing more, for this reason, unless it already had one. Says whether this was
    /// the first.
    pub fn close(&self, why: Closed) -> bool {
        let first = self.shut(&mut self.state.lock(), why);
        self.wake_all();
        first
    }

    /// Why it takes nothing more; `None`: it still does.
    pub fn closed(&self) -> Option<Closed> {
        self.state.lock().closed
    }

    fn put(
        &self,
        purpose: Purpose,
        frame: Frame,
        overflows: fn(&State, &OutboxLimits) -> bool,
    ) -> Result<Fill, Closed> {
        let mut state = self.state.lock();
        if let Some(why) = state.closed {
            return Err(why);
        }
        if state.pass(purpose, &frame) {
            return Ok(Fill::Easy);
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
        state.resting = false;
        let fill = self.fill(&state);
        drop(state);
        self.filled.notify_one();
        Ok(fill)
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

/// As long as this lives, an outbox is waiting for its client to read.
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
