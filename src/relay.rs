//! From the bus to the hub: what is told on any node reaches this node's connections, and
//! what the bus lost is read from the store.
//! It refuses to know connections and frames.

use std::sync::Arc;
use std::time::Duration;

use tracing::warn;

use crate::bus::Bus;
use crate::hub::{Hub, OutboxLimits};
use crate::model::{ChatId, Fact, History, Message, Notice, Range, Seq, Window};
use crate::store::{Messages, StoreError};
use crate::telemetry::Metrics;

/// How many messages are read at a time to catch up.
const PAGE: usize = 500;

/// How many notices are taken from the bus at a time.
const TAKEN: usize = 256;

/// How many messages of one chat are delivered at a time.
const TOGETHER: usize = 64;

/// Into how many portions the outbox of a connection is to be filled at least: whoever reads is
/// waited for when it is half full, so there has to be room for one more portion.
const PORTIONS: usize = 4;

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
    pub store: Arc<dyn Messages>,
    /// How much may wait for one connection.
    pub outbox: OutboxLimits,
    /// Where it is counted what was missing.
    pub metrics: Metrics,
}

impl Relay {
    /// Runs until the bus is closed and empty.
    pub async fn run(self) {
        loop {
            tokio::select! {
                notices = self.bus.next(TAKEN) => {
                    if notices.is_empty() {
                        return;
                    }
                    self.pass_on_all(notices).await;
                }
                () = self.hub.fell_behind() => self.catch_up().await,
            }
        }
    }

    /// Hands notices to the hub, the messages of each chat together. What is no message keeps
    /// its place among them.
    async fn pass_on_all(&self, mut notices: Vec<Arc<Notice>>) {
        let messages = |one: &_, next: &_| chat_of(one).is_some() && chat_of(next).is_some();
        for run in notices.chunk_by_mut(messages) {
            // Those of one chat stay in their order.
            run.sort_by_key(chat_of);
            for notices in run.chunk_by(|one, next| chat_of(one) == chat_of(next)) {
                match chat_of(&notices[0]) {
                    Some(chat) => self.deliver(chat, notices).await,
                    None => self.pass_on(&notices[0]),
                }
            }
        }
    }

    /// Hands messages of one chat to the hub. They come no faster than this node sends them: it
    /// waits for its own work, and never for a client.
    async fn deliver(&self, chat: ChatId, mut messages: &[Arc<Notice>]) {
        while !messages.is_empty() {
            let (portion, rest) = messages.split_at(self.portion(messages));
            for seat in self.hub.deliver(chat, portion) {
                let _ = tokio::time::timeout(EASE, seat.outbox.eased()).await;
            }
            messages = rest;
        }
    }

    /// How many of these messages may come to an outbox at once that is half full.
    fn portion(&self, messages: &[Arc<Notice>]) -> usize {
        let OutboxLimits { frames, bytes } = self.outbox;
        let mut sum = 0;
        let mut fits = |notice: &&Arc<Notice>| {
            sum += message_of(notice).map_or(0, most_bytes);
            sum <= bytes / PORTIONS
        };
        let most = TOGETHER.min(frames / PORTIONS);
        let fitting = messages.iter().take(most).take_while(&mut fits);
        fitting.count().max(1)
    }

    /// Hands a notice to the hub that is no message.
    fn pass_on(&self, notice: &Notice) {
        match &notice.fact {
            Fact::MessageSent(_) => {}
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
            if let Some(last) = page.messages.last() {
                delivered = last.seq;
            }
            let notice = |message| {
                Arc::new(Notice {
                    origin: None,
                    fact: Fact::MessageSent(Arc::new(message)),
                    durable: None,
                })
            };
            let messages: Vec<_> = page.messages.into_iter().map(notice).collect();
            self.deliver(chat, &messages).await;
            if !page.has_more {
                return Ok(());
            }
        }
    }
}

fn message_of(notice: &Notice) -> Option<&Message> {
    match &notice.fact {
        Fact::MessageSent(message) => Some(message),
        _ => None,
    }
}

fn chat_of(notice: &Arc<Notice>) -> Option<ChatId> {
    message_of(notice).map(|message| message.chat)
}

/// The most bytes that a dialect makes of a message: JSON writes a byte as six at worst, and
/// there are the people and the ids.
fn most_bytes(message: &Message) -> usize {
    const ENVELOPE: usize = 4096;
    const ESCAPED: usize = 6;
    let photos: usize = message.photos.iter().map(String::len).sum();
    ENVELOPE + ESCAPED * (message.text.len() + photos)
}

#[cfg(test)]
#[path = "relay_tests.rs"]
mod tests;
