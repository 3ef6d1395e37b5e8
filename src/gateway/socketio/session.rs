//! The namespaces of one session. The packets of a client are handled in their order, CONNECT and
//! DISCONNECT too: a namespace may be left and entered again at once.
//! Does not know transports, nor the meaning of events.

use std::sync::Arc;
use std::task::Context;

use bytes::Bytes;
use engineioxide_core::ProtocolVersion;
use parking_lot::Mutex;
use serde_json::Value;
use tungstenite::Utf8Bytes;

use super::namespace::Namespace;
use super::packet::{Kind, Packet, connect_error, invalid_namespace};
use super::side::Side;
use super::socket::Socket;
use crate::gateway::Tasks;
use crate::gateway::engineio::{Handler, Opening, Session};
use crate::gateway::state::GatewayState;
use crate::gateway::transport::Handled;
use crate::gateway::websocket::{Batch, Frame};
use crate::hub::Drained;
use crate::model::{Error, ErrorKind};
use crate::telemetry::{CloseReason, Transport};

/// After how many refused CONNECTs a session ends.
const REFUSALS: u8 = 8;

/// The state that all sessions share.
pub(super) struct Environment {
    /// To the service and the hub.
    pub(super) state: GatewayState,
    /// The tasks of all connections.
    pub(super) tasks: Tasks,
    /// Decodes the events of clients.
    pub(super) side: Side,
}

/// One session.
pub(super) struct SocketIoSession(Arc<Shared>);

struct Shared {
    environment: Arc<Environment>,
    opening: Opening,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    sockets: Vec<Arc<Socket>>,
    /// The socket of the packet whose attachments come next, and how many are missing.
    attachments: Option<(Option<Arc<Socket>>, usize)>,
    refusals: u8,
    /// Whether it was connected to a namespace that it has left.
    left: bool,
    /// Whether the server shuts down.
    draining: bool,
    closed: bool,
}

impl Table {
    fn socket(&self, namespace: &str) -> Option<Arc<Socket>> {
        let mut sockets = self.sockets.iter();
        sockets.find(|it| it.namespace == namespace).map(Arc::clone)
    }

    /// Whether the client has not sent a CONNECT yet.
    fn is_new(&self) -> bool {
        self.sockets.is_empty() && self.refusals == 0 && !self.left
    }
}

impl SocketIoSession {
    pub(super) fn new(environment: Arc<Environment>, opening: Opening) -> Self {
        Self(Arc::new(Shared {
            environment,
            opening,
            table: Mutex::default(),
        }))
    }

    fn connect(&self, session: &Arc<Session>, packet: &Packet<'_>) -> Result<Handled, CloseReason> {
        let Some(namespace) = Namespace::at(packet.namespace) else {
            let frame = invalid_namespace(packet.namespace);
            self.0.refuse(session, frame)?;
            return Ok(Handled::Done);
        };
        if self.0.table.lock().socket(namespace.path).is_some() {
            // Twice: the first one counts.
            return Ok(Handled::Done);
        }
        let auth = packet.auth(session.protocol(), &self.0.opening.query);
        let (shared, session) = (Arc::clone(&self.0), Arc::clone(session));
        Ok(Handled::Later(Box::pin(async move {
            shared.connect(&session, namespace, auth).await
        })))
    }

    fn disconnect(&self, session: &Arc<Session>, namespace: &str) {
        let left = {
            let mut table = self.0.table.lock();
            let index = table
                .sockets
                .iter()
                .position(|it| it.namespace == namespace);
            let left = index.map(|index| table.sockets.swap_remove(index));
            table.left |= left.is_some();
            left.map(|left| (left, table.sockets.is_empty()))
        };
        if let Some((socket, last)) = left {
            socket.end(CloseReason::Gone);
            if last {
                session.vacate();
            }
        }
    }

    /// An event, or an acknowledgement, of which the attachments follow.
    fn event(&self, packet: &Packet<'_>, text: &Utf8Bytes) -> Result<Handled, CloseReason> {
        let socket = {
            let mut table = self.0.table.lock();
            let socket = table.socket(packet.namespace);
            // A packet sent before the client has read its refusal is no violation.
            if socket.is_none() && table.refusals == 0 && !table.left {
                return Err(CloseReason::ProtocolError);
            }
            // No event of the server requests an acknowledgement.
            let socket = socket.filter(|_| packet.kind == Kind::Event);
            if packet.attachments > 0 {
                table.attachments = Some((socket.clone(), packet.attachments));
            }
            socket
        };
        let Some(socket) = socket else {
            return Ok(Handled::Done);
        };
        let list = packet.list().ok_or(CloseReason::ProtocolError)?;
        Ok(socket.packet(packet, list, text))
    }
}

impl Shared {
    /// Checks a CONNECT, and answers it.
    async fn connect(
        &self,
        session: &Arc<Session>,
        namespace: &'static Namespace,
        auth: Value,
    ) -> Result<(), CloseReason> {
        let Environment { state, tasks, side } = &*self.environment;
        let (transport, again) = (transport(session), self.table.lock().left);
        let admitted = namespace.admit(state, &auth, &self.opening, transport, again);
        let admission = match admitted.await {
            Ok(admission) => admission,
            Err(error) => {
                let client = Some(self.opening.client);
                state.log_refusal(client, transport.into(), Some(namespace.path), &error);
                state.metrics.turned_away(error.kind.code());
                if let Some(why) = passing(&error) {
                    return Err(why);
                }
                let frame = connect_error(session.protocol(), namespace.path, error.kind);
                return self.refuse(session, frame);
            }
        };
        let (connection, requests) = (admission.connection, tasks.requests.clone());
        let socket = Socket::new(
            namespace.path,
            side.decoder(session, namespace.path),
            connection,
            admission.dialect,
            requests,
        );
        {
            let mut table = self.table.lock();
            if table.closed {
                // Dropping the socket ends its connection.
                return Ok(());
            }
            if table.draining {
                // Nothing would end it any more.
                return Err(CloseReason::ShuttingDown);
            }
            table.sockets.push(Arc::clone(&socket));
        }
        session.admit(admission.lifetime);
        if session.is_websocket() {
            socket
                .connection()
                .metrics()
                .set_transport(Transport::WebSocket);
        }
        side.connect(session, &socket).await;
        Ok(())
    }

