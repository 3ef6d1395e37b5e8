//! From the text of a frame to a command.
//! Does not know the caller, nor the outcome of earlier requests, except for the current room.

use std::sync::Arc;

use serde::de::value::MapDeserializer;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::refusal::Refusal;
use super::responses::{Echo, Envelope};
use super::validation;
use crate::gateway::dialect::decode::even_null;
use crate::gateway::dialect::sync::{SyncRequest, by_pk};
use crate::gateway::dialect::untrusted_json::{RawFields, UntrustedJson, from_str};
use crate::gateway::request_log::known;
use crate::model::{ChatPk, ChatRef, Command};

/// How many messages `retrieve` returns: the latest ones.
const HISTORY: usize = 1000;

/// How long a `stream`, and the `request_id` of a subscription, may be in bytes: they are
/// kept as long as the connection lives.
const KEPT: usize = 256;

/// How much of an unknown action an error repeats, in characters.
const SHOWN: usize = 255;

/// Every action.
const ACTIONS: [&str; 14] = [
    "join_room",
    "leave_room",
    "retrieve",
    "subscribe_to_messages_in_room",
    "subscribe_instance",
    "unsubscribe_instance",
    "create_message",
    "list",
    "create",
    "update",
    "patch",
    "sync",
    "delete",
    "whoami",
];

/// The purpose of a request: the action after success.
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
    /// Replies with the user.
    WhoAmI,
    /// Replies with the missed messages of these rooms.
    Sync(SyncRequest),
}

/// `join_room`, `leave_room`, `retrieve`, `delete` and the subscriptions.
#[derive(Deserialize)]
struct OfRoom {
    #[serde(default)]
    pk: Pk,
}

/// `subscribe_instance`
#[derive(Deserialize)]
struct SubscribeInstance<'a> {
    #[serde(default)]
    pk: Pk,
    #[serde(borrow)]
    request_id: Option<&'a RawValue>,
}

/// `create_message`
#[derive(Deserialize)]
struct CreateMessage<'a> {
    pk: Option<Pk>,
    /// Null is another error than a missing one.
    #[serde(borrow, default, deserialize_with = "even_null")]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    client_id: Option<&'a RawValue>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
}

/// `create`, `update` and `patch`
#[derive(Deserialize)]
struct WithData<'a> {
    #[serde(default)]
    pk: Pk,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

/// `list`
#[derive(Deserialize)]
struct List<'a> {
    #[serde(borrow)]
    limit: Option<&'a RawValue>,
    #[serde(borrow)]
    before: Option<&'a RawValue>,
}

/// `sync`
#[derive(Deserialize)]
struct Sync<'a> {
    #[serde(borrow)]
    chats: Option<&'a RawValue>,
}

/// A `pk` in any form; an invalid one names no room.
#[derive(Default)]
struct Pk(Option<ChatPk>);

impl<'de> Deserialize<'de> for Pk {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&RawValue>::deserialize(deserializer).map(|pk| Self(validation::pk(pk)))
    }
}

impl Pk {
    fn room(&self) -> Result<ChatRef, Refusal> {
        self.0.map(ChatRef::Pk).ok_or_else(Refusal::not_found)
    }
}

/// Decodes a frame: the fields that the response repeats, and the request. `current` is the room
/// that messages without a `pk` go to.
pub(super) fn read(
    text: &str,
    current: Option<ChatPk>,
) -> (Echo, Result<(Purpose, Command), Refusal>) {
    let mut echo = Echo::default();
    let request = open(text, &mut echo).and_then(|(action, body)| decode(action, &body, current));
    (echo, request)
}

/// The fields that a response to this frame repeats, as far as they can be decoded.
pub(super) fn echo(text: &str) -> Echo {
    let mut echo = Echo::default();
    // The error does not matter here.
    let _ = open(text, &mut echo);
    echo
}

/// The action of a request, for the log.
pub(super) fn name(text: &str) -> &'static str {
    let action = echo(text).action;
    let action = action.and_then(|action| from_str::<String>(action.get()).ok());
    known(&ACTIONS, &action.unwrap_or_default())
}

/// The action and the fields of a request, out of its envelope if it came in one.
fn open<'a>(text: &'a str, echo: &mut Echo) -> Result<(&'a RawValue, Body<'a>), Refusal> {
    let mut body = Body::parse(text)?;
    if let Some(stream) = body.get("stream")
        && body.get("action").is_none()
    {
        kept("stream", stream)?;
        echo.envelope = Envelope::Stream(shared(stream));
        body = match body.get("payload") {
            Some(payload) => Body::parse(payload.get())?,
            None => return Err(required("payload")),
        };
    }
    echo.request_id = body.given("request_id").map(shared);
    let action = body.get("action");
    let action =
        action.ok_or_else(|| Refusal::text(405, "Unable to find action in message body."))?;
    echo.action = Some(shared(action));
    Ok((action, body))
}

