//! One connection's session in the event-name dialect.
//! Does not know the JSON: `requests` and `responses` do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use super::responses::{BAN_USER, CREATE_CHAT, MUTE_USER, NEW_MESSAGE, SET_ROLE, SYNC};
use super::{moderation, requests, responses};
use crate::gateway::dialect::incoming::{Incoming, RequestRef};
use crate::gateway::dialect::sync::{SyncRequest, by_id};
use crate::gateway::dialect::{Decoded, DialectSession, Respond, Since};
use crate::gateway::request_log::known;
use crate::hub::{Body, Outgoing, SharedEncoding, Subscriber};
use crate::model::{Command, ConnectionId, Error, Fact, Message, Notice, Reply, Sent};
use crate::telemetry::DialectLabel;

/// One connection's session.
pub struct EventNameSession {
    /// Which connection, if that is known.
    connection: Option<ConnectionId>,
    /// Whether a response is sent as an event besides the acknowledgement. With `retries`,
    /// socket.io-client requests an acknowledgement of every event, also where its user waits for
    /// the event of the same name; a server cannot distinguish the two.
    both: AtomicBool,
}

impl EventNameSession {
    /// A session of this connection, if it is known.
    pub fn new(connection: Option<ConnectionId>) -> Self {
        let both = AtomicBool::new(false);
        Self { connection, both }
    }

    /// How the answer to a request is sent.
    fn channels(&self, request: RequestRef) -> Channels {
        let event = request.ack.is_none() || self.both.load(Ordering::Acquire);
        Channels { request, event }
    }
}

impl Subscriber for EventNameSession {
    fn encode(&self, notice: &Notice, shared: &mut SharedEncoding, sink: &mut dyn FnMut(Outgoing)) {
        let (name, body) = match &notice.fact {
            Fact::MessageSent(message) => {
                let body = shared.body("event-name", || responses::message(message));
                (NEW_MESSAGE, body)
            }
            // It has the same in the response already.
            Fact::ChatCreated(_) | Fact::RoleSet(_) | Fact::Muted(_) | Fact::Banned(_)
                if self.connection.is_some_and(|own| notice.is_from(own)) =>
            {
                return;
            }
            Fact::ChatCreated(chat) => {
                let body = shared.body("event-name", || responses::chat(chat));
                (CREATE_CHAT, body)
            }
            Fact::RoleSet(change) => {
                let body = shared.body("event-name", || moderation::role_set(change));
                (SET_ROLE, body)
            }
            Fact::Muted(change) => {
                let body = shared.body("event-name", || moderation::muted(change));
                (MUTE_USER, body)
            }
            Fact::Banned(change) => {
                let body = shared.body("event-name", || moderation::banned(change));
                (BAN_USER, body)
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
        match self.request(incoming) {
            Ok((command, respond)) => Decoded::Request(command, respond),
            Err(error) => Decoded::Refused(error.kind, self.refuse(incoming, &error)),
        }
    }

    fn request_name(&self, incoming: &Incoming) -> &'static str {
        known(&requests::EVENTS, &incoming.request_ref().name)
    }

    fn refuse(&self, incoming: &Incoming, error: &Error) -> Vec<Outgoing> {
        self.channels(incoming.request_ref()).refuse(error)
    }

    /// The answers come as events, too, with `answers: "both"`.
    fn handshake(&self, options: &Value) {
        if options.get("answers").and_then(Value::as_str) == Some("both") {
            self.both.store(true, Ordering::Release);
        }
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

impl EventNameSession {
    fn request(&self, incoming: &Incoming) -> Result<(Command, Respond), Error> {
        let event = incoming.event()?;
        let channels = self.channels(RequestRef {
            request_id: None,
            name: event.name.clone(),
            ack: incoming.ack,
        });
        if event.name == SYNC {
            let (chats, command) = requests::sync(event)?;
            let respond: Respond = Box::new(move |outcome, _| match outcome {
                Ok(Reply::Synced(synced)) => {
                    channels.answer(SYNC, responses::synced(&chats, &synced))
                }
                Ok(_) => Vec::new(),
                Err(error) => channels.refuse(&error),
            });
            return Ok((command, respond));
        }
        let command = requests::command(event)?;
        let respond: Respond = Box::new(move |outcome, delivers| match outcome {
            Ok(reply) => channels.but_for_delivered(&reply, delivers).reply(&reply),
            Err(error) => channels.refuse(&error),
        });
        Ok((command, respond))
    }
}

/// Where the answer to a request goes: into its acknowledgement if it has one, and, or else, into
/// an event of its own.
struct Channels {
    request: RequestRef,
    /// Whether it is sent as an event.
    event: bool,
}

impl Channels {
    /// The same without the event if that reaches this connection anyway: a new message of a chat
    /// whose messages are delivered to it. One that was stored before, and is sent again, too, if
    /// it has an acknowledgement to answer it.
    fn but_for_delivered(self, reply: &Reply, delivers: &dyn Fn(&Message) -> bool) -> Self {
        let is_delivered = match reply {
            Reply::Sent(Sent::Stored(message)) => delivers(message),
            Reply::Sent(Sent::Repeated(message)) => self.request.ack.is_some() && delivers(message),
            _ => false,
        };
        let event = self.event && !is_delivered;
        Self { event, ..self }
    }

    fn reply(&self, reply: &Reply) -> Vec<Outgoing> {
        if !self.event && self.request.ack.is_none() {
            return Vec::new();
        }
        let answer = responses::response(reply);
        answer.map_or_else(Vec::new, |(name, body)| self.answer(name, body))
    }

    fn answer(&self, name: &'static str, body: Arc<Body>) -> Vec<Outgoing> {
        let event = self.event.then(|| Outgoing::event(name, Arc::clone(&body)));
        let ack = self.request.ack.map(|ack| Outgoing::ack(ack, body));
        event.into_iter().chain(ack).collect()
    }

    fn refuse(&self, error: &Error) -> Vec<Outgoing> {
        let exception = || responses::exception(&self.request.name, error);
        let event = self.event.then(exception);
        let ack = self.request.ack;
        let ack = ack.map(|ack| Outgoing::ack(ack, responses::refusal(error)));
        event.into_iter().chain(ack).collect()
    }
}
