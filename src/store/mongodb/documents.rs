//! The documents of each collection as serde structs, and their conversion from and to the model.
//! Does not query the database.

use std::ops::RangeInclusive;

use mongodb::bson::{Bson, DateTime, Document, Uuid, doc};
use serde::{Deserialize, Serialize};

use super::fields::{AccessField, PolicyField, Readable, RoleField, date, time};
use super::sanction_documents::MuteDocument;
use crate::model::{
    Chat, ChatId, ChatPk, EventPk, Fingerprint, IdempotencyKey, MemberRights, MemberRole,
    MembersVersion, Seq, User, UserPk,
};
use crate::store::StoreError;

pub(super) const USERS: &str = "users";
pub(super) const CHATS: &str = "chats";
pub(super) const MEMBERS: &str = "members";
pub(super) const MESSAGES: &str = "messages";
pub(super) const EVENTS: &str = "events";
/// The last assigned `pk` of each noun.
pub(super) const COUNTERS: &str = "counters";
/// Deleted chats whose members, bans, kept rights and messages may still be there.
pub(super) const DELETED: &str = "deleted";
/// The lease on the database.
pub(super) const LEASES: &str = "leases";
/// The schema version.
pub(super) const SCHEMA: &str = "schema";

/// A user.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct UserDocument {
    #[serde(rename = "_id")]
    id: Uuid,
    pk: UserPk,
    external_id: String,
    username: String,
    name: String,
    avatar: String,
    github: String,
    image_uuid: Option<String>,
    created_at: DateTime,
    modified_at: DateTime,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revoked_before: Option<DateTime>,
}

impl From<User> for UserDocument {
    fn from(user: User) -> Self {
        Self {
            id: user.id.into(),
            pk: user.pk,
            external_id: user.external_id,
            username: user.username,
            name: user.name,
            avatar: user.avatar,
            github: user.github,
            image_uuid: user.image_uuid,
            created_at: date(user.created_at),
            modified_at: date(user.modified_at),
            revoked_before: user.revoked_before.map(date),
        }
    }
}

impl Readable for UserDocument {
    const COLLECTION: &'static str = USERS;
    type Model = User;

    fn model(self) -> Result<User, StoreError> {
        Ok(User {
            id: self.id.into(),
            pk: self.pk,
            external_id: self.external_id,
            username: self.username,
            name: self.name,
            avatar: self.avatar,
            github: self.github,
            image_uuid: self.image_uuid,
            created_at: time(self.created_at)?,
            modified_at: time(self.modified_at)?,
            revoked_before: self.revoked_before.map(time).transpose()?,
        })
    }
}

/// A chat, without its members.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ChatDocument {
    #[serde(rename = "_id")]
    pub(super) id: Uuid,
    pub(super) pk: ChatPk,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) external_id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) policy: PolicyField,
    pub(super) owner: Option<UserPk>,
    pub(super) team: Option<i64>,
    /// How many members have ever joined: the `place` of the next one.
    pub(super) places: i64,
    /// The version of the members; absent while it is 0 in a chat of an older polychat.
    #[serde(default)]
    pub(super) members_version: MembersVersion,
    pub(super) created_at: DateTime,
    pub(super) modified_at: DateTime,
    /// The latest activity other than messages.
    pub(super) active_at: DateTime,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<KeyDocument>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) event: Option<EventPartDocument>,
}

impl Readable for ChatDocument {
    const COLLECTION: &'static str = CHATS;
    type Model = FoundChat;

    fn model(self) -> Result<FoundChat, StoreError> {
        Ok(FoundChat {
            chat: Chat {
                id: self.id.into(),
                pk: self.pk,
                external_id: self.external_id,
                policy: self.policy.into(),
                owner: self.owner,
                team: self.team,
                event: self.event.as_ref().map(|event_chat| event_chat.pk),
                members: Vec::new(),
                members_version: self.members_version,
                head: 0,
                created_at: time(self.created_at)?,
                modified_at: time(self.modified_at)?,
                active_at: time(self.active_at)?,
                name: self.name,
            },
            places: self.places,
            latest_at: DateTime::MIN,
            key: self.key,
            event_chat: self.event,
        })
    }
}

/// A chat as it was found, without its members.
#[derive(Debug, Clone)]
pub(super) struct FoundChat {
    pub(super) chat: Chat,
    /// How many members have ever joined.
    pub(super) places: i64,
    /// When its latest message was stored.
    pub(super) latest_at: DateTime,
    pub(super) key: Option<KeyDocument>,
    /// Set for the chat of an event.
    pub(super) event_chat: Option<EventPartDocument>,
}

impl FoundChat {
    /// The same with its head and activity by its latest message.
    pub(super) fn with(mut self, latest: Option<Latest>) -> Result<Self, StoreError> {
        if let Some(latest) = latest {
            self.latest_at = latest.created_at;
            self.chat.head = latest.seq;
            self.chat.active_at = self.chat.active_at.max(time(latest.created_at)?);
        }
        Ok(self)
    }
}

