//! The lease with several processes on one database.
//! Does not repeat the contract: what one process is promised is tested there.

use std::time::Duration;

use futures_util::future::join_all;
use mongodb::bson::{Document, doc};
use tokio::time::{Instant, sleep};

use super::documents::{LEASES, SCHEMA};
use super::fault_tests::{FAILPOINT, fail};
use super::replica_set::Scratch;
use crate::model::NodeId;
use crate::store::contract::Subject;
use crate::store::contract::lease::{held, process};
use crate::store::lease::{Held, Holder, LIFETIME, LeaseState, Mode, RELIANCE};
use crate::store::transfer::Unfinished;
use crate::store::{StoreError, connect, instrumented};
use crate::telemetry::Metrics;

const MARGIN: Duration = Duration::from_millis(500);

async fn take(store: &Subject, host: &str, mode: Mode) -> LeaseState {
    let taken = store.take_lease(&process(host), mode).await;
    taken.expect("an answer")
}

pub(super) async fn share(store: &Subject, host: &str) -> LeaseState {
    take(store, host, Mode::Shared).await
}

pub(super) async fn alone(store: &Subject, host: &str) -> LeaseState {
    take(store, host, Mode::Exclusive).await
}

pub(super) async fn renew(store: &Subject) -> LeaseState {
    store.renew_lease().await.expect("an answer")
}

pub(super) async fn release(store: &Subject) {
    store.release_lease().await.expect("released");
}

/// The process in the way.
pub(super) fn other(state: LeaseState) -> Holder {
    match state {
        LeaseState::Other(holder) => holder,
        state => panic!("{state:?}"),
    }
}

/// The ids of these in order.
fn ids<const N: usize>(stores: [&Subject; N]) -> Vec<NodeId> {
    let mut ids = stores.map(|store| store.node()).to_vec();
    ids.sort_unstable();
    ids
}

async fn hosts_beside(store: &Subject) -> Vec<String> {
    let holders = store.lease_holders().await.expect("an answer");
    let hosts = holders.into_iter().map(|holder| holder.process.host);
    hosts.collect()
}

fn refusal(store: &Subject) -> String {
    match store.check_lease() {
        Err(StoreError::Unavailable(why)) => why.to_string(),
        state => panic!("{state:?}"),
    }
}

#[tokio::test]
async fn servers_share_it_and_see_each_other() {
    let scratch = Scratch::new();
    let (one, two) = (scratch.node().await, scratch.node().await);
    assert_eq!(held(share(&one, "a").await).nodes, ids([&one]));
    assert_eq!(held(share(&two, "b").await).nodes, ids([&one, &two]));
    for store in [&one, &two] {
        let Held { nodes, lapsed } = held(renew(store).await);
        assert_eq!(nodes, ids([&one, &two]));
        assert!(!lapsed);
        store.check_lease().expect("it is held");
    }
    assert_eq!(hosts_beside(&one).await, ["b"]);
    let three = scratch.node().await;
    assert_eq!(hosts_beside(&three).await, ["a", "b"]);
    release(&two).await;
    assert_eq!(held(renew(&one).await).nodes, ids([&one]));
    assert_eq!(hosts_beside(&three).await, ["a"]);
}

#[tokio::test]
async fn servers_and_a_process_that_needs_it_alone_exclude_each_other() {
    let scratch = Scratch::new();
    let (one, two, three) = (
        scratch.node().await,
        scratch.node().await,
        scratch.node().await,
    );
    held(share(&one, "a").await);
    held(share(&two, "b").await);
    assert_eq!(other(alone(&three, "c").await).process.host, "b");
    renew(&one).await;
    let latest = other(alone(&three, "c").await);
    assert_eq!((latest.process, latest.mode), (process("a"), Mode::Shared));
    assert_eq!(other(alone(&one, "a").await).process.host, "b");
    held(renew(&one).await);
    release(&one).await;
    other(alone(&three, "c").await);
    release(&two).await;
    assert_eq!(held(alone(&three, "c").await).nodes, []);
    for refused in [share(&one, "a").await, alone(&one, "a").await] {
        let refused = other(refused);
        assert_eq!(
            (refused.process, refused.mode),
            (process("c"), Mode::Exclusive)
        );
    }
    // In one step: nobody else can take it alone between.
    assert_eq!(held(share(&three, "c").await).nodes, ids([&three]));
    assert_eq!(other(alone(&one, "a").await).mode, Mode::Shared);
    assert_eq!(held(share(&one, "a").await).nodes, ids([&one, &three]));
}

#[tokio::test]
async fn a_lease_that_is_held_alone_is_not_taken_and_its_holder_is_named() {
    let scratch = Scratch::new();
    let (one, two) = (scratch.node().await, scratch.node().await);
    // A name that would be an expression.
    held(alone(&one, "$host").await);
    let first = other(share(&two, "b").await);
    assert_eq!(first.process, process("$host"));
    assert_eq!(other(share(&two, "b").await), first, "nothing was renewed");
    two.check_lease().expect("it has taken nothing");
    sleep(Duration::from_millis(20)).await;
    held(renew(&one).await);
    let renewed = other(share(&two, "b").await);
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
    held(alone(&one, "a").await);
    release(&two).await;
    other(alone(&two, "b").await);
    release(&one).await;
    held(alone(&two, "b").await);
    release(&one).await;
    held(renew(&two).await);
}

