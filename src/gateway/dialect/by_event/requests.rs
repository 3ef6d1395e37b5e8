//! From the name and the body of a request to a command.
//! It refuses to know how the answer looks beyond what the request decides of it.

use std::collections::HashSet;

use serde_json::Value;

use crate::gateway::dialect::fields::Fields;
use crate::model::{
    Access, ChatId, ChatRef, Command, Draft, Error, History, Positions, Range, Window,
};

/// How many messages of history an answer holds (PROTOCOL §5).
const HISTORY: usize = 50;

/// A request that was understood.
#[derive(Debug)]
pub struct Request {
    /// What the service is to do.
    pub command: Command,
    /// What the client wants to be told of it.
    pub question: Question,
}

/// Which request it was, and what of it the answer depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// `send_message`
    Message,
    /// `read_messages`
    Read,
    /// `load_history` of this chat
    History(ChatId),
    /// `open_chat`, `request_access` and `grant_access`
    Chat,
}

/// The request of this name.
///
/// # Errors
/// `Invalid`, with the field at fault; `NotFound`: an id that was never given out.
pub fn decode(name: &str, body: &Value) -> Result<Request, Error> {
    let body = Fields::of_body(body)?;
    match name {
        "send_message" => send_message(&body),
        "read_messages" => read_messages(&body),
        "load_history" => load_history(&body),
        "open_chat" => open_chat(&body),
        "request_access" => request_access(&body),
        "grant_access" => grant_access(&body),
        unknown => {
            let shown: String = unknown.chars().take(64).collect();
            Err(Error::invalid("event", &format!("there is no \"{shown}\"")))
        }
    }
}

fn send_message(body: &Fields<'_>) -> Result<Request, Error> {
    let chat = chat(body)?;
    let message = body.object("message")?;
    let message = message.ok_or_else(|| body.missing("message"))?;
    Ok(Request {
        command: Command::SendMessage {
            user: None,
            chat: ChatRef::OfEvent(chat),
            draft: draft(&message)?,
        },
        question: Question::Message,
    })
}

fn read_messages(body: &Fields<'_>) -> Result<Request, Error> {
    let chat = chat(body)?;
    let seq = body.number("lastReadedMessageId", 0)?;
    Ok(Request {
        command: Command::MarkRead {
            user: None,
            chat: ChatRef::OfEvent(chat),
            seq: seq.ok_or_else(|| body.missing("lastReadedMessageId"))?,
        },
        question: Question::Read,
    })
}

fn load_history(body: &Fields<'_>) -> Result<Request, Error> {
    let chat = chat(body)?;
    let before = body.number("lastMessageId", 0)?;
    let range = Range {
        before: Some(before.ok_or_else(|| body.missing("lastMessageId"))?),
        ..Range::default()
    };
    Ok(Request {
        command: Command::ListMessages {
            user: None,
            chat: ChatRef::OfEvent(chat),
            history: History {
                range,
                window: Window::Last(HISTORY),
            },
            positions: Positions::Untold,
        },
        question: Question::History(chat),
    })
}

fn open_chat(body: &Fields<'_>) -> Result<Request, Error> {
    Ok(Request {
        command: Command::OpenEventChat {
            user: None,
            event: event(body)?,
        },
        question: Question::Chat,
    })
}

fn request_access(body: &Fields<'_>) -> Result<Request, Error> {
    let text = body.text("message")?;
    // Refused by the service, too, but in the field names of another dialect.
    if text.is_some_and(|text| text.trim().is_empty()) {
        return Err(body.invalid("message", "is empty"));
    }
    let client_id = body.text("client_id")?;
    let draft = text.map(|text| Draft {
        client_id: client_id.map(str::to_owned),
        ..Draft::text(text)
    });
    Ok(Request {
        command: Command::RequestAccess {
            user: None,
            event: event(body)?,
            draft,
        },
        question: Question::Chat,
    })
}

fn grant_access(body: &Fields<'_>) -> Result<Request, Error> {
    let chat = chat(body)?;
    let granted = body.flag("granted")?;
    let access = if granted.ok_or_else(|| body.missing("granted"))? {
        Access::Granted
    } else {
        Access::Asked
    };
    Ok(Request {
        command: Command::GrantAccess {
            chat: ChatRef::OfEvent(chat),
            access,
        },
        question: Question::Chat,
    })
}

/// The photos are those that came with the message and then those attached to it, each once
/// (PROTOCOL §5).
fn draft(message: &Fields<'_>) -> Result<Draft, Error> {
    let (mut photos, mut seen) = (Vec::new(), HashSet::new());
    for key in ["photos", "attachedPhotos"] {
        let new = message.texts(key)?.unwrap_or_default().into_iter();
        photos.extend(new.filter(|photo| seen.insert(*photo)).map(str::to_owned));
    }
    let text = message.text("text")?.unwrap_or_default();
    // Refused by the service, too, but in the field names of another dialect.
    if text.trim().is_empty() && photos.is_empty() {
        return Err(message.invalid("text", "is empty, and there are no photos"));
    }
    Ok(Draft {
        photos,
        client_id: message.text("client_id")?.map(str::to_owned),
        ..Draft::text(text)
    })
}

fn chat(body: &Fields<'_>) -> Result<ChatId, Error> {
    let chat = body.id("chatId", "chat")?;
    chat.ok_or_else(|| body.missing("chatId"))
}

fn event(body: &Fields<'_>) -> Result<i64, Error> {
    let event = body.number("eventId", 0)?;
    event.ok_or_else(|| body.missing("eventId"))
}
