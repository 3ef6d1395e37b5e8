//! A client in a namespace: its connection, and the stream over which the library decodes what it
//! sends.
//! Does not know packets.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::task::Context;

use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use tungstenite::Utf8Bytes;

use super::encode::encoded;
use super::oxide::stream::{Payload, Stream};
use crate::gateway::connection::Connection;
use crate::gateway::dialect::{DialectSession, Framing, Incoming};
use crate::gateway::engineio::Session;
use crate::gateway::inbox::{Inbox, no_attachments};
use crate::gateway::transport::Work;
use crate::gateway::websocket::Batch;
use crate::hub::{AckId, Drained};
use crate::telemetry::CloseReason;

/// A client in a namespace, from CONNECT to DISCONNECT.
pub(super) struct Socket {
    /// The path of the namespace.
    pub(super) namespace: &'static str,
    /// What the library reads.
    pub(super) stream: Arc<Stream>,
    inbox: Arc<Inbox>,
}

impl Socket {
    /// The socket of an admitted client.
    pub(super) fn new(
        namespace: &'static str,
        session: &Arc<Session>,
        connection: Connection,
        dialect: Arc<dyn DialectSession>,
        requests: TaskTracker,
    ) -> Arc<Self> {
        Arc::new(Self {
            namespace,
            stream: Stream::new(session, namespace),
            inbox: Inbox::new(connection, dialect, requests),
        })
    }

    /// Whose socket it is.
    pub(super) fn connection(&self) -> &Connection {
        &self.inbox.connection
    }

    /// Queues an event that the library has decoded.
    pub(super) fn event(&self, text: Utf8Bytes, ack: Option<i64>, attachments: bool) {
        let counted = self.connection().count_frame();
        if self.connection().refuses() {
            return;
        }
        self.inbox.push(Incoming {
            text,
            framing: Framing::Packet,
            ack: ack.map(AckId),
            admitted: counted,
            attachments,
            read: Instant::now(),
        });
    }

    /// Queues an event that the library has decoded to bytes, which no dialect takes.
    pub(super) fn binary_event(&self, ack: Option<i64>) {
        self.inbox.push(Incoming {
            text: Utf8Bytes::default(),
            framing: Framing::Packet,
            ack: ack.map(AckId),
            admitted: self
                .connection()
                .count_frame()
                .and_then(|()| Err(no_attachments())),
            attachments: true,
            read: Instant::now(),
        });
    }

    /// Passes a packet, or an attachment, on to the library. Returns what has to be waited for
    /// before the client is read from again.
    pub(super) fn pass(self: &Arc<Self>, payload: Payload<'_>) -> Option<Work> {
        let has_room = self.stream.push(payload);
        if has_room && !self.inbox.is_full() {
            return None;
        }
        let socket = Arc::clone(self);
        Some(Box::pin(async move {
            socket.stream.has_room().await;
            socket.inbox.has_room().await;
            Ok(())
        }))
    }

    /// Puts frames that wait for the client into `batch`, until it is full; `None`: the library
    /// has not connected it yet.
    pub(super) fn fill(&self, context: &Context<'_>, batch: &mut Batch) -> Option<Drained> {
        if !self.stream.is_open() {
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

    /// What was taken last is sent.
    pub(super) fn written(&self) {
        let connection = self.connection();
        connection
            .metrics()
            .delivered(connection.outbox().written());
    }

    /// Ends it: for the library its client has closed.
    pub(super) fn end(&self, why: CloseReason) {
        self.connection().end(match why {
            // What waits cannot be sent any more.
            CloseReason::ShuttingDown => CloseReason::Gone,
            why => why,
        });
        self.stream.close();
    }
}
