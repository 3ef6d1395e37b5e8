//! The number of the latest message of each chat, from the committer and from the store.
//! Does not know callers, and reads no store.
//!
//! The committer records a message here before it publishes it. So when a connection has subscribed
//! to a chat and then finds a number here, no later message has been published: the hub delivers
//! all of them. The condition is that of `user_cache.rs`.

use super::recent::{Recent, Stamp};
use super::trust::Trust;
use crate::model::{ChatId, Seq};

/// The capacity, in bytes.
const BYTES: usize = 16 * 1024 * 1024;

/// The latest numbers.
pub(super) struct Heads {
    heads: Recent<ChatId, Seq>,
    trust: Trust,
}

impl Heads {
    /// An empty cache.
    pub(super) fn with_trust(trust: Trust) -> Self {
        let heads = Recent::new(BYTES, |_, _| 0);
        Self { heads, trust }
    }

    /// The number of the chat's latest message, or the stamp before a read of it.
    pub(super) fn of(&self, chat: ChatId) -> Result<Seq, Stamp> {
        let (head, stamp) = self.heads.look(&chat);
        head.filter(|_| self.trust.holds()).ok_or(stamp)
    }

    /// The store was read since `stamp`, and had this head.
    pub(super) fn read(&self, chat: ChatId, head: Seq, stamp: Stamp) {
        self.heads.keep(chat, head, stamp);
    }

    /// This message was stored and is about to be published, or delivered here if another node has stored it.
    pub(super) fn stored(&self, chat: ChatId, seq: Seq) {
        self.heads.raise(chat, seq);
    }

    /// The head of this chat in the store is unknown.
    pub(super) fn unknown(&self, chat: ChatId) {
        self.heads.changed(&chat);
    }

    /// No head is known.
    pub(super) fn all_unknown(&self) {
        self.heads.forget_all();
    }
}
