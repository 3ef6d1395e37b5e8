//! The heads of chats: the latest message of each, as far as this node knows, in one cache for
//! appends and reads; and the locks by which one append at a time works on a chat.
//!
//! A cached head is a hint, since other nodes append, too:
//! - An append assigns the `seq`s that follow it. If they are taken, the unique index on chat and
//!   `seq` rejects the insert, and the head is queried.
//! - A read verifies the heads of many chats with one query for the `seq` of each and the next one.
//!
//! Reads move a cached head forward. Backward they move it only once they have found its message
//! missing: otherwise a slow read would undo what an append has recorded meanwhile.
//! Does not query the database: that is in `latest`. Does not know whether a chat still exists: an
//! append checks that with every insert.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use moka::future::Cache;
use mongodb::bson::{DateTime, Uuid};
use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;

use super::documents::{FoundChat, Latest};
use crate::model::{ChatId, ChatPk, Seq};

/// How many heads are cached. One command verifies all of them: two keys of 55 bytes for each.
const CAPACITY: u64 = 50_000;

/// The `seq` of the latest message of each of some senders.
pub(super) type Own = Vec<(Uuid, Seq)>;

/// The messages of a batch in each chat: sender and `seq` of each, ascending.
pub(super) type Written = HashMap<ChatId, Vec<(Uuid, Seq)>>;

/// The heads of chats and the locks on them.
pub(super) struct Heads {
    cache: Cache<ChatId, CachedHead>,
    locks: Locks,
}

/// A cached head.
#[derive(Debug, Clone)]
struct CachedHead {
    /// The `seq` of the latest message, 0 without one.
    seq: Seq,
    /// When that was stored.
    latest_at: DateTime,
    /// Both never change; `None`: this chat has only been read.
    identity: Option<(ChatPk, Kind)>,
    /// The latest messages of the members at that head or later; `None`: unknown.
    own: Option<Arc<Own>>,
}

/// The head of a chat as an append needs it.
#[derive(Debug, Clone, Copy)]
pub(super) struct ChatHead {
    /// The `pk` of the chat.
    pub(super) pk: ChatPk,
    /// The kind of chat.
    pub(super) kind: Kind,
    /// The `seq` of its latest message, 0 without one.
    pub(super) seq: Seq,
    /// When that was stored.
    pub(super) latest_at: DateTime,
}

/// Whether a chat is an event's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Plain,
    Event,
}

/// The heads of the chats of one batch, locked until this is dropped; `None`: no such chat, or not
/// looked up yet.
#[derive(Default)]
pub(super) struct LockedHeads {
    heads: BTreeMap<ChatId, Option<ChatHead>>,
    locks: Vec<ChatLock>,
}

/// A lock per chat, in the table only while it is held or waited for.
#[derive(Clone, Default)]
struct Locks(Arc<Mutex<HashMap<ChatId, Arc<tokio::sync::Mutex<()>>>>>);

/// The lock on a chat, held or waited for.
struct ChatLock {
    locks: Locks,
    chat: ChatId,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Default for Heads {
    fn default() -> Self {
        Self {
            cache: Cache::new(CAPACITY),
            locks: Locks::default(),
        }
    }
}

impl Heads {
    /// Locks these chats, always in the same order, so that two batches cannot deadlock.
    pub(super) async fn lock(&self, chats: BTreeSet<ChatId>) -> LockedHeads {
        let mut locked = LockedHeads::default();
        for chat in chats {
            locked.locks.push(self.locks.lock(chat).await);
            let cached = self.cache.get(&chat).await;
            locked
                .heads
                .insert(chat, cached.and_then(|cached| cached.complete()));
        }
        locked
    }

    /// Records the latest message of a chat as a query returned it. A greater cached head stays,
    /// unless it is the one that is `disproved`.
    pub(super) async fn observe(
        &self,
        chat: ChatId,
        latest: Option<Latest>,
        disproved: Option<Seq>,
    ) {
        let cached = self.cache.get(&chat).await;
        let seq = latest.map_or(0, |latest| latest.seq);
        let keeps = |cached: &CachedHead| {
            cached.seq == seq || (cached.seq > seq && disproved != Some(cached.seq))
        };
        if cached.as_ref().is_some_and(keeps) {
            return;
        }
        let head = CachedHead {
            seq,
            latest_at: latest.map_or(DateTime::MIN, |latest| latest.created_at),
            identity: cached.and_then(|cached| cached.identity),
            own: None,
        };
        self.cache.insert(chat, head).await;
    }

