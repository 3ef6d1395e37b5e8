//! The frames that wait to be sent to one connection, within bounds.
//! Does not know sockets: a writer takes the frames out and sends them.

mod of_user;
mod state;
mod totals;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::task::{Context, Waker};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use self::of_user::is_too_much_of_user;
use self::state::{Purpose, State};
pub use self::totals::{Reserved, UserTotal};
use super::Outgoing;
use crate::telemetry::{CloseReason, Gauge, Taken};

/// How much news may wait for a connection before it counts as lagging.
#[derive(Debug, Clone, Copy)]
pub struct OutboxLimits {
    /// In frames.
    pub frames: usize,
    /// In bytes.
    pub bytes: usize,
}

/// Which part of the bytes of an outbox may wait in responses while further requests are still begun.
const RESPONSES_BEFORE_WAIT: usize = 4;

/// For how many frames an outbox keeps memory while nothing waits.
const FEW: usize = 4;

/// The frames that wait for one connection, in order.
///
/// *News* (notices of others) beyond the limits closes it: the client reconnects and requests what
/// it missed, rather than being skipped. *Responses* (to the client's own requests) delay its next
/// requests instead: a client may well request more than a queue should hold.
pub struct Outbox {
    limits: OutboxLimits,
    state: Mutex<State>,
    /// Wakes the inbox, which begins requests.
    emptied: Notify,
    /// Wakes one of the waiting deliveries, which wakes the next.
    eased: Notify,
}

/// How full an outbox is of news.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pressure {
    /// There is room.
    Normal,
    /// News fills more than half of it, while nothing but the server's own work delays sending.
    /// The relay waits before it delivers more, so that a client that does read is not
    /// disconnected.
    High,
}

/// How taking frames from an outbox ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// The sink had enough.
    Enough,
    /// Nothing waits now: the waker was registered.
    Empty,
    /// Nothing waits, and nothing will ever again.
    Closed(CloseReason),
}

impl Outbox {
    /// An empty outbox.
    pub fn new(limits: OutboxLimits) -> Self {
        Self {
            limits,
            state: Mutex::default(),
            emptied: Notify::new(),
            eased: Notify::new(),
        }
    }

    /// The same, with its bytes counted in this gauge.
    #[must_use]
    pub fn counted_in(mut self, waiting: Gauge) -> Self {
        self.state.get_mut().totals.all = waiting;
        self
    }

    /// Counts its bytes in this total from now on; `None`: in none. With too much for one user news
    /// closes it as [`CloseReason::Lagging`], unless it holds little, and large responses wait.
    pub fn count_for(&self, user: Option<Arc<UserTotal>>) {
        let mut state = self.state.lock();
        let bytes = state.bytes();
        state.totals.remove(bytes);
        state.totals.user = user;
        state.totals.add(bytes);
    }

    /// How much news may wait in it.
    pub const fn limits(&self) -> OutboxLimits {
        self.limits
    }

    /// Queues news. Over the limits the outbox closes as [`CloseReason::Lagging`].
    ///
    /// # Errors
    /// Why it accepts nothing more.
    pub fn push(&self, frame: Outgoing) -> Result<Pressure, CloseReason> {
        self.put(Purpose::News, frame, is_full_of_news)
    }

    /// Queues a message that is durable since this instant; otherwise as [`Outbox::push`].
    ///
    /// # Errors
    /// Why it accepts nothing more.
    pub fn deliver(&self, frame: Outgoing, durable: Instant) -> Result<Pressure, CloseReason> {
        self.put(Purpose::Message(durable), frame, is_full_of_news)
    }

    /// Queues a response to a request of this client.
    ///
    /// # Errors
    /// Why it accepts nothing more.
    pub fn respond(&self, frame: Outgoing) -> Result<(), CloseReason> {
        self.put(Purpose::Response, frame, is_full_of_responses)
            .map(drop)
    }

    /// Queues responses to the client's first requests, before all queued frames. For an outbox of
    /// which nothing was taken yet.
    pub fn respond_first(&self, frames: Vec<Outgoing>) {
        let mut state = self.state.lock();
        if matches!(state.closed, Some(why) if drops_frames(why)) {
            return;
        }
        for frame in frames.into_iter().rev() {
            state.add(Purpose::Response, &frame);
            state.frames.push_front((Purpose::Response, frame));
        }
        let writer = state.writer.take();
        drop(state);
        wake(writer);
    }

    /// Passes frames to `sink`, first in, first out, until it has enough. If none are left, the
    /// waker of `context` is woken once there are more, or the outbox is closed. For one writer
    /// at a time.
    pub fn take(
        &self,
        context: &Context<'_>,
        sink: &mut dyn FnMut(Outgoing) -> ControlFlow<()>,
    ) -> Drained {
        let mut state = self.state.lock();
        state.awaits_client = false;
        let mut took = false;
        let drained = loop {
            let Some((purpose, frame)) = state.frames.pop_front() else {
                if let Some(why) = state.closed {
                    break Drained::Closed(why);
                }
                state.register(context);
                break Drained::Empty;
            };
            took = true;
            state.remove(purpose, &frame);
            if let Purpose::Message(durable) = purpose {
                state.take(durable);
            }
            if sink(frame).is_break() {
                break Drained::Enough;
            }
        };
        state.frames.shrink_to(FEW);
        let pressure = self.pressure(&state);
        drop(state);
        if took {
            self.emptied.notify_one();
            if pressure == Pressure::Normal {
                self.eased.notify_one();
            }
        }
        drained
    }

