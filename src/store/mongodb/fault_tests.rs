//! What a node does while the server does not do what it should.
//! It refuses to test the server: the faults are made by its failpoints.

use std::time::{Duration, Instant};

use mongodb::bson::{Document, doc};

use super::append_tests::{all, named};
use super::replica_set::Scratch;
use crate::model::{ChatId, Sent, User};
use crate::store::StoreError;
use crate::store::contract::{Subject, chat, user};

/// Lets the server do this to the commands of the node of this name.
async fn fail(scratch: &Scratch, name: &str, mode: impl Into<mongodb::bson::Bson>, data: Document) {
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

/// A failpoint is one for the whole server: whoever sets it has it alone.
static FAILPOINT: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

async fn scene(scratch: &Scratch, name: &str) -> (Subject, User, ChatId) {
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
    // The insert is done, and then nobody says that a majority has it.
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
async fn one_who_hears_nothing_may_send_again() {
    let (_alone, scratch) = (FAILPOINT.lock().await, Scratch::new());
    let (store, anna, chat) = scene(&scratch, "deaf").await;
    let deaf = doc! { "failCommands": ["insert"], "blockConnection": true, "blockTimeMS": 6_000 };
    fail(&scratch, "deaf", doc! { "times": 1 }, deaf).await;
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
