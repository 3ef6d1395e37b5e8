//! The requests of one connection that wait to be served, and whether there is room for more.
//! Does not serve them.

use std::collections::VecDeque;

use crate::gateway::dialect::Incoming;

/// How many requests may wait before the client is not read from.
const FULL_AT: usize = 256;

/// The same in bytes.
const FULL_AT_BYTES: usize = 1024 * 1024;

/// How many requests must be left before it is read from again.
const ROOM_AT: usize = 64;

#[derive(Default)]
pub(super) struct Queue {
    waiting: VecDeque<Incoming>,
    bytes: usize,
    /// Whether a task serves it.
    pub(super) served: bool,
    /// Whether the transport waits for room.
    pub(super) full: bool,
}

impl Queue {
    /// Adds a request.
    pub(super) fn push(&mut self, incoming: Incoming) {
        self.bytes += incoming.text.len();
        self.waiting.push_back(incoming);
        self.judge();
    }

    /// Adds requests before all others, each before the one that is given before it.
    pub(super) fn put_first(&mut self, latest_first: impl IntoIterator<Item = Incoming>) {
        for incoming in latest_first {
            self.bytes += incoming.text.len();
            self.waiting.push_front(incoming);
        }
        self.judge();
    }

    fn judge(&mut self) {
        if self.waiting.len() >= FULL_AT || self.bytes >= FULL_AT_BYTES {
            self.full = true;
        }
    }

    /// The next request.
    pub(super) fn pop(&mut self) -> Option<Incoming> {
        let incoming = self.waiting.pop_front()?;
        self.bytes -= incoming.text.len();
        Some(incoming)
    }

    /// Whether there is room again for a transport that waits; it waits no longer then.
    pub(super) fn has_room_again(&mut self) -> bool {
        self.full && self.waiting.len() <= ROOM_AT && std::mem::replace(&mut self.full, false)
    }

    /// Drops all requests, and releases their memory.
    pub(super) fn clear(&mut self) {
        (self.waiting, self.bytes) = (VecDeque::new(), 0);
    }
}
