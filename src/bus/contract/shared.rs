//! The contract of every bus of several nodes, instantiated for each.
//! Does not know which bus is under test.

mod nodes;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::join_all;

use self::nodes::{Forger, Node, Read, chat, meet, remote, until, within};
use super::world::{Medium, World, node_id};
use crate::bus::link::Received;
use crate::bus::mongodb::world::Mongod;
use crate::bus::redis::world::RedisServer;
use crate::bus::wire::{Batch, Kind, RemoteNotice};
use crate::bus::{News, Scope};

async fn notices_of_one_node_reach_the_others_in_order(medium: &impl Medium) {
    const COUNT: u32 = 1_000;
    let [a, mut b] = meet(medium, ["a", "b"]).await;
    let chats: Vec<_> = (1..=COUNT).collect();
    for batch in chats.chunks(37) {
        a.publish(batch.iter().copied()).await;
    }
    let read = b.read_until(COUNT).await;
    let expected: Vec<_> = (1..=COUNT).map(remote).collect();
    assert_eq!(read.remote, expected);
    assert_eq!((read.resyncs.len(), read.local), (0, 0));
}

async fn a_node_does_not_hear_its_own_notices_twice(medium: &impl Medium) {
    let [mut a, mut b] = meet(medium, ["a", "b"]).await;
    a.publish(1..=3).await;
    b.read_until(3).await;
    b.publish([4]).await;
    // What b has sent after it was sent after that of a.
    let read = a.read_until(4).await;
    assert_eq!((read.local, read.remote), (3, vec![remote(4)]));
}

async fn a_gap_is_never_silent(medium: &impl Medium) {
    let mut a = Node::open(medium, "a").await;
    let forger = Forger::open(medium).await;
    // The second one is late, and another node is heard at its seventh batch first.
    let other = Forger::open(medium).await;
    let batches = [
        (&forger, 1, false),
        (&forger, 3, true),
        (&forger, 2, true),
        (&forger, 4, false),
        (&forger, 5, false),
        (&other, 7, true),
        (&other, 8, false),
    ];
    for (number, (forger, n, has_gap)) in (1..).zip(batches) {
        forger.send(n, vec![remote(number)]).await;
        let read = a.read_until(number).await;
        let expected = has_gap.then_some(Scope::Everything);
        assert_eq!(read.resyncs, expected.as_slice(), "{n}");
    }
}

async fn a_batch_that_cannot_be_read_is_a_gap(medium: &impl Medium) {
    let mut a = Node::open(medium, "a").await;
    let forger = Forger::open(medium).await;
    forger.send_bytes(vec![5, 0, 0, 0, 0]).await;
    forger.send(1, vec![remote(1)]).await;
    let read = a.read_until(1).await;
    assert_eq!(read.resyncs, [Scope::Everything]);
}

async fn what_a_node_owes_is_compared(medium: &impl Medium) {
    let mut a = Node::open(medium, "a").await;
    let forger = Forger::open(medium).await;
    let owed = [1, 2].map(|number| RemoteNotice::owed(Some(chat(number))));
    forger
        .send(1, [owed.as_slice(), &[remote(3)]].concat())
        .await;
    let mut read = a.read_until(3).await;
    if let [Scope::Chats(chats)] = &mut *read.resyncs {
        chats.sort_unstable();
    }
    let both = Scope::Chats(vec![chat(1), chat(2)]);
    assert_eq!((read.resyncs, read.remote), (vec![both], vec![remote(3)]));
    forger
        .send(2, vec![RemoteNotice::owed(None), remote(4)])
        .await;
    let read = a.read_until(4).await;
    assert_eq!(read.resyncs, [Scope::Everything]);
}

async fn a_notice_of_an_unknown_kind_is_read(medium: &impl Medium) {
    let mut a = Node::open(medium, "a").await;
    let forger = Forger::open(medium).await;
    let mut unknown = remote(1);
    unknown.header.kind = Kind::Unknown(4_711);
    forger.send(1, vec![unknown.clone()]).await;
    assert_eq!(a.read_until(1).await.remote, [unknown]);
}

