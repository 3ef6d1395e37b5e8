//! The end of the missed messages and the begin of live delivery.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use super::*;

/// Receives nothing before it is enabled.
#[derive(Default)]
struct Sleeper(AtomicBool);

impl Subscriber for Sleeper {
    fn encode(&self, notice: &Notice, shared: &mut SharedEncoding, sink: &mut dyn FnMut(Outgoing)) {
        if self.0.load(Ordering::SeqCst) {
            Numbers.encode(notice, shared, sink);
        }
    }

    fn is_subscribed(&self, _: ChatId) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Up to which seq the client has to catch up in this chat.
fn until(hub: &Hub, subscription: &Subscription, chat: ChatId) -> Option<Seq> {
    hub.catch_up_until(subscription, [chat]).get(&chat).copied()
}

#[test]
fn one_who_connects_has_missed_what_was_delivered_before() {
    let (hub, chat) = (Hub::default(), ChatId::new(NOW));
    let first = subscribed(&hub, user(), chat, 7);
    deliver(&hub, chat, 8..=9);
    let second = subscribed(&hub, user(), chat, 0);
    deliver(&hub, chat, [10]);
    assert_eq!(until(&hub, &first, chat), Some(7));
    assert_eq!(received(&first), ["8", "9", "10"]);
    assert_eq!(until(&hub, &second, chat), Some(9));
    assert_eq!(received(&second), ["10"]);
    second.caught_up(chat, 8);
    assert_eq!(until(&hub, &second, chat), Some(9), "not yet");
    second.caught_up(chat, 9);
    assert_eq!(until(&hub, &second, chat), None);
    assert_eq!(until(&hub, &first, chat), Some(7), "each for itself");
}

#[test]
fn one_who_connects_receives_what_it_has_not_missed() {
    let (hub, chat) = (Hub::default(), ChatId::new(NOW));
    let anna = subscribed(&hub, user(), chat, 7);
    let receives = |seq| anna.receives(chat, seq);
    assert_eq!([7, 8, 9].map(receives), [false, true, true]);
    assert!(!anna.receives(ChatId::new(NOW), 8), "of another chat");
    // Once it was sent everything up to there, it has every message.
    anna.caught_up(chat, 7);
    assert_eq!([1, 7, 8].map(receives), [true, true, true]);
    hub.leave(&anna);
    assert_eq!([7, 8].map(receives), [false, false]);
}

#[test]
fn all_who_wait_for_a_chat_have_missed_the_same() {
    let (hub, chat) = (Hub::default(), ChatId::new(NOW));
    let connections = [connection(10), connection(10)];
    for connection in &connections {
        hub.bind_user(connection, user());
        assert!(hub.join(connection, [chat]));
        assert_eq!(until(&hub, connection, chat), None);
    }
    hub.open(chat, 4);
    hub.open(chat, 6);
    for connection in &connections {
        assert_eq!(until(&hub, connection, chat), Some(4));
    }
}

#[test]
fn one_who_joins_has_missed_nothing() {
    let (hub, chat, anna) = (Hub::default(), ChatId::new(NOW), user());
    let connection = connection(10);
    hub.bind_user(&connection, anna);
    hub.admit(&[Arc::clone(&connection)], chat, 1, 3);
    deliver(&hub, chat, [4]);
    assert_eq!(until(&hub, &connection, chat), None);
    assert_eq!(received(&connection), ["4"]);
}

#[test]
fn one_who_joins_while_connecting_has_missed_what_was_before() {
    let (hub, chat, anna) = (Hub::default(), ChatId::new(NOW), user());
    let connection = connection(10);
    hub.bind_user(&connection, anna);
    hub.admit(&[Arc::clone(&connection)], chat, 1, 3);
    deliver(&hub, chat, [4, 5]);
    hub.join(&connection, [chat]);
    assert_eq!(until(&hub, &connection, chat), Some(3));
    assert_eq!(received(&connection), ["4", "5"]);
}

#[test]
fn what_is_not_passed_on_is_missed() {
    let (hub, chat) = (Hub::default(), ChatId::new(NOW));
    let sleeper = Arc::new(Sleeper::default());
    let connection = connection_of(Arc::clone(&sleeper) as _, 10);
    hub.bind_user(&connection, user());
    hub.join(&connection, [chat]);
    hub.open(chat, 1);
    deliver(&hub, chat, 2..=5);
    assert_eq!(
        until(&hub, &connection, chat),
        None,
        "it has to request all"
    );
    sleeper.0.store(true, Ordering::SeqCst);
    deliver(&hub, chat, [6]);
    assert_eq!(until(&hub, &connection, chat), Some(5));
    assert_eq!(received(&connection), ["6"]);
}

#[test]
fn one_who_is_in_no_chat_or_has_left_it_has_missed_nothing() {
    let (hub, chat) = (Hub::default(), ChatId::new(NOW));
    let connection = subscribed(&hub, user(), chat, 7);
    assert_eq!(until(&hub, &connection, ChatId::new(Timestamp::MAX)), None);
    hub.leave(&connection);
    assert_eq!(until(&hub, &connection, chat), None);
}

/// While messages are delivered, connections open and subscribe: the missed messages of each and
/// its live ones are one sequence, whenever that was.
#[test]
fn missed_and_live_messages_meet_under_load() {
    const MESSAGES: Seq = 4000;
    let (hub, chat) = (Hub::default(), ChatId::new(NOW));
    // A connection with a large outbox keeps the chat open.
    let first = connection(10_000);
    hub.bind_user(&first, user());
    hub.join(&first, [chat]);
    hub.open(chat, 0);
    let come = |hub: &Hub| {
        let sleeper = Arc::new(Sleeper::default());
        let connection = connection_of(Arc::clone(&sleeper) as _, 10_000);
        hub.bind_user(&connection, user());
        hub.join(&connection, [chat]);
        std::thread::yield_now();
        sleeper.0.store(true, Ordering::SeqCst);
        let missed = until(hub, &connection, chat).expect("a connection");
        (connection, missed)
    };
    let connections = std::thread::scope(|scope| {
        let coming: Vec<_> = (0..2)
            .map(|_| scope.spawn(|| (0..300).map(|_| come(&hub)).collect::<Vec<_>>()))
            .collect();
        deliver(&hub, chat, 1..=MESSAGES);
        let come = coming.into_iter();
        come.flat_map(|come| come.join().expect("no panic"))
            .collect::<Vec<_>>()
    });
    assert_eq!(received(&first).len(), 4000);
    for (connection, missed) in connections {
        let expected: Vec<_> = (missed + 1..=MESSAGES).map(|seq| seq.to_string()).collect();
        assert_eq!(received(&connection), expected, "after {missed}");
    }
}

/// Reports that a delivery has begun, and blocks it.
struct BlockingSubscriber {
    subscribed: AtomicBool,
    begun: Mutex<mpsc::Sender<()>>,
    released: Mutex<mpsc::Receiver<()>>,
}

impl Subscriber for BlockingSubscriber {
    fn encode(&self, notice: &Notice, _: &mut SharedEncoding, _: &mut dyn FnMut(Outgoing)) {
        if matches!(notice.fact, Fact::MessageSent(_)) {
            self.begun.lock().send(()).expect("a receiver");
            self.released.lock().recv().expect("a sender");
        }
    }

