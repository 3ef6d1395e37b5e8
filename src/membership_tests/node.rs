//! A server without transports, over a store that answers late at random.
//! Does not know clients.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::bus::SlowBus;
use super::ledger::Ledger;
use super::random::Random;
use super::record::USERS;
use crate::auth::Authenticator;
use crate::bus::Bus;
use crate::fixtures::{Backend, HOST};
use crate::gateway::closing::Closing;
use crate::gateway::state::GatewayState;
use crate::hub::{Hub, OutboxLimits};
use crate::limits;
use crate::model::{ChatId, Clock, Command, Error, Identity, Profile, Reply, Seq, UserId};
use crate::relay::Relay;
use crate::store::{self, Store};
use crate::telemetry::Metrics;

/// Room for everything that the clients are sent.
const OUTBOX: OutboxLimits = OutboxLimits {
    frames: 100_000,
    bytes: 1 << 26,
};

/// Operations during which others wait for a lock: a delay there lets nothing overtake.
const EXCLUSIVE: [&str; 5] = [
    "append",
    "add_member",
    "remove_member",
    "delete_chat",
    "delete_event",
];

/// A server without transports.
pub(super) struct Node {
    pub(super) state: GatewayState,
    /// The requests of connections.
    pub(super) requests: TaskTracker,
    /// All other tasks of the server.
    tasks: TaskTracker,
    pub(super) users: Vec<UserId>,
    /// Answers at once.
    store: Arc<dyn Store>,
    bus: Arc<dyn Bus>,
    stop: CancellationToken,
}

impl Node {
    /// A server over this store with so many users. `loses`: the bus loses messages.
    pub(super) async fn open(
        store: Arc<dyn Store>,
        ledger: &Arc<Ledger>,
        seed: u64,
        loses: bool,
    ) -> Self {
        let clock = Clock::fixed(Timestamp::UNIX_EPOCH);
        let metrics = Metrics::default();
        let (gated, gate) = store::gated(Arc::clone(&store), metrics.clone());
        let random = Random::new(seed, 1);
        let bus: Arc<dyn Bus> = Arc::new(SlowBus::new(Arc::clone(ledger), random, loses));
        let (backend, committer) = Backend::on(Arc::clone(&bus), gated, metrics, clock.clone());
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        tasks.spawn(committer.run(stop.clone()));
        let mut known = Vec::new();
        for external_id in (0..USERS).map(|number| format!("user-{number}")) {
            known.push(backend.user(&external_id, Profile::default()).await.id);
        }
        let state = GatewayState {
            service: Arc::clone(&backend.service),
            hub: Arc::new(Hub::default()),
            authenticator: Arc::new(Authenticator::open()),
            clock,
            outbox: OUTBOX,
            limits: Arc::new(limits::Limits::off()),
            closing: Closing::default(),
            metrics: backend.metrics.clone(),
            log_requests: false,
        };
        let relay = Relay {
            bus: Arc::clone(&bus),
            hub: Arc::clone(&state.hub),
            messages: Arc::<dyn Store>::clone(&backend.store),
            chats: Arc::<dyn Store>::clone(&backend.store),
            events: Arc::<dyn Store>::clone(&backend.store),
            remote: state.service.remote(),
            clock: state.clock.clone(),
            outbox: state.outbox,
            metrics: backend.metrics.clone(),
        };
        tasks.spawn(relay.run());
        let mut random = Random::new(seed, 2);
        gate.delay(move |operation| {
            let (cases, most) = match operation {
                _ if EXCLUSIVE.contains(&operation) => (24, 4),
                // Much may happen meanwhile.
                "messages" | "memberships_of" if random.one_in(6) => (1, 50),
                "memberships_of" | "heads" | "messages" | "chat" => (2, 12),
                _ => (4, 8),
            };
            if random.one_in(cases) {
                random.milliseconds(most)
            } else {
                Duration::ZERO
            }
        });
        Self {
            state,
            requests: TaskTracker::new(),
            tasks,
            users: known,
            store,
            bus,
            stop,
        }
    }

    /// Executes a command outside of any connection.
    pub(super) async fn execute(
        &self,
        identity: &Identity,
        command: Command,
    ) -> Result<Reply, Error> {
        self.state.service.execute(identity, command).await
    }

    /// Executes a command of the host application.
    pub(super) async fn host(&self, command: Command) -> Result<Reply, Error> {
        self.execute(&HOST, command).await
    }

    /// The seq of the latest message in the store at this moment.
    pub(super) async fn head(&self, chat: ChatId) -> Option<Seq> {
        let found = self.store.heads(&[chat]).await.expect("an answer");
        found.first().copied()
    }

    /// Runs a task of a client.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    pub(super) async fn close(&self) {
        self.stop.cancel();
        self.bus.close();
        self.tasks.close();
        self.tasks.wait().await;
        let _ = self.store.close().await;
    }
}
