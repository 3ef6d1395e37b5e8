//! One connection's session in the marketplace dialect: its initial data, and the parts of it that
//! must not be sent twice.
//! Does not know the JSON: `requests` and `responses` do.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use super::echoes::Echoes;
use super::requests::Question;
use super::responses::{CHAT_UNREAD, CHAT_UPDATES, INITIAL_DATA};
use super::{requests, responses};
use crate::gateway::dialect::{Decoded, DialectSession, Incoming, RequestRef, SessionOptions};
use crate::gateway::request_log::known;
use crate::hub::{Outgoing, SharedEncoding, Subscriber};
use crate::model::{
    ChatId, Command, ConnectionId, Error, EventChat, EventChatSnapshot, EventChatState, Fact,
    Marketplace, Message, Notice, Reply, RequestNumber, Sent, Seq, Side, UserId,
};
use crate::telemetry::DialectLabel;

/// How many notices wait for `initial_data` at most; with more it is read once more.
const HELD: usize = 4096;

/// One connection's session.
pub struct MarketplaceSession {
    user: UserId,
    /// Of a raw WebSocket, where the frame that answers a request echoes its `request_id`.
    connection: Option<ConnectionId>,
    echoes: Mutex<Echoes>,
    phase: Mutex<Phase>,
    /// Held while a notice is encoded.
    delivery: Mutex<()>,
}

/// The phase of the session.
enum Phase {
    /// `initial_data` is being read; the notices queue.
    Opening(Vec<Notice>),
    /// `initial_data` was sent.
    Open(KnownChats),
}

/// The chats that the client has been sent.
type KnownChats = HashMap<ChatId, KnownChat>;

/// One chat that the client has been sent.
struct KnownChat {
    /// The latest message that `initial_data` may have shown: up to it none is sent again.
    shown: Seq,
    /// The latest message that was delivered.
    delivered: Seq,
    /// The latest state that the client was sent.
    state: EventChatState,
}

impl MarketplaceSession {
    /// A session of this user, which was sent nothing yet.
    pub fn new(user: UserId) -> Self {
        Self {
            user,
            connection: None,
            echoes: Mutex::default(),
            phase: Mutex::new(Phase::Opening(Vec::new())),
            delivery: Mutex::default(),
        }
    }

    /// The session of a raw WebSocket.
    pub(super) fn raw(options: &SessionOptions) -> Self {
        Self {
            connection: Some(options.connection),
            ..Self::new(options.user)
        }
    }

    /// The events that answer a request, and then its acknowledgement, if it requested one. Events
    /// that the hub sends to both sides are not sent twice. `number`: of a request whose
    /// `request_id` is to be echoed.
    pub(super) fn respond(
        &self,
        request: &RequestRef,
        number: Option<RequestNumber>,
        question: &Question,
        reply: &Reply,
    ) -> Vec<Outgoing> {
        // The state in a response that is not sent must not count as known to the client.
        let is_delivered = self.is_delivered(reply) && !self.was_delivered(number, reply);
        if is_delivered && request.ack.is_none() {
            return Vec::new();
        }
        let refresh = |chat: &_| self.refresh(chat);
        let Some(event) = responses::response(question, reply, self.user, &refresh) else {
            return Vec::new();
        };
        let ack = request
            .ack
            .map(|ack| Outgoing::ack(ack, Arc::clone(&event.body)));
        let request_id = number.and_then(|number| self.echoes.lock().take(number));
        let event = (!is_delivered).then(|| event.with_request_id(request_id));
        event.into_iter().chain(ack).collect()
    }

    /// Whether the hub delivers the content of the reply to this connection.
    fn is_delivered(&self, reply: &Reply) -> bool {
        match reply {
            Reply::Sent(sent) => matches!(sent, Sent::Stored(_)),
            Reply::Read(marked) => marked.moved,
            // A service that decides for an owner is on neither side.
            Reply::EventChat(touched) => {
                touched.changed && touched.chat.side_of(self.user).is_some()
            }
            _ => false,
        }
    }

