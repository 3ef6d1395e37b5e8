//! The traits of roles, mutes and bans, and of the audit log.
//! Does not know which of them are allowed.

use async_trait::async_trait;
use jiff::Timestamp;

use super::StoreError;
use crate::model::{
    AuditFilter, AuditId, AuditRecord, Chat, ChatId, ChatRights, MemberRole, Sanction, UserId,
};

/// Roles, mutes and bans. Each change increments [`Chat::members_version`] in the same step, once;
/// a call that changes nothing does not. Ends are stored in whole milliseconds.
///
/// A mute and the role `Reader` outlive a membership, however it ends, and are part of the next one
/// from its first moment on: [`crate::model::MemberRights::kept`]. They are deleted with the chat.
#[async_trait]
pub trait Sanctions: Send + Sync {
    /// The rights in this chat, not older than at the call, all of one moment; `None`: there is no
    /// such chat. `Corrupt`: a ban cannot be read.
    async fn chat_rights(&self, chat: ChatId) -> Result<Option<ChatRights>, StoreError>;

    /// Whether there is such a chat, and it is open or has this user as a member. Takes the same queries
    /// in each case, so that its time does not tell a chat that is hidden from one that does not exist.
    async fn is_visible(&self, chat: ChatId, user: UserId) -> Result<bool, StoreError>;

    /// The same for each of these chats, in the order given, those of one chat of one moment. It may
    /// answer fewer where the members add up to more than [`super::PAGE_MEMBERS`], but never none.
    async fn rights_of(&self, chats: &[ChatId]) -> Result<Vec<Option<ChatRights>>, StoreError>;

    /// Sets the role of a user. For one that is no member only `Reader` is kept, until it becomes one:
    /// any other role is `Member` then. Returns whether anything has changed, and the chat afterwards;
    /// `None`: there is no such chat. `Corrupt`: there is no such user.
    async fn set_role(
        &self,
        chat: ChatId,
        user: UserId,
        role: MemberRole,
        audit: Option<AuditRecord>,
    ) -> Result<Option<(bool, Chat)>, StoreError>;

    /// Replaces the mute of a user, member or not; `None` lifts it, which is not recorded if the mute
    /// has ended at the time of the record. Returns whether it has changed,
    /// and the chat afterwards; `None`: there is no such chat. `Corrupt`: there is no such user.
    async fn set_mute(
        &self,
        chat: ChatId,
        user: UserId,
        mute: Option<Sanction>,
        audit: Option<AuditRecord>,
    ) -> Result<Option<(bool, Chat)>, StoreError>;

    /// Replaces the ban of a user, member or not; `None` lifts it, recorded as in [`Sanctions::set_mute`]. A ban ends a membership in the
    /// same step, and then the chat's times move to `at` as in [`super::Members::remove_member`]. It
    /// is deleted with the chat only. `None`: there is no such chat. `Corrupt`: there is no such
    /// user.
    async fn set_ban(
        &self,
        chat: ChatId,
        user: UserId,
        ban: Option<Sanction>,
        at: Timestamp,
        audit: Option<AuditRecord>,
    ) -> Result<Option<BanOutcome>, StoreError>;
}

/// The record of a mute or a ban that is set, or of one that is lifted: `None` if that applies no more.
pub(super) fn recorded(
    audit: Option<&AuditRecord>,
    lifted: Option<Sanction>,
) -> Option<&AuditRecord> {
    audit.filter(|record| lifted.is_none_or(|lifted| lifted.applies(record.at)))
}

/// The outcome of [`Sanctions::set_ban`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BanOutcome {
    /// Whether the ban has changed, or a membership has ended.
    pub changed: bool,
    /// Whether a membership has ended.
    pub removed: bool,
    /// The chat afterwards.
    pub chat: Chat,
}

/// The audit log. A record stays when its chat is deleted.
#[async_trait]
pub trait Audit: Send + Sync {
    /// At most `limit` records that match, with greater ids than `after` (`None`: from the first
    /// on), by id.
    async fn audit_records(
        &self,
        filter: AuditFilter,
        after: Option<AuditId>,
        limit: usize,
    ) -> Result<Vec<AuditRecord>, StoreError>;

    /// Stores the record of an act that changes nothing else in the store.
    async fn add_audit(&self, record: AuditRecord) -> Result<(), StoreError>;
}
