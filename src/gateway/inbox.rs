//! The requests of one connection: queued, decoded, begun and answered in the order in which
//! they were received, whatever the transport.
//! Does not know transports and dialects: a transport pushes requests, a [`DialectSession`]
//! decodes them, responses go into the outbox.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use tracing::info;

use super::connection::Connection;
use super::dialect::{Decoded, DialectSession, Incoming, Respond};
use super::transport::Handled;
use crate::hub::Outgoing;
use crate::model::{Command, Error, Message, Reply};
use crate::service::InFlight;
use crate::telemetry::CloseReason;

/// How many messages of one connection may be on their way into the store at once.
const STORING: usize = 256;

/// How many requests may wait before the client is not read from.
const FULL_AT: usize = 256;

/// The same in bytes.
const FULL_AT_BYTES: usize = 1024 * 1024;

/// How many requests must be left before it is read from again.
const ROOM_AT: usize = 64;

/// One connection's requests.
pub struct Inbox {
    /// Whose requests.
    pub connection: Connection,
    session: Arc<dyn DialectSession>,
    /// Counts the requests that are being served, so that shutdown can wait for them.
    requests: TaskTracker,
    queue: Mutex<Queue>,
    /// Wakes the task that serves, while it waits for a store as well.
    more: Notify,
    /// Wakes the transport.
    room: Notify,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Incoming>,
    bytes: usize,
    /// Whether a task serves it.
    served: bool,
    /// Whether the transport waits for room.
    full: bool,
}

impl Queue {
    fn pop(&mut self) -> Option<Incoming> {
        let incoming = self.waiting.pop_front()?;
        self.bytes -= incoming.text.len();
        Some(incoming)
    }
}

impl Inbox {
    /// An inbox without requests.
    pub fn new(
        connection: Connection,
        session: Arc<dyn DialectSession>,
        requests: TaskTracker,
    ) -> Arc<Self> {
        Arc::new(Self {
            connection,
            session,
            requests,
            queue: Mutex::default(),
            more: Notify::new(),
            room: Notify::new(),
        })
    }

    /// The dialect's session.
    pub fn session(&self) -> &Arc<dyn DialectSession> {
        &self.session
    }

    /// Queues a request; a task serves it, and ends when there are no more.
    pub fn push(self: &Arc<Self>, incoming: Incoming) {
        let mut queue = self.queue.lock();
        queue.bytes += incoming.text.len();
        queue.waiting.push_back(incoming);
        if queue.waiting.len() >= FULL_AT || queue.bytes >= FULL_AT_BYTES {
            queue.full = true;
        }
        let served = std::mem::replace(&mut queue.served, true);
        drop(queue);
        if served {
            self.more.notify_one();
        } else {
            self.requests.spawn(Arc::clone(self).serve());
        }
    }

    /// Whether the client must not be read from for the time being.
    pub fn is_full(&self) -> bool {
        self.queue.lock().full
    }

    /// Returns when the client may be read from. For one waiter.
    pub async fn has_room(&self) {
        while self.is_full() {
            self.room.notified().await;
        }
    }

    /// What the transport has to wait for before it reads on.
    pub fn handled(self: &Arc<Self>) -> Handled {
        if !self.is_full() {
            return Handled::Done;
        }
        let inbox = Arc::clone(self);
        Handled::Later(Box::pin(async move {
            inbox.has_room().await;
            Ok(())
        }))
    }

