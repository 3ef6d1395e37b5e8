//! From the bus to the hub: what is told on any node reaches this node's connections, and
//! what the bus lost is read from the store.
//! It refuses to know connections and frames.

use std::sync::Arc;
use std::time::Duration;

use tracing::warn;

use crate::bus::Bus;
use crate::hub::Hub;
use crate::model::{ChatId, Fact, History, Notice, Range, Seq, Window};
use crate::store::{Store, StoreError};
use crate::telemetry::Metrics;

/// How many messages are read at a time to catch up.
const PAGE: usize = 500;

/// How long to wait at most for the server itself to send what waits for one connection.
const EASE: Duration = Duration::from_secs(1);

/// How long to wait before asking a store again that did not answer.
const RETRY: Duration = Duration::from_millis(500);

/// Feeds a hub. Strictly in `seq` order per chat: the hub takes the next number only, and
/// says which chats have fallen behind.
pub struct Relay {
    /// Where news comes from.
    pub bus: Arc<dyn Bus>,
    /// Where it goes.
    pub hub: Arc<Hub>,
    /// Where the missing is.
    pub store: Arc<dyn Store>,
    /// Where it is counted what was missing.
    pub metrics: Metrics,
}

impl Relay {
    /// Runs until the bus is closed and empty.
    pub async fn run(self) {
        loop {
            tokio::select! {
                notice = self.bus.next() => match notice {
                    Some(notice) => self.pass_on(&notice).await,
                    None => return,
                },
                () = self.hub.fell_behind() => self.catch_up().await,
            }
        }
    }

    /// Hands a notice to the hub. Messages come no faster than this node sends them: it waits
    /// for its own work, and never for a client.
    async fn pass_on(&self, notice: &Notice) {
        match &notice.fact {
            Fact::MessageSent(message) => {
                for seat in self.hub.deliver(message.chat, message.seq, notice) {
                    let _ = tokio::time::timeout(EASE, seat.outbox.eased()).await;
                }
            }
            Fact::ChatCreated(chat) => self.hub.introduce(chat, notice),
            Fact::MemberJoined(membership) => self.hub.welcome(membership, notice),
            Fact::MemberLeft(membership) => self.hub.dismiss(membership, notice),
            Fact::ChatChanged(room) => self.hub.spread(room.chat.id, notice),
            Fact::EventChatOpened(chat) | Fact::AccessChanged(chat) | Fact::ReadMoved(chat) => {
                self.hub.spread(chat.chat, notice);
            }
            Fact::ChatDeleted { chat, .. } => self.hub.bury(*chat, notice),
        }
    }

    /// Delivers, of every chat that has fallen behind, what the store has. While the store
    /// does not answer the chats stay behind, and it is asked again.
    async fn catch_up(&self) {
        for (chat, delivered) in self.hub.take_behind() {
            if let Err(error) = self.fill(chat, delivered).await {
                warn!(%chat, %error, "messages could not be read for delivery; trying again");
                tokio::time::sleep(RETRY).await;
                self.hub.fall_behind(chat);
            }
        }
    }

    async fn fill(&self, chat: ChatId, mut delivered: Seq) -> Result<(), StoreError> {
        loop {
            let history = History {
                range: Range {
                    after: Some(delivered),
                    ..Range::default()
                },
                window: Window::First(PAGE),
            };
            let page = self.store.messages(chat, history).await?;
            self.metrics.filled_holes(page.messages.len());
            for message in page.messages {
                delivered = message.seq;
                let notice = Notice {
                    origin: None,
                    fact: Fact::MessageSent(Arc::new(message)),
                    durable: None,
                };
                self.pass_on(&notice).await;
            }
            if !page.has_more {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
#[path = "relay_tests.rs"]
mod tests;
