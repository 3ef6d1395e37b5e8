//! Authenticates a raw WebSocket and chooses its dialect before the upgrade, so that a refusal is a
//! plain HTTP response.
//! Does not know frames.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use jiff::tz::TimeZone;
use serde::Deserialize;
use tracing::debug;

use super::session::RawSession;
use crate::gateway::connection::Connection as HubConnection;
use crate::gateway::dialect::{
    ALL, Acks, Autodetect, Dialect, DialectSession, Push, SessionOptions,
};
use crate::gateway::inbox::Inbox;
use crate::gateway::state::{Admitted, GatewayState, unauthenticated};
use crate::gateway::tcp::TcpHandle;
use crate::gateway::websocket::{Connection, Decoder, Upgrade};
use crate::gateway::{Tasks, credentials};
use crate::model::{ConnectionId, Error, ErrorKind, UserId};
use crate::telemetry::Transport;

/// The path on which the first frame decides the dialect.
const SHARED: &str = "/ws";

/// The `Retry-After` while the store is unavailable, in milliseconds.
const RETRY_AFTER_MS: u64 = 1000;

/// The raw WebSocket server.
#[derive(Clone)]
pub struct RawServer {
    /// To the service and the hub.
    pub state: GatewayState,
    /// The server's time zone.
    pub zone: TimeZone,
    /// The longest frame, in bytes.
    pub frame_bytes: usize,
    /// The tasks of all connections.
    pub tasks: Tasks,
}

/// The parameters of the query.
#[derive(Deserialize)]
struct Parameters {
    ack: Option<String>,
    push: Option<String>,
}

impl RawServer {
    /// Every path of every dialect, and the one that they share, each with and without its
    /// trailing slash.
    pub fn router(self) -> Router {
        let server = Arc::new(self);
        let own = ALL.iter().flat_map(|dialect| {
            let paths = dialect.paths.iter();
            paths.map(move |path| (*path, Some(dialect)))
        });
        let mut router = Router::new();
        for (path, dialect) in own.chain([(SHARED, None)]) {
            let upgrade = move |State(server): State<Arc<Self>>,
                                ConnectInfo(handle): ConnectInfo<TcpHandle>,
                                request: Request| async move {
                let (parts, _) = request.into_parts();
                server.upgrade(&handle, parts, dialect).await
            };
            let upgrade = any(upgrade);
            router = router
                .route(path, upgrade.clone())
                .route(&format!("{path}/"), upgrade);
        }
        router.with_state(server)
    }

    /// Upgrades a request, or responds with the error.
    async fn upgrade(
        self: Arc<Self>,
        handle: &TcpHandle,
        mut request: Parts,
        dialect: Option<&'static Dialect>,
    ) -> Response {
        let upgrade = match Upgrade::of(&mut request) {
            Ok(upgrade) => upgrade,
            Err(bad) => return bad.into_response(),
        };
        let limits = &self.state.limits;
        let client = limits.client_of(handle.peer(), &request.headers);
        let session = match self.open(client, &request, dialect).await {
            Ok(session) => session,
            Err(error) => {
                let transport = Transport::Raw.into();
                self.state
                    .log_refusal(Some(client), transport, None, &error);
                self.state.metrics.turned_away(error.kind.code());
                return refusal(&error);
            }
        };
        handle.admit();
        let (response, stream) = upgrade.accept();
        let connections = self.tasks.connections.clone();
        let (frame_bytes, closing) = (self.frame_bytes, self.state.closing.token());
        connections.clone().spawn(async move {
            let Some((stream, read)) = stream.await else {
                return;
            };
            let mut decoder = Decoder::new(frame_bytes);
            decoder.push(&read);
            // A task of its own: this one, with all that the upgrade needs, ends while the client
            // stays.
            connections.spawn(Connection::new(stream, decoder, session, None, closing));
        });
        response
    }

    /// Opens the connection of an admitted caller at this address.
    async fn open(
        &self,
        client: IpAddr,
        request: &Parts,
        dialect: Option<&'static Dialect>,
    ) -> Result<Arc<RawSession>, Error> {
        let uri = &request.uri;
        let admitted = self.admit(client, uri, &request.headers).await?;
        let Admitted {
            identity, lifetime, ..
        } = admitted;
        let (Some(user), Some(connection)) = (identity.user, identity.connection) else {
            return Err(unauthenticated());
        };
        let slot = self.state.reserve_connection(Some(user))?;
        let address = self.state.limits.client(client)?;
        let options = self.options(uri, connection, user);
        let session: Arc<dyn DialectSession> = match dialect {
            Some(dialect) => (dialect.begin)(options),
            None => Arc::new(Autodetect::new(options)),
        };
        debug!(%connection, dialect = session.label().name(), "raw WebSocket");
        let (state, dialect) = (self.state.clone(), Arc::clone(&session));
        let opened = HubConnection::open(state, admitted, slot, dialect, Transport::Raw);
        let inbox = Inbox::new(opened.await?, session, self.tasks.requests.clone());
        Ok(RawSession::new(inbox, lifetime, address))
    }

    /// The properties of the connection that a session needs; some of them are in the query.
    fn options(&self, uri: &Uri, connection: ConnectionId, user: UserId) -> SessionOptions {
        let Query(Parameters { ack, push }) =
            Query::try_from_uri(uri).unwrap_or(Query(Parameters {
                ack: None,
                push: None,
            }));
        SessionOptions {
            connection,
            user,
            clock: self.state.clock.clone(),
            zone: self.zone.clone(),
            acks: if ack.as_deref() == Some("1") {
                Acks::Always
            } else {
                Acks::Silent
            },
            push: if push.as_deref() == Some("0") {
                Push::Off
            } else {
                Push::On
            },
        }
    }

    /// A token is needed in open mode, too: these dialects have no other way to identify the user.
    async fn admit(
        &self,
        client: IpAddr,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<Admitted, Error> {
        let token = credentials::of_request(uri, headers);
        let admitted = self.state.admit(token.as_deref(), Some(client)).await?;
        match admitted.identity.user {
            Some(_) => Ok(admitted),
            None => Err(unauthenticated()),
        }
    }
}

/// The response never contains the reason why a token is invalid.
pub(in crate::gateway) fn refusal(error: &Error) -> Response {
    let status = match error.kind {
        ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    };
    let mut response = (status, format!("{}\n", error.kind)).into_response();
    let wait = error.retry_after_ms;
    let passing = error.kind == ErrorKind::Unavailable;
    if let Some(wait) = wait.or_else(|| passing.then_some(RETRY_AFTER_MS)) {
        let seconds = HeaderValue::from(wait.div_ceil(1000));
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    response
}
