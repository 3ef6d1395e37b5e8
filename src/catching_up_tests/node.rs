//! The server without transports: the service over a store in memory, relay and hub.
//! Does not know clients.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::CHATS;
use crate::auth::Authenticator;
use crate::bus::Bus;
use crate::fixtures::{Backend, HOST};
use crate::gateway::closing::Closing;
use crate::gateway::state::GatewayState;
use crate::hub::{Hub, OutboxLimits};
use crate::limits;
use crate::model::{
    ChatChoice, ChatId, ChatRef, Clock, Command, Draft, MessageId, PendingMessage, Profile, Reply,
    Seq, UserId,
};
use crate::relay::Relay;
use crate::store::{self, Gate, Store};
use crate::telemetry::Metrics;

/// A node without transports, on which Boris writes.
pub(super) struct Node {
    pub(super) state: GatewayState,
    /// Can hold back the answers of the store.
    pub(super) gate: Gate,
    pub(super) store: Arc<dyn Store>,
    bus: Arc<dyn Bus>,
    stop: CancellationToken,
    tasks: TaskTracker,
    pub(super) anna: UserId,
    pub(super) boris: UserId,
    pub(super) chats: Vec<ChatId>,
    /// How many messages each chat has.
    pub(super) heads: BTreeMap<ChatId, Seq>,
}

impl Node {
    pub(super) async fn open() -> Self {
        let store = store::open("sqlite::memory:").await;
        Self::over(store.expect("a store")).await
    }

    /// A node over this store, which is empty.
    pub(super) async fn over(store: Arc<dyn Store>) -> Self {
        let clock = Clock::fixed(Timestamp::UNIX_EPOCH);
        let metrics = Metrics::default();
        let (store, gate) = store::gated(store, metrics.clone());
        let (backend, committer) = Backend::over(store, metrics, clock.clone());
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        tasks.spawn(committer.run(stop.clone()));
        let anna = backend.user("anna", Profile::default()).await.id;
        let boris = backend.user("boris", Profile::default()).await.id;
        let Backend {
            store,
            bus,
            service,
            metrics,
        } = backend;
        let state = GatewayState {
            service,
            hub: Arc::new(Hub::default()),
            authenticator: Arc::new(Authenticator::open()),
            clock,
            outbox: OutboxLimits {
                frames: 100_000,
                bytes: 1 << 24,
            },
            limits: Arc::new(limits::Limits::off()),
            closing: Closing::default(),
            metrics: metrics.clone(),
            log_requests: false,
        };
        let relay = Relay {
            bus: Arc::clone(&bus),
            hub: Arc::clone(&state.hub),
            messages: Arc::<dyn Store>::clone(&store),
            chats: Arc::<dyn Store>::clone(&store),
            events: Arc::<dyn Store>::clone(&store),
            remote: state.service.remote(),
            clock: state.clock.clone(),
            outbox: state.outbox,
            metrics,
        };
        tasks.spawn(relay.run());
        let mut node = Self {
            anna,
            boris,
            state,
            gate,
            store,
            bus,
            stop,
            tasks,
            chats: Vec::new(),
            heads: BTreeMap::new(),
        };
        for _ in 0..CHATS {
            node.make_chat().await;
        }
        node
    }

    pub(super) async fn make_chat(&mut self) {
        let create = Command::CreateChat {
            chosen: ChatChoice::default(),
            name: None,
            members: vec![self.anna.into(), self.boris.into()],
            key: None,
        };
        match self.state.service.execute(&HOST, create).await {
            Ok(Reply::Chat(chat)) => {
                self.chats.push(chat.id);
                self.heads.insert(chat.id, 0);
            }
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn send(&mut self, chat: usize, count: usize) {
        let chat = self.chats[chat % self.chats.len()];
        let mut begun = Vec::new();
        for _ in 0..count {
            let send = Command::SendMessage {
                user: Some(self.boris.into()),
                chat: ChatRef::Id(chat),
                draft: Draft::text("hello"),
            };
            begun.push(self.state.service.begin(&HOST, send).await);
        }
        for begun in begun {
            begun.await.expect("stored");
            *self.heads.entry(chat).or_default() += 1;
        }
    }

    /// Stores messages directly, unknown to this server.
    pub(super) async fn leave_messages(&mut self, chat: ChatId, count: usize) {
        let entry = |_| PendingMessage {
            id: MessageId::new(Timestamp::UNIX_EPOCH),
            chat,
            sender: self.boris,
            origin: None,
            draft: Draft::text("hello"),
            at: Timestamp::UNIX_EPOCH,
        };
        let batch = (0..count).map(entry).collect();
        let stored = self.store.append(batch).await.expect("stored");
        *self.heads.entry(chat).or_default() += Seq::try_from(stored.len()).expect("few");
    }

    /// How often the store was called in order to connect.
    pub(super) fn calls(&self) -> usize {
        let text = self.state.metrics.text();
        let count = |operation: &str| {
            let counted = format!("polychat_store_seconds_count{{operation=\"{operation}\"}} ");
            let mut lines = text.lines();
            let count = lines.find_map(|line| line.strip_prefix(&counted));
            count.map_or(0, |count| count.parse().expect("a number"))
        };
        let operations = [
            "user_by_external_id",
            "find_or_create_users",
            "memberships_of",
            "heads",
        ];
        operations.into_iter().map(count).sum()
    }

    pub(super) async fn close(self) {
        self.stop.cancel();
        self.bus.close();
        self.tasks.close();
        self.tasks.wait().await;
    }
}
