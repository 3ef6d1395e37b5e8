//! The promises of a batch to each of its users.

use futures_util::future::join_all;
use jiff::Timestamp;
use tokio_util::task::TaskTracker;

use super::*;
use crate::bus::Local;
use crate::model::{NewPk, Profile, UserId};
use crate::service::heads::Heads;
use crate::service::memberships::Memberships;
use crate::service::trust::Trust;
use crate::store::{gated, open};
use crate::telemetry::Metrics;

/// Publishes for this node alone.
fn settlement(store: &Arc<dyn Store>, known: &Arc<UserCache>) -> Arc<Settlement> {
    let trust = Trust::default();
    let memberships = Arc::new(Memberships::new(Arc::clone(store), trust.clone()));
    let heads = Arc::new(Heads::with_trust(trust));
    let bus = Arc::new(Local::default());
    let (store, known) = (Arc::clone(store), Arc::clone(known));
    Arc::new(Settlement::new(store, bus, memberships, known, heads))
}

fn new_user(external_id: &str, name: Option<&str>) -> NewUser {
    let at = Timestamp::UNIX_EPOCH;
    NewUser {
        pk: NewPk::default(),
        id: UserId::new(at),
        external_id: external_id.into(),
        profile: Profile {
            name: name.map(Into::into),
            ..Profile::default()
        },
        at,
        audit: None,
    }
}

#[tokio::test]
async fn those_who_come_while_one_is_written_are_written_at_once() {
    let metrics = Metrics::default();
    let store = open("sqlite::memory:").await.expect("a store");
    let (store, gate) = gated(store, metrics.clone());
    let known = Arc::default();
    let (newcomers, registrar) = new(
        Arc::clone(&store),
        Arc::clone(&known),
        settlement(&store, &known),
    );
    let newcomers = Arc::new(newcomers);
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    tasks.spawn(registrar.run(stop.clone()));

    let held = gate.hold("find_or_create_users");
    let write = |user| {
        let newcomers = Arc::clone(&newcomers);
        tasks.spawn(async move { newcomers.write(user).await.expect("a user") })
    };
    let first = write(new_user("anna", None));
    held.answered().await;
    let names = ["boris", "vera", "boris", "anna"];
    let others: Vec<_> = names
        .iter()
        .map(|name| write(new_user(name, None)))
        .collect();
    while newcomers.0.capacity() > newcomers.0.max_capacity() - names.len() {
        tokio::task::yield_now().await;
    }
    held.release();
    let anna = first.await.expect("no panic");
    let others = join_all(others).await.into_iter();
    let others: Vec<_> = others.map(|user| user.expect("no panic")).collect();
    assert_eq!(others[3], anna);
    assert_eq!(others[0], others[2]);
    assert_eq!(
        others.iter().map(|user| user.pk).collect::<Vec<_>>(),
        [2, 3, 2, 1]
    );
    let twice = r#"polychat_store_seconds_count{operation="find_or_create_users"} 2"#;
    assert!(metrics.text().lines().any(|line| line == twice));
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    let late = newcomers.write(new_user("gleb", None)).await;
    assert!(late.is_err(), "the writer has ended");
}

#[tokio::test]
async fn a_profile_that_changes_while_it_is_written_is_read_again() {
    let store = open("sqlite::memory:").await.expect("a store");
    let (store, gate) = gated(store, Metrics::default());
    let known: Arc<UserCache> = Arc::default();
    let (_newcomers, registrar) = new(
        Arc::clone(&store),
        Arc::clone(&known),
        settlement(&store, &known),
    );
    let anna = new_user("anna", Some("Anna"));
    let held = gate.hold("find_or_create_users");
    let overtaking = async {
        held.answered().await;
        // A host that changes the user at this moment.
        let profile = new_user("anna", Some("Ann")).profile;
        let renamed = store.update_user(anna.id, profile, Timestamp::UNIX_EPOCH, None);
        renamed.await.expect("an answer").expect("a user");
        known.profile_changed("anna");
        held.release();
    };
    let users = [anna.clone()];
    let (written, ()) = futures_util::future::join(registrar.store_batch(&users), overtaking).await;
    assert_eq!(written.expect("a user")[0].name, "Anna");
    assert!(
        known.user("anna", &anna.profile).is_err(),
        "the store has another name"
    );
}
