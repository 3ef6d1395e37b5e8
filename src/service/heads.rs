//! The number of the latest message of each chat, from the committer and from the store.
//! Does not know callers, and reads no store.
//!
//! The committer records a message here before it publishes it. So when a connection has subscribed
//! to a chat and then finds a number here, no later message has been published: the hub delivers
//! all of them. The condition is that of `user_cache.rs`.

use super::recent::{Recent, Stamp};
use crate::model::{ChatId, Seq};

/// The capacity, in bytes.
const BYTES: usize = 16 * 1024 * 1024;

/// The latest numbers.
pub(super) struct Heads(Recent<ChatId, Seq>);

impl Default for Heads {
    fn default() -> Self {
        Self(Recent::new(BYTES, |_, _| 0))
    }
}

impl Heads {
    /// The number of the chat's latest message, or the stamp before a read of it.
    pub(super) fn of(&self, chat: ChatId) -> Result<Seq, Stamp> {
        let (head, stamp) = self.0.look(&chat);
        head.ok_or(stamp)
    }

    /// The store was read since `stamp`, and had this head.
    pub(super) fn read(&self, chat: ChatId, head: Seq, stamp: Stamp) {
        self.0.keep(chat, head, stamp);
    }

    /// This message was stored and is about to be published.
    pub(super) fn stored(&self, chat: ChatId, seq: Seq) {
        self.0.raise(chat, seq);
    }

    /// The head of this chat in the store is unknown.
    pub(super) fn unknown(&self, chat: ChatId) {
        self.0.changed(&chat);
    }
}
