//! Chats in a real store that may be silent about some of them, and a relay that runs.
//! Does not know the expected outcome.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::*;
use crate::model::{History, Membership, MessagePage, Sent};
use crate::store::StoreError;

/// The outboxes of slow clients. More than half full, one is crowded.
pub(super) const SMALL: OutboxLimits = OutboxLimits {
    frames: 8,
    bytes: 1 << 20,
};

/// The outboxes that are never crowded here.
pub(super) const LARGE: OutboxLimits = OutboxLimits {
    frames: 100_000,
    bytes: 1 << 24,
};

/// A store that does not answer about some chats, or fails.
pub(super) struct Unreliable {
    pub(super) store: Arc<dyn Store>,
    silent: HashSet<ChatId>,
    /// So many reads of these chats are answered.
    pub(super) answers: Semaphore,
    /// So many of them fail.
    pub(super) failures: AtomicUsize,
    /// How many reads of them are under way.
    pub(super) under_way: AtomicUsize,
}

#[async_trait]
impl Messages for Unreliable {
    async fn append(&self, batch: Vec<PendingMessage>) -> Result<Vec<Option<Sent>>, StoreError> {
        self.store.append(batch).await
    }

    async fn messages(&self, chat: ChatId, history: History) -> Result<MessagePage, StoreError> {
        if self.silent.contains(&chat) {
            self.under_way.fetch_add(1, Ordering::SeqCst);
            self.answers.acquire().await.expect("never closed").forget();
            self.under_way.fetch_sub(1, Ordering::SeqCst);
            let less = |left: usize| left.checked_sub(1);
            let (set, fetch) = (Ordering::SeqCst, Ordering::SeqCst);
            if self.failures.fetch_update(set, fetch, less).is_ok() {
                return Err(StoreError::Unavailable("not now".into()));
            }
        }
        self.store.messages(chat, history).await
    }
}

/// A store with chats, and a relay that runs.
pub(super) struct Fixture {
    pub(super) store: Arc<dyn Store>,
    pub(super) unreliable: Arc<Unreliable>,
    pub(super) bus: Arc<dyn Bus>,
    pub(super) hub: Arc<Hub>,
    pub(super) anna: User,
    pub(super) boris: User,
    /// The first of them are those of which the store does not answer.
    pub(super) chats: Vec<Chat>,
    running: JoinHandle<()>,
}

impl Fixture {
    /// So many chats, of the first of which the store does not answer. The time stands still
    /// while anything can be done.
    pub(super) async fn set(chats: usize, silent: usize) -> Self {
        let store = store::open("sqlite::memory:").await.expect("a store");
        let anna = new_user(&*store, "anna").await;
        let boris = new_user(&*store, "boris").await;
        let mut made = Vec::new();
        for _ in 0..chats {
            made.push(new_chat(&*store, &anna).await);
        }
        let unreliable = Arc::new(Unreliable {
            store: Arc::clone(&store),
            silent: made.iter().take(silent).map(|chat| chat.id).collect(),
            answers: Semaphore::new(0),
            failures: AtomicUsize::new(0),
            under_way: AtomicUsize::new(0),
        });
        let (bus, hub) = (Arc::new(Local::default()), Arc::new(Hub::default()));
        let relay = Relay {
            bus: Arc::<Local>::clone(&bus),
            hub: Arc::clone(&hub),
            messages: Arc::<Unreliable>::clone(&unreliable),
            chats: Arc::<dyn Store>::clone(&store),
            events: Arc::<dyn Store>::clone(&store),
            remote: Remote::over(&store),
            clock: Clock::system(),
            outbox: SMALL,
            metrics: Metrics::default(),
        };
        tokio::time::pause();
        let running = TaskTracker::new().spawn(relay.run());
        Self {
            store,
            unreliable,
            bus,
            hub,
            anna,
            boris,
            chats: made,
            running,
        }
    }

    /// A connection of this user subscribed to these chats.
    pub(super) fn connection<'a>(
        &self,
        user: &User,
        chats: impl IntoIterator<Item = &'a Chat>,
        limits: OutboxLimits,
    ) -> Arc<Subscription> {
        let connection = new_connection(limits);
        self.hub.bind_user(&connection, user.id);
        for chat in chats {
            self.hub.join(&connection, [chat.id]);
            self.hub.open(chat.id, 0);
        }
        connection
    }

    /// Stores so many messages.
    pub(super) async fn append(&self, chat: &Chat, count: usize) -> Vec<Arc<Notice>> {
        let stored = append(&*self.store, chat.id, &self.anna, count).await;
        stored
            .into_iter()
            .map(|message| sent(message, None))
            .collect()
    }

    pub(super) async fn publish<'a>(&self, notices: impl IntoIterator<Item = &'a Arc<Notice>>) {
        for notice in notices {
            let published = self.bus.publish(vec![(**notice).clone()]);
            published.await.expect("an open bus");
        }
    }

    /// Closes the bus and returns when the relay has ended.
    pub(super) async fn end(self) {
        self.bus.close();
        self.running.await.expect("the relay ends with the bus");
    }
}

pub(super) fn left(chat: &Chat, user: &User) -> Arc<Notice> {
    notice(Fact::MemberLeft(Arc::new(Membership {
        chat: chat.id,
        chat_pk: chat.pk,
        policy: chat.policy,
        user: Arc::new(user.clone()),
        version: 1,
        head: 0,
    })))
}

pub(super) fn deleted(chat: &Chat) -> Arc<Notice> {
    notice(Fact::ChatDeleted {
        chat: chat.id,
        pk: chat.pk,
    })
}

/// Returns once this holds.
pub(super) async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::task::yield_now().await;
    }
}

/// The next so many frames that a connection is sent.
pub(super) async fn received(connection: &Subscription, count: usize) -> Vec<String> {
    let mut received = Vec::new();
    while received.len() < count {
        match connection.outbox.next().await {
            Ok(frame) => received.push(frame.body.as_str().to_owned()),
            Err(why) => panic!("{why:?} after {received:?}"),
        }
    }
    received
}

pub(super) fn is_empty(connection: &Subscription) -> bool {
    connection.outbox.is_empty()
}