    /// Records the latest message of each member, queried after the chat was found. Not if its
    /// latest message is none of theirs: then that is older.
    pub(super) async fn observe_own(&self, found: &FoundChat, own: Own) {
        let (id, seq) = (found.chat.id, found.chat.head);
        let latest = own.iter().map(|(_, seq)| *seq).max();
        let cached = self.cache.get(&id).await;
        let is_ahead = cached.as_ref().is_some_and(|cached| cached.seq > seq);
        if latest.unwrap_or(0) >= seq && !is_ahead {
            let head = CachedHead {
                seq,
                latest_at: found.latest_at,
                identity: cached.and_then(|cached| cached.identity),
                own: Some(Arc::new(own)),
            };
            self.cache.insert(id, head).await;
        }
    }

    /// The latest message of each member, of a chat whose head is `seq` now.
    pub(super) async fn own(&self, chat: ChatId, seq: Seq) -> Option<Arc<Own>> {
        let cached = self.cache.get(&chat).await;
        cached.filter(|cached| cached.seq == seq)?.own
    }

    /// Records the messages that a batch has stored, while its chats are locked.
    pub(super) async fn append(&self, locked: &LockedHeads, written: &Written) {
        for (chat, written) in written {
            let Some(head) = locked.get(*chat) else {
                continue;
            };
            let cached = self.cache.get(chat).await;
            if cached.as_ref().is_none_or(|cached| cached.seq <= head.seq) {
                let own = cached.and_then(|cached| cached.own_after(written, head.seq));
                self.put(*chat, *head, own).await;
            }
        }
    }

    /// Records the head of a locked chat as it was looked up, in place of whatever is cached.
    pub(super) async fn look_up(&self, chat: ChatId, head: ChatHead) {
        let own = self.own(chat, head.seq).await;
        self.put(chat, head, own).await;
    }

    /// The cached `seq` of each of these chats that has one.
    pub(super) async fn seqs(&self, chats: &[ChatId]) -> HashMap<ChatId, Seq> {
        let mut seqs = HashMap::with_capacity(chats.len());
        for chat in chats {
            if let Some(cached) = self.cache.get(chat).await {
                seqs.insert(*chat, cached.seq);
            }
        }
        seqs
    }

    /// Forgets a chat that is deleted.
    pub(super) async fn forget(&self, chat: ChatId) {
        self.cache.invalidate(&chat).await;
    }

    async fn put(&self, chat: ChatId, head: ChatHead, own: Option<Arc<Own>>) {
        let head = CachedHead {
            seq: head.seq,
            latest_at: head.latest_at,
            identity: Some((head.pk, head.kind)),
            own,
        };
        self.cache.insert(chat, head).await;
    }
}

impl CachedHead {
    /// The same for an append; `None`: the chat is to be looked up first.
    fn complete(&self) -> Option<ChatHead> {
        let (pk, kind) = self.identity?;
        Some(ChatHead {
            pk,
            kind,
            seq: self.seq,
            latest_at: self.latest_at,
        })
    }

    /// The latest message of each member once these messages are stored and the head is `head`;
    /// `None`: unknown, since there are other messages before, between or after them.
    fn own_after(self, written: &[(Uuid, Seq)], head: Seq) -> Option<Arc<Own>> {
        let mut own = self.own?;
        let mut expected = self.seq;
        let latest = Arc::make_mut(&mut own);
        for (sender, seq) in written {
            expected += 1;
            if *seq != expected {
                return None;
            }
            match latest.iter_mut().find(|(member, _)| member == sender) {
                Some((_, latest)) => *latest = (*latest).max(*seq),
                None => latest.push((*sender, *seq)),
            }
        }
        (expected == head).then_some(own)
    }
}

impl LockedHeads {
    /// The head of a chat that exists.
    pub(super) fn get(&self, chat: ChatId) -> Option<&ChatHead> {
        self.heads.get(&chat)?.as_ref()
    }

