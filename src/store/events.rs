//! The trait of events, and of the chats between their owners and guests.
//! Does not know who may decide about an application.

use async_trait::async_trait;
use jiff::Timestamp;

use super::StoreError;
use crate::model::{
    Access, AuditRecord, ChatId, ChatPk, Event, EventChange, EventChat, EventPk, Fingerprint,
    MemberLimits, Message, NewEvent, NewEventChat, UserId,
};

/// Events, and the chats between their owners and guests.
#[async_trait]
pub trait Events: Send + Sync {
    /// Creates an event with its `pk` ([`NewPk`](crate::model::NewPk)). `Duplicate`: the name of its key is
    /// taken. `PkTaken`: another event has the chosen `pk`.
    /// `Corrupt`: the owner is no user.
    async fn create_event(&self, event: NewEvent) -> Result<Event, StoreError>;

    /// The event with this `pk`; `None`: there is none.
    async fn event(&self, pk: EventPk) -> Result<Option<Event>, StoreError>;

    /// The event that was created with a key of this name, and the content of that key;
    /// `None`: there is none.
    async fn event_by_key(&self, name: &str) -> Result<Option<(Event, Fingerprint)>, StoreError>;

    /// At most `limit` events with a greater `pk` than `after`, by `pk`: all, or one owner's.
    async fn events_after(
        &self,
        owner: Option<UserId>,
        after: EventPk,
        limit: usize,
    ) -> Result<Vec<Event>, StoreError>;

    /// Changes the details of an event; `modified_at` moves to `at` unless it is later. That alone is
    /// not recorded. Returns the event afterwards; `None`: there is none.
    async fn change_event(
        &self,
        pk: EventPk,
        change: EventChange,
        at: Timestamp,
        audit: Option<AuditRecord>,
    ) -> Result<Option<Event>, StoreError>;

    /// Deletes an event with its chats, their members and messages, in one step. Returns the
    /// chats; `None`: there was no such event.
    async fn delete_event(
        &self,
        pk: EventPk,
        audit: Option<AuditRecord>,
    ) -> Result<Option<Vec<(ChatId, ChatPk)>>, StoreError>;

    /// The chats of this event, by `pk`. An event that does not exist has none.
    async fn chats_of_event(&self, pk: EventPk) -> Result<Vec<(ChatId, ChatPk)>, StoreError>;

    /// The closed chat of this event's owner and this guest, made with its `pk` and both
    /// as members, in this order, if there is none yet; `Duplicate` and `PkTaken` as in
    /// [`super::Chats::create_chat_within`]. Atomic: of two calls at once one makes
    /// it and both answer it. Returns whether it is new; `None`: there is no such event.
    /// `Corrupt`: the guest is no user. `Full`: as in [`super::Chats::create_chat_within`], if it would be
    /// new. The guest must not be the owner.
    async fn open_event_chat_within(
        &self,
        chat: NewEventChat,
        limits: MemberLimits,
    ) -> Result<Option<(bool, EventChat)>, StoreError>;

    /// [`Events::open_event_chat_within`] without limits.
    #[cfg(any(test, fuzzing))]
    async fn open_event_chat(
        &self,
        chat: NewEventChat,
    ) -> Result<Option<(bool, EventChat)>, StoreError> {
        self.open_event_chat_within(chat, MemberLimits::NONE).await
    }

    /// Changes the access of an event's chat from one of `from` to `to`, and counts up its
    /// version; the chat's times move as in [`super::Chats::change_chat`]. With another access than
    /// those, or with `to` already, nothing changes. Returns whether it did, and the chat
    /// afterwards; `None`: there is no such chat, or it is no event's.
    async fn change_access(
        &self,
        chat: ChatId,
        from: &[Access],
        to: Access,
        at: Timestamp,
        audit: Option<AuditRecord>,
    ) -> Result<Option<(bool, EventChat)>, StoreError>;

    /// A chat as one of an event's; `None`: there is no such chat, or it is no event's.
    async fn event_chat(&self, chat: ChatId) -> Result<Option<EventChat>, StoreError>;

    /// At most `limit` of the event chats of which this user is a member, the most recently
    /// active first.
    async fn event_chats_of(
        &self,
        user: UserId,
        limit: usize,
    ) -> Result<Vec<EventChat>, StoreError>;

    /// At most `limit` messages of an event's chat that was looked up a moment ago: the latest
    /// of those that it had then, oldest first. Each carries the chat as it stood then, or later.
    /// Fewer come where [`super::Messages::messages`] would take fewer.
    async fn latest_in(&self, chat: &EventChat, limit: usize) -> Result<Vec<Message>, StoreError>;
}
