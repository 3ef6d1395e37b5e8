//! What the buses under test need: a world for one node, and a medium that several nodes share.
//! Does not know the promises.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;

use crate::bus::Bus;
use crate::bus::link::Link;
use crate::model::NodeId;

/// What a bus under test needs, and what must outlive it.
#[async_trait]
pub(in crate::bus) trait World: Sized + Send + Sync {
    /// An empty one, which no other test uses.
    fn new() -> Self;

    /// The bus of the only node.
    async fn open(&self) -> Arc<dyn Bus>;
}

/// What carries the batches of several nodes.
#[async_trait]
pub(in crate::bus) trait Medium: World {
    /// Opens the bus of a node of this name.
    async fn node(&self, name: &str, id: NodeId) -> Arc<dyn Bus>;

    /// A link of no node.
    async fn link(&self) -> Box<dyn Link>;

    /// From now on nothing that the node of this name sends arrives.
    async fn cut(&self, name: &str);

    /// The node can send again.
    async fn restore(&self, name: &str);
}

/// The id of another node each time.
pub(in crate::bus) fn node_id() -> NodeId {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    NodeId::from_bytes(u128::from(number).to_be_bytes())
}
