//! What other nodes have sent and this one has not read yet, and how much of what they did is known here.
//! Does not know the nodes.

use std::collections::VecDeque;
use std::mem;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::affected::Affected;
use crate::bus::News;
use crate::bus::wire::RemoteNotice;

/// How many notices may wait for the reader before the receiver waits, too.
const CAPACITY: usize = 4096;

/// Filled by the receiver, emptied by the reader.
#[derive(Default)]
pub(super) struct Inbox {
    state: Mutex<State>,
    /// For the reader: there is something.
    filled: Notify,
    /// For the receiver: something was read.
    read: Notify,
}

#[derive(Default)]
struct State {
    batches: VecDeque<Unread>,
    /// How many notices they have.
    count: usize,
    /// What may have been lost, all together, and how much was known here before.
    lost: Affected,
    lost_as_of: Option<Instant>,
    /// When the latest batch of this node was sent that has come back.
    own_sent: Option<Instant>,
}

struct Unread {
    notices: Vec<RemoteNotice>,
    /// What others had done until then was known here before.
    as_of: Option<Instant>,
}

impl Inbox {
    /// A batch of this node has come back: what others have sent before it has been received.
    pub(super) fn own_heard(&self, sent: Instant) {
        self.state.lock().own_sent = Some(sent);
    }

    /// When the latest batch of this node was sent that has come back.
    pub(super) fn own_sent(&self) -> Option<Instant> {
        self.state.lock().own_sent
    }

    /// The instant up to which everything that was received has been read.
    pub(super) fn known(&self) -> Option<Instant> {
        let state = self.state.lock();
        let mut known = state.own_sent;
        if let Some(unread) = state.batches.front() {
            known = known.min(unread.as_of);
        }
        if !state.lost.is_empty() {
            known = known.min(state.lost_as_of);
        }
        known
    }

    /// Queues a resync; those that wait become one.
    pub(super) fn resync(&self, affected: Affected) {
        if affected.is_empty() {
            return;
        }
        let mut state = self.state.lock();
        if state.lost.is_empty() {
            state.lost_as_of = state.own_sent;
        }
        state.lost.merge(affected);
        drop(state);
        self.filled.notify_one();
    }

    /// Queues the notices of a batch. Waits while the reader is behind, and returns whether it has waited.
    pub(super) async fn push(&self, notices: Vec<RemoteNotice>) -> bool {
        let mut waited = false;
        while self.state.lock().count >= CAPACITY {
            waited = true;
            self.read.notified().await;
        }
        let mut state = self.state.lock();
        state.count += notices.len();
        let as_of = state.own_sent;
        state.batches.push_back(Unread { notices, as_of });
        drop(state);
        self.filled.notify_one();
        waited
    }

    /// What is next, a resync first. At most `limit` notices, unless one batch has more.
    pub(super) async fn next(&self, limit: usize) -> News {
        loop {
            if let Some(news) = self.take(limit) {
                return news;
            }
            self.filled.notified().await;
        }
    }

    fn take(&self, limit: usize) -> Option<News> {
        let mut state = self.state.lock();
        if !state.lost.is_empty() {
            return Some(News::Resync(mem::take(&mut state.lost).into()));
        }
        let mut notices = state.batches.pop_front()?.notices;
        while let Some(next) = state.batches.front()
            && notices.len() + next.notices.len() <= limit
        {
            notices.extend(state.batches.pop_front()?.notices);
        }
        state.count -= notices.len();
        drop(state);
        self.read.notify_one();
        Some(News::Remote(notices))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt;

    use super::*;
    use crate::bus::Scope;
    use crate::model::ChatId;

    fn owed(count: usize) -> Vec<RemoteNotice> {
        vec![RemoteNotice::owed(None); count]
    }

    #[tokio::test]
    async fn what_is_unread_is_not_known() {
        let inbox = Inbox::default();
        let start = Instant::now();
        inbox.own_heard(start);
        assert_eq!(inbox.known(), Some(start));
        inbox.push(owed(1)).await;
        let later = start + Duration::from_secs(1);
        inbox.own_heard(later);
        inbox.push(owed(1)).await;
        assert_eq!(
            (inbox.known(), inbox.own_sent()),
            (Some(start), Some(later))
        );
        inbox.take(1).expect("a batch");
        assert_eq!(inbox.known(), Some(later));
        inbox.take(1).expect("a batch");
        let latest = later + Duration::from_secs(1);
        let mut everything = Affected::default();
        everything.add_everything();
        inbox.resync(everything);
        inbox.own_heard(latest);
        assert_eq!(inbox.known(), Some(later));
        inbox.take(1).expect("a resync");
        assert_eq!(inbox.known(), Some(latest));
    }

    #[tokio::test]
    async fn resyncs_are_merged_and_read_first() {
        let inbox = Inbox::default();
        inbox.push(owed(3)).await;
        inbox.push(owed(2)).await;
        let mut chats = [1, 2].map(|byte| ChatId::from_bytes([byte; 16]));
        for chat in chats {
            let mut affected = Affected::default();
            affected.add(Some(chat));
            inbox.resync(affected);
        }
        chats.sort_unstable();
        let Some(News::Resync(Scope::Chats(mut found))) = inbox.take(9) else {
            panic!("no resync");
        };
        found.sort_unstable();
        assert_eq!(found, chats);
        // A batch is not split, and several are put together up to the limit.
        assert!(matches!(inbox.take(2), Some(News::Remote(notices)) if notices.len() == 3));
        inbox.push(owed(2)).await;
        assert!(matches!(inbox.take(4), Some(News::Remote(notices)) if notices.len() == 4));
        assert!(inbox.take(4).is_none());
    }

    #[tokio::test]
    async fn the_receiver_waits_while_the_reader_is_behind() {
        let inbox = Inbox::default();
        assert!(!inbox.push(owed(CAPACITY)).await);
        let mut push = Box::pin(inbox.push(owed(1)));
        assert!(push.as_mut().now_or_never().is_none());
        inbox.take(1).expect("a batch");
        assert!(push.await);
    }
}
