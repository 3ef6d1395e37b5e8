//! Taking, renewing and losing a lease, as the processes on one database do.
//! Does not test when a lease lapses: the tests of the store do.

use super::*;
use crate::store::{Scratch, connect};

async fn process(scratch: &Scratch) -> Arc<dyn Store> {
    connect(&scratch.url()).await.expect("a database")
}

#[tokio::test]
async fn a_lease_that_is_renewed_is_refused_and_its_holder_is_named() {
    let scratch = Scratch::new();
    let (one, two) = (process(&scratch).await, process(&scratch).await);
    let held = Lease::take(&one, "serve").await.expect("taken");
    let begun = Instant::now();
    let refused = Lease::take(&two, "copy").await.err().expect("a refusal");
    assert!(begun.elapsed() < LIFETIME, "as soon as it is renewed");
    let said = refused.to_string();
    let own = this("serve");
    for part in [
        one.describe(),
        "polychat serve".into(),
        format!("on {}", own.host),
        format!("process {}", own.pid),
        format!("version {}", own.version),
        "since 20".into(),
        "several servers on one store are not supported yet".into(),
    ] {
        assert!(said.contains(&part), "{part} in {said}");
    }
    assert!(!said.contains('\n'));
    held.release().await;
    let begun = Instant::now();
    let taken = Lease::take(&two, "copy").await.expect("taken");
    assert!(begun.elapsed() < BEAT, "a released lease is free at once");
    taken.release().await;
}

#[tokio::test]
async fn the_lease_of_a_killed_process_is_waited_for() {
    let scratch = Scratch::new();
    let (one, two) = (process(&scratch).await, process(&scratch).await);
    one.take_lease(&this("serve")).await.expect("taken");
    let begun = Instant::now();
    let holder = Lease::try_take(&two, "check").await.expect("an answer");
    assert_eq!(
        holder.err().map(|holder| holder.process),
        Some(this("serve"))
    );
    let taken = Lease::take(&two, "serve").await.expect("taken");
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
    let mut held = Lease::take(&one, "serve").await.expect("taken");
    let lost = timeout(LIFETIME * 2, held.lost()).await;
    assert!(lost.is_err(), "{lost:?}");
    one.check_lease().expect("it is held");
    // As if it had not been renewed in time.
    one.release_lease().await.expect("released");
    two.take_lease(&this("serve")).await.expect("taken");
    let lost = timeout(LIFETIME, held.lost()).await.expect("noticed");
    assert!(matches!(lost, LeaseError::Taken { .. }), "{lost}");
    assert!(one.check_lease().is_err());
    held.release().await;
    let kept = two.renew_lease().await.expect("an answer");
    assert_eq!(kept, LeaseState::Own);
}

#[tokio::test]
async fn a_file_has_its_lease_with_its_lock() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite:{}", folder.path().join("chat.db").display());
    let store = connect(&url).await.expect("a file");
    let held = Lease::take(&store, "serve").await.expect("taken");
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
    let at = jiff::Timestamp::UNIX_EPOCH;
    let holder = |until: u64| Holder {
        process: this("serve"),
        since: at,
        until: at + Duration::from_secs(until),
    };
    let waiting = Waiting::begin(holder(6));
    assert!(!waiting.is_over(&holder(6)));
    assert!(waiting.is_over(&holder(7)), "renewed");
    sleep(LIFETIME).await;
    assert!(!waiting.is_over(&holder(6)));
    // The server's clock was set back.
    sleep(PATIENCE).await;
    assert!(waiting.is_over(&holder(6)));
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
