//! The order of deliveries. A chat is either *direct*: its notices go to the hub as the bus brings
//! them; or *delayed*: they queue in its backlog while one wait for it is under way.
//! Does not know how notices are encoded and sent.
//!
//! ```text
//!                    an outbox is crowded
//!          ┌────────────────────────────────────┐
//!          │                                    ▼
//!       direct ◄── backlog empty ── advance ◄─ easing      until the outboxes have eased,
//!          │                          │  ▲      ▲          at most EASE per delivery
//!          │                          │  │      │
//!          │           messages missing  page   the page crowded an outbox
//!          │                          ▼  │      │
//!          └───────────────────────► reading ───┘          tried again after RETRY
//!             the hub found a gap
//! ```
//!
//! Nothing here waits for one chat alone. When a backlog is full of messages, further ones are
//! dropped, marked as missing at their place in the order, and read from the store in their turn.
//! When it is full of other notices, all of it is delivered at once: that closes the connections
//! that lag, and their clients request the missed messages.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use tracing::warn;

use super::backlog::{Backlogs, Missing, NextDelivery};
use super::compare::Comparisons;
use super::waits::{Ended, Read, Waits};
use super::{EASE, ENDING, PAGE, RETRY, Relay, TAKEN, chat_of, message_of, sent};
use crate::bus::News;
use crate::hub::Subscription;
use crate::model::{ChatId, History, Notice, Range, Window};

/// A relay at work.
pub(super) struct Dispatcher {
    pub(super) relay: Relay,
    pub(super) backlogs: Backlogs,
    pub(super) waits: Waits,
    pub(super) comparisons: Comparisons,
    /// When the other nodes were heard last.
    pub(super) heard: Timestamp,
}

impl Dispatcher {
    pub(super) fn new(relay: Relay) -> Self {
        Self {
            heard: relay.clock.now(),
            relay,
            backlogs: Backlogs::default(),
            waits: Waits::default(),
            comparisons: Comparisons::new(),
        }
    }

    /// Runs until the bus is closed and empty and no chat is delayed, the latter for
    /// [`ENDING`] at most; then delivers the rest without waiting.
    pub(super) async fn run(mut self) {
        let is_shared = self.relay.bus.is_shared();
        loop {
            tokio::select! {
                news = self.relay.bus.next(TAKEN) => match news {
                    News::Local(notices) => self.dispatch(notices),
                    News::Remote(notices) => self.dispatch_remote(notices).await,
                    News::Resync(scope) => self.resync(scope).await,
                    News::Closed => break,
                },
                () = self.relay.hub.fell_behind() => self.fetch_missing(),
                ended = self.waits.next() => self.resume(ended),
                step = self.comparisons.next(), if is_shared => self.compare(step),
            }
        }
        if tokio::time::timeout(ENDING, self.finish()).await.is_err() {
            let chats = self.backlogs.chats();
            let count = chats.len();
            warn!(
                chats = count,
                "some deliveries were not waited for at shutdown"
            );
            for chat in chats {
                self.flush(chat);
            }
        }
    }

    /// Returns when no chat is delayed any more.
    async fn finish(&mut self) {
        loop {
            self.fetch_missing();
            if self.backlogs.is_empty() {
                return;
            }
            let ended = self.waits.next().await;
            self.resume(ended);
        }
    }

    /// Delivers or queues notices of the bus, the messages of each chat together. Other notices
    /// keep their place among them.
    pub(super) fn dispatch(&mut self, mut notices: Vec<Arc<Notice>>) {
        let messages = |one: &_, next: &_| chat_of(one).is_some() && chat_of(next).is_some();
        for run in notices.chunk_by_mut(messages) {
            // Those of one chat stay in their order.
            run.sort_by_key(chat_of);
            for notices in run.chunk_by(|one, next| chat_of(one) == chat_of(next)) {
                let Some(chat) = notices[0].fact.chat() else {
                    self.relay.pass_on(&notices[0]);
                    continue;
                };
                if self.backlogs.contains(chat) {
                    self.queue(chat, notices);
                } else if chat_of(&notices[0]).is_some() {
                    self.deliver(chat, notices);
                } else {
                    self.relay.pass_on(&notices[0]);
                }
            }
        }
    }

    /// Queues notices of a delayed chat.
    fn queue(&mut self, chat: ChatId, notices: &[Arc<Notice>]) {
        for notice in notices {
            if message_of(notice).is_some() {
                self.backlogs.push_message(chat, notice);
            } else if self.backlogs.push_other(chat, notice).is_err() {
                self.flush(chat);
                self.relay.pass_on(notice);
            }
        }
    }

    /// Delivers messages of a chat, in portions, until an outbox is crowded: then the chat waits
    /// for it, and the rest of them is queued. Returns whether it waits.
    fn deliver(&mut self, chat: ChatId, mut messages: &[Arc<Notice>]) -> bool {
        let mut crowded = self.crowded(chat);
        while crowded.is_empty() && !messages.is_empty() {
            let (portion, rest) = messages.split_at(self.relay.portion(messages));
            crowded = self.relay.hub.deliver(chat, portion);
            self.backlogs.delivered(chat);
            messages = rest;
        }
        if crowded.is_empty() {
            return false;
        }
        self.backlogs.put_back(chat, messages);
        let deadline = self.backlogs.wait_until(chat, Instant::now() + EASE);
        self.waits.ease(chat, crowded, deadline);
        true
    }

