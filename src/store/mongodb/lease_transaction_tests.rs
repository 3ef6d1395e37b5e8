//! The transactions of processes whose lease has lapsed: none is committed later.
//! Does not test the lease otherwise.

use mongodb::bson::doc;

use super::fault_tests::{FAILPOINT, fail};
use super::lease_tests::{alone, release, renew, share};
use super::replica_set::{LeftOpen, Scratch};
use crate::model::{NodeId, User, UserId};
use crate::store::contract::lease::held;
use crate::store::contract::{Subject, user};

/// A user that is not stored yet.
fn boris(anna: &User) -> User {
    User {
        id: UserId::new(anna.created_at),
        pk: 2,
        external_id: "boris".to_owned(),
        ..anna.clone()
    }
}

/// A node that serves beside others, and what it has not committed.
async fn serving(scratch: &Scratch, anna: &User) -> (Subject, LeftOpen) {
    let node = scratch.node().await;
    held(share(&node, "a").await);
    let left = scratch.left_open_by(node.node(), boris(anna)).await;
    (node, left)
}

async fn assert_ended(left: LeftOpen, store: &Subject) {
    let late = left.commit().await.expect_err("it was ended");
    assert!(late.contains_label("TransientTransactionError"), "{late}");
    let found = store.user_by_external_id("boris").await;
    assert_eq!(found.expect("an answer"), None);
}

#[tokio::test]
async fn a_process_that_takes_the_lease_ends_those_of_earlier_ones() {
    let (scratch, other) = (Scratch::new(), Scratch::new());
    let (one, two) = (scratch.node().await, scratch.node().await);
    let anna = user(&one, "anna").await;
    let new = UserId::new(anna.created_at);
    let earlier = NodeId::from_bytes(*new.as_bytes());
    for store in [&one, &two] {
        let left = scratch.left_open_by(earlier, boris(&anna)).await;
        held(alone(store, "b").await);
        assert_ended(left, store).await;
        release(store).await;
    }
    let before = scratch.left_open_before(boris(&anna)).await;
    let of_others = other.left_open_by(earlier, anna.clone()).await;
    let three = scratch.node().await;
    held(share(&three, "c").await);
    assert_ended(before, &three).await;
    of_others.commit().await.expect("of another database");
}

#[tokio::test]
async fn those_of_a_node_that_lapsed_are_ended_and_those_of_others_are_not() {
    let scratch = Scratch::new();
    let one = scratch.node().await;
    let anna = user(&one, "anna").await;
    held(share(&one, "a").await);
    let (two, of_two) = serving(&scratch, &anna).await;
    // Another node came since, and one has gone in order.
    let three = scratch.node().await;
    held(share(&three, "c").await);
    release(&three).await;
    held(renew(&one).await);
    scratch.lapse(two.node()).await;
    held(renew(&one).await);
    assert_ended(of_two, &one).await;
    let (_four, of_four) = serving(&scratch, &anna).await;
    let five = scratch.node().await;
    held(share(&five, "e").await);
    scratch.lapse(five.node()).await;
    held(renew(&one).await);
    of_four.commit().await.expect("its node is alive");
    let found = one.user_by_external_id("boris").await;
    assert!(found.expect("an answer").is_some());
}

#[tokio::test]
async fn those_of_nodes_are_found_whatever_the_name_of_their_application_is() {
    let scratch = Scratch::new();
    let one = scratch.node_called("mine").await;
    let anna = user(&one, "anna").await;
    held(share(&one, "a").await);
    let (two, left) = serving(&scratch, &anna).await;
    scratch.lapse(two.node()).await;
    held(renew(&one).await);
    assert_ended(left, &one).await;
}

#[tokio::test]
async fn an_update_without_an_answer_leaves_none_open() {
    let (_alone, scratch) = (FAILPOINT.lock().await, Scratch::new());
    let one = scratch.node_called("unanswered").await;
    let anna = user(&one, "anna").await;
    held(share(&one, "a").await);
    let (two, left) = serving(&scratch, &anna).await;
    scratch.lapse(two.node()).await;
    let lost = doc! {
        "failCommands": ["findAndModify"],
        "writeConcernError": { "code": 64, "errmsg": "waiting for replication timed out" },
    };
    fail(&scratch, "unanswered", doc! { "times": 1 }, lost).await;
    // The first attempt has dropped the other node, and the second one does not see it.
    held(renew(&one).await);
    assert_ended(left, &one).await;
}
