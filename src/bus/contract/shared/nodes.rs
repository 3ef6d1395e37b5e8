//! The nodes of the contract: what they publish, and what they read.
//! Does not know the promises.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;

use crate::bus::contract::world::{Medium, node_id};
use crate::bus::link::Link;
use crate::bus::wire::{Batch, RemoteNotice};
use crate::bus::{Bus, News, Scope};
use crate::model::{ChatId, Clock, Fact, NodeId, Notice};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_mins(2);

/// The chat of this number.
pub(super) fn chat(number: u32) -> ChatId {
    ChatId::from_bytes(u128::from(number).to_be_bytes())
}

/// A notice about it.
pub(super) fn notice(number: u32) -> Notice {
    Notice {
        origin: None,
        fact: Fact::MembersUncertain(chat(number)),
        durable: None,
    }
}

/// The same at another node.
pub(super) fn remote(number: u32) -> RemoteNotice {
    RemoteNotice::of(&notice(number))
}

/// Waits for this, and fails if it does not come.
pub(super) async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    let done = timeout(PATIENCE, work).await;
    done.unwrap_or_else(|_| panic!("it never came: {what}"))
}

/// Waits until it is so.
pub(super) async fn until(what: &str, is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    within(what, waiting).await;
}

/// Nodes that expect and hear each other, and have read everything.
pub(super) async fn meet<const N: usize>(medium: &impl Medium, names: [&str; N]) -> [Node; N] {
    const FIRST: u32 = 1_000_000;
    let opening = names.map(|name| Node::open(medium, name));
    let nodes = futures_util::future::join_all(opening).await;
    let ids: Vec<_> = nodes.iter().map(|node| node.id).collect();
    for node in &nodes {
        node.bus.expect(&ids);
    }
    until("all are heard", || {
        nodes.iter().all(|node| node.bus.is_heard())
    })
    .await;
    for (number, node) in (FIRST..).zip(&nodes) {
        node.publish([number]).await;
    }
    let Ok(mut nodes) = <[Node; N]>::try_from(nodes) else {
        panic!("there are {N}");
    };
    for node in &mut nodes {
        let (mut local, mut remote) = (0, 0);
        while (local, remote) != (1, N - 1) {
            match node.next().await {
                News::Local(notices) => local += notices.len(),
                News::Remote(notices) => remote += notices.len(),
                News::Resync(_) => {}
                News::Closed => panic!("it is closed"),
            }
        }
    }
    nodes
}

/// A node and its reader.
pub(super) struct Node {
    pub(super) id: NodeId,
    pub(super) bus: Arc<dyn Bus>,
    news: UnboundedReceiver<News>,
    reader: JoinHandle<()>,
}

/// What a node has read.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) local: usize,
    pub(super) remote: Vec<RemoteNotice>,
    pub(super) resyncs: Vec<Scope>,
}

impl Node {
    pub(super) async fn open(medium: &impl Medium, name: &str) -> Self {
        let id = node_id();
        let bus = medium.node(name, id).await;
        let (put, news) = unbounded_channel();
        let read = Arc::clone(&bus);
        let reader = TaskTracker::new().spawn(async move {
            loop {
                let next = read.next(64).await;
                let is_last = matches!(next, News::Closed);
                if put.send(next).is_err() || is_last {
                    break;
                }
            }
        });
        Self {
            id,
            bus,
            news,
            reader,
        }
    }

    pub(super) async fn publish(&self, chats: impl IntoIterator<Item = u32>) {
        let notices = chats.into_iter().map(notice).collect();
        self.bus.publish(notices).await.expect("an open bus");
    }

    pub(super) async fn next(&mut self) -> News {
        let next = within("news", self.news.recv()).await;
        next.expect("a reader")
    }

    /// Reads until there is a notice of another node about this chat.
    pub(super) async fn read_until(&mut self, number: u32) -> Read {
        let mut read = Read::default();
        while !read
            .remote
            .iter()
            .any(|notice| notice.header.chat == Some(chat(number)))
        {
            read.add(self.next().await);
        }
        read
    }

    /// Reads until nothing comes for a short while.
    pub(super) async fn read_a_while(&mut self) -> Read {
        const A_WHILE: Duration = Duration::from_millis(10);
        let mut read = Read::default();
        while let Ok(news) = timeout(A_WHILE, self.news.recv()).await {
            read.add(news.expect("a reader"));
        }
        read
    }

    /// Reads until there is a resync.
    pub(super) async fn resync(&mut self) -> Scope {
        loop {
            if let News::Resync(scope) = self.next().await {
                return scope;
            }
        }
    }

    /// Leaves out what was read so far.
    pub(super) fn forget_news(&mut self) {
        while self.news.try_recv().is_ok() {}
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Read {
    fn add(&mut self, news: News) {
        match news {
            News::Local(notices) => self.local += notices.len(),
            News::Remote(notices) => self.remote.extend(notices),
            News::Resync(scope) => self.resyncs.push(scope),
            News::Closed => panic!("it is closed"),
        }
    }
}

/// A node that exists only in its batches.
pub(super) struct Forger {
    id: NodeId,
    link: Box<dyn Link>,
}

impl Forger {
    pub(super) async fn open(medium: &impl Medium) -> Self {
        Self {
            id: node_id(),
            link: medium.link().await,
        }
    }

    pub(super) async fn send(&self, n: u64, notices: Vec<RemoteNotice>) {
        let batch = Batch {
            node: self.id,
            n,
            sent: Clock::system().now(),
            notices,
        };
        self.send_bytes(batch.encode()).await;
    }

    pub(super) async fn send_bytes(&self, batch: Vec<u8>) {
        self.link.send(batch).await.expect("a whole medium");
    }
}
