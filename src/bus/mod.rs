//! The seam to the other nodes: notices of one are published to all.
//! Does not promise order or completeness: the relay repairs both from the store.

mod local;

#[cfg(test)]
mod contract;

use std::sync::Arc;

use async_trait::async_trait;

use crate::model::Notice;

pub use local::Local;

/// Carries notices to the relay of every node, this one included.
#[async_trait]
pub trait Bus: Send + Sync {
    /// Publishes a notice. Returns when the bus has it, not when others have it; waits while
    /// the reader of this node is behind. Notices published one after another by one caller
    /// reach this node's own reader in that order.
    async fn publish(&self, notice: Notice) -> Result<(), BusError>;

    /// The next notices for this node, as many as there are but at most `limit`; none once the
    /// bus is closed and all has been read. Nothing is lost if this is not waited for. One
    /// reader only: a second one takes turns with it.
    async fn next(&self, limit: usize) -> Vec<Arc<Notice>>;

    /// Takes no more notices; queued ones can still be read.
    fn close(&self);
}

/// Why a notice was not published.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// The bus has been closed.
    #[error("the bus is closed")]
    Closed,
}
