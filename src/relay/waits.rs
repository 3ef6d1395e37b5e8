//! The waits of delayed chats, one for each: crowded outboxes, or the store.
//! Does not know the notices to deliver afterwards.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::backlog::Missing;
use super::incomplete::{Completed, Completion, Doubtful, Incomplete};
use crate::bus::HintKind;
use crate::hub::{Found, Hub, Subscription};
use crate::model::{Chat, ChatId, History, MessagePage, Seq};
use crate::service::Remote;
use crate::store::{Chats, Events, Messages, StoreError};

/// How many chats are read from the store at the same time.
const READS: usize = 8;

/// How many messages are delivered at most that a user has missed of a chat whose membership it has missed.
const MOST_MISSED: Seq = 1000;

/// The waits under way: exactly one for each delayed chat.
pub(super) struct Waits {
    easing: FuturesUnordered<BoxFuture<'static, ChatId>>,
    reading: FuturesUnordered<BoxFuture<'static, Read>>,
    completing: FuturesUnordered<BoxFuture<'static, Completed>>,
    reads: Arc<Semaphore>,
}

/// A wait that has ended.
pub(super) enum Ended {
    /// The outboxes of this chat have eased, or its deadline has passed.
    Eased(ChatId),
    /// A read has ended.
    Read(Read),
    /// A notice of another node was completed.
    Completed(Completed),
}

/// A read from the store.
pub(super) struct Read {
    pub(super) chat: ChatId,
    /// The range of which the page is the first part.
    pub(super) missing: Missing,
    /// The query.
    pub(super) history: History,
    /// Its result.
    pub(super) page: Result<Page, StoreError>,
}

/// Where pages are read, and what they are compared with.
pub(super) struct Source {
    pub(super) messages: Arc<dyn Messages>,
    pub(super) chats: Arc<dyn Chats>,
    pub(super) events: Arc<dyn Events>,
    pub(super) hub: Arc<Hub>,
    pub(super) remote: Remote,
}

/// Messages from the store.
pub(super) struct Page {
    pub(super) messages: MessagePage,
    /// The chat, read after the messages, if its members are later than those that the hub has seen.
    pub(super) changed: Option<Box<Chat>>,
    /// The chat, if it was to be looked up: then no messages were read.
    pub(super) looked_up: Option<Box<Found>>,
}

impl Default for Waits {
    fn default() -> Self {
        Self {
            easing: FuturesUnordered::default(),
            reading: FuturesUnordered::default(),
            completing: FuturesUnordered::default(),
            reads: Arc::new(Semaphore::new(READS)),
        }
    }
}

impl Waits {
    /// Whether a chat waits for crowded outboxes.
    pub(super) fn any_easing(&self) -> bool {
        !self.easing.is_empty()
    }

    /// Lets a chat wait until each of these outboxes has eased, all of them at most until
    /// `deadline`.
    pub(super) fn ease(
        &mut self,
        chat: ChatId,
        crowded: Vec<Arc<Subscription>>,
        deadline: Instant,
    ) {
        self.easing.push(Box::pin(async move {
            let all = async {
                for subscription in &crowded {
                    subscription.eased(chat).await;
                }
            };
            let _ = tokio::time::timeout_at(deadline, all).await;
            chat
        }));
    }

    /// Lets a chat wait for messages from the store, which is queried after `delay`, at most
    /// [`READS`] times at once.
    pub(super) fn read(
        &mut self,
        source: Source,
        chat: ChatId,
        missing: Missing,
        history: History,
        delay: Duration,
    ) {
        let reads = Arc::clone(&self.reads);
        self.reading.push(Box::pin(async move {
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            let _turn = reads.acquire().await;
            let page = source.page(chat, history).await;
            Read {
                chat,
                missing,
                history,
                page,
            }
        }));
    }

