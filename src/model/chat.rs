//! A chat and its members.
//! It refuses to know who may do what in it: that stands in `service::access`.

use jiff::Timestamp;

use super::{ChatId, ChatPk, Seq, UserId};

/// A conversation of its members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chat {
    /// The id that polychat gave.
    pub id: ChatId,
    /// The same as a small integer.
    pub pk: ChatPk,
    /// What its maker called it.
    pub name: Option<String>,
    /// Who may look at it and join.
    pub policy: Policy,
    /// Who takes part, in the order of joining.
    pub members: Vec<UserId>,
    /// The number of its latest message, 0 without one.
    pub head: Seq,
    /// When it was made.
    pub created_at: Timestamp,
    /// When the chat itself (its name, its members) last changed.
    pub modified_at: Timestamp,
    /// When something last happened in it, a message included.
    pub active_at: Timestamp,
}

/// Who may see a chat (PROTOCOL §1.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Its members only; to everybody else it does not exist.
    Closed,
    /// Any authenticated user may look at it and join.
    Open,
}

/// A chat to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewChat {
    /// The id to take.
    pub id: ChatId,
    /// What to call it.
    pub name: Option<String>,
    /// Who may see it.
    pub policy: Policy,
    /// Who takes part; no user twice.
    pub members: Vec<UserId>,
    /// Now.
    pub at: Timestamp,
}

/// The place after a chat in a list of chats that is ordered by activity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChatCursor {
    /// [`Chat::active_at`] of the last chat of the page before.
    pub active_at: Timestamp,
    /// [`Chat::pk`] of that chat.
    pub pk: ChatPk,
}

/// Some of a user's chats, the most recently active first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatPage {
    /// The chats.
    pub chats: Vec<Chat>,
    /// Where the next page begins, if there is one.
    pub next: Option<ChatCursor>,
}
