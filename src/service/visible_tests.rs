//! What is promised of chats that a user may not see: the same reads of the store as for one that does
//! not exist, and no additional ones for members.
//! Does not measure times.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::*;
use crate::fixtures::{Backend, identity};
use crate::model::{
    Chat, Clock, Command, ConnectionId, Identity, NewChat, NewPk, NewUser, Policy, Profile, Reply,
};
use crate::store::{self, Store};
use crate::telemetry::Metrics;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// A store with a chat of Anna's. Each backend over it has nothing in its caches at first.
struct World {
    store: Arc<dyn Store>,
    metrics: Metrics,
    anna: Identity,
    stranger: Identity,
    chat: Chat,
}

impl World {
    async fn open(policy: Policy) -> Self {
        let opened = store::open("sqlite::memory:").await.expect("a store");
        let metrics = Metrics::default();
        let store = store::instrumented(opened, metrics.clone());
        let user = async |name: &str| {
            let new = NewUser {
                pk: NewPk::default(),
                id: UserId::new(NOW),
                external_id: name.into(),
                profile: Profile::default(),
                at: NOW,
                audit: None,
            };
            let user = store.find_or_create_user(new).await.expect("a user");
            identity(user.id, ConnectionId::new(NOW))
        };
        let (anna, stranger) = (user("anna").await, user("stranger").await);
        let new = NewChat {
            pk: NewPk::default(),
            external_id: None,
            id: ChatId::new(NOW),
            name: None,
            policy,
            owner: anna.user,
            team: None,
            members: anna.user.into_iter().collect(),
            key: None,
            at: NOW,
            audit: Vec::new(),
        };
        let chat = store.create_chat(new).await.expect("a chat");
        Self {
            store,
            metrics,
            anna,
            stranger,
            chat,
        }
    }

    fn backend(&self) -> Backend {
        let store = Arc::clone(&self.store);
        Backend::over(store, self.metrics.clone(), Clock::fixed(NOW)).0
    }

    /// How often each operation of the store was called.
    fn counts(&self) -> BTreeMap<String, u64> {
        let text = self.metrics.text();
        let counts = text
            .lines()
            .filter(|line| line.starts_with("polychat_store_seconds_count"));
        let count = |line: &str| {
            let (operation, count) = line.rsplit_once(' ')?;
            Some((operation.to_owned(), count.parse().ok()?))
        };
        counts.filter_map(count).collect()
    }

    /// The calls of the store for a look at a chat, and the answer.
    async fn look(
        &self,
        backend: &Backend,
        user: &Identity,
        chat: ChatRef,
    ) -> (BTreeMap<String, u64>, Result<(), ErrorKind>) {
        let before = self.counts();
        let seen = backend
            .service
            .visible(Actor::User(user.user.expect("a user")), &chat);
        let seen = seen.await.map(drop).map_err(|error| error.kind);
        let mut calls = self.counts();
        for (operation, count) in &mut calls {
            *count -= before.get(operation).copied().unwrap_or(0);
        }
        calls.retain(|_, count| *count > 0);
        (calls, seen)
    }
}

#[tokio::test]
async fn a_hidden_chat_takes_the_reads_of_one_that_does_not_exist() {
    let world = World::open(Policy::Closed).await;
    let hidden = [ChatRef::Id(world.chat.id), ChatRef::Pk(world.chat.pk)];
    let missing = [ChatRef::Id(ChatId::new(NOW)), ChatRef::Pk(99)];
    for (hidden, missing) in hidden.into_iter().zip(missing) {
        let cold = world.backend();
        let expected = world.look(&cold, &world.stranger, missing.clone()).await;
        assert_eq!(expected.1, Err(ErrorKind::NotFound));
        assert!(!expected.0.is_empty(), "it is read each time");
        let warm = world.backend();
        for chat in [ChatRef::Id(world.chat.id), ChatRef::Pk(world.chat.pk)] {
            let seen = world.look(&warm, &world.anna, chat).await;
            assert_eq!(seen.1, Ok(()));
        }
        for backend in [&cold, &warm] {
            for chat in [
                hidden.clone(),
                missing.clone(),
                hidden.clone(),
                missing.clone(),
            ] {
                let found = world.look(backend, &world.stranger, chat.clone()).await;
                assert_eq!(found, expected, "{chat:?}");
            }
        }
        // The members of the chat are not read for a stranger.
        let seen = world.look(&cold, &world.anna, hidden).await;
        let read = |operation: &String| operation.contains("chat_rights");
        assert!(seen.0.keys().any(read), "{seen:?}");
    }
}

#[tokio::test]
async fn a_member_costs_no_additional_read() {
    let world = World::open(Policy::Closed).await;
    let backend = world.backend();
    let anna = world.anna.user.expect("a user");
    // As each connection does.
    backend.service.chats_of(anna).await.expect("chats");
    let chat = ChatRef::Id(world.chat.id);
    let (calls, seen) = world.look(&backend, &world.anna, chat.clone()).await;
    assert_eq!((calls.len(), seen), (1, Ok(())), "{calls:?}");
    for chat in [chat, ChatRef::Pk(world.chat.pk), ChatRef::Pk(world.chat.pk)] {
        let (calls, seen) = world.look(&backend, &world.anna, chat).await;
        assert_eq!(seen, Ok(()));
        let number = |operation: &String| operation.contains("\"chat_id\"");
        assert!(calls.keys().all(number), "{calls:?}");
    }
    let (calls, _) = world
        .look(&backend, &world.anna, ChatRef::Pk(world.chat.pk))
        .await;
    assert!(calls.is_empty(), "{calls:?}");
}

#[tokio::test]
async fn an_open_chat_is_read_once_for_everybody() {
    let world = World::open(Policy::Open).await;
    let backend = world.backend();
    let chat = ChatRef::Id(world.chat.id);
    let (calls, seen) = world.look(&backend, &world.stranger, chat.clone()).await;
    assert_eq!((calls.len(), seen), (2, Ok(())), "{calls:?}");
    for user in [&world.stranger, &world.anna] {
        let (calls, seen) = world.look(&backend, user, chat.clone()).await;
        assert_eq!((calls.len(), seen), (0, Ok(())), "{calls:?}");
    }
    let get = Command::GetRoom { chat, messages: 1 };
    let got = backend.service.execute(&world.stranger, get).await;
    assert!(matches!(got, Ok(Reply::Room(_))), "{got:?}");
}