    /// The messages that were taken since the last call: the writer calls this once they are
    /// written. Until then all frames that were taken are counted.
    pub fn written(&self) -> Option<Taken> {
        let mut state = self.state.lock();
        state.wrote();
        state.taken.take()
    }

    /// Returns when so little waits that another request may be begun, or the outbox is closed: a
    /// client that does not read its responses is delayed, not disconnected. For one waiter at a
    /// time.
    pub async fn has_room(&self) {
        while self.delays_requests() {
            self.emptied.notified().await;
        }
    }

    /// Returns when the outbox is closed. For one waiter at a time, which is that of
    /// [`Outbox::has_room`].
    pub async fn ended(&self) {
        while self.closed().is_none() {
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

    /// Records that the client has to read before more is taken, until the next
    /// [`Outbox::take`]. The waker of `context` is woken when the outbox is closed meanwhile.
    /// Returns why it is closed already, if its frames were dropped.
    pub fn await_client(&self, context: &Context<'_>) -> Option<CloseReason> {
        let mut state = self.state.lock();
        state.awaits_client = true;
        state.register(context);
        let closed = state.closed.filter(|why| drops_frames(*why));
        drop(state);
        self.eased.notify_one();
        closed
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
        let most = self.limits.bytes / RESPONSES_BEFORE_WAIT;
        let much = state.responses.bytes > most || self.is_half_full(&state);
        state.closed.is_none() && much
    }

    fn is_half_full(&self, state: &State) -> bool {
        let OutboxLimits { frames, bytes } = self.limits;
        state.news.frames > frames / 2 || state.news.bytes > bytes / 2
    }

    /// Closes it for this reason, unless it is closed already. Returns whether it was open.
    pub fn close(&self, why: CloseReason) -> bool {
        let mut state = self.state.lock();
        let first = state.close(why);
        let writer = state.writer.take();
        drop(state);
        wake(writer);
        self.emptied.notify_one();
        self.eased.notify_one();
        first
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.state.lock().frames.is_empty()
    }

    /// Why it is closed; `None`: it is open.
    pub fn closed(&self) -> Option<CloseReason> {
        self.state.lock().closed
    }

    /// The bytes of the frames that wait, counted again.
    #[cfg(test)]
    pub fn queued(&self) -> usize {
        let frames = &self.state.lock().frames;
        frames.iter().map(|(_, frame)| frame.weight()).sum()
    }

    /// The bytes of the frames that wait, counted again, and of those that are being written.
    #[cfg(test)]
    pub fn recount(&self) -> usize {
        self.queued() + self.state.lock().writing
    }

    fn put(
        &self,
        purpose: Purpose,
        frame: Outgoing,
        overflows: fn(&State, &OutboxLimits) -> bool,
    ) -> Result<Pressure, CloseReason> {
        let mut state = self.state.lock();
        if let Some(why) = state.closed {
            return Err(why);
        }
        if overflows(&state, &self.limits) {
            drop(state);
            self.close(CloseReason::Lagging);
            return Err(CloseReason::Lagging);
        }
        state.add(purpose, &frame);
        state.frames.push_back((purpose, frame));
        let pressure = self.pressure(&state);
        let writer = if state.awaits_client {
            None
        } else {
            state.writer.take()
        };
        drop(state);
        wake(writer);
        Ok(pressure)
    }
}

#[cfg(test)]
impl Outbox {
    /// The next frame; `None`: nothing waits, or it is closed.
    pub fn try_next(&self) -> Option<Outgoing> {
        let mut next = None;
        self.take(&Context::from_waker(Waker::noop()), &mut |frame| {
            next = Some(frame);
            ControlFlow::Break(())
        });
        next
    }

    /// The next frame, as soon as there is one.
    ///
    /// # Errors
    /// Why there never will be one.
    pub async fn next(&self) -> Result<Outgoing, CloseReason> {
        std::future::poll_fn(|context| {
            let mut next = None;
            let drained = self.take(context, &mut |frame| {
                next = Some(frame);
                ControlFlow::Break(())
            });
            match (next, drained) {
                (Some(frame), _) => std::task::Poll::Ready(Ok(frame)),
                (None, Drained::Closed(why)) => std::task::Poll::Ready(Err(why)),
                (None, _) => std::task::Poll::Pending,
            }
        })
        .await
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        let state = self.state.get_mut();
        state.totals.remove(state.bytes());
    }
}

fn wake(writer: Option<Waker>) {
    if let Some(writer) = writer {
        writer.wake();
    }
}

/// Whether queued frames are dropped when an outbox is closed for this reason. At shutdown they are
/// still sent.
fn drops_frames(why: CloseReason) -> bool {
    why != CloseReason::ShuttingDown
}

fn is_full_of_news(state: &State, limits: &OutboxLimits) -> bool {
    let is_full = state.news.frames >= limits.frames || state.news.bytes > limits.bytes;
    is_full || is_too_much_of_user(state, limits)
}

/// The latest response is not counted: it may be a page that is larger than the limit.
fn is_full_of_responses(state: &State, limits: &OutboxLimits) -> bool {
    state.responses.bytes > limits.bytes
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
