//! Documents that no version of polychat writes, and databases that cannot be opened.
//! Does not test well-formed data: that is in the contract.

use mongodb::bson::{Document, doc};

use super::append_tests::seqs;
use super::documents::{CHATS, EVENTS, MESSAGES, SCHEMA, USERS, with_seqs};
use super::replica_set::{Mongod, Scratch};
use super::schema::VERSION;
use crate::model::{Chat, History, Range, User, Window};
use crate::store::contract::{Subject, at, chat, entry, user};
use crate::store::{OpenError, StoreError};

/// A database in which a chat, a user, an event and the last of three messages are of unknown
/// shape.
struct Spoilt {
    store: Subject,
    scratch: Scratch,
    anna: User,
    odd: Chat,
    good: Chat,
    boris: User,
}

async fn spoilt() -> Spoilt {
    let scratch = Scratch::new();
    let store = scratch.node().await;
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let odd = chat(&store, &[&anna], 0).await;
    let good = chat(&store, &[&anna], 0).await;
    let batch = (0..3).map(|number| entry(good.id, &anna, "hello", number));
    store.append(batch.collect()).await.expect("stored");
    let database = scratch.database().await;
    for (name, filter, field) in [
        (CHATS, doc! { "_id": odd.id }, "policy"),
        (MESSAGES, with_seqs(good.id, 3..=3), "text"),
        (USERS, doc! { "_id": boris.id }, "avatar"),
    ] {
        let spoil = doc! { "$set": { field: { "a": 1 } } };
        let collection = database.collection::<Document>(name);
        collection.update_one(filter, spoil).await.expect("spoilt");
    }
    let events = database.collection::<Document>(EVENTS);
    events
        .insert_one(doc! { "_id": 1_i64 })
        .await
        .expect("stored");
    Spoilt {
        store,
        scratch,
        anna,
        odd,
        good,
        boris,
    }
}

fn last_before(before: Option<i64>) -> History {
    History {
        range: Range {
            before,
            ..Range::default()
        },
        window: Window::Last(10),
    }
}

#[tokio::test]
async fn a_document_of_unknown_shape_is_reported() {
    let Spoilt {
        store,
        scratch: _scratch,
        odd,
        good,
        boris,
        ..
    } = spoilt().await;
    let reason = |answer: Result<(), StoreError>| match answer {
        Err(StoreError::Corrupt(why)) => why,
        answer => panic!("{answer:?}"),
    };
    let why = reason(store.chat(odd.id).await.map(drop));
    assert!(
        why.contains(&odd.id.to_string()) && why.contains(CHATS),
        "{why}"
    );
    let why = reason(store.user(boris.id).await.map(drop));
    assert!(
        why.contains(&boris.id.to_string()) && why.contains(USERS),
        "{why}"
    );
    let why = reason(store.event(1).await.map(drop));
    assert!(why.contains(EVENTS), "{why}");
    let why = reason(store.messages(good.id, last_before(None)).await.map(drop));
    assert!(why.contains(MESSAGES), "{why}");
}

#[tokio::test]
async fn a_document_of_unknown_shape_spares_the_others() {
    let Spoilt {
        store,
        scratch: _scratch,
        anna,
        good,
        ..
    } = spoilt().await;
    let page = store
        .messages(good.id, last_before(Some(3)))
        .await
        .expect("a page");
    assert_eq!(seqs(&page.messages), [1, 2]);
    let chats = store.chats_after(0, 9).await.expect("chats");
    assert_eq!(
        chats.iter().map(|chat| chat.id).collect::<Vec<_>>(),
        [good.id]
    );
    let users = store.users_after(0, 9).await.expect("users");
    assert_eq!(users, std::slice::from_ref(&anna));
    assert_eq!(store.events_after(None, 0, 9).await.expect("events"), []);
    let memberships = store.memberships_of(anna.id).await.expect("memberships");
    assert_eq!(memberships, [(good.id, 0)]);
    let four = vec![entry(good.id, &anna, "four", 9)];
    let sent = store.append(four).await.expect("stored");
    assert_eq!(sent[0].as_ref().map(|sent| sent.message().seq), Some(4));
    assert_eq!(
        store
            .chat(good.id)
            .await
            .expect("an answer")
            .map(|chat| chat.active_at),
        Some(at(9))
    );
}

async fn refusal(url: &str) -> String {
    let OpenError(why) = crate::store::open(url).await.err().expect("a refusal");
    assert!(!why.contains("secret"), "{why}");
    why
}

#[tokio::test]
async fn a_newer_database_is_refused() {
    let scratch = Scratch::new();
    scratch.node().await;
    let database = scratch.database().await;
    let schema = database.collection::<Document>(SCHEMA);
    let newer = doc! { "$set": { "version": VERSION + 1 } };
    schema
        .update_one(doc! { "_id": "version" }, newer)
        .await
        .expect("changed");
    let why = refusal(&scratch.url()).await;
    let newer = format!("schema version {}", VERSION + 1);
    assert!(why.contains(&newer), "{why}");
}

#[tokio::test]
async fn what_cannot_be_opened_is_reported_without_the_password() {
    let why = refusal("mongodb://anna:secret@127.0.0.1:1/x?serverSelectionTimeoutMS=300").await;
    assert!(
        why.contains("mongodb://127.0.0.1:1/x") && why.contains("no primary"),
        "{why}"
    );
    let why = refusal("mongodb://anna:se/secret@127.0.0.1/x").await;
    assert!(why.contains("%40"), "{why}");
    let why = refusal("mongodb://anna:secret@127.0.0.1/x?w=-3").await;
    assert!(why.contains("cannot be read"), "{why}");
    // The server of the tests knows no users, so no credentials are right.
    let url = Scratch::new().url().replace("://", "://anna:secret@");
    let why = refusal(&format!("{url}&authSource=admin")).await;
    assert!(why.contains("user name"), "{why}");
}

#[tokio::test]
async fn a_store_is_called_by_its_hosts_and_its_database() {
    let scratch = Scratch::new();
    let called = scratch.node().await.describe();
    let url = scratch.url();
    assert_eq!(Some(&*called), url.split('?').next());
}

#[tokio::test]
async fn a_mongod_without_a_replica_set_is_refused() {
    let alone = Mongod::start(&[]);
    let why = refusal(&format!("{}/x", alone.server())).await;
    assert!(
        why.contains("rs.initiate()") && why.contains("--replSet"),
        "{why}"
    );
    let begun = Mongod::start(&["--replSet", "rs0"]);
    let why = refusal(&format!("{}/x", begun.server())).await;
    assert!(why.contains("rs.initiate()"), "{why}");
}