    /// Lets a chat wait for what completes a notice of another node; as [`Waits::read`].
    pub(super) fn complete(
        &mut self,
        source: Source,
        chat: ChatId,
        incomplete: Incomplete,
        delay: Duration,
    ) {
        let reads = Arc::clone(&self.reads);
        self.completing.push(Box::pin(async move {
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            let _turn = reads.acquire().await;
            let completion = source.complete(chat, &incomplete).await;
            Completed {
                chat,
                incomplete,
                completion,
            }
        }));
    }

    /// The next wait that ends; never returns while there is none. Nothing is lost if this is
    /// not waited for.
    pub(super) async fn next(&mut self) -> Ended {
        tokio::select! {
            Some(chat) = self.easing.next() => Ended::Eased(chat),
            Some(read) = self.reading.next() => Ended::Read(read),
            Some(completed) = self.completing.next() => Ended::Completed(completed),
            else => std::future::pending().await,
        }
    }
}

impl Source {
    /// Reads messages and then the version of the members: a removal before one of the messages is
    /// counted in it.
    async fn page(&self, chat: ChatId, history: History) -> Result<Page, StoreError> {
        if self.hub.is_uncertain(chat) {
            return self.look_up(chat).await;
        }
        let mut messages = self.messages.messages(chat, history).await?;
        let Some(version) = self.chats.members_version(chat).await? else {
            // It was deleted: its members are no longer known.
            messages.messages.clear();
            messages.has_more = false;
            return Ok(Page {
                messages,
                changed: None,
                looked_up: None,
            });
        };
        let changed = if self.hub.has_seen_members(chat, version) {
            None
        } else {
            self.chats.chat(chat).await?.map(Box::new)
        };
        Ok(Page {
            messages,
            changed,
            looked_up: None,
        })
    }

    /// What the store has of a notice of another node.
    async fn complete(&self, chat: ChatId, incomplete: &Incomplete) -> Result<Completion, String> {
        let said = |error: StoreError| error.to_string();
        match incomplete {
            Incomplete::Joined(_, user) => {
                let chats = self.chats.memberships_of(*user).await.map_err(said)?;
                let joined = chats.into_iter().find(|(joined, _)| *joined == chat);
                Ok(Completion::Joined(joined.map(|(_, version)| version)))
            }
            Incomplete::Hint(hint) if hint.kind == HintKind::Unknown => {
                let found = self.doubtful(chat).await.map_err(said)?;
                Ok(Completion::Chat(found.map(Box::new)))
            }
            Incomplete::Hint(hint) => {
                let fact = self.remote.complete(hint).await;
                fact.map(|fact| Completion::Fact(fact.map(Box::new)))
                    .map_err(|error| error.to_string())
            }
        }
    }

    async fn doubtful(&self, chat: ChatId) -> Result<Option<Doubtful>, StoreError> {
        let Some((chat, of_event)) = self.found(chat).await? else {
            return Ok(None);
        };
        let absent = self.hub.absent(&chat);
        let since = match &*absent {
            [] => Vec::new(),
            absent => self.chats.joined_at(chat.id, absent).await?,
        };
        let least = (chat.head - MOST_MISSED).max(0);
        let joined = absent.into_iter().zip(since);
        let joined = joined.filter_map(|(user, since)| Some((user, since?.max(least))));
        Ok(Some(Doubtful {
            joined: joined.collect(),
            chat,
            of_event,
        }))
    }

    /// A chat as the store has it, and as an event's if it is one.
    async fn found(&self, chat: ChatId) -> Result<Found, StoreError> {
        match self.chats.chat(chat).await? {
            Some(found) if found.event.is_some() => {
                Ok(Some((found, self.events.event_chat(chat).await?)))
            }
            found => Ok(found.map(|found| (found, None))),
        }
    }

    /// Reads a chat that may have been created or deleted. Messages that are missing there are read
    /// after it.
    async fn look_up(&self, chat: ChatId) -> Result<Page, StoreError> {
        let found = self.found(chat).await?;
        Ok(Page {
            messages: MessagePage {
                messages: Vec::new(),
                has_more: true,
            },
            changed: None,
            looked_up: Some(Box::new(found)),
        })
    }
}
