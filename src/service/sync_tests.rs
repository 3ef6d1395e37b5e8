//! The promises of `sync`: nothing left out, nothing beyond the bounds, and one read of the store
//! for many clients.

#[path = "sync_tests/ahead.rs"]
mod ahead;
#[path = "sync_tests/budget.rs"]
mod budget;
#[path = "sync_tests/costs.rs"]
mod costs;
#[path = "sync_tests/unknown.rs"]
mod unknown;

use std::collections::{BTreeMap, HashMap};

use futures_util::future::join_all;
use jiff::Timestamp;
use parking_lot::Mutex;

use super::*;
use crate::bus::Local;
use crate::model::{
    Clock, Command, Draft, ErrorKind, MessageId, NewChat, NewUser, PendingMessage, Policy, Profile,
    Rights, User,
};
use crate::service::Limits;
use crate::store::{self, Store};
use crate::telemetry::Metrics;

/// A service over a store whose calls are counted.
struct Scene {
    service: Service,
    store: Arc<dyn Store>,
    metrics: Metrics,
    /// The calls that were returned already.
    known: Mutex<Calls>,
    anna: User,
}

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

impl Scene {
    async fn set() -> Self {
        let store = store::open("sqlite::memory:").await.expect("a store");
        let metrics = Metrics::default();
        let store = store::instrumented(store, metrics.clone());
        let limits = Limits {
            message_bytes: 1 << 20,
            members: 100,
            chats: None,
        };
        let clock = Clock::fixed(NOW);
        let (service, _) = Service::new(
            Arc::clone(&store),
            Arc::new(Local::default()),
            clock,
            limits,
            metrics.clone(),
        );
        let anna = user(&*store, "anna").await;
        Self {
            service,
            store,
            metrics,
            known: Mutex::default(),
            anna,
        }
    }

    async fn chat(&self, policy: Policy, members: &[UserId], texts: &[String]) -> ChatId {
        let new = NewChat {
            id: ChatId::new(NOW),
            name: None,
            policy,
            owner: None,
            team: None,
            key: None,
            members: members.to_vec(),
            at: NOW,
            audit: Vec::new(),
        };
        let chat = self.store.create_chat(new).await.expect("a chat").id;
        self.write(chat, texts).await;
        chat
    }

    /// A chat of Anna's with so many short messages.
    async fn chat_with(&self, count: usize) -> ChatId {
        let texts = vec!["hello".to_owned(); count];
        self.chat(Policy::Closed, &[self.anna.id], &texts).await
    }

    async fn write(&self, chat: ChatId, texts: &[String]) {
        let entries = texts.iter().map(|text| PendingMessage {
            id: MessageId::new(NOW),
            chat,
            sender: self.anna.id,
            origin: None,
            draft: Draft::text(text),
            at: NOW,
        });
        self.store.append(entries.collect()).await.expect("stored");
    }

    /// Anna's chats are cached, as by a connection, and the calls counted from now on.
    async fn connect(&self) {
        self.service.chats_of(self.anna.id).await.expect("chats");
        reads(self);
    }

    async fn missed(&self, chats: &[(ChatId, Seq)], budget: PageBudget) -> Vec<Option<Missed>> {
        let chats = chats.iter().map(|(chat, seq)| (ChatRef::Id(*chat), *seq));
        let missed = self.sync(chats.collect(), HashMap::new(), budget);
        missed.await.expect("an answer")
    }

    async fn sync(
        &self,
        chats: Vec<(ChatRef, Seq)>,
        until: HashMap<ChatId, Seq>,
        budget: PageBudget,
    ) -> Result<Vec<Option<Missed>>, Error> {
        let chats = chats.into_iter();
        let chats = chats.map(|(chat, seq)| (chat, seq.into()));
        let sync = Command::Sync {
            user: None,
            chats: chats.collect(),
            until,
            budget,
        };
        match self.service.execute(&own(&self.anna), sync).await? {
            Reply::Synced(missed) => Ok(missed),
            other => panic!("{other:?}"),
        }
    }

    async fn ask_one(&self, chat: ChatId, after: Seq) -> Missed {
        let missed = self.missed(&[(chat, after)], PageBudget::RESPONSE).await;
        missed.into_iter().next().flatten().expect("a chat")
    }
}

