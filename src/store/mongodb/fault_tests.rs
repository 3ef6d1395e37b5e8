//! Behaviour under failures of the server, injected by its failpoints.
//! Does not test the server.

use std::time::{Duration, Instant};

use mongodb::bson::{Document, doc};

use super::append_tests::{all, named};
use super::replica_set::Scratch;
use crate::model::{ChatId, Sent, User};
use crate::store::StoreError;
use crate::store::contract::{Subject, chat, entry, user};

/// Lets the server do this to the commands of the node of this name.
pub(super) async fn fail(
    scratch: &Scratch,
    name: &str,
    mode: impl Into<mongodb::bson::Bson>,
    data: Document,
) {
    let mut data = data;
    data.insert("appName", name);
    let database = scratch.database().await;
    let fail = doc! { "configureFailPoint": "failCommand", "mode": mode.into(), "data": data };
    let admin = database.client().database("admin");
    admin
        .run_command(fail)
        .await
        .expect("a mongod with --setParameter enableTestCommands=1");
}

impl Scratch {
    /// Lets the server do this to the commands of the node of this name, while no other test sets a failpoint.
    pub(crate) async fn fail(
        &self,
        _alone: &tokio::sync::MutexGuard<'static, ()>,
        name: &str,
        mode: impl Into<mongodb::bson::Bson>,
        data: Document,
    ) {
        fail(self, name, mode, data).await;
    }

    /// No other test sets a failpoint while the result is held.
    pub(crate) async fn failpoints() -> tokio::sync::MutexGuard<'static, ()> {
        FAILPOINT.lock().await
    }

    /// Lets the server begin so many commits of the node of this name only after a time. No other test
    /// sets a failpoint while the result is held.
    pub(crate) async fn delay_commits(
        &self,
        name: &str,
        count: i32,
        by: Duration,
    ) -> tokio::sync::MutexGuard<'static, ()> {
        let alone = FAILPOINT.lock().await;
        let blocked = doc! {
            "failCommands": ["commitTransaction"],
            "blockConnection": true,
            "blockTimeMS": i32::try_from(by.as_millis()).expect("short"),
        };
        fail(self, name, doc! { "times": count }, blocked).await;
        alone
    }
}

/// A failpoint applies to the whole server: a test that sets it holds this lock.
pub(super) static FAILPOINT: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

pub(super) async fn scene(scratch: &Scratch, name: &str) -> (Subject, User, ChatId) {
    let store = scratch.node_called(name).await;
    let anna = user(&store, "anna").await;
    let chat = chat(&store, &[&anna], 0).await.id;
    store
        .append(vec![named(chat, &anna, "0")])
        .await
        .expect("stored");
    (store, anna, chat)
}

fn texts(messages: &[crate::model::Message]) -> Vec<&str> {
    messages.iter().map(|message| &*message.text).collect()
}

#[tokio::test]
async fn what_stands_without_an_answer_is_found_and_not_stored_twice() {
    let (_alone, scratch) = (FAILPOINT.lock().await, Scratch::new());
    let (store, anna, chat) = scene(&scratch, "unsure").await;
    // The insert is done, and not acknowledged by a majority.
    let unsure = doc! {
        "failCommands": ["insert"],
        "writeConcernError": { "code": 64, "errmsg": "waiting for replication timed out" },
    };
    fail(&scratch, "unsure", doc! { "times": 1 }, unsure).await;
    let batch = ["1", "2", "3"].map(|name| named(chat, &anna, name));
    let sent = store.append(batch.to_vec()).await.expect("stored");
    assert!(
        sent.iter()
            .all(|sent| matches!(sent, Some(Sent::Stored(_)))),
        "{sent:?}"
    );
    assert_eq!(texts(&all(&store, chat).await), ["0", "1", "2", "3"]);
    let sent = store
        .append(vec![named(chat, &anna, "4")])
        .await
        .expect("stored");
    assert_eq!(sent[0].as_ref().map(|sent| sent.message().seq), Some(5));
}

#[tokio::test]
async fn what_has_no_name_of_its_own_is_found_where_it_was_sent_to() {
    let (_alone, scratch) = (FAILPOINT.lock().await, Scratch::new());
    let (store, anna, chat) = scene(&scratch, "nameless").await;
    let unsure = doc! {
        "failCommands": ["insert"],
        "writeConcernError": { "code": 64, "errmsg": "waiting for replication timed out" },
    };
    fail(&scratch, "nameless", doc! { "times": 2 }, unsure).await;
    for round in ["1", "2", "3"] {
        let batch = (0..3).map(|number| entry(chat, &anna, round, number));
        let sent = store.append(batch.collect()).await.expect("stored");
        assert!(
            sent.iter()
                .all(|sent| matches!(sent, Some(Sent::Stored(_)))),
            "{sent:?}"
        );
    }
    let expected = ["0", "1", "1", "1", "2", "2", "2", "3", "3", "3"];
    assert_eq!(texts(&all(&store, chat).await), expected);
}

