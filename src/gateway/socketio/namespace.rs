//! A namespace of Socket.IO: who may connect to it, and what stands behind each socket.
//! Does not know what the events mean: a [`DialectSession`] does.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ConnectInfo;
use socketioxide::SocketIo;
use socketioxide::adapter::LocalAdapter;
use socketioxide::handler::{ConnectHandler, FromConnectParts, FromMessageParts, Value};
use socketioxide::socket::{DisconnectReason, Socket};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::pump;
use super::queue::EventQueue;
use super::session::{self, Sessions};
use crate::gateway::connection::Connection;
use crate::gateway::credentials;
use crate::gateway::dialect::DialectSession;
use crate::gateway::dialect::untrusted_json::{self, UntrustedJson};
use crate::gateway::inbox::Inbox;
use crate::gateway::line::Line;
use crate::gateway::state::{GatewayState, unauthenticated};
use crate::hub::Closed;
use crate::model::{Error, ErrorKind, Identity};
use crate::telemetry::{CloseReason, Transport};

/// One namespace, and what it needs of the rest of the server.
#[derive(Clone)]
pub struct Namespace {
    /// Where clients connect.
    pub path: &'static str,
    /// Begins a session in its dialect for an admitted caller; `None`: no user is known, and the
    /// dialect needs one.
    pub begin: fn(&Identity) -> Option<Arc<dyn DialectSession>>,
    /// To the service and the hub.
    pub state: GatewayState,
    /// The connections under the sockets.
    pub sessions: Arc<Sessions>,
    /// Every task that serves requests.
    pub requests: TaskTracker,
    /// Every task that feeds a socket.
    pub pumps: TaskTracker,
}

impl Namespace {
    /// Serves the namespace.
    ///
    /// Everything is set up in a middleware, not in the connect handler: the library tells
    /// the client that it is connected before that handler runs, and loses what the client
    /// sends in between.
    pub fn mount(self, io: &SocketIo) {
        let path = self.path;
        let admit = move |handle: Handle| {
            let namespace = self.clone();
            async move { namespace.admit(handle).await }
        };
        io.ns(path, connected.with(admit));
    }

    /// Checks the token, opens the connection and registers its handlers. An error becomes
    /// the message of `CONNECT_ERROR`.
    async fn admit(self, handle: Handle) -> Result<(), ErrorKind> {
        let Handle {
            socket,
            token,
            auth,
        } = handle;
        let parts = socket.req_parts();
        let line = parts.extensions.get::<ConnectInfo<Line>>();
        let line = line.filter(|_| session::is_websocket(&parts.uri));
        let line = line.map(|ConnectInfo(line)| line.clone());
        // While it is judged the client is not the one that is slow.
        let judging = line.as_ref().map(Line::serve);
        let connected = self.connect(&socket, token, &auth).await;
        drop(judging);
        let (connection, dialect, lifetime) = connected.map_err(|error| {
            let reason = error.source.as_ref().map(ToString::to_string);
            info!(sid = %socket.id, %error, reason, "refused");
            self.state.metrics.turned_away(error.kind.code());
            error.kind
        })?;
        let sid = socket.id.to_string();
        let session = self.sessions.begin(sid.clone(), line);
        session.admitted();
        session.carries(connection.metrics());
        let inbox = Inbox::new(connection, dialect, self.requests.clone());
        let queue = Arc::new(EventQueue::new(self.path, session, inbox));

        let (events, requests) = (Arc::clone(&queue), self.requests);
        socket.on_fallback(move |RawEvent { packet, ack }| {
            if events.push(packet, ack, Instant::now()) {
                requests.spawn(Arc::clone(&events).attend());
            }
            // The library makes a task of what is returned for every event: so that is nothing,
            // rather than the serving of all.
            std::future::ready(())
        });
        let (ended, sessions) = (Arc::clone(&queue), Arc::clone(&self.sessions));
        socket.on_disconnect(move |reason: DisconnectReason| {
            ended.connection().end(Closed::Gone, close_reason(reason));
            sessions.forget(&sid);
            std::future::ready(())
        });
        socket.extensions.insert(Starter {
            queue,
            lifetime,
            pumps: self.pumps,
        });
        Ok(())
    }

