//! One live client, whatever it speaks: who it is, its seat in the hub, its way to the
//! service.
//! It refuses to know any transport and any dialect.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::auth::Authenticator;
use crate::gateway::dialect::{Frame, Listener};
use crate::gateway::limits::{Gauges, Limits, Over, Payer, Slot, Verdict};
use crate::hub::{Closed, Hub, Outbox, OutboxLimits, Seat};
use crate::model::{
    ChatId, ChatRef, Clock, Command, ConnectionId, Error, ErrorKind, Identity, Reply, Rights, Seq,
    UserId,
};
use crate::service::{Begun, Portion, Service};
use crate::telemetry::{Ending, Metrics, Presence, Spoken, Transport};

/// How long a request may take that only reads. One that stores something waits for its
/// outcome, however long that takes: an answer before would be a guess.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// How often the beginning of a conversation is tried while too much happens meanwhile.
const GREETINGS: usize = 4;

/// What every connection needs of the rest of the server.
#[derive(Clone)]
pub struct Desk {
    /// Decides.
    pub service: Arc<Service>,
    /// Delivers.
    pub hub: Arc<Hub>,
    /// Checks tokens.
    pub authenticator: Arc<Authenticator>,
    /// Says when a token ends.
    pub clock: Clock,
    /// How much may wait for one connection.
    pub outbox: OutboxLimits,
    /// How fast a client may ask, and how many connections it may have.
    pub limits: Arc<Limits>,
    /// Cancelled: what waits for a connection is still sent, then it ends.
    pub closing: CancellationToken,
    /// Counts what happens.
    pub metrics: Metrics,
}

/// Somebody whose token was good.
pub struct Admitted {
    /// Who it is, on a connection of its own.
    pub identity: Identity,
    /// How long the token is still good; `None`: for ever.
    pub lifetime: Option<Duration>,
}

impl Desk {
    /// Checks a token, and finds or creates the user that it speaks of.
    ///
    /// # Errors
    /// `Unauthenticated`: the token is not good; what is wrong with it stands in the source,
    /// for the log. Otherwise as [`Service::identify`].
    pub async fn admit(&self, token: Option<&str>) -> Result<Admitted, Error> {
        let now = self.clock.now();
        let caller = self.authenticator.authenticate(token, now);
        let caller = caller.map_err(|reason| unauthenticated().because(reason))?;
        let rights = match *self.authenticator {
            Authenticator::Open => Rights::Open,
            Authenticator::Jwt(_) => Rights::Own,
        };
        let expires_at = caller.as_ref().and_then(|caller| caller.expires_at);
        let lifetime = expires_at.map(|at| Duration::try_from(at - now).unwrap_or_default());
        let (rights, user) = limited(self.service.identify(caller, rights)).await?;
        Ok(Admitted {
            identity: Identity {
                user: user.as_ref().map(|user| user.id),
                rights,
                connection: Some(ConnectionId::new(now)),
            },
            lifetime,
        })
    }

    /// A place among the connections of this user. Whoever has none may have as many as it
    /// likes.
    ///
    /// # Errors
    /// `RateLimited`: the user has as many as it may.
    pub fn place(&self, user: Option<UserId>) -> Result<Option<Slot<UserId>>, Error> {
        user.map_or(Ok(None), |user| self.limits.connection_of(user))
    }

    /// Puts a command that came on no connection to the service; see [`Service::begin`].
    pub async fn begin(&self, identity: &Identity, command: Command) -> Begun {
        match self.limits.message(identity, &command, None) {
            Ok(()) => self.put(identity, command).await,
            Err(over) => Begun::from(Err(Error::rate_limited(over.retry_after_ms))),
        }
    }

    async fn put(&self, identity: &Identity, command: Command) -> Begun {
        if command.stores() {
            return self.service.begin(identity, command).await;
        }
        let begin = self.service.begin(identity, command);
        match tokio::time::timeout(TIME_LIMIT, begin).await {
            Ok(placed) => placed,
            Err(_) => Begun::from(Err(too_slow())),
        }
    }
}

/// What is said of every token that is not good (PROTOCOL §1.3).
pub fn unauthenticated() -> Error {
    Error::new(ErrorKind::Unauthenticated, "no valid token")
}

/// One live client. When it is dropped its seats are empty.
pub struct Connection {
    desk: Desk,
    seat: Arc<Seat>,
    identity: Mutex<Identity>,
    /// Its place among the connections of its user.
    place: Mutex<Option<Slot<UserId>>>,
    gauges: Gauges,
    presence: Arc<Presence>,
}

