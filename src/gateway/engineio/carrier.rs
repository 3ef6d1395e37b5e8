//! The writer of a session: the pending poll, or the WebSocket. All changes between them, and the
//! frames that each writes.
//! Does not read requests and sockets.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use tungstenite::Utf8Bytes;

use super::session::Session;
use super::state::{Carrier, State};
use crate::gateway::transport::Handled;
use crate::gateway::websocket::{Batch, Endpoint};
use crate::telemetry::CloseReason;

/// While a probe is under way, a pending poll is answered after so long, so that the client can
/// stop polling (as Node's server does).
pub(super) const RELEASE: Duration = Duration::from_millis(100);

/// The response to a poll.
pub(super) enum Polled {
    /// These frames; with none, that nothing is to be sent.
    Frames(Batch),
    /// A WebSocket carries the session now.
    Overtaken,
    /// The session has ended.
    Closed(CloseReason),
}

/// Why a poll cannot begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoPoll {
    /// Another one waits: both are answered, and the session ends.
    Overlap,
    /// A WebSocket carries the session.
    Overtaken,
    /// The session has ended.
    Closed(CloseReason),
}

impl Session {
    // Polling.

    /// Begins a poll. Returns whether it began while a WebSocket was being probed.
    pub(super) fn begin_poll(&self) -> Result<bool, NoPoll> {
        let mut state = self.state.lock();
        if let Some(why) = state.closed {
            return Err(NoPoll::Closed(why));
        }
        match &mut state.carrier {
            Carrier::WebSocket => Err(NoPoll::Overtaken),
            Carrier::Polling { waiting: true, .. } => {
                drop(state);
                self.close(CloseReason::ProtocolError);
                Err(NoPoll::Overlap)
            }
            Carrier::Polling {
                waiting, probed, ..
            } => {
                *waiting = true;
                Ok(*probed)
            }
        }
    }

    /// The response to the pending poll, once it is known.
    pub(super) fn poll_answer(&self, context: &Context<'_>) -> Poll<Polled> {
        let mut state = self.state.lock();
        if let Some(why) = state.closed {
            return Poll::Ready(Polled::Closed(why));
        }
        let Carrier::Polling { release, .. } = state.carrier else {
            return Poll::Ready(Polled::Overtaken);
        };
        let mut batch = Batch::default();
        let ended = self.take(&mut state, context, &mut batch);
        if batch.is_empty() {
            if let Some(why) = ended {
                drop(state);
                self.close(why);
                return Poll::Ready(Polled::Closed(why));
            }
            if !release {
                return Poll::Pending;
            }
        }
        if let Carrier::Polling {
            waiting, release, ..
        } = &mut state.carrier
        {
            (*waiting, *release) = (false, false);
        }
        // A waker keeps its task in memory, and this one is that of an HTTP connection.
        state.writer = None;
        // Until the next poll the session waits for the client.
        state.wake_watcher();
        Poll::Ready(Polled::Frames(batch))
    }

    /// The client has given up the pending poll. The session ends: the next response would be lost.
    /// With a WebSocket it continues.
    pub(super) fn abandon_poll(&self) {
        let waiting = matches!(
            self.state.lock().carrier,
            Carrier::Polling { waiting: true, .. }
        );
        if waiting {
            self.close(CloseReason::Gone);
        }
    }

    /// Runs the timers while no WebSocket carries the session, and returns when to call it again;
    /// `None`: a WebSocket carries it, or it has ended.
    pub(super) fn watch(&self, context: &Context<'_>) -> Option<Instant> {
        let mut state = self.state.lock();
        // Under one lock: later changes wake the watcher.
        let due = self.due(&mut state).and_then(|at| {
            let ended = match state.carrier {
                Carrier::WebSocket => return Ok(None),
                // The poll returns it.
                Carrier::Polling { waiting: true, .. } => None,
                Carrier::Polling { .. } => self.await_poll(&mut state, context),
            };
            state.watcher = Some(context.waker().clone());
            ended.map_or(Ok(Some(at)), Err)
        });
        drop(state);
        due.unwrap_or_else(|why| {
            self.close(why);
            None
        })
    }

    /// No poll waits. Returns why the session ends without one.
    fn await_poll(&self, state: &mut State, context: &Context<'_>) -> Option<CloseReason> {
        let ended = self.handler.await_client(context);
        let waits = state.has_packets() || self.handler.has_frames();
        if ended.is_some() || !state.draining || waits {
            return ended;
        }
        Some(CloseReason::ShuttingDown)
    }

    // The upgrade.

    /// Begins a probe; `false`: there is one, or polling does not carry the session.
    pub(super) fn begin_probe(&self) -> bool {
        let mut state = self.state.lock();
        match (state.closed, &mut state.carrier) {
            (None, Carrier::Polling { probed, .. }) => !std::mem::replace(probed, true),
            _ => false,
        }
    }

    /// A probe has failed: the session continues unchanged.
    pub(super) fn end_probe(&self) {
        if let Carrier::Polling {
            probed, release, ..
        } = &mut self.state.lock().carrier
        {
            (*probed, *release) = (false, false);
        }
    }

    /// Returns the pending poll, if there is one.
    pub(super) fn release_poll(&self) {
        let mut state = self.state.lock();
        if let Carrier::Polling {
            waiting: true,
            release,
            ..
        } = &mut state.carrier
        {
            *release = true;
            state.wake_writer();
        }
    }

    /// The WebSocket carries the session from now on; `false`: the session has ended.
    pub(super) fn finish_probe(&self) -> bool {
        let mut state = self.state.lock();
        if state.closed.is_some() {
            return false;
        }
        state.carrier = Carrier::WebSocket;
        state.wake_writer();
        state.wake_watcher();
        drop(state);
        self.handler.upgraded();
        true
    }
}

impl Endpoint for Session {
    fn text(self: &Arc<Self>, text: Utf8Bytes) -> Result<Handled, CloseReason> {
        Self::text(self, text)
    }

    fn binary(self: &Arc<Self>, data: Bytes) -> Result<Handled, CloseReason> {
        Self::binary(self, data)
    }

    fn fill(&self, context: &Context<'_>, batch: &mut Batch) -> Option<CloseReason> {
        self.take(&mut self.state.lock(), context, batch)
    }

    fn await_client(&self, context: &Context<'_>) -> Option<CloseReason> {
        let mut state = self.state.lock();
        state.register_writer(context);
        state.closed.or_else(|| self.handler.await_client(context))
    }

    fn written(&self) {
        self.handler.written();
    }

    fn seen(&self) {}

    fn tick(&self) -> Result<Instant, CloseReason> {
        Self::tick(self)
    }

    fn shut_down(&self) {
        Self::shut_down(self);
    }

    fn end(&self, why: CloseReason) {
        self.close(why);
    }
}
