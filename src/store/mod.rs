//! The seam to the stores: traits per noun, summed into [`Store`], and [`connect`].
//! Does not know rights, notices, tokens and the time: all that arrives as values.
//!
//! The doc comment of each method is its contract; `contract/` tests every sentence of it on
//! every store.

mod error;
mod events;
mod instrumented;
pub mod lease;
mod mongodb;
mod open;
mod sanctions;
mod seen;
pub mod settling;
mod sqlite;
pub mod sweep;
mod times;
pub mod transfer;

#[cfg(test)]
mod contract;

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::model::{
    AuditRecord, Chat, ChatChange, ChatCursor, ChatId, ChatMark, ChatPage, ChatPk, Fingerprint,
    History, MemberLimits, MembersVersion, MessagePage, NewChat, NewUser, PendingMessage, Profile,
    Reads, Sent, Seq, User, UserId, UserPk, VisibleCursor, VisiblePage,
};

#[cfg(test)]
pub(crate) use self::mongodb::replica_set::Scratch;
pub use error::{Full, OpenError, StoreError};
pub use events::Events;
pub use instrumented::instrumented;
#[cfg(test)]
pub use instrumented::{Gate, gated};
#[cfg(any(test, fuzzing))]
pub use open::open;
pub use open::{back_up, connect, connect_or_look, is_missing, is_shared, kind, restore};
pub use sanctions::{Audit, BanOutcome, Sanctions};
pub use seen::{Content, InUse, Restored, Seen, Totals};

/// All that a store can do. Durable when it returns: a power cut afterwards loses nothing.
/// Unreadable data is `Corrupt`; in a list it is logged and left out.
///
/// A method that takes an [`AuditRecord`] stores it in the same step as the change, and only if
/// there is a change.
#[async_trait]
pub trait Store:
    Users
    + Chats
    + Members
    + Sanctions
    + Audit
    + Messages
    + Events
    + settling::Settling
    + sweep::Sweeping
    + transfer::Transfer
    + lease::Leasing
{
    /// Whether the schema is of the newest version: otherwise a migration changes what other processes rely on, and
    /// needs the lease alone.
    async fn is_current(&self) -> Result<bool, OpenError>;

    /// Brings the schema to the newest version: the caller has taken the lease, and nothing else
    /// was called before. Does nothing to a store of that version with all its indexes, or to one that it refuses.
    async fn migrate(&self, unfinished: transfer::Unfinished) -> Result<(), OpenError>;

    /// Checks one real read path and one real write path.
    async fn ping(&self) -> Result<(), StoreError>;

    /// The indexes that are missing.
    async fn missing_indexes(&self) -> Result<Vec<String>, StoreError>;

    /// How many records there are, without waiting for pending calls. Messages of deleted chats may be among them
    /// until they are removed.
    async fn totals(&self) -> Result<Totals, StoreError>;

    /// Finishes pending calls and closes. Later calls answer `Unavailable`.
    async fn close(&self) -> Result<(), StoreError>;

    /// The store in a few words for people, without a password.
    fn describe(&self) -> String;
}

/// Users.
#[async_trait]
pub trait Users: Send + Sync {
    /// The users of these external ids, in the order given: each created with its `pk`
    /// ([`NewPk`](crate::model::NewPk)) if there is none, with the profile taken over in either case, by one after the other. Atomic
    /// for each: of two calls at once with one external id, both answer the same user. The record of
    /// each is stored if the user is new or its profile changes. `PkTaken`: another user has the `pk` that was
    /// chosen for a new one. On an error SQLite has stored
    /// nothing; MongoDB may have stored some of them.
    async fn find_or_create_users(&self, users: Vec<NewUser>) -> Result<Vec<User>, StoreError>;

    /// The user of this external id; `None`: there is none.
    async fn user_by_external_id(&self, external_id: &str) -> Result<Option<User>, StoreError>;

    /// The user of this id; `None`: there is none.
    async fn user(&self, id: UserId) -> Result<Option<User>, StoreError>;

    /// The user with this `pk`; `None`: there is none.
    async fn user_by_pk(&self, pk: UserPk) -> Result<Option<User>, StoreError>;

    /// Takes over the given fields of the profile; `modified_at` moves to `at` only if that changes
    /// something. Returns the user afterwards; `None`: there is none.
    async fn update_user(
        &self,
        id: UserId,
        profile: Profile,
        at: Timestamp,
        audit: Option<AuditRecord>,
    ) -> Result<Option<User>, StoreError>;

    /// Moves the user's `revoked_before` to `before`, unless it is later; nothing else of the user
    /// changes. Returns whether it moved, and the user afterwards; `None`: there is none.
    async fn revoke_tokens(
        &self,
        id: UserId,
        before: Timestamp,
        audit: Option<AuditRecord>,
    ) -> Result<Option<(bool, User)>, StoreError>;

    /// At most `limit` users with a greater `pk` than `after`, by `pk`.
    async fn users_after(&self, after: UserPk, limit: usize) -> Result<Vec<User>, StoreError>;

    /// The users of these ids, in the order given; those that belong to none are left out.
    async fn users(&self, ids: &[UserId]) -> Result<Vec<Arc<User>>, StoreError>;

