//! The requests of one connection: queued, decoded, begun and answered in the order in which
//! they were received, whatever the transport.
//! Does not know transports and dialects: a transport pushes requests, a [`DialectSession`]
//! decodes them, responses go into the outbox.

mod ending;
mod pending;
mod queue;
mod unclaimed;

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use self::ending::Ending;
use self::pending::{Finished, Logged, PendingResponse, Unanswered, shown, shows};
use self::queue::Queue;
use self::unclaimed::Unclaimed;
use super::connection::Connection;
use super::dialect::{Decoded, DialectSession, Incoming};
use super::request_log;
use super::transport::Handled;
use crate::hub::Outgoing;
use crate::model::{Command, Error, ErrorKind, Message, Reply, RequestNumber};
use crate::service::{InFlight, no_chat};

/// How many messages of one connection may be on their way into the store at once.
const STORING: usize = 256;

/// How long the answer to a message waits at most for the messages before it to be delivered: as
/// long as the relay waits for the crowded outboxes of a chat, and for the store.
const TURN: Duration = Duration::from_secs(2);

/// After how long requests that wait for the user of the connection notice the shutdown.
const GLANCE: Duration = Duration::from_millis(250);

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
    ending: Ending,
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
            ending: Ending::default(),
        })
    }

    /// The dialect's session.
    pub fn session(&self) -> &Arc<dyn DialectSession> {
        &self.session
    }

    /// Queues a request; a task serves it, and ends when there are no more.
    pub fn push(self: &Arc<Self>, mut incoming: Incoming) {
        let mut queue = self.queue.lock();
        incoming.admitted = incoming.admitted.and_then(|()| self.ending.admit());
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
    /// request waits for the messages before it. Those that need the user of the connection wait for
    /// the request that names it.
    async fn serve(self: Arc<Self>) {
        let (mut unanswered, mut unclaimed) = (Unanswered::new(), Unclaimed::default());
        loop {
            let idle = unanswered.is_empty();
            let full = unanswered.len() >= STORING;
            let incoming = tokio::select! {
                biased;
                () = self.answer_next(&mut unanswered), if !idle => continue,
                incoming = self.next(idle, &mut unclaimed), if !full => incoming,
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
                self.answer_all(&mut unanswered).await;
            }
            let (command, respond) = match decoded {
                Decoded::Request(command, _) if self.awaits_user(&command) => {
                    self.park(incoming, &mut unclaimed);
                    continue;
                }
                Decoded::Request(command, respond) => (command, respond),
                Decoded::Refused(kind, frames) => {
                    self.refuse(logged, kind, frames);
                    continue;
                }
            };
            if self.connection.refuses() {
                continue;
            }
            let token = self.requests.token();
            let reserved = self.connection.reserve(&command).await;
            let entering = shows(&command).map(|chat| (self.connection.entering(), chat));
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

    async fn answer_all(&self, unanswered: &mut Unanswered<impl Future<Output = Finished>>) {
        while !unanswered.is_empty() {
            self.answer_next(unanswered).await;
        }
    }

    /// Answers a request that was not decoded.
    fn refuse(&self, logged: Logged, kind: ErrorKind, frames: Vec<Outgoing>) {
        self.put(frames);
        self.connection.metrics().refused(kind);
        self.log(logged, Some(kind));
    }

    /// The next request; `None`: there is none, and the task that serves ends. Requests that the
    /// connection refuses are dropped. `idle`: no earlier request is being served.
    async fn next(&self, idle: bool, unclaimed: &mut Unclaimed) -> Option<Incoming> {
        loop {
            {
                let mut queue = self.queue.lock();
                if unclaimed.until().is_some() && !self.lacks_user() {
                    queue.put_first(unclaimed.take());
                }
                if self.connection.refuses() {
                    queue.clear();
                }
                let next = unclaimed.expired(Instant::now()).or_else(|| queue.pop());
                if queue.has_room_again() {
                    self.room.notify_one();
                }
                if next.is_some() {
                    return next;
                }
                if self.connection.outbox().closed().is_some() {
                    // No request will name the user any more.
                    unclaimed.clear();
                }
                if idle && unclaimed.until().is_none() {
                    queue.clear();
                    queue.served = false;
                    self.ending.settled();
                    return None;
                }
            }
            self.progress(unclaimed.until()).await;
        }
    }

    /// Returns when there may be a request to serve, one has waited until this instant, or the
    /// connection has ended. Cancel safe.
    async fn progress(&self, until: Option<Instant>) {
        let Some(until) = until else {
            return self.more.notified().await;
        };
        tokio::select! {
            () = self.more.notified() => {}
            () = self.connection.outbox().ended() => {}
            () = tokio::time::sleep_until(until.min(Instant::now() + GLANCE)) => {}
        }
    }

    /// Lets a request wait for the user. If there is no room for it, it is the next one, refused.
    fn park(&self, incoming: Incoming, unclaimed: &mut Unclaimed) {
        let refused = unclaimed.push(incoming, Instant::now());
        self.queue.lock().put_first(refused);
    }

    /// Whether a request of a connection without a user has to wait for that.
    fn awaits_user(&self, command: &Command) -> bool {
        command.needs_user() && self.lacks_user()
    }

    /// Whether the user of the connection is not known yet. At shutdown none is waited for.
    fn lacks_user(&self) -> bool {
        let ends = self.requests.is_closed() || self.ending.has_begun();
        self.connection.user().is_none() && !ends
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

    /// Begins a command. The first user that the client of a connection without one finds or creates
    /// is the user of the connection until it ends.
    async fn begin(&self, command: Command, number: Option<RequestNumber>) -> InFlight {
        let begun = self.connection.begin_numbered(command, number).await;
        if let InFlight::Done(Some(reply)) = &begun
            && let Ok(Reply::User(user)) = &**reply
            && let Err(error) = self.connection.bind(user.id).await
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

/// The error about a request with binary attachments.
pub fn no_attachments() -> Error {
    Error::invalid("body", "must not have binary attachments")
}

#[cfg(test)]
#[path = "inbox_tests.rs"]
mod tests;