    async fn connect(
        &self,
        socket: &Socket<LocalAdapter>,
        token: Token,
        auth: &serde_json::Value,
    ) -> Result<(Connection, Arc<dyn DialectSession>, Option<Duration>), Error> {
        let parts = socket.req_parts();
        let token = match token {
            Token::Given(token) => Some(token),
            Token::Absent => credentials::of_request(&parts.uri, &parts.headers),
            Token::Malformed => return Err(unauthenticated()),
        };
        let admitted = self.state.admit(token.as_deref()).await?;
        let dialect = (self.begin)(&admitted.identity).ok_or_else(unauthenticated)?;
        dialect.handshake(&credentials::query(&parts.uri));
        dialect.handshake(auth);
        let since = dialect.since(auth)?;
        let (state, identity) = (self.state.clone(), admitted.identity);
        let slot = state.reserve_connection(identity.user)?;
        let upgraded = self.sessions.was_upgraded(&socket.id.to_string());
        let transport = if upgraded || session::is_websocket(&parts.uri) {
            Transport::WebSocket
        } else {
            Transport::Polling
        };
        let opened = Connection::open(state, identity, slot, Arc::clone(&dialect), transport);
        let connection = opened.await?;
        if let Some(since) = since {
            connection.begin_after(since).await?;
        }
        Ok((connection, dialect, admitted.lifetime))
    }
}

/// The library's reason of a disconnect, as the metrics name it.
const fn close_reason(reason: DisconnectReason) -> CloseReason {
    match reason {
        DisconnectReason::HeartbeatTimeout => CloseReason::Silent,
        DisconnectReason::PacketParsingError | DisconnectReason::MultipleHttpPollingError => {
            CloseReason::ProtocolError
        }
        DisconnectReason::ClosingServer => CloseReason::ShuttingDown,
        DisconnectReason::TransportClose
        | DisconnectReason::TransportError
        | DisconnectReason::ClientNSDisconnect
        | DisconnectReason::ServerNSDisconnect => CloseReason::Gone,
    }
}

/// What the connect handler finds: all is set up, and the client may be written to.
#[derive(Clone)]
struct Starter {
    queue: Arc<EventQueue>,
    lifetime: Option<Duration>,
    pumps: TaskTracker,
}

async fn connected(Handle { socket, .. }: Handle) {
    let Some(starter) = socket.extensions.remove::<Starter>() else {
        warn!(sid = %socket.id, "a socket connected that was not admitted");
        return;
    };
    let Starter {
        queue,
        lifetime,
        pumps,
    } = starter;
    // This task has room for all that connecting needs; the next one is there while the client is.
    pumps.spawn(pump::run(socket, queue, lifetime));
}

/// The socket itself, the token that it connected with, and what else it said.
struct Handle {
    socket: Arc<Socket<LocalAdapter>>,
    token: Token,
    auth: serde_json::Value,
}

/// What stood in `auth.token`.
enum Token {
    Given(String),
    Absent,
    Malformed,
}

impl FromConnectParts<LocalAdapter> for Handle {
    type Error = Infallible;

    fn from_connect_parts(
        socket: &Arc<Socket<LocalAdapter>>,
        auth: &Option<Value>,
    ) -> Result<Self, Infallible> {
        let auth: Option<UntrustedJson> = match auth {
            Some(Value::Str(text, _)) => untrusted_json::from_str(text).ok(),
            _ => None,
        };
        let auth = auth.map_or(serde_json::Value::Null, |UntrustedJson(auth)| auth);
        let token = match auth.get("token") {
            None | Some(serde_json::Value::Null) => Token::Absent,
            Some(serde_json::Value::String(token)) => Token::Given(token.clone()),
            Some(_) => Token::Malformed,
        };
        Ok(Self {
            socket: Arc::clone(socket),
            token,
            auth,
        })
    }
}

/// An event as the library hands it over, before anything can fail to parse: an extractor
/// that fails drops the event in silence.
struct RawEvent {
    packet: Value,
    ack: Option<i64>,
}

impl FromMessageParts<LocalAdapter> for RawEvent {
    type Error = Infallible;

    fn from_message_parts(
        _: &Arc<Socket<LocalAdapter>>,
        packet: &mut Value,
        ack: &Option<i64>,
    ) -> Result<Self, Infallible> {
        Ok(Self {
            packet: packet.clone(),
            ack: *ack,
        })
    }
}
