//! A message as a document, and the conversions between it and the model.
//! Does not query the database.

use std::sync::Arc;

use jiff::Timestamp;
use mongodb::bson::{DateTime, Uuid};
use serde::{Deserialize, Serialize};

use super::documents::{ChatSeq, Latest, MESSAGES};
use super::fields::{Readable, date, time};
use crate::model::{
    ChatId, ChatPk, Draft, EventChat, Fingerprint, Message, MessageId, Metadata, PendingMessage,
    Seq, User, UserId, weight,
};
use crate::store::StoreError;

/// A message.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct MessageDocument {
    #[serde(rename = "_id")]
    pub(super) chat_seq: ChatSeq,
    pub(super) id: Uuid,
    /// Stands for its chat and its original id, or for its chat, its sender and the sender's own name for it,
    /// so that a repetition meets the first one; absent if it has no such name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<Uuid>,
    pub(super) sender: Uuid,
    kind: String,
    text: String,
    photos: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    original_id: Option<String>,
    /// As JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metadata: Option<String>,
    /// Whether its sender marked it as read when sending it.
    read: bool,
    pub(super) created_at: DateTime,
    pub(super) modified_at: DateTime,
}

/// The fields of a document that no draft has.
struct OwnFields {
    id: MessageId,
    chat: ChatId,
    seq: Seq,
    sender: UserId,
    created_at: Timestamp,
    modified_at: Timestamp,
}

impl MessageDocument {
    fn new(own: &OwnFields, draft: Draft) -> Self {
        let client_id = draft.client_id.as_deref();
        let client_key = client_id.map(|name| key(own.chat, own.sender, name));
        let original_id = draft.original_id.as_deref();
        Self {
            chat_seq: ChatSeq {
                chat: own.chat.into(),
                seq: own.seq,
            },
            id: own.id.into(),
            key: original_id
                .map(|name| original_key(own.chat, name))
                .or(client_key),
            sender: own.sender.into(),
            kind: draft.kind,
            text: draft.text,
            photos: draft.photos,
            client_id: draft.client_id,
            original_id: draft.original_id,
            metadata: draft.metadata.map(|it| it.json().to_owned()),
            read: draft.sent_as_read,
            created_at: date(own.created_at),
            modified_at: date(own.modified_at),
        }
    }

    /// The chat that it stands in.
    pub(super) fn chat(&self) -> ChatId {
        self.chat_seq.chat.into()
    }

    /// Whether it was imported.
    pub(super) fn is_imported(&self) -> bool {
        self.original_id.is_some()
    }

    /// Its number and its time.
    pub(super) fn latest(&self) -> Latest {
        Latest {
            chat: self.chat(),
            seq: self.chat_seq.seq,
            created_at: self.created_at,
        }
    }

    /// See [`Message::weight`].
    pub(super) fn weight(&self) -> usize {
        weight(&self.text, &self.photos, self.metadata.as_deref())
    }

    /// The message, with those parts of it that other collections hold.
    pub(super) fn into_message(
        self,
        chat_pk: ChatPk,
        sender: Arc<User>,
        event_chat: Option<Arc<EventChat>>,
    ) -> Result<Message, StoreError> {
        let id = MessageId::from(self.id);
        let wrong = || StoreError::Corrupt(format!("the metadata of message {id} is no JSON"));
        let read = |json| Metadata::of_json(json).ok_or_else(wrong);
        let metadata = self.metadata.clone().map(read).transpose()?;
        Ok(Message {
            id,
            chat: self.chat(),
            chat_pk,
            seq: self.chat_seq.seq,
            sender,
            kind: self.kind,
            text: self.text,
            photos: self.photos,
            client_id: self.client_id,
            original_id: self.original_id,
            metadata,
            sent_as_read: self.read,
            event_chat,
            created_at: time(self.created_at)?,
            modified_at: time(self.modified_at)?,
        })
    }
}

impl From<PendingMessage> for MessageDocument {
    /// The seq is given later, and the time may move then.
    fn from(entry: PendingMessage) -> Self {
        let own = OwnFields {
            id: entry.id,
            chat: entry.chat,
            seq: 0,
            sender: entry.sender,
            created_at: entry.at,
            modified_at: entry.at,
        };
        Self::new(&own, entry.draft)
    }
}

impl From<Message> for MessageDocument {
    fn from(message: Message) -> Self {
        let own = OwnFields {
            id: message.id,
            chat: message.chat,
            seq: message.seq,
            sender: message.sender.id,
            created_at: message.created_at,
            modified_at: message.modified_at,
        };
        Self::new(&own, message.into_draft())
    }
}

impl Readable for MessageDocument {
    const COLLECTION: &'static str = MESSAGES;
    type Model = Self;

    fn model(self) -> Result<Self, StoreError> {
        Ok(self)
    }
}

/// Stands for a message that was imported under this id.
pub(super) fn original_key(chat: ChatId, original_id: &str) -> Uuid {
    let named = Fingerprint::of(&format!("{chat} original {original_id}"));
    Uuid::from_bytes(*named.as_bytes())
}

/// Stands for a message that its sender has given this name.
fn key(chat: ChatId, sender: UserId, client_id: &str) -> Uuid {
    let named = Fingerprint::of(&format!("{chat} {sender} {client_id}"));
    Uuid::from_bytes(*named.as_bytes())
}