    /// Those of `ids` that belong to no user, in the order given.
    async fn unknown_users(&self, ids: &[UserId]) -> Result<Vec<UserId>, StoreError>;

    /// [`Users::find_or_create_users`] for one.
    #[cfg(any(test, fuzzing))]
    async fn find_or_create_user(&self, user: NewUser) -> Result<User, StoreError> {
        let found = self.find_or_create_users(vec![user]).await?.pop();
        found.ok_or_else(|| StoreError::Corrupt("no answer about a user".into()))
    }
}

/// Chats and their members.
#[async_trait]
pub trait Chats: Send + Sync {
    /// Creates a chat with its `pk` ([`NewPk`](crate::model::NewPk)), no messages, its members in the order given, and its
    /// records. Atomic: all or nothing. `Duplicate`: the id, the name of its key or its name in the host
    /// application is taken. `PkTaken`: another chat has the chosen `pk`, or a deleted one whose messages are not removed yet. `Corrupt`: a member is
    /// no user (call [`Users::unknown_users`] first). `Full`: a member or the owner would have more
    /// chats than `limits` allow, judged in the same step.
    async fn create_chat_within(
        &self,
        chat: NewChat,
        limits: MemberLimits,
    ) -> Result<Chat, StoreError>;

    /// [`Chats::create_chat_within`] without limits.
    #[cfg(any(test, fuzzing))]
    async fn create_chat(&self, chat: NewChat) -> Result<Chat, StoreError> {
        self.create_chat_within(chat, MemberLimits::NONE).await
    }

    /// The chat that was created with a key of this name, and the content of that key; `None`:
    /// there is none.
    async fn chat_by_key(&self, name: &str) -> Result<Option<(Chat, Fingerprint)>, StoreError>;

    /// The id of the chat of each of these names in the host application, in the order given.
    async fn chats_by_external_id(
        &self,
        names: &[Arc<str>],
    ) -> Result<Vec<Option<ChatId>>, StoreError>;

    /// The chat of this id; `None`: there is none.
    async fn chat(&self, id: ChatId) -> Result<Option<Chat>, StoreError>;

    /// The id of the chat with this `pk`; `None`: there is none.
    async fn chat_id(&self, pk: ChatPk) -> Result<Option<ChatId>, StoreError>;

    /// The id of the chat with each of these `pk`s, in the order given.
    async fn chat_ids(&self, pks: &[ChatPk]) -> Result<Vec<Option<ChatId>>, StoreError>;

    /// At most `limit` chats with a greater `pk` than `after`, by `pk`; fewer as in
    /// [`Chats::chats_of`].
    async fn chats_after(&self, after: ChatPk, limit: usize) -> Result<Vec<Chat>, StoreError>;

    /// At most `limit` chats that this user is a member of, then of the others that are open and have no
    /// ban of it that applies at `at`, each part with the greatest `pk` first, those after `before`
    /// in that order; fewer as in [`Chats::chats_of`].
    async fn visible_chats(
        &self,
        user: UserId,
        at: Timestamp,
        before: Option<VisibleCursor>,
        limit: usize,
    ) -> Result<VisiblePage, StoreError>;

    /// Changes a chat; its `modified_at` and `active_at` move to `at` unless they are later. That alone
    /// is not recorded. Another policy increments [`Chat::members_version`]. Returns the chat afterwards; `None`: there is none.
    async fn change_chat(
        &self,
        id: ChatId,
        change: ChatChange,
        at: Timestamp,
        audit: Option<AuditRecord>,
    ) -> Result<Option<Chat>, StoreError>;

    /// Deletes a chat with its members, bans, kept rights and messages: no query finds any of it afterwards; `false`:
    /// there was none. In one step, but for the messages, which [`sweep::Sweeping`] removes.
    async fn delete_chat(&self, id: ChatId, audit: Option<AuditRecord>)
    -> Result<bool, StoreError>;

    /// At most `limit` chats of this user, the most recently active first, those after
    /// `before` in that order. It may take fewer where the members add up to more than
    /// [`PAGE_MEMBERS`], but never none. A user that is in no chat, or none at all, has an
    /// empty page.
    async fn chats_of(
        &self,
        user: UserId,
        before: Option<ChatCursor>,
        limit: usize,
    ) -> Result<ChatPage, StoreError>;

    /// Every chat of this user, with the version of its members.
    async fn memberships_of(
        &self,
        user: UserId,
    ) -> Result<Vec<(ChatId, MembersVersion)>, StoreError>;

    /// The number of the latest message of this chat when each of these users became a member of it, in the order given; 0
    /// for one that became it before this was stored. `None`: it is no member.
    async fn joined_at(
        &self,
        chat: ChatId,
        users: &[UserId],
    ) -> Result<Vec<Option<Seq>>, StoreError>;

    /// The version of the members of this chat, not older than at the call; `None`: there is no such
    /// chat.
    async fn members_version(&self, chat: ChatId) -> Result<Option<MembersVersion>, StoreError>;

