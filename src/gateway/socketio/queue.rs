//! The events of one socket, in the order in which they came in.
//! Does not know what they say: the inbox has them decoded.
//!
//! `socketioxide` runs each event's handler as a task of its own, and such tasks overtake each
//! other. So a handler only queues its event before it becomes a task; the first task to find
//! the queue unattended serves it until it is empty.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::extract::ws::Utf8Bytes;
use bytes::Bytes;
use parking_lot::Mutex;
use socketioxide::handler::Value;
use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::info;

use super::session::Session;
use crate::gateway::connection::Connection;
use crate::gateway::dialect::{Framing, Incoming};
use crate::gateway::inbox::{Inbox, Served, Source, no_attachments};
use crate::hub::{AckId, Closed};
use crate::model::Error;

/// How many events may wait before no more are read from the connection.
const HOLD_AT: usize = 256;

/// How many must be left for reading to go on.
const RELEASE_AT: usize = 64;

/// How many events may wait at all: a single polling request can bring that many.
const WAITING: usize = 8192;

/// How long a client is asked to wait that had more events waiting than that.
const RETRY_AFTER_MS: u64 = 1000;

/// The events of one socket.
pub struct EventQueue {
    /// The path of the socket's namespace.
    pub namespace: &'static str,
    /// The Engine.IO session under the socket.
    pub session: Arc<Session>,
    inbox: Inbox,
    events: Mutex<Events>,
    more: Notify,
}

#[derive(Default)]
struct Events {
    waiting: VecDeque<Incoming>,
    attended: bool,
    holding: bool,
}

impl EventQueue {
    /// An empty queue.
    pub fn new(namespace: &'static str, session: Arc<Session>, inbox: Inbox) -> Self {
        Self {
            namespace,
            session,
            inbox,
            events: Mutex::default(),
            more: Notify::new(),
        }
    }

    /// Whose events.
    pub fn connection(&self) -> &Connection {
        &self.inbox.connection
    }

    /// Queues an event, without waiting for anything. Returns whether the caller has to
    /// [`EventQueue::attend`].
    pub fn push(&self, packet: Value, ack: Option<i64>, read: Instant) -> bool {
        let counted = self.connection().count_frame();
        if self.connection().is_rate_limited() {
            return false;
        }
        let (text, attachments, admitted) = match packet {
            Value::Str(text, attachments) => {
                // It is UTF-8 already.
                let text = Utf8Bytes::try_from(Bytes::from(text)).unwrap_or_default();
                (text, attachments.is_some(), counted)
            }
            Value::Bytes(_) => {
                let refused = counted.and_then(|()| Err(no_attachments()));
                (Utf8Bytes::default(), true, refused)
            }
        };
        let incoming = Incoming {
            text,
            framing: Framing::Packet,
            ack: ack.map(AckId),
            admitted,
            attachments,
            read,
        };
        let mut events = self.events.lock();
        if events.waiting.len() >= WAITING {
            drop(events);
            let error = Error::rate_limited(RETRY_AFTER_MS);
            self.inbox.refuse(&incoming, &error);
            return false;
        }
        events.waiting.push_back(incoming);
        if events.waiting.len() >= HOLD_AT && !events.holding {
            events.holding = true;
            self.session.hold();
        }
        self.more.notify_one();
        !std::mem::replace(&mut events.attended, true)
    }

    /// Serves what is queued until there is nothing left.
    pub async fn attend(self: Arc<Self>) {
        if let Served::Unavailable(error) = self.inbox.serve(&mut Attended(&self)).await {
            info!(%error, "a session could not begin");
            self.connection().close(Closed::Gone);
            self.session.cut();
        }
    }
}

/// A queue that is being served.
struct Attended<'a>(&'a EventQueue);

impl Source for Attended<'_> {
    type End = ();

    /// The next event. An idle queue without events ends: nobody attends it any longer. With
    /// requests still being served it waits instead.
    async fn next(&mut self, idle: bool) -> Result<Incoming, ()> {
        let queue = self.0;
        loop {
            {
                let mut events = queue.events.lock();
                if events.holding && events.waiting.len() <= RELEASE_AT {
                    events.holding = false;
                    queue.session.release();
                }
                if let Some(event) = events.waiting.pop_front() {
                    return Ok(event);
                }
                if idle {
                    events.attended = false;
                    return Err(());
                }
            }
            queue.more.notified().await;
        }
    }
}
