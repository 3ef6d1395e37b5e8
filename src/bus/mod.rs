//! The seam to the other nodes: notices of one are published to all. The store is the truth, the bus
//! is a hint: each loss of a notice is noticed, and repaired from the store.
//! Does not promise order or completeness between nodes: the relay repairs both.

mod link;
mod local;
mod mongodb;
mod redis;
mod shared;
mod wire;

#[cfg(test)]
mod contract;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::timeout;

use self::link::Link;
use self::mongodb::Mongo;
use self::redis::Redis;
use self::shared::Shared;
use crate::model::{ChatId, Clock, NodeId, Notice};

pub use local::Local;
#[cfg(any(test, fuzzing))]
pub use wire::fuzz;
pub use wire::{Content, Header, Hint, HintKind, Kind, RemoteNotice};

/// How long after the others were heard what is cached of the store is still used.
pub const RELIANCE: Duration = Duration::from_secs(3);

/// How long it may take to open a bus.
const OPENING: Duration = Duration::from_secs(15);

/// What carries the notices between nodes.
#[derive(Clone, Copy)]
pub enum Medium<'a> {
    /// The database with this URL, which is the store's.
    Mongodb(&'a str),
    /// The Redis with this URL.
    Redis {
        /// The URL.
        url: &'a str,
        /// The name of the store's database: several may share a Redis.
        database: &'a str,
    },
}

/// Opens the bus of this node. Returns once the node has heard itself.
///
/// # Errors
/// [`OpenError`]: the URL is wrong, what it names cannot be used, or the node does not hear itself.
pub async fn open(
    medium: Medium<'_>,
    node: NodeId,
    clock: Clock,
) -> Result<Arc<dyn Bus>, OpenError> {
    let opening = async {
        let link: Box<dyn Link> = match medium {
            Medium::Mongodb(url) => Box::new(Mongo::open(url).await?),
            Medium::Redis { url, database } => {
                let opened = Redis::open(url, database).await;
                Box::new(opened.map_err(|error| OpenError(error.to_string()))?)
            }
        };
        let bus: Arc<dyn Bus> = Arc::new(Shared::open(link, node, clock).await);
        Ok(bus)
    };
    timeout(OPENING, opening).await.unwrap_or_else(|_| {
        let seconds = OPENING.as_secs();
        let why = format!("this node does not hear itself within {seconds} seconds");
        Err(OpenError(format!("the bus cannot be used: {why}")))
    })
}

/// Why a bus cannot be opened, in one sentence without a password.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct OpenError(String);

/// Carries notices to the relay of every node, this one included.
#[async_trait]
pub trait Bus: Send + Sync {
    /// Publishes notices, in this order. Returns when this node's own reader will get them; waits while that is
    /// behind. Never waits for other nodes: what cannot be sent to them is owed, and makes them read the
    /// store once it can be said. Notices published one after another by one caller reach this node's own reader
    /// in that order.
    async fn publish(&self, notices: Vec<Notice>) -> Result<(), BusError>;

    /// What is next for this node, at most `limit` notices. Nothing is lost if this is not waited for. One reader
    /// only: a second one takes turns with it.
    async fn next(&self, limit: usize) -> News;

    /// Whether every change that another node has made longer than [`RELIANCE`] ago is known here: each node that
    /// is expected was heard since, and this one hears itself. Otherwise nothing that is cached may be used.
    fn is_heard(&self) -> bool;

    /// Whether other nodes can use the store at all.
    fn is_shared(&self) -> bool;

    /// Whether no other node uses the store: none is expected, and none was heard lately.
    fn is_alone(&self) -> bool;

    /// The nodes that use the store now, this one included, as their leases show.
    fn expect(&self, nodes: &[NodeId]);

    /// How the bus is.
    fn health(&self) -> Health;

    /// Takes no more notices; queued ones can still be read, and are still sent to the others, for two seconds at
    /// most.
    fn close(&self);
}

/// What a bus brings.
#[derive(Debug)]
pub enum News {
    /// Notices of this node, one at least.
    Local(Vec<Arc<Notice>>),
    /// Notices of other nodes, one at least.
    Remote(Vec<RemoteNotice>),
    /// Something may have been lost: the store is to be compared.
    Resync(Scope),
    /// The bus is closed and all has been read.
    Closed,
}

impl News {
    /// The notices of this node; none: it is something else.
    pub fn local(self) -> Vec<Arc<Notice>> {
        match self {
            Self::Local(notices) => notices,
            Self::Remote(_) | Self::Resync(_) | Self::Closed => Vec::new(),
        }
    }
}

/// What may have been lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Anything.
    Everything,
    /// Notices about these chats.
    Chats(Vec<ChatId>),
}

/// How a bus is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Health {
    /// How many nodes are heard, this one included.
    pub nodes: usize,
    /// How long this node has not heard itself; zero where it needs no other.
    pub unheard: Duration,
    /// How long its latest batch took there and back, or for how long the oldest one has not come back, whichever is
    /// more; zero where it needs no other.
    pub lag: Duration,
    /// How many chats are owed to the others; `None`: everything is.
    pub owed: Option<usize>,
    /// How many notices were sent to the others.
    pub published: u64,
    /// How often batches of another node were missing before one that came.
    pub gaps: u64,
}

/// Why a notice was not published.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// The bus has been closed.
    #[error("the bus is closed")]
    Closed,
}