    /// The subscriptions of a chat that are crowded before a delivery, unless that has waited long enough.
    /// One connection may be in many chats: a portion of each would be too much for its outbox.
    fn crowded(&self, chat: ChatId) -> Vec<Arc<Subscription>> {
        if self.waits.any_easing() && !self.backlogs.is_overdue(chat) {
            self.relay.hub.crowded(chat)
        } else {
            Vec::new()
        }
    }

    /// Delays the chats in which the hub misses messages, to read those.
    fn fetch_missing(&mut self) {
        for chat in self.relay.hub.take_behind() {
            let direct = !self.backlogs.contains(chat);
            self.backlogs.put_back_missing(chat, Missing::default());
            if direct {
                self.advance(chat);
            }
        }
    }

    /// Continues the chat whose wait has ended.
    fn resume(&mut self, ended: Ended) {
        match ended {
            Ended::Eased(chat) => self.advance(chat),
            Ended::Read(read) => self.take_page(read),
            Ended::Completed(completed) => self.take_completed(completed),
        }
    }

    /// Delivers the queue of a delayed chat, until it has to wait again; with nothing left it
    /// is not delayed any more.
    pub(super) fn advance(&mut self, chat: ChatId) {
        while let Some(step) = self.backlogs.pop(chat) {
            let waits = match step {
                NextDelivery::Messages(messages) => self.deliver(chat, &messages),
                NextDelivery::Missing(missing) => self.read(chat, missing),
                NextDelivery::Other(notice) => {
                    self.relay.pass_on(&notice);
                    false
                }
                NextDelivery::Incomplete(incomplete) => {
                    self.complete(chat, incomplete);
                    true
                }
            };
            if waits {
                return;
            }
        }
        self.backlogs.remove(chat);
    }

    /// Delivers all that a delayed chat has queued, without waiting.
    pub(super) fn flush(&mut self, chat: ChatId) {
        let hub = &self.relay.hub;
        while let Some(step) = self.backlogs.pop(chat) {
            match step {
                NextDelivery::Messages(messages) => drop(hub.deliver(chat, &messages)),
                NextDelivery::Other(notice) => self.relay.pass_on(&notice),
                // A comparison with the store finds what it was.
                NextDelivery::Incomplete(_) => hub.members_uncertain(chat),
                // The hub marks the gap before it.
                NextDelivery::Missing(Missing {
                    last: Some(last), ..
                }) => drop(hub.deliver(chat, &[last])),
                NextDelivery::Missing(Missing { last: None, .. }) => hub.fall_behind(chat),
            }
        }
    }

    /// Begins to read missing messages of a delayed chat, or the chat itself if it is to be looked up.
    /// Returns whether the chat waits for that: not if there are none.
    fn read(&mut self, chat: ChatId, missing: Missing) -> bool {
        let is_uncertain = self.relay.hub.is_uncertain(chat);
        let after = self.relay.hub.next_after(chat);
        let Some(after) = after.or(is_uncertain.then_some(0)) else {
            // Without subscriptions, or not open yet. In the latter case the hub compares this seq with
            // the head when it opens the chat.
            if let Some(last) = missing.last {
                self.relay.hub.deliver(chat, &[last]);
            }
            return false;
        };
        let until = missing.until();
        if !is_uncertain && until.is_some_and(|until| until <= after) {
            return false;
        }
        let history = History {
            range: Range {
                after: Some(after),
                before: until.map(|until| until + 1),
                ..Range::default()
            },
            window: Window::First(PAGE),
        };
        let source = self.relay.source();
        self.waits
            .read(source, chat, missing, history, Duration::ZERO);
        true
    }

    /// Delivers a page that was read. After a failure the chat stays delayed, and the page is read
    /// again.
    fn take_page(&mut self, read: Read) {
        let Read {
            chat,
            missing,
            history,
            page,
        } = read;
        let page = match page {
            Ok(page) => page,
            Err(error) => {
                warn!(%chat, %error, "messages could not be read for delivery; trying again");
                let source = self.relay.source();
                return self.waits.read(source, chat, missing, history, RETRY);
            }
        };
        if let Some(chat) = page.changed {
            self.relay.hub.reconcile(&chat);
        }
        if let Some(found) = page.looked_up {
            self.relay.hub.looked_up(chat, *found);
        }
        let page = page.messages;
        self.relay.metrics.filled_holes(page.messages.len());
        if page.has_more {
            self.backlogs.put_back_missing(chat, missing);
        }
        let remote = &self.relay.remote;
        let messages = page.messages.into_iter().map(|message| {
            let origin = remote.origin_of(message.id);
            sent(Arc::new(message), origin)
        });
        if !self.deliver(chat, &messages.collect::<Vec<_>>()) {
            self.advance(chat);
        }
    }
}
