//! The progress of one chat on one connection: the delivered and answered messages, and the held
//! frames.
//! Does not know other chats, nor the callers.

use std::collections::VecDeque;

use tokio::time::Instant;

use crate::hub::{Outbox, OutboxLimits, Outgoing, Pressure};
use crate::model::Seq;
use crate::telemetry::CloseReason;

/// Which part of an outbox's limits may be held of one chat before it is under high pressure. A
/// portion of the relay comes on top of that.
const HIGH: usize = 8;

/// Which part of them may be held of all chats together. With more the order is given up.
const MOST: usize = 2;

/// The progress of one chat on a connection.
#[derive(Debug, Default)]
pub(super) struct ChatProgress {
    /// The latest message that was delivered.
    pub(super) delivered: Seq,
    /// The latest own message that was answered in its turn. Messages between the two are own.
    pub(super) answered: Seq,
    /// Own messages that were answered out of turn, before they were delivered.
    pub(super) early: Vec<Seq>,
    /// Whether the connection has left the chat, so that `delivered` may be out of date.
    pub(super) left: bool,
    /// An own message that was delivered and not answered yet: later frames are held.
    unanswered: Option<Seq>,
    held: VecDeque<HeldItem>,
    load: Load,
}

/// A held item.
#[derive(Debug)]
enum HeldItem {
    News(News),
    /// A further own message was delivered here.
    Own(Seq),
}

/// A frame to be delivered, and since when its message is durable.
pub(in crate::hub) type News = (Outgoing, Option<Instant>);

/// How much is held.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Load {
    frames: usize,
    bytes: usize,
}

impl Load {
    fn add(&mut self, frame: &Outgoing) {
        self.frames += 1;
        self.bytes += frame.weight();
    }

    fn remove(&mut self, frame: &Outgoing) {
        self.frames -= 1;
        self.bytes -= frame.weight();
    }

    const fn exceeds(self, limits: OutboxLimits, part: usize) -> bool {
        self.frames > limits.frames / part || self.bytes > limits.bytes / part
    }
}

impl ChatProgress {
    /// A chat of which everything up to this message was delivered.
    pub(super) fn after(delivered: Seq) -> Self {
        Self {
            delivered,
            ..Self::default()
        }
    }

    /// Whether anything is under way.
    pub(super) fn is_busy(&self) -> bool {
        let is_ahead = self.answered > self.delivered || !self.early.is_empty();
        self.unanswered.is_some() || (is_ahead && !self.left)
    }

    /// Whether so much is held that no more should be delivered.
    pub(super) fn is_crowded(&self, outbox: &Outbox) -> bool {
        self.load.exceeds(outbox.limits(), HIGH)
    }

    /// Whether this is an own message that was answered.
    pub(super) fn is_answered(&self, seq: Seq) -> bool {
        seq <= self.answered || self.early.contains(&seq)
    }

    /// Queues news, or holds it; `all` is the load of all chats.
    ///
    /// # Errors
    /// Why the outbox accepts nothing more.
    pub(super) fn put(
        &mut self,
        news: Vec<News>,
        all: &mut Load,
        outbox: &Outbox,
    ) -> Result<Pressure, CloseReason> {
        if self.unanswered.is_none() {
            return queue(news, outbox);
        }
        for (frame, durable) in news {
            all.add(&frame);
            self.load.add(&frame);
            self.held.push_back(HeldItem::News((frame, durable)));
        }
        if all.exceeds(outbox.limits(), MOST) {
            // Answers that come later find that their turn has come.
            while self.unanswered.is_some() {
                self.release(all, outbox);
            }
        }
        Ok(if self.is_crowded(outbox) {
            Pressure::High
        } else {
            Pressure::Normal
        })
    }

    /// An own message was delivered: later frames are held until it is answered.
    pub(super) fn await_answer(&mut self, seq: Seq) {
        if self.unanswered.is_none() {
            self.unanswered = Some(seq);
        } else {
            self.held.push_back(HeldItem::Own(seq));
        }
    }

    /// Queues an answer, and the frames held for it.
    pub(super) fn answer(
        &mut self,
        seq: Seq,
        frames: &mut Vec<Outgoing>,
        all: &mut Load,
        outbox: &Outbox,
    ) {
        // Answers come in order: an earlier message will not be answered any more.
        while self.unanswered.is_some_and(|own| own < seq) {
            self.release(all, outbox);
        }
        respond(frames, outbox);
        if self.unanswered == Some(seq) {
            self.release(all, outbox);
        }
    }

    /// Queues held frames, up to the next own message that was not answered.
    fn release(&mut self, all: &mut Load, outbox: &Outbox) {
        self.unanswered = None;
        while let Some(held) = self.held.pop_front() {
            match held {
                HeldItem::News((frame, durable)) => {
                    all.remove(&frame);
                    self.load.remove(&frame);
                    // A closed outbox is found by the next delivery.
                    let _ = queue([(frame, durable)], outbox);
                }
                HeldItem::Own(seq) if self.is_answered(seq) => {}
                HeldItem::Own(seq) => {
                    self.unanswered = Some(seq);
                    return;
                }
            }
        }
    }
}

/// Queues news.
///
/// # Errors
/// Why the outbox accepts nothing more.
pub(super) fn queue(
    news: impl IntoIterator<Item = News>,
    outbox: &Outbox,
) -> Result<Pressure, CloseReason> {
    let mut pressure = Ok(Pressure::Normal);
    for (frame, durable) in news {
        pressure = match durable {
            Some(durable) => outbox.deliver(frame, durable),
            None => outbox.push(frame),
        };
    }
    pressure
}

/// Queues responses. A connection that accepts no more is being closed, with a reason recorded.
pub(in crate::hub) fn respond(frames: &mut Vec<Outgoing>, outbox: &Outbox) {
    for frame in frames.drain(..) {
        let _ = outbox.respond(frame);
    }
}
