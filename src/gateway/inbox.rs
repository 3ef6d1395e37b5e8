//! The requests of one connection: queued, decoded, begun and answered in the order in which
//! they were received, whatever the transport.
//! Does not know transports and dialects: a transport pushes requests, a [`DialectSession`]
//! decodes them, responses go into the outbox.

mod queue;

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use self::queue::Queue;
use super::connection::Connection;
use super::dialect::{Decoded, DialectSession, Incoming, Respond};
use super::request_log;
use super::transport::Handled;
use crate::hub::{Entering, Outgoing, Reserved};
use crate::model::{Chat, ChatRef, Command, Error, ErrorKind, Message, Reply, RequestNumber};
use crate::service::{InFlight, no_chat};

/// How many messages of one connection may be on their way into the store at once.
const STORING: usize = 256;

/// How long the answer to a message waits at most for the messages before it to be delivered: as
/// long as the relay waits for the crowded outboxes of a chat, and for the store.
const TURN: Duration = Duration::from_secs(2);

/// One connection's requests.
pub struct Inbox {
    /// The connection of the requests.
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

/// What the log line of a request needs.
#[derive(Clone, Copy)]
struct Logged {
    /// The request's name; `None`: it is not logged.
    name: Option<&'static str>,
    /// When it came in.
    read: Instant,
}

/// A request that was served.
struct Finished {
    respond: Respond,
    outcome: Result<Reply, Error>,
    logged: Logged,
    token: TaskTrackerToken,
    /// Present if the outcome shows this chat: the connection may watch it then.
    entering: Option<(Entering, ChatRef)>,
    /// Dropped once the response is in the outbox.
    _reserved: Option<Reserved>,
}

/// A response whose turn has not come.
struct PendingResponse {
    message: Arc<Message>,
    frames: Vec<Outgoing>,
    latest: Instant,
    logged: Logged,
    _token: TaskTrackerToken,
}

/// The requests that have begun, in their order.
struct Unanswered<F: Future<Output = Finished>> {
    /// The first of them, if it was served.
    waiting: Option<Box<PendingResponse>>,
    storing: FuturesOrdered<F>,
}

impl<F: Future<Output = Finished>> Unanswered<F> {
    fn new() -> Self {
        Self {
            waiting: None,
            storing: FuturesOrdered::new(),
        }
    }

    fn len(&self) -> usize {
        self.storing.len() + usize::from(self.waiting.is_some())
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
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
        queue.push(incoming);
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

    /// Returns when the transport may read on.
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
        let mut unanswered = Unanswered::new();
        loop {
            let idle = unanswered.is_empty();
            let full = unanswered.len() >= STORING;
            let incoming = tokio::select! {
                biased;
                () = self.answer_next(&mut unanswered), if !idle => continue,
                incoming = self.next(idle), if !full => incoming,
            };
            let Some(incoming) = incoming else { return };
            self.connection.outbox().has_room().await;
            let (decoded, logged) = self.decode(&incoming);
            let number = self.session.request_number();
            if let Err(error) = self.connection.greet().await {
                self.connection.end_unopened(&error);
                continue;
            }
            if !matches!(decoded, Decoded::Request(Command::SendMessage { .. }, _)) {
                while !unanswered.is_empty() {
                    self.answer_next(&mut unanswered).await;
                }
            }
            let (command, respond) = match decoded {
                Decoded::Request(command, respond) => (command, respond),
                Decoded::Refused(kind, frames) => {
                    self.put(frames);
                    self.connection.metrics().refused(kind);
                    self.log(logged, Some(kind));
                    continue;
                }
            };
            if self.connection.refuses() {
                continue;
            }
            let token = self.requests.token();
            let reserved = self.connection.reserve(&command).await;
            let shown = shows(&command);
            let entering = shown.map(|chat| (self.connection.entering(), chat));
            // Boxed: this memory is needed only while a request is served.
            let begun = Box::pin(self.begin(command, number)).await;
            let is_done = matches!(begun, InFlight::Done(_));
            let finished = async move {
                Finished {
                    respond,
                    outcome: begun.await,
                    logged,
                    token,
                    entering,
                    _reserved: reserved,
                }
            };
            if is_done && unanswered.is_empty() {
                unanswered.waiting = self.respond(finished.await);
            } else {
                unanswered.storing.push_back(finished);
            }
        }
    }

    /// The next request; `None`: there is none, and the task that serves ends. Requests that the
    /// connection refuses are dropped. `idle`: no earlier request is being served.
    async fn next(&self, idle: bool) -> Option<Incoming> {
        loop {
            {
                let mut queue = self.queue.lock();
                if self.connection.refuses() {
                    queue.clear();
                }
                let next = queue.pop();
                if queue.has_room_again() {
                    self.room.notify_one();
                }
                if next.is_some() {
                    return next;
                }
                if idle {
                    queue.clear();
                    queue.served = false;
                    return None;
                }
            }
            self.more.notified().await;
        }
    }