impl Connection {
    /// A connection of somebody who was admitted and has this [`Desk::place`], seated in the
    /// chats of its user.
    ///
    /// # Errors
    /// `Unavailable`: the chats could not be read.
    pub async fn open(
        desk: Desk,
        identity: Identity,
        place: Option<Slot<UserId>>,
        listener: Arc<dyn Listener>,
        (spoken, transport): (Spoken, Transport),
    ) -> Result<Self, Error> {
        let id = identity.connection;
        let id = id.unwrap_or_else(|| ConnectionId::new(desk.clock.now()));
        let outbox = Outbox::new(desk.outbox).counted_in(desk.metrics.outboxes());
        let presence = Presence::new(desk.metrics.clone(), spoken, transport);
        let connection = Self {
            seat: Arc::new(Seat::new(id, listener, outbox)),
            identity: Mutex::new(identity),
            place: Mutex::new(place),
            gauges: desk.limits.gauges(),
            presence: Arc::new(presence),
            desk,
        };
        if let Some(user) = identity.user {
            connection.take_seats(user).await?;
        }
        connection.greet().await?;
        connection.presence.begin();
        debug!(connection = %id, "connected");
        Ok(connection)
    }

    /// Tells the client first what its dialect begins with, if it has not been told yet. What
    /// happens meanwhile waits.
    ///
    /// # Errors
    /// `Unavailable`: it could not be read, or too much happened meanwhile.
    pub async fn greet(&self) -> Result<(), Error> {
        let identity = *self.identity.lock();
        for _ in 0..GREETINGS {
            let Some(command) = self.seat.listener.opening() else {
                return Ok(());
            };
            // Boxed: it happens once, and whoever greets may stay for days.
            let reply = limited(self.desk.service.execute(&identity, command));
            let reply = Box::pin(reply).await?;
            self.seat.listener.opened(reply, &mut |frame| {
                // A connection that takes no more answers is being closed.
                let _ = self.seat.outbox.answer(frame);
            });
        }
        Err(Error::unavailable("too much happens at once"))
    }

    /// Lets the connection hear what changes in this chat, member or not.
    pub fn watch(&self, chat: ChatId) {
        self.desk.hub.watch(&self.seat, chat);
    }

    /// The connection in the figures.
    pub fn presence(&self) -> &Arc<Presence> {
        &self.presence
    }

    /// What waits to be sent to the client.
    pub fn outbox(&self) -> &Outbox {
        &self.seat.outbox
    }

    /// Whether the messages of this chat come to this connection by themselves.
    pub fn receives(&self, chat: ChatId) -> bool {
        self.seat.is_in(chat)
    }

    /// From now on the connection acts as this user and receives its chats.
    ///
    /// # Errors
    /// `RateLimited`: the user has as many connections as it may. `Unavailable`: the chats
    /// could not be read. In either case the connection acts as before.
    pub async fn act_as(&self, user: UserId) -> Result<(), Error> {
        if self.identity.lock().user != Some(user) {
            let place = self.desk.place(Some(user))?;
            self.take_seats(user).await?;
            self.identity.lock().user = Some(user);
            *self.place.lock() = place;
        }
        Ok(())
    }

    /// Puts a command to the service; see [`Service::begin`]. A message over the rate limit
    /// is refused.
    pub async fn begin(&self, command: Command) -> Begun {
        if let Command::Sync { user, chats } = command {
            return Begun::from(self.catch_up(user, chats, Portion::ANSWER).await);
        }
        let identity = *self.identity.lock();
        self.presence.asked(&command);
        let gauges = Some(&self.gauges);
        match self.desk.limits.message(&identity, &command, gauges) {
            Ok(()) => self.desk.put(&identity, command).await,
            Err(over) => Begun::from(Err(self.refusal(over))),
        }
    }

    /// Counts a frame, whatever is in it, before it is looked at.
    ///
    /// # Errors
    /// `RateLimited`: it is not to be looked at but for what its answer has to say.
    pub fn count_frame(&self) -> Result<(), Error> {
        let payer = self.identity.lock().user.map(Payer::User);
        let counted = self.desk.limits.frame(payer, Some(&self.gauges));
        counted.map_err(|over| self.refusal(over))
    }

    /// Whether it is being closed because its client went on after it was refused.
    pub fn is_rate_limited(&self) -> bool {
        self.outbox().closed() == Some(Closed::RateLimited)
    }

