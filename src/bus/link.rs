//! The seam between the bus of several nodes and what carries its batches.
//! Does not know what is in a batch.

use std::time::Duration;

use async_trait::async_trait;

/// One way to carry batches between nodes.
#[async_trait]
pub(super) trait Link: Send + Sync {
    /// Sends a batch to every node, this one included. On an error some may get it all the same.
    async fn send(&self, batch: Vec<u8>) -> Result<(), LinkError>;

    /// The next batch, or that the link was opened anew, so that batches may have been missed. Opens itself again
    /// after each break. Nothing is lost if this is not waited for. One reader.
    async fn receive(&self) -> Received;

    /// How long to gather notices for a batch, with so many nodes.
    fn window(&self, nodes: usize) -> Duration;

    /// Closes its connections.
    async fn close(&self);
}

/// What a link brings.
pub(super) enum Received {
    /// A batch of some node.
    Batch(Vec<u8>),
    /// It was opened anew: batches may have been missed.
    Reopened,
}

/// Why a batch was not sent, in one sentence without a password.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct LinkError(pub(super) String);