    fn is_subscribed(&self, _: ChatId) -> bool {
        self.subscribed.load(Ordering::SeqCst)
    }
}

#[test]
fn a_delivery_that_is_under_way_may_be_the_last_one_that_is_skipped() {
    let ((begun, has_begun), (release, released)) = (mpsc::channel(), mpsc::channel());
    let held = Arc::new(BlockingSubscriber {
        subscribed: AtomicBool::new(false),
        begun: Mutex::new(begun),
        released: Mutex::new(released),
    });
    let (hub, anna) = (Hub::default(), user());
    let connection = connection_of(Arc::clone(&held) as _, 10);
    hub.bind_user(&connection, anna);
    let (chat, notice) = created(vec![anna]);
    hub.chat_created(&chat, &notice);
    std::thread::scope(|scope| {
        scope.spawn(|| deliver(&hub, chat.id, [1]));
        has_begun.recv().expect("a delivery");
        held.subscribed.store(true, Ordering::SeqCst);
        let querying = scope.spawn(|| until(&hub, &connection, chat.id));
        // A call that does not wait for the delivery has returned by now.
        std::thread::sleep(std::time::Duration::from_millis(50));
        release.send(()).expect("it is held");
        assert_eq!(querying.join().expect("an answer"), Some(1));
    });
}