    /// The same, to be changed.
    pub(super) fn get_mut(&mut self, chat: ChatId) -> Option<&mut ChatHead> {
        self.heads.get_mut(&chat)?.as_mut()
    }

    /// Moves the head of a chat to this message unless it is further on: since `seq`s have no
    /// gaps, the head is at least there.
    pub(super) fn advance(&mut self, latest: Latest) {
        let head = self.get_mut(latest.chat);
        if let Some(head) = head.filter(|head| head.seq < latest.seq) {
            head.seq = latest.seq;
            head.latest_at = latest.created_at;
        }
    }

    /// The chats that are not looked up yet.
    pub(super) fn unknown(&self) -> Vec<ChatId> {
        let heads = self.heads.iter().filter(|(_, head)| head.is_none());
        heads.map(|(chat, _)| *chat).collect()
    }

    /// Sets the head of a chat that exists.
    pub(super) fn set(&mut self, chat: ChatId, head: ChatHead) {
        self.heads.insert(chat, Some(head));
    }

    /// Those of the chats that exist.
    pub(super) fn iter(&self) -> impl Iterator<Item = (ChatId, &ChatHead)> {
        let heads = self.heads.iter();
        heads.filter_map(|(chat, head)| Some((*chat, head.as_ref()?)))
    }
}

impl Locks {
    async fn lock(&self, chat: ChatId) -> ChatLock {
        let lock = Arc::clone(self.0.lock().entry(chat).or_default());
        // Made before the wait, so that a cancelled one is removed from the table as well.
        let mut held = ChatLock {
            locks: self.clone(),
            chat,
            guard: None,
        };
        held.guard = Some(lock.lock_owned().await);
        held
    }
}

impl Drop for ChatLock {
    fn drop(&mut self) {
        let mut locks = self.locks.0.lock();
        self.guard = None;
        let unused = |lock: &Arc<_>| Arc::strong_count(lock) == 1;
        if locks.get(&self.chat).is_some_and(unused) {
            locks.remove(&self.chat);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;
    use tokio::time::timeout;

    use super::*;

    fn latest(chat: ChatId, seq: Seq) -> Option<Latest> {
        let created_at = DateTime::from_millis(seq);
        (seq > 0).then_some(Latest {
            chat,
            seq,
            created_at,
        })
    }

    async fn cached(heads: &Heads, chat: ChatId) -> Option<Seq> {
        heads.seqs(&[chat]).await.get(&chat).copied()
    }

    #[tokio::test]
    async fn a_slow_read_moves_no_head_back() {
        let (heads, chat) = (Heads::default(), ChatId::new(Timestamp::UNIX_EPOCH));
        let observed = [(0, 0), (3, 3), (2, 3), (0, 3), (7, 7)];
        for (seq, expected) in observed {
            heads.observe(chat, latest(chat, seq), None).await;
            assert_eq!(cached(&heads, chat).await, Some(expected));
        }
        // The cached value may have changed since another read disproved it.
        heads.observe(chat, latest(chat, 2), Some(6)).await;
        assert_eq!(cached(&heads, chat).await, Some(7));
        heads.observe(chat, latest(chat, 2), Some(7)).await;
        assert_eq!(cached(&heads, chat).await, Some(2));
        heads.observe(chat, None, Some(2)).await;
        assert_eq!(cached(&heads, chat).await, Some(0));
    }

    #[tokio::test]
    async fn a_lock_is_held_by_one_and_leaves_nothing_behind() {
        let (heads, chat) = (Heads::default(), ChatId::new(Timestamp::UNIX_EPOCH));
        let chats = || BTreeSet::from([chat]);
        let first = heads.lock(chats()).await;
        let second = timeout(Duration::from_millis(20), heads.lock(chats())).await;
        assert!(second.is_err(), "it waits, and is cancelled here");
        let (mut third, fourth) = (Box::pin(heads.lock(chats())), heads.lock(chats()));
        assert!(futures_util::poll!(&mut third).is_pending());
        drop(first);
        drop(third.await);
        drop(fourth.await);
        assert!(heads.locks.0.lock().is_empty());
    }
}
