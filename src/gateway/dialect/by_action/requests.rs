//! From the text of a frame to a command (ORIGINALS A4, A7, A9).
//! It refuses to know who is calling and what came of earlier requests, but for the current
//! room.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use serde_json::value::RawValue;

use super::answers::{Echo, Envelope, Refusal};
use super::validation;
use crate::gateway::dialect::plain::Plain;
use crate::gateway::dialect::sought::{Sought, by_pk};
use crate::model::{ChatPk, ChatRef, Command};

/// How many messages a room is shown with, the latest ones (PROTOCOL §3).
const HISTORY: usize = 1000;

/// How long a `stream`, and the `request_id` of a subscription, may be in bytes: they are
/// kept as long as the connection lives.
const KEPT: usize = 256;

/// How much of an unknown action an error repeats, in characters.
const SHOWN: usize = 255;

/// A frame that asks for something.
pub(super) struct Ask {
    /// What its answer is to do.
    pub(super) purpose: Purpose,
    /// What to ask of the service.
    pub(super) command: Command,
}

/// What a request is for: what follows when the service says yes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Makes the room the current one.
    Join,
    /// Forgets that the room was joined.
    Leave,
    /// Subscribes to the room's messages.
    Listen,
    /// Subscribes to the room itself.
    Watch,
    /// Unsubscribes from the room itself.
    Unwatch,
    /// Sends a message.
    Send,
    /// Replies with a room or with rooms, and this status.
    Show(u16),
    /// Deletes a room.
    Delete,
    /// Replies with what was missing of these rooms.
    CatchUp(Sought),
}

/// Reads a frame: what to repeat in the answer, and what it asks for. `current` is the room
/// that messages without a `pk` go to.
pub(super) fn read(text: &str, current: Option<ChatPk>) -> (Echo, Result<Ask, Refusal>) {
    let mut echo = Echo::default();
    let ask = open(text, &mut echo).and_then(|body| {
        echo.request_id = body.given("request_id").map(shared);
        let action = body
            .0
            .get("action")
            .ok_or_else(|| Refusal::text(405, "Unable to find action in message body."))?;
        echo.action = Some(shared(action));
        decode(action, &body, current)
    });
    (echo, ask)
}

/// The request in a frame, out of its envelope if it came in one.
fn open<'a>(text: &'a str, echo: &mut Echo) -> Result<Body<'a>, Refusal> {
    let body = Body::parse(text)?;
    let stream = match body.0.get("stream") {
        Some(stream) if !body.0.contains_key("action") => stream,
        _ => return Ok(body),
    };
    kept("stream", stream)?;
    echo.envelope = Envelope::Stream(shared(stream));
    match body.0.get("payload") {
        Some(payload) => Body::parse(payload.get()),
        None => Err(required("payload")),
    }
}

fn decode(action: &RawValue, body: &Body<'_>, current: Option<ChatPk>) -> Result<Ask, Refusal> {
    let name: Option<String> = serde_json::from_str(action.get()).ok();
    let (purpose, command) = match name.as_deref() {
        Some("join_room") => {
            let chat = body.room()?;
            (Purpose::Join, Command::JoinChat { chat, read: None })
        }
        Some("leave_room") => {
            let chat = body.room()?;
            (Purpose::Leave, Command::LeaveChat { chat })
        }
        Some("retrieve") => (Purpose::Show(200), look(body.room()?, HISTORY)),
        Some("subscribe_to_messages_in_room") => {
            let chat = body.room()?;
            (Purpose::Listen, look(chat, 0))
        }
        Some("subscribe_instance") => {
            let chat = body.room()?;
            body.0
                .get("request_id")
                .map_or(Ok(()), |id| kept("request_id", id))?;
            (Purpose::Watch, look(chat, 0))
        }
        Some("unsubscribe_instance") => {
            let chat = body.room()?;
            (Purpose::Unwatch, look(chat, 0))
        }
        Some("create_message") => (Purpose::Send, create_message(body, current)?),
        Some("list") => (Purpose::Show(200), Command::ListRooms),
        Some("create") => {
            let (name, team) = validation::new_room(body.data()?)?;
            let name = Some(name);
            (Purpose::Show(201), Command::CreateRoom { name, team })
        }
        Some("update") => {
            let chat = body.room()?;
            let change = validation::update(body.data()?)?;
            (Purpose::Show(200), Command::ChangeChat { chat, change })
        }
        Some("patch") => {
            let chat = body.room()?;
            let change = validation::patch(body.data()?)?;
            (Purpose::Show(200), Command::ChangeChat { chat, change })
        }
        Some("sync") => sync(body)?,
        Some("delete") => (Purpose::Delete, Command::DeleteChat { chat: body.room()? }),
        _ => return Err(not_allowed(action)),
    };
    Ok(Ask { purpose, command })
}

