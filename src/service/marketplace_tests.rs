//! The promises of an event's chat to its connections.

use futures_util::future::join_all;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::*;
use crate::bus::{Bus, Local};
use crate::model::{
    Clock, Command, EventDetails, History, MessageId, NewChat, NewEvent, NewPk, NewUser,
    PendingMessage, Policy, Profile, Range, Rights, Window,
};
use crate::service::Limits;
use crate::store::{self, Store};
use crate::telemetry::Metrics;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// Applications from several connections of one guest: only one of them creates the chat, and
/// another may be the one that changes its state. A connection that receives the change has to have
/// the chat. The store's reads are slow here, and the creator reads the chat before it publishes
/// it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_published_of_a_chat_before_the_chat() {
    const ROUNDS: usize = 20;
    const CONNECTIONS: usize = 6;
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite:{}", folder.path().join("polychat.db").display());
    let store = store::open(&url).await.expect("a store");
    let bus = Arc::new(Local::default());
    let service = service(&store, &bus);
    let [owner, guest] = [user(&*store, "olga").await, user(&*store, "gleb").await];
    let busy = keep_busy(&store, long_chat(&*store, owner).await);
    let guest = Identity {
        user: Some(guest),
        rights: Rights::Own,
        connection: None,
        request: None,
    };
    for round in 0..ROUNDS {
        let new = NewEvent {
            pk: NewPk::default(),
            owner,
            details: EventDetails::default(),
            key: None,
            at: NOW,
            audit: None,
        };
        let event = store.create_event(new).await.expect("an event").pk;
        let apply = || Command::RequestAccess {
            user: None,
            event,
            draft: None,
        };
        let applications = (0..CONNECTIONS).map(|_| service.execute(&guest, apply()));
        for reply in join_all(applications).await {
            reply.expect("an application");
        }
        let notices = bus.next(100).await.local();
        let facts = notices.iter().map(|notice| match &notice.fact {
            Fact::ChatCreated(_) => "created",
            Fact::AccessChanged(_) => "changed",
            _ => "another",
        });
        let facts: Vec<_> = facts.collect();
        assert_eq!(facts, ["created", "changed"], "round {round}");
    }
    busy.cancel();
}

fn service(store: &Arc<dyn Store>, bus: &Arc<Local>) -> Service {
    let limits = Limits {
        message_bytes: 100,
        members: 100,
        chats: None,
    };
    let (clock, metrics) = (Clock::fixed(NOW), Metrics::default());
    let bus = Arc::clone(bus) as Arc<dyn Bus>;
    Service::new(Arc::clone(store), bus, clock, limits, metrics).0
}

async fn user(store: &dyn Store, external_id: &str) -> UserId {
    let new = NewUser {
        pk: NewPk::default(),
        id: UserId::new(NOW),
        external_id: external_id.into(),
        profile: Profile::default(),
        at: NOW,
        audit: None,
    };
    store.find_or_create_user(new).await.expect("a user").id
}

/// Reads this chat all the time, until the returned token is cancelled.
fn keep_busy(store: &Arc<dyn Store>, chat: ChatId) -> CancellationToken {
    let (tasks, busy) = (TaskTracker::new(), CancellationToken::new());
    for _ in 0..READERS {
        let (store, ended) = (Arc::clone(store), busy.clone());
        let reading = async move {
            loop {
                let history = History {
                    range: Range::default(),
                    window: Window::Last(1000),
                };
                store.messages(chat, history).await.expect("a page");
            }
        };
        tasks.spawn(async move { ended.run_until_cancelled(reading).await.unwrap_or(()) });
    }
    busy
}

/// More reads at once than the store has connections for.
const READERS: usize = 16;

/// A chat whose pages take their time.
async fn long_chat(store: &dyn Store, owner: UserId) -> ChatId {
    const MESSAGES: usize = 1000;
    let new = NewChat {
        pk: NewPk::default(),
        external_id: None,
        id: ChatId::new(NOW),
        name: None,
        policy: Policy::Open,
        owner: None,
        team: None,
        members: vec![owner],
        key: None,
        at: NOW,
        audit: Vec::new(),
    };
    let chat = store.create_chat(new).await.expect("a chat").id;
    let entry = |_| PendingMessage {
        id: MessageId::new(NOW),
        chat,
        sender: owner,
        origin: None,
        draft: Draft::text("x".repeat(200)),
        at: NOW,
    };
    let batch = (0..MESSAGES).map(entry).collect();
    store.append(batch).await.expect("stored");
    chat
}
