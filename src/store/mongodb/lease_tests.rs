//! The lease with several processes on one database.
//! Does not repeat the contract: what one process is promised is tested there.

use std::time::Duration;

use futures_util::future::join_all;
use mongodb::bson::{Document, doc};
use tokio::time::{Instant, sleep};

use super::documents::{LEASES, SCHEMA};
use super::fault_tests::{FAILPOINT, fail};
use super::replica_set::Scratch;
use crate::model::{User, UserId};
use crate::store::contract::Subject;
use crate::store::contract::lease::process;
use crate::store::contract::user;
use crate::store::lease::{Holder, LIFETIME, LeaseState, RELIANCE};
use crate::store::transfer::Unfinished;
use crate::store::{StoreError, connect, instrumented};
use crate::telemetry::Metrics;

const MARGIN: Duration = Duration::from_millis(500);

async fn take(store: &Subject, host: &str) -> LeaseState {
    let taken = store.take_lease(&process(host)).await;
    taken.expect("an answer")
}

async fn renew(store: &Subject) -> LeaseState {
    store.renew_lease().await.expect("an answer")
}

/// The other process that holds the lease.
fn other(state: LeaseState) -> Holder {
    match state {
        LeaseState::Other(holder) => holder,
        state => panic!("{state:?}"),
    }
}

fn refusal(store: &Subject) -> String {
    match store.check_lease() {
        Err(StoreError::Unavailable(why)) => why.to_string(),
        state => panic!("{state:?}"),
    }
}

#[tokio::test]
async fn a_lease_that_is_held_is_not_taken_and_its_holder_is_named() {
    let scratch = Scratch::new();
    let (one, two) = (scratch.node().await, scratch.node().await);
    // A name that would be an expression.
    assert_eq!(take(&one, "$host").await, LeaseState::Own);
    let first = other(take(&two, "b").await);
    assert_eq!(first.process, process("$host"));
    assert_eq!(other(take(&two, "b").await), first, "nothing was renewed");
    two.check_lease().expect("it has taken nothing");
    sleep(Duration::from_millis(20)).await;
    assert_eq!(renew(&one).await, LeaseState::Own);
    let renewed = other(take(&two, "b").await);
    assert_eq!(
        (&renewed.process, renewed.since),
        (&first.process, first.since)
    );
    assert!(renewed.until > first.until, "{renewed:?}");
    let lasts = renewed.until.duration_since(renewed.since);
    let least = i64::try_from(LIFETIME.as_secs()).expect("a few seconds");
    assert!((least..=least + 5).contains(&lasts.as_secs()), "{lasts}");
}

#[tokio::test]
async fn a_lease_that_is_released_is_taken_at_once() {
    let scratch = Scratch::new();
    let (one, two) = (scratch.node().await, scratch.node().await);
    take(&one, "a").await;
    two.release_lease().await.expect("another's stays");
    other(take(&two, "b").await);
    one.release_lease().await.expect("released");
    assert_eq!(take(&two, "b").await, LeaseState::Own);
    one.release_lease().await.expect("another's stays");
    assert_eq!(renew(&two).await, LeaseState::Own);
}

#[tokio::test]
async fn of_several_at_once_one_takes_it() {
    for _ in 0..5 {
        let scratch = Scratch::new();
        let url = scratch.url();
        let nodes = join_all((0..8).map(|_| connect(&url))).await;
        let nodes: Vec<_> = nodes
            .into_iter()
            .map(|node| node.expect("a database"))
            .collect();
        let states = join_all(nodes.iter().map(|node| take(node, "a"))).await;
        let own = states.iter().filter(|state| **state == LeaseState::Own);
        assert_eq!(own.count(), 1, "{states:?}");
    }
}

#[tokio::test]
async fn a_lease_lapses_and_the_one_that_has_lost_it_knows() {
    let scratch = Scratch::new();
    let (one, two) = (scratch.node().await, scratch.node().await);
    let begun = Instant::now();
    assert_eq!(take(&one, "a").await, LeaseState::Own);
    while take(&two, "b").await != LeaseState::Own {
        sleep(Duration::from_millis(50)).await;
    }
    let lasted = begun.elapsed();
    assert!(
        lasted > RELIANCE && lasted < Duration::from_secs(10),
        "{lasted:?}"
    );
    assert!(refusal(&one).contains("not renewed"), "before any answer");
    assert_eq!(other(renew(&one).await).process.host, "b");
    assert!(refusal(&one).contains("another process"));
    let begun = Instant::now();
    one.await_lease().await.expect_err("it is another's");
    assert!(begun.elapsed() < MARGIN, "at once");
    one.release_lease().await.expect("another's stays");
    assert_eq!(renew(&two).await, LeaseState::Own);
    two.check_lease().expect("it is held");
}