    /// What shows whether each of these chats has changed, not older than at the call, in the order given; `None`: there
    /// is no such chat.
    async fn marks(&self, chats: &[ChatId]) -> Result<Vec<Option<ChatMark>>, StoreError>;

    /// Those of `users` that are members or owners of so many chats at least, in the order given. One
    /// that does not exist has none.
    async fn users_in_many_chats(
        &self,
        users: &[UserId],
        chats: usize,
    ) -> Result<Vec<UserId>, StoreError>;

    /// The number of the latest message of each of these chats, in the order given; 0 without
    /// one, and for a chat that does not exist.
    async fn heads(&self, chats: &[ChatId]) -> Result<Vec<Seq>, StoreError>;
}

/// Memberships and read positions. Each change of the members of a chat increments
/// [`Chat::members_version`] in the same step; beside it only [`Sanctions`] does.
#[async_trait]
pub trait Members: Send + Sync {
    /// Makes the user the last of the chat's members, unless it is one already, and moves its
    /// read position to `read` if that is further on, but never past the latest message. A new
    /// member has the role and the mute that were kept for it ([`Sanctions`]), else `Member` and
    /// none. With a new member the chat's `modified_at` and `active_at` move as in
    /// [`Chats::change_chat`]. Atomic. Returns whether the member is new, and the chat
    /// afterwards; `None`: there is no such chat. `Corrupt`: there is no such user. `Full`: with a new
    /// member the chat would have more members, or the user more chats, than `limits` allow, judged
    /// in the same step. The owner of the chat has it already.
    async fn add_member_within(
        &self,
        chat: ChatId,
        user: UserId,
        read: Seq,
        at: Timestamp,
        limits: MemberLimits,
        audit: Option<AuditRecord>,
    ) -> Result<Option<(bool, Chat)>, StoreError>;

    /// [`Members::add_member_within`] without limits.
    #[cfg(any(test, fuzzing))]
    async fn add_member(
        &self,
        chat: ChatId,
        user: UserId,
        read: Seq,
        at: Timestamp,
        audit: Option<AuditRecord>,
    ) -> Result<Option<(bool, Chat)>, StoreError> {
        let none = MemberLimits::NONE;
        self.add_member_within(chat, user, read, at, none, audit)
            .await
    }

    /// Ends a membership; the times move as with a new one. Returns whether there was one,
    /// and the chat afterwards; `None`: there is no such chat.
    async fn remove_member(
        &self,
        chat: ChatId,
        user: UserId,
        at: Timestamp,
        audit: Option<AuditRecord>,
    ) -> Result<Option<(bool, Chat)>, StoreError>;

    /// Moves a member's read position to `read` if that is further on, but never past the
    /// latest message. Returns whether it moved; `None`: no such chat, or no member of it.
    async fn advance_read(
        &self,
        chat: ChatId,
        user: UserId,
        read: Seq,
    ) -> Result<Option<bool>, StoreError>;

    /// The read position of each member. A position never moves backwards, except that a member
    /// that leaves and rejoins begins anew. A chat that does not exist has no positions.
    async fn reads(&self, chat: ChatId) -> Result<Reads, StoreError>;
}

/// Messages.
#[async_trait]
pub trait Messages: Send + Sync {
    /// Numbers, deduplicates and stores a batch, in the order given. Each message is atomic;
    /// another node's may stand between those of a batch.
    ///
    /// - Each message gets the next `seq` of its chat, without a gap.
    /// - `created_at` is the entry's time, or the predecessor's where that is later.
    /// - An entry whose sender has stored its `client_id` in that chat before, in this batch
    ///   or earlier, stores nothing and answers the first message. So does one whose `original_id` that
    ///   chat has; any other with one keeps its time.
    /// - The chat's `active_at` moves to its latest message, its `modified_at` does not.
    /// - The sender's read position moves to its message, if it is a member.
    /// - A message in an event's chat carries that chat as it stands right after the message, or
    ///   later.
    /// - The answers stand in the order of the entries; `None`: there is no such chat, or it has a later
    ///   message than the entry with an `original_id` (the others are stored all the same).
    /// - Answered messages are durable. On an error SQLite has stored nothing of the batch, unless its
    ///   files were moved during the commit; MongoDB may have stored some of it, each entry at most once: so sending it again with the same
    ///   `client_id` is safe.
    async fn append(&self, batch: Vec<PendingMessage>) -> Result<Vec<Option<Sent>>, StoreError>;

    /// The requested part of a chat's history, oldest first; `has_more` is set if the range holds
    /// messages that were not taken. It may take fewer than the window allows where the texts add
    /// up to more than [`PAGE_BYTES`], but never none. In an event's chat each carries that chat as
    /// it stands now. A chat that does not exist has an empty history.
    async fn messages(&self, chat: ChatId, history: History) -> Result<MessagePage, StoreError>;
}

/// A page of history ends early once its texts are longer than this, in bytes: a response has to
/// fit into memory and into the outbox of the client.
pub const PAGE_BYTES: usize = 2 * 1024 * 1024;

/// A page of chats ends early once they have more members than this, for the same reason.
pub const PAGE_MEMBERS: usize = 200_000;
