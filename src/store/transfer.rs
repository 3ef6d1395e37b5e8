//! Export and import of a store, record by record, as `polychat copy`, `export` and `import` use it.
//! Does not interpret the records: hidden ones are transferred as well.

use async_trait::async_trait;
use jiff::Timestamp;

use super::{OpenError, Store, StoreError};
use crate::model::{
    Access, AuditId, AuditRecord, Ban, Chat, ChatId, ChatPk, Event, EventPk, IdempotencyKey,
    MemberRights, MemberRole, Message, MessageId, Sanction, Seq, User, UserId, UserPk,
};

/// Export and import of all records of a store. A whole store is copied with exclusive access to it.
///
/// Users are exported by [`super::Users::users_after`], messages by
/// [`super::Messages::messages`], the audit log by [`super::Audit::audit_records`]. Imported records keep their ids, `pk`s, `seq`s and times. They
/// are imported in the order given: after an error the first of them are stored, each as a whole,
/// and [`Transfer::greatest`] and [`Transfer::latest_audit`] cover those.
#[async_trait]
pub trait Transfer {
    /// Marks the store as one that holds a part of a copy: see [`Unfinished`].
    async fn begin_copy(&self) -> Result<(), StoreError>;

    /// Whether the store has this mark.
    async fn is_unfinished(&self) -> Result<bool, StoreError>;

    /// Removes the mark.
    async fn finish_copy(&self) -> Result<(), StoreError>;

    /// The greatest `pk`s of all records, chosen or not; 0: there is none.
    async fn greatest(&self) -> Result<Pks, StoreError>;

    /// The last `pk`s that were not chosen ([`NewPk::NextFrom`](crate::model::NewPk)), including those
    /// of deleted records; 0: there was none.
    async fn counters(&self) -> Result<Pks, StoreError>;

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

    /// Sets the counters. Imported records do not move them.
    async fn take_counters(&self, counters: Pks) -> Result<(), StoreError>;

    /// Imports users. `Duplicate`: one of them exists.
    async fn take_users(&self, users: Vec<User>) -> Result<(), StoreError>;

    /// Imports events whose owners exist. `Duplicate`: one of the events exists.
    async fn take_events(&self, events: Vec<EventRecord>) -> Result<(), StoreError>;

    /// Imports chats whose members, banned and other users and events exist, with read positions but without messages:
    /// `head` is 0 afterwards. The read positions are those at the given `head`: messages up to it that
    /// are appended do not move them. `Duplicate`: one of the chats exists.
    async fn take_chats(&self, chats: Vec<ChatRecord>) -> Result<(), StoreError>;

    /// Imports messages of one chat whose `seq`s continue the stored ones. Moves the chat's
    /// `head`, but neither its activity nor read positions. `Corrupt`: the `seq`s do not continue.
    async fn take_messages(&self, messages: Vec<Message>) -> Result<(), StoreError>;

    /// The number and the id of the message of each of these original ids in this chat, in the order given;
    /// `None`: there is none.
    async fn imported(
        &self,
        chat: ChatId,
        original_ids: Vec<String>,
    ) -> Result<Vec<Option<(Seq, MessageId)>>, StoreError>;

    /// The next free numbers of chats from this one on ([`NewPk::NextFrom`](crate::model::NewPk)). They count as
    /// given out, and are not given again.
    async fn next_chat_pks(&self, from: ChatPk, count: usize) -> Result<Vec<ChatPk>, StoreError>;

    /// The greatest id in the audit log; `None`: it is empty.
    async fn latest_audit(&self) -> Result<Option<AuditId>, StoreError>;

    /// Imports records of the audit log. `Duplicate`: one of them exists.
    async fn take_audit(&self, records: Vec<AuditRecord>) -> Result<(), StoreError>;
}

/// What [`Store::migrate`] does with a store into which a copy was begun and not finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfinished {
    /// It is refused: a part of the data is missing.
    Refused,
    /// It is migrated: the copy goes on.
    Allowed,
}

impl Unfinished {
    /// Checks a store that has the mark of an unfinished copy, or has not.
    pub(super) fn check(self, is_marked: bool) -> Result<(), OpenError> {
        if is_marked && self == Self::Refused {
            return Err(OpenError(
                "it holds a part of a copy that was not finished; finish it with `polychat copy \
                 --resume` from the same source, or delete it"
                    .into(),
            ));
        }
        Ok(())
    }
}

/// A `pk` of each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pks {
    /// Of a user.
    pub user: UserPk,
    /// Of a chat.
    pub chat: ChatPk,
    /// Of an event.
    pub event: EventPk,
}

/// An event with its idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRecord {
    /// The event.
    pub event: Event,
    /// The idempotency key of the request that created it.
    pub key: Option<IdempotencyKey>,
}

/// A chat with all of its stored state except messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatRecord {
    /// The chat.
    pub chat: Chat,
    /// When its latest message was stored; the Unix epoch without one.
    pub latest_at: Timestamp,
    /// The idempotency key of the request that created it.
    pub key: Option<IdempotencyKey>,
    /// Set for the chat of an event.
    pub of_event: Option<EventPart>,
    /// The members in the order of joining.
    pub members: Vec<MemberRecord>,
    /// The bans, by the user's id.
    pub bans: Vec<Ban>,
    /// What is kept for users that are no members ([`MemberRights::kept`]), by the user's id.
    pub kept: Vec<MemberRights>,
}

/// The additional state of an event's chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventPart {
    /// The guest.
    pub guest: UserId,
    /// The guest's access to the event.
    pub access: Access,
    /// Incremented by each change of `access`.
    pub access_version: i64,
}

/// A member of a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberRecord {
    /// The member.
    pub user: UserId,
    /// The position in the order of joining: ascending within a chat, with gaps where members left.
    pub place: i64,
    /// The member's read position.
    pub last_read: Seq,
    /// The member's role.
    pub role: MemberRole,
    /// The member's mute.
    pub mute: Option<Sanction>,
}

/// Whether no record was ever created in a store.
///
/// # Errors
/// Those of [`Transfer::greatest`] and [`Transfer::counters`].
pub async fn is_empty(store: &dyn Store) -> Result<bool, StoreError> {
    let none = Pks::default();
    Ok(store.greatest().await? == none && store.counters().await? == none)
}
