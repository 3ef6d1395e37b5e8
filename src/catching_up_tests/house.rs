//! Everything but the doors: a store, the service over it, and the way back to connections.
//! Does not know who comes.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::CHATS;
use crate::auth::Authenticator;
use crate::bus::{Bus, Local};
use crate::gateway::state::GatewayState;
use crate::hub::{Hub, OutboxLimits};
use crate::limits;
use crate::model::{
    ChatId, ChatRef, Clock, Command, Draft, Identity, Profile, Reply, Rights, Seq, UserId,
};
use crate::relay::Relay;
use crate::service::{Limits, Service};
use crate::store;
use crate::telemetry::Metrics;

/// A house without doors, in which Boris writes.
pub(super) struct House {
    pub(super) state: GatewayState,
    bus: Arc<dyn Bus>,
    stop: CancellationToken,
    tasks: TaskTracker,
    pub(super) anna: UserId,
    boris: UserId,
    pub(super) chats: Vec<ChatId>,
    /// How many messages each chat has.
    pub(super) heads: BTreeMap<ChatId, Seq>,
}

impl House {
    pub(super) async fn open() -> Self {
        let store = store::open("sqlite::memory:").await.expect("a store");
        let bus: Arc<dyn Bus> = Arc::new(Local::default());
        let limits = Limits {
            message_bytes: 1000,
            members: 10,
            chats: None,
        };
        let clock = Clock::fixed(Timestamp::UNIX_EPOCH);
        let metrics = Metrics::default();
        let (service, committer) = Service::new(
            Arc::clone(&store),
            Arc::clone(&bus),
            clock.clone(),
            limits,
            metrics.clone(),
        );
        let state = GatewayState {
            service: Arc::new(service),
            hub: Arc::new(Hub::default()),
            authenticator: Arc::new(Authenticator::open()),
            clock,
            outbox: OutboxLimits {
                frames: 100_000,
                bytes: 1 << 24,
            },
            limits: Arc::new(limits::Limits::off()),
            closing: CancellationToken::new(),
            metrics: metrics.clone(),
        };
        let relay = Relay {
            bus: Arc::clone(&bus),
            hub: Arc::clone(&state.hub),
            store,
            outbox: state.outbox,
            metrics,
        };
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        tasks.spawn(committer.run(stop.clone()));
        tasks.spawn(relay.run());
        let mut house = Self {
            anna: user(&state, "anna").await,
            boris: user(&state, "boris").await,
            state,
            bus,
            stop,
            tasks,
            chats: Vec::new(),
            heads: BTreeMap::new(),
        };
        for _ in 0..CHATS {
            house.make_chat().await;
        }
        house
    }

    pub(super) async fn make_chat(&mut self) {
        let create = Command::CreateChat {
            name: None,
            members: vec![self.anna, self.boris],
            key: None,
        };
        match self.state.service.execute(&server(), create).await {
            Ok(Reply::Chat(chat)) => {
                self.chats.push(chat.id);
                self.heads.insert(chat.id, 0);
            }
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn say(&mut self, chat: usize, count: usize) {
        let chat = self.chats[chat % self.chats.len()];
        let mut begun = Vec::new();
        for _ in 0..count {
            let send = Command::SendMessage {
                user: Some(self.boris),
                chat: ChatRef::Id(chat),
                draft: Draft::text("hello"),
            };
            begun.push(self.state.service.begin(&server(), send).await);
        }
        for begun in begun {
            begun.await.expect("stored");
            *self.heads.entry(chat).or_default() += 1;
        }
    }

    pub(super) async fn close(self) {
        self.stop.cancel();
        self.bus.close();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

fn server() -> Identity {
    Identity {
        user: None,
        rights: Rights::Service,
        connection: None,
    }
}

async fn user(state: &GatewayState, name: &str) -> UserId {
    let create = Command::CreateUser {
        external_id: Some(name.into()),
        profile: Profile::default(),
    };
    match state.service.execute(&server(), create).await {
        Ok(Reply::User(user)) => user.id,
        other => panic!("{other:?}"),
    }
}