    /// Whether the message of this request was delivered without its `request_id`: it was read from
    /// the store, which does not keep where a message came from. If it is still to be delivered its
    /// `request_id` waits for that.
    fn was_delivered(&self, number: Option<RequestNumber>, reply: &Reply) -> bool {
        let (Some(number), Reply::Sent(sent)) = (number, reply) else {
            return false;
        };
        let (chat, seq) = (sent.message().chat, sent.message().seq);
        let delivered = match &*self.phase.lock() {
            Phase::Open(known) => known.get(&chat).map_or(0, |known| known.delivered),
            Phase::Opening(_) => 0,
        };
        let mut echoes = self.echoes.lock();
        if delivered < seq {
            echoes.stored(number, chat, seq);
            return false;
        }
        echoes.is_waiting(number)
    }

    /// The `request_id` of the request that this notice answers, on the connection that sent it.
    fn echo(&self, notice: &Notice) -> Option<Arc<str>> {
        let connection = self.connection?;
        let mut echoes = self.echoes.lock();
        let own = notice.origin.filter(|_| notice.is_from(connection));
        let request_id = own.and_then(|origin| echoes.take(origin.request?));
        request_id.or_else(|| match &notice.fact {
            Fact::MessageSent(message) => echoes.take_of(message.chat, message.seq),
            _ => None,
        })
    }

    /// The chat with the latest state that this connection was sent: a response may have been
    /// read from the store before that.
    fn refresh(&self, chat: &Arc<EventChat>) -> Arc<EventChat> {
        match &mut *self.phase.lock() {
            Phase::Open(known) => refresh(known, chat),
            Phase::Opening(_) => Arc::clone(chat),
        }
    }

    /// Encodes `notice` for this side, given the chats that the client knows.
    fn encode_open(
        &self,
        known: &mut KnownChats,
        notice: &Notice,
        shared: &mut SharedEncoding,
        sink: &mut dyn FnMut(Outgoing),
    ) {
        let Some(announced) = notice.fact.event_chat() else {
            return;
        };
        let Some(side) = announced.side_of(self.user) else {
            return;
        };
        let chat = refresh(known, announced);
        let shown = known.get_mut(&chat.chat).map_or(0, |known| {
            if let Fact::MessageSent(message) = &notice.fact {
                known.delivered = known.delivered.max(message.seq);
            }
            known.shown
        });
        // This client was sent a later state than the notice has: no other client gets this body.
        let mut alone = SharedEncoding::default();
        let shared = if announced.state == chat.state {
            shared
        } else {
            &mut alone
        };
        let answer = |frame: Outgoing| frame.with_request_id(self.echo(notice));
        match &notice.fact {
            Fact::MessageSent(message) => {
                if message.seq > shown {
                    sink(answer(update(side, &chat, Some(message), shared)));
                }
                sink(unread(side, &chat, shared));
            }
            Fact::EventChatOpened(_) if side == Side::Guest => {
                sink(answer(update(side, &chat, None, shared)));
            }
            Fact::AccessChanged(_) => sink(answer(update(side, &chat, None, shared))),
            Fact::ReadMoved(_) => sink(answer(unread(side, &chat, shared))),
            _ => {}
        }
    }

    fn open(&self, market: &Marketplace, sink: &mut dyn FnMut(Outgoing)) {
        let body = responses::initial_data(self.user, market);
        let chats = market.chats.iter();
        let mut known = chats
            .map(|EventChatSnapshot { chat, .. }| {
                let known = KnownChat {
                    shown: chat.state.head,
                    delivered: 0,
                    state: chat.state,
                };
                (chat.chat, known)
            })
            .collect();
        // Deliveries wait for this lock meanwhile, so nothing comes before the initial data.
        let mut phase = self.phase.lock();
        let Phase::Opening(held) = &mut *phase else {
            return;
        };
        if held.len() >= HELD {
            held.clear();
            return;
        }
        sink(Outgoing::event(INITIAL_DATA, body));
        for notice in std::mem::take(held) {
            self.encode_open(&mut known, &notice, &mut SharedEncoding::default(), sink);
        }
        *phase = Phase::Open(known);
    }
}

