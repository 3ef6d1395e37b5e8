//! Whether what this node publishes comes back to it.
//! Does not act if it does not.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// One batch at a time that was sent and has not been received yet.
#[derive(Default)]
pub(super) struct Echo {
    awaited: Mutex<Awaited>,
}

#[derive(Default)]
struct Awaited {
    /// How many batches were awaited before.
    number: u64,
    batch: Option<(Vec<u8>, Instant)>,
}

impl Echo {
    /// Awaits this batch, unless another one is awaited: by which number.
    pub(super) fn sent(&self, batch: Vec<u8>) -> Option<u64> {
        let mut awaited = self.awaited.lock();
        if awaited.batch.is_some() {
            return None;
        }
        awaited.number += 1;
        awaited.batch = Some((batch, Instant::now()));
        Some(awaited.number)
    }

    /// Does not await the batch with this number any more: it may not have been sent.
    pub(super) fn failed(&self, sent: Option<u64>) {
        let mut awaited = self.awaited.lock();
        if sent == Some(awaited.number) {
            awaited.batch = None;
        }
    }

    /// Notes that a batch was received.
    pub(super) fn received(&self, batch: &[u8]) {
        let mut awaited = self.awaited.lock();
        if awaited.batch.as_ref().is_some_and(|(it, _)| it == batch) {
            awaited.batch = None;
        }
    }

    /// Awaits nothing.
    pub(super) fn forget(&self) {
        self.awaited.lock().batch = None;
    }

    /// Whether a batch has been awaited for this time.
    pub(super) fn is_missing(&self, time: Duration) -> bool {
        let awaited = self.awaited.lock();
        let sent = awaited.batch.as_ref();
        sent.is_some_and(|(_, sent)| sent.elapsed() >= time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT_ONCE: Duration = Duration::ZERO;

    #[test]
    fn a_batch_is_missing_until_it_is_received_or_has_failed() {
        let echo = Echo::default();
        assert!(!echo.is_missing(AT_ONCE));
        echo.sent(vec![1]);
        assert!(echo.is_missing(AT_ONCE) && !echo.is_missing(Duration::MAX));
        echo.received(&[2]);
        assert!(echo.is_missing(AT_ONCE));
        echo.received(&[1]);
        assert!(!echo.is_missing(AT_ONCE));
        let sent = echo.sent(vec![3]);
        echo.failed(sent);
        assert!(!echo.is_missing(AT_ONCE));
        echo.sent(vec![4]);
        echo.forget();
        assert!(!echo.is_missing(AT_ONCE));
    }

    #[test]
    fn a_batch_that_fails_is_not_another_one_that_is_awaited() {
        let echo = Echo::default();
        echo.sent(vec![1]);
        let second = echo.sent(vec![2]);
        echo.failed(second);
        assert!(echo.is_missing(AT_ONCE));
        echo.received(&[2]);
        assert!(echo.is_missing(AT_ONCE));
        echo.received(&[1]);
        assert!(!echo.is_missing(AT_ONCE));
    }
}
