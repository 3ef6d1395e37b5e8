//! From a text frame to a command.
//! It refuses to know how the answer looks beyond what the request decides of it.
//!
//! Lists and objects in a frame stay unread text: the ids, words and dates of this dialect are
//! none, and so no depth and no trick of theirs costs anything.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_json::{Number, Value};

use super::days;
use crate::gateway::dialect::Setting;
use crate::gateway::dialect::plain::Plain;
use crate::gateway::dialect::sought::{Sought, by_pk};
use crate::model::{
    ChatPk, ChatRef, Command, Draft, Error, ErrorKind, History, Positions, Range, Window, unpair,
};

/// The texts of ORIGINALS B3, which clients may compare.
pub(super) const NOT_JSON: &str = "Invalid JSON";
const UNKNOWN_TYPE: &str = "Unknown message type";
pub(super) const UNEXPECTED: &str = "An unexpected error occurred";
const NO_CHAT_ID: &str = "Chat ID is required.";
pub(super) const NO_CHAT: &str = "Chat not found.";
const NO_CHAT_OR_TEXT: &str = "Invalid data. Chat ID and text are required.";
pub(super) const NOT_CREATED: &str =
    "An error occurred while creating the message. Please try again later.";
pub(super) const NOT_RETRIEVED: &str =
    "An error occurred while retrieving messages. Please try again later.";

/// The greatest integer that every JSON client can hold; no id is greater (PROTOCOL §1.1).
const GREATEST: i64 = (1 << 53) - 1;

/// How many messages an answer holds at most (PROTOCOL §4).
const PAGE: usize = 10_000;

/// An `invalid` error with one of the texts above.
pub(super) fn refused(text: &str) -> Error {
    Error::new(ErrorKind::Invalid, text)
}

/// A request that was understood.
#[derive(Debug)]
pub(super) struct Request {
    /// What the service is to do.
    pub(super) command: Command,
    /// What the client wants to be told of it.
    pub(super) question: Question,
}

/// Which request it was, and what of it the answer depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Question {
    /// `getChats`
    Chats,
    /// `createEmptyChat`
    EmptyChat,
    /// `joinChat`
    Join {
        /// The message up to which the client has read, if it said so.
        last_read: Option<i64>,
    },
    /// `getChatDetails`
    Details,
    /// `newMessage`
    Message,
    /// `getChatMessages`
    Messages(Order),
    /// `sync`
    Sync(Sought),
}

/// In which order messages are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// As they were sent.
    OldestFirst,
    /// What `last` asks for (ORIGINALS B4).
    NewestFirst,
}

type Object<'a> = BTreeMap<String, &'a RawValue>;

/// A frame that is a JSON object.
pub(super) struct Envelope<'a>(Object<'a>);

impl<'a> Envelope<'a> {
    /// Reads a frame as far as its keys.
    ///
    /// # Errors
    /// `Invalid`: no JSON, or no object.
    pub(super) fn open(text: &'a str) -> Result<Self, Error> {
        let whole = serde_json::from_str(text).map_err(|_| refused(NOT_JSON))?;
        object(whole).map(Self)
    }

    /// The `request_id`, to be echoed exactly as it was written. Null is none.
    pub(super) fn tag(&self) -> Option<Box<RawValue>> {
        let given = self.0.get("request_id");
        let given = given.filter(|tag| tag.get() != "null");
        given.map(|&tag| tag.to_owned())
    }

    /// The request in it.
    ///
    /// # Errors
    /// `Invalid`, with the text of ORIGINALS B3; `NotFound`: an id that was never given out.
    pub(super) fn request(&self, setting: &Setting) -> Result<Request, Error> {
        let kind = self.0.get("type");
        let kind = kind.and_then(|kind| serde_json::from_str::<String>(kind.get()).ok());
        match kind.as_deref() {
            Some("getChats") => Ok(Request {
                command: Command::ListMyRooms,
                question: Question::Chats,
            }),
            Some("createEmptyChat") => Ok(Request {
                command: Command::CreateRoom {
                    name: None,
                    team: None,
                },
                question: Question::EmptyChat,
            }),
            Some("joinChat") => join_chat(&self.data()?),
            Some("getChatDetails") => chat_details(&self.data()?),
            Some("newMessage") => new_message(&self.data()?),
            Some("getChatMessages") => chat_messages(&self.data()?, setting),
            Some("sync") => sync(&self.data()?),
            _ => Err(refused(UNKNOWN_TYPE)),
        }
    }

