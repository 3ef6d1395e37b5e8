//! The contract of every bus, instantiated for each; that of buses of several nodes is in `shared.rs`.
//! Does not know which bus is under test.

mod shared;
pub(super) mod world;

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::FutureExt;

use self::world::World;
use super::mongodb::world::Mongod;
use super::redis::world::RedisServer;
use super::{Bus, BusError, Local, News};
use crate::model::{Chat, Fact, Notice};

/// A process needs nothing.
struct Process;

#[async_trait]
impl World for Process {
    fn new() -> Self {
        Self
    }

    async fn open(&self) -> Arc<dyn Bus> {
        Arc::new(Local::default())
    }
}

fn notice(pk: i64) -> Notice {
    let chat = Chat {
        pk,
        ..Chat::example()
    };
    Notice {
        origin: None,
        fact: Fact::ChatCreated(chat),
        durable: None,
    }
}

async fn next_notice(bus: &dyn Bus) -> Option<Notice> {
    let next = bus.next(1).await.local();
    next.first().map(|notice| (**notice).clone())
}

async fn a_node_receives_its_own_notices_in_order(bus: &dyn Bus) {
    let sent = [notice(1), notice(2), notice(3)];
    let (one, rest) = sent.split_at(1);
    for notices in [one, rest] {
        bus.publish(notices.to_vec()).await.expect("an open bus");
    }
    for notice in sent {
        assert_eq!(next_notice(bus).await, Some(notice));
    }
}

async fn what_waits_is_read_together_up_to_a_limit(bus: &dyn Bus) {
    for pk in 1..=5 {
        bus.publish(vec![notice(pk)]).await.expect("an open bus");
    }
    for pks in [vec![1, 2, 3], vec![4, 5]] {
        let next = bus.next(3).await.local();
        let next: Vec<_> = next.iter().map(|notice| pk((**notice).clone())).collect();
        assert_eq!(next, pks);
    }
}

async fn publishing_waits_while_the_reader_is_behind(bus: &dyn Bus) {
    /// More than any bus holds.
    const MOST: i64 = 1_000_000;
    let mut queued = 0;
    let mut waiting = loop {
        assert!(queued < MOST, "the bus is unbounded");
        let mut publish = Box::pin(bus.publish(vec![notice(queued)]));
        match publish.as_mut().now_or_never() {
            Some(published) => published.expect("an open bus"),
            None => break publish,
        }
        queued += 1;
    };
    assert_eq!(next_notice(bus).await.map(pk), Some(0));
    waiting.as_mut().await.expect("an open bus");
    for expected in 1..=queued {
        assert_eq!(next_notice(bus).await.map(pk), Some(expected));
    }
}

async fn what_was_published_before_closing_is_still_received(bus: &dyn Bus) {
    bus.publish(vec![notice(1)]).await.expect("an open bus");
    bus.close();
    let refused = bus.publish(vec![notice(2)]).await;
    assert!(matches!(refused, Err(BusError::Closed)));
    assert_eq!(next_notice(bus).await.map(pk), Some(1));
    assert!(matches!(bus.next(1).await, News::Closed));
}

fn pk(notice: Notice) -> i64 {
    match notice.fact {
        Fact::ChatCreated(chat) => chat.pk,
        _ => 0,
    }
}

/// Instantiates every promise for the buses of a world.
macro_rules! contract {
    ($name:ident, $world:ty, $($promise:ident),+ $(,)?) => {
        mod $name {
            use super::*;
            $(
                #[tokio::test]
                async fn $promise() {
                    let world = <$world as World>::new();
                    super::$promise(&*world.open().await).await;
                }
            )+
        }
    };
    ($($name:ident: $world:ty),+ $(,)?) => {
        $(
            contract!(
                $name,
                $world,
                a_node_receives_its_own_notices_in_order,
                what_waits_is_read_together_up_to_a_limit,
                publishing_waits_while_the_reader_is_behind,
                what_was_published_before_closing_is_still_received,
            );
        )+
    };
}

contract!(local: Process, mongodb: Mongod, redis: RedisServer);
