//! The parts of the server that every connection uses, and the authentication of callers.
//! Does not know transports and dialects.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tracing::info;

use super::closing::Closing;
use crate::auth::Authenticator;
use crate::hub::{Hub, OutboxLimits};
use crate::limits::{Limits, Slot};
use crate::model::{
    Clock, Command, ConnectionId, Error, ErrorKind, Identity, Issue, Rights, UserId,
};
use crate::service::{InFlight, Newcomer, Revocations, Service};
use crate::telemetry::Metrics;

/// How long a request may take that only reads. One that stores something waits for its outcome,
/// however long that takes.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// The parts of the server that every connection uses.
#[derive(Clone)]
pub struct GatewayState {
    /// Executes commands.
    pub service: Arc<Service>,
    /// Delivers notices.
    pub hub: Arc<Hub>,
    /// Checks tokens.
    pub authenticator: Arc<Authenticator>,
    /// The time by which tokens expire.
    pub clock: Clock,
    /// The limits of each outbox.
    pub outbox: OutboxLimits,
    /// How fast a client may send, and how many connections it may have.
    pub limits: Arc<Limits>,
    /// When connections end at shutdown: queued frames are still sent before that.
    pub closing: Closing,
    /// The metrics.
    pub metrics: Metrics,
    /// Whether each request is logged.
    pub log_requests: bool,
}

/// A caller whose token is valid.
#[derive(Clone, Copy)]
pub struct Admitted {
    /// Its identity, on a connection of its own.
    pub identity: Identity,
    /// How long the token is still valid; `None`: for ever.
    pub lifetime: Option<Duration>,
    /// The token, if it may be revoked, and how many revocations there were before it was checked.
    pub token: Option<(Issue, Revocations)>,
    /// Its address, if it is known.
    pub client: Option<IpAddr>,
}

/// Without a token.
impl From<Identity> for Admitted {
    fn from(identity: Identity) -> Self {
        Self {
            identity,
            lifetime: None,
            token: None,
            client: None,
        }
    }
}

impl GatewayState {
    /// Checks the token of a client at this address, and finds or creates the user that it names.
    ///
    /// # Errors
    /// `Unauthenticated`: the token is not valid; the reason is the source, for the log.
    /// Otherwise as [`Service::identify`].
    pub async fn admit(
        &self,
        token: Option<&str>,
        client: Option<IpAddr>,
    ) -> Result<Admitted, Error> {
        self.admit_as(Newcomer::Created, token, client).await
    }

    /// [`Self::admit`], which may leave a user that is new without one.
    ///
    /// # Errors
    /// As [`Self::admit`].
    pub async fn admit_as(
        &self,
        newcomer: Newcomer,
        token: Option<&str>,
        client: Option<IpAddr>,
    ) -> Result<Admitted, Error> {
        let now = self.clock.now();
        let caller = self.authenticator.authenticate(token, now);
        let caller = caller.map_err(|reason| unauthenticated().because(reason))?;
        let rights = match *self.authenticator {
            Authenticator::Open => Rights::Open,
            Authenticator::Jwt(_) => Rights::Own,
        };
        let expires_at = caller.as_ref().and_then(|caller| caller.expires_at);
        let lifetime = expires_at.map(|at| Duration::try_from(at - now).unwrap_or_default());
        let issued_at = caller.as_ref().and_then(|caller| caller.issued_at);
        let revocations = self.service.revocations();
        let is_token = rights == Rights::Own;
        let (rights, user) =
            with_deadline(self.service.identify_as(newcomer, caller, rights)).await?;
        Ok(Admitted {
            identity: Identity {
                user,
                rights,
                connection: Some(ConnectionId::new(now)),
                request: None,
            },
            lifetime,
            token: user.filter(|_| is_token).map(|user| {
                let at = issued_at;
                (Issue { user, at }, revocations)
            }),
            client,
        })
    }

    /// Logs that a client was refused, within the budget of its address; `namespace`: of Socket.IO.
    pub(super) fn log_refusal(
        &self,
        client: Option<IpAddr>,
        transport: &'static str,
        namespace: Option<&'static str>,
        error: &Error,
    ) {
        if self.limits.logs_refusal(client) {
            let address = client.map(tracing::field::display);
            let reason = error.source.as_ref().map(ToString::to_string);
            info!(address, transport, namespace, %error, reason, "refused");
        }
    }

    /// Takes one of the connections that this user may have. Without a user there is no limit.
    ///
    /// # Errors
    /// `RateLimited`: the user has as many as it may.
    pub fn reserve_connection(&self, user: Option<UserId>) -> Result<Option<Slot<UserId>>, Error> {
        user.map_or(Ok(None), |user| self.limits.connection_of(user))
    }

    /// Begins a command that came on no connection; see [`Service::begin`].
    pub async fn begin(&self, identity: &Identity, command: Command) -> InFlight {
        match self.limits.message(identity, &command, None) {
            Ok(()) => self.begin_admitted(identity, command).await,
            Err(over) => InFlight::from(Err(Error::rate_limited(over.retry_after_ms))),
        }
    }

    /// Begins a command that is within the limits; one that only reads has a time limit.
    pub(super) async fn begin_admitted(&self, identity: &Identity, command: Command) -> InFlight {
        if command.stores() {
            return self.service.begin(identity, command).await;
        }
        let begin = self.service.begin(identity, command);
        match tokio::time::timeout(TIME_LIMIT, begin).await {
            Ok(in_flight) => in_flight,
            Err(_) => InFlight::from(Err(too_slow())),
        }
    }
}

/// The error of every invalid token.
pub fn unauthenticated() -> Error {
    Error::new(ErrorKind::Unauthenticated, "no valid token")
}

/// Runs `work` for as long as a request that reads may take.
///
/// # Errors
/// As `work`, or `Unavailable` when the time is over.
pub(super) async fn with_deadline<T>(
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let done = tokio::time::timeout(TIME_LIMIT, work).await;
    done.unwrap_or_else(|_| Err(too_slow()))
}

fn too_slow() -> Error {
    let seconds = TIME_LIMIT.as_secs();
    Error::unavailable(format!("the store did not answer within {seconds} seconds"))
}
