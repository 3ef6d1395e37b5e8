//! The lease with processes of versions that know one holder only, whose updates are repeated here.
//! Does not run such a version.

use mongodb::bson::{Document, Uuid, doc};
use mongodb::options::ReturnDocument;

use super::documents::LEASES;
use super::lease_tests::{alone, other, release, renew, share};
use super::replica_set::Scratch;
use crate::store::contract::lease::held;
use crate::store::lease::Mode;

/// A process of such a version.
struct Earlier<'a> {
    scratch: &'a Scratch,
    holder: Uuid,
}

impl<'a> Earlier<'a> {
    fn new(scratch: &'a Scratch) -> Self {
        let holder = Uuid::new();
        Self { scratch, holder }
    }

    async fn update(&self, stage: Document, upsert: bool) -> Document {
        let database = self.scratch.database().await;
        let leases = database.collection::<Document>(LEASES);
        let updated = leases
            .find_one_and_update(doc! { "_id": "store" }, vec![stage])
            .return_document(ReturnDocument::After)
            .upsert(upsert);
        updated.await.expect("an answer").expect("a document")
    }

    /// Whether it takes the lease, and the host of the holder that it sees afterwards.
    async fn take(&self) -> (bool, String) {
        let own = doc! {
            "_id": "store",
            "holder": self.holder,
            "command": { "$literal": "serve" },
            "host": { "$literal": "earlier" },
            "pid": { "$literal": 7_i64 },
            "version": { "$literal": "0.0.1" },
            "since": "$$NOW",
            "until": { "$add": ["$$NOW", 6000_i64] },
        };
        let lapsed = doc! { "$lte": ["$until", "$$NOW"] };
        let again = doc! { "$eq": ["$holder", self.holder] };
        let free = doc! { "$or": [lapsed, again] };
        let stage = doc! { "$replaceWith": { "$cond": [free, own, "$$ROOT"] } };
        self.judge(&self.update(stage, true).await)
    }

    async fn renew(&self) -> (bool, String) {
        let own = doc! { "$eq": ["$holder", self.holder] };
        let end = doc! { "$add": ["$$NOW", 6000_i64] };
        let until = doc! { "$cond": [own, end, "$until"] };
        let stage = doc! { "$set": { "until": until } };
        self.judge(&self.update(stage, false).await)
    }

    async fn release(&self) {
        let database = self.scratch.database().await;
        let leases = database.collection::<Document>(LEASES);
        let own = doc! { "_id": "store", "holder": self.holder };
        leases.delete_one(own).await.expect("an answer");
    }

    /// Its lease lapses.
    async fn lapse(&self) {
        let database = self.scratch.database().await;
        let leases = database.collection::<Document>(LEASES);
        let own = doc! { "_id": "store", "holder": self.holder };
        let past = vec![doc! { "$set": { "until": "$since" } }];
        let updated = leases.update_one(own, past).await.expect("updated");
        assert_eq!(updated.modified_count, 1);
    }

    /// Each field that such a version decodes is there.
    fn judge(&self, found: &Document) -> (bool, String) {
        for text in ["command", "version"] {
            found.get_str(text).expect("a text");
        }
        for time in ["since", "until"] {
            found.get_datetime(time).expect("a time");
        }
        found.get_i64("pid").expect("a number");
        let is_own = found.get("holder") == Some(&self.holder.into());
        (is_own, found.get_str("host").expect("a host").to_owned())
    }
}

#[tokio::test]
async fn an_earlier_version_that_lives_is_in_the_way_of_all() {
    let scratch = Scratch::new();
    let earlier = Earlier::new(&scratch);
    assert!(earlier.take().await.0);
    let one = scratch.node().await;
    for refused in [share(&one, "a").await, alone(&one, "a").await] {
        let refused = other(refused);
        assert_eq!(refused.process.host, "earlier");
        assert_eq!(refused.mode, Mode::Exclusive);
    }
    assert!(earlier.renew().await.0, "its document is as it was");
    let beside = one.lease_holders().await.expect("an answer");
    assert_eq!(beside.len(), 1, "{beside:?}");
    earlier.release().await;
    held(share(&one, "a").await);
}

#[tokio::test]
async fn an_earlier_version_that_has_lapsed_is_replaced() {
    let scratch = Scratch::new();
    for mode in [Mode::Shared, Mode::Exclusive] {
        let (earlier, one) = (Earlier::new(&scratch), scratch.node().await);
        assert!(earlier.take().await.0);
        earlier.lapse().await;
        assert_eq!(one.lease_holders().await.expect("an answer"), []);
        let process = crate::store::contract::lease::process("a");
        held(one.take_lease(&process, mode).await.expect("an answer"));
        assert_eq!(earlier.renew().await, (false, "a".to_owned()));
        held(renew(&one).await);
        release(&one).await;
        assert_eq!(earlier.renew().await, (false, "a".to_owned()));
    }
}

#[tokio::test]
async fn an_earlier_version_does_not_start_beside_those_that_live() {
    let scratch = Scratch::new();
    let (one, two) = (scratch.node().await, scratch.node().await);
    let earlier = Earlier::new(&scratch);
    held(share(&one, "a").await);
    held(share(&two, "b").await);
    assert_eq!(earlier.take().await, (false, "b".to_owned()));
    assert_eq!(earlier.renew().await, (false, "b".to_owned()));
    earlier.release().await;
    assert_eq!(held(renew(&one).await).nodes.len(), 2);
    release(&one).await;
    assert_eq!(earlier.take().await, (false, "b".to_owned()));
    scratch.lapse(two.node()).await;
    held(share(&one, "a").await);
    assert_eq!(earlier.take().await, (false, "a".to_owned()));
    release(&one).await;
    held(alone(&one, "c").await);
    assert_eq!(earlier.take().await, (false, "c".to_owned()));
    release(&one).await;
    assert!(earlier.take().await.0, "nobody is there");
    assert_eq!(other(renew(&two).await).process.host, "earlier");
}

#[tokio::test]
async fn a_node_that_lapsed_is_not_let_in_once_an_earlier_version_was_there() {
    let scratch = Scratch::new();
    let (one, two) = (scratch.node().await, scratch.node().await);
    let earlier = Earlier::new(&scratch);
    held(share(&one, "a").await);
    // All have lapsed, for it and for the others.
    scratch.lapse(one.node()).await;
    let database = scratch.database().await;
    let leases = database.collection::<Document>(LEASES);
    let past = vec![doc! { "$set": { "until": "$since" } }];
    leases.update_one(doc! {}, past).await.expect("updated");
    assert!(earlier.take().await.0);
    earlier.lapse().await;
    held(share(&two, "b").await);
    assert_eq!(other(renew(&one).await).process.host, "b");
}