fn look(chat: ChatRef, messages: usize) -> Command {
    Command::GetRoom { chat, messages }
}

fn sync(body: &Body<'_>) -> Result<(Purpose, Command), Refusal> {
    let chats = body.given("chats").map(|chats| {
        serde_json::from_str(chats.get())
            .map(|Plain(chats)| chats)
            .map_err(|error| Refusal::text(400, format!("JSON parse error - {error}")))
    });
    let sought = Sought::read(chats.transpose()?.as_ref(), "chats", by_pk);
    let sought = sought.map_err(|error| Refusal::from(&error))?;
    let chats = sought.chats();
    let command = Command::Sync { user: None, chats };
    Ok((Purpose::CatchUp(sought), command))
}

fn create_message(body: &Body<'_>, current: Option<ChatPk>) -> Result<Command, Refusal> {
    let chat = match (body.given("pk"), current) {
        (Some(_), _) => body.room()?,
        (None, Some(current)) => ChatRef::Pk(current),
        (None, None) => return Err(Refusal::text(400, "Join a room first, or give its pk.")),
    };
    let message = body.0.get("message").copied();
    let client_id = body.given("client_id");
    Ok(Command::SendMessage {
        user: None,
        chat,
        draft: validation::draft(message, client_id)?,
    })
}

/// The fields of a JSON object, unread: a broken one spoils no other. The last of the same
/// name counts.
struct Body<'a>(BTreeMap<String, &'a RawValue>);

impl<'a> Body<'a> {
    fn parse(text: &'a str) -> Result<Self, Refusal> {
        serde_json::from_str(text).map(Self).map_err(|error| {
            let why = if error.is_data() {
                "Expected a JSON object.".to_owned()
            } else {
                format!("JSON parse error - {error}")
            };
            Refusal::text(400, why)
        })
    }

    /// A field that is there and not null.
    fn given(&self, key: &str) -> Option<&'a RawValue> {
        let value = self.0.get(key).copied();
        value.filter(|value| value.get() != "null")
    }

    /// The room that `pk` names. What is no `pk` names none (ORIGINALS A7).
    fn room(&self) -> Result<ChatRef, Refusal> {
        let pk = self.0.get("pk").and_then(|pk| validation::pk(pk));
        pk.map(ChatRef::Pk).ok_or_else(Refusal::not_found)
    }

    fn data(&self) -> Result<&'a RawValue, Refusal> {
        self.given("data").ok_or_else(|| required("data"))
    }
}

fn required(field: &'static str) -> Refusal {
    Refusal::fields([(field, validation::REQUIRED.to_owned())])
}

/// Whether something is short enough to be kept.
fn kept(field: &str, value: &RawValue) -> Result<(), Refusal> {
    if value.get().len() <= KEPT {
        Ok(())
    } else {
        Err(Refusal::text(413, format!("{field}: at most {KEPT} bytes")))
    }
}

/// There is no such action; one that is no text is spelt as Python does.
fn not_allowed(action: &RawValue) -> Refusal {
    let spelling = match serde_json::from_str(action.get()) {
        Ok(Plain(Value::String(name))) => name,
        Ok(Plain(Value::Null)) => "None".to_owned(),
        Ok(Plain(Value::Bool(true))) => "True".to_owned(),
        Ok(Plain(Value::Bool(false))) => "False".to_owned(),
        _ => action.get().to_owned(),
    };
    let shown: String = spelling.chars().take(SHOWN).collect();
    Refusal::text(405, format!("Method \"{shown}\" not allowed."))
}

fn shared(value: &RawValue) -> Arc<RawValue> {
    Arc::from(value.to_owned())
}
