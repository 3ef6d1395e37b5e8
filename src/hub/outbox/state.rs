//! The contents of an outbox and their size.
//! Does not know the tasks that wait for frames.

use std::collections::VecDeque;
use std::task::{Context, Waker};

use tokio::time::Instant;

use super::drops_frames;
use super::totals::Totals;
use crate::hub::Outgoing;
use crate::telemetry::{CloseReason, Taken};

#[derive(Default)]
pub(super) struct State {
    pub(super) frames: VecDeque<(Purpose, Outgoing)>,
    pub(super) news: Load,
    pub(super) responses: Load,
    /// The bytes of the frames that were taken and are not written yet.
    pub(super) writing: usize,
    pub(super) totals: Totals,
    /// Wakes the writer.
    pub(super) writer: Option<Waker>,
    /// Whether the client has to read before the writer takes more.
    pub(super) awaits_client: bool,
    pub(super) closed: Option<CloseReason>,
    /// The messages that were taken and are not written yet.
    pub(super) taken: Option<Taken>,
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
    /// Has this waker woken when something changes that the writer waits for.
    pub(super) fn register(&mut self, context: &Context<'_>) {
        match &mut self.writer {
            Some(writer) => writer.clone_from(context.waker()),
            None => self.writer = Some(context.waker().clone()),
        }
    }

    /// Counts a frame that is queued.
    pub(super) fn add(&mut self, purpose: Purpose, frame: &Outgoing) {
        let load = self.load(purpose);
        load.frames += 1;
        load.bytes += frame.weight();
        self.totals.add(frame.weight());
    }

    /// Counts a frame as one that is being written.
    pub(super) fn remove(&mut self, purpose: Purpose, frame: &Outgoing) {
        let load = self.load(purpose);
        load.frames -= 1;
        load.bytes -= frame.weight();
        self.writing += frame.weight();
    }

    /// Counts the frames that were being written no longer.
    pub(super) fn wrote(&mut self) {
        self.totals.remove(std::mem::take(&mut self.writing));
    }

    fn load(&mut self, purpose: Purpose) -> &mut Load {
        match purpose {
            Purpose::News | Purpose::Message(_) => &mut self.news,
            Purpose::Response => &mut self.responses,
        }
    }

    /// Closes it. The first reason counts, except for a client that leaves while its frames are
    /// sent at shutdown. Returns whether it was open.
    pub(super) fn close(&mut self, why: CloseReason) -> bool {
        let first = self.closed.is_none();
        if first || self.closed == Some(CloseReason::ShuttingDown) {
            self.closed = Some(why);
        }
        if drops_frames(why) {
            self.totals.remove(self.bytes());
            self.frames = VecDeque::new();
            (self.news, self.responses, self.writing) = Default::default();
        }
        first
    }

    /// The bytes that wait or are being written.
    pub(super) fn bytes(&self) -> usize {
        self.news.bytes + self.responses.bytes + self.writing
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