    fn data(&self) -> Result<Data<'a>, Error> {
        let data = self.0.get("data").ok_or_else(|| refused(UNEXPECTED))?;
        object(data).map(Data)
    }
}

fn object(json: &RawValue) -> Result<Object<'_>, Error> {
    if !json.get().starts_with('{') {
        return Err(refused(UNEXPECTED));
    }
    // A key may still hold half a character.
    serde_json::from_str(json.get()).map_err(|_| refused(NOT_JSON))
}

fn join_chat(data: &Data<'_>) -> Result<Request, Error> {
    let chat = data.field("chat")?.chat()?;
    let given = data.field("last_read_message")?;
    let foreign = || Error::invalid("last_read_message", "is no message of this chat");
    let (last_read, read) = if given.is_nothing() {
        (None, None)
    } else {
        let id = given.integer().ok_or_else(foreign)?;
        match unpair(id) {
            Some((pk, seq)) if pk == chat && seq > 0 => (Some(id), Some(seq)),
            _ => return Err(foreign()),
        }
    };
    Ok(Request {
        command: Command::JoinChat {
            chat: ChatRef::Pk(chat),
            read,
        },
        question: Question::Join { last_read },
    })
}

fn chat_details(data: &Data<'_>) -> Result<Request, Error> {
    Ok(Request {
        command: Command::GetRoom {
            chat: ChatRef::Pk(data.field("chatId")?.chat()?),
            messages: 0,
        },
        question: Question::Details,
    })
}

fn new_message(data: &Data<'_>) -> Result<Request, Error> {
    let (chat, text) = (data.field("chat")?, data.field("text")?);
    if chat.is_nothing() || text.is_nothing() {
        return Err(refused(NO_CHAT_OR_TEXT));
    }
    let chat = chat.chat()?;
    let text = match text {
        Given::Text(text) => text,
        // The original stored Python's spelling of it; as in the action dialect (PROTOCOL §3)
        // it is stored as its JSON text.
        _ => data.written("text"),
    };
    // Refused by the service, too, but in words that no client of this dialect knows.
    if text.trim().is_empty() {
        return Err(refused(NO_CHAT_OR_TEXT));
    }
    let client_id = match data.field("client_id")? {
        Given::Null => None,
        Given::Text(id) => Some(id),
        _ => return Err(Error::invalid("client_id", "must be a string")),
    };
    Ok(Request {
        command: Command::SendMessage {
            user: None,
            chat: ChatRef::Pk(chat),
            draft: Draft {
                client_id,
                sent_as_read: data.is_read()?,
                ..Draft::text(text)
            },
        },
        question: Question::Message,
    })
}

fn chat_messages(data: &Data<'_>, setting: &Setting) -> Result<Request, Error> {
    let chat = data.field("chatId")?.chat()?;
    let zone = &setting.zone;
    let today = setting.clock.now().to_zoned(zone.clone()).date();
    let day = |key| {
        let day = match data.field(key)? {
            Given::Null => return Ok(None),
            Given::Text(text) if text.is_empty() => return Ok(None),
            Given::Text(text) => days::day(&text, today),
            _ => None,
        };
        day.map(Some).ok_or_else(|| refused(NOT_RETRIEVED))
    };
    let last = data.field("last")?.count();
    Ok(Request {
        command: Command::ListMessages {
            user: None,
            chat: ChatRef::Pk(chat),
            history: History {
                range: Range {
                    from: day("date_from")?.map(|day| days::first_instant(day, zone)),
                    to: day("date_to")?.map(|day| days::last_instant(day, zone)),
                    ..Range::default()
                },
                window: Window::Last(last.unwrap_or(PAGE)),
            },
            positions: Positions::Told,
        },
        question: Question::Messages(match last {
            Some(_) => Order::NewestFirst,
            None => Order::OldestFirst,
        }),
    })
}

