//! The end of an inbox at shutdown: requests that were received before it are answered first.
//! Does not end a connection for another reason.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::Notify;

use super::Inbox;
use crate::model::Error;
use crate::telemetry::CloseReason;

/// How long requests that are under way may still take.
const SETTLE: Duration = Duration::from_secs(2);

/// Whether the connection is about to end. Notified once its requests are answered.
#[derive(Default)]
pub(super) struct Ending(OnceLock<Arc<Notify>>);

impl Ending {
    /// Whether it is about to end.
    pub(super) fn has_begun(&self) -> bool {
        self.0.get().is_some()
    }

    /// Whether a request may be served.
    ///
    /// # Errors
    /// `Unavailable`: the connection is about to end.
    pub(super) fn admit(&self) -> Result<(), Error> {
        if self.has_begun() {
            return Err(Error::unavailable("the server is shutting down"));
        }
        Ok(())
    }

    /// All requests are answered.
    pub(super) fn settled(&self) {
        if let Some(settled) = self.0.get() {
            settled.notify_one();
        }
    }
}

impl Inbox {
    /// Ends the connection because the server shuts down, once the requests that were received are
    /// answered. Further ones are refused.
    pub fn shut_down(self: &Arc<Self>) {
        let settled = Arc::clone(self.ending.0.get_or_init(Arc::default));
        // At the end of the shutdown the requests have had their time.
        if !self.queue.lock().served || self.requests.is_closed() {
            return self.connection.end(CloseReason::ShuttingDown);
        }
        // A request that waits for the user of the connection waits no longer.
        self.more.notify_one();
        let inbox = Arc::clone(self);
        self.requests.spawn(async move {
            let _ = tokio::time::timeout(SETTLE, settled.notified()).await;
            inbox.connection.end(CloseReason::ShuttingDown);
        });
    }
}
