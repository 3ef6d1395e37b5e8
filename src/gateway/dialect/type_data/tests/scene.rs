//! Fixtures: Anna, Boris, their chat 7, a fixed clock, and Anna's connection.
//! Does not check results: the tests do.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::super::DIALECT;
use crate::gateway::dialect::fixtures::{decode, respond};
use crate::gateway::dialect::{Acks, Decoded, DialectSession, Push, SessionOptions};
use crate::hub::Outgoing;
use crate::model::{
    Chat, ChatId, Clock, Command, ConnectionId, Error, Message, MessageId, NewUser, Policy,
    Profile, Reply, Room, User, UserId,
};

pub const NO_CHAT: &str = "Chat not found.";
pub const UNEXPECTED: &str = "An unexpected error occurred";

pub fn at(time: &str) -> Timestamp {
    time.parse().expect("a time")
}

pub fn noon() -> Timestamp {
    at("2025-03-01T12:00:00Z")
}

pub fn user(pk: u8, name: &str) -> Arc<User> {
    let new = NewUser {
        id: UserId::from_bytes([pk; 16]),
        external_id: name.to_owned(),
        profile: Profile::default(),
        at: noon(),
        audit: None,
    };
    Arc::new(new.into_user(pk.into()))
}

pub fn anna() -> Arc<User> {
    user(1, "anna")
}

pub fn boris() -> Arc<User> {
    user(2, "boris")
}

/// An open chat of these members.
pub fn room(pk: u8, members: &[Arc<User>]) -> Room {
    let chat = Chat {
        id: ChatId::from_bytes([pk; 16]),
        pk: pk.into(),
        policy: Policy::Open,
        owner: Some(1),
        members: members.iter().map(|member| member.id).collect(),
        created_at: noon(),
        modified_at: noon(),
        active_at: noon(),
        ..Chat::example()
    };
    Room {
        chat,
        members: members.to_vec(),
        messages: Vec::new(),
    }
}

/// The message `seq` of chat 7.
pub fn message(seq: u8, sender: &Arc<User>, text: &str) -> Message {
    Message {
        id: MessageId::from_bytes([seq; 16]),
        chat: ChatId::from_bytes([7; 16]),
        chat_pk: 7,
        seq: seq.into(),
        sender: Arc::clone(sender),
        text: text.to_owned(),
        created_at: noon(),
        modified_at: noon(),
        ..Message::example()
    }
}

/// The first frames for Anna's connection.
pub fn setting() -> SessionOptions {
    SessionOptions {
        connection: ConnectionId::from_bytes([1; 16]),
        user: anna().id,
        clock: Clock::fixed(noon()),
        zone: TimeZone::UTC,
        acks: Acks::Silent,
        push: Push::On,
    }
}

pub fn begin(setting: SessionOptions) -> Arc<dyn DialectSession> {
    (DIALECT.begin)(setting)
}

/// The result of decoding a frame on Anna's connection: a command, or an error.
pub fn decoded_in(setting: SessionOptions, frame: &str) -> Result<Command, Value> {
    match decode(&begin(setting), frame) {
        Decoded::Request(command, _) => Ok(command),
        Decoded::Refused(_, frames) => Err(only(&frames)),
    }
}

pub fn decoded(frame: &Value) -> Result<Command, Value> {
    decoded_in(setting(), &frame.to_string())
}

/// The same for a request.
pub fn request(kind: &str, data: &Value) -> Result<Command, Value> {
    decoded(&json!({"type": kind, "data": data}))
}

/// An error as the client receives it.
pub fn error(message: &str, code: &str) -> Value {
    let retryable = ["rate_limited", "unavailable", "internal"].contains(&code);
    json!({"type": "error", "message": message, "code": code, "retryable": retryable})
}

/// The answer to a request, once the service has returned this.
pub fn answered(frame: &Value, outcome: Result<Reply, Error>) -> Value {
    match decode(&begin(setting()), &frame.to_string()) {
        Decoded::Request(_, answer) => only(&respond(answer, outcome)),
        Decoded::Refused(_, frames) => panic!("no request: {frames:?}"),
    }
}

pub fn text(frame: &Outgoing) -> &str {
    assert_eq!(frame.name, None, "its body is all: {frame:?}");
    frame.body.as_str()
}

/// The one frame that there is, as JSON.
pub fn only(frames: &[Outgoing]) -> Value {
    let [frame] = frames else {
        panic!("not one frame: {frames:?}");
    };
    serde_json::from_str(text(frame)).expect("JSON")
}
