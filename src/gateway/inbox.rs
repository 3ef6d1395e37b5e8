//! The requests of one connection: decoded, begun and answered in the order in which they came
//! in, whatever the transport.
//! Does not know transports and dialects: a [`Source`] brings requests, a [`DialectSession`]
//! decodes them, responses go into the outbox.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::connection::Connection;
use super::dialect::{Decoded, DialectSession, Incoming, Respond};
use crate::hub::Outgoing;
use crate::model::{Command, Error, Message, Reply};
use crate::service::InFlight;

/// How many messages of one connection may be on their way into the store at once.
const STORING: usize = 256;

/// One connection's requests.
pub struct Inbox {
    /// Whose requests.
    pub connection: Connection,
    session: Arc<dyn DialectSession>,
    /// Counts the requests that are being served, so that shutdown can wait for them.
    requests: TaskTracker,
}

/// Where requests come from: a transport.
pub trait Source {
    /// Why there are no more requests.
    type End;

    /// The next request. `idle`: no earlier request is being served. Cancel safe.
    ///
    /// # Errors
    /// There are no more, and why.
    fn next(&mut self, idle: bool) -> impl Future<Output = Result<Incoming, Self::End>> + Send;
}

/// Why serving ended.
pub enum Served<End> {
    /// The source has no more requests.
    Ended(End),
    /// The session could not begin.
    Unavailable(Error),
}

impl Inbox {
    /// An inbox without requests.
    pub fn new(
        connection: Connection,
        session: Arc<dyn DialectSession>,
        requests: TaskTracker,
    ) -> Self {
        Self {
            connection,
            session,
            requests,
        }
    }

    /// The dialect's session.
    pub fn session(&self) -> &Arc<dyn DialectSession> {
        &self.session
    }

    /// Serves requests until there are no more. Messages wait for the store together; every
    /// other request waits for the messages before it.
    pub async fn serve<S: Source>(&self, source: &mut S) -> Served<S::End> {
        let mut storing = FuturesOrdered::new();
        loop {
            let idle = storing.is_empty();
            let full = storing.len() >= STORING;
            let incoming = tokio::select! {
                biased;
                Some((respond, outcome, read, _token)) = storing.next() => {
                    self.respond(respond, outcome, read);
                    continue;
                }
                incoming = source.next(idle), if !full => incoming,
            };
            let incoming = match incoming {
                Ok(incoming) => incoming,
                Err(end) => return Served::Ended(end),
            };
            self.connection.outbox().has_room().await;
            let read = incoming.read;
            let decoded = self.decode(&incoming);
            // On the shared path this request may have decided the dialect.
            self.connection.metrics().speaks(self.session.label());
            if let Err(error) = self.connection.greet().await {
                return Served::Unavailable(error);
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

    /// Refuses a request that does not even wait for its turn.
    pub fn refuse(&self, incoming: &Incoming, error: &Error) {
        self.put(self.session.refuse(incoming, error));
        self.connection.metrics().refused(error.kind);
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
