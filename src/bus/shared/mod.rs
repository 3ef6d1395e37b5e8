//! The bus of several nodes over any link. Notices go to this node's own reader directly, and to the others in
//! numbered batches; a batch a second at least shows each node that the others and the link are there. What was lost
//! shows in the numbers, or the publisher says that it owes it.
//! Does not know what carries the batches.

mod affected;
mod inbox;
mod outbox;
mod peers;
mod receiver;
mod sender;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use self::inbox::Inbox;
use self::outbox::Outbox;
use self::peers::Peers;
use super::link::Link;
use super::{Bus, BusError, Health, Local, News, RELIANCE};
use crate::model::{Clock, NodeId, Notice};

/// How long after [`Bus::close`] notices are sent to the others.
const CLOSING: Duration = Duration::from_secs(2);

/// The bus of several nodes.
pub(super) struct Shared {
    /// To this node's own reader.
    local: Local,
    core: Arc<Core>,
    /// Ends the tasks if the bus is dropped before it is closed.
    _tasks: DropGuard,
}

/// What the bus, its sender and its receiver share.
struct Core {
    node: NodeId,
    clock: Clock,
    link: Box<dyn Link>,
    opened: Instant,
    outbox: Outbox,
    inbox: Inbox,
    peers: Peers,
    /// A batch of this node has come back.
    own_heard: Notify,
    closing: CancellationToken,
    /// When nothing more is sent; set before `closing`.
    deadline: OnceLock<Instant>,
    /// Nothing more will be sent.
    closed: CancellationToken,
}

impl Shared {
    /// Opens the bus of this node. Returns once the node has heard itself.
    pub(super) async fn open(link: Box<dyn Link>, node: NodeId, clock: Clock) -> Self {
        let opened = Instant::now();
        let core = Arc::new(Core {
            node,
            clock,
            link,
            opened,
            outbox: Outbox::new(),
            inbox: Inbox::default(),
            peers: Peers::new(node, opened),
            own_heard: Notify::new(),
            closing: CancellationToken::new(),
            deadline: OnceLock::new(),
            closed: CancellationToken::new(),
        });
        let dropped = CancellationToken::new();
        let tasks = TaskTracker::new();
        let (sending, stop) = (Arc::clone(&core), dropped.clone());
        tasks.spawn(async move { stop.run_until_cancelled(sender::run(&sending)).await });
        let (receiving, stop) = (Arc::clone(&core), dropped.clone());
        tasks.spawn(async move { stop.run_until_cancelled(receiver::run(&receiving)).await });
        let shared = Self {
            local: Local::default(),
            core,
            _tasks: dropped.drop_guard(),
        };
        shared.core.own_heard.notified().await;
        shared
    }
}

impl Core {
    /// Judges again whether there are other nodes.
    fn judge_alone(&self) {
        let now = Instant::now();
        let hears_itself = is_recent(self.inbox.own_sent(), now);
        let set = |alone| self.outbox.set_alone(alone);
        self.peers.judge_alone(hears_itself, now, set);
    }

    /// Until when batches are sent once the bus is closing.
    fn deadline(&self) -> Instant {
        *self.deadline.get_or_init(|| Instant::now() + CLOSING)
    }
}

/// Whether that was less than [`RELIANCE`] ago.
fn is_recent(instant: Option<Instant>, now: Instant) -> bool {
    instant.is_some_and(|instant| now.saturating_duration_since(instant) < RELIANCE)
}

#[async_trait]
impl Bus for Shared {
    // The notices are queued for the others first: that does not wait, so that none of them is missing there in
    // silence if this is not waited for to the end.
    async fn publish(&self, notices: Vec<Notice>) -> Result<(), BusError> {
        self.core.outbox.push(&notices)?;
        self.local.publish(notices).await
    }

    async fn next(&self, limit: usize) -> News {
        tokio::select! {
            local = self.local.next(limit) => match local {
                News::Closed => {}
                news => return news,
            },
            news = self.core.inbox.next(limit) => return news,
        }
        self.core.closed.cancelled().await;
        News::Closed
    }

    fn is_heard(&self) -> bool {
        let now = Instant::now();
        is_recent(self.core.inbox.known(), now) && self.core.peers.all_heard(now)
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn is_alone(&self) -> bool {
        self.core.outbox.is_alone()
    }

    fn expect(&self, nodes: &[NodeId]) {
        self.core.peers.expect(nodes);
        self.core.judge_alone();
    }

    fn health(&self) -> Health {
        let (core, now) = (&self.core, Instant::now());
        let own_sent = core.inbox.own_sent();
        Health {
            nodes: core.peers.heard_now(now) + usize::from(is_recent(own_sent, now)),
            unheard: now.saturating_duration_since(own_sent.unwrap_or(core.opened)),
            lag: core.peers.lag(now),
            owed: core.outbox.owed(),
            published: core.outbox.published(),
            gaps: core.peers.gaps(),
        }
    }

    fn close(&self) {
        self.core.outbox.close();
        self.local.close();
        self.core.deadline();
        self.core.closing.cancel();
    }
}
