//! The requests of one socket, begun in the order in which they came in.
//! It refuses to know sockets and transports: answers go into the outbox.
//!
//! `socketioxide` runs each event's handler as a task of its own, and such tasks overtake each
//! other. So a handler only queues its event before it becomes a task; the first task to find
//! the queue unattended attends to it until it is empty.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use parking_lot::Mutex;
use socketioxide::handler::Value;
use tokio::sync::Notify;

use super::session::Session;
use super::wire::{self, Request};
use crate::gateway::connection::Connection;
use crate::gateway::dialect::Frame;
use crate::model::{Command, Error, Reply, Sent};
use crate::service::Begun;

/// How many messages of one socket may be on their way into the store at once.
const SENDING: usize = 256;

/// How many events may wait before no more are read from the connection.
const HOLD_AT: usize = 256;

/// How many must be left for reading to go on.
const RELEASE_AT: usize = 64;

/// How many events may wait at all: a single polling request can bring that many.
const WAITING: usize = 8192;

/// How long a client is asked to wait that had more events waiting than that.
const RETRY_AFTER_MS: u64 = 1000;

/// An event as the socket gave it.
pub struct Event {
    /// The whole packet: an array that begins with the event's name.
    pub packet: Value,
    /// The number under which the client waits for an acknowledgement.
    pub ack: Option<i64>,
}

/// One socket's requests.
pub struct Conversation {
    /// Who is speaking.
    pub connection: Connection,
    /// What is spoken over.
    pub session: Arc<Session>,
    inbox: Mutex<Inbox>,
    more: Notify,
}

#[derive(Default)]
struct Inbox {
    waiting: VecDeque<Event>,
    attended: bool,
    holding: bool,
}

/// How an answer finds the request that it belongs to.
struct Asked {
    name: String,
    ack: Option<i64>,
}

impl Conversation {
    /// A conversation in which nothing has been said.
    pub fn new(connection: Connection, session: Arc<Session>) -> Self {
        Self {
            connection,
            session,
            inbox: Mutex::default(),
            more: Notify::new(),
        }
    }

    /// Queues an event, without waiting for anything. Answers whether the caller has to
    /// [`Conversation::attend`].
    pub fn queue(&self, event: Event) -> bool {
        let mut inbox = self.inbox.lock();
        if inbox.waiting.len() >= WAITING {
            drop(inbox);
            self.refuse(&event);
            return false;
        }
        inbox.waiting.push_back(event);
        if inbox.waiting.len() >= HOLD_AT && !inbox.holding {
            inbox.holding = true;
            self.session.hold();
        }
        self.more.notify_one();
        !std::mem::replace(&mut inbox.attended, true)
    }

    /// Serves what is queued until there is nothing left. Messages wait for the store
    /// together; everything else waits for the messages before it. Answers are given in the
    /// order of the requests.
    pub async fn attend(self: Arc<Self>) {
        let mut sending = FuturesOrdered::new();
        loop {
            let idle = sending.is_empty();
            let full = sending.len() >= SENDING;
            let event = tokio::select! {
                biased;
                Some((asked, stored)) = sending.next() => {
                    self.answer(asked, stored).await;
                    continue;
                }
                event = self.next(idle), if !full => event,
            };
            let Some(event) = event else { return };
            self.connection.outbox().has_room().await;
            let (asked, command) = open(&event);
            if !matches!(command, Ok(Command::SendMessage { .. })) {
                while let Some((asked, stored)) = sending.next().await {
                    self.answer(asked, stored).await;
                }
            }
            let begun = match command {
                Ok(command) => self.connection.begin(command).await,
                Err(error) => Begun::from(Err(error)),
            };
            if matches!(begun, Begun::Done(_)) && sending.is_empty() {
                self.answer(asked, begun.await).await;
            } else {
                sending.push_back(async { (asked, begun.await) });
            }
        }
    }

    /// The next event; `None`: there is none, and nobody attends any longer. With messages
    /// still on their way it waits instead.
    async fn next(&self, idle: bool) -> Option<Event> {
        loop {
            {
                let mut inbox = self.inbox.lock();
                if inbox.holding && inbox.waiting.len() <= RELEASE_AT {
                    inbox.holding = false;
                    self.session.release();
                }
                if let Some(event) = inbox.waiting.pop_front() {
                    return Some(event);
                }
                if idle {
                    inbox.attended = false;
                    return None;
                }
            }
            self.more.notified().await;
        }
    }

    async fn answer(&self, asked: Asked, result: Result<Reply, Error>) {
        let result = match result {
            Ok(Reply::User(user)) => {
                let acting = self.connection.act_as(user.id).await;
                acting.map(|()| Reply::User(user))
            }
            result => result,
        };
        let frame = match result {
            Ok(reply) if asked.ack.is_none() && self.hears_of(&reply) => return,
            Ok(reply) => {
                let Some((name, body)) = wire::answer(&reply) else {
                    return;
                };
                match asked.ack {
                    Some(number) => Frame::Ack(number, body),
                    None => Frame::Event(name, body),
                }
            }
            Err(error) => refusal(&asked, &error),
        };
        self.put(frame);
    }

    /// Whether the answer reaches this socket by itself: a new message of a chat that it
    /// receives.
    fn hears_of(&self, reply: &Reply) -> bool {
        match reply {
            Reply::Sent(Sent::Stored(message)) => self.connection.receives(message.chat),
            _ => false,
        }
    }

    fn refuse(&self, event: &Event) {
        let (asked, _) = open(event);
        self.put(refusal(&asked, &Error::rate_limited(RETRY_AFTER_MS)));
    }

    fn put(&self, frame: Frame) {
        // A connection that takes no more answers is being closed, and whoever closes it has
        // said why.
        let _ = self.connection.outbox().answer(frame);
    }
}

/// What an event asks for, and how to answer it.
fn open(event: &Event) -> (Asked, Result<Command, Error>) {
    let binary = || Error::invalid("body", "must not have binary attachments");
    let (name, command) = match &event.packet {
        Value::Str(packet, attachments) => match Request::parse(packet) {
            Ok(request) => {
                let (name, command) = (request.name.clone(), wire::decode(request));
                match attachments {
                    None => (name, command),
                    Some(_) => (name, command.and_then(|_| Err(binary()))),
                }
            }
            Err(error) => (wire::name_of(packet), Err(error)),
        },
        Value::Bytes(_) => (String::new(), Err(binary())),
    };
    let asked = Asked {
        name,
        ack: event.ack,
    };
    (asked, command)
}

fn refusal(asked: &Asked, error: &Error) -> Frame {
    match asked.ack {
        Some(number) => Frame::Ack(number, wire::refusal(error)),
        None => wire::exception(&asked.name, error),
    }
}
