//! The bytes that wait in several outboxes together: in those of one user, and in all.
//! Does not know outboxes, nor what happens when there are too many.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

use crate::telemetry::Gauge;

/// The bytes that wait, or are being written, for all connections of one user.
#[derive(Debug, Default)]
pub struct UserTotal {
    bytes: AtomicUsize,
    /// The bytes of responses that are being made.
    reserved: AtomicUsize,
    eased: Notify,
}

/// Bytes that are reserved for a response to a user, until this is dropped.
#[derive(Debug)]
pub struct Reserved {
    user: Arc<UserTotal>,
    bytes: usize,
}

impl UserTotal {
    /// How many there are now, without what is reserved.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Reserves so many bytes, as soon as they are `most` at most with those of the user and those
    /// reserved before, or the only ones.
    pub(super) async fn reserve(self: Arc<Self>, bytes: usize, most: usize) -> Reserved {
        loop {
            let mut eased = pin!(self.eased.notified());
            eased.as_mut().enable();
            if self.try_reserve(bytes, most) {
                break;
            }
            eased.await;
        }
        Reserved { user: self, bytes }
    }

    fn try_reserve(&self, bytes: usize, most: usize) -> bool {
        let add = |reserved: usize| {
            let others = self.bytes() + reserved;
            (others == 0 || others + bytes <= most).then_some(reserved + bytes)
        };
        let added = self
            .reserved
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        added.is_ok()
    }

    fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn remove(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.eased.notify_waiters();
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.user.reserved.fetch_sub(self.bytes, Ordering::Relaxed);
        self.user.eased.notify_waiters();
    }
}

/// The totals in which an outbox is counted.
#[derive(Debug, Default)]
pub(super) struct Totals {
    /// Of all outboxes.
    pub(super) all: Gauge,
    /// Of its user's; `None`: it has none.
    pub(super) user: Option<Arc<UserTotal>>,
}

impl Totals {
    pub(super) fn add(&self, bytes: usize) {
        self.all.inc_by(signed(bytes));
        if let Some(user) = self.user.as_deref() {
            user.add(bytes);
        }
    }

    pub(super) fn remove(&self, bytes: usize) {
        self.all.dec_by(signed(bytes));
        if let Some(user) = self.user.as_deref() {
            user.remove(bytes);
        }
    }

    /// The bytes that wait for its user.
    pub(super) fn of_user(&self) -> usize {
        self.user.as_deref().map_or(0, UserTotal::bytes)
    }
}

fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