async fn a_node_that_falls_silent_is_noticed(medium: &impl Medium) {
    let mut a = Node::open(medium, "a").await;
    let forger = Forger::open(medium).await;
    forger.send(1, Vec::new()).await;
    assert_eq!(a.resync().await, Scope::Everything);
}

async fn a_node_that_closes_is_not_missed(medium: &impl Medium) {
    let [mut a, b] = meet(medium, ["a", "b"]).await;
    b.bus.close();
    until("b is forgotten", || a.bus.health().nodes == 1).await;
    let forger = Forger::open(medium).await;
    forger.send(1, Vec::new()).await;
    // That of b would come while the other is still heard.
    assert_eq!(a.resync().await, Scope::Everything);
    assert_eq!(a.bus.health().nodes, 1);
}

async fn what_was_published_before_closing_is_still_sent(medium: &impl Medium) {
    const COUNT: u32 = 500;
    let [mut a, mut b] = meet(medium, ["a", "b"]).await;
    a.publish(1..=COUNT).await;
    a.bus.close();
    let read = b.read_until(COUNT).await;
    let expected: Vec<_> = (1..=COUNT).map(remote).collect();
    assert_eq!((read.resyncs.len(), read.remote), (0, expected));
    while !matches!(a.next().await, News::Closed) {}
}

async fn a_publisher_that_cannot_publish_owes(medium: &impl Medium) {
    let [a, mut b] = meet(medium, ["a", "b"]).await;
    medium.cut("a").await;
    a.publish([1]).await;
    until("a chat is owed", || a.bus.health().owed != Some(0)).await;
    b.forget_news();
    medium.restore("a").await;
    until("nothing is owed", || a.bus.health().owed == Some(0)).await;
    a.publish([2]).await;
    let read = b.read_until(2).await;
    assert!(
        read.resyncs.iter().any(|scope| covers(scope, 1)),
        "{read:?}"
    );
}

async fn a_node_is_not_heard_while_it_is_cut_off(medium: &impl Medium) {
    let [a, b] = meet(medium, ["a", "b"]).await;
    medium.cut("a").await;
    until("neither is heard", || {
        !a.bus.is_heard() && !b.bus.is_heard()
    })
    .await;
    assert_eq!(b.bus.health().nodes, 1);
    medium.restore("a").await;
    until("both are heard", || a.bus.is_heard() && b.bus.is_heard()).await;
    assert_eq!(b.bus.health().nodes, 2);
}

async fn a_node_that_was_never_heard_is_missed(medium: &impl Medium) {
    let a = Node::open(medium, "a").await;
    until("a is heard", || a.bus.is_heard()).await;
    a.bus.expect(&[a.id, node_id()]);
    assert!(!a.bus.is_heard());
    a.bus.expect(&[a.id]);
    until("a is heard", || a.bus.is_heard()).await;
}

async fn a_node_alone_sends_beats_only(medium: &impl Medium) {
    let a = Node::open(medium, "a").await;
    a.bus.expect(&[a.id]);
    let link = medium.link().await;
    let batch = async || loop {
        if let Received::Batch(bytes) = link.receive().await {
            return Batch::decode(&bytes).expect("a batch");
        }
    };
    // At first there might be others.
    for number in 1.. {
        assert!(number < 60, "it goes on sending");
        a.publish([number]).await;
        let two = [batch().await, batch().await];
        if two.iter().all(|batch| batch.notices.is_empty()) {
            break;
        }
    }
    let mut b = Node::open(medium, "b").await;
    let owed = RemoteNotice::owed(None);
    within("what was not sent is owed", async {
        while !batch().await.notices.contains(&owed) {}
    })
    .await;
    assert_eq!(b.resync().await, Scope::Everything);
    a.publish([61]).await;
    b.read_until(61).await;
}

async fn ten_nodes_open_at_once(medium: &impl Medium) {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    let mut nodes = meet(medium, names).await;
    for (number, node) in (1..).zip(&nodes) {
        node.publish([number]).await;
    }
    let reading = (1..).zip(&mut nodes).map(|(own, node)| async move {
        let mut missing: BTreeSet<u32> = (1..=10).filter(|number| *number != own).collect();
        while !missing.is_empty() {
            if let News::Remote(notices) = node.next().await {
                missing.retain(|number| !notices.contains(&remote(*number)));
            }
        }
    });
    join_all(reading).await;
}

