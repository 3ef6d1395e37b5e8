//! The state of a session, and the times and sizes that bound it.
//! Does not know when it changes.

use std::collections::VecDeque;
use std::task::{Context, Waker};
use std::time::Duration;

use engineioxide_core::ProtocolVersion;
use tokio::time::Instant;

use crate::gateway::websocket::{Batch, Frame};
use crate::limits::ConnectionSlots;
use crate::telemetry::CloseReason;

/// The times and sizes of all sessions.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How often a client is pinged, or has to ping (protocol 3).
    pub ping_interval: Duration,
    /// How long its answer may take.
    pub ping_timeout: Duration,
    /// The time limit for the first authentication.
    pub handshake: Duration,
    /// How long a WebSocket may take to become a session's carrier.
    pub upgrade: Duration,
    /// The longest message and the longest body, in bytes.
    pub max_payload: usize,
}

impl Settings {
    /// After how long the client must have sent something (protocol 3), or is pinged.
    pub(super) fn first_heartbeat(&self, protocol: ProtocolVersion) -> Duration {
        match protocol {
            ProtocolVersion::V4 => self.ping_interval,
            ProtocolVersion::V3 => self.ping_interval + self.ping_timeout,
        }
    }
}

/// The writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carrier {
    /// One poll after the other.
    Polling {
        /// Whether a poll waits for something to be sent.
        waiting: bool,
        /// Whether a WebSocket tries to become the carrier.
        probed: bool,
        /// Whether the pending poll is answered even if there is nothing to be sent.
        release: bool,
    },
    /// The WebSocket, until the end.
    WebSocket,
}

impl Carrier {
    /// Polling, with no poll yet.
    pub(super) const POLLING: Self = Self::Polling {
        waiting: false,
        probed: false,
        release: false,
    };
}

/// The state of a session.
pub(super) struct State {
    pub(super) control: Control,
    pub(super) carrier: Carrier,
    /// Wakes the writer.
    pub(super) writer: Option<Waker>,
    /// Wakes the task with the timer.
    pub(super) watcher: Option<Waker>,
    /// When the client must have sent something, or is pinged.
    pub(super) heartbeat: Instant,
    pub(super) awaits_pong: bool,
    /// The deadline of the authentication.
    pub(super) admission: Option<Instant>,
    /// When the first token of the authenticated clients expires.
    pub(super) expires_at: Option<Instant>,
    /// Whether it ends once nothing waits.
    pub(super) draining: bool,
    pub(super) closed: Option<CloseReason>,
    pub(super) slots: ConnectionSlots,
}

/// Packets that no application sent, in order.
#[derive(Default)]
pub(super) struct Control {
    frames: VecDeque<Frame>,
    pub(super) bytes: usize,
}

impl Control {
    pub(super) fn push(&mut self, frame: Frame) {
        self.bytes += frame.len();
        self.frames.push_back(frame);
    }

    pub(super) fn take(&mut self, batch: &mut Batch) {
        for frame in std::mem::take(self).frames {
            batch.push(frame);
        }
    }
}

impl State {
    /// Whether packets wait that no application sent.
    pub(super) fn has_packets(&self) -> bool {
        !self.control.frames.is_empty()
    }

    pub(super) fn register_writer(&mut self, context: &Context<'_>) {
        match &mut self.writer {
            Some(writer) => writer.clone_from(context.waker()),
            None => self.writer = Some(context.waker().clone()),
        }
    }

    pub(super) fn wake_writer(&mut self) {
        if let Some(writer) = self.writer.take() {
            writer.wake();
        }
    }

    /// Wakes the task with the timer: the watcher of a session that polls, or the WebSocket.
    pub(super) fn wake_timers(&mut self) {
        self.wake_writer();
        self.wake_watcher();
    }

    pub(super) fn wake_watcher(&mut self) {
        if let Some(watcher) = self.watcher.take() {
            watcher.wake();
        }
    }
}
