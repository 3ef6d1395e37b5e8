//! One live client of any protocol: its identity, its subscription in the hub, its access to the
//! service.
//! Does not know transports, nor the content of frames.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::Instant;
use tracing::{debug, info};

use super::dialect::{DialectSession, Since};
use super::state::{Admitted, GatewayState, with_deadline};
use crate::hub::{Entering, Outbox, Outgoing, Reserved, Subscriber, Subscription};
use crate::limits::{Gauges, Over, Payer, Slot, Verdict};
use crate::model::{
    Chat, ChatRef, Command, ConnectionId, Error, ErrorKind, Identity, Message, PageBudget, Reply,
    RequestNumber, Rights, UserId,
};
use crate::service::{InFlight, Revocations};
use crate::telemetry::{CloseReason, ConnectionMetrics, Transport};

/// How often the opening of a session is tried while too much happens meanwhile.
const OPENINGS: usize = 4;

/// One live client. Dropping it ends its subscriptions.
pub struct Connection {
    state: GatewayState,
    session: Arc<dyn DialectSession>,
    subscription: Arc<Subscription>,
    identity: Mutex<Identity>,
    /// How many revocations there were before its token was checked.
    revocations: Option<Revocations>,
    /// One of the connections that its user may have.
    slot: Mutex<Option<Slot<UserId>>>,
    gauges: Gauges,
    metrics: Arc<ConnectionMetrics>,
    /// The address of the client, if it is known.
    client: Option<IpAddr>,
}

impl Connection {
    /// A connection of an admitted caller with this [`GatewayState::reserve_connection`],
    /// subscribed to the chats of its user.
    ///
    /// # Errors
    /// `Unauthenticated`: the token was revoked meanwhile. `Unavailable`: the chats could not be read.
    pub async fn open(
        state: GatewayState,
        caller: impl Into<Admitted>,
        slot: Option<Slot<UserId>>,
        session: Arc<dyn DialectSession>,
        transport: Transport,
    ) -> Result<Self, Error> {
        let Admitted {
            identity,
            token,
            client,
            ..
        } = caller.into();
        let id = identity.connection;
        let id = id.unwrap_or_else(|| ConnectionId::new(state.clock.now()));
        let outbox = Outbox::new(state.outbox).counted_in(state.metrics.outboxes());
        let metrics = ConnectionMetrics::new(state.metrics.clone(), session.label(), transport);
        let subscriber = Arc::clone(&session) as Arc<dyn Subscriber>;
        let connection = Self {
            session,
            subscription: Arc::new(
                Subscription::new(id, subscriber, outbox).with_issue(token.map(|(issue, _)| issue)),
            ),
            identity: Mutex::new(identity),
            revocations: token.map(|(_, revocations)| revocations),
            slot: Mutex::new(slot),
            gauges: state.limits.gauges(),
            metrics: Arc::new(metrics),
            client,
            state,
        };
        if let Some(user) = identity.user {
            connection.subscribe(user).await?;
        }
        connection.greet().await?;
        connection.metrics.begin();
        debug!(connection = %id, "connected");
        Ok(connection)
    }

    /// Sends the dialect's initial data once; notices queue until then.
    ///
    /// # Errors
    /// `Unavailable`: it could not be read, or too much happened meanwhile.
    pub async fn greet(&self) -> Result<(), Error> {
        for _ in 0..OPENINGS {
            let Some(command) = self.session.opening() else {
                return Ok(());
            };
            let _reserved = self.outbox().reserve().await;
            let identity = *self.identity.lock();
            // Boxed: it happens once, and the connection may stay for days.
            let reply = with_deadline(self.state.service.execute(&identity, command));
            let reply = Box::pin(reply).await?;
            self.session.opened(reply, &mut |frame| {
                // A connection that accepts no more responses is being closed.
                let _ = self.outbox().respond(frame);
            });
        }
        Err(Error::unavailable("too many concurrent changes; try again"))
    }

    /// Ends a connection that cannot be sent its initial data.
    pub fn end_unopened(&self, error: &Error) {
        if self.state.limits.logs_refusal(self.client) {
            info!(address = self.client.map(tracing::field::display), %error, "a session could not be opened");
        }
        self.end(CloseReason::Unavailable);
    }

    /// The user that it acts as now.
    pub fn user(&self) -> Option<UserId> {
        self.identity.lock().user
    }