fn update(
    side: Side,
    chat: &EventChat,
    message: Option<&Arc<Message>>,
    shared: &mut SharedEncoding,
) -> Outgoing {
    let key = match side {
        Side::Owner => "marketplace:owner",
        Side::Guest => "marketplace:guest",
    };
    let message = message.map(|message| &**message);
    let body = shared.body(key, || responses::chat_updates(side, chat, message));
    Outgoing::event(CHAT_UPDATES, body)
}

fn unread(side: Side, chat: &EventChat, shared: &mut SharedEncoding) -> Outgoing {
    let key = match side {
        Side::Owner => "marketplace:owner:unread",
        Side::Guest => "marketplace:guest:unread",
    };
    let body = shared.body(key, || responses::chat_unread(side, chat));
    Outgoing::event(CHAT_UNREAD, body)
}

/// The chat with the latest state of this report and of those that the client was sent; records it.
fn refresh(known: &mut KnownChats, chat: &Arc<EventChat>) -> Arc<EventChat> {
    let known = known.entry(chat.chat).or_insert(KnownChat {
        shown: 0,
        delivered: 0,
        state: chat.state,
    });
    known.state.merge(chat.state);
    if known.state == chat.state {
        return Arc::clone(chat);
    }
    Arc::new(EventChat {
        state: known.state,
        ..EventChat::clone(chat)
    })
}

impl Subscriber for MarketplaceSession {
    fn encode(&self, notice: &Notice, shared: &mut SharedEncoding, sink: &mut dyn FnMut(Outgoing)) {
        let _delivery = self.delivery.lock();
        match &mut *self.phase.lock() {
            Phase::Opening(held) if held.len() < HELD => {
                if notice.fact.event_chat().is_some() {
                    held.push(notice.clone());
                }
            }
            Phase::Opening(_) => {}
            Phase::Open(known) => self.encode_open(known, notice, shared, sink),
        }
    }
}

impl DialectSession for MarketplaceSession {
    fn label(&self) -> DialectLabel {
        DialectLabel::Marketplace
    }

    fn decode(self: Arc<Self>, incoming: &Incoming) -> Decoded {
        let decoded = incoming.event().and_then(|event| {
            let request = RequestRef {
                name: event.name.clone(),
                ack: incoming.ack,
                request_id: event.request_id.clone(),
            };
            let decoded = requests::decode(event)?;
            Ok((request, decoded))
        });
        let echoed = decoded.as_ref().ok();
        let echoed = echoed.and_then(|(request, _)| request.request_id.as_ref());
        let number = self.echoes.lock().begin(echoed);
        match decoded {
            Ok((request, (command, question))) => Decoded::Request(
                command,
                Box::new(move |outcome, _| match outcome {
                    Ok(reply) => self.respond(&request, number, &question, &reply),
                    Err(error) => {
                        number.and_then(|number| self.echoes.lock().take(number));
                        refusal(&request, &error)
                    }
                }),
            ),
            Err(error) => Decoded::Refused(error.kind, self.refuse(incoming, &error)),
        }
    }

    fn request_number(&self) -> Option<RequestNumber> {
        self.echoes.lock().decoded()
    }

    fn request_name(&self, incoming: &Incoming) -> &'static str {
        known(&requests::EVENTS, &incoming.request_ref().name)
    }

    fn refuse(&self, incoming: &Incoming, error: &Error) -> Vec<Outgoing> {
        refusal(&incoming.request_ref(), error)
    }

    fn opening(&self) -> Option<Command> {
        let opening = matches!(*self.phase.lock(), Phase::Opening(_));
        opening.then_some(Command::EnterMarketplace)
    }

    fn opened(&self, reply: Reply, sink: &mut dyn FnMut(Outgoing)) {
        if let Reply::Marketplace(market) = reply {
            self.open(&market, sink);
        }
    }

    fn delivery_lock(&self) -> Option<MutexGuard<'_, ()>> {
        Some(self.delivery.lock())
    }
}

/// `debug_info`, and with an acknowledgement the error in that, too.
fn refusal(request: &RequestRef, error: &Error) -> Vec<Outgoing> {
    let event = responses::refused(&request.name, error);
    let event = event.with_request_id(request.request_id.clone());
    let ack = request
        .ack
        .map(|ack| Outgoing::ack(ack, responses::acknowledged(&request.name, error)));
    [event].into_iter().chain(ack).collect()
}
