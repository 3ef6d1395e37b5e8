//! A chat and its members.
//! Does not know rights: `service::access` does.

use std::sync::Arc;

use jiff::Timestamp;

use super::{
    AuditRecord, ChatId, ChatPk, EventPk, IdempotencyKey, MembersVersion, Message, NewPk, Seq,
    User, UserId, UserPk,
};

/// A conversation of its members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chat {
    /// The id that polychat gave.
    pub id: ChatId,
    /// The same as a small integer.
    pub pk: ChatPk,
    /// The name in the host application; unique.
    pub external_id: Option<String>,
    /// The name.
    pub name: Option<String>,
    /// Its visibility, and the right to join.
    pub policy: Policy,
    /// The owner.
    pub owner: Option<UserPk>,
    /// The number of a team in the host application.
    pub team: Option<i64>,
    /// The event, if it is an event's chat.
    pub event: Option<EventPk>,
    /// The members, in the order of joining.
    pub members: Vec<UserId>,
    /// The version of `members`, their roles and mutes, the bans, and `policy`.
    pub members_version: MembersVersion,
    /// The number of its latest message, 0 without one.
    pub head: Seq,
    /// When it was made.
    pub created_at: Timestamp,
    /// When the chat itself (its name, its members) last changed.
    pub modified_at: Timestamp,
    /// When something last happened in it, a message included.
    pub active_at: Timestamp,
}

/// What shows whether a chat has changed, but for its messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChatMark {
    /// See [`Chat::members_version`].
    pub members_version: MembersVersion,
    /// Whether it is an event's chat.
    pub of_event: bool,
    /// See [`Chat::modified_at`].
    pub modified_at: Timestamp,
}

/// The visibility of a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Its members only; to other users it does not exist.
    Closed,
    /// Any authenticated user may look at it and join.
    Open,
}

impl Policy {
    /// The name in a document.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
        }
    }
}

/// A chat to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewChat {
    /// The id to take.
    pub id: ChatId,
    /// The integer id to take.
    pub pk: NewPk,
    /// The name in the host application; unique.
    pub external_id: Option<String>,
    /// The name.
    pub name: Option<String>,
    /// Its visibility.
    pub policy: Policy,
    /// The owner.
    pub owner: Option<UserId>,
    /// The number of a team in the host application.
    pub team: Option<i64>,
    /// The members; no user twice.
    pub members: Vec<UserId>,
    /// The idempotency key.
    pub key: Option<IdempotencyKey>,
    /// Now.
    pub at: Timestamp,
    /// The records of the members that others placed there.
    pub audit: Vec<AuditRecord>,
}

/// What the host application may choose of a chat that is created.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChatChoice {
    /// Its small integer.
    pub pk: Option<ChatPk>,
    /// Its name there. A chat of that name is found rather than created.
    pub external_id: Option<String>,
    /// Its visibility; `None`: closed.
    pub policy: Option<Policy>,
}

/// The limits of an addition of members, or of the creation of a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberLimits {
    /// The members of one chat.
    pub members: usize,
    /// The chats of one user: those that it is a member of, or owns; `None`: any number.
    pub chats: Option<usize>,
    /// The user to whom `chats` does not apply.
    pub exempt: Option<UserId>,
}

impl MemberLimits {
    /// Without limits.
    pub const NONE: Self = Self {
        members: usize::MAX,
        chats: None,
        exempt: None,
    };

    /// The limit of chats that applies to this user.
    pub fn chats_of(&self, user: UserId) -> Option<usize> {
        self.chats.filter(|_| self.exempt != Some(user))
    }
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

/// The place after a chat in the list of the chats that a user may look at: those that it is a member
/// of, then the other open ones, each part with the newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VisibleCursor {
    /// Whether that chat is in the first part.
    pub own: bool,
    /// [`Chat::pk`] of that chat.
    pub pk: ChatPk,
}

/// Some of the chats that a user may look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VisiblePage {
    /// The chats.
    pub chats: Vec<Chat>,
    /// Where the next page begins, if there is one.
    pub next: Option<VisibleCursor>,
}

/// How a request names a chat.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ChatRef {
    /// By its id.
    Id(ChatId),
    /// By its small integer.
    Pk(ChatPk),
    /// By its name in the host application.
    External(Arc<str>),
    /// By that name, provided that it is an event's chat.
    ExternalOfEvent(Arc<str>),
    /// By its id, provided that it is an event's chat.
    OfEvent(ChatId),
}

impl ChatRef {
    /// The chat of the name that stands after `external:`; `None`: the text begins otherwise.
    pub fn external(text: &str) -> Option<Self> {
        text.strip_prefix("external:")
            .map(|name| Self::External(name.into()))
    }

    /// The same chat, provided that it is an event's.
    #[must_use]
    pub fn of_event(self) -> Self {
        match self {
            Self::Id(id) => Self::OfEvent(id),
            Self::External(name) => Self::ExternalOfEvent(name),
            other => other,
        }
    }
}

impl From<ChatId> for ChatRef {
    fn from(id: ChatId) -> Self {
        Self::Id(id)
    }
}

impl std::fmt::Display for ChatRef {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Id(id) | Self::OfEvent(id) => id.fmt(out),
            Self::Pk(pk) => pk.fmt(out),
            Self::External(name) | Self::ExternalOfEvent(name) => write!(out, "external:{name}"),
        }
    }
}

/// Some chats, by their integer ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatList {
    /// The chats.
    pub chats: Vec<Chat>,
    /// After which number the next page begins, if there is one.
    pub next: Option<ChatPk>,
}

/// A chat with its members, and as much of its latest history as was requested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// The chat.
    pub chat: Chat,
    /// The members, in the order of joining.
    pub members: Vec<Arc<User>>,
    /// The latest messages, oldest first.
    pub messages: Vec<Message>,
}

/// Some chats with their members, without messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomPage<Cursor> {
    /// The chats.
    pub rooms: Vec<Room>,
    /// Where the next page begins, if there is one.
    pub next: Option<Cursor>,
}

/// The changes of a chat; `None` leaves a field as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChatChange {
    /// The name.
    pub name: Option<String>,
    /// The team; `Some(None)` removes it.
    pub team: Option<Option<i64>>,
    /// The visibility.
    pub policy: Option<Policy>,
}

/// The outcome of a request to join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// Whether the user is a member only since then.
    pub fresh: bool,
    /// The chat afterwards.
    pub chat: Chat,
    /// The new member.
    pub user: Arc<User>,
}