    /// What is said of a request over a rate. Who does not heed that is not listened to any
    /// longer.
    fn refusal(&self, over: Over) -> Error {
        if over.verdict == Verdict::Close {
            self.close(Closed::RateLimited);
        }
        Error::rate_limited(over.retry_after_ms)
    }

    /// Tells the client what it has missed of these chats before anything that has happened
    /// since it took its seats. For a connection of which nothing has been sent yet.
    ///
    /// # Errors
    /// As [`Service::sync`]; `Invalid`: nobody knows whose connection it is, so that nothing
    /// will come by itself.
    pub async fn begin_after(
        &self,
        chats: Vec<(ChatRef, Seq)>,
        say: impl FnOnce(&Reply) -> Vec<Frame>,
    ) -> Result<(), Error> {
        if self.identity.lock().user.is_none() {
            let why = "needs a token that says whose connection this is";
            return Err(Error::invalid("auth.since", why));
        }
        let missed = self.catch_up(None, chats, Portion::REPLAY).await?;
        self.seat.outbox.answer_first(say(&missed));
        Ok(())
    }

    /// What is missing of these chats after these numbers: what does not come by itself, see
    /// `hub/start.rs`. What is answered up to there the client knows from now on.
    async fn catch_up(
        &self,
        user: Option<UserId>,
        chats: Vec<(ChatRef, Seq)>,
        portion: Portion,
    ) -> Result<Reply, Error> {
        let Desk { service, hub, .. } = &self.desk;
        let identity = *self.identity.lock();
        let until = |chat| hub.missed(&self.seat, chat);
        let missed = limited(service.sync(&identity, user, chats, portion, until)).await?;
        for part in missed.iter().flatten().filter(|part| !part.has_more) {
            self.seat.caught_up(part.chat, part.head);
        }
        Ok(Reply::Synced(missed))
    }

    /// Returns when the server wants the connection to end, once what waits for it was sent.
    pub async fn server_closing(&self) {
        self.desk.closing.cancelled().await;
    }

    /// Ends the connection, for this reason; what the client was told may still be sent.
    pub fn close(&self, why: Closed) {
        self.end(why, ending(why));
    }

    /// The same with another word for it in the figures. If the outbox was closed before, what
    /// it was closed for counts there.
    pub fn end(&self, why: Closed, word: Ending) {
        let word = self.outbox().closed().map_or(word, ending);
        if why != Closed::ShuttingDown {
            self.presence.end(word);
        }
        if self.outbox().close(why) {
            debug!(connection = %self.seat.id, ?why, "closing");
        }
        self.desk.hub.leave(&self.seat);
        self.place.lock().take();
    }

    /// The user's chats are read after the seat is known to be the user's, and the heads of
    /// those that nobody here had a seat in after the seats are taken: so there is no moment
    /// at which a chat or a message could slip through.
    async fn take_seats(&self, user: UserId) -> Result<(), Error> {
        let hub = &self.desk.hub;
        hub.enter(&self.seat, user);
        let chats = self.seats_of(user).await?;
        if hub.sit(&self.seat, chats.iter().map(|(chat, _)| *chat)) {
            for (chat, head) in self.seats_of(user).await? {
                hub.open(chat, head);
            }
        }
        Ok(())
    }

    async fn seats_of(&self, user: UserId) -> Result<Vec<(ChatId, i64)>, Error> {
        // The server's own question, which nobody's rights bear on.
        let server = Identity {
            user: None,
            rights: Rights::Service,
            connection: Some(self.seat.id),
        };
        let seats = self
            .desk
            .service
            .execute(&server, Command::ListSeats { user });
        match limited(seats).await? {
            Reply::Seats(seats) => Ok(seats),
            _ => Ok(Vec::new()),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.close(Closed::Gone);
    }
}

const fn ending(why: Closed) -> Ending {
    match why {
        Closed::Gone => Ending::Gone,
        Closed::Lagging => Ending::Lagging,
        Closed::RateLimited => Ending::RateLimited,
        Closed::ShuttingDown => Ending::ShuttingDown,
    }
}

async fn limited<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let done = tokio::time::timeout(TIME_LIMIT, work).await;
    done.unwrap_or_else(|_| Err(too_slow()))
}

fn too_slow() -> Error {
    let seconds = TIME_LIMIT.as_secs();
    Error::unavailable(format!("the store did not answer within {seconds} seconds"))
}
