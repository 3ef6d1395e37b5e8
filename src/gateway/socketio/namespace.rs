//! The namespaces, and the admission of clients to them.
//! Does not know packets and transports.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::gateway::connection::Connection;
use crate::gateway::credentials;
use crate::gateway::dialect::DialectSession;
use crate::gateway::dialect::event_name::EventNameSession;
use crate::gateway::dialect::marketplace::MarketplaceSession;
use crate::gateway::engineio::Opening;
use crate::gateway::state::{GatewayState, unauthenticated};
use crate::limits::Payer;
use crate::model::{Error, Identity};
use crate::telemetry::Transport;

/// A namespace: the dialect of the clients that connect to it.
pub(super) struct Namespace {
    /// Where clients connect.
    pub(super) path: &'static str,
    /// Begins a session for an admitted caller; `None`: no user is known, and the dialect needs
    /// one.
    begin: fn(&Identity) -> Option<Arc<dyn DialectSession>>,
}

/// Every namespace.
pub(super) static NAMESPACES: [Namespace; 2] = [
    Namespace {
        path: "/",
        begin: |identity| Some(Arc::new(EventNameSession::new(identity.connection))),
    },
    Namespace {
        path: "/events",
        begin: |identity| Some(Arc::new(MarketplaceSession::new(identity.user?))),
    },
];

/// A client that may connect.
pub(super) struct Admission {
    /// Its connection, subscribed to its chats.
    pub(super) connection: Connection,
    /// Its session in its dialect.
    pub(super) dialect: Arc<dyn DialectSession>,
    /// How long its token is still valid; `None`: for ever.
    pub(super) lifetime: Option<Duration>,
}

impl Namespace {
    /// The namespace at this path.
    pub(super) fn at(path: &str) -> Option<&'static Self> {
        NAMESPACES.iter().find(|namespace| namespace.path == path)
    }

    /// Admits a client with this `auth`; `opening`: its first request; `again`: it has left a
    /// namespace of this session, and the CONNECT counts as a frame of its user, since the initial
    /// data may be large.
    ///
    /// # Errors
    /// `Unauthenticated`, `Invalid` (the fields of `auth` beside the token), `RateLimited` and
    /// `Unavailable`.
    pub(super) async fn admit(
        &self,
        state: &GatewayState,
        auth: &Value,
        opening: &Opening,
        transport: Transport,
        again: bool,
    ) -> Result<Admission, Error> {
        let token = match auth.get("token") {
            None | Some(Value::Null) => opening.token.as_deref(),
            Some(Value::String(token)) => Some(token.as_str()),
            Some(_) => return Err(unauthenticated()),
        };
        let admitted = state.admit(token, Some(opening.client)).await?;
        if again {
            let payer = admitted.identity.user.map(Payer::User);
            let counted = state.limits.frame(payer, None);
            counted.map_err(|over| Error::rate_limited(over.retry_after_ms))?;
        }
        let dialect = (self.begin)(&admitted.identity).ok_or_else(unauthenticated)?;
        dialect.handshake(&credentials::query(&opening.query));
        dialect.handshake(auth);
        let since = dialect.since(auth)?;
        let slot = state.reserve_connection(admitted.identity.user)?;
        let session = Arc::clone(&dialect);
        let opened = Connection::open(state.clone(), admitted, slot, session, transport);
        let connection = opened.await?;
        if let Some(since) = since {
            connection.begin_after(since).await?;
        }
        Ok(Admission {
            connection,
            dialect,
            lifetime: admitted.lifetime,
        })
    }
}