#[tokio::test]
async fn of_several_at_once_one_takes_it_alone() {
    for _ in 0..5 {
        let scratch = Scratch::new();
        let url = scratch.url();
        let nodes = join_all((0..8).map(|_| connect(&url))).await;
        let nodes: Vec<_> = nodes
            .into_iter()
            .map(|node| node.expect("a database"))
            .collect();
        let states = join_all(nodes.iter().map(|node| alone(node, "a"))).await;
        let own = states.iter().filter(|state| state.is_own());
        assert_eq!(own.count(), 1, "{states:?}");
        let states = join_all(nodes.iter().map(|node| share(node, "a"))).await;
        let own = states.iter().filter(|state| state.is_own());
        assert!(own.count() >= 1, "{states:?}");
        let states = join_all(nodes.iter().map(|node| share(node, "a"))).await;
        assert!(states.iter().all(LeaseState::is_own), "{states:?}");
    }
}

#[tokio::test]
async fn a_lease_lapses_and_the_one_that_has_lost_it_knows() {
    let scratch = Scratch::new();
    let (one, two) = (scratch.node().await, scratch.node().await);
    let begun = Instant::now();
    held(share(&one, "a").await);
    while !alone(&two, "b").await.is_own() {
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
    release(&one).await;
    held(renew(&two).await);
    two.check_lease().expect("it is held");
}

#[tokio::test]
async fn a_node_that_lapsed_beside_others_is_let_in_again_and_knows() {
    let scratch = Scratch::new();
    let (one, two) = (scratch.node().await, scratch.node().await);
    held(share(&one, "a").await);
    held(share(&two, "b").await);
    for is_dropped in [false, true] {
        scratch.lapse(one.node()).await;
        assert_eq!(hosts_beside(&two).await, Vec::<String>::new());
        if is_dropped {
            assert_eq!(held(renew(&two).await).nodes, ids([&two]));
        }
        let again = held(renew(&one).await);
        assert_eq!((again.nodes, again.lapsed), (ids([&one, &two]), true));
        assert!(!held(renew(&one).await).lapsed, "once");
        assert!(!held(renew(&two).await).lapsed);
        assert_eq!(hosts_beside(&two).await, ["a"]);
    }
}

#[tokio::test]
async fn a_node_that_lapsed_is_not_let_in_once_another_process_was_alone() {
    let scratch = Scratch::new();
    let (one, two, three) = (
        scratch.node().await,
        scratch.node().await,
        scratch.node().await,
    );
    held(share(&one, "a").await);
    scratch.lapse(one.node()).await;
    held(alone(&two, "b").await);
    release(&two).await;
    held(share(&three, "c").await);
    assert_eq!(other(renew(&one).await).process.host, "b");
    assert!(refusal(&one).contains("another process"));
    // A new start is another matter.
    held(share(&one, "a").await);
    assert!(!held(renew(&one).await).lapsed);
    // The other one lapsed while it was alone.
    release(&three).await;
    scratch.lapse(one.node()).await;
    held(alone(&two, "b").await);
    scratch.lapse(two.node()).await;
    held(share(&three, "c").await);
    assert_eq!(other(renew(&one).await).process.host, "c");
}

#[tokio::test]
async fn a_process_that_lapsed_while_it_was_alone_is_let_in_only_if_nobody_came() {
    let scratch = Scratch::new();
    let (one, two) = (scratch.node().await, scratch.node().await);
    held(alone(&one, "a").await);
    scratch.lapse(one.node()).await;
    assert!(held(renew(&one).await).lapsed);
    scratch.lapse(one.node()).await;
    held(share(&two, "b").await);
    release(&two).await;
    assert_eq!(other(renew(&one).await).process.host, "b");
    // A server that has migrated is one of the nodes.
    held(alone(&two, "b").await);
    held(share(&two, "b").await);
    held(share(&one, "a").await);
    scratch.lapse(two.node()).await;
    held(renew(&one).await);
    assert!(held(renew(&two).await).lapsed);
}

#[tokio::test]
async fn a_lease_that_lapsed_is_renewed_if_nobody_took_it() {
    let (_alone, scratch) = (FAILPOINT.lock().await, Scratch::new());
    let one = scratch.node_called("unrenewed").await;
    held(share(&one, "a").await);
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
    assert!(held(renewed).lapsed);
    one.check_lease().expect("it is held");
}

#[tokio::test]
async fn a_renewal_without_a_majority_is_none() {
    let (_alone, scratch) = (FAILPOINT.lock().await, Scratch::new());
    let one = scratch.node_called("minority").await;
    held(share(&one, "a").await);
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
    held(share(&one, "a").await);
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
    held(share(&store, "a").await);
    store.ping().await.expect("it is held");
    release(&store).await;
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
    held(share(&store, "a").await);
    let missing = store.missing_indexes().await.expect("an answer");
    assert!(!missing.is_empty());
    assert!(!store.is_current().await.expect("an answer"));
    let schema = scratch.database().await.collection::<Document>(SCHEMA);
    let version = schema.find_one(doc! { "_id": "version" }).await;
    assert_eq!(version.expect("an answer"), None);
    store.migrate(Unfinished::Refused).await.expect("migrated");
    assert!(store.is_current().await.expect("an answer"));
    let missing = store.missing_indexes().await.expect("an answer");
    assert!(missing.is_empty(), "{missing:?}");
}
