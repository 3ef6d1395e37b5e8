//! Taking, renewing and losing a lease, as the processes on one database do.
//! Does not test when a lease lapses: the tests of the store do.

use futures_util::future::join_all;

use super::*;
use crate::store::{Scratch, connect};

async fn process(scratch: &Scratch) -> Arc<dyn Store> {
    connect(&scratch.url()).await.expect("a database")
}

/// The lease of a server on this store.
async fn serving(store: &Arc<dyn Store>) -> Lease {
    let mut lease = Lease::share(store).await.expect("taken");
    lease.migrate().await.expect("migrated");
    lease
}

/// The ids of these in order.
fn ids<'a>(stores: impl IntoIterator<Item = &'a Arc<dyn Store>>) -> Vec<NodeId> {
    let ids = stores.into_iter().map(|store| store.node());
    let mut ids: Vec<_> = ids.collect();
    ids.sort_unstable();
    ids
}

fn refusal(taken: Result<Lease, LeaseError>) -> String {
    let refused = taken.err().expect("a refusal").to_string();
    assert!(!refused.contains('\n'), "{refused}");
    refused
}

/// Lets a process have the lease alone as soon as another one has not renewed its own in time.
async fn after_a_lapse(scratch: &Scratch, lapses: &Arc<dyn Store>, taken: &Arc<dyn Store>) {
    for _ in 0..50 {
        scratch.lapse(lapses.node()).await;
        let state = taken.take_lease(&this("copy"), Mode::Exclusive).await;
        if state.expect("an answer").is_own() {
            return;
        }
    }
    panic!("it was renewed each time");
}

#[tokio::test]
async fn a_process_that_needs_a_store_alone_is_refused_beside_a_server() {
    let scratch = Scratch::new();
    let (one, two) = (process(&scratch).await, process(&scratch).await);
    let held = serving(&one).await;
    let begun = Instant::now();
    let said = refusal(Lease::take(&two, "copy").await);
    assert!(begun.elapsed() < LIFETIME, "as soon as it is renewed");
    let own = this("serve");
    for part in [
        one.describe(),
        "another polychat is using it (polychat serve on ".into(),
        format!("on {}", own.host),
        format!("process {}", own.pid),
        format!("version {}", own.version),
        "since 20".into(),
        "polychat copy needs it alone: stop every server on it first".into(),
    ] {
        assert!(said.contains(&part), "{part} in {said}");
    }
    held.release().await;
    let begun = Instant::now();
    let taken = Lease::take(&two, "copy").await.expect("taken");
    assert!(begun.elapsed() < BEAT, "a released lease is free at once");
    let said = refusal(Lease::share(&one).await);
    for part in [
        "another polychat is using it alone (polychat copy on ",
        "no server can start before that has ended",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
    taken.release().await;
    serving(&one).await.release().await;
}

#[tokio::test]
async fn servers_share_a_store_and_see_each_other_come_and_go() {
    let scratch = Scratch::new();
    let (one, two) = (process(&scratch).await, process(&scratch).await);
    let first = serving(&one).await;
    let mut nodes = first.nodes();
    assert_eq!(nodes.borrow_and_update().live, ids([&one]));
    let second = serving(&two).await;
    assert_eq!(second.nodes().borrow().live, ids([&one, &two]));
    nodes.changed().await.expect("another node");
    assert_eq!(nodes.borrow_and_update().live, ids([&one, &two]));
    second.release().await;
    nodes.changed().await.expect("it is gone");
    let seen = nodes.borrow_and_update().clone();
    assert_eq!((seen.live, seen.lapses), (ids([&one]), 0));
    first.release().await;
    assert!(nodes.changed().await.is_err(), "it is over");
}

#[tokio::test]
async fn many_servers_that_start_on_an_empty_store_migrate_it_once_and_share_it() {
    let scratch = Scratch::new();
    let stores = join_all((0..10).map(|_| process(&scratch))).await;
    let leases = join_all(stores.iter().map(serving)).await;
    for store in &stores {
        assert!(store.is_current().await.expect("an answer"));
    }
    let mut nodes = leases[0].nodes();
    let seen = nodes.wait_for(|nodes| nodes.live == ids(&stores)).await;
    assert_eq!(seen.expect("all of them").lapses, 0);
    for lease in leases {
        lease.release().await;
    }
}

#[tokio::test]
async fn a_store_is_not_migrated_while_others_use_it() {
    let scratch = Scratch::new();
    let (one, two) = (process(&scratch).await, process(&scratch).await);
    // As a node of a version with another schema.
    one.take_lease(&this("serve"), Mode::Shared)
        .await
        .expect("taken");
    let renewing = async {
        loop {
            sleep(BEAT / 2).await;
            one.renew_lease().await.expect("renewed");
        }
    };
    let refused = tokio::select! {
        refused = Lease::share(&two) => refusal(refused),
        () = renewing => panic!("it is renewed for ever"),
    };
    for part in [
        "its schema has to be migrated, and another polychat is using it (polychat serve on ",
        "stop every server on it first",
    ] {
        assert!(refused.contains(part), "{part} in {refused}");
    }
    assert!(!two.is_current().await.expect("an answer"));
}

#[tokio::test]
async fn the_lease_of_a_killed_process_is_waited_for() {
    let scratch = Scratch::new();
    let (one, two) = (process(&scratch).await, process(&scratch).await);
    one.take_lease(&this("serve"), Mode::Shared)
        .await
        .expect("taken");
    let begun = Instant::now();
    let holders = Lease::try_take(&two, "check").await.expect("an answer");
    let holders = holders.err().into_iter().flatten();
    let processes: Vec<_> = holders.map(|holder| holder.process).collect();
    assert_eq!(processes, [this("serve")]);
    let taken = Lease::take(&two, "copy").await.expect("taken");
    let waited = begun.elapsed();
    assert!(
        waited > BEAT * 3 && waited < Duration::from_secs(10),
        "{waited:?}"
    );
    taken.release().await;
}

#[tokio::test]
async fn a_lease_lasts_while_it_is_renewed_and_its_loss_is_noticed() {
    let scratch = Scratch::new();
    let (one, two) = (process(&scratch).await, process(&scratch).await);
    let mut held = serving(&one).await;
    let lost = timeout(LIFETIME * 2, held.lost()).await;
    assert!(lost.is_err(), "{lost:?}");
    one.check_lease().expect("it is held");
    after_a_lapse(&scratch, &one, &two).await;
    let lost = timeout(LIFETIME, held.lost()).await.expect("noticed");
    assert!(matches!(lost, LeaseError::Taken { .. }), "{lost}");
    assert!(one.check_lease().is_err());
    held.release().await;
    let kept = two.renew_lease().await.expect("an answer");
    assert!(kept.is_own());
}

#[tokio::test]
async fn a_lapse_is_counted() {
    let scratch = Scratch::new();
    let one = process(&scratch).await;
    let held = serving(&one).await;
    let mut nodes = held.nodes();
    for lapses in 1..=2 {
        scratch.lapse(one.node()).await;
        let seen = nodes.wait_for(|nodes| nodes.lapses == lapses).await;
        assert_eq!(seen.expect("it is taken again").live, ids([&one]));
    }
    held.release().await;
}

#[tokio::test]
async fn a_file_has_its_lease_with_its_lock() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite:{}", folder.path().join("chat.db").display());
    let store = connect(&url).await.expect("a file");
    let held = serving(&store).await;
    assert_eq!(held.nodes().borrow().live, [store.node()]);
    let refused = connect(&url).await.err().expect("a refusal").to_string();
    let own = format!(
        "another polychat is using it (process {})",
        std::process::id()
    );
    assert!(refused.ends_with(&own), "{refused}");
    held.release().await;
    drop(store);
    connect(&url).await.expect("the lock is released");
}