    /// Refuses a CONNECT.
    ///
    /// # Errors
    /// It was one too many.
    fn refuse(&self, session: &Arc<Session>, frame: Frame) -> Result<(), CloseReason> {
        session.send([frame]);
        let mut table = self.table.lock();
        table.refusals += 1;
        if table.refusals < REFUSALS {
            return Ok(());
        }
        Err(CloseReason::Refused)
    }

    fn sockets(&self) -> Vec<Arc<Socket>> {
        self.table.lock().sockets.clone()
    }
}

/// Why a session ends whose client may connect later: official clients do not reconnect after
/// `CONNECT_ERROR`, but they do when the transport ends.
fn passing(error: &Error) -> Option<CloseReason> {
    match error.kind {
        ErrorKind::RateLimited => Some(CloseReason::RateLimited),
        ErrorKind::Unavailable | ErrorKind::Internal => Some(CloseReason::Unavailable),
        _ => None,
    }
}

fn transport(session: &Session) -> Transport {
    if session.is_websocket() {
        Transport::WebSocket
    } else {
        Transport::Polling
    }
}

impl Handler for SocketIoSession {
    /// Clients of version 2 are connected to the main namespace without a CONNECT.
    fn opened(&self, session: &Arc<Session>) -> Handled {
        if session.protocol() == ProtocolVersion::V4 {
            return Handled::Done;
        }
        let connected = Packet::parse("0").ok_or(CloseReason::ProtocolError);
        let connected = connected.and_then(|packet| self.connect(session, &packet));
        connected.unwrap_or(Handled::Done)
    }

    fn text(&self, session: &Arc<Session>, text: Utf8Bytes) -> Result<Handled, CloseReason> {
        let packet = Packet::parse(&text).ok_or(CloseReason::ProtocolError)?;
        if self.0.table.lock().attachments.is_some() {
            return Err(CloseReason::ProtocolError);
        }
        match packet.kind {
            Kind::Connect => self.connect(session, &packet),
            Kind::Disconnect if self.0.table.lock().is_new() => Err(CloseReason::ProtocolError),
            Kind::Disconnect => {
                self.disconnect(session, packet.namespace);
                Ok(Handled::Done)
            }
            Kind::Event | Kind::Ack => self.event(&packet, &text),
        }
    }

    fn binary(&self, _: &Arc<Session>, _: Bytes) -> Result<Handled, CloseReason> {
        let socket = {
            let mut table = self.0.table.lock();
            let attachments = table.attachments.take();
            let (socket, missing) = attachments.ok_or(CloseReason::ProtocolError)?;
            if missing > 1 {
                table.attachments = Some((socket.clone(), missing - 1));
            }
            socket
        };
        Ok(socket.map_or(Handled::Done, |socket| socket.attachment()))
    }

    fn fill(&self, context: &Context<'_>, batch: &mut Batch) -> Option<CloseReason> {
        let mut table = self.0.table.lock();
        if table.sockets.len() > 1 {
            // No namespace keeps another one from being served.
            table.sockets.rotate_left(1);
        }
        let mut ended = None;
        let mut all_closed = true;
        for socket in &table.sockets {
            match socket.fill(context, batch) {
                Some(Drained::Closed(why)) if why != CloseReason::ShuttingDown => return Some(why),
                Some(Drained::Closed(why)) => ended = Some(why),
                Some(Drained::Empty | Drained::Enough) | None => all_closed = false,
            }
            if batch.is_full() {
                return None;
            }
        }
        ended.filter(|_| all_closed)
    }

    fn has_frames(&self) -> bool {
        let table = self.0.table.lock();
        let mut outboxes = table.sockets.iter().map(|it| it.connection().outbox());
        outboxes.any(|outbox| !outbox.is_empty() || outbox.closed().is_none())
    }

    fn await_client(&self, context: &Context<'_>) -> Option<CloseReason> {
        let table = self.0.table.lock();
        let closed = table.sockets.iter().filter_map(|socket| {
            let outbox = socket.connection().outbox();
            outbox.await_client(context)
        });
        // Every outbox has to be notified, so all are called.
        closed.fold(None, |first, why| first.or(Some(why)))
    }

    fn written(&self) {
        for socket in &self.0.table.lock().sockets {
            socket.written();
        }
    }

    fn upgraded(&self) {
        for socket in self.0.sockets() {
            socket
                .connection()
                .metrics()
                .set_transport(Transport::WebSocket);
        }
    }

    fn shut_down(&self) {
        let sockets = {
            let mut table = self.0.table.lock();
            table.draining = true;
            table.sockets.clone()
        };
        for socket in sockets {
            socket.shut_down();
        }
    }

    fn closed(&self, why: CloseReason) {
        let sockets = {
            let mut table = self.0.table.lock();
            table.closed = true;
            table.attachments = None;
            std::mem::take(&mut table.sockets)
        };
        for socket in sockets {
            socket.end(why);
        }
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
