//! A namespace of Socket.IO: who may connect to it, and what stands behind each socket.
//! It refuses to know what the events mean: a [`Tongue`] does.

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

use super::conversation::{Conversation, Event, Tongue};
use super::pump;
use super::session::{self, Sessions};
use crate::gateway::connection::{Connection, Desk, unauthenticated};
use crate::gateway::credentials;
use crate::gateway::dialect::plain::Plain;
use crate::gateway::line::Line;
use crate::hub::Closed;
use crate::model::{Error, ErrorKind, Identity};
use crate::telemetry::{Ending, Spoken, Transport};

/// One namespace, and what it needs of the rest of the server.
#[derive(Clone)]
pub struct Namespace {
    /// Where clients connect.
    pub path: &'static str,
    /// What is spoken there.
    pub spoken: Spoken,
    /// Begins what is spoken there with somebody who was admitted; `None`: nobody is known,
    /// and the namespace needs somebody.
    pub begin: fn(&Identity) -> Option<Arc<dyn Tongue>>,
    /// To the service and the hub.
    pub desk: Desk,
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

    /// Checks the token, seats the connection and registers its handlers. An error becomes
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
        let (connection, tongue, lifetime) = connected.map_err(|error| {
            let reason = error.source.as_ref().map(ToString::to_string);
            info!(sid = %socket.id, %error, reason, "refused");
            self.desk.metrics.turned_away(error.kind.code());
            error.kind
        })?;
        let sid = socket.id.to_string();
        let session = self.sessions.begin(sid.clone(), line);
        session.admitted();
        session.carries(connection.presence());
        let conversation = Arc::new(Conversation::new(connection, session, tongue));

        let (heard, requests) = (Arc::clone(&conversation), self.requests);
        socket.on_fallback(move |Heard(event)| {
            let unattended = heard.queue(event);
            let attend = unattended.then(|| requests.track_future(Arc::clone(&heard).attend()));
            async move {
                if let Some(attend) = attend {
                    attend.await;
                }
            }
        });
        let (left, sessions) = (Arc::clone(&conversation), Arc::clone(&self.sessions));
        socket.on_disconnect(move |reason: DisconnectReason| {
            left.connection.end(Closed::Gone, ending(reason));
            sessions.forget(&sid);
            std::future::ready(())
        });
        socket.extensions.insert(Starter {
            conversation,
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
    ) -> Result<(Connection, Arc<dyn Tongue>, Option<Duration>), Error> {
        let parts = socket.req_parts();
        let token = match token {
            Token::Given(token) => Some(token),
            Token::Absent => credentials::of_request(&parts.uri, &parts.headers),
            Token::Malformed => return Err(unauthenticated()),
        };
        let admitted = self.desk.admit(token.as_deref()).await?;
        let tongue = (self.begin)(&admitted.identity).ok_or_else(unauthenticated)?;
        let since = tongue.since(auth)?;
        let listener: Arc<dyn Tongue> = Arc::clone(&tongue);
        let (desk, identity) = (self.desk.clone(), admitted.identity);
        let place = desk.place(identity.user)?;
        let upgraded = self.sessions.was_upgraded(&socket.id.to_string());
        let transport = if upgraded || session::is_websocket(&parts.uri) {
            Transport::WebSocket
        } else {
            Transport::Polling
        };
        let client = (self.spoken, transport);
        let connection = Connection::open(desk, identity, place, listener, client).await?;
        if let Some((chats, say)) = since {
            connection.begin_after(chats, say).await?;
        }
        Ok((connection, tongue, admitted.lifetime))
    }
}

/// What the library says of the end, in the words of the figures.
const fn ending(reason: DisconnectReason) -> Ending {
    match reason {
        DisconnectReason::HeartbeatTimeout => Ending::Silent,
        DisconnectReason::PacketParsingError | DisconnectReason::MultipleHttpPollingError => {
            Ending::ProtocolError
        }
        DisconnectReason::ClosingServer => Ending::ShuttingDown,
        DisconnectReason::TransportClose
        | DisconnectReason::TransportError
        | DisconnectReason::ClientNSDisconnect
        | DisconnectReason::ServerNSDisconnect => Ending::Gone,
    }
}

/// What the connect handler finds: all is set up, and the client may be written to.
#[derive(Clone)]
struct Starter {
    conversation: Arc<Conversation>,
    lifetime: Option<Duration>,
    pumps: TaskTracker,
}

async fn connected(Handle { socket, .. }: Handle) {
    let Some(starter) = socket.extensions.remove::<Starter>() else {
        warn!(sid = %socket.id, "a socket connected that was not admitted");
        return;
    };
    let Starter {
        conversation,
        lifetime,
        pumps,
    } = starter;
    // This task has room for all that connecting needs; the next one is there while the client is.
    pumps.spawn(pump::run(socket, conversation, lifetime));
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
        let auth: Option<Plain> = match auth {
            Some(Value::Str(text, _)) => serde_json::from_str(text).ok(),
            _ => None,
        };
        let auth = auth.map_or(serde_json::Value::Null, |Plain(auth)| auth);
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
struct Heard(Event);

impl FromMessageParts<LocalAdapter> for Heard {
    type Error = Infallible;

    fn from_message_parts(
        _: &Arc<Socket<LocalAdapter>>,
        packet: &mut Value,
        ack: &Option<i64>,
    ) -> Result<Self, Infallible> {
        Ok(Self(Event {
            packet: packet.clone(),
            ack: *ack,
            read: Instant::now(),
        }))
    }
}
