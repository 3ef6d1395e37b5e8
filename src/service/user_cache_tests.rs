//! The cached users, chats and heads equal those of the store, whatever happens in between and
//! whatever is evicted.

use futures_util::future::join;
use jiff::Timestamp;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::bus::{Bus, Local};
use crate::fixtures::HOST;
use crate::model::{
    Caller, ChatChoice, ChatRef, Clock, Command, Draft, EventDetails, Identity, Reply, Rights,
    Role, UserRef,
};
use crate::service::{Limits, Service};
use crate::store::{self, Store};
use crate::telemetry::Metrics;

const USERS: usize = 4;
const LIMITS: Limits = Limits {
    message_bytes: 1000,
    members: 100,
    chats: None,
};

/// A service over a store whose calls are counted.
struct World {
    service: Service,
    store: Arc<dyn Store>,
    metrics: Metrics,
    chats: Vec<ChatId>,
    events: Vec<i64>,
}

fn caller(user: usize, profile: Profile) -> Caller {
    Caller {
        pk: None,
        external_id: format!("user {user}"),
        profile,
        role: Role::User,
        issued_at: None,
        expires_at: None,
    }
}

fn named(name: Option<u8>) -> Profile {
    Profile {
        name: name.map(|name| format!("name {name}")),
        ..Profile::default()
    }
}

impl World {
    async fn identify(&self, user: usize, profile: Profile) -> UserId {
        let identified = self
            .service
            .identify(Some(caller(user, profile)), Rights::Own);
        let (_, user) = identified.await.expect("a user");
        user.expect("the caller")
    }

    async fn id(&self, user: usize) -> UserId {
        self.identify(user, Profile::default()).await
    }

    async fn host(&self, command: Command) -> Option<Reply> {
        self.service.execute(&HOST, command).await.ok()
    }

    async fn own(&self, user: usize, command: Command) -> Option<Reply> {
        let identity = Identity {
            user: Some(self.id(user).await),
            rights: Rights::Own,
            ..HOST
        };
        self.service.execute(&identity, command).await.ok()
    }

    fn chat(&self, index: usize) -> ChatRef {
        let chat = self.chats.get(index % self.chats.len().max(1)).copied();
        ChatRef::Id(chat.unwrap_or_else(|| ChatId::new(Timestamp::UNIX_EPOCH)))
    }

    /// How often the store was called.
    fn calls(&self) -> usize {
        let text = self.metrics.text();
        let lines = text.lines();
        let counts = lines.filter(|line| line.starts_with("polychat_store_seconds_count"));
        // The sweeper has its own times.
        let counts = counts.filter(|line| !line.contains("operation=\"sweep\""));
        let count = |line: &str| line.rsplit(' ').next()?.parse::<usize>().ok();
        counts.filter_map(count).sum()
    }

    /// The chats of a user, in an order of their own. A cached version may be older than the stored one.
    async fn chats(&self, user: UserId) -> Vec<ChatId> {
        let chats = self.service.chats_of(user).await.expect("chats");
        let mut chats: Vec<_> = chats.iter().map(|(chat, _)| *chat).collect();
        chats.sort();
        chats
    }

    /// Compares the cache with the store.
    async fn check(&self) -> TestCaseResult {
        for user in 0..USERS {
            let id = self.id(user).await;
            let known = self.chats(id).await;
            let stored = self.store.memberships_of(id).await.expect("chats");
            let mut stored: Vec<_> = stored.into_iter().map(|(chat, _)| chat).collect();
            stored.sort();
            prop_assert_eq!(known, stored);
        }
        let heads = self.service.heads_of(&self.chats).await.expect("heads");
        prop_assert_eq!(heads, self.store.heads(&self.chats).await.expect("heads"));
        Ok(())
    }

