//! The contents of an outbox and their size.
//! Does not know who waits for them.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::time::Instant;

use super::{Closed, DirectSink};
use crate::hub::Outgoing;
use crate::telemetry::Taken;

#[derive(Default)]
pub(super) struct State {
    pub(super) frames: VecDeque<(Purpose, Outgoing)>,
    pub(super) news: Load,
    pub(super) responses: Load,
    /// Whether the writer waits for the client to read.
    pub(super) awaits_client: bool,
    pub(super) closed: Option<Closed>,
    /// The messages that were taken and are not written yet.
    pub(super) taken: Option<Taken>,
    /// The direct way to the client's socket, if there is one.
    pub(super) direct: Option<Arc<dyn DirectSink>>,
    /// Whether the writer found nothing to take, and nothing was queued since: all that it took
    /// before has been sent.
    pub(super) idle: bool,
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
    Response,
}

impl State {
    /// Sends the frame past the queue, if nothing waits before it and the sink accepts it.
    pub(super) fn send_directly(&self, purpose: Purpose, frame: &Outgoing) -> bool {
        let direct = self.direct.as_ref().filter(|_| self.idle);
        let Some(direct) = direct.filter(|direct| direct.try_send(frame)) else {
            return false;
        };
        if let Purpose::Message(durable) = purpose {
            direct.delivered(durable);
        }
        true
    }

    pub(super) fn load(&mut self, purpose: Purpose) -> &mut Load {
        match purpose {
            Purpose::News | Purpose::Message(_) => &mut self.news,
            Purpose::Response => &mut self.responses,
        }
    }

    pub(super) fn close(&mut self, why: Closed) -> bool {
        let first = self.closed.is_none();
        if first || why == Closed::Gone {
            self.closed = Some(why);
        }
        if why != Closed::ShuttingDown {
            self.frames = VecDeque::new();
            (self.news, self.responses) = Default::default();
        }
        first
    }

    pub(super) fn bytes(&self) -> i64 {
        i64::try_from(self.news.bytes + self.responses.bytes).unwrap_or(i64::MAX)
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
    pub(super) fn add(&mut self, frame: &Outgoing) {
        self.frames += 1;
        self.bytes += frame.weight();
    }

    pub(super) fn remove(&mut self, frame: &Outgoing) {
        self.frames -= 1;
        self.bytes -= frame.weight();
    }
}

pub(super) fn weight(frame: &Outgoing) -> i64 {
    i64::try_from(frame.weight()).unwrap_or(i64::MAX)
}
