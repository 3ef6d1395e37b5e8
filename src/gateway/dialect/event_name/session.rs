//! One connection's session in the event-name dialect.
//! Does not know the JSON: `requests` and `responses` do.

use std::sync::Arc;

use serde_json::Value;

use super::responses::{CREATE_CHAT, NEW_MESSAGE, SYNC};
use super::{requests, responses};
use crate::gateway::dialect::incoming::{Incoming, RequestRef};
use crate::gateway::dialect::sync::{SyncRequest, by_id};
use crate::gateway::dialect::{Decoded, DialectSession, Respond, Since};
use crate::hub::{Body, Outgoing, SharedEncoding, Subscriber};
use crate::model::{ChatId, Command, ConnectionId, Error, Fact, Notice, Reply, Sent};
use crate::telemetry::DialectLabel;

/// One connection's session; with the id of the connection, if it is known.
pub struct EventNameSession(pub Option<ConnectionId>);

impl Subscriber for EventNameSession {
    fn encode(&self, notice: &Notice, shared: &mut SharedEncoding, sink: &mut dyn FnMut(Outgoing)) {
        let (name, body) = match &notice.fact {
            Fact::MessageSent(message) => {
                let body = shared.body("event-name", || responses::message(message));
                (NEW_MESSAGE, body)
            }
            // Its creator has the chat in the response already.
            Fact::ChatCreated(_) if notice.origin.is_some() && notice.origin == self.0 => return,
            Fact::ChatCreated(chat) => {
                let body = shared.body("event-name", || responses::chat(chat));
                (CREATE_CHAT, body)
            }
            _ => return,
        };
        sink(Outgoing::event(name, body));
    }
}

impl DialectSession for EventNameSession {
    fn label(&self) -> DialectLabel {
        DialectLabel::EventName
    }

    fn decode(self: Arc<Self>, incoming: &Incoming) -> Decoded {
        match request(incoming) {
            Ok((command, respond)) => Decoded::Request(command, respond),
            Err(error) => Decoded::Refused(error.kind, self.refuse(incoming, &error)),
        }
    }

    fn refuse(&self, incoming: &Incoming, error: &Error) -> Vec<Outgoing> {
        vec![refusal(&incoming.request_ref(), error)]
    }

    fn since(&self, auth: &Value) -> Result<Option<Since>, Error> {
        let Some(since) = auth.get("since").filter(|since| !since.is_null()) else {
            return Ok(None);
        };
        let request = SyncRequest::read(Some(since), "auth.since", by_id)?;
        if request.is_empty() {
            return Ok(None);
        }
        Ok(Some(Since {
            chats: request.chats(),
            respond: Box::new(move |reply| match reply {
                Reply::Synced(synced) => responses::replay(&request, synced),
                _ => Vec::new(),
            }),
        }))
    }
}

fn request(incoming: &Incoming) -> Result<(Command, Respond), Error> {
    let event = incoming.event()?;
    let request = RequestRef {
        name: event.name.clone(),
        ack: incoming.ack,
    };
    if event.name == SYNC {
        let (chats, command) = requests::sync(event)?;
        let respond: Respond = Box::new(move |outcome, _| match outcome {
            Ok(Reply::Synced(synced)) => {
                vec![response(&request, SYNC, responses::synced(&chats, &synced))]
            }
            Ok(_) => Vec::new(),
            Err(error) => vec![refusal(&request, &error)],
        });
        return Ok((command, respond));
    }
    let command = requests::command(event)?;
    let respond: Respond = Box::new(move |outcome, delivers| match outcome {
        Ok(reply) if request.ack.is_none() && is_delivered(&reply, delivers) => Vec::new(),
        Ok(reply) => {
            let named = responses::response(&reply).into_iter();
            let frames = named.map(|(name, body)| response(&request, name, body));
            frames.collect()
        }
        Err(error) => vec![refusal(&request, &error)],
    });
    Ok((command, respond))
}

/// A response goes into the acknowledgement, or is an event of its own.
fn response(request: &RequestRef, name: &'static str, body: Arc<Body>) -> Outgoing {
    match request.ack {
        Some(ack) => Outgoing::ack(ack, body),
        None => Outgoing::event(name, body),
    }
}

fn refusal(request: &RequestRef, error: &Error) -> Outgoing {
    match request.ack {
        Some(ack) => Outgoing::ack(ack, responses::refusal(error)),
        None => responses::exception(&request.name, error),
    }
}

/// Whether the response reaches this connection anyway: a new message of a chat whose messages
/// are delivered to it.
fn is_delivered(reply: &Reply, delivers: &dyn Fn(ChatId) -> bool) -> bool {
    match reply {
        Reply::Sent(Sent::Stored(message)) => delivers(message.chat),
        _ => false,
    }
}