/// While the medium breaks for the node `a` and is back, `b` goes on publishing.
async fn no_gap_is_silent_after<M: Medium>(
    medium: &M,
    breaking: impl AsyncFnOnce(&M, &str),
    loses: bool,
) {
    let [mut a, b] = meet(medium, ["a", "b"]).await;
    let (broken, resynced) = (Cell::new(false), Cell::new(false));
    let talk = async {
        let (mut missing, mut number) = (BTreeSet::new(), 0);
        let bus = Arc::clone(&a.bus);
        let is_over = || broken.get() && bus.is_heard() && (resynced.get() || !loses);
        while !(is_over() && number > 100 && missing.is_empty()) {
            number += 1;
            missing.insert(number);
            b.publish([number]).await;
            let Read {
                resyncs,
                remote: notices,
                ..
            } = a.read_a_while().await;
            missing.retain(|number| !notices.contains(&remote(*number)));
            // The store has everything that was published until now.
            if resyncs.contains(&Scope::Everything) {
                resynced.set(true);
                missing.clear();
            }
            missing.retain(|number| !resyncs.iter().any(|scope| covers(scope, *number)));
        }
    };
    let breaking = async {
        breaking(medium, "a").await;
        broken.set(true);
    };
    within("everything is heard or compared", async {
        tokio::join!(breaking, talk);
    })
    .await;
}

fn covers(scope: &Scope, number: u32) -> bool {
    match scope {
        Scope::Everything => true,
        Scope::Chats(chats) => chats.contains(&chat(number)),
    }
}

/// Instantiates every promise for one medium, and one for each way in which that breaks: whether something is lost then.
macro_rules! shared_contract {
    ($name:ident: $medium:ty { $($break:ident($open:expr) loses $loses:expr),+ $(,)? }) => {
        mod $name {
            use super::*;
            promises!(
                $medium:
                notices_of_one_node_reach_the_others_in_order,
                a_node_does_not_hear_its_own_notices_twice,
                a_gap_is_never_silent,
                a_batch_that_cannot_be_read_is_a_gap,
                what_a_node_owes_is_compared,
                a_notice_of_an_unknown_kind_is_read,
                a_node_that_falls_silent_is_noticed,
                a_node_that_closes_is_not_missed,
                what_was_published_before_closing_is_still_sent,
                a_publisher_that_cannot_publish_owes,
                a_node_is_not_heard_while_it_is_cut_off,
                a_node_that_was_never_heard_is_missed,
                a_node_alone_sends_beats_only,
                ten_nodes_open_at_once,
            );

            mod no_gap_is_silent_after {
                use super::*;
                $(
                    #[tokio::test]
                    async fn $break() {
                        let medium: $medium = $open;
                        let breaking = async |medium: &$medium, name: &str| medium.$break(name).await;
                        super::super::no_gap_is_silent_after(&medium, breaking, $loses).await;
                    }
                )+
            }
        }
    };
}

macro_rules! promises {
    ($medium:ty: $($promise:ident),+ $(,)?) => {
        $(
            #[tokio::test]
            async fn $promise() {
                super::$promise(&<$medium as World>::new()).await;
            }
        )+
    };
}

shared_contract!(mongodb: Mongod {
    losing_history(Mongod::new()) loses true,
    breaking_connections(Mongod::new()) loses false,
    dropping_the_collection(Mongod::new()) loses true,
    killing_cursors(Mongod::new()) loses false,
    restarting_the_server(Mongod::on_own_server()) loses false,
});

shared_contract!(redis: RedisServer {
    killing_subscriptions(RedisServer::new()) loses true,
    killing_publishers(RedisServer::new()) loses false,
    pausing(RedisServer::new()) loses true,
    freezing_connections(RedisServer::new()) loses true,
    restarting_the_server(RedisServer::new()) loses true,
});