fn decode(
    action: &RawValue,
    body: &Body<'_>,
    current: Option<ChatPk>,
) -> Result<(Purpose, Command), Refusal> {
    let name: Option<String> = from_str(action.get()).ok();
    let room = || body.decode::<OfRoom>()?.pk.room();
    let request = match name.as_deref() {
        Some("join_room") => {
            let chat = room()?;
            (Purpose::Join, Command::JoinChat { chat, read: None })
        }
        Some("leave_room") => (Purpose::Leave, Command::LeaveChat { chat: room()? }),
        Some("retrieve") => (Purpose::Show(200), look(room()?, HISTORY)),
        Some("subscribe_to_messages_in_room") => (Purpose::Listen, look(room()?, 0)),
        Some("subscribe_instance") => {
            let request: SubscribeInstance<'_> = body.decode()?;
            let chat = request.pk.room()?;
            let request_id = request.request_id;
            request_id.map_or(Ok(()), |id| kept("request_id", id))?;
            (Purpose::Watch, look(chat, 0))
        }
        Some("unsubscribe_instance") => (Purpose::Unwatch, look(room()?, 0)),
        Some("create_message") => (Purpose::Send, create_message(&body.decode()?, current)?),
        Some("list") => (Purpose::Show(200), list(&body.decode()?)?),
        Some("create") => {
            let (name, team) = validation::new_room(body.decode::<WithData<'_>>()?.data()?)?;
            let name = Some(name);
            (Purpose::Show(201), Command::CreateRoom { name, team })
        }
        Some("update") => {
            let request: WithData<'_> = body.decode()?;
            let chat = request.pk.room()?;
            let change = validation::update(request.data()?)?;
            (Purpose::Show(200), Command::ChangeChat { chat, change })
        }
        Some("patch") => {
            let request: WithData<'_> = body.decode()?;
            let chat = request.pk.room()?;
            let change = validation::patch(request.data()?)?;
            (Purpose::Show(200), Command::ChangeChat { chat, change })
        }
        Some("sync") => sync(&body.decode()?)?,
        Some("whoami") => (Purpose::WhoAmI, Command::WhoAmI),
        Some("delete") => (Purpose::Delete, Command::DeleteChat { chat: room()? }),
        _ => return Err(not_allowed(action)),
    };
    Ok(request)
}

fn look(chat: ChatRef, messages: usize) -> Command {
    Command::GetRoom { chat, messages }
}

fn list(request: &List<'_>) -> Result<Command, Refusal> {
    let (limit, before) = validation::page(request.limit, request.before)?;
    Ok(Command::ListRooms { limit, before })
}

fn sync(request: &Sync<'_>) -> Result<(Purpose, Command), Refusal> {
    let chats = request.chats.map(|chats| from_str(chats.get()));
    let chats = chats.transpose().map_err(|error| not_json(&error))?;
    let chats = chats.as_ref().map(|UntrustedJson(chats)| chats);
    let request = SyncRequest::read(chats, "chats", by_pk);
    let request = request.map_err(|error| Refusal::from(&error))?;
    let command = request.command(None);
    Ok((Purpose::Sync(request), command))
}

fn create_message(
    request: &CreateMessage<'_>,
    current: Option<ChatPk>,
) -> Result<Command, Refusal> {
    let chat = match (&request.pk, current) {
        (Some(pk), _) => pk.room()?,
        (None, Some(current)) => ChatRef::Pk(current),
        (None, None) => return Err(Refusal::text(400, "Join a room first, or give its pk.")),
    };
    Ok(Command::SendMessage {
        user: None,
        chat,
        draft: validation::draft(request.message, request.client_id, request.metadata)?,
    })
}

impl<'a> WithData<'a> {
    fn data(&self) -> Result<&'a RawValue, Refusal> {
        self.data.ok_or_else(|| required("data"))
    }
}

/// The body of a request.
struct Body<'a>(RawFields<'a>);

impl<'a> Body<'a> {
    fn parse(text: &'a str) -> Result<Self, Refusal> {
        let fields = serde_json::from_str(text);
        fields.map(Self).map_err(|error| not_json(&error))
    }

    /// A field that is there.
    fn get(&self, key: &str) -> Option<&'a RawValue> {
        self.0.0.get(key).copied()
    }

    /// A field that is there and not null.
    fn given(&self, key: &str) -> Option<&'a RawValue> {
        self.get(key).filter(|value| value.get() != "null")
    }

    /// The request with these fields.
    fn decode<T: Deserialize<'a>>(&self) -> Result<T, Refusal> {
        let fields = self.0.0.iter().map(|(name, value)| (&**name, *value));
        T::deserialize(MapDeserializer::new(fields)).map_err(|error| not_json(&error))
    }
}

fn not_json(error: &serde_json::Error) -> Refusal {
    let why = if error.is_data() {
        "Expected a JSON object.".to_owned()
    } else {
        format!("JSON parse error - {error}")
    };
    Refusal::text(400, why)
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
    let spelling = match from_str(action.get()) {
        Ok(UntrustedJson(Value::String(name))) => name,
        Ok(UntrustedJson(Value::Null)) => "None".to_owned(),
        Ok(UntrustedJson(Value::Bool(true))) => "True".to_owned(),
        Ok(UntrustedJson(Value::Bool(false))) => "False".to_owned(),
        _ => action.get().to_owned(),
    };
    let shown: String = spelling.chars().take(SHOWN).collect();
    Refusal::text(405, format!("Method \"{shown}\" not allowed."))
}

fn shared(value: &RawValue) -> Arc<RawValue> {
    Arc::from(value.to_owned())
}
