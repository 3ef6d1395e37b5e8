//! How much one reply to a `sync` holds.
//! Does not know what is in it.

use super::Seq;

/// How much one reply to [`Command::Sync`] holds. `has_more` is set if something did not fit.
///
/// [`Command::Sync`]: super::Command::Sync
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageBudget {
    /// The messages of one chat.
    pub of_chat: Seq,
    /// The messages of all chats.
    pub messages: Seq,
    /// Their texts, in bytes; one message fits in any case.
    pub bytes: usize,
}

impl PageBudget {
    /// The response to a request.
    pub const RESPONSE: Self = Self {
        of_chat: 1000,
        messages: 10_000,
        bytes: 1024 * 1024,
    };

    /// The replay at the start of a connection.
    pub const REPLAY: Self = Self {
        of_chat: 1000,
        messages: 1000,
        bytes: 1024 * 1024,
    };
}
