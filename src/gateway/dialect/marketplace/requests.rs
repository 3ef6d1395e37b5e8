//! From an event to a command.
//! Does not know the response beyond what the request decides of it.

use std::borrow::Cow;
use std::collections::HashSet;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::gateway::dialect::decode::{
    Content, Field, Flag, Object, Text, Texts, Whole, chat_ref, decode as fields,
};
use crate::gateway::dialect::incoming::{Event, Source};
use crate::gateway::dialect::metadata;
use crate::model::{
    Access, ChatChoice, ChatRef, Command, Draft, Error, History, Positions, Range, Window,
};

/// The error of a text that is none.
const NO_TEXT: &str = "must be a string";

/// How many messages of history a response holds.
const HISTORY: usize = 50;

/// Every event that is a request.
pub(super) const EVENTS: [&str; 7] = [
    "send_message",
    "read_messages",
    "load_history",
    "open_chat",
    "request_access",
    "grant_access",
    "whoami",
];

/// The kind of the request, with the parts that the response depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Question {
    /// `send_message`
    Message,
    /// `read_messages`
    Read,
    /// `load_history` of this chat
    History(ChatRef),
    /// `open_chat`, `request_access` and `grant_access`
    Chat,
    /// `whoami`
    Me,
}

/// `send_message`
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SendMessage<'a> {
    #[serde(borrow)]
    chat_id: Field<Text<'a>>,
    #[serde(borrow)]
    message: Field<Object<MessageFields<'a>>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct MessageFields<'a> {
    #[serde(borrow)]
    text: Field<Content<'a>>,
    #[serde(borrow)]
    photos: Field<Texts<'a>>,
    #[serde(borrow, rename = "attachedPhotos")]
    attached_photos: Field<Texts<'a>>,
    #[serde(borrow)]
    client_id: Field<Text<'a>>,
    metadata: Field<IgnoredAny>,
}

/// `read_messages`
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ReadMessages<'a> {
    #[serde(borrow)]
    chat_id: Field<Text<'a>>,
    last_readed_message_id: Field<Whole<0>>,
}

/// `load_history`
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct LoadHistory<'a> {
    #[serde(borrow)]
    chat_id: Field<Text<'a>>,
    last_message_id: Field<Whole<0>>,
}

/// `open_chat`
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct OpenChat {
    event_id: Field<Whole<0>>,
}

/// `request_access`
#[derive(Default, Deserialize)]
#[serde(default)]
struct RequestAccess<'a> {
    #[serde(rename = "eventId")]
    event_id: Field<Whole<0>>,
    #[serde(borrow)]
    message: Field<Content<'a>>,
    #[serde(borrow)]
    client_id: Field<Text<'a>>,
}

/// `grant_access`
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct GrantAccess<'a> {
    #[serde(borrow)]
    chat_id: Field<Text<'a>>,
    granted: Field<Flag>,
}

/// The request that an event stands for.
///
/// # Errors
/// `Invalid`, with the field at fault; `NotFound`: an id that was never given out.
pub(super) fn decode(event: Event) -> Result<(Command, Question), Error> {
    let name = event.name.clone();
    let source = event.source.clone();
    let body = event.into_body();
    match &*name {
        "send_message" => send_message(&fields(&body)?, &source),
        "read_messages" => read_messages(&fields(&body)?),
        "load_history" => load_history(&fields(&body)?),
        "open_chat" => open_chat(&fields(&body)?),
        "request_access" => request_access(&fields(&body)?, &source),
        "grant_access" => grant_access(&fields(&body)?),
        "whoami" => fields(&body).map(|Empty {}| (Command::WhoAmI, Question::Me)),
        unknown => {
            // A body that is none is at fault whatever the name.
            fields::<Empty>(&body)?;
            let shown: String = unknown.chars().take(64).collect();
            Err(Error::invalid("event", &format!("there is no \"{shown}\"")))
        }
    }
}

/// An object with any fields.
#[derive(Deserialize)]
struct Empty {}

fn send_message(request: &SendMessage<'_>, source: &Source) -> Result<(Command, Question), Error> {
    let chat = chat(&request.chat_id)?;
    let Object(message) = request.message.required("message")?;
    Ok((
        Command::SendMessage {
            user: None,
            chat: chat.of_event(),
            draft: draft(message, source)?,
        },
        Question::Message,
    ))
}