    async fn act(&mut self, act: Act) -> TestCaseResult {
        match act {
            Act::Identify(user, name) => return self.identify_as(user, name).await,
            Act::Send(chat, user, text) => self.send(chat, user, text).await,
            Act::Rename(user, name) => {
                let user = UserRef::Id(self.id(user).await);
                let profile = named(Some(name));
                self.host(Command::UpdateUser { user, profile }).await;
            }
            Act::MakeChat(users) => self.make_chat(users).await,
            Act::MakeRoom(user) => {
                let (name, team) = (None, None);
                let create = Command::CreateRoom { name, team };
                if let Some(Reply::Room(room)) = self.own(user, create).await {
                    self.chats.push(room.chat.id);
                }
            }
            Act::Add(chat, user) => {
                let (chat, users) = (self.chat(chat), vec![self.id(user).await.into()]);
                self.host(Command::AddMembers { chat, users }).await;
            }
            Act::Remove(chat, user) => {
                let (chat, user) = (self.chat(chat), self.id(user).await);
                self.host(Command::RemoveMember { chat, user }).await;
            }
            Act::Join(chat, user) => {
                let chat = self.chat(chat);
                self.own(user, Command::JoinChat { chat, read: None }).await;
            }
            Act::Leave(chat, user) => {
                let chat = self.chat(chat);
                self.own(user, Command::LeaveChat { chat }).await;
            }
            Act::Delete(chat) => {
                let chat = self.chat(chat);
                self.host(Command::DeleteChat { chat }).await;
            }
            Act::MakeEvent(owner) => self.make_event(owner).await,
            Act::OpenEventChat(event, guest) => self.open_event_chat(event, guest).await,
            Act::DeleteEvent(event) => {
                let event = self.event(event);
                self.host(Command::DeleteEvent { event }).await;
            }
        }
        Ok(())
    }

    async fn make_chat(&mut self, users: Vec<usize>) {
        let ids = users
            .into_iter()
            .map(async |user| self.id(user).await.into());
        let members = futures_util::future::join_all(ids).await;
        let (name, key, chosen) = (None, None, ChatChoice::default());
        let create = Command::CreateChat {
            name,
            members,
            key,
            chosen,
        };
        if let Some(Reply::Chat(chat)) = self.host(create).await {
            self.chats.push(chat.id);
        }
    }

    async fn identify_as(&self, user: usize, name: Option<u8>) -> TestCaseResult {
        let id = self.identify(user, named(name)).await;
        let stored = self.store.user(id).await.expect("an answer");
        let stored = stored.expect("the identified user");
        prop_assert_eq!(&stored.external_id, &format!("user {user}"));
        prop_assert!(stored.has(&named(name)));
        Ok(())
    }

    async fn send(&self, chat: usize, user: usize, text: u8) {
        let mut draft = Draft::text("hello");
        // Sent again it is a repetition.
        draft.client_id = Some(text.to_string());
        let (chat, user) = (self.chat(chat), Some(self.id(user).await));
        self.host(Command::SendMessage {
            user: user.map(Into::into),
            chat,
            draft,
        })
        .await;
    }

    async fn make_event(&mut self, owner: usize) {
        let create = Command::CreateEvent {
            pk: None,
            owner: self.id(owner).await.into(),
            details: EventDetails {
                name: "event".into(),
                location: "here".into(),
                icons: Vec::new(),
                starts: 1,
                ends: 2,
            },
            key: None,
        };
        if let Some(Reply::Event(event)) = self.host(create).await {
            self.events.push(event.pk);
        }
    }

    async fn open_event_chat(&mut self, event: usize, guest: usize) {
        let event = self.event(event);
        let open = Command::OpenEventChat {
            chosen: ChatChoice::default(),
            user: None,
            event,
        };
        if let Some(Reply::EventChat(touched)) = self.own(guest, open).await {
            self.chats.push(touched.chat.chat);
        }
    }

    fn event(&self, index: usize) -> i64 {
        let event = self.events.get(index % self.events.len().max(1));
        event.copied().unwrap_or(0)
    }
}

/// An action that changes the cache, or reads it.
#[derive(Debug, Clone)]
enum Act {
    Identify(usize, Option<u8>),
    Rename(usize, u8),
    MakeChat(Vec<usize>),
    MakeRoom(usize),
    Add(usize, usize),
    Remove(usize, usize),
    Join(usize, usize),
    Leave(usize, usize),
    Delete(usize),
    Send(usize, usize, u8),
    MakeEvent(usize),
    OpenEventChat(usize, usize),
    DeleteEvent(usize),
}

fn act() -> impl Strategy<Value = Act> {
    let (chat, user) = (0..8_usize, 0..USERS);
    let both = (chat.clone(), user.clone());
    prop_oneof![
        4 => (user.clone(), proptest::option::of(0..3_u8)).prop_map(|(user, name)| Act::Identify(user, name)),
        1 => (user.clone(), 0..3_u8).prop_map(|(user, name)| Act::Rename(user, name)),
        2 => vec(user.clone(), 1..4).prop_map(Act::MakeChat),
        1 => user.clone().prop_map(Act::MakeRoom),
        3 => both.clone().prop_map(|(chat, user)| Act::Add(chat, user)),
        3 => both.clone().prop_map(|(chat, user)| Act::Remove(chat, user)),
        2 => both.clone().prop_map(|(chat, user)| Act::Join(chat, user)),
        2 => both.clone().prop_map(|(chat, user)| Act::Leave(chat, user)),
        1 => chat.clone().prop_map(Act::Delete),
        4 => (chat.clone(), user.clone(), 0..9_u8).prop_map(|(chat, user, text)| Act::Send(chat, user, text)),
        1 => user.clone().prop_map(Act::MakeEvent),
        2 => both.prop_map(|(event, guest)| Act::OpenEventChat(event, guest)),
        1 => chat.prop_map(Act::DeleteEvent),
    ]
}

