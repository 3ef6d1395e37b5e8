//! A client in a namespace: its connection, and the decoder of its events.
//! Does not know packets.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::task::Context;

use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use tungstenite::Utf8Bytes;

use super::decoder::Decoder;
use super::encode::encoded;
use super::packet::{EventPacket, Packet};
use crate::gateway::connection::Connection;
use crate::gateway::dialect::{DialectSession, Framing, Incoming};
use crate::gateway::inbox::Inbox;
use crate::gateway::transport::Handled;
use crate::gateway::websocket::Batch;
use crate::hub::{AckId, Drained};
use crate::telemetry::CloseReason;

/// A client in a namespace, from CONNECT to DISCONNECT.
pub(super) struct Socket {
    /// The path of the namespace.
    pub(super) namespace: &'static str,
    /// The decoder of its events.
    pub(super) decoder: Decoder,
    inbox: Arc<Inbox>,
}

impl Socket {
    /// The socket of an admitted client.
    pub(super) fn new(
        namespace: &'static str,
        decoder: Decoder,
        connection: Connection,
        dialect: Arc<dyn DialectSession>,
        requests: TaskTracker,
    ) -> Arc<Self> {
        Arc::new(Self {
            namespace,
            decoder,
            inbox: Inbox::new(connection, dialect, requests),
        })
    }

    /// The connection of this socket.
    pub(super) fn connection(&self) -> &Connection {
        &self.inbox.connection
    }

    /// Takes an event of the client, whose [`Packet::list`] is `list`. Returns the work to await
    /// before the client is read from again.
    pub(super) fn packet(
        self: &Arc<Self>,
        packet: &Packet<'_>,
        list: (&str, &str),
        text: &Utf8Bytes,
    ) -> Handled {
        self.decoded(self.decoder.event(packet, list, text))
    }

    /// Takes an attachment of the event before. Returns as [`Socket::packet`].
    pub(super) fn attachment(self: &Arc<Self>) -> Handled {
        self.decoded(self.decoder.attachment())
    }

    fn decoded(self: &Arc<Self>, event: Option<EventPacket>) -> Handled {
        if let Some(event) = event {
            self.event(event);
        }
        if !self.decoder.is_full() {
            return self.inbox.handled();
        }
        let socket = Arc::clone(self);
        Handled::Later(Box::pin(async move {
            socket.decoder.has_room().await;
            socket.inbox.has_room().await;
            Ok(())
        }))
    }

    /// Queues a decoded event.
    pub(super) fn event(&self, event: EventPacket) {
        let counted = self.connection().count_frame();
        if self.connection().refuses() {
            return;
        }
        self.inbox.push(Incoming {
            text: event.text,
            framing: Framing::Packet,
            ack: event.ack.map(AckId),
            admitted: counted,
            attachments: event.attachments,
            read: Instant::now(),
        });
    }

    /// Puts frames that wait for the client into `batch`, until it is full; `None`: the client
    /// is not connected yet.
    pub(super) fn fill(&self, context: &Context<'_>, batch: &mut Batch) -> Option<Drained> {
        if !self.decoder.is_open() {
            return None;
        }
        Some(self.connection().outbox().take(context, &mut |frame| {
            batch.push(encoded(self.namespace, &frame));
            if batch.is_full() {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        }))
    }

    /// The frames taken last are sent.
    pub(super) fn written(&self) {
        let connection = self.connection();
        connection
            .metrics()
            .delivered(connection.outbox().written());
    }

    /// Ends it because the server shuts down, once its requests are answered.
    pub(super) fn shut_down(&self) {
        self.inbox.shut_down();
    }

    /// Ends it.
    pub(super) fn end(&self, why: CloseReason) {
        self.connection().end(match why {
            // Queued frames cannot be sent any more.
            CloseReason::ShuttingDown => CloseReason::Gone,
            why => why,
        });
        self.decoder.close();
    }
}
