//! What this node has for the others: notices that wait for the next batch, and what is owed because it could not
//! be sent.
//! Does not send, and never waits.

use std::collections::VecDeque;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::affected::Affected;
use crate::bus::BusError;
use crate::bus::wire::{Batch, Kind, RemoteNotice};
use crate::model::Notice;

/// How many notices may wait; what comes on top of them is owed.
const CAPACITY: usize = 4096;

/// How many bytes they may have.
const CAPACITY_BYTES: usize = 16 << 20;

/// The most notices of a batch.
const MOST: usize = 256;

/// The most bytes of a batch.
const MOST_BYTES: usize = 1 << 20;

/// Filled by publishers, emptied by the sender.
#[derive(Default)]
pub(super) struct Outbox {
    state: Mutex<State>,
    /// For the sender.
    changed: Notify,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<RemoteNotice>,
    bytes: usize,
    /// What to say first.
    owed: Affected,
    /// How many debts the batch that is under way names; `None`: everything.
    said: Option<usize>,
    /// How many notices were sent.
    published: u64,
    others: Others,
    /// A batch is to be sent even if it is empty.
    beat: bool,
    closed: bool,
}

/// Whether there are other nodes.
#[derive(Default, Clone, Copy)]
enum Others {
    #[default]
    Present,
    /// Nothing is queued.
    Absent,
    /// The same, and there was something to queue.
    Owed,
}

impl Outbox {
    /// An empty one.
    pub(super) fn new() -> Self {
        let outbox = Self::default();
        outbox.state.lock().said = Some(0);
        outbox
    }

    /// Queues notices; what does not fit is owed.
    ///
    /// # Errors
    /// It is closed.
    pub(super) fn push(&self, notices: &[Notice]) -> Result<(), BusError> {
        {
            let mut state = self.state.lock();
            if state.closed {
                return Err(BusError::Closed);
            }
            if !matches!(state.others, Others::Present) {
                if !notices.is_empty() {
                    state.others = Others::Owed;
                }
                return Ok(());
            }
        }
        let encoded: Vec<_> = notices.iter().map(RemoteNotice::of).collect();
        let mut state = self.state.lock();
        if state.closed {
            return Err(BusError::Closed);
        }
        for notice in encoded {
            state.queue(notice);
        }
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// Whether nothing is queued, since there is no other node.
    pub(super) fn is_alone(&self) -> bool {
        !matches!(self.state.lock().others, Others::Present)
    }

    /// Whether there is no other node. As soon as there is one, everything is owed that was not queued meanwhile:
    /// the other may have read the store before.
    pub(super) fn set_alone(&self, alone: bool) {
        let mut state = self.state.lock();
        let before = state.others;
        state.others = match (alone, before) {
            (true, Others::Owed) => Others::Owed,
            (true, _) => Others::Absent,
            (false, _) => Others::Present,
        };
        if !alone && matches!(before, Others::Owed) {
            state.owed.add_everything();
            drop(state);
            self.changed.notify_one();
        }
    }

    /// Makes the next batch due, even if it is empty.
    pub(super) fn beat(&self) {
        self.state.lock().beat = true;
        self.changed.notify_one();
    }

    /// Takes nothing more.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.changed.notify_one();
    }

    /// Returns once a batch is due, at `beat` at the latest. For the sender only.
    pub(super) async fn due(&self, beat: Instant) {
        while !self.is_due() {
            tokio::select! {
                () = self.changed.notified() => {}
                () = sleep_until(beat) => return,
            }
        }
    }

    fn is_due(&self) -> bool {
        let state = self.state.lock();
        state.beat || !state.is_empty()
    }

    /// Whether nothing waits and nothing is owed.
    pub(super) fn is_empty(&self) -> bool {
        self.state.lock().is_empty()
    }

    /// The notices of the next batch, what is owed first. [`Outbox::sent`] or [`Outbox::failed`] follows.
    pub(super) fn take(&self) -> Vec<RemoteNotice> {
        let mut state = self.state.lock();
        state.beat = false;
        let owed = state.owed.take(MOST);
        state.said = (!owed.contains(&None)).then_some(owed.len());
        let mut batch: Vec<_> = owed.into_iter().map(RemoteNotice::owed).collect();
        let mut bytes = Batch::ENVELOPE + batch.iter().map(RemoteNotice::len).sum::<usize>();
        while batch.len() < MOST
            && let Some(next) = state.waiting.front()
            && (batch.is_empty() || bytes + next.len() <= MOST_BYTES)
        {
            bytes += next.len();
            state.bytes -= next.len();
            batch.extend(state.waiting.pop_front());
        }
        batch
    }

