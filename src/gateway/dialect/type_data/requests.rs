//! From a text frame to a command.
//! Does not know the response beyond what the request decides of it.
//!
//! Lists and objects in a field stay undecoded text: the ids, words and dates of this dialect are
//! none, so their depth costs nothing.

use serde::Deserialize;
use serde::de::value::MapDeserializer;
use serde_json::value::RawValue;

use super::days;
use super::fields::{Given, RawField};
use super::texts::{
    NO_CHAT_OR_TEXT, NOT_CREATED, NOT_JSON, NOT_RETRIEVED, UNEXPECTED, UNKNOWN_TYPE, invalid,
};
use crate::gateway::dialect::SessionOptions;
use crate::gateway::dialect::cursors::{CursorText, NO_CURSOR};
use crate::gateway::dialect::metadata;
use crate::gateway::dialect::sync::{SyncRequest, by_pk};
use crate::gateway::dialect::timestamps::Moment;
use crate::gateway::dialect::untrusted_json::{RawFields, UntrustedJson, from_str};
use crate::gateway::dialect::whole;
use crate::gateway::request_log::known;
use crate::model::{
    ChatRef, Command, Draft, Error, History, MAX_ID, Positions, Range, Window, unpair,
};

/// As much of a `last_read_message` that is none as comes back, in bytes.
const LONGEST_ECHO: usize = 256;

/// How many messages an answer holds at most.
const PAGE: usize = 10_000;

/// Every type.
const TYPES: [&str; 8] = [
    "getChats",
    "createEmptyChat",
    "joinChat",
    "getChatDetails",
    "newMessage",
    "getChatMessages",
    "sync",
    "whoAmI",
];

/// The kind of the request, with the parts that the response depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Question {
    /// `getChats`
    Chats,
    /// `createEmptyChat`
    EmptyChat,
    /// `joinChat`
    Join {
        /// The message up to which the client has read, if given: JSON, as it came.
        last_read: Option<String>,
    },
    /// `getChatDetails`
    Details,
    /// `newMessage`
    Message,
    /// `getChatMessages`
    Messages(Order),
    /// `sync`
    Sync(SyncRequest),
    /// `whoAmI`
    Me,
}

/// In which order messages are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// As they were sent.
    OldestFirst,
    /// The meaning of `last`.
    NewestFirst,
}

/// `getChats`
#[derive(Default, Deserialize)]
struct GetChats<'a> {
    #[serde(borrow, default)]
    limit: RawField<'a>,
    #[serde(borrow, default)]
    before: RawField<'a>,
}

/// `joinChat`
#[derive(Deserialize)]
struct JoinChat<'a> {
    #[serde(borrow, default)]
    chat: RawField<'a>,
    #[serde(borrow, default)]
    last_read_message: RawField<'a>,
}

/// `getChatDetails`
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GetChatDetails<'a> {
    #[serde(borrow, default)]
    chat_id: RawField<'a>,
}

/// `newMessage`
#[derive(Deserialize)]
struct NewMessage<'a> {
    #[serde(borrow, default)]
    chat: RawField<'a>,
    #[serde(borrow, default)]
    text: RawField<'a>,
    #[serde(borrow, default)]
    is_read: RawField<'a>,
    #[serde(borrow, default)]
    client_id: RawField<'a>,
    #[serde(borrow, default)]
    metadata: RawField<'a>,
}

/// `getChatMessages`
#[derive(Deserialize)]
struct GetChatMessages<'a> {
    #[serde(borrow, default, rename = "chatId")]
    chat_id: RawField<'a>,
    #[serde(borrow, default)]
    date_from: RawField<'a>,
    #[serde(borrow, default)]
    date_to: RawField<'a>,
    #[serde(borrow, default)]
    last: RawField<'a>,
}

/// `sync`
#[derive(Deserialize)]
struct Sync<'a> {
    #[serde(borrow)]
    chats: Option<&'a RawValue>,
}

/// A frame that is a JSON object.
pub(super) struct Envelope<'a>(RawFields<'a>);