/// Runs `work` with a service that remembers this much.
async fn with_world<T>(cache: UserCache, work: impl AsyncFnOnce(World) -> T) -> T {
    let opened = store::open("sqlite::memory:").await.expect("a store");
    let metrics = Metrics::default();
    let store = store::instrumented(opened, metrics.clone());
    let bus: Arc<dyn Bus> = Arc::new(Local::default());
    let (service, committer) = Service::with_cache(
        cache,
        Arc::clone(&store),
        Arc::clone(&bus),
        Clock::fixed(Timestamp::UNIX_EPOCH),
        LIMITS,
        metrics.clone(),
    );
    let world = World {
        service,
        store,
        metrics,
        chats: Vec::new(),
        events: Vec::new(),
    };
    let stop = CancellationToken::new();
    let work = async {
        let done = work(world).await;
        stop.cancel();
        bus.close();
        done
    };
    let listening = async { while !bus.next(100).await.local().is_empty() {} };
    join(join(work, listening), committer.run(stop.clone()))
        .await
        .0
        .0
}

fn many_acts(cache: UserCache, acts: Vec<Act>) -> TestCaseResult {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let acting = with_world(cache, async move |mut world: World| {
        for act in acts {
            world.act(act).await?;
            world.check().await?;
        }
        Ok(())
    });
    runtime.expect("a runtime").block_on(acting)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn what_is_known_is_what_the_store_has(acts in vec(act(), 1..60)) {
        many_acts(UserCache::default(), acts)?;
    }

    /// Each part has room for one user at most.
    #[test]
    fn it_is_so_whatever_is_forgotten(acts in vec(act(), 1..60)) {
        many_acts(UserCache::within(16 * 2 * 300), acts)?;
    }
}

#[tokio::test]
async fn a_user_who_is_known_costs_no_call_of_the_store() {
    let known = async |mut world: World| {
        let profile = named(Some(1));
        let anna = world.identify(0, profile.clone()).await;
        world.act(Act::MakeChat(vec![0, 1])).await.expect("done");
        world.act(Act::Send(0, 0, 1)).await.expect("done");
        let connect = async || {
            let calls = world.calls();
            assert_eq!(world.identify(0, profile.clone()).await, anna);
            assert_eq!(world.chats(anna).await, world.chats);
            let heads = world.service.heads_of(&world.chats).await;
            assert_eq!(heads.expect("heads"), [1]);
            world.calls() - calls
        };
        assert_eq!(connect().await, 1, "the chat is new");
        assert_eq!(connect().await, 0);
    };
    Box::pin(with_world(UserCache::default(), known)).await;
}

#[tokio::test]
async fn a_user_who_is_new_costs_two_calls_and_the_next_time_none() {
    with_world(UserCache::default(), async |world: World| {
        for expected in [2, 0] {
            let calls = world.calls();
            let anna = world.id(0).await;
            assert_eq!(world.chats(anna).await, []);
            assert_eq!(world.calls() - calls, expected);
        }
    })
    .await;
}

#[tokio::test]
async fn a_profile_that_is_too_long_is_not_remembered() {
    with_world(UserCache::default(), async |world: World| {
        let profile = Profile {
            image_uuid: Some(String::new()),
            ..named(Some(1))
        };
        let anna = world.identify(0, profile.clone()).await;
        let stored = world.store.user(anna).await.expect("an answer");
        let mut user = stored.expect("a user");
        let remembered = Remembered::of(&user).expect("short");
        assert!(remembered.matches(&profile));
        assert!(remembered.matches(&Profile::default()));
        assert!(!remembered.matches(&named(Some(2))));
        user.image_uuid = None;
        let without = Remembered::of(&user).expect("short");
        assert!(!without.matches(&profile), "an empty picture is not none");
        user.github = "x".repeat(1 << 16);
        assert!(Remembered::of(&user).is_none());
    })
    .await;
}