    /// The batch has been sent.
    pub(super) fn sent(&self, batch: &[RemoteNotice]) {
        let is_notice = |kind| !matches!(kind, Kind::Owed | Kind::Bye);
        let notices = batch.iter().filter(|notice| is_notice(notice.header.kind));
        let mut state = self.state.lock();
        state.said = Some(0);
        state.published += notices.count() as u64;
    }

    /// How many notices were sent.
    pub(super) fn published(&self) -> u64 {
        self.state.lock().published
    }

    /// The batch may not have been sent: what it was about is owed.
    pub(super) fn failed(&self, batch: &[RemoteNotice]) {
        let mut state = self.state.lock();
        state.said = Some(0);
        for notice in batch {
            state.owed.add(notice.header.chat);
        }
    }

    /// How many chats are owed; `None`: everything is.
    pub(super) fn owed(&self) -> Option<usize> {
        let state = self.state.lock();
        Some(state.owed.count()? + state.said?)
    }
}

impl State {
    fn queue(&mut self, notice: RemoteNotice) {
        let bytes = self.bytes + notice.len();
        if self.waiting.len() < CAPACITY && bytes <= CAPACITY_BYTES {
            self.bytes = bytes;
            self.waiting.push_back(notice);
        } else {
            self.owed.add(notice.header.chat);
        }
    }

    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.owed.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ChatId, Fact, UserId};

    fn chat(number: usize) -> ChatId {
        let number = u128::try_from(number).expect("small");
        ChatId::from_bytes(number.to_be_bytes())
    }

    fn notice(fact: Fact) -> Notice {
        Notice {
            origin: None,
            fact,
            durable: None,
        }
    }

    fn about(chats: impl IntoIterator<Item = usize>) -> Vec<Notice> {
        let facts = chats
            .into_iter()
            .map(|number| Fact::MembersUncertain(chat(number)));
        facts.map(notice).collect()
    }

    fn chats(batch: &[RemoteNotice], kind: Kind) -> Vec<ChatId> {
        let of_kind = batch.iter().filter(|notice| notice.header.kind == kind);
        of_kind.filter_map(|notice| notice.header.chat).collect()
    }

    #[test]
    fn a_batch_is_no_longer_than_allowed_and_keeps_the_order() {
        let outbox = Outbox::new();
        outbox.push(&about(0..=2 * MOST)).expect("open");
        let mut found = Vec::new();
        for length in [MOST, MOST, 1, 0] {
            let batch = outbox.take();
            assert_eq!(batch.len(), length);
            found.extend(chats(&batch, Kind::MembersUncertain));
        }
        assert_eq!(found, (0..=2 * MOST).map(chat).collect::<Vec<_>>());
    }

    #[test]
    fn what_does_not_fit_is_owed() {
        let outbox = Outbox::new();
        outbox.push(&about(0..CAPACITY)).expect("open");
        assert_eq!(outbox.owed(), Some(0));
        outbox.push(&about([1, CAPACITY])).expect("open");
        assert_eq!(outbox.owed(), Some(2));
        let batch = outbox.take();
        assert_eq!(outbox.owed(), Some(2), "it is not sent yet");
        let mut owed = chats(&batch[..2], Kind::Owed);
        owed.sort_unstable();
        assert_eq!(owed, [chat(1), chat(CAPACITY)]);
        assert_eq!(outbox.published(), 0);
        outbox.sent(&batch);
        assert_eq!(outbox.owed(), Some(0));
        let notices = u64::try_from(batch.len() - 2).expect("small");
        assert_eq!(outbox.published(), notices, "what is owed is no notice");
    }

    #[test]
    fn what_was_not_sent_is_owed() {
        let outbox = Outbox::new();
        outbox.push(&about([1, 2, 1])).expect("open");
        let batch = outbox.take();
        outbox.failed(&batch);
        assert_eq!(outbox.owed(), Some(2));
        let batch = outbox.take();
        outbox.failed(&batch);
        assert_eq!(outbox.owed(), Some(2));
        let user = UserId::from_bytes([1; 16]);
        outbox
            .push(&[notice(Fact::Disconnected(user))])
            .expect("open");
        let batch = outbox.take();
        outbox.failed(&batch);
        assert_eq!(outbox.owed(), None);
        let batch = outbox.take();
        assert_eq!((batch.len(), batch[0].header.kind), (1, Kind::Owed));
        assert_eq!(batch[0].header.chat, None);
    }

    #[test]
    fn what_is_not_queued_while_alone_is_owed_once_it_is_over() {
        let outbox = Outbox::new();
        outbox.set_alone(true);
        outbox.set_alone(false);
        assert_eq!(outbox.owed(), Some(0));
        outbox.set_alone(true);
        outbox.push(&about([1])).expect("open");
        outbox.set_alone(true);
        assert!(outbox.take().is_empty());
        outbox.set_alone(false);
        assert_eq!(outbox.owed(), None);
    }
}