    /// Returns when this command may be begun: a long reply has to fit into what may wait for all
    /// connections of the user.
    pub async fn reserve(&self, command: &Command) -> Option<Reserved> {
        if !command.has_long_reply() {
            return None;
        }
        self.outbox().reserve().await
    }

    /// Whether requests are logged.
    pub fn logs_requests(&self) -> bool {
        self.state.log_requests
    }

    /// To be taken before a request that may be followed by [`Connection::watch`].
    pub fn entering(&self) -> Entering {
        self.subscription.entering()
    }

    /// Notifies the client of changes of this chat, member or not, which was read for it meanwhile.
    pub fn watch(&self, entering: &Entering, chat: &Chat) {
        let hub = &self.state.hub;
        match self.identity.lock().rights {
            Rights::Service => hub.watch_as_service(entering, chat),
            Rights::Own | Rights::Open => hub.watch(entering, chat),
        }
    }

    /// The connection in the metrics.
    pub fn metrics(&self) -> &Arc<ConnectionMetrics> {
        &self.metrics
    }

    /// The outbox of the client.
    pub fn outbox(&self) -> &Outbox {
        &self.subscription.outbox
    }

    /// Whether this message is, or was, delivered to this connection live.
    pub fn receives(&self, message: &Message) -> bool {
        self.subscription.receives(message.chat, message.seq)
    }

    /// Queues the answer to a message that was sent on this connection, if it is its turn among the
    /// messages that are delivered here. Returns whether it was.
    pub fn answer(&self, message: &Message, frames: &mut Vec<Outgoing>) -> bool {
        let hub = &self.state.hub;
        hub.answer(&self.subscription, message, frames)
    }

    /// The same, once it is its turn, or at this instant at the latest. Cancel safe.
    pub async fn answer_in_turn(
        &self,
        message: &Message,
        frames: &mut Vec<Outgoing>,
        latest: Instant,
    ) {
        let hub = &self.state.hub;
        while !hub.answer(&self.subscription, message, frames) {
            let turn = self.subscription.turn();
            if tokio::time::timeout_at(latest, turn).await.is_err() {
                return self.subscription.answer_now(message, frames);
            }
        }
    }

    /// A connection without a user is this user's from now on and receives its chats. One that has
    /// a user, from its token or since an earlier call, keeps it.
    ///
    /// # Errors
    /// `RateLimited`: the user has as many connections as it may. `Unavailable`: the chats
    /// could not be read. In either case the connection still has no user.
    pub async fn bind(&self, user: UserId) -> Result<(), Error> {
        if self.user().is_none() {
            let slot = self.state.reserve_connection(Some(user))?;
            self.subscribe(user).await?;
            self.identity.lock().user = Some(user);
            *self.slot.lock() = slot;
        }
        Ok(())
    }

    /// Begins a command; see [`Service::begin`]. A message over the rate limit is refused. `Sync`
    /// receives the seq up to which live delivery does not reach, so that the two neither overlap
    /// nor leave a gap (see `hub/live_from.rs`).
    ///
    /// [`Service::begin`]: crate::service::Service::begin
    pub async fn begin(&self, command: Command) -> InFlight {
        self.begin_numbered(command, None).await
    }

    /// The same for a request that its session has to find in the notices that it brings about.
    pub async fn begin_numbered(
        &self,
        mut command: Command,
        request: Option<RequestNumber>,
    ) -> InFlight {
        let identity = Identity {
            request,
            ..*self.identity.lock()
        };
        self.metrics.count_command(&command);
        let rows = command.rows() + command.rows_of_client();
        let limits = &self.state.limits;
        if let Err(over) = limits.message(&identity, &command, Some(&self.gauges)) {
            return InFlight::from(Err(self.refusal(over)));
        }
        if let Command::Sync { chats, until, .. } = &mut command {
            let named = chats.iter().map(|(chat, _)| match chat {
                ChatRef::Id(chat) | ChatRef::OfEvent(chat) => Some(*chat),
                _ => None,
            });
            // The service resolves a `pk` and a name.
            let chats: Option<Vec<_>> = named.collect();
            let chats = chats.unwrap_or_else(|| self.subscription.chats());
            *until = self.state.hub.catch_up_until(&self.subscription, chats);
        }
        let begun = self.state.begin_admitted(&identity, command).await;
        let InFlight::Done(Some(reply)) = &begun else {
            return begun;
        };
        let rows = rows + (**reply).as_ref().map_or(0, Reply::rows);
        let payer = identity.user.map(Payer::User);
        limits.charge(&identity, payer, Some(&self.gauges), rows);
        if let Ok(Reply::Synced(missed)) = &**reply {
            for chat in missed.iter().flatten().filter(|chat| !chat.has_more) {
                self.subscription.caught_up(chat.chat, chat.head);
            }
        }
        begun
    }