#[tokio::test]
async fn two_nodes_in_trouble_store_every_message_once() {
    let (_alone, scratch) = (FAILPOINT.lock().await, Scratch::new());
    let (one, anna, chat) = scene(&scratch, "troubled").await;
    let two = scratch.node_called("untroubled").await;
    let unsure = doc! {
        "failCommands": ["insert"],
        "writeConcernError": { "code": 64, "errmsg": "waiting for replication timed out" },
    };
    let broken = doc! { "failCommands": ["insert", "find"], "closeConnection": true };
    let send = async |store: &Subject, name: &str| {
        for round in 0..30 {
            let text = |number| format!("{name} {round} {number}");
            let batch = (0..5).map(|number| entry(chat, &anna, &text(number), number));
            let sent = store.append(batch.collect()).await.expect("stored");
            assert!(
                sent.iter()
                    .all(|sent| matches!(sent, Some(Sent::Stored(_)))),
                "{sent:?}"
            );
        }
    };
    let disturb = async {
        for trouble in [&unsure, &broken].into_iter().cycle().take(20) {
            fail(&scratch, "troubled", doc! { "times": 3 }, trouble.clone()).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        fail(&scratch, "troubled", "off", doc! { "failCommands": [] }).await;
    };
    tokio::join!(send(&one, "one"), send(&two, "two"), disturb);
    let found = all(&one, chat).await;
    let seqs: Vec<_> = found.iter().map(|message| message.seq).collect();
    assert_eq!(seqs, (1..=301).collect::<Vec<_>>());
    for name in ["one", "two"] {
        let numbers = (0..30).flat_map(|round| (0..5).map(move |number| (round, number)));
        let expected: Vec<_> = numbers
            .map(|(round, number)| format!("{name} {round} {number}"))
            .collect();
        let stored = texts(&found)
            .into_iter()
            .filter(|text| text.starts_with(name));
        assert_eq!(stored.collect::<Vec<_>>(), expected);
    }
}

#[tokio::test]
async fn a_broken_connection_is_tried_again() {
    let (_alone, scratch) = (FAILPOINT.lock().await, Scratch::new());
    let (store, anna, chat) = scene(&scratch, "broken").await;
    let broken = doc! { "failCommands": ["insert", "find"], "closeConnection": true };
    fail(&scratch, "broken", doc! { "times": 5 }, broken).await;
    store
        .append(vec![named(chat, &anna, "1")])
        .await
        .expect("stored");
    assert_eq!(texts(&all(&store, chat).await), ["0", "1"]);
}

#[tokio::test]
async fn without_a_primary_it_waits_a_while_and_says_so() {
    let (_alone, scratch) = (FAILPOINT.lock().await, Scratch::new());
    let (store, anna, chat) = scene(&scratch, "headless").await;
    let headless = doc! {
        "failCommands": ["insert", "find"],
        "errorCode": 10_107,
        "errorLabels": ["RetryableWriteError"],
    };
    fail(&scratch, "headless", "alwaysOn", headless).await;
    let begun = Instant::now();
    let refused = store.append(vec![named(chat, &anna, "1")]).await;
    let waited = begun.elapsed();
    fail(&scratch, "headless", "off", doc! { "failCommands": [] }).await;
    assert!(
        matches!(refused, Err(StoreError::Unavailable(_))),
        "{refused:?}"
    );
    assert!(
        waited > Duration::from_secs(3) && waited < Duration::from_secs(7),
        "{waited:?}"
    );
    let sent = store
        .append(vec![named(chat, &anna, "1")])
        .await
        .expect("stored");
    assert!(matches!(sent[0], Some(Sent::Stored(_))), "{sent:?}");
    assert_eq!(texts(&all(&store, chat).await), ["0", "1"]);
}

#[tokio::test]
async fn one_who_gets_no_answer_may_send_again() {
    let (_alone, scratch) = (FAILPOINT.lock().await, Scratch::new());
    let (store, anna, chat) = scene(&scratch, "blocked").await;
    let blocked =
        doc! { "failCommands": ["insert"], "blockConnection": true, "blockTimeMS": 6_000 };
    fail(&scratch, "blocked", doc! { "times": 1 }, blocked).await;
    let refused = store.append(vec![named(chat, &anna, "1")]).await;
    assert!(
        matches!(refused, Err(StoreError::Unavailable(_))),
        "{refused:?}"
    );
    // The first one may still be under way; whichever comes second finds the other.
    for _ in 0..2 {
        let sent = store
            .append(vec![named(chat, &anna, "1")])
            .await
            .expect("stored");
        assert_eq!(sent[0].as_ref().map(|sent| sent.message().seq), Some(2));
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(texts(&all(&store, chat).await), ["0", "1"]);
}

#[tokio::test]
async fn a_step_that_others_disturb_is_taken_again() {
    let (_alone, scratch) = (FAILPOINT.lock().await, Scratch::new());
    let (store, anna, _) = scene(&scratch, "disturbed").await;
    let disturbed = doc! {
        "failCommands": ["insert", "commitTransaction"],
        "errorCode": 112,
        "errorLabels": ["TransientTransactionError"],
    };
    fail(&scratch, "disturbed", doc! { "times": 3 }, disturbed).await;
    let made = chat(&store, &[&anna], 1).await;
    assert_eq!((made.pk, made.members.len()), (2, 1));
}
