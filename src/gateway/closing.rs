//! When the connections end at shutdown: all at once, or one after the other.
//! Does not end a connection: its transport does, once its token is cancelled.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// The number of the last group of connections. A connection costs no memory but the token of its
/// group.
const LAST: u8 = u8::MAX;

/// The groups of connections that end together.
#[derive(Clone)]
pub struct Closing(Arc<Groups>);

struct Groups {
    all: CancellationToken,
    /// Each is a child of `all`.
    each: Vec<CancellationToken>,
    /// The group of the next connection.
    next: AtomicU8,
}

impl Default for Closing {
    fn default() -> Self {
        let all = CancellationToken::new();
        Self(Arc::new(Groups {
            each: (0..=LAST).map(|_| all.child_token()).collect(),
            next: AtomicU8::new(0),
            all,
        }))
    }
}

impl Closing {
    /// The token of a new connection: cancelled when the connection has to end.
    pub fn token(&self) -> CancellationToken {
        let next = self.0.next.fetch_add(1, Ordering::Relaxed);
        self.0.each[usize::from(next)].clone()
    }

    /// Cancelled by [`Closing::cancel`].
    pub fn all(&self) -> CancellationToken {
        self.0.all.clone()
    }

    /// Ends all connections, present and future ones.
    pub fn cancel(&self) {
        self.0.all.cancel();
    }

    /// Ends all connections, spread evenly over so long.
    pub async fn spread(&self, over: Duration) {
        let begin = Instant::now();
        for step in 0..=LAST {
            // Connections that were opened one after the other are far apart in this order: a few
            // of them are spread as evenly as many.
            let group = &self.0.each[usize::from(step.reverse_bits())];
            sleep_until(begin + over / (u32::from(LAST) + 1) * u32::from(step)).await;
            group.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn connections_end_evenly_over_the_time_few_or_many() {
        const OVER: Duration = Duration::from_hours(1);
        for count in [4, 60, 1000] {
            let closing = Closing::default();
            let begin = Instant::now();
            let ends: Vec<_> = (0..count).map(|_| closing.token()).collect();
            let ends = ends.into_iter().map(|token| async move {
                token.cancelled().await;
                begin.elapsed()
            });
            let ends = futures_util::future::join_all(ends);
            let (ends, ()) = tokio::join!(ends, closing.spread(OVER));
            assert!(begin.elapsed() < OVER);
            for quarter in 0..4 {
                let from = OVER / 4 * quarter;
                let within = |end: &&Duration| **end >= from && **end < from + OVER / 4;
                let ended = ends.iter().filter(within).count();
                let even = count / 4;
                assert!(
                    ended.abs_diff(even) <= even / 20 + 1,
                    "{ended} of {count} in quarter {quarter}"
                );
            }
        }
    }

    #[tokio::test]
    async fn a_connection_that_is_opened_too_late_ends_at_once() {
        let closing = Closing::default();
        closing.spread(Duration::ZERO).await;
        assert!(closing.token().is_cancelled() && !closing.all().is_cancelled());
        let closing = Closing::default();
        closing.cancel();
        assert!(closing.token().is_cancelled() && closing.all().is_cancelled());
    }
}
