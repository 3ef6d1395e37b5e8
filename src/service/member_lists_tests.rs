//! The promises of the published member lists: few, and the last one is right.
//! Does not use a hub.

use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::Timestamp;
use tokio_util::task::TaskTracker;

use super::*;
use crate::bus::Local;
use crate::fixtures::{Backend, HOST};
use crate::model::{
    ChatChoice, ChatRef, Clock, Command, Profile, Reply, SanctionTerm, User, UserId,
};
use crate::store::{Gate, gated, open};
use crate::telemetry::Metrics;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// A service at work, with a closed chat.
struct Fixture {
    backend: Backend,
    gate: Gate,
    chat: ChatId,
    users: Vec<Arc<User>>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Fixture {
    /// With so many users, of which the first is the only member.
    async fn new(users: usize) -> Self {
        let store = open("sqlite::memory:").await.expect("a store");
        let (store, gate) = gated(store, Metrics::default());
        let bus = Arc::new(Local::default());
        let (backend, committer) = Backend::on(bus, store, Metrics::default(), Clock::fixed(NOW));
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        tasks.spawn(committer.run(stop.clone()));
        let mut known = Vec::new();
        for number in 0..users {
            let external_id = format!("user-{number}");
            known.push(backend.user(&external_id, Profile::default()).await);
        }
        let create = Command::CreateChat {
            chosen: ChatChoice::default(),
            name: None,
            members: vec![known[0].id.into()],
            key: None,
        };
        let chat = match backend.service.execute(&HOST, create).await {
            Ok(Reply::Chat(chat)) => chat.id,
            other => panic!("{other:?}"),
        };
        Self {
            backend,
            gate,
            chat,
            users: known,
            tasks,
            stop,
        }
    }

    async fn host(&self, command: Command) {
        let reply = self.backend.service.execute(&HOST, command).await;
        reply.expect("no refusal");
    }

    async fn add(&self, user: usize) {
        let (chat, users) = (ChatRef::Id(self.chat), vec![self.users[user].id.into()]);
        self.host(Command::AddMembers { chat, users }).await;
    }

    /// Ends the service, and returns the facts that it published.
    async fn end(&self) -> Vec<Fact> {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.backend.bus.close();
        let mut facts = Vec::new();
        loop {
            let notices = self.backend.bus.next(100).await.local();
            if notices.is_empty() {
                return facts;
            }
            facts.extend(notices.iter().map(|notice| notice.fact.clone()));
        }
    }

    fn ids(&self, users: impl IntoIterator<Item = usize>) -> Vec<UserId> {
        users.into_iter().map(|user| self.users[user].id).collect()
    }
}

fn lists(facts: &[Fact]) -> Vec<Vec<UserId>> {
    let listed = facts.iter().filter_map(|fact| match fact {
        Fact::MembersListed(listed) => Some(&listed.members),
        _ => None,
    });
    listed
        .map(|members| members.iter().map(|user| user.id).collect())
        .collect()
}

#[tokio::test]
async fn many_changes_are_followed_by_few_lists() {
    let fixture = Fixture::new(21).await;
    let reads = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&reads);
    fixture.gate.delay(move |operation| {
        counted.fetch_add(usize::from(operation == "users"), Ordering::Relaxed);
        Duration::ZERO
    });
    let began = Instant::now();
    for user in 1..=20 {
        fixture.add(user).await;
    }
    let windows = began.elapsed().as_millis() / WINDOW.as_millis();
    let facts = fixture.end().await;
    let joins = facts
        .iter()
        .filter(|fact| matches!(fact, Fact::MemberJoined(_)));
    assert_eq!(joins.count(), 20);
    let lists = lists(&facts);
    assert_eq!(lists.first(), Some(&fixture.ids(0..=1)));
    assert_eq!(lists.last(), Some(&fixture.ids(0..=20)));
    let most = 2 + usize::try_from(windows).expect("few windows");
    assert!(lists.len() <= most, "{} lists", lists.len());
    // The response to each addition shows the members, and is read before and after delays.
    let reads = reads.load(Ordering::Relaxed) / 2;
    assert!(reads <= 20 + most, "{reads} reads");
}

