//! The collection of batches: always capped, and never one of another program. A broken stream that goes on. Error
//! messages without a password.
//! Does not test what every bus promises: the contract does.

use std::time::Duration;

use futures_util::future::join_all;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Document, doc};
use tokio::time::sleep;

use super::world::Mongod;
use super::{Mongo, NOTICES};
use crate::bus::contract::world::{Medium, World, node_id};
use crate::bus::link::{Link, Received};
use crate::bus::wire::Batch;
use crate::bus::{News, Scope, open};
use crate::model::Clock;

async fn is_capped(medium: &Mongod) -> Option<bool> {
    let database = medium.scratch.database().await;
    let names = database.list_collection_names().await.expect("a list");
    if !names.contains(&NOTICES.to_owned()) {
        return None;
    }
    let stats = database.run_command(doc! { "collStats": NOTICES }).await;
    Some(stats.expect("figures").get_bool("capped").expect("a flag"))
}

async fn insert(medium: &Mongod, document: Document) {
    let database = medium.scratch.database().await;
    let notices = database.collection::<Document>(NOTICES);
    notices.insert_one(document).await.expect("inserted");
}

async fn refusal(url: &str) -> String {
    match open(crate::bus::Medium::Mongodb(url), node_id(), Clock::system()).await {
        Ok(_) => panic!("it is open"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn ten_nodes_create_one_capped_collection() {
    let medium = Mongod::new();
    let opening = (0..10).map(|_| medium.node("any", node_id()));
    let buses = join_all(opening).await;
    assert_eq!(is_capped(&medium).await, Some(true));
    assert_eq!(buses.len(), 10);
}

#[tokio::test]
async fn a_collection_that_an_insert_has_created_is_converted() {
    let medium = Mongod::new();
    let node = Binary {
        subtype: BinarySubtype::Uuid,
        bytes: vec![1; 16],
    };
    insert(&medium, doc! { "v": 1, "node": node, "n": 1_i64 }).await;
    assert_eq!(is_capped(&medium).await, Some(false));
    let opening = (0..3).map(|_| medium.node("any", node_id()));
    join_all(opening).await;
    assert_eq!(is_capped(&medium).await, Some(true));
}

#[tokio::test]
async fn a_collection_of_another_program_is_refused() {
    let medium = Mongod::new();
    insert(&medium, doc! { "title": "Lunch" }).await;
    let why = refusal(&medium.url("any")).await;
    assert!(why.contains("holds something else"), "{why}");
    assert_eq!(is_capped(&medium).await, Some(false));
}

#[tokio::test]
async fn a_collection_that_was_dropped_is_capped_again() {
    let medium = Mongod::new();
    let bus = medium.open().await;
    medium.dropping_the_collection("any").await;
    // An insert may create one that is not.
    while !matches!(bus.next(1).await, News::Resync(Scope::Everything)) {}
    while is_capped(&medium).await != Some(true) {
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_broken_stream_goes_on_where_it_was() {
    const COUNT: u64 = 60;
    let medium = Mongod::new();
    let reader = Mongo::open(&medium.url("reader")).await.expect("a link");
    let writer = medium.link().await;
    let node = node_id();
    let write = async {
        for n in 1..=COUNT {
            let batch = Batch {
                node,
                n,
                sent: Clock::system().now(),
                notices: Vec::new(),
            };
            writer.send(batch.encode()).await.expect("sent");
            match n {
                20 => medium.breaking_connections("reader").await,
                40 => medium.killing_cursors("reader").await,
                _ => {}
            }
        }
    };
    let read = async {
        let mut numbers = Vec::new();
        while numbers.last() != Some(&COUNT) {
            match reader.receive().await {
                Received::Batch(batch) => numbers.push(Batch::decode(&batch).expect("a batch").n),
                Received::Reopened => panic!("it was opened anew after {:?}", numbers.last()),
            }
        }
        numbers
    };
    let ((), numbers) = tokio::join!(write, read);
    assert_eq!(numbers, (1..=COUNT).collect::<Vec<_>>());
}

#[tokio::test]
async fn no_error_has_the_password() {
    let urls = [
        (
            "mongodb://anna:hunter2@127.0.0.1:1/chat",
            "mongodb://127.0.0.1:1/chat",
        ),
        (
            "mongodb://anna:hun/ter2@127.0.0.1:1/chat",
            "the URL of the bus mongodb://",
        ),
        (
            "mongodb://anna:hunter2@127.0.0.1:1/chat?connectTimeoutMS=hunter2",
            "the URL of the bus mongodb://",
        ),
    ];
    for (url, expected) in urls {
        let why = refusal(url).await;
        assert!(why.contains(expected), "{why}");
        assert!(!why.contains("hun"), "{why}");
    }
}
