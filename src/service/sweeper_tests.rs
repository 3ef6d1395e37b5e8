//! The promises of a deletion beside other writes.
//! Does not know how a store removes messages.

use jiff::Timestamp;
use tokio_util::task::TaskTracker;

use super::*;
use crate::bus::Local;
use crate::fixtures::{Backend, HOST};
use crate::model::{ChatChoice, ChatId, ChatRef, Clock, Command, Draft, Profile, Reply, UserId};
use crate::store::{Gate, gated, open};
use crate::telemetry::Metrics;

/// More than are removed at a time.
const MESSAGES: usize = 1200;

fn service(store: &Arc<dyn Store>) -> (Backend, Gate, TaskTracker, CancellationToken) {
    let (store, gate) = gated(Arc::clone(store), Metrics::default());
    let (bus, clock) = (
        Arc::new(Local::default()),
        Clock::fixed(Timestamp::UNIX_EPOCH),
    );
    let (backend, committer) = Backend::on(bus, store, Metrics::default(), clock);
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    tasks.spawn(committer.run(stop.clone()));
    (backend, gate, tasks, stop)
}

async fn chat_with(backend: &Backend, user: UserId, messages: usize) -> ChatId {
    let create = Command::CreateChat {
        chosen: ChatChoice::default(),
        name: None,
        members: vec![user.into()],
        key: None,
    };
    let chat = match backend.service.execute(&HOST, create).await {
        Ok(Reply::Chat(chat)) => chat.id,
        other => panic!("{other:?}"),
    };
    let send = || {
        let chat = ChatRef::Id(chat);
        let (user, draft) = (Some(user), Draft::text("hello"));
        backend.service.begin(
            &HOST,
            Command::SendMessage {
                user: user.map(Into::into),
                chat,
                draft,
            },
        )
    };
    let mut begun = Vec::new();
    for _ in 0..messages {
        begun.push(send().await);
    }
    for message in begun {
        message.await.expect("stored");
    }
    chat
}

#[tokio::test]
async fn a_deletion_is_acknowledged_before_the_messages_are_removed_and_goes_on_after_a_restart() {
    let store = open("sqlite::memory:").await.expect("a store");
    let (backend, gate, tasks, stop) = service(&store);
    let anna = backend.user("anna", Profile::default()).await.id;
    let chat = chat_with(&backend, anna, MESSAGES).await;
    let held = gate.hold("sweep");
    let chat = ChatRef::Id(chat);
    let deleted = backend
        .service
        .execute(&HOST, Command::DeleteChat { chat })
        .await;
    match deleted {
        Ok(Reply::Deleted { messages, .. }) => assert_eq!(messages, 1200),
        other => panic!("{other:?}"),
    }
    held.answered().await;
    // Others write meanwhile.
    chat_with(&backend, anna, 1).await;
    stop.cancel();
    held.release();
    tasks.close();
    tasks.wait().await;
    assert!(store.sweep().await.expect("an answer"), "some are left");

    let (backend, _gate, tasks, stop) = service(&store);
    while store.sweep().await.expect("an answer") {}
    chat_with(&backend, anna, 1).await;
    stop.cancel();
    tasks.close();
    tasks.wait().await;
}

#[tokio::test(start_paused = true)]
async fn after_a_failure_it_is_tried_again() {
    let store = open("sqlite::memory:").await.expect("a store");
    let (backend, gate, tasks, stop) = service(&store);
    let anna = backend.user("anna", Profile::default()).await.id;
    let chat = ChatRef::Id(chat_with(&backend, anna, 1).await);
    gate.lose("sweep");
    let deleted = backend
        .service
        .execute(&HOST, Command::DeleteChat { chat })
        .await;
    deleted.expect("no refusal");
    let held = gate.hold("sweep");
    held.answered().await;
    held.release();
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    assert!(!store.sweep().await.expect("an answer"), "nothing is left");
}