#[tokio::test]
async fn a_list_that_waits_is_published_at_the_end_of_its_window() {
    let fixture = Fixture::new(3).await;
    let began = Instant::now();
    fixture.add(1).await;
    fixture.add(2).await;
    let mut seen = 0;
    while seen < 2 {
        let notices = fixture.backend.bus.next(100).await.local();
        let listed = |notice: &&Arc<Notice>| matches!(notice.fact, Fact::MembersListed(_));
        seen += notices.iter().filter(listed).count();
    }
    assert!(began.elapsed() >= WINDOW);
    fixture.end().await;
}

#[tokio::test]
async fn nothing_is_listed_of_a_chat_that_was_deleted_meanwhile() {
    let fixture = Fixture::new(3).await;
    fixture.add(1).await;
    fixture.add(2).await;
    let chat = ChatRef::Id(fixture.chat);
    fixture.host(Command::DeleteChat { chat }).await;
    let facts = fixture.end().await;
    assert!(
        matches!(facts.last(), Some(Fact::ChatDeleted { .. })),
        "{facts:?}"
    );
    assert!(lists(&facts).len() <= 2);
}

#[tokio::test]
async fn a_ban_is_followed_by_a_list_without_the_user() {
    let fixture = Fixture::new(3).await;
    fixture.add(1).await;
    let (chat, user) = (ChatRef::Id(fixture.chat), fixture.users[1].id);
    let term = SanctionTerm::Endless;
    fixture
        .host(Command::BanUser {
            chat,
            user: user.into(),
            term,
        })
        .await;
    let facts = fixture.end().await;
    let banned = facts
        .iter()
        .position(|fact| matches!(fact, Fact::Banned(_)));
    let after = &facts[banned.expect("a notice")..];
    assert_eq!(lists(after), [fixture.ids([0])]);
}

#[tokio::test]
async fn a_list_that_could_not_be_read_is_published_later() {
    let fixture = Fixture::new(3).await;
    let (chat, user) = (ChatRef::Id(fixture.chat), Some(fixture.users[1].id));
    let anna = crate::model::Identity {
        user,
        rights: crate::model::Rights::Own,
        connection: None,
        request: None,
    };
    fixture.add(1).await;
    // To leave reads no profiles but for the list.
    tokio::time::sleep(WINDOW * 2).await;
    fixture.gate.lose("users");
    let left = fixture
        .backend
        .service
        .execute(&anna, Command::LeaveChat { chat })
        .await;
    left.expect("no refusal");
    tokio::time::sleep(WINDOW * 2).await;
    assert_eq!(lists(&fixture.end().await).last(), Some(&fixture.ids([0])));
}

#[tokio::test(start_paused = true)]
async fn a_list_after_changes_of_one_connection_is_not_for_it() {
    let (chat, now) = (ChatId::new(NOW), Instant::now());
    let connection = || Some(ConnectionId::new(NOW));
    let (anna, boris) = (connection(), connection());
    let mut windows = Windows::default();
    assert!(windows.begin(chat, anna));
    assert_eq!(windows.next_end(), None);
    for (origins, expected) in [(&[anna, anna], anna), (&[anna, boris], None)] {
        for origin in origins {
            assert!(!windows.begin(chat, *origin));
        }
        assert_eq!(windows.take(chat), Some(expected));
    }
    assert!(!windows.begin(chat, boris));
    assert_eq!(
        (windows.next_end(), windows.next_due()),
        (Some(now + WINDOW), None)
    );
    tokio::time::advance(WINDOW).await;
    assert_eq!(windows.next_due(), Some(chat));
    assert_eq!(windows.take(chat), Some(boris));
    // The next window has begun.
    assert!(!windows.begin(chat, boris));
    assert_eq!(windows.take(chat), Some(boris));
    tokio::time::advance(WINDOW).await;
    assert!(windows.begin(chat, boris));
    assert!(windows.ends.len() == 1 && windows.waiting == 0);
}
