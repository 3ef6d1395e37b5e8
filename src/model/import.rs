//! What is moved in from elsewhere: users, events, chats, messages and read positions that exist already.
//! Does not know the format of a file.

use jiff::Timestamp;

use super::{
    Access, ChatId, ChatPk, ChatRef, Draft, Error, ErrorKind, EventDetails, EventPk,
    IdempotencyKey, MemberRole, MessageId, Policy, Profile, Sanction, Seq, UserId, UserPk, UserRef,
};

/// Something to move in. What is there already is found, and stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImportRecord {
    /// A user.
    User(Box<ImportedUser>),
    /// An event.
    Event(Box<ImportedEvent>),
    /// A chat.
    Chat(Box<ImportedChat>),
    /// A message.
    Message(Box<ImportedMessage>),
    /// A read position.
    Read(ImportedRead),
    /// The last numbers that were given out, from an export.
    Numbers(ImportedNumbers),
}

/// A user. It is found by its external id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedUser {
    /// The id in the host application.
    pub external_id: String,
    /// The id that polychat gave, from an export. Counts together with `pk`.
    pub id: Option<UserId>,
    /// The small integer.
    pub pk: Option<UserPk>,
    /// The fields that are set.
    pub profile: Profile,
    /// When the user was first seen; `None`: now.
    pub created_at: Option<Timestamp>,
    /// When the profile last changed; `None`: when the user was first seen. Counts together with `pk`.
    pub modified_at: Option<Timestamp>,
    /// Tokens that were issued earlier are not valid.
    pub revoked_before: Option<Timestamp>,
}

/// An event. It is found by its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedEvent {
    /// The small integer.
    pub pk: EventPk,
    /// The owner.
    pub owner: UserRef,
    /// Name, place and time.
    pub details: EventDetails,
    /// The key of the request that created it, from an export.
    pub key: Option<IdempotencyKey>,
    /// When it was created; `None`: now.
    pub created_at: Option<Timestamp>,
    /// When its details last changed; `None`: when it was created.
    pub modified_at: Option<Timestamp>,
}

/// A chat. It is found by its id, its name in the host application or its number: the first of these that it
/// has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedChat {
    /// The id that polychat gave, from an export.
    pub id: Option<ChatId>,
    /// The small integer.
    pub pk: Option<ChatPk>,
    /// The name in the host application.
    pub external_id: Option<String>,
    /// The name.
    pub name: Option<String>,
    /// The visibility; `None`: closed.
    pub policy: Option<Policy>,
    /// The owner.
    pub owner: Option<UserRef>,
    /// The number of a team in the host application.
    pub team: Option<i64>,
    /// Set for the chat of an event.
    pub of_event: Option<ImportedEventPart>,
    /// The members, in the order of joining.
    pub members: Vec<ImportedMember>,
    /// Whether a chat that is there already gets those of them that it lacks.
    pub add_members: bool,
    /// The bans, those that have ended as well.
    pub bans: Vec<(UserRef, Sanction)>,
    /// What is kept for users that are no members.
    pub kept: Vec<ImportedMember>,
    /// The key of the request that created it, from an export.
    pub key: Option<IdempotencyKey>,
    /// How many messages come with it at which the read positions of its members were taken; 0: unknown.
    pub head: Seq,
    /// When it was made; `None`: now.
    pub created_at: Option<Timestamp>,
    /// When its name or its members last changed; `None`: when it was made.
    pub modified_at: Option<Timestamp>,
    /// When something last happened; `None`: when it was made.
    pub active_at: Option<Timestamp>,
}

/// The additional state of an event's chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedEventPart {
    /// The event.
    pub event: EventPk,
    /// The guest.
    pub guest: UserRef,
    /// The guest's access to the event.
    pub access: Access,
}

/// A member of a chat, or a user with rights that are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedMember {
    /// The user.
    pub user: UserRef,
    /// The role.
    pub role: MemberRole,
    /// The mute.
    pub mute: Option<Sanction>,
    /// The read position.
    pub last_read: Seq,
}

/// A message. It is found by its original id, or by its number and its id if it was exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedMessage {
    /// The chat.
    pub chat: ChatRef,
    /// The id that polychat gave, and the number, from an export.
    pub exported: Option<(MessageId, Seq)>,
    /// The sender, who need not be a member.
    pub sender: UserRef,
    /// The content, with the original id.
    pub draft: Draft,
    /// When it was stored.
    pub created_at: Timestamp,
}

/// A read position of a member. It moves forward only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedRead {
    /// The chat.
    pub chat: ChatRef,
    /// The member.
    pub user: UserRef,
    /// Up to where it has read.
    pub up_to: ReadUpTo,
}

/// The last message that somebody has read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadUpTo {
    /// That of this number.
    Seq(Seq),
    /// That of this original id.
    Original(String),
    /// The latest one that is not later than this.
    At(Timestamp),
}

/// The last numbers that polychat gave out. Those of the store move up to them, never back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ImportedNumbers {
    /// Of users.
    pub users: UserPk,
    /// Of chats.
    pub chats: ChatPk,
    /// Of events.
    pub events: EventPk,
}

/// Why a record was not moved in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportRefusal {
    /// The kind of the error.
    pub kind: ErrorKind,
    /// The error, in a sentence that begins with the field.
    pub message: String,
}

impl From<Error> for ImportRefusal {
    fn from(error: Error) -> Self {
        let (kind, message) = (error.kind, error.message);
        Self { kind, message }
    }
}

/// Where a record is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Imported {
    /// Whether it was not there before.
    pub is_new: bool,
    /// The names that it has in polychat.
    pub names: ImportedNames,
}

/// The names of a record in polychat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportedNames {
    /// Of a user.
    User {
        /// The id.
        id: UserId,
        /// The small integer.
        pk: UserPk,
    },
    /// Of an event.
    Event {
        /// The small integer.
        pk: EventPk,
    },
    /// Of a chat.
    Chat {
        /// The id.
        id: ChatId,
        /// The small integer.
        pk: ChatPk,
        /// How many members were added to one that was there before.
        added: usize,
    },
    /// Of a message.
    Message {
        /// The chat.
        chat: ChatId,
        /// The chat's small integer.
        chat_pk: ChatPk,
        /// The id.
        id: MessageId,
        /// The number in its chat.
        seq: Seq,
    },
    /// A read position, or the last numbers: these have none.
    Nothing,
}
