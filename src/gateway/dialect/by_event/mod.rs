//! The marketplace dialect (PROTOCOL §5), on Socket.IO and on the raw WebSocket with the same
//! bodies: `requests` reads them, `answers` writes them, `visitor` is one connection.
//! It refuses to know sockets, and who may do what.

mod answers;
mod requests;
mod visitor;

use std::sync::Arc;

use parking_lot::MutexGuard;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::plain::Plain;
use super::{Dialect, Encoded, Frame, Heard, Json, Listener, Setting, Talk};
use crate::model::{Command, Error, Notice, Reply};
use crate::telemetry::Spoken;

pub use answers::{acknowledged, refused};
pub use requests::{Question, Request, decode};
pub use visitor::Visitor;

/// What a user begins with.
const INITIAL_DATA: &str = "initial_data";
/// A chat with its new messages.
const CHAT_UPDATES: &str = "chat_updates";
/// How many messages of a chat either side has not read.
const CHAT_UNREAD: &str = "chat_unread";
/// Earlier messages of a chat.
const HISTORY: &str = "history";
/// An error.
const DEBUG_INFO: &str = "debug_info";

/// The marketplace dialect (PROTOCOL §5) on the raw WebSocket.
pub(super) const DIALECT: Dialect = Dialect {
    paths: &["/ws/events"],
    recognises,
    begin,
};

fn recognises(first: &Value) -> bool {
    first.get("event").is_some()
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "as the table of dialects has it"
)]
fn begin(setting: Setting) -> Arc<dyn Talk> {
    Arc::new(Conversation(Visitor::new(setting.user, Framing::Raw)))
}

/// How a body is put into a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// As an event of that name.
    SocketIo,
    /// As `{"event": name, "data": body}`.
    Raw,
}

impl Framing {
    /// A body under its name, as a frame.
    pub fn frame(self, name: &'static str, body: Arc<Json>) -> Frame {
        match self {
            Self::SocketIo => Frame::Event(name, body),
            Self::Raw => {
                let envelope = Envelope {
                    event: name,
                    data: &body,
                };
                // A string and what is JSON already: there is nothing that JSON cannot say.
                let text = serde_json::to_string(&envelope).unwrap_or_default();
                Frame::Text(text.into())
            }
        }
    }
}

#[derive(Serialize)]
struct Envelope<'a> {
    event: &'static str,
    data: &'a RawValue,
}

/// One raw WebSocket that speaks it.
struct Conversation(Visitor);

impl Listener for Conversation {
    fn tell(&self, notice: &Notice, encoded: &mut Encoded, say: &mut dyn FnMut(Frame)) {
        self.0.tell(notice, encoded, say);
    }

    fn quiet(&self) -> Option<MutexGuard<'_, ()>> {
        self.0.quiet()
    }

    fn opening(&self) -> Option<Command> {
        self.0.opening()
    }

    fn opened(&self, reply: Reply, say: &mut dyn FnMut(Frame)) {
        self.0.opened(reply, say);
    }
}

impl Talk for Conversation {
    fn hear(self: Arc<Self>, text: &str) -> Heard {
        let (name, body) = match open(text) {
            Ok(opened) => opened,
            Err(error) => {
                return Heard::Refuse(error.kind, vec![answers::refused(Framing::Raw, "", &error)]);
            }
        };
        match requests::decode(&name, &body) {
            Ok(Request { command, question }) => {
                let answer = move |outcome| match outcome {
                    Ok(reply) => self.0.answer(&question, &reply),
                    Err(error) => vec![answers::refused(Framing::Raw, &name, &error)],
                };
                Heard::Ask(command, Box::new(answer))
            }
            Err(error) => Heard::Refuse(
                error.kind,
                vec![answers::refused(Framing::Raw, &name, &error)],
            ),
        }
    }

    fn refuse(&self, text: &str, error: &Error) -> Frame {
        let name = open(text).map(|(name, _)| name).unwrap_or_default();
        answers::refused(Framing::Raw, &name, error)
    }

    fn spoken(&self) -> Spoken {
        Spoken::Marketplace
    }

    fn refuse_binary(&self) -> Frame {
        let error = Error::invalid("frame", "must be text");
        answers::refused(Framing::Raw, "", &error)
    }
}

/// The name and the body in a frame; a missing body is an empty one.
fn open(text: &str) -> Result<(String, Value), Error> {
    let Plain(frame) = serde_json::from_str(text)
        .map_err(|error| Error::invalid("frame", &format!("is not JSON: {error}")))?;
    let Value::Object(mut frame) = frame else {
        return Err(Error::invalid("frame", "must be an object"));
    };
    let body = match frame.remove("data") {
        None | Some(Value::Null) => json!({}),
        Some(body) => body,
    };
    match frame.remove("event") {
        Some(Value::String(name)) => Ok((name, body)),
        None => Err(Error::invalid("event", "is missing")),
        Some(_) => Err(Error::invalid("event", "must be a string")),
    }
}

#[cfg(test)]
mod tests;
