//! One connection's session in the type dialect.
//! Does not know the JSON: `requests` and `responses` do. Remembers nothing between requests.

use std::sync::Arc;

use super::requests::Envelope;
use super::responses;
use super::texts::{NOT_JSON, invalid};
use crate::gateway::dialect::{Decoded, DialectSession, Incoming, Push, Respond, SessionOptions};
use crate::gateway::request_log::UNKNOWN;
use crate::hub::{AnswerPlace, Outgoing, SharedEncoding, Subscriber};
use crate::model::{ChatId, Error, Fact, Notice};
use crate::telemetry::DialectLabel;

/// One connection's session.
pub(super) struct TypeSession {
    options: SessionOptions,
}

impl TypeSession {
    pub(super) fn new(options: SessionOptions) -> Self {
        Self { options }
    }
}

impl Subscriber for TypeSession {
    /// The original server sent no notices; docs/protocols/type.md lists those of polychat. The
    /// effect of this connection's own request is in its response.
    fn encode(&self, notice: &Notice, shared: &mut SharedEncoding, sink: &mut dyn FnMut(Outgoing)) {
        if self.options.push == Push::Off || notice.is_from(self.options.connection) {
            return;
        }
        let body = match &notice.fact {
            Fact::MessageSent(message) => {
                shared.body("type:message", || responses::message_created(message, None))
            }
            Fact::MemberJoined(change) => {
                shared.body("type:joined", || responses::member_joined(change))
            }
            _ => return,
        };
        sink(Outgoing::bare(body));
    }

    fn is_subscribed(&self, _: ChatId) -> bool {
        self.options.push == Push::On
    }

    fn answer_place(&self, _: ChatId) -> AnswerPlace {
        match self.options.push {
            Push::On => AnswerPlace::Instead,
            Push::Off => AnswerPlace::Apart,
        }
    }
}

impl DialectSession for TypeSession {
    fn label(&self) -> DialectLabel {
        DialectLabel::Type
    }

    fn decode(self: Arc<Self>, incoming: &Incoming) -> Decoded {
        let refused = |error: Error| Decoded::Refused(error.kind, self.refuse(incoming, &error));
        let envelope = match Envelope::open(&incoming.text) {
            Ok(envelope) => envelope,
            Err(error) => return refused(error),
        };
        match envelope.request(&self.options) {
            Ok((command, question)) => {
                let request_id = envelope.request_id();
                let respond: Respond = Box::new(move |outcome, _| {
                    let body = question.answer(outcome, request_id.as_deref());
                    vec![Outgoing::bare(body)]
                });
                Decoded::Request(command, respond)
            }
            Err(error) => refused(error),
        }
    }

    fn request_name(&self, incoming: &Incoming) -> &'static str {
        let envelope = Envelope::open(&incoming.text).ok();
        envelope.map_or(UNKNOWN, |envelope| envelope.name())
    }

    fn refuse(&self, incoming: &Incoming, error: &Error) -> Vec<Outgoing> {
        let envelope = Envelope::open(&incoming.text).ok();
        let request_id = envelope.and_then(|envelope| envelope.request_id());
        vec![Outgoing::bare(responses::refusal(
            error,
            request_id.as_deref(),
        ))]
    }

    fn not_text(&self) -> Error {
        invalid(NOT_JSON)
    }
}
