//! The requests of a connection without a user that need one, until its client names it.
//! Does not know how they are served.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::gateway::dialect::Incoming;
use crate::model::{Error, ErrorKind};

/// How many requests may wait.
const MOST: usize = 256;

/// The same in bytes.
const MOST_BYTES: usize = 1024 * 1024;

/// For how long each may wait.
const PATIENCE: Duration = Duration::from_secs(5);

/// Requests that wait for the user of their connection, in order.
#[derive(Default)]
pub(super) struct Unclaimed {
    waiting: VecDeque<(Instant, Incoming)>,
    bytes: usize,
}

impl Unclaimed {
    /// Lets a request wait. One for which there is no room is returned as refused.
    pub(super) fn push(&mut self, incoming: Incoming, now: Instant) -> Option<Incoming> {
        let bytes = self.bytes + incoming.text.len();
        if self.waiting.len() >= MOST || bytes > MOST_BYTES {
            return Some(refused(incoming));
        }
        self.bytes = bytes;
        self.waiting.push_back((now + PATIENCE, incoming));
        None
    }

    /// The first request if it has waited for long enough, as refused.
    pub(super) fn expired(&mut self, now: Instant) -> Option<Incoming> {
        let (until, _) = self.waiting.front()?;
        if *until > now {
            return None;
        }
        let (_, incoming) = self.waiting.pop_front()?;
        self.bytes -= incoming.text.len();
        Some(refused(incoming))
    }

    /// Until when the first request may wait; `None`: none waits.
    pub(super) fn until(&self) -> Option<Instant> {
        self.waiting.front().map(|(until, _)| *until)
    }

    /// All requests, the latest first: the user is known.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Incoming> + use<> {
        let Self { waiting, .. } = std::mem::take(self);
        waiting.into_iter().rev().map(|(_, incoming)| incoming)
    }

    /// Drops all requests.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

fn refused(mut incoming: Incoming) -> Incoming {
    incoming.admitted = Err(no_user());
    incoming
}

fn no_user() -> Error {
    let why = "no user is known: name one, or call create-user first";
    Error::new(ErrorKind::Unauthenticated, why)
}
