//! The bytes that wait in several outboxes together: in those of one user, and in all.
//! Does not know outboxes, nor what happens when there are too many.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::telemetry::Gauge;

/// The bytes that wait for all connections of one user.
#[derive(Debug, Default)]
pub struct UserTotal(AtomicUsize);

impl UserTotal {
    /// How many there are now.
    pub fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
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
        if let Some(UserTotal(user)) = self.user.as_deref() {
            user.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    pub(super) fn remove(&self, bytes: usize) {
        self.all.dec_by(signed(bytes));
        if let Some(UserTotal(user)) = self.user.as_deref() {
            user.fetch_sub(bytes, Ordering::Relaxed);
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
