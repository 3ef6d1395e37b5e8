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
use crate::gateway::state::GatewayState;
use crate::hub::{Hub, OutboxLimits};
use crate::limits;
use crate::model::{ChatId, ChatRef, Clock, Command, Draft, Profile, Reply, Seq, UserId};
use crate::relay::Relay;

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
        let clock = Clock::fixed(Timestamp::UNIX_EPOCH);
        let (backend, committer) = Backend::open(clock.clone()).await;
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
            anna,
            boris,
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
        match self.state.service.execute(&HOST, create).await {
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
            begun.push(self.state.service.begin(&HOST, send).await);
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