    /// Serves requests until none are left. Messages wait for the store together; every other
    /// request waits for the messages before it.
    async fn serve(self: Arc<Self>) {
        let mut storing = FuturesOrdered::new();
        loop {
            let full = storing.len() >= STORING;
            let idle = storing.is_empty();
            let incoming = tokio::select! {
                biased;
                Some((respond, outcome, read, _token)) = storing.next() => {
                    self.respond(respond, outcome, read);
                    continue;
                }
                incoming = self.next(idle), if !full => incoming,
            };
            let Some(incoming) = incoming else { return };
            self.connection.outbox().has_room().await;
            let read = incoming.read;
            let decoded = self.decode(&incoming);
            // On the shared path this request may have decided the dialect.
            self.connection.metrics().speaks(self.session.label());
            if let Err(error) = self.connection.greet().await {
                info!(%error, "a session could not begin");
                self.connection.end(CloseReason::Unavailable);
                continue;
            }
            if !matches!(decoded, Decoded::Request(Command::SendMessage { .. }, _)) {
                while let Some((respond, outcome, read, _token)) = storing.next().await {
                    self.respond(respond, outcome, read);
                }
            }
            let (command, respond) = match decoded {
                Decoded::Request(command, respond) => (command, respond),
                Decoded::Refused(kind, frames) => {
                    self.put(frames);
                    self.connection.metrics().refused(kind);
                    continue;
                }
            };
            if self.connection.has_ended() {
                continue;
            }
            let token = self.requests.token();
            // Boxed: what a request needs is there only while it is served.
            let begun = Box::pin(self.begin(command)).await;
            if matches!(begun, InFlight::Done(_)) && storing.is_empty() {
                self.respond(respond, begun.await, read);
            } else {
                storing.push_back(async move { (respond, begun.await, read, token) });
            }
        }
    }

    /// The next request; `None`: there is none, and the task that serves ends. Requests of a
    /// connection that has ended are dropped. `idle`: no earlier request is being served.
    async fn next(&self, idle: bool) -> Option<Incoming> {
        loop {
            {
                let mut queue = self.queue.lock();
                if self.connection.has_ended() {
                    (queue.waiting, queue.bytes) = (VecDeque::new(), 0);
                }
                let next = queue.pop();
                if queue.full && queue.waiting.len() <= ROOM_AT {
                    queue.full = false;
                    self.room.notify_one();
                }
                if next.is_some() {
                    return next;
                }
                if idle {
                    queue.waiting = VecDeque::new();
                    queue.served = false;
                    return None;
                }
            }
            self.more.notified().await;
        }
    }

    fn decode(&self, incoming: &Incoming) -> Decoded {
        let refused = |error: &Error| {
            let frames = self.session.refuse(incoming, error);
            Decoded::Refused(error.kind, frames)
        };
        if let Err(error) = &incoming.admitted {
            return refused(error);
        }
        match Arc::clone(&self.session).decode(incoming) {
            Decoded::Request(..) if incoming.attachments => refused(&no_attachments()),
            decoded => decoded,
        }
    }

    /// Begins a command. A client that finds or creates a user acts as this user from then on
    /// (PROTOCOL §1.3).
    async fn begin(&self, command: Command) -> InFlight {
        let begun = self.connection.begin(command).await;
        if let InFlight::Done(Some(reply)) = &begun
            && let Ok(Reply::User(user)) = &**reply
            && let Err(error) = self.connection.act_as(user.id).await
        {
            return InFlight::from(Err(error));
        }
        begun
    }

    fn respond(&self, respond: Respond, outcome: Result<Reply, Error>, read: Instant) {
        let chat = match &outcome {
            Ok(Reply::Room(room)) => Some(room.chat.id),
            Ok(Reply::Joined(joined)) => Some(joined.room.chat.id),
            _ => None,
        };
        let result = outcome
            .as_ref()
            .map(|reply| matches!(reply, Reply::Sent(_)));
        let result = result.map_err(|error| error.kind);
        let delivers = |message: &Message| self.connection.receives(message);
        let lock = self.session.delivery_lock();
        self.put(respond(outcome, &delivers));
        drop(lock);
        let metrics = self.connection.metrics();
        match result {
            Ok(true) => metrics.acknowledged(read),
            Ok(false) => {}
            Err(kind) => metrics.refused(kind),
        }
        if let Some(chat) = chat.filter(|chat| self.session.watches(*chat)) {
            self.connection.watch(chat);
        }
    }

    fn put(&self, frames: Vec<Outgoing>) {
        for frame in frames {
            // A connection that accepts no more responses is being closed, and whoever closes it
            // has said why.
            let _ = self.connection.outbox().respond(frame);
        }
    }
}

/// The error about a request with binary attachments.
pub fn no_attachments() -> Error {
    Error::invalid("body", "must not have binary attachments")
}
