//! One connection's session in the action dialect.
//! Does not know the JSON: `requests` and `responses` do.

use std::sync::Arc;

use parking_lot::Mutex;

use super::people::Me;
use super::refusal::Refusal;
use super::requests::{self, Purpose};
use super::responses::{self, Bodies, Echo, Envelope};
use super::subscriptions::Subscriptions;
use crate::gateway::dialect::cursors::VisibleText;
use crate::gateway::dialect::{Acks, Decoded, DialectSession, Incoming, SessionOptions};
use crate::hub::{AnswerPlace, Body, Outgoing, SharedEncoding, Subscriber};
use crate::model::{ChatId, Error, ErrorKind, Fact, ListedMembers, Message, Notice, Reply, Room};
use crate::telemetry::DialectLabel;

/// One connection's session.
pub(super) struct ActionSession {
    options: SessionOptions,
    subscriptions: Mutex<Subscriptions>,
}

impl DialectSession for ActionSession {
    fn label(&self) -> DialectLabel {
        DialectLabel::Action
    }

    fn decode(self: Arc<Self>, incoming: &Incoming) -> Decoded {
        let current = self.subscriptions.lock().current();
        let (echo, request) = requests::read(&incoming.text, current);
        match request {
            Ok((purpose, command)) => Decoded::Request(
                command,
                Box::new(move |outcome, _| {
                    let frame = outcome
                        .map_err(|error| Refusal::from(&error))
                        .and_then(|reply| self.respond(&echo, &purpose, &reply));
                    let frame = frame.unwrap_or_else(|refusal| Some(echo.refuse(&refusal)));
                    frame.into_iter().collect()
                }),
            ),
            Err(refusal) => Decoded::Refused(refusal.kind(), vec![echo.refuse(&refusal)]),
        }
    }

    fn request_name(&self, incoming: &Incoming) -> &'static str {
        requests::name(&incoming.text)
    }

    fn refuse(&self, incoming: &Incoming, error: &Error) -> Vec<Outgoing> {
        let echo = requests::echo(&incoming.text);
        vec![echo.refuse(&Refusal::from(error))]
    }

    fn not_text(&self) -> Error {
        Error::new(ErrorKind::Invalid, "A frame must be text.")
    }

    fn watches(&self, chat: ChatId) -> bool {
        self.subscriptions.lock().watches(chat)
    }
}

impl Subscriber for ActionSession {
    fn encode(&self, notice: &Notice, shared: &mut SharedEncoding, sink: &mut dyn FnMut(Outgoing)) {
        match &notice.fact {
            Fact::MessageSent(message) => self.encode_message(message, shared, sink),
            Fact::MembersListed(listed) => {
                if !notice.is_from(self.options.connection) {
                    self.encode_members(listed, shared, sink);
                }
            }
            Fact::ChatChanged(room) => self.encode_change(room, shared, sink),
            Fact::ChatDeleted { chat, pk } => {
                let watching = self.subscriptions.lock().forget(*chat, *pk);
                for instance in watching {
                    sink(responses::deleted(&instance, *pk));
                }
            }
            Fact::ChatCreated(_)
            | Fact::MemberJoined(_)
            | Fact::MemberLeft(_)
            | Fact::EventChatOpened(_)
            | Fact::AccessChanged(_)
            | Fact::ReadMoved(_)
            | Fact::RoleSet(_)
            | Fact::Muted(_)
            | Fact::Banned(_)
            | Fact::MembersConfirmed(_)
            | Fact::MembersUncertain(_)
            | Fact::CreationUncertain(_)
            | Fact::DeletionUncertain { .. }
            | Fact::Disconnected(_)
            | Fact::TokensRevoked { .. }
            | Fact::UserChanged { .. } => {}
        }
    }

    fn is_subscribed(&self, chat: ChatId) -> bool {
        self.subscriptions.lock().listening(chat).is_some()
    }

    fn answer_place(&self, chat: ChatId) -> AnswerPlace {
        let listening = self.subscriptions.lock().listening(chat);
        let acknowledges = self.options.acks == Acks::Always;
        match listening {
            Some(envelope) if acknowledges || envelope.is_stream() => AnswerPlace::Beside,
            // It receives no responses to its own messages.
            Some(_) => AnswerPlace::Apart,
            None => AnswerPlace::NotYet,
        }
    }
}

impl ActionSession {
    pub(super) fn new(options: SessionOptions) -> Self {
        Self {
            options,
            subscriptions: Mutex::default(),
        }
    }