#[tokio::test(start_paused = true)]
async fn a_lease_in_the_way_is_refused_once_it_is_renewed_or_does_not_lapse() {
    let mut waiting = Waiting::begin(holder("serve", 6));
    assert!(!waiting.is_over(&holder("serve", 6)));
    assert!(
        !waiting.is_over(&holder("serve", 5)),
        "of one killed before"
    );
    assert!(waiting.is_over(&holder("serve", 7)), "renewed");
    sleep(LIFETIME).await;
    assert!(!waiting.is_over(&holder("serve", 6)));
    // The server's clock was set back.
    sleep(PATIENCE).await;
    assert!(waiting.is_over(&holder("serve", 6)));
}

#[tokio::test(start_paused = true)]
async fn a_migration_is_waited_for_as_long_as_a_lease_that_is_not_renewed() {
    let mut waiting = Waiting::begin(holder("serve", 6));
    assert!(!waiting.is_over(&holder(MIGRATING, 7)));
    assert!(!waiting.is_over(&holder(MIGRATING, 8)), "renewed");
    assert!(!waiting.is_over(&holder("serve", 9)), "it has migrated");
    assert!(waiting.is_over(&holder("serve", 10)), "renewed");
    let mut waiting = Waiting::begin(holder(MIGRATING, 6));
    sleep(PATIENCE + BEAT).await;
    assert!(waiting.is_over(&holder(MIGRATING, 15)));
}

fn holder(command: &str, until: u64) -> Holder {
    let at = jiff::Timestamp::UNIX_EPOCH;
    Holder {
        process: this(command),
        mode: Mode::Exclusive,
        since: at,
        until: at + Duration::from_secs(until),
    }
}

#[tokio::test]
async fn a_file_is_one_store_by_whatever_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name);
    let url = |name: &str| format!("sqlite:{}", file(name).display());
    let one = connect(&url("a.db")).await.expect("a store");
    std::os::unix::fs::symlink(file("a.db"), file("b.db")).expect("a link");
    std::fs::hard_link(file("a.db"), file("c.db")).expect("a link");
    for name in ["a.db", "b.db", "c.db"] {
        let refused = connect(&url(name)).await.err().expect("a refusal");
        assert!(refused.to_string().contains("another polychat is using it"));
    }
    one.close().await.expect("closed");
    drop(one);
    connect(&url("b.db")).await.expect("a store");
}