impl<'a> Envelope<'a> {
    /// Reads a frame as far as its keys.
    ///
    /// # Errors
    /// `Invalid`: no JSON, or no object.
    pub(super) fn open(text: &'a str) -> Result<Self, Error> {
        let whole = serde_json::from_str(text).map_err(|_| invalid(NOT_JSON))?;
        object(whole).map(Self)
    }

    /// The `request_id`, to be echoed exactly as it was written. Null is none.
    pub(super) fn request_id(&self) -> Option<Box<RawValue>> {
        let given = self.field("request_id");
        let given = given.filter(|request_id| request_id.get() != "null");
        given.map(ToOwned::to_owned)
    }

    /// The request in it.
    ///
    /// # Errors
    /// `Invalid`, with the text of the original server; `NotFound`: an id that was never given out.
    pub(super) fn request(&self, options: &SessionOptions) -> Result<(Command, Question), Error> {
        match self.kind().as_deref() {
            // Whatever its data were was ignored by the original server.
            Some("getChats") => get_chats(&self.data().unwrap_or_default()),
            Some("createEmptyChat") => Ok((
                Command::CreateRoom {
                    name: None,
                    team: None,
                },
                Question::EmptyChat,
            )),
            Some("joinChat") => join_chat(&self.data()?),
            Some("getChatDetails") => chat_details(&self.data()?),
            Some("newMessage") => new_message(&self.data()?),
            Some("getChatMessages") => chat_messages(&self.data()?, options),
            Some("sync") => sync(&self.data()?),
            Some("whoAmI") => Ok((Command::WhoAmI, Question::Me)),
            _ => Err(invalid(UNKNOWN_TYPE)),
        }
    }

    /// The type of the request, for the log.
    pub(super) fn name(&self) -> &'static str {
        known(&TYPES, &self.kind().unwrap_or_default())
    }

    fn kind(&self) -> Option<String> {
        let kind = self.field("type")?;
        from_str(kind.get()).ok()
    }

    fn field(&self, name: &str) -> Option<&'a RawValue> {
        self.0.0.get(name).copied()
    }

    fn data<T: Deserialize<'a>>(&self) -> Result<T, Error> {
        let data = self.field("data").ok_or_else(|| invalid(UNEXPECTED))?;
        let RawFields(fields) = object(data)?;
        let fields = fields.iter().map(|(name, value)| (&**name, *value));
        T::deserialize(MapDeserializer::new(fields))
            .map_err(|_: serde_json::Error| invalid(NOT_JSON))
    }
}

fn object(json: &RawValue) -> Result<RawFields<'_>, Error> {
    if !json.get().starts_with('{') {
        return Err(invalid(UNEXPECTED));
    }
    serde_json::from_str(json.get()).map_err(|_| invalid(NOT_JSON))
}

fn get_chats(data: &GetChats<'_>) -> Result<(Command, Question), Error> {
    let limit = data.limit.value()?.count();
    let wrong = || Error::invalid("before", NO_CURSOR);
    let before = match data.before.value()? {
        Given::Null => None,
        Given::Text(text) => Some(text.parse().map_err(|()| wrong())?),
        _ => return Err(wrong()),
    };
    let before = before.map(|CursorText(before)| before);
    Ok((Command::ListMyRooms { limit, before }, Question::Chats))
}

fn join_chat(data: &JoinChat<'_>) -> Result<(Command, Question), Error> {
    let chat = data.chat.value()?.chat()?;
    let given = data.last_read_message.value()?;
    // One that is no message of this chat moves nothing, and comes back, as it did in the original.
    let id = given.integer().filter(|_| !given.is_nothing());
    let read = id.and_then(unpair).filter(|(pk, _)| *pk == chat);
    let read = read.map(|(_, seq)| seq).filter(|seq| *seq > 0);
    let written = || data.last_read_message.written().to_owned();
    let last_read = match id.filter(|id| (0..=MAX_ID).contains(id)) {
        Some(id) => Some(id.to_string()),
        None => (!given.is_nothing()).then(written),
    };
    let last_read = last_read.filter(|written| written.len() <= LONGEST_ECHO);
    Ok((
        Command::JoinChat {
            chat: ChatRef::Pk(chat),
            read,
        },
        Question::Join { last_read },
    ))
}

