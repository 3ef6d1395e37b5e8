//! The direct way past an outbox: while nothing waits there, a frame goes straight to the
//! client's socket, and the writer is not woken for it.
//! Does not know sockets, nor how much one of them accepts.

use std::sync::Arc;

use tokio::time::Instant;

use super::Outbox;
use crate::hub::Outgoing;

/// Where frames go directly. It gets them in the order in which the client is to have them, one
/// at a time, and never while a frame that the writer took is still on its way.
pub trait DirectSink: Send + Sync {
    /// Sends a frame without waiting; `false`: not now. The frame then waits in the outbox, with
    /// all that come after it, until the writer has taken them.
    fn try_send(&self, frame: &Outgoing) -> bool;

    /// Records that the frame sent last was a message that is durable since then.
    fn delivered(&self, durable: Instant);
}

impl Outbox {
    /// Sends frames directly while nothing waits, until the guard is dropped. For the writer: it
    /// must have sent on what it took before it takes the next frame.
    pub fn attach(&self, direct: Arc<dyn DirectSink>) -> Attached<'_> {
        self.state.lock().direct = Some(direct);
        Attached(self)
    }
}

/// While this lives, the outbox has a direct way to its client.
pub struct Attached<'a>(&'a Outbox);

impl Drop for Attached<'_> {
    fn drop(&mut self) {
        let direct = self.0.state.lock().direct.take();
        // Not while the outbox is locked: what is dropped with it may look into the outbox.
        drop(direct);
    }
}

#[cfg(test)]
#[path = "direct_sink_tests.rs"]
mod tests;
