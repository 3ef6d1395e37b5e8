//! Who may open a raw WebSocket, and what is spoken on it: decided before the upgrade, so that
//! a refusal is a plain HTTP answer.
//! It refuses to know frames.

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

use super::begin;
use super::conversation::Conversation;
use crate::gateway::connection::{Admitted, Connection, Desk, unauthenticated};
use crate::gateway::dialect::{ALL, Acks, Dialect, Push, Setting, Talk, Undecided};
use crate::gateway::limits::Slot;
use crate::gateway::line::Line;
use crate::gateway::{Tasks, credentials};
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
    pub desk: Desk,
    /// What a day is.
    pub zone: TimeZone,
    /// The longest frame, in bytes.
    pub frame_bytes: usize,
    /// The tasks of all connections.
    pub tasks: Tasks,
}

/// Somebody who was let in.
pub(super) struct Guest {
    server: Arc<RawServer>,
    admitted: Admitted,
    place: Option<Slot<UserId>>,
    talk: Arc<dyn Talk>,
}

/// What a client may say in the query.
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
                self.desk.metrics.turned_away(error.kind.code());
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
        let place = match self.desk.place(Some(user)) {
            Ok(place) => place,
            Err(error) => {
                info!(%user, %error, "refused");
                self.desk.metrics.turned_away(error.kind.code());
                return refusal(&error);
            }
        };
        line.admit();
        let setting = self.setting(&uri, connection, user);
        let talk: Arc<dyn Talk> = match dialect {
            Some(dialect) => (dialect.begin)(setting),
            None => Arc::new(Undecided::new(setting)),
        };
        debug!(%connection, dialect = talk.spoken().name(), "raw WebSocket");
        let pumps = self.tasks.pumps.clone();
        let guest = Guest {
            server: Arc::clone(&self),
            admitted,
            place,
            talk,
        };
        upgrade
            .max_frame_size(self.frame_bytes)
            .max_message_size(self.frame_bytes)
            .read_buffer_size(READ_BUFFER)
            .on_upgrade(move |socket| {
                let tasks = pumps.clone();
                pumps.track_future(begin(socket, guest, line, tasks))
            })
    }

    /// What a dialect is told of a connection: some of it stands in the query.
    fn setting(&self, uri: &Uri, connection: ConnectionId, user: UserId) -> Setting {
        let Query(Parameters { ack, push }) =
            Query::try_from_uri(uri).unwrap_or(Query(Parameters {
                ack: None,
                push: None,
            }));
        Setting {
            connection,
            user,
            clock: self.desk.clock.clone(),
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
        let admitted = self.desk.admit(token.as_deref()).await?;
        match admitted.identity.user {
            Some(_) => Ok(admitted),
            None => Err(unauthenticated()),
        }
    }
}

impl Guest {
    /// Takes the seats.
    ///
    /// # Errors
    /// As [`Connection::open`].
    pub(super) async fn sit_down(self) -> Result<Conversation, Error> {
        let Self {
            server,
            admitted,
            place,
            talk,
        } = self;
        let listener: Arc<dyn Talk> = Arc::clone(&talk);
        let (desk, identity) = (server.desk.clone(), admitted.identity);
        let client = (talk.spoken(), Transport::Raw);
        let connection = Connection::open(desk, identity, place, listener, client).await;
        let connection =
            connection.inspect_err(|error| server.desk.metrics.turned_away(error.kind.code()))?;
        Ok(Conversation {
            connection,
            talk,
            lifetime: admitted.lifetime,
            heard: Mutex::new(Instant::now()),
            requests: server.tasks.requests.clone(),
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