async fn user(store: &dyn Store, external_id: &str) -> User {
    let new = NewUser {
        id: UserId::new(NOW),
        external_id: external_id.into(),
        profile: Profile::default(),
        at: NOW,
        audit: None,
    };
    store.find_or_create_user(new).await.expect("a user")
}

fn own(user: &User) -> Identity {
    Identity {
        user: Some(user.id),
        rights: Rights::Own,
        connection: None,
        request: None,
    }
}

fn numbers(missed: &Missed) -> Vec<Seq> {
    missed.messages.iter().map(|message| message.seq).collect()
}

/// How often each method was called.
type Calls = BTreeMap<String, u64>;

fn calls<const COUNT: usize>(of: [(&str, u64); COUNT]) -> Calls {
    of.map(|(method, count)| (method.to_owned(), count)).into()
}

/// The calls since the last one of this.
fn reads(scene: &Scene) -> Calls {
    let text = scene.metrics.text();
    let counted = text.lines().filter_map(|line| {
        let line = line.strip_prefix(r#"polychat_store_seconds_count{operation=""#)?;
        let (method, count) = line.split_once(r#""} "#)?;
        Some((method.to_owned(), count.parse().ok()?))
    });
    let counted: Calls = counted.collect();
    let known = std::mem::replace(&mut *scene.known.lock(), counted.clone());
    let since = counted.into_iter().map(|(method, count)| {
        let before = known.get(&method).copied().unwrap_or(0);
        (method, count - before)
    });
    since.filter(|(_, count)| *count > 0).collect()
}

#[tokio::test]
async fn an_answer_holds_what_comes_after_the_number() {
    let scene = Scene::set().await;
    let chat = scene.chat_with(700).await;
    for after in [0, 1, 255, 256, 257, 511, 512, 699, 700, 701, i64::MAX] {
        let missed = scene.ask_one(chat, after).await;
        // Beyond the head the chat begins anew.
        let after = if after > 700 { 0 } else { after };
        let expected: Vec<_> = (after + 1..=700).collect();
        assert_eq!(numbers(&missed), expected, "after {after}");
        assert_eq!((missed.head, missed.has_more), (700, false));
    }
}

#[tokio::test]
async fn pages_go_on_until_nothing_is_left() {
    let scene = Scene::set().await;
    let chat = scene.chat_with(2345).await;
    let (mut known, mut pages) = (Vec::new(), 0);
    loop {
        let after = known.last().copied().unwrap_or(0);
        let missed = scene.ask_one(chat, after).await;
        assert!(missed.messages.len() <= 1000 && missed.head == 2345);
        known.extend(numbers(&missed));
        pages += 1;
        if !missed.has_more {
            break;
        }
    }
    assert_eq!(known, (1..=2345).collect::<Vec<_>>());
    assert_eq!(pages, 3);
}

#[tokio::test]
async fn new_messages_are_found_in_a_block_that_was_read_before() {
    let scene = Scene::set().await;
    let chat = scene.chat_with(3).await;
    for head in 3..300 {
        let missed = scene.ask_one(chat, head - 2).await;
        assert_eq!(numbers(&missed), [head - 1, head]);
        scene.write(chat, &["more".into()]).await;
    }
}

#[tokio::test]
async fn all_chats_together_hold_no_more_than_the_portion() {
    let scene = Scene::set().await;
    let mut chats = Vec::new();
    for _ in 0..30 {
        chats.push((scene.chat_with(600).await, 0));
    }
    let missed = scene.missed(&chats, PageBudget::RESPONSE).await;
    let lengths = |part: &Option<Missed>| part.as_ref().expect("a chat").messages.len();
    let lengths: Vec<_> = missed.iter().map(lengths).collect();
    let mut expected = [vec![600; 16], vec![400], vec![0; 13]].concat();
    assert_eq!(lengths, expected);
    let replay = scene.missed(&chats, PageBudget::REPLAY).await;
    expected = [vec![600, 400], vec![0; 28]].concat();
    for ((part, whole), length) in replay.into_iter().zip(missed).zip(expected) {
        let (part, whole) = (part.expect("a chat"), whole.expect("a chat"));
        assert_eq!(part.messages.len(), length);
        assert_eq!(part.has_more, length < 600);
        assert_eq!(whole.has_more, whole.messages.len() < 600);
        assert_eq!(part.head, 600);
    }
}

#[tokio::test]
async fn long_texts_end_an_answer_early_but_never_before_the_first() {
    let scene = Scene::set().await;
    let texts: Vec<_> = (0..9).map(|_| "x".repeat(300_000)).collect();
    let long = scene.chat(Policy::Closed, &[scene.anna.id], &texts).await;
    let short = scene.chat_with(5).await;
    let huge = vec!["y".repeat(3 << 20)];
    let huge = scene.chat(Policy::Closed, &[scene.anna.id], &huge).await;
    let missed = scene
        .missed(&[(long, 0), (short, 0), (huge, 0)], PageBudget::RESPONSE)
        .await;
    let missed: Vec<_> = missed
        .into_iter()
        .map(|part| part.expect("a chat"))
        .collect();
    let shown = |part: &Missed| (numbers(part), part.has_more);
    assert_eq!(shown(&missed[0]), (vec![1, 2, 3], true));
    assert_eq!(shown(&missed[1]), (vec![1, 2, 3, 4, 5], false));
    assert_eq!(shown(&missed[2]), (vec![], true));
    assert_eq!(shown(&scene.ask_one(huge, 0).await), (vec![1], false));
}

#[tokio::test]
async fn texts_too_long_for_a_block_are_read_all_the_same() {
    let scene = Scene::set().await;
    let texts: Vec<_> = (0..40).map(|_| "x".repeat(500_000)).collect();
    let chat = scene.chat(Policy::Closed, &[scene.anna.id], &texts).await;
    let mut known = Vec::new();
    for _ in 0..40 {
        let after = known.last().copied().unwrap_or(0);
        let missed = scene.ask_one(chat, after).await;
        known.extend(numbers(&missed));
        if !missed.has_more {
            break;
        }
    }
    assert_eq!(known, (1..=40).collect::<Vec<_>>());
}

#[tokio::test]
async fn one_chat_that_is_not_seen_does_not_spoil_the_others() {
    let scene = Scene::set().await;
    let boris = user(&*scene.store, "boris").await;
    let own = scene.chat_with(2).await;
    let foreign = scene
        .chat(Policy::Closed, &[boris.id], &["psst".into()])
        .await;
    let open = scene
        .chat(Policy::Open, &[boris.id], &["hello".into()])
        .await;
    let nowhere = ChatId::new(NOW);
    let requested = [(own, 1), (foreign, 0), (nowhere, 0), (open, 0), (own, 0)];
    let missed = scene.missed(&requested, PageBudget::RESPONSE).await;
    let shown: Vec<_> = missed
        .iter()
        .map(|part| part.as_ref().map(numbers))
        .collect();
    assert_eq!(
        shown,
        [Some(vec![2]), None, None, Some(vec![1]), Some(vec![1, 2])]
    );
}

#[tokio::test]
async fn too_many_chats_are_refused() {
    let scene = Scene::set().await;
    let sync = |count: i64| {
        let chats = (1..=count).map(|pk| (ChatRef::Pk(pk), 0)).collect();
        scene.sync(chats, HashMap::new(), PageBudget::RESPONSE)
    };
    assert_eq!(sync(1000).await.expect("none of them there").len(), 1000);
    let error = sync(1001).await.expect_err("too many");
    assert_eq!(error.kind, ErrorKind::TooLarge);
    assert!(error.message.contains("1000"), "{error}");
}

#[tokio::test]
async fn a_user_cannot_ask_for_another() {
    let scene = Scene::set().await;
    let boris = user(&*scene.store, "boris").await;
    let identity = own(&scene.anna);
    let sync = Command::Sync {
        user: Some(boris.id),
        chats: Vec::new(),
        until: HashMap::new(),
        budget: PageBudget::RESPONSE,
    };
    let refused = scene.service.execute(&identity, sync).await;
    assert_eq!(refused.expect_err("not hers").kind, ErrorKind::Forbidden);
}

#[tokio::test]
async fn a_store_that_fails_is_asked_again() {
    let scene = Scene::set().await;
    let chat = scene.chat_with(10).await;
    scene.ask_one(chat, 10).await;
    scene.store.close().await.expect("closed");
    for _ in 0..2 {
        reads(&scene);
        let chats = vec![(ChatRef::Id(chat), 0)];
        let until = HashMap::from([(chat, 10)]);
        let missed = scene.sync(chats, until, PageBudget::RESPONSE);
        let error = missed.await.expect_err("the store is closed");
        assert_eq!(error.kind, ErrorKind::Unavailable);
        assert_eq!(reads(&scene), calls([("messages", 1)]));
    }
}
