//! Who may open a raw WebSocket, and in which dialect: decided before the upgrade, so that a
//! refusal is a plain HTTP response.
//! Does not know frames.

use std::sync::Arc;

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{ConnectInfo, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use jiff::tz::TimeZone;
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::time::Instant;
use tracing::{debug, info};

use super::{RawConnection, begin};
use crate::gateway::connection::Connection;
use crate::gateway::dialect::{
    ALL, Acks, Autodetect, Dialect, DialectSession, Push, SessionOptions,
};
use crate::gateway::inbox::Inbox;
use crate::gateway::line::Line;
use crate::gateway::state::{Admitted, GatewayState, unauthenticated};
use crate::gateway::{Tasks, credentials};
use crate::limits::Slot;
use crate::model::{ConnectionId, Error, ErrorKind, Identity, UserId};
use crate::telemetry::Transport;

/// The path on which the first frame decides what is spoken.
const SHARED: &str = "/ws";

/// How much is read from a connection at a time, in bytes; one such buffer per connection.
/// The stream below asks the system for more at once.
const READ_BUFFER: usize = 128;

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

/// An admitted caller whose connection is being upgraded.
pub(super) struct Upgraded {
    server: Arc<RawServer>,
    admitted: Admitted,
    slot: Option<Slot<UserId>>,
    session: Arc<dyn DialectSession>,
}

/// What the query may hold.
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
                                ConnectInfo(line): ConnectInfo<Line>,
                                uri: Uri,
                                headers: HeaderMap,
                                upgrade: WebSocketUpgrade| async move {
                let asked = Asked {
                    line,
                    uri,
                    headers,
                    upgrade,
                };
                server.upgrade(asked, dialect).await
            };
            let upgrade = any(upgrade);
            router = router
                .route(path, upgrade.clone())
                .route(&format!("{path}/"), upgrade);
        }
        router.with_state(server)
    }

    async fn upgrade(self: Arc<Self>, asked: Asked, dialect: Option<&'static Dialect>) -> Response {
        let Asked {
            line,
            uri,
            headers,
            upgrade,
        } = asked;
        let admitted = match self.admit(&uri, &headers).await {
            Ok(admitted) => admitted,
            Err(error) => {
                let reason = error.source.as_ref().map(ToString::to_string);
                info!(%error, reason, "refused");
                self.state.metrics.turned_away(error.kind.code());
                return refusal(&error);
            }
        };
        let Identity {
            user: Some(user),
            connection: Some(connection),
            ..
        } = admitted.identity
        else {
            return refusal(&unauthenticated());
        };
        let slot = match self.state.reserve_connection(Some(user)) {
            Ok(slot) => slot,
            Err(error) => {
                info!(%user, %error, "refused");
                self.state.metrics.turned_away(error.kind.code());
                return refusal(&error);
            }
        };
        line.admit();
        let options = self.options(&uri, connection, user);
        let session: Arc<dyn DialectSession> = match dialect {
            Some(dialect) => (dialect.begin)(options),
            None => Arc::new(Autodetect::new(options)),
        };
        debug!(%connection, dialect = session.label().name(), "raw WebSocket");
        let pumps = self.tasks.pumps.clone();
        let upgraded = Upgraded {
            server: Arc::clone(&self),
            admitted,
            slot,
            session,
        };
        upgrade
            .max_frame_size(self.frame_bytes)
            .max_message_size(self.frame_bytes)
            .read_buffer_size(READ_BUFFER)
            .on_upgrade(move |socket| {
                let tasks = pumps.clone();
                pumps.track_future(begin(socket, upgraded, line, tasks))
            })
    }

    /// What a session needs to know of its connection; some of it stands in the query.
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

    /// A token is needed in open mode, too: these dialects have no other way to say who one
    /// is.
    async fn admit(&self, uri: &Uri, headers: &HeaderMap) -> Result<Admitted, Error> {
        let token = credentials::of_request(uri, headers);
        let admitted = self.state.admit(token.as_deref()).await?;
        match admitted.identity.user {
            Some(_) => Ok(admitted),
            None => Err(unauthenticated()),
        }
    }
}

impl Upgraded {
    /// Opens the connection.
    ///
    /// # Errors
    /// As [`Connection::open`].
    pub(super) async fn open(self) -> Result<RawConnection, Error> {
        let Self {
            server,
            admitted,
            slot,
            session,
        } = self;
        let (state, identity) = (server.state.clone(), admitted.identity);
        let opened = Connection::open(state, identity, slot, Arc::clone(&session), Transport::Raw);
        let connection = opened
            .await
            .inspect_err(|error| server.state.metrics.turned_away(error.kind.code()))?;
        Ok(RawConnection {
            inbox: Inbox::new(connection, session, server.tasks.requests.clone()),
            lifetime: admitted.lifetime,
            last_seen: Mutex::new(Instant::now()),
        })
    }
}

/// What a request to upgrade brings.
struct Asked {
    line: Line,
    uri: Uri,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
}

/// The answer never says why a token is wrong (PROTOCOL §1.3).
pub(in crate::gateway) fn refusal(error: &Error) -> Response {
    let status = match error.kind {
        ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorKind::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    };
    let mut response = (status, format!("{}\n", error.kind)).into_response();
    if let Some(wait) = error.retry_after_ms {
        let seconds = HeaderValue::from(wait.div_ceil(1000));
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    response
}