fn chat_details(data: &GetChatDetails<'_>) -> Result<(Command, Question), Error> {
    Ok((
        Command::GetRoom {
            chat: ChatRef::Pk(data.chat_id.value()?.chat()?),
            messages: 0,
        },
        Question::Details,
    ))
}

fn new_message(data: &NewMessage<'_>) -> Result<(Command, Question), Error> {
    let (chat, text) = (data.chat.value()?, data.text.value()?);
    if chat.is_nothing() {
        return Err(invalid(NO_CHAT_OR_TEXT));
    }
    let chat = chat.chat()?;
    let text = match text {
        Given::Null => return Err(invalid(NO_CHAT_OR_TEXT)),
        Given::Text(text) => text,
        // The original server stored Python's spelling of it; as in the other dialects it is
        // stored as its JSON text.
        _ => data.text.written().to_owned(),
    };
    // Refused by the service, too, but with a text of another dialect.
    if text.trim().is_empty() {
        return Err(invalid(NO_CHAT_OR_TEXT));
    }
    let client_id = match data.client_id.value()? {
        Given::Null => None,
        Given::Text(id) => Some(id),
        _ => return Err(Error::invalid("client_id", "must be a string")),
    };
    Ok((
        Command::SendMessage {
            user: None,
            chat: ChatRef::Pk(chat),
            draft: Draft {
                client_id,
                metadata: metadata::read(data.metadata.written(), "metadata")?,
                sent_as_read: is_read(&data.is_read)?,
                ..Draft::text(text)
            },
        },
        Question::Message,
    ))
}

/// Whether a message is sent as read, in the spellings that the original server accepted.
fn is_read(field: &RawField<'_>) -> Result<bool, Error> {
    if field.is_missing() {
        return Ok(false);
    }
    let read = match field.value()? {
        Given::Bool(read) => Some(read),
        Given::Number(number) => match whole::of_number(&number) {
            Some(0) => Some(false),
            Some(1) => Some(true),
            _ => None,
        },
        Given::Text(text) => match &*text {
            "False" | "0" => Some(false),
            "True" | "1" => Some(true),
            _ => None,
        },
        Given::Null | Given::Empty | Given::Nested => None,
    };
    read.ok_or_else(|| invalid(NOT_CREATED))
}

fn chat_messages(
    data: &GetChatMessages<'_>,
    options: &SessionOptions,
) -> Result<(Command, Question), Error> {
    let chat = data.chat_id.value()?.chat()?;
    let zone = &options.zone;
    let today = options.clock.now().to_zoned(zone.clone()).date();
    let day = |field: &RawField<'_>| {
        let day = match field.value()? {
            Given::Null => return Ok(None),
            Given::Text(text) if text.is_empty() => return Ok(None),
            Given::Text(text) => days::day(&text, today, zone),
            Given::Number(number) => {
                let moment = whole::of_number(&number).and_then(Moment::of_millisecond);
                moment.map(|moment| days::day_of(moment, zone))
            }
            _ => None,
        };
        day.map(Some).ok_or_else(|| invalid(NOT_RETRIEVED))
    };
    let last = data.last.value()?.count();
    Ok((
        Command::ListMessages {
            user: None,
            chat: ChatRef::Pk(chat),
            history: History {
                range: Range {
                    from: day(&data.date_from)?.map(|day| days::first_instant(day, zone)),
                    to: day(&data.date_to)?.map(|day| days::last_instant(day, zone)),
                    ..Range::default()
                },
                window: Window::Last(last.unwrap_or(PAGE)),
            },
            positions: Positions::Included,
        },
        Question::Messages(match last {
            Some(_) => Order::NewestFirst,
            None => Order::OldestFirst,
        }),
    ))
}

fn sync(data: &Sync<'_>) -> Result<(Command, Question), Error> {
    let chats = data.chats.map(|chats| from_str(chats.get()));
    let chats = chats.transpose().map_err(|_| invalid(NOT_JSON))?;
    let chats = chats.as_ref().map(|UntrustedJson(chats)| chats);
    let request = SyncRequest::read(chats, "chats", by_pk)?;
    Ok((request.command(None), Question::Sync(request)))
}
