//! What an outbox holds, and how much that is.
//! It refuses to know who waits for it.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::time::Instant;

use super::{Closed, Outlet};
use crate::gateway::dialect::Frame;
use crate::telemetry::Taken;

#[derive(Default)]
pub(super) struct State {
    pub(super) frames: VecDeque<(Purpose, Frame)>,
    pub(super) news: Load,
    pub(super) answers: Load,
    /// Whether the one who sends can do nothing before the client has read.
    pub(super) awaits_client: bool,
    pub(super) closed: Option<Closed>,
    /// The messages that were taken out and are not written yet.
    pub(super) taken: Option<Taken>,
    /// The short way to the client, if there is one.
    pub(super) outlet: Option<Arc<dyn Outlet>>,
    /// Whether the one who sends found nothing to take, and nothing was put in since: whatever
    /// it took before has been sent on.
    pub(super) resting: bool,
}

#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Load {
    pub(super) frames: usize,
    pub(super) bytes: usize,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose {
    News,
    /// News of a message that is durable since then.
    Message(Instant),
    Answer,
}

impl State {
    /// Hands the frame on past the queue, if it is its turn and it is taken.
    pub(super) fn pass(&self, purpose: Purpose, frame: &Frame) -> bool {
        let outlet = self.outlet.as_ref().filter(|_| self.resting);
        let Some(outlet) = outlet.filter(|outlet| outlet.offer(frame)) else {
            return false;
        };
        if let Purpose::Message(durable) = purpose {
            outlet.delivered(durable);
        }
        true
    }

    pub(super) fn load(&mut self, purpose: Purpose) -> &mut Load {
        match purpose {
            Purpose::News | Purpose::Message(_) => &mut self.news,
            Purpose::Answer => &mut self.answers,
        }
    }

    pub(super) fn close(&mut self, why: Closed) -> bool {
        let first = self.closed.is_none();
        if first || why == Closed::Gone {
            self.closed = Some(why);
        }
        if why != Closed::ShuttingDown {
            self.frames = VecDeque::new();
            (self.news, self.answers) = Default::default();
        }
        first
    }

    pub(super) fn bytes(&self) -> i64 {
        i64::try_from(self.news.bytes + self.answers.bytes).unwrap_or(i64::MAX)
    }

    pub(super) fn take(&mut self, durable: Instant) {
        let taken = self.taken.get_or_insert(Taken {
            oldest: durable,
            messages: 0,
        });
        taken.oldest = taken.oldest.min(durable);
        taken.messages += 1;
    }
}

impl Load {
    pub(super) fn add(&mut self, frame: &Frame) {
        self.frames += 1;
        self.bytes += frame.weight();
    }

    pub(super) fn remove(&mut self, frame: &Frame) {
        self.frames -= 1;
        self.bytes -= frame.weight();
    }
}

pub(super) fn weight(frame: &Frame) -> i64 {
    i64::try_from(frame.weight()).unwrap_or(i64::MAX)
}
