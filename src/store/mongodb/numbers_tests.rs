//! Integer ids that two nodes assign at once.
//! Does not repeat the contract of one node.

use futures_util::future::join_all;

use super::replica_set::Scratch;
use crate::model::NewPk;
use crate::store::StoreError;
use crate::store::contract::numbers::numbered;

#[tokio::test]
async fn two_nodes_never_give_one_number_twice() {
    const EACH: i64 = 20;
    let scratch = Scratch::new();
    let nodes = [scratch.node().await, scratch.node().await];
    let calls = (1..=EACH).flat_map(|number| {
        let own = (&nodes[0], format!("own {number}"), NewPk::NextFrom(1));
        let other = (&nodes[1], format!("other {number}"), NewPk::NextFrom(1));
        let host = (
            &nodes[1],
            format!("host {number}"),
            NewPk::Chosen(number * 2),
        );
        [own, other, host]
    });
    let calls = calls.map(|(node, name, pk)| async move {
        let created = node.find_or_create_user(numbered(&name, pk)).await;
        (pk, created)
    });
    let (mut given, mut taken) = (Vec::new(), 0);
    for (pk, created) in join_all(calls).await {
        match created {
            Ok(user) => given.push(user.pk),
            Err(StoreError::PkTaken) if pk.chosen().is_some() => taken += 1,
            Err(error) => panic!("{pk:?}: {error}"),
        }
    }
    let count = given.len();
    given.sort_unstable();
    given.dedup();
    assert_eq!(given.len(), count);
    assert_eq!(i64::try_from(count + taken).expect("few"), 3 * EACH);
}