    /// Returns the next request, once it was served and it is its turn. Cancel safe.
    async fn answer_next(&self, unanswered: &mut Unanswered<impl Future<Output = Finished>>) {
        if unanswered.waiting.is_none() {
            let Some(finished) = unanswered.storing.next().await else {
                return;
            };
            unanswered.waiting = self.respond(finished);
        }
        if let Some(waiting) = &mut unanswered.waiting {
            let (message, frames) = (&waiting.message, &mut waiting.frames);
            let answered = self
                .connection
                .answer_in_turn(message, frames, waiting.latest);
            answered.await;
            self.connection.metrics().acknowledged(waiting.logged.read);
            self.log(waiting.logged, None);
            unanswered.waiting = None;
        }
    }

    fn decode(&self, incoming: &Incoming) -> (Decoded, Logged) {
        let decoded = self.decoded(incoming);
        // On the shared path this request may have decided the dialect.
        self.connection.metrics().set_dialect(self.session.label());
        let is_logged = self.connection.logs_requests();
        let logged = Logged {
            name: is_logged.then(|| self.session.request_name(incoming)),
            read: incoming.read,
        };
        (decoded, logged)
    }

    fn decoded(&self, incoming: &Incoming) -> Decoded {
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

    /// Begins a command. A client that finds or creates a user acts as this user from then on.
    async fn begin(&self, command: Command, number: Option<RequestNumber>) -> InFlight {
        let begun = self.connection.begin_numbered(command, number).await;
        if let InFlight::Done(Some(reply)) = &begun
            && let Ok(Reply::User(user)) = &**reply
            && let Err(error) = self.connection.act_as(user.id).await
        {
            return InFlight::from(Err(error));
        }
        begun
    }

    /// Answers a request that was served. Returns the answer if its turn has not come.
    fn respond(&self, finished: Finished) -> Option<Box<PendingResponse>> {
        let Finished {
            respond,
            mut outcome,
            logged,
            token,
            entering,
            _reserved,
        } = finished;
        let shown = entering.zip(shown(&outcome).cloned());
        if let Some(((entering, requested), chat)) = &shown
            && entering.has_lost(chat)
        {
            outcome = Err(no_chat(requested));
        }
        let message = match &outcome {
            Ok(Reply::Sent(sent)) => Some(Arc::clone(sent.message())),
            _ => None,
        };
        let refused = outcome.as_ref().err().map(|error| error.kind);
        let delivers = |message: &Message| self.connection.receives(message);
        let lock = self.session.delivery_lock();
        let mut frames = respond(outcome, &delivers);
        let metrics = self.connection.metrics();
        if let Some(message) = message {
            if !self.connection.answer(&message, &mut frames) {
                return Some(Box::new(PendingResponse {
                    message,
                    frames,
                    latest: Instant::now() + TURN,
                    logged,
                    _token: token,
                }));
            }
            metrics.acknowledged(logged.read);
        } else {
            self.put(frames);
        }
        drop(lock);
        if let Some(kind) = refused {
            metrics.refused(kind);
        }
        self.log(logged, refused);
        if let Some(((entering, _), chat)) = shown
            && self.session.watches(chat.id)
        {
            self.connection.watch(&entering, &chat);
        }
        None
    }

    /// Logs a request that is answered now, if requests are logged.
    fn log(&self, Logged { name, read }: Logged, refused: Option<ErrorKind>) {
        if let Some(name) = name {
            let (dialect, user) = (self.session.label(), self.connection.user());
            request_log::log(dialect, name, user, refused, read);
        }
    }

    fn put(&self, frames: Vec<Outgoing>) {
        for frame in frames {
            // A connection that accepts no more responses is being closed, with a reason recorded.
            let _ = self.connection.outbox().respond(frame);
        }
    }
}

/// The chat that the reply to this request shows, to which the client may subscribe by it.
fn shows(command: &Command) -> Option<ChatRef> {
    match command {
        Command::GetRoom { chat, .. } | Command::JoinChat { chat, .. } => Some(*chat),
        _ => None,
    }
}

fn shown(outcome: &Result<Reply, Error>) -> Option<&Chat> {
    match outcome {
        Ok(Reply::Room(room)) => Some(&room.chat),
        Ok(Reply::Joined(joined)) => Some(&joined.chat),
        _ => None,
    }
}

/// The error about a request with binary attachments.
pub fn no_attachments() -> Error {
    Error::invalid("body", "must not have binary attachments")
}

#[cfg(test)]
#[path = "inbox_tests.rs"]
mod tests;