fn sync(data: &Data<'_>) -> Result<Request, Error> {
    let chats = data.0.get("chats").map(|chats| {
        let chats = serde_json::from_str(chats.get()).map(|Plain(chats)| chats);
        chats.map_err(|_| refused(NOT_JSON))
    });
    let sought = Sought::read(chats.transpose()?.as_ref(), "chats", by_pk)?;
    Ok(Request {
        command: Command::Sync {
            user: None,
            chats: sought.chats(),
        },
        question: Question::Sync(sought),
    })
}

/// The `data` of a request.
struct Data<'a>(Object<'a>);

impl Data<'_> {
    /// What a field holds; a missing one holds null.
    fn field(&self, key: &str) -> Result<Given, Error> {
        let json = self.0.get(key).map_or("null", |json| json.get());
        if json.starts_with(['[', '{']) {
            let empty = json[1..json.len() - 1].trim().is_empty();
            return Ok(if empty { Given::Empty } else { Given::Nested });
        }
        match serde_json::from_str(json) {
            Ok(Value::Null) => Ok(Given::Null),
            Ok(Value::Bool(value)) => Ok(Given::Bool(value)),
            Ok(Value::Number(number)) => Ok(Given::Number(number)),
            Ok(Value::String(text)) => Ok(Given::Text(text)),
            // Half a character, a number beyond all bounds.
            _ => Err(refused(NOT_JSON)),
        }
    }

    /// A field as the client wrote it.
    fn written(&self, key: &str) -> String {
        self.0.get(key).map_or("", |json| json.get()).to_owned()
    }

    /// Whether a message is sent as read, in the spellings of ORIGINALS B2.
    fn is_read(&self) -> Result<bool, Error> {
        if !self.0.contains_key("is_read") {
            return Ok(false);
        }
        let read = match self.field("is_read")? {
            Given::Bool(read) => Some(read),
            Given::Number(number) => match number.as_i64() {
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
        read.ok_or_else(|| refused(NOT_CREATED))
    }
}

/// What a field holds.
#[derive(Debug)]
enum Given {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    /// A list or an object with nothing in it.
    Empty,
    /// A list or an object with something in it.
    Nested,
}

impl Given {
    /// Whether the original took it for not given: what is false in Python.
    fn is_nothing(&self) -> bool {
        match self {
            Self::Null | Self::Bool(false) | Self::Empty => true,
            Self::Number(number) => number.as_f64() == Some(0.0),
            Self::Text(text) => text.is_empty(),
            Self::Bool(true) | Self::Nested => false,
        }
    }

    /// The integer that it stands for, as the original converted it (ORIGINALS B3); one that
    /// is too great for any id stays too great.
    fn integer(&self) -> Option<i64> {
        match self {
            Self::Bool(value) => Some(i64::from(*value)),
            Self::Number(number) => number.as_i64().or_else(|| number.as_f64().map(truncated)),
            Self::Text(text) => {
                let text = text.trim();
                let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
                is_digits(digits).then(|| text.parse().unwrap_or(i64::MAX))
            }
            Self::Null | Self::Empty | Self::Nested => None,
        }
    }

    /// The chat of this id.
    fn chat(&self) -> Result<ChatPk, Error> {
        if matches!(self, Self::Null) {
            return Err(refused(NO_CHAT_ID));
        }
        match self.integer() {
            Some(pk) if (1..=GREATEST).contains(&pk) => Ok(pk),
            Some(_) => Err(Error::new(ErrorKind::NotFound, NO_CHAT)),
            None => Err(refused(UNEXPECTED)),
        }
    }

    /// A number of messages; what is none, is ignored (ORIGINALS B4).
    fn count(&self) -> Option<usize> {
        let count = match self {
            Self::Number(number) => match number.as_f64() {
                Some(value) if value.fract() == 0.0 => self.integer(),
                _ => None,
            },
            Self::Text(text) if is_digits(text) => self.integer(),
            _ => None,
        };
        let count = count.filter(|count| *count > 0)?;
        Some(usize::try_from(count).unwrap_or(usize::MAX))
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[expect(clippy::cast_possible_truncation, reason = "cutting off is the rule")]
fn truncated(value: f64) -> i64 {
    value as i64
}