    /// Applies the changes of a successful request to its connection, and encodes the response
    /// unless the request succeeds silently.
    fn respond(
        &self,
        echo: &Echo,
        purpose: &Purpose,
        reply: &Reply,
    ) -> Result<Option<Outgoing>, Refusal> {
        let frame = match (purpose, reply) {
            (Purpose::Join, Reply::Joined(joined)) => {
                let envelope = echo.envelope.clone();
                self.subscriptions.lock().join(&joined.chat, envelope);
                self.acknowledge(echo)
            }
            (Purpose::Leave, Reply::Left { chat, .. }) => {
                self.subscriptions.lock().leave(*chat);
                self.acknowledge(echo)
            }
            (Purpose::Listen, Reply::Room(room)) => {
                let envelope = echo.envelope.clone();
                self.subscriptions.lock().listen(room.chat.id, envelope);
                self.acknowledge(echo)
            }
            (Purpose::Watch, Reply::Room(room)) => {
                self.subscriptions
                    .lock()
                    .watch(room.chat.id, echo.instance())?;
                Some(echo.reply(201, &()))
            }
            (Purpose::Unwatch, Reply::Room(room)) => {
                let request_id = echo.request_id.as_deref();
                self.subscriptions.lock().unwatch(room.chat.id, request_id);
                Some(echo.reply(204, &()))
            }
            (Purpose::Send, Reply::Sent(sent)) => self.acknowledges(echo).then(|| {
                let message = self.bodies().message(sent.message());
                echo.reply(200, &message)
            }),
            (Purpose::Show(status), Reply::Room(room)) => {
                Some(echo.reply(*status, &self.bodies().room(room)))
            }
            (Purpose::Show(status), Reply::Rooms(page)) => {
                let next = page.next.map(|next| VisibleText(next).to_string());
                Some(echo.page(*status, &self.bodies().rooms(&page.rooms), next))
            }
            (Purpose::Sync(request), Reply::Synced(synced)) => {
                let body = request.response(synced, |message| self.bodies().numbered(message));
                Some(echo.reply(200, &body))
            }
            (Purpose::WhoAmI, Reply::Me(me)) => Some(echo.reply(200, &Me::of(me))),
            (Purpose::Delete, Reply::Deleted { .. }) => Some(echo.reply(204, &())),
            _ => return Err(unexpected()),
        };
        Ok(frame)
    }

    /// The reply to a request that succeeds silently, if the client wants one.
    fn acknowledge(&self, echo: &Echo) -> Option<Outgoing> {
        self.acknowledges(echo).then(|| echo.reply(200, &()))
    }

    fn acknowledges(&self, echo: &Echo) -> bool {
        self.options.acks == Acks::Always || echo.envelope.is_stream()
    }

    fn bodies(&self) -> Bodies<'_> {
        Bodies {
            zone: &self.options.zone,
        }
    }

    fn encode_message(
        &self,
        message: &Message,
        shared: &mut SharedEncoding,
        sink: &mut dyn FnMut(Outgoing),
    ) {
        let listening = self.subscriptions.lock().listening(message.chat);
        if let Some(envelope) = listening {
            let plain = shared.body("action:message", || self.bodies().message_event(message));
            sink_wrapped(&envelope, plain, sink);
        }
    }

    fn encode_members(
        &self,
        listed: &ListedMembers,
        shared: &mut SharedEncoding,
        sink: &mut dyn FnMut(Outgoing),
    ) {
        let concerned = self.subscriptions.lock().concerned(listed.chat);
        if let Some(envelope) = concerned {
            let plain = shared.body("action:members", || responses::members(listed));
            sink_wrapped(&envelope, plain, sink);
        }
    }

    fn encode_change(
        &self,
        room: &Room,
        shared: &mut SharedEncoding,
        sink: &mut dyn FnMut(Outgoing),
    ) {
        let watching = self.subscriptions.lock().watching(room.chat.id);
        if watching.is_empty() {
            return;
        }
        // Every subscription has a frame of its own around the same room.
        let room = shared.body("action:room", || Body::of(&self.bodies().room(room)));
        for instance in watching {
            sink(responses::updated(&instance, &room));
        }
    }
}

fn sink_wrapped(envelope: &Envelope, plain: Arc<Body>, sink: &mut dyn FnMut(Outgoing)) {
    sink(Outgoing::bare(envelope.around(plain)));
}

fn unexpected() -> Refusal {
    Refusal::from(&Error::new(
        ErrorKind::Internal,
        "the answer is of another kind than the request",
    ))
}
