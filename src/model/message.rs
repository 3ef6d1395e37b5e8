//! A message, its draft, and the parts of a chat's history.
//! Does not know the wire format of a message.

use std::sync::Arc;

use jiff::Timestamp;

use super::{ChatId, ChatPk, EventChat, MessageId, Metadata, Origin, Seq, User, UserId, pair};

/// A stored message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The id that polychat gave.
    pub id: MessageId,
    /// The chat.
    pub chat: ChatId,
    /// The chat's small integer.
    pub chat_pk: ChatPk,
    /// Its seq.
    pub seq: Seq,
    /// Its sender, with the current profile.
    pub sender: Arc<User>,
    /// The kind of content of `text`; by default `text`.
    pub kind: String,
    /// The content, as it came.
    pub text: String,
    /// The ids of the pictures that go with it, in the host application.
    pub photos: Vec<String>,
    /// The id that its sender gave it, which makes a repetition harmless.
    pub client_id: Option<String>,
    /// The id that it had where it was imported from; unique in its chat.
    pub original_id: Option<String>,
    /// What the application attached to it.
    pub metadata: Option<Metadata>,
    /// Whether its sender marked it as read when sending it.
    pub sent_as_read: bool,
    /// The event's chat, with its state when the message was stored or later.
    pub event_chat: Option<Arc<EventChat>>,
    /// When it was stored; never before its predecessor's.
    pub created_at: Timestamp,
    /// When its content last changed.
    pub modified_at: Timestamp,
}

impl Message {
    /// Its draft.
    pub fn into_draft(self) -> Draft {
        Draft {
            kind: self.kind,
            text: self.text,
            photos: self.photos,
            client_id: self.client_id,
            original_id: self.original_id,
            metadata: self.metadata,
            sent_as_read: self.sent_as_read,
        }
    }

    /// The bytes of its content as JSON has it: the text, the ids of the photos and the metadata. This bounds the
    /// pages that a store reads and the portions that a client is sent. Every other field is small
    /// and limited; [`Message::kept_bytes`] counts those in.
    pub fn weight(&self) -> usize {
        let metadata = self.metadata.as_ref().map(Metadata::json);
        weight(&self.text, &self.photos, metadata)
    }

    /// About the bytes that it takes in memory. This bounds caches of messages.
    pub fn kept_bytes(&self) -> usize {
        const ENVELOPE: usize = 512;
        ENVELOPE + self.weight()
    }

    /// The most bytes that a dialect encodes it in, with the users and the ids. This bounds what is
    /// put into an outbox at once.
    pub fn most_encoded_bytes(&self) -> usize {
        const ENVELOPE: usize = 4096;
        ENVELOPE + self.weight()
    }
}

/// See [`Message::weight`]; for content that is no [`Message`] yet.
pub fn weight(text: &str, photos: &[String], metadata: Option<&str>) -> usize {
    let photos = photos.iter().map(|photo| json_bytes(photo));
    json_bytes(text) + photos.sum::<usize>() + metadata.map_or(0, str::len)
}

/// The bytes that this text takes in JSON, without its quotes.
fn json_bytes(text: &str) -> usize {
    let extra = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 1,
        0x00..=0x1f => 5,
        _ => 0,
    };
    text.len() + text.bytes().map(extra).sum::<usize>()
}

#[cfg(test)]
#[test]
fn content_is_as_long_as_its_json() {
    let every = (0..=0x100)
        .filter_map(char::from_u32)
        .chain("Я\u{1F600}\u{2028}".chars());
    for text in every
        .map(String::from)
        .chain([String::new(), "a\n\"b\"".to_owned()])
    {
        let json = serde_json::to_string(&text).expect("a text");
        assert_eq!(weight(&text, &[], Some("{}")), json.len(), "{json}");
    }
}

/// The fields of a message that its sender sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// See [`Message::kind`].
    pub kind: String,
    /// See [`Message::text`].
    pub text: String,
    /// See [`Message::photos`].
    pub photos: Vec<String>,
    /// See [`Message::client_id`].
    pub client_id: Option<String>,
    /// See [`Message::original_id`]. A draft that has one has no `client_id`.
    pub original_id: Option<String>,
    /// See [`Message::metadata`].
    pub metadata: Option<Metadata>,
    /// See [`Message::sent_as_read`].
    pub sent_as_read: bool,
}

