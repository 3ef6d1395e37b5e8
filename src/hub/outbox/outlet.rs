//! The short way past an outbox: while nothing waits there, what is put in goes straight on to
//! the client's socket, and whoever sends what waits is not woken for it.
//! It refuses to know sockets, and how much one of them takes.

use std::sync::Arc;

use tokio::time::Instant;

use super::Outbox;
use crate::gateway::dialect::Frame;

/// Where frames go on to. It is offered them in the order in which the client is to have them,
/// one at a time, and never while a frame that was taken out of the outbox is still on its way.
pub trait Outlet: Send + Sync {
    /// Takes a frame on, without waiting; `false`: not this one now. It then waits in the
    /// outbox, with all that come after it, until somebody has taken them out.
    fn offer(&self, frame: &Frame) -> bool;

    /// Notes that what was taken on last was a message that is durable since then.
    fn delivered(&self, durable: Instant);
}

impl Outbox {
    /// From now on what is put in goes this way if nothing waits, until what this returns is
    /// dropped. For whoever takes frames out: it must have sent on what it took before it takes
    /// the next one.
    pub fn attach(&self, outlet: Arc<dyn Outlet>) -> Attached<'_> {
        self.state.lock().outlet = Some(outlet);
        Attached(self)
    }
}

/// As long as this lives, an outbox has a short way to its client.
pub struct Attached<'a>(&'a Outbox);

impl Drop for Attached<'_> {
    fn drop(&mut self) {
        let outlet = self.0.state.lock().outlet.take();
        // Not while the outbox is locked: what goes with it may look into the outbox.
        drop(outlet);
    }
}

#[cfg(test)]
#[path = "outlet_tests.rs"]
mod tests;
