//! The part of the seam by which everything in one store is taken over into another.
//! It refuses to know what a chat means: it carries what is there, hidden or not.

use async_trait::async_trait;
use jiff::Timestamp;

use super::{Store, StoreError};
use crate::model::{
    Access, Chat, ChatPk, Event, EventPk, IdempotencyKey, Message, Seq, User, UserId, UserPk,
};

/// Everything that a store holds, record by record. Whoever copies has both stores for itself.
///
/// Users come and go by [`super::Users::users_after`], messages by
/// [`super::Messages::messages`]. What comes in keeps its ids, numbers and times. What is taken
/// over is taken in the order given: on an error the beginning of it stands, each part as a
/// whole, and [`Archive::greatest`] has moved along.
#[async_trait]
pub trait Archive {
    /// The greatest numbers that were ever given, also to what is deleted by now.
    async fn greatest(&self) -> Result<Greatest, StoreError>;

    /// At most `limit` events with a greater `pk` than `after`, by `pk`.
    async fn event_records(
        &self,
        after: EventPk,
        limit: usize,
    ) -> Result<Vec<EventRecord>, StoreError>;

    /// At most `limit` chats with a greater `pk` than `after`, by `pk`; fewer where the members
    /// add up to more than [`super::PAGE_MEMBERS`], but never none.
    async fn chat_records(
        &self,
        after: ChatPk,
        limit: usize,
    ) -> Result<Vec<ChatRecord>, StoreError>;

    /// From now on greater numbers than these are given.
    async fn take_greatest(&self, greatest: Greatest) -> Result<(), StoreError>;

    /// Takes over users. `Duplicate`: one of them is there.
    async fn take_users(&self, users: Vec<User>) -> Result<(), StoreError>;

    /// Takes over events whose owners are there. `Duplicate`: one of them is there.
    async fn take_events(&self, events: Vec<EventRecord>) -> Result<(), StoreError>;

    /// Takes over chats whose members and events are there, with read positions, but as if
    /// they had no messages: `head` is 0 afterwards. `Duplicate`: one of them is there.
    async fn take_chats(&self, chats: Vec<ChatRecord>) -> Result<(), StoreError>;

    /// Takes over messages of one chat that follow upon those that are there. The chat's `head`
    /// moves along, its activity and its read positions do not. `Corrupt`: they do not follow.
    async fn take_messages(&self, messages: Vec<Message>) -> Result<(), StoreError>;
}

/// The greatest numbers that were ever given; 0: none was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Greatest {
    /// To a user.
    pub user: UserPk,
    /// To a chat.
    pub chat: ChatPk,
    /// To an event.
    pub event: EventPk,
}

/// An event, and the key that it was created with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRecord {
    /// The event.
    pub event: Event,
    /// What makes a repeated request harmless.
    pub key: Option<IdempotencyKey>,
}

/// A chat with everything that stands behind it but its messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatRecord {
    /// The chat.
    pub chat: Chat,
    /// When its latest message was stored; the beginning of time without one.
    pub latest_at: Timestamp,
    /// What makes a repeated request harmless.
    pub key: Option<IdempotencyKey>,
    /// As one of an event's chats.
    pub of_event: Option<EventPart>,
    /// Who takes part, in the order of joining.
    pub members: Vec<MemberRecord>,
}

/// What an event's chat has beside others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventPart {
    /// Who writes to the owner.
    pub guest: UserId,
    /// Whether the guest may come.
    pub access: Access,
    /// How often that has changed.
    pub access_version: i64,
}

/// A member of a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberRecord {
    /// Who.
    pub user: UserId,
    /// The place in the order of joining: those of one chat grow, with holes where some left.
    pub place: i64,
    /// How far the member has read.
    pub last_read: Seq,
}

/// Whether a store holds nothing at all.
///
/// # Errors
/// As reading any of it.
pub async fn is_empty(store: &dyn Store) -> Result<bool, StoreError> {
    Ok(store.greatest().await? == Greatest::default())
}