impl Draft {
    /// A draft of the kind `text` in which every other field is at its default.
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            kind: "text".to_owned(),
            text: text.into(),
            photos: Vec::new(),
            client_id: None,
            original_id: None,
            metadata: None,
            sent_as_read: false,
        }
    }
}

/// A checked draft on its way into the store, which gives it its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingMessage {
    /// The id to take.
    pub id: MessageId,
    /// The chat.
    pub chat: ChatId,
    /// Its sender.
    pub sender: UserId,
    /// The connection that it was sent on.
    pub origin: Option<Origin>,
    /// The content.
    pub draft: Draft,
    /// Now; the store moves it forward where the predecessor is later.
    pub at: Timestamp,
}

/// The outcome of an [`PendingMessage`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// It is stored, and new.
    Stored(Arc<Message>),
    /// The same sender had stored this `client_id` in this chat before, or this `original_id` was imported into
    /// it: that message.
    Repeated(Arc<Message>),
}

impl Sent {
    /// The message that stands in the store, new or not.
    pub const fn message(&self) -> &Arc<Message> {
        match self {
            Self::Stored(message) | Self::Repeated(message) => message,
        }
    }
}

/// A part of a chat's history: the messages that pass every filter, as `window` picks them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct History {
    /// The messages to choose from.
    pub range: Range,
    /// Which of them to take.
    pub window: Window,
}

/// Bounds on messages; each is optional and all apply.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Range {
    /// Only messages with a greater seq.
    pub after: Option<Seq>,
    /// Only messages with a smaller seq.
    pub before: Option<Seq>,
    /// Only messages stored then or later.
    pub from: Option<Timestamp>,
    /// Only messages stored then or earlier.
    pub to: Option<Timestamp>,
}

/// Which end of a range to take, and how much at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// The first so many.
    First(usize),
    /// The last so many.
    Last(usize),
}

impl Window {
    /// At most this many messages.
    pub const fn limit(self) -> usize {
        match self {
            Self::First(limit) | Self::Last(limit) => limit,
        }
    }

    /// The same end, but no more than `most`.
    #[must_use]
    pub fn at_most(self, most: usize) -> Self {
        match self {
            Self::First(limit) => Self::First(limit.min(most)),
            Self::Last(limit) => Self::Last(limit.min(most)),
        }
    }
}

/// Up to where a client knows a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownUpTo {
    /// The latest message that it has; 0: none.
    pub seq: Seq,
    /// Its id, by which a store that was restored from a backup is noticed.
    pub id: Option<KnownId>,
}

impl From<Seq> for KnownUpTo {
    fn from(seq: Seq) -> Self {
        Self { seq, id: None }
    }
}

/// The id of a message, in a client's spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KnownId {
    /// The id that polychat gave.
    Id(MessageId),
    /// The integer of the dialects that have integers.
    Pair(i64),
    /// No id at all.
    Other,
}

impl KnownId {
    /// Whether it is the id of this message.
    pub fn is_of(self, message: &Message) -> bool {
        match self {
            Self::Id(id) => id == message.id,
            Self::Pair(number) => pair(message.chat_pk, message.seq) == Some(number),
            Self::Other => false,
        }
    }
}

/// The messages that a client has missed of one chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missed {
    /// The chat.
    pub chat: ChatId,
    /// The messages right after the requested seq, or from the first one on, without a gap.
    pub messages: Vec<Arc<Message>>,
    /// The end of this range: messages with a greater seq are delivered live to a connection that
    /// is catching up; for other callers it is the latest message.
    pub head: Seq,
    /// Whether there are more up to `head`.
    pub has_more: bool,
    /// Whether the client knows messages that the chat does not have: `messages` are the first ones.
    pub reset: bool,
}

/// Messages of one chat, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MessagePage {
    /// The messages.
    pub messages: Vec<Message>,
    /// Whether the range holds more than was taken.
    pub has_more: bool,
}
