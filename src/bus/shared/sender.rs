//! Sends this node's batches, one after another: what waits, and an empty one if there was nothing for a while.
//! Does not choose what is in a batch.

use std::mem;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::{info, warn};

use super::Core;
use crate::bus::link::LinkError;
use crate::bus::wire::{Batch, RemoteNotice};

/// How long after one batch the next one is sent even if it is empty.
const BEAT: Duration = Duration::from_secs(1);

/// How long the link may take for a batch.
const SENDING: Duration = Duration::from_secs(5);

/// How long after a batch that was not sent the next one is; doubles with each further one.
const FIRST_DELAY: Duration = Duration::from_millis(100);

/// The longest such delay.
const MAX_DELAY: Duration = Duration::from_secs(1);

/// How much of the time at the end is kept for the last batch.
const LAST: Duration = Duration::from_millis(500);

/// How long the link may take to close.
const CLOSING_LINK: Duration = Duration::from_secs(1);

/// Sends until the bus is closing, then what is left, and closes the link.
pub(super) async fn run(core: &Core) {
    let mut sender = Sender {
        core,
        n: 0,
        beat: Instant::now(),
        delay: FIRST_DELAY,
        failing: false,
    };
    let closing = &core.closing;
    while !closing.is_cancelled() {
        tokio::select! {
            () = core.outbox.due(sender.beat) => {}
            () = closing.cancelled() => break,
        }
        let window = core.link.window(core.peers.count());
        if !window.is_zero() && !core.outbox.is_empty() {
            sleep(window).await;
        }
        if !sender.send_next(None).await {
            let delay = sender.next_delay();
            closing.run_until_cancelled(sleep(delay)).await;
        }
    }
    sender.finish().await;
    // Then the connections end with the process.
    let _ = timeout(CLOSING_LINK, core.link.close()).await;
    core.closed.cancel();
}

struct Sender<'a> {
    core: &'a Core,
    /// The number of the latest batch.
    n: u64,
    /// When the next batch is sent at the latest.
    beat: Instant,
    delay: Duration,
    failing: bool,
}

impl Sender<'_> {
    /// Sends the next batch. Answers whether it was sent; what was not is owed.
    async fn send_next(&mut self, until: Option<Instant>) -> bool {
        let notices = self.core.outbox.take();
        self.send(notices, until).await
    }

    async fn send(&mut self, notices: Vec<RemoteNotice>, until: Option<Instant>) -> bool {
        let now = Instant::now();
        self.n += 1;
        self.beat = now + BEAT;
        let batch = Batch {
            node: self.core.node,
            n: self.n,
            sent: self.core.clock.now(),
            notices,
        };
        self.core.peers.sending(self.n, now);
        let sent = tokio::select! {
            sent = self.core.link.send(batch.encode()) => sent,
            () = self.too_long(now, until) => Err(LinkError("it takes too long".into())),
        };
        let is_sent = sent.is_ok();
        self.note(sent);
        if is_sent {
            self.core.outbox.sent(&batch.notices);
        } else {
            self.core.outbox.failed(&batch.notices);
        }
        is_sent
    }

    /// Returns when a batch that was begun at this instant has taken too long.
    async fn too_long(&self, begun: Instant, until: Option<Instant>) {
        let until = until.unwrap_or(begun + SENDING);
        let closing = async {
            self.core.closing.cancelled().await;
            sleep_until(self.core.deadline()).await;
        };
        tokio::select! {
            () = sleep_until(until) => {}
            () = closing => {}
        }
    }

    fn note(&mut self, sent: Result<(), LinkError>) {
        match sent {
            Ok(()) => {
                self.delay = FIRST_DELAY;
                if mem::take(&mut self.failing) {
                    info!("notices are sent to other nodes again");
                }
            }
            Err(error) => {
                if !mem::replace(&mut self.failing, true) {
                    warn!(%error, "notices are not sent to other nodes");
                }
            }
        }
    }

    fn next_delay(&mut self) -> Duration {
        let delay = self.delay;
        self.delay = (delay * 2).min(MAX_DELAY);
        delay
    }

    /// Sends what is left, and that this node ends. If something could not be sent, the others compare the store.
    async fn finish(&mut self) {
        let last = self.core.deadline() - LAST;
        while !self.core.outbox.is_empty() && Instant::now() < last {
            if !self.send_next(Some(last)).await {
                sleep(FIRST_DELAY).await;
            }
        }
        let mut notices = Vec::new();
        if !self.core.outbox.is_empty() {
            notices.push(RemoteNotice::owed(None));
        }
        notices.push(RemoteNotice::bye());
        self.send(notices, None).await;
    }
}
