//! A bus that delays notices at random, and may lose messages, as a bus may.
//! Does not lose any other notice, and keeps the order.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::ledger::Ledger;
use super::random::Random;
use crate::bus::{Bus, BusError, Health, News};
use crate::model::{Fact, NodeId, Notice};

/// The bus of the tests.
pub(super) struct SlowBus {
    ledger: Arc<Ledger>,
    /// Whether messages are lost.
    loses: bool,
    queue: Mutex<Queue>,
    published: Notify,
}

struct Queue {
    random: Random,
    /// Each with the instant from which it may be read.
    notices: VecDeque<(Arc<Notice>, Instant)>,
    closed: bool,
}

impl SlowBus {
    pub(super) fn new(ledger: Arc<Ledger>, random: Random, loses: bool) -> Self {
        let queue = Queue {
            random,
            notices: VecDeque::new(),
            closed: false,
        };
        Self {
            ledger,
            loses,
            queue: Mutex::new(queue),
            published: Notify::new(),
        }
    }
}

#[async_trait]
impl Bus for SlowBus {
    async fn publish(&self, notices: Vec<Notice>) -> Result<(), BusError> {
        for notice in &notices {
            self.ledger.published(notice);
        }
        let mut queue = self.queue.lock();
        if queue.closed {
            return Err(BusError::Closed);
        }
        for notice in notices {
            let is_message = matches!(notice.fact, Fact::MessageSent(_));
            if self.loses && is_message && queue.random.one_in(4) {
                continue;
            }
            let delay = if queue.random.one_in(2) {
                queue.random.milliseconds(6)
            } else {
                std::time::Duration::ZERO
            };
            let entry = (Arc::new(notice), Instant::now() + delay);
            queue.notices.push_back(entry);
        }
        drop(queue);
        self.published.notify_one();
        Ok(())
    }

    async fn next(&self, limit: usize) -> News {
        loop {
            let wait = {
                let mut queue = self.queue.lock();
                let now = Instant::now();
                let due = queue.notices.iter().take_while(|(_, at)| *at <= now);
                let due = due.count().min(limit);
                if due > 0 {
                    let taken = queue.notices.drain(..due);
                    return News::Local(taken.map(|(notice, _)| notice).collect());
                }
                if queue.closed && queue.notices.is_empty() {
                    return News::Closed;
                }
                queue.notices.front().map(|(_, at)| *at)
            };
            match wait {
                Some(at) => tokio::time::sleep_until(at).await,
                None => self.published.notified().await,
            }
        }
    }

    fn is_heard(&self) -> bool {
        true
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn is_alone(&self) -> bool {
        true
    }

    fn expect(&self, _: &[NodeId]) {}

    fn health(&self) -> Health {
        Health::default()
    }

    fn close(&self) {
        self.queue.lock().closed = true;
        self.published.notify_one();
    }
}
