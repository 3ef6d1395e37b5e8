//! Retries with exponential backoff, limited by a deadline per call.
//! Does not know the operation.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::failure::is_transient;
use crate::store::StoreError;

/// How long one call may take, including all retries: as long as the election of a new primary
/// takes, and as long as clients wait for a response.
pub(super) const DEADLINE: Duration = Duration::from_secs(5);

/// The delay before the first retry; doubles with each further one.
const FIRST_DELAY: Duration = Duration::from_millis(5);

/// The longest delay between two attempts.
const MAX_DELAY: Duration = Duration::from_millis(200);

/// Runs `attempt`, and again after transient errors until [`DEADLINE`]. `attempt` must be
/// idempotent.
pub(super) async fn retry_until_deadline<T, F>(attempt: impl Fn() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    with_deadline(retry(attempt)).await
}

/// The same for a part of a call that is under [`with_deadline`] as a whole.
pub(super) async fn retry<T, F>(attempt: impl Fn() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let mut backoff = Backoff::start();
    loop {
        match attempt().await {
            Err(error) if is_transient(&error) => backoff.wait(error).await?,
            result => return result,
        }
    }
}

/// Cancels `work` and returns `Unavailable` once [`DEADLINE`] has passed.
pub(super) async fn with_deadline<T>(
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    timeout(DEADLINE, work)
        .await
        .unwrap_or_else(|_| Err(deadline_exceeded()))
}

fn deadline_exceeded() -> StoreError {
    let seconds = DEADLINE.as_secs();
    StoreError::Unavailable(format!("MongoDB has not answered within {seconds} seconds").into())
}

/// The delays between attempts: exponential, and none beyond [`DEADLINE`].
pub(super) struct Backoff {
    started: Instant,
    next: Duration,
}

impl Backoff {
    pub(super) fn start() -> Self {
        Self {
            started: Instant::now(),
            next: FIRST_DELAY,
        }
    }

    /// Waits before the next attempt; returns `error`, the reason for it, if the delay would end
    /// past the deadline.
    pub(super) async fn wait(&mut self, error: StoreError) -> Result<(), StoreError> {
        if self.started.elapsed() + self.next >= DEADLINE {
            return Err(error);
        }
        sleep(self.next()).await;
        Ok(())
    }

    /// The delay before the next attempt.
    pub(super) fn next(&mut self) -> Duration {
        let delay = self.next;
        self.next = (delay * 2).min(MAX_DELAY);
        delay
    }
}
