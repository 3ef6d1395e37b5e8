//! What nodes send each other: batches of notices, each with a header whose form never changes and a body with a
//! version, decoded only where somebody is concerned.
//! Does not know how a batch is carried.
#![cfg_attr(
    not(any(test, fuzzing)),
    expect(unused_imports, reason = "no relay reads remote notices yet")
)]

mod batch;
mod body;
mod fields;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod header;
mod members;
mod messages;
mod users;

#[cfg(test)]
mod tests;

use crate::model::{ChatId, Notice, Origin};

pub(super) use batch::Batch;
pub use body::{VERSION, VERSIONS};
pub use header::{Header, Kind, MOST_USERS};

/// A notice of another node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteNotice {
    /// What it is about.
    pub header: Header,
    body: Vec<u8>,
}

/// A decoded notice of another node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// All of it. Not [`Notice::durable`]: that is an instant of one process.
    Notice(Box<Notice>),
    /// The store has the rest.
    Hint(Hint),
}

/// A notice to be completed from the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// Its kind.
    pub kind: HintKind,
    /// The chat.
    pub chat: ChatId,
    /// Where the request came from; `None` also if that cannot be read.
    pub origin: Option<Origin>,
}

/// The kind of such a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HintKind {
    /// A message too large to be carried.
    MessageSent,
    /// See [`crate::model::Fact::ChatCreated`].
    ChatCreated,
    /// See [`crate::model::Fact::MembersListed`].
    MembersListed,
    /// See [`crate::model::Fact::ChatChanged`].
    ChatChanged,
    /// See [`crate::model::Fact::EventChatOpened`].
    EventChatOpened,
    /// See [`crate::model::Fact::AccessChanged`].
    AccessChanged,
    /// See [`crate::model::Fact::ReadMoved`].
    ReadMoved,
    /// See [`crate::model::Fact::MembersConfirmed`].
    MembersConfirmed,
    /// A kind, or a body, of a later version: anything about the chat may have changed.
    Unknown,
}

/// Why a batch or a body cannot be decoded: it is damaged, or of a later version and names no chat to look up.
#[derive(Debug, thiserror::Error)]
#[error("a notice of another node cannot be read: {0}")]
pub struct UnknownContent(String);
