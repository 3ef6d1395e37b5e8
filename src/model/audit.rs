//! The audit log: acts on other users' rights, memberships and chats.
//! Does not know rights: `service::access` does.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{AuditId, ChatId, EventPk, UserId};

/// One act, as the audit log keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// Its id: the log is ordered by it.
    pub id: AuditId,
    /// When it was done.
    pub at: Timestamp,
    /// The acting user; `None`: the host application.
    pub actor: Option<UserId>,
    /// The act.
    pub act: AuditAct,
    /// The chat, if it concerns one; it may have been deleted since.
    pub chat: Option<ChatId>,
    /// The user concerned, if there is one.
    pub user: Option<UserId>,
    /// The particulars, by name: a role, an end.
    pub detail: Map<String, Value>,
}

impl AuditRecord {
    /// The same about this user, found or created by the act: the store knows which.
    #[must_use]
    pub fn of_user(&self, user: UserId, is_new: bool) -> Self {
        Self {
            act: if is_new {
                AuditAct::CreateUser
            } else {
                self.act
            },
            user: Some(user),
            ..self.clone()
        }
    }

    /// The same about this event, whose number the store has given.
    #[must_use]
    pub fn of_event(&self, event: EventPk) -> Self {
        let mut record = self.clone();
        record.detail.insert("event".to_owned(), event.into());
        record
    }
}

/// Some records of the audit log, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditPage {
    /// The records.
    pub records: Vec<AuditRecord>,
    /// After which record the next page begins, if there is one.
    pub next: Option<AuditId>,
}

/// An act that is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AuditAct {
    /// A member was added.
    AddMember,
    /// A member was removed.
    RemoveMember,
    /// A member was given a role.
    SetRole,
    /// A member was muted, or the mute was lifted.
    MuteUser,
    /// A user was banned, or the ban was lifted.
    BanUser,
    /// A chat's name or team was changed.
    ChangeChat,
    /// A chat was deleted.
    DeleteChat,
    /// The access of a guest to an event was granted or withdrawn.
    GrantAccess,
    /// The tokens of a user were revoked.
    RevokeTokens,
    /// An event was deleted.
    DeleteEvent,
    /// A user was created.
    CreateUser,
    /// The profile of a user was changed.
    ChangeUser,
    /// A token was made for a user.
    CreateToken,
    /// An event was created for its owner.
    CreateEvent,
    /// The details of an event were changed.
    ChangeEvent,
    /// The chat of an event was opened for a guest.
    OpenEventChat,
    /// Access to an event was applied for, for a guest.
    RequestAccess,
    /// The connections of a user were closed.
    Disconnect,
}

impl AuditAct {
    /// Every act.
    pub const ALL: [Self; 18] = [
        Self::AddMember,
        Self::RemoveMember,
        Self::SetRole,
        Self::MuteUser,
        Self::BanUser,
        Self::ChangeChat,
        Self::DeleteChat,
        Self::GrantAccess,
        Self::RevokeTokens,
        Self::DeleteEvent,
        Self::CreateUser,
        Self::ChangeUser,
        Self::CreateToken,
        Self::CreateEvent,
        Self::ChangeEvent,
        Self::OpenEventChat,
        Self::RequestAccess,
        Self::Disconnect,
    ];

    /// The act as responses and documents name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AddMember => "add-member",
            Self::RemoveMember => "remove-member",
            Self::SetRole => "set-role",
            Self::MuteUser => "mute-user",
            Self::BanUser => "ban-user",
            Self::ChangeChat => "change-chat",
            Self::DeleteChat => "delete-chat",
            Self::GrantAccess => "grant-access",
            Self::RevokeTokens => "revoke-tokens",
            Self::DeleteEvent => "delete-event",
            Self::CreateUser => "create-user",
            Self::ChangeUser => "change-user",
            Self::CreateToken => "create-token",
            Self::CreateEvent => "create-event",
            Self::ChangeEvent => "change-event",
            Self::OpenEventChat => "open-event-chat",
            Self::RequestAccess => "request-access",
            Self::Disconnect => "disconnect",
        }
    }

    /// The act of this name; `None`: there is none.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|act| act.name() == name)
    }
}

/// Which records of the audit log to list: those that match every given field.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// The chat.
    pub chat: Option<ChatId>,
    /// The user concerned.
    pub user: Option<UserId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acts_are_found_by_name() {
        for act in AuditAct::ALL {
            assert_eq!(AuditAct::of_name(act.name()), Some(act));
        }
        assert_eq!(AuditAct::of_name("SetRole"), None);
    }
}
