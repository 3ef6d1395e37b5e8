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
use tokio::time::Instant;

use super::packet::{Request, name_of};
use super::session::Session;
use crate::gateway::connection::Connection;
use crate::gateway::dialect::{Frame, Listener};
use crate::model::{ChatRef, Command, Error, Reply, Seq};
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
    /// When it came in.
    pub read: Instant,
}

/// An event that has its turn, and whether it may be looked at.
struct Waiting {
    event: Event,
    counted: Result<(), Error>,
}

/// One socket's requests.
pub struct Conversation {
    /// Who is speaking.
    pub connection: Connection,
    /// What is spoken over.
    pub session: Arc<Session>,
    tongue: Arc<dyn Tongue>,
    inbox: Mutex<Inbox>,
    more: Notify,
}

#[derive(Default)]
struct Inbox {
    waiting: VecDeque<Waiting>,
    attended: bool,
    holding: bool,
}

/// How an answer finds the request that it belongs to.
pub struct Asked {
    /// The event's name.
    pub name: String,
    /// The number under which the client waits for an acknowledgement.
    pub ack: Option<i64>,
}

/// What is spoken in a namespace, on one socket.
pub trait Tongue: Listener {
    /// The command that a request stands for, and what will make the answer.
    ///
    /// # Errors
    /// `Invalid`, with the field at fault; `NotFound`: an id that was never given out.
    fn read(&self, request: Request) -> Result<(Command, Answer), Error>;

    /// What the client says in its `auth` that it knows already; `None`: nothing.
    ///
    /// # Errors
    /// `Invalid`, with the field at fault.
    fn since(&self, auth: &serde_json::Value) -> Result<Option<Since>, Error> {
        let _ = auth;
        Ok(None)
    }

    /// The frames that say why a request was refused.
    fn refuse(&self, asked: &Asked, error: &Error) -> Vec<Frame>;
}

/// Makes the frames that answer a request.
pub type Answer = Box<dyn FnOnce(&Asked, &Reply, &Connection) -> Vec<Frame> + Send>;

/// The chats that a client knows, each up to a number, and what makes the frames of what it
/// has missed.
pub type Since = (
    Vec<(ChatRef, Seq)>,
    Box<dyn FnOnce(&Reply) -> Vec<Frame> + Send>,
);

/// The answer to what was never asked.
fn nothing() -> Answer {
    Box::new(|_, _, _| Vec::new())
}

impl Conversation {
    /// A conversation in which nothing has been said.
    pub fn new(connection: Connection, session: Arc<Session>, tongue: Arc<dyn Tongue>) -> Self {
        Self {
            connection,
            session,
            tongue,
            inbox: Mutex::default(),
            more: Notify::new(),
        }
    }

    /// Queues an event, without waiting for anything. Answers whether the caller has to
    /// [`Conversation::attend`].
    pub fn queue(&self, event: Event) -> bool {
        let counted = self.connection.count_frame();
        if self.connection.is_rate_limited() {
            return false;
        }
        let mut inbox = self.inbox.lock();
        if inbox.waiting.len() >= WAITING {
            drop(inbox);
            self.refuse(&event);
            return false;
        }
        inbox.waiting.push_back(Waiting { event, counted });
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
                Some((asked, answer, stored, read)) = sending.next() => {
                    self.answer(asked, answer, stored, read).await;
                    continue;
                }
                event = self.next(idle), if !full => event,
            };
            let Some(waiting) = event else { return };
            let read = waiting.event.read;
            self.connection.outbox().has_room().await;
            let (asked, question) = self.question(waiting);
            if !matches!(question, Ok((Command::SendMessage { .. }, _))) {
                while let Some((asked, answer, stored, read)) = sending.next().await {
                    self.answer(asked, answer, stored, read).await;
                }
            }
            let (begun, answer) = match question {
                Ok((command, answer)) => (self.connection.begin(command).await, answer),
                Err(error) => (Begun::from(Err(error)), nothing()),
            };
            if matches!(begun, Begun::Done(_)) && sending.is_empty() {
                self.answer(asked, answer, begun.await, read).await;
            } else {
                sending.push_back(async move { (asked, answer, begun.await, read) });
            }
        }
    }

    /// What an event asks, and how to answer it.
    fn question(&self, waiting: Waiting) -> (Asked, Result<(Command, Answer), Error>) {
        let Waiting { event, counted } = waiting;
        if let Err(error) = counted {
            return (unread(&event), Err(error));
        }
        let (asked, request) = open(&event);
        let question = request.and_then(|request| self.tongue.read(request));
        if question.is_ok() && is_binary(&event) {
            return (asked, Err(binary()));
        }
        (asked, question)
    }

    /// The next event; `None`: there is none, and nobody attends any longer. With messages
    /// still on their way it waits instead.
    async fn next(&self, idle: bool) -> Option<Waiting> {
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

    async fn answer(
        &self,
        asked: Asked,
        answer: Answer,
        result: Result<Reply, Error>,
        read: Instant,
    ) {
        let result = match result {
            Ok(Reply::User(user)) => {
                let acting = self.connection.act_as(user.id).await;
                acting.map(|()| Reply::User(user))
            }
            result => result,
        };
        let _quiet = self.tongue.quiet();
        let presence = self.connection.presence();
        match result {
            Ok(reply) => {
                self.put(answer(&asked, &reply, &self.connection));
                if matches!(reply, Reply::Sent(_)) {
                    presence.acknowledged(read);
                }
            }
            Err(error) => {
                self.put(self.tongue.refuse(&asked, &error));
                presence.refused(error.kind);
            }
        }
    }

    fn refuse(&self, event: &Event) {
        let asked = unread(event);
        let error = Error::rate_limited(RETRY_AFTER_MS);
        self.put(self.tongue.refuse(&asked, &error));
        self.connection.presence().refused(error.kind);
    }

    fn put(&self, frames: Vec<Frame>) {
        for frame in frames {
            // A connection that takes no more answers is being closed, and whoever closes it
            // has said why.
            let _ = self.connection.outbox().answer(frame);
        }
    }
}

/// How to answer an event that is refused whatever it says.
fn unread(event: &Event) -> Asked {
    let name = match &event.packet {
        Value::Str(packet, _) => name_of(packet),
        Value::Bytes(_) => String::new(),
    };
    Asked {
        name,
        ack: event.ack,
    }
}

/// What an event says, and how to answer it.
fn open(event: &Event) -> (Asked, Result<Request, Error>) {
    let (name, request) = match &event.packet {
        Value::Str(packet, _) => match Request::parse(packet) {
            Ok(request) => (request.name.clone(), Ok(request)),
            Err(error) => (name_of(packet), Err(error)),
        },
        Value::Bytes(_) => (String::new(), Err(binary())),
    };
    let asked = Asked {
        name,
        ack: event.ack,
    };
    (asked, request)
}

fn is_binary(event: &Event) -> bool {
    !matches!(event.packet, Value::Str(_, None))
}

fn binary() -> Error {
    Error::invalid("body", "must not have binary attachments")
}
