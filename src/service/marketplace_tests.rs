//! What a chat of an event promises to those who hear of it.

use futures_util::future::join_all;
use jiff::Timestamp;

use super::*;
use crate::bus::{Bus, Local};
use crate::model::{Clock, Command, EventDetails, NewEvent, NewUser, Profile, Rights};
use crate::service::Limits;
use crate::store;
use crate::telemetry::Metrics;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// Applications from several connections of one guest: only one of them creates the chat, and
/// another may be the one that changes its state. Whoever hears of the change has to know the chat.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_published_of_a_chat_before_the_chat() {
    const ROUNDS: usize = 100;
    const CONNECTIONS: usize = 6;
    let store = store::open("sqlite::memory:").await.expect("a store");
    let bus = Arc::new(Local::default());
    let limits = Limits {
        message_bytes: 100,
        members: 100,
        chats: None,
    };
    let (clock, metrics) = (Clock::fixed(NOW), Metrics::default());
    let published = Arc::clone(&bus);
    let (service, _committer) = Service::new(Arc::clone(&store), bus, clock, limits, metrics);
    let mut users = Vec::new();
    for name in ["olga", "gleb"] {
        let new = NewUser {
            id: UserId::new(NOW),
            external_id: name.into(),
            profile: Profile::default(),
            at: NOW,
        };
        users.push(store.find_or_create_user(new).await.expect("a user").id);
    }
    let guest = Identity {
        user: Some(users[1]),
        rights: Rights::Own,
        connection: None,
    };
    for round in 0..ROUNDS {
        let new = NewEvent {
            owner: users[0],
            details: EventDetails::default(),
            key: None,
            at: NOW,
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
        let notices = published.next(100).await;
        let facts = notices.iter().map(|notice| match &notice.fact {
            Fact::ChatCreated(_) => "created",
            Fact::AccessChanged(_) => "changed",
            _ => "another",
        });
        let facts: Vec<_> = facts.collect();
        assert_eq!(facts, ["created", "changed"], "round {round}");
    }
}
