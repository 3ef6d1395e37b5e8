//! The type dialect (PROTOCOL §4): `{"type", "data"}` both ways. Its JSON comes in through
//! `requests`, with the days that a client names in `days`, and goes out through `answers`.
//! It refuses to know who may do what, and remembers nothing from one request to the next.

mod answers;
mod days;
mod requests;

use std::sync::Arc;

use serde_json::Value;

use super::{Dialect, Encoded, Frame, Heard, Listener, Push, Setting, Talk};
use crate::model::{ChatId, Error, Fact, Notice};
use crate::telemetry::Spoken;
use requests::{Envelope, Request};

/// The type dialect (PROTOCOL §4).
pub(super) const DIALECT: Dialect = Dialect {
    paths: &["/ws/chats", "/ws/chat"],
    recognises,
    begin,
};

fn recognises(first: &Value) -> bool {
    first.get("type").is_some()
}

fn begin(setting: Setting) -> Arc<dyn Talk> {
    Arc::new(Conversation { setting })
}

/// One connection that speaks it.
struct Conversation {
    setting: Setting,
}

impl Listener for Conversation {
    /// The original sent nothing unasked (ORIGINALS B1); PROTOCOL §4 lists what polychat
    /// sends. What came of this connection's own request stands in its answer.
    fn tell(&self, notice: &Notice, encoded: &mut Encoded, say: &mut dyn FnMut(Frame)) {
        if self.setting.push == Push::Off || notice.origin == Some(self.setting.connection) {
            return;
        }
        let frame = match &notice.fact {
            Fact::MessageSent(message) => encoded.once("type:message", || {
                Some(answers::message_created(message, None))
            }),
            Fact::MemberJoined(change) => {
                encoded.once("type:joined", || Some(answers::member_joined(change)))
            }
            _ => None,
        };
        if let Some(frame) = frame {
            say(frame);
        }
    }

    fn hears(&self, _: ChatId) -> bool {
        self.setting.push == Push::On
    }
}

impl Talk for Conversation {
    fn hear(self: Arc<Self>, text: &str) -> Heard {
        let envelope = match Envelope::open(text) {
            Ok(envelope) => envelope,
            Err(error) => return Heard::Refuse(error.kind, vec![answers::refusal(&error, None)]),
        };
        let tag = envelope.tag();
        match envelope.request(&self.setting) {
            Ok(Request { command, question }) => {
                let answer = move |outcome| vec![question.answer(outcome, tag.as_deref())];
                Heard::Ask(command, Box::new(answer))
            }
            Err(error) => Heard::Refuse(error.kind, vec![answers::refusal(&error, tag.as_deref())]),
        }
    }

    fn refuse(&self, text: &str, error: &Error) -> Frame {
        let tag = Envelope::open(text)
            .ok()
            .and_then(|envelope| envelope.tag());
        answers::refusal(error, tag.as_deref())
    }

    fn spoken(&self) -> Spoken {
        Spoken::Type
    }

    fn refuse_binary(&self) -> Frame {
        answers::refusal(&requests::refused(requests::NOT_JSON), None)
    }
}

#[cfg(test)]
mod tests;
