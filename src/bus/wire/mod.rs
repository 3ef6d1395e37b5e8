//! What nodes send each other: batches of notices, each with a header whose form never changes and a body with a
//! version, decoded only where somebody is concerned.
//! Does not know how a batch is carried.

use crate::model::{ChatId, Notice, Origin, Seq, UserId};

/// What a notice of another node is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Its kind.
    pub kind: Kind,
    /// The chat; `None`: it is about users only.
    pub chat: Option<ChatId>,
    /// The users whose membership, rights, profile or connections it is about, [`MOST_USERS`] at most; `None`: there
    /// are none, or more.
    pub users: Option<Vec<UserId>>,
    /// The number of the message, or of the latest one there was.
    pub seq: Option<Seq>,
}

/// How many users a header names at most.
pub const MOST_USERS: usize = 16;

/// The kind of a notice; the numbers are those on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    MessageSent,
    ChatCreated,
    MemberJoined,
    MemberLeft,
    MembersListed,
    ChatChanged,
    ChatDeleted,
    EventChatOpened,
    AccessChanged,
    ReadMoved,
    RoleSet,
    Muted,
    Banned,
    MembersConfirmed,
    MembersUncertain,
    CreationUncertain,
    DeletionUncertain,
    Disconnected,
    TokensRevoked,
    UserChanged,
    /// Reserved for messages that were changed.
    MessageChanged,
    /// The others may have missed something.
    Owed,
    /// The node has ended in order.
    Bye,
    /// Reserved for users over their rates.
    Over,
    /// One of a later version.
    Unknown(u32),
}

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
    /// All of it.
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
    /// Where the request came from.
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

/// Why a body cannot be decoded: it is damaged.
#[derive(Debug, thiserror::Error)]
#[error("a notice of another node cannot be read: {0}")]
pub struct UnknownContent(String);

impl RemoteNotice {
    /// TEMP
    pub fn content(&self) -> Result<Content, UnknownContent> {
        Err(UnknownContent(format!("{:?}", self.body)))
    }
}
