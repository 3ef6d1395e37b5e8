//! Removes what deleted chats left in the store, in pieces, so that other writes get their turn.
//! Does not delete chats.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::store::Store;

/// The shortest pause between two pieces. A longer piece is followed by a pause of its length.
const PAUSE: Duration = Duration::from_millis(5);

/// How long to wait after a failure of the store.
const RETRY: Duration = Duration::from_secs(5);

/// Empties deleted chats.
pub(super) struct Sweeper {
    store: Arc<dyn Store>,
    deleted: Notify,
}

impl Sweeper {
    /// It begins with what an earlier process left.
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        let deleted = Notify::new();
        deleted.notify_one();
        Self { store, deleted }
    }

    /// Chats were deleted.
    pub(super) fn deleted(&self) {
        self.deleted.notify_one();
    }

    /// Runs until `stop`. A piece that has begun is finished; the next process removes the rest.
    pub(super) async fn run(&self, stop: CancellationToken) {
        while let Some(()) = stop.run_until_cancelled(self.deleted.notified()).await {
            while !stop.is_cancelled() {
                let began = Instant::now();
                let pause = match self.store.sweep().await {
                    Ok(true) => began.elapsed().max(PAUSE),
                    Ok(false) => break,
                    Err(error) => {
                        warn!(%error, "the messages of deleted chats could not be removed yet");
                        RETRY
                    }
                };
                stop.run_until_cancelled(sleep(pause)).await;
            }
        }
    }
}

#[cfg(test)]
#[path = "sweeper_tests.rs"]
mod tests;