    /// Counts a request before it is decoded.
    ///
    /// # Errors
    /// `RateLimited`: only what its refusal needs may be read.
    pub fn count_frame(&self) -> Result<(), Error> {
        let payer = self.identity.lock().user.map(Payer::User);
        let counted = self.state.limits.frame(payer, Some(&self.gauges));
        counted.map_err(|over| self.refusal(over))
    }

    /// Whether it has ended for a reason after which no request is accepted, not even one in its
    /// inbox. Requests sent before the client left are accepted.
    pub fn refuses(&self) -> bool {
        matches!(
            self.outbox().closed(),
            Some(
                CloseReason::Expired
                    | CloseReason::Disconnected
                    | CloseReason::RateLimited
                    | CloseReason::NotAdmitted
                    | CloseReason::Refused
                    | CloseReason::Unavailable
            )
        )
    }

    /// The error about a request over a rate limit. A client that keeps sending is disconnected.
    fn refusal(&self, over: Over) -> Error {
        if over.verdict == Verdict::Close {
            self.end(CloseReason::RateLimited);
        }
        Error::rate_limited(over.retry_after_ms)
    }

    /// Sends the missed messages before any notice since the subscription. For a connection that
    /// has sent nothing yet.
    ///
    /// # Errors
    /// Those of `Sync`; `Invalid`: the connection has no user, so nothing will be delivered live.
    pub async fn begin_after(&self, since: Since) -> Result<(), Error> {
        if self.identity.lock().user.is_none() {
            let why = "needs a token that names the user of this connection";
            return Err(Error::invalid("auth.since", why));
        }
        let sync = Command::Sync {
            user: None,
            chats: since.chats,
            until: HashMap::new(),
            budget: PageBudget::REPLAY,
        };
        let missed = self.begin(sync).await.await?;
        self.outbox().respond_first((since.respond)(&missed));
        Ok(())
    }

    /// Ends the connection for this reason; only the first reason counts. At shutdown queued frames
    /// are still sent, otherwise they are dropped.
    pub fn end(&self, why: CloseReason) {
        let reason = self.outbox().closed().unwrap_or(why);
        if why != CloseReason::ShuttingDown {
            self.metrics.end(reason);
        }
        if self.outbox().close(why) {
            debug!(connection = %self.subscription.id, ?why, "closing");
        }
        self.state.hub.leave(&self.subscription);
        self.slot.lock().take();
    }

    /// The user's chats are read after the connection is bound to the user, and the heads of those
    /// without a subscription on this node after the subscriptions are made: so no chat and no
    /// message is missed in between, and none comes from a chat that the user has left meanwhile. With other nodes the
    /// heads are read before, too: what the client has received there is not delivered again.
    async fn subscribe(&self, user: UserId) -> Result<(), Error> {
        let (hub, service) = (&self.state.hub, &self.state.service);
        let entering = self.subscription.entering();
        hub.bind_user(&self.subscription, user);
        if let Some((issue, since)) = self.subscription.issue.zip(self.revocations) {
            // A revocation from now on finds the connection.
            let confirmed = with_deadline(service.confirm(issue, since)).await;
            if confirmed
                .as_ref()
                .is_err_and(|error| error.kind == ErrorKind::Unauthenticated)
            {
                self.end(CloseReason::Expired);
            }
            confirmed?;
        }
        let chats = with_deadline(service.chats_of(user)).await?;
        let known = with_deadline(service.known_elsewhere(&chats)).await?;
        let chats = chats.iter().zip(&known);
        let chats = chats.map(|((chat, version), head)| (*chat, *version, *head));
        let waiting = hub.subscribe_from(&entering, chats.clone());
        if !waiting.is_empty() {
            let known: HashMap<_, _> = chats.map(|(chat, _, head)| (chat, head)).collect();
            let heads = with_deadline(service.heads_of(&waiting)).await?;
            for (chat, head) in waiting.into_iter().zip(heads) {
                let known = known.get(&chat).copied().flatten();
                hub.open(chat, known.map_or(head, |known| known.max(head)));
            }
        }
        Ok(())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.end(CloseReason::Gone);
    }
}
