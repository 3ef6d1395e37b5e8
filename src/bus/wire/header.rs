//! The header of a notice: its kind, and what it is about. Nodes of every version read it.
//! Does not know bodies.

use mongodb::bson::raw::cstr;
use mongodb::bson::{RawArrayBuf, RawDocumentBuf};
use strum::{EnumIter, IntoEnumIterator as _};

use super::UnknownContent;
use super::fields::{Fields, uuid};
use crate::model::{ChatId, Fact, Seq, UserId};

/// What a notice of another node is about. Its form is frozen: `{k: kind, c: chat, u: [users], s: seq}`, each
/// field but the first one optional. Further fields, of a later version, are skipped.
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

impl Header {
    /// The header of a notice of this fact.
    pub(super) fn of(fact: &Fact) -> Self {
        let seq = match fact {
            Fact::MessageSent(message) => Some(message.seq),
            Fact::MemberJoined(membership) | Fact::MemberLeft(membership) => Some(membership.head),
            _ => None,
        };
        Self {
            kind: Kind::of_fact(fact),
            chat: fact.chat(),
            users: users_of(fact),
            seq,
        }
    }

    /// At most so many bytes are its encoded form, as an element of a batch.
    pub(super) fn most_bytes(&self) -> usize {
        const WITHOUT_USERS: usize = 80;
        const USER: usize = 26;
        WITHOUT_USERS + USER * self.users.as_ref().map_or(0, Vec::len)
    }

    /// The header as a document.
    pub(super) fn encode(&self) -> RawDocumentBuf {
        let Self {
            kind,
            chat,
            users,
            seq,
        } = self;
        let mut header = RawDocumentBuf::new();
        header.append(cstr!("k"), i64::from(kind.number()));
        if let Some(chat) = chat {
            header.append(cstr!("c"), uuid(chat.as_bytes()));
        }
        if let Some(users) = users.as_deref().and_then(few) {
            let users: RawArrayBuf = users.iter().map(|user| uuid(user.as_bytes())).collect();
            header.append(cstr!("u"), &users);
        }
        if let Some(seq) = *seq {
            header.append(cstr!("s"), seq);
        }
        if cfg!(next_wire) {
            header.append(cstr!("z"), true);
        }
        header
    }

    /// The header in a document.
    pub(super) fn decode(header: Fields<'_>) -> Result<Self, UnknownContent> {
        let users: Option<Vec<_>> = header.find("u")?;
        Ok(Self {
            kind: Kind::of(header.get("k")?),
            chat: header.find("c")?,
            users: users.filter(|users| few(users).is_some()),
            seq: header.find("s")?,
        })
    }
}

/// The users that a header names; `None`: there are none, or too many.
fn few(users: &[UserId]) -> Option<&[UserId]> {
    (1..=MOST_USERS).contains(&users.len()).then_some(users)
}

/// See [`Header::users`].
fn users_of(fact: &Fact) -> Option<Vec<UserId>> {
    match fact {
        Fact::ChatCreated(chat) | Fact::MembersConfirmed(chat) => {
            few(&chat.members).map(<[_]>::to_vec)
        }
        Fact::MemberJoined(membership) | Fact::MemberLeft(membership) => {
            Some(vec![membership.user.id])
        }
        Fact::EventChatOpened(chat) | Fact::AccessChanged(chat) | Fact::ReadMoved(chat) => {
            Some(vec![chat.event.owner.id, chat.guest.id])
        }
        Fact::RoleSet(change) => Some(vec![change.user.id]),
        Fact::Muted(change) | Fact::Banned(change) => Some(vec![change.user.id]),
        Fact::Disconnected(user)
        | Fact::TokensRevoked { user, .. }
        | Fact::UserChanged { user, .. } => Some(vec![*user]),
        Fact::MessageSent(_)
        | Fact::MembersListed(_)
        | Fact::ChatChanged(_)
        | Fact::ChatDeleted { .. }
        | Fact::MembersUncertain(_)
        | Fact::CreationUncertain(_)
        | Fact::DeletionUncertain { .. } => None,
    }
}

