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
    /// How long it may take until somebody is admitted.
    pub handshake: Duration,
    /// How long a WebSocket may take to become a session's carrier.
    pub upgrade: Duration,
    /// The longest message and the longest body, in bytes.
    pub max_payload: usize,
}

impl Settings {
    /// After how long the client has to have given a sign (protocol 3), or is pinged.
    pub(super) fn first_heartbeat(&self, protocol: ProtocolVersion) -> Duration {
        match protocol {
            ProtocolVersion::V4 => self.ping_interval,
            ProtocolVersion::V3 => self.ping_interval + self.ping_timeout,
        }
    }
}

/// Who may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carrier {
    /// One poll after the other.
    Polling {
        /// Whether a poll waits for something to be sent.
        waiting: bool,
        /// Whether a WebSocket tries to become the carrier.
        probed: bool,
        /// Whether the poll that waits is answered even if there is nothing to be sent.
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

/// What changes in a session.
pub(super) struct State {
    pub(super) control: Control,
    pub(super) carrier: Carrier,
    /// Wakes whoever may write.
    pub(super) writer: Option<Waker>,
    /// Wakes whoever keeps the time.
    pub(super) watcher: Option<Waker>,
    /// When the client has to have given a sign, or is pinged.
    pub(super) heartbeat: Instant,
    pub(super) awaits_pong: bool,
    /// Until when somebody has to be admitted.
    pub(super) admission: Option<Instant>,
    /// When the first token of those who were admitted ends.
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

    /// Wakes whoever keeps the time: the watcher of a session that polls, or the WebSocket.
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
