//! Receives the batches of all nodes, detects what was lost and which node is silent.
//! Does not compare the store: the reader does.

use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior, interval};
use tracing::warn;

use super::Core;
use super::affected::Affected;
use crate::bus::link::Received;
use crate::bus::wire::{Batch, Kind, RemoteNotice, UnknownContent};

/// How often silence is looked for.
const TICK: Duration = Duration::from_millis(500);

/// How long after one warning of an unreadable batch the next one is logged.
const WARNING: Duration = Duration::from_mins(1);

/// Receives until the bus is closing.
pub(super) async fn run(core: &Core) {
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut receiver = Receiver {
        core,
        tick,
        warned: None,
    };
    core.closing.run_until_cancelled(receiver.receive()).await;
}

struct Receiver<'a> {
    core: &'a Core,
    tick: Interval,
    warned: Option<Instant>,
}

impl Receiver<'_> {
    async fn receive(&mut self) {
        loop {
            match self.next().await {
                Received::Reopened => {
                    self.core.inbox.resync(everything());
                    self.core.peers.reopened();
                }
                Received::Batch(batch) => match Batch::decode(&batch) {
                    Ok(batch) if batch.node == self.core.node => self.hear_own(batch.n),
                    Ok(batch) => self.hear(batch).await,
                    Err(error) => self.give_up(&error),
                },
            }
        }
    }

    /// What the link brings next; meanwhile looks for silence.
    async fn next(&mut self) -> Received {
        let mut received = pin!(self.core.link.receive());
        loop {
            tokio::select! {
                received = &mut received => return received,
                now = self.tick.tick() => {
                    if self.core.peers.has_silent(now) {
                        self.core.inbox.resync(everything());
                    }
                    self.core.judge_alone();
                }
            }
        }
    }

    fn hear_own(&self, n: u64) {
        let core = self.core;
        if let Some(sent) = core.peers.own_heard(n, Instant::now()) {
            core.inbox.own_heard(sent);
            core.own_heard.notify_one();
        }
    }

    async fn hear(&mut self, batch: Batch) {
        let core = self.core;
        let arrival = core.peers.heard(batch.node, batch.n, Instant::now());
        core.judge_alone();
        if arrival.is_new {
            core.outbox.beat();
        }
        let Sorted {
            notices,
            owed,
            is_last,
        } = Sorted::from(batch.notices);
        let mut affected = owed;
        if arrival.has_gap {
            affected.add_everything();
        }
        core.inbox.resync(affected);
        if is_last {
            core.peers.forget(batch.node);
        }
        if !notices.is_empty() && core.inbox.push(notices).await {
            // What others have sent meanwhile is received first, before they count as silent.
            self.tick.reset();
        }
    }

    /// A batch cannot be read: it may have been any node's, about anything.
    fn give_up(&mut self, error: &UnknownContent) {
        self.core.inbox.resync(everything());
        let now = Instant::now();
        let is_due = |warned| now.saturating_duration_since(warned) > WARNING;
        if self.warned.is_none_or(is_due) {
            self.warned = Some(now);
            warn!(%error, "a batch of notices was left out");
        }
    }
}

fn everything() -> Affected {
    let mut affected = Affected::default();
    affected.add_everything();
    affected
}

/// The notices of a batch.
struct Sorted {
    /// Those for the reader.
    notices: Vec<RemoteNotice>,
    /// What the node says that it owes.
    owed: Affected,
    /// The node ends.
    is_last: bool,
}

impl From<Vec<RemoteNotice>> for Sorted {
    fn from(mut notices: Vec<RemoteNotice>) -> Self {
        let (mut owed, mut is_last) = (Affected::default(), false);
        notices.retain(|notice| {
            match notice.header.kind {
                Kind::Owed => owed.add(notice.header.chat),
                Kind::Bye => is_last = true,
                _ => return true,
            }
            false
        });
        Self {
            notices,
            owed,
            is_last,
        }
    }
}