/// The kind of a notice. The numbers are those on the wire and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter)]
pub enum Kind {
    /// See [`Fact::MessageSent`].
    MessageSent,
    /// See [`Fact::ChatCreated`].
    ChatCreated,
    /// See [`Fact::MemberJoined`].
    MemberJoined,
    /// See [`Fact::MemberLeft`].
    MemberLeft,
    /// See [`Fact::MembersListed`].
    MembersListed,
    /// See [`Fact::ChatChanged`].
    ChatChanged,
    /// See [`Fact::ChatDeleted`].
    ChatDeleted,
    /// See [`Fact::EventChatOpened`].
    EventChatOpened,
    /// See [`Fact::AccessChanged`].
    AccessChanged,
    /// See [`Fact::ReadMoved`].
    ReadMoved,
    /// See [`Fact::RoleSet`].
    RoleSet,
    /// See [`Fact::Muted`].
    Muted,
    /// See [`Fact::Banned`].
    Banned,
    /// See [`Fact::MembersConfirmed`].
    MembersConfirmed,
    /// See [`Fact::MembersUncertain`].
    MembersUncertain,
    /// See [`Fact::CreationUncertain`].
    CreationUncertain,
    /// See [`Fact::DeletionUncertain`].
    DeletionUncertain,
    /// See [`Fact::Disconnected`].
    Disconnected,
    /// See [`Fact::TokensRevoked`].
    TokensRevoked,
    /// See [`Fact::UserChanged`].
    UserChanged,
    /// Reserved for messages that were changed.
    MessageChanged,
    /// The other nodes may have missed something about the chat; without a chat, about any.
    Owed,
    /// The node has ended in order: nothing follows from it, and it is not expected any more.
    Bye,
    /// Reserved for users that are over their rate.
    Over,
    /// One of a later version.
    Unknown(u32),
}

impl Kind {
    /// Its number on the wire.
    pub const fn number(self) -> u32 {
        match self {
            Self::MessageSent => 1,
            Self::ChatCreated => 2,
            Self::MemberJoined => 3,
            Self::MemberLeft => 4,
            Self::MembersListed => 5,
            Self::ChatChanged => 6,
            Self::ChatDeleted => 7,
            Self::EventChatOpened => 8,
            Self::AccessChanged => 9,
            Self::ReadMoved => 10,
            Self::RoleSet => 11,
            Self::Muted => 12,
            Self::Banned => 13,
            Self::MembersConfirmed => 14,
            Self::MembersUncertain => 15,
            Self::CreationUncertain => 16,
            Self::DeletionUncertain => 17,
            Self::Disconnected => 18,
            Self::TokensRevoked => 19,
            Self::UserChanged => 20,
            Self::MessageChanged => 21,
            Self::Owed => 22,
            Self::Bye => 23,
            Self::Over => 24,
            Self::Unknown(number) => number,
        }
    }

    /// The kind of this number.
    pub fn of(number: u32) -> Self {
        let known = Self::iter().find(|kind| kind.number() == number);
        known.unwrap_or(Self::Unknown(number))
    }

    const fn of_fact(fact: &Fact) -> Self {
        match fact {
            Fact::MessageSent(_) => Self::MessageSent,
            Fact::ChatCreated(_) => Self::ChatCreated,
            Fact::MemberJoined(_) => Self::MemberJoined,
            Fact::MemberLeft(_) => Self::MemberLeft,
            Fact::MembersListed(_) => Self::MembersListed,
            Fact::ChatChanged(_) => Self::ChatChanged,
            Fact::ChatDeleted { .. } => Self::ChatDeleted,
            Fact::EventChatOpened(_) => Self::EventChatOpened,
            Fact::AccessChanged(_) => Self::AccessChanged,
            Fact::ReadMoved(_) => Self::ReadMoved,
            Fact::RoleSet(_) => Self::RoleSet,
            Fact::Muted(_) => Self::Muted,
            Fact::Banned(_) => Self::Banned,
            Fact::MembersConfirmed(_) => Self::MembersConfirmed,
            Fact::MembersUncertain(_) => Self::MembersUncertain,
            Fact::CreationUncertain(_) => Self::CreationUncertain,
            Fact::DeletionUncertain { .. } => Self::DeletionUncertain,
            Fact::Disconnected(_) => Self::Disconnected,
            Fact::TokensRevoked { .. } => Self::TokensRevoked,
            Fact::UserChanged { .. } => Self::UserChanged,
        }
    }
}