fn read_messages(request: &ReadMessages<'_>) -> Result<(Command, Question), Error> {
    let chat = chat(&request.chat_id)?;
    let seq = &request.last_readed_message_id;
    let Whole(seq) = *seq.required("lastReadedMessageId")?;
    Ok((
        Command::MarkRead {
            user: None,
            chat: chat.of_event(),
            seq,
        },
        Question::Read,
    ))
}

fn load_history(request: &LoadHistory<'_>) -> Result<(Command, Question), Error> {
    let chat = chat(&request.chat_id)?;
    let Whole(before) = *request.last_message_id.required("lastMessageId")?;
    Ok((
        Command::ListMessages {
            user: None,
            chat: chat.clone().of_event(),
            history: History {
                range: Range {
                    before: Some(before),
                    ..Range::default()
                },
                window: Window::Last(HISTORY),
            },
            positions: Positions::Omitted,
        },
        Question::History(chat),
    ))
}

fn open_chat(request: &OpenChat) -> Result<(Command, Question), Error> {
    Ok((
        Command::OpenEventChat {
            user: None,
            event: event(&request.event_id)?,
            chosen: ChatChoice::default(),
        },
        Question::Chat,
    ))
}

fn request_access(
    request: &RequestAccess<'_>,
    source: &Source,
) -> Result<(Command, Question), Error> {
    let text = request.message.get("message")?.map(|text| {
        let text = written(*text, source, &["message"]);
        text.ok_or_else(|| Error::invalid("message", NO_TEXT))
    });
    let text = text.transpose()?;
    // Refused by the service, too, but in the field names of another dialect.
    if text.as_ref().is_some_and(|text| text.trim().is_empty()) {
        return Err(Error::invalid("message", "is empty"));
    }
    let client_id = request.client_id.get("client_id")?;
    let draft = text.map(|text| Draft {
        client_id: client_id.map(|Text(id)| (*id).to_owned()),
        ..Draft::text(text)
    });
    Ok((
        Command::RequestAccess {
            user: None,
            event: event(&request.event_id)?,
            draft,
        },
        Question::Chat,
    ))
}

fn grant_access(request: &GrantAccess<'_>) -> Result<(Command, Question), Error> {
    let chat = chat(&request.chat_id)?;
    let Flag(granted) = *request.granted.required("granted")?;
    let access = if granted {
        Access::Granted
    } else {
        Access::Asked
    };
    Ok((
        Command::GrantAccess {
            chat: chat.of_event(),
            access,
        },
        Question::Chat,
    ))
}

/// The photos are those that came with the message and then those attached to it, each once.
fn draft(message: &MessageFields<'_>, source: &Source) -> Result<Draft, Error> {
    let (mut photos, mut seen) = (Vec::new(), HashSet::new());
    let fields = [
        (&message.photos, "message.photos"),
        (&message.attached_photos, "message.attachedPhotos"),
    ];
    for (field, path) in fields {
        let new = field.get(path)?.into_iter().flat_map(|Texts(new)| new);
        let new = new.filter(|photo| seen.insert(**photo));
        photos.extend(new.map(|photo| (*photo).to_owned()));
    }
    let text = message.text.get("message.text")?;
    let text = text.map_or(Some(Cow::Borrowed("")), |text| {
        written(*text, source, &["message", "text"])
    });
    let text = text.ok_or_else(|| Error::invalid("message.text", NO_TEXT))?;
    // Refused by the service, too, but in the field names of another dialect.
    if text.trim().is_empty() && photos.is_empty() {
        return Err(Error::invalid(
            "message.text",
            "is empty, and there are no photos",
        ));
    }
    let client_id = message.client_id.get("message.client_id")?;
    let metadata = match &message.metadata {
        Field::Missing => None,
        _ => source.field(0, &["message", "metadata"]),
    };
    let metadata = metadata.map(|json| metadata::read(&json, "message.metadata"));
    Ok(Draft {
        metadata: metadata.transpose()?.flatten(),
        photos,
        client_id: client_id.map(|Text(id)| (*id).to_owned()),
        ..Draft::text(text)
    })
}

/// A text as it came, anything else as its JSON.
fn written<'a>(Content(text): Content<'a>, source: &Source, keys: &[&str]) -> Option<Cow<'a, str>> {
    match text {
        Some(text) => Some(text.into()),
        None => source.field(0, keys).map(Cow::Owned),
    }
}

fn chat(chat: &Field<Text<'_>>) -> Result<ChatRef, Error> {
    let Text(chat) = chat.required("chatId")?;
    chat_ref(chat)
}

fn event(event: &Field<Whole<0>>) -> Result<i64, Error> {
    let Whole(event) = *event.required("eventId")?;
    Ok(event)
}