/// The `_id` and the time of a message.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct LatestDocument {
    #[serde(rename = "_id")]
    chat_seq: ChatSeq,
    created_at: DateTime,
}

/// The `seq` and the time of a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Latest {
    pub(super) chat: ChatId,
    pub(super) seq: Seq,
    pub(super) created_at: DateTime,
}

impl LatestDocument {
    pub(super) fn latest(self) -> Latest {
        Latest {
            chat: self.chat_seq.chat.into(),
            seq: self.chat_seq.seq,
            created_at: self.created_at,
        }
    }
}

impl Readable for LatestDocument {
    const COLLECTION: &'static str = MESSAGES;
    type Model = Latest;

    fn model(self) -> Result<Latest, StoreError> {
        Ok(self.latest())
    }
}

/// The additional state of an event's chat.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct EventPartDocument {
    pub(super) pk: EventPk,
    pub(super) owner: Uuid,
    pub(super) guest: Uuid,
    pub(super) access: AccessField,
    pub(super) version: i64,
}

/// An idempotency key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct KeyDocument {
    pub(super) name: String,
    content: Uuid,
}

impl KeyDocument {
    pub(super) fn content(&self) -> Fingerprint {
        Fingerprint::from_bytes(self.content.bytes())
    }
}

impl From<KeyDocument> for IdempotencyKey {
    fn from(key: KeyDocument) -> Self {
        Self {
            content: key.content(),
            name: key.name,
        }
    }
}

impl From<IdempotencyKey> for KeyDocument {
    fn from(key: IdempotencyKey) -> Self {
        Self {
            name: key.name,
            content: Uuid::from_bytes(*key.content.as_bytes()),
        }
    }
}

/// A member of a chat.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct MemberDocument {
    pub(super) chat: Uuid,
    pub(super) user: Uuid,
    /// The order of joining.
    pub(super) place: i64,
    /// The head of the chat when the member joined. Own messages after it count as read by their
    /// sender; those of an earlier membership do not.
    pub(super) since: Seq,
    /// The stored read position.
    pub(super) last_read: Seq,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) role: Option<RoleField>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) mute: Option<MuteDocument>,
    /// The `seq` of the member's latest own message, which a query adds; never stored.
    #[serde(default, skip_serializing)]
    pub(super) own: Vec<OwnDocument>,
}

impl MemberDocument {
    /// The role and the mute.
    pub(super) fn rights(&self) -> Result<MemberRights, StoreError> {
        Ok(MemberRights {
            user: self.user.into(),
            role: self.role.map(MemberRole::from).unwrap_or_default(),
            mute: self.mute.map(MuteDocument::sanction).transpose()?,
        })
    }

    /// The read position: the stored one or its own latest message, whichever is greater.
    pub(super) fn position(&self) -> Seq {
        self.position_with(self.own.first().map_or(0, |own| own.seq))
    }

    /// The same, given the `seq` of its latest own message.
    pub(super) fn position_with(&self, own: Seq) -> Seq {
        if own > self.since {
            self.last_read.max(own)
        } else {
            self.last_read
        }
    }
}

impl Readable for MemberDocument {
    const COLLECTION: &'static str = MEMBERS;
    type Model = Self;

    fn model(self) -> Result<Self, StoreError> {
        Ok(self)
    }
}

/// The `seq` of a message.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct OwnDocument {
    pub(super) seq: Seq,
}

/// The `seq` of a sender's latest message in a chat, as an aggregation returns it.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct SenderDocument {
    #[serde(rename = "_id")]
    pub(super) sender: Uuid,
    pub(super) seq: Seq,
}

impl Readable for SenderDocument {
    const COLLECTION: &'static str = MESSAGES;
    type Model = Self;

    fn model(self) -> Result<Self, StoreError> {
        Ok(self)
    }
}

/// The `_id` of a message. Its unique index decides between nodes that append at once, and has the
/// messages of each chat in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ChatSeq {
    pub(super) chat: Uuid,
    pub(super) seq: Seq,
}

impl From<ChatSeq> for Bson {
    fn from(ChatSeq { chat, seq }: ChatSeq) -> Self {
        doc! { "chat": chat, "seq": seq }.into()
    }
}

/// Matches the messages of a chat whose `seq`s are in this range.
pub(super) fn with_seqs(chat: impl Into<Uuid>, seqs: RangeInclusive<Seq>) -> Document {
    let chat = chat.into();
    let id = |seq: &Seq| Bson::from(ChatSeq { chat, seq: *seq });
    doc! { "_id": { "$gte": id(seqs.start()), "$lte": id(seqs.end()) } }
}

/// Matches all messages of a chat.
pub(super) fn all_of(chat: impl Into<Uuid>) -> Document {
    with_seqs(chat, 0..=Seq::MAX)
}