#[tokio::test]
async fn a_lease_that_lapsed_is_renewed_if_nobody_took_it() {
    let (_alone, scratch) = (FAILPOINT.lock().await, Scratch::new());
    let one = scratch.node_called("unrenewed").await;
    take(&one, "a").await;
    let refused = doc! { "failCommands": ["findAndModify"], "errorCode": 1 };
    fail(&scratch, "unrenewed", "alwaysOn", refused).await;
    assert!(one.renew_lease().await.is_err());
    one.check_lease().expect("it has not lapsed yet");
    sleep(RELIANCE).await;
    assert!(refusal(&one).contains("not renewed for 5 seconds"));
    let begun = Instant::now();
    one.await_lease().await.expect_err("nothing renews it");
    assert!(begun.elapsed() + MARGIN > RELIANCE);
    fail(&scratch, "unrenewed", "off", doc! { "failCommands": [] }).await;
    let renewing = async {
        sleep(MARGIN).await;
        renew(&one).await
    };
    let (awaited, renewed) = tokio::join!(one.await_lease(), renewing);
    awaited.expect("it is held again");
    assert_eq!(renewed, LeaseState::Own);
    one.check_lease().expect("it is held");
}

#[tokio::test]
async fn a_renewal_without_a_majority_is_none() {
    let (_alone, scratch) = (FAILPOINT.lock().await, Scratch::new());
    let one = scratch.node_called("minority").await;
    take(&one, "a").await;
    let unsure = doc! {
        "failCommands": ["findAndModify"],
        "writeConcernError": { "code": 64, "errmsg": "waiting for replication timed out" },
    };
    fail(&scratch, "minority", "alwaysOn", unsure).await;
    let renewed = one.renew_lease().await;
    fail(&scratch, "minority", "off", doc! { "failCommands": [] }).await;
    assert!(
        matches!(renewed, Err(StoreError::Unavailable(_))),
        "{renewed:?}"
    );
}

#[tokio::test]
async fn a_lease_that_was_removed_is_nobodys() {
    let scratch = Scratch::new();
    let one = scratch.node().await;
    take(&one, "a").await;
    let leases = scratch.database().await.collection::<Document>(LEASES);
    leases.delete_many(doc! {}).await.expect("deleted");
    assert_eq!(renew(&one).await, LeaseState::Free);
    assert!(refusal(&one).contains("another process"));
}

#[tokio::test]
async fn without_its_lease_no_call_succeeds() {
    let scratch = Scratch::new();
    let metrics = Metrics::default();
    let store = instrumented(scratch.node().await, metrics.clone());
    store.ping().await.expect("none was taken");
    take(&store, "a").await;
    store.ping().await.expect("it is held");
    store.release_lease().await.expect("released");
    let refused = store.user_by_pk(1).await;
    assert!(
        matches!(refused, Err(StoreError::Unavailable(_))),
        "{refused:?}"
    );
    let failed = r#"polychat_store_errors_total{operation="user_by_pk",kind="unavailable"} 1"#;
    assert!(metrics.text().contains(failed));
}

#[tokio::test]
async fn a_connection_alone_changes_no_schema() {
    let scratch = Scratch::new();
    let store = connect(&scratch.url()).await.expect("a database");
    take(&store, "a").await;
    let missing = store.missing_indexes().await.expect("an answer");
    assert!(!missing.is_empty());
    let schema = scratch.database().await.collection::<Document>(SCHEMA);
    let version = schema.find_one(doc! { "_id": "version" }).await;
    assert_eq!(version.expect("an answer"), None);
    store.migrate(Unfinished::Refused).await.expect("migrated");
    let missing = store.missing_indexes().await.expect("an answer");
    assert!(missing.is_empty(), "{missing:?}");
}

#[tokio::test]
async fn what_an_earlier_holder_has_not_committed_is_never_committed() {
    let (scratch, other) = (Scratch::new(), Scratch::new());
    let (one, two) = (scratch.node().await, scratch.node().await);
    let anna = user(&one, "anna").await;
    let boris = User {
        id: UserId::new(anna.created_at),
        pk: 2,
        external_id: "boris".to_owned(),
        ..anna.clone()
    };
    let left = scratch.left_open(&scratch.app_name(), boris).await;
    let of_others = other.left_open(&other.app_name(), anna).await;
    assert_eq!(take(&two, "b").await, LeaseState::Own);
    let late = left.commit().await.expect_err("it was ended");
    assert!(late.contains_label("TransientTransactionError"), "{late}");
    let found = one.user_by_external_id("boris").await.expect("an answer");
    assert!(found.is_none());
    of_others.commit().await.expect("of another database");
}
