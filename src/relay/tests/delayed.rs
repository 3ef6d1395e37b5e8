//! The promises of the relay for a chat that has to wait: it delays no other, keeps its order, and
//! stays within bounds.

use std::sync::atomic::Ordering;

use tokio::time::Instant;

use super::fixtures::{Fixture, LARGE, SMALL, deleted, is_empty, left, received, until};
use super::*;
use crate::relay::backlog::{MESSAGES, OTHERS};
use crate::telemetry::CloseReason;

#[tokio::test]
async fn a_crowded_chat_delays_no_other() {
    let fixture = Fixture::set(2, 0).await;
    let [crowded, other] = &fixture.chats[..] else {
        panic!("two chats")
    };
    let slow = fixture.connection(&fixture.anna, [crowded], SMALL);
    let watched = fixture.connection(&fixture.boris, [other], LARGE);
    let (messages, others) = (
        fixture.append(crowded, 20).await,
        fixture.append(other, 3).await,
    );
    let begun = Instant::now();
    fixture.publish(&messages).await;
    until(|| slow.outbox.is_crowded()).await;
    fixture.publish(&others).await;
    assert_eq!(received(&watched, 3).await, numbers(3));
    assert_eq!(begun.elapsed(), Duration::ZERO, "without waiting");
    assert!(slow.outbox.is_crowded());
    assert_eq!(received(&slow, 20).await, numbers(20));
    fixture.end().await;
    assert!(is_empty(&slow) && is_empty(&watched), "once only");
}

#[tokio::test]
async fn a_chat_that_is_being_read_from_the_store_delays_no_other() {
    let fixture = Fixture::set(2, 1).await;
    let [silent, other] = &fixture.chats[..] else {
        panic!("two chats")
    };
    let waiting = fixture.connection(&fixture.anna, [silent], LARGE);
    let watched = fixture.connection(&fixture.boris, [other], LARGE);
    let (messages, others) = (
        fixture.append(silent, 5).await,
        fixture.append(other, 9).await,
    );
    fixture.publish(&messages[2..3]).await;
    until(|| fixture.unreliable.under_way.load(Ordering::SeqCst) == 1).await;
    fixture.publish(&others[..2]).await;
    assert_eq!(received(&watched, 2).await, numbers(2));
    // It has a hole itself, which is filled meanwhile.
    fixture.publish(&others[8..]).await;
    assert_eq!(received(&watched, 7).await, numbers(9)[2..]);
    assert!(is_empty(&waiting));
    fixture.publish(&messages[4..]).await;
    fixture.unreliable.answers.add_permits(1);
    assert_eq!(received(&waiting, 5).await, numbers(5));
    fixture.end().await;
    assert!(is_empty(&waiting) && is_empty(&watched), "once only");
}

#[tokio::test]
async fn a_store_that_fails_is_asked_again_and_delays_no_other() {
    let fixture = Fixture::set(2, 1).await;
    let [failing, other] = &fixture.chats[..] else {
        panic!("two chats")
    };
    let waiting = fixture.connection(&fixture.anna, [failing], LARGE);
    let watched = fixture.connection(&fixture.boris, [other], LARGE);
    let (messages, others) = (
        fixture.append(failing, 3).await,
        fixture.append(other, 3).await,
    );
    fixture.unreliable.failures.store(3, Ordering::SeqCst);
    fixture.unreliable.answers.add_permits(4);
    let begun = Instant::now();
    fixture.publish(&messages[2..]).await;
    until(|| fixture.unreliable.failures.load(Ordering::SeqCst) < 3).await;
    fixture.publish(&others).await;
    assert_eq!(received(&watched, 3).await, numbers(3));
    assert_eq!(begun.elapsed(), Duration::ZERO, "without waiting");
    assert_eq!(received(&waiting, 3).await, numbers(3));
    assert_eq!(fixture.unreliable.answers.available_permits(), 0);
}

#[tokio::test]
async fn only_so_many_chats_are_read_at_once_and_all_in_the_end() {
    let fixture = Fixture::set(20, 20).await;
    let connection = fixture.connection(&fixture.anna, &fixture.chats, LARGE);
    for chat in &fixture.chats {
        let messages = fixture.append(chat, 2).await;
        fixture.publish(&messages[1..]).await;
    }
    // Time moves on when nothing is left to be done.
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(fixture.unreliable.under_way.load(Ordering::SeqCst), 8);
    fixture.unreliable.answers.add_permits(20);
    let received = received(&connection, 40).await;
    assert_eq!(received.iter().filter(|seq| *seq == "1").count(), 20);
}

#[tokio::test]
async fn several_crowded_connections_are_waited_for_at_the_same_time() {
    let fixture = Fixture::set(1, 0).await;
    let crowded: Vec<_> = (0..5)
        .map(|_| fixture.connection(&fixture.anna, &fixture.chats, SMALL))
        .collect();
    let watched = fixture.connection(&fixture.boris, &fixture.chats, LARGE);
    let messages = fixture.append(&fixture.chats[0], 8).await;
    let begun = Instant::now();
    fixture.publish(&messages).await;
    until(|| {
        crowded
            .iter()
            .all(|connection| connection.outbox.is_crowded())
    })
    .await;
    assert_eq!(received(&watched, 6).await, numbers(6));
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!(received(&watched, 2).await, numbers(8)[6..]);
    assert!(begun.elapsed() < EASE * 2, "one wait for all of them");
}

#[tokio::test]
async fn the_notices_of_a_delayed_chat_keep_their_order() {
    let fixture = Fixture::set(1, 0).await;
    let chat = &fixture.chats[0];
    let slow = fixture.connection(&fixture.anna, &fixture.chats, SMALL);
    let removed = fixture.connection(&fixture.boris, &fixture.chats, LARGE);
    let messages = fixture.append(chat, 30).await;
    fixture.publish(&messages[..10]).await;
    until(|| slow.outbox.is_crowded()).await;
    fixture.publish([&changed(chat)]).await;
    fixture.publish(&messages[10..20]).await;
    fixture.publish([&left(chat, &fixture.boris)]).await;
    fixture.publish(&messages[20..]).await;
    fixture.publish([&deleted(chat)]).await;
    let mut expected = numbers(30);
    expected.insert(10, "changed".into());
    expected.insert(21, "left".into());
    expected.push("gone".into());
    assert_eq!(received(&slow, expected.len()).await, expected);
    assert_eq!(received(&removed, 21).await, expected[..21]);
    fixture.end().await;
    assert!(is_empty(&removed), "nothing after leaving");
}

#[tokio::test]
async fn messages_beyond_the_backlog_come_from_the_store_in_their_place() {
    let fixture = Fixture::set(1, 0).await;
    let chat = &fixture.chats[0];
    let slow = fixture.connection(&fixture.anna, &fixture.chats, SMALL);
    let removed = fixture.connection(&fixture.boris, &fixture.chats, LARGE);
    let before = MESSAGES.chat + PAGE + 100;
    let messages = fixture.append(chat, before + 50).await;
    fixture.publish(&messages[..6]).await;
    until(|| slow.outbox.is_crowded()).await;
    fixture.publish(&messages[6..before]).await;
    fixture.publish([&left(chat, &fixture.boris)]).await;
    fixture.publish(&messages[before..]).await;
    // So that the relay has taken all of it from the bus.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let mut expected = numbers(before + 50);
    expected.insert(before, "left".into());
    assert_eq!(received(&slow, expected.len()).await, expected);
    assert_eq!(received(&removed, before).await, numbers(before));
    fixture.end().await;
    assert!(is_empty(&removed), "nothing after leaving");
    assert!(is_empty(&slow), "once only");
}

#[tokio::test]
async fn with_too_many_other_notices_a_chat_is_not_waited_for() {
    let fixture = Fixture::set(1, 0).await;
    let chat = &fixture.chats[0];
    let slow = fixture.connection(&fixture.anna, &fixture.chats, SMALL);
    let watched = fixture.connection(&fixture.boris, &fixture.chats, LARGE);
    let messages = fixture.append(chat, 20).await;
    let begun = Instant::now();
    fixture.publish(&messages).await;
    until(|| slow.outbox.is_crowded()).await;
    let changes = OTHERS.chat + 1;
    let change = changed(chat);
    fixture.publish((0..changes).map(|_| &change)).await;
    let mut expected = numbers(20);
    expected.extend((0..changes).map(|_| "changed".into()));
    assert_eq!(received(&watched, expected.len()).await, expected);
    assert_eq!(begun.elapsed(), Duration::ZERO, "without waiting");
    assert_eq!(slow.outbox.closed(), Some(CloseReason::Lagging));
    // The chat goes on.
    let messages = fixture.append(chat, 1).await;
    fixture.publish(&messages).await;
    assert_eq!(received(&watched, 1).await, ["21"]);
}

#[tokio::test]
async fn a_connection_in_many_crowded_chats_is_not_closed_while_it_reads() {
    let fixture = Fixture::set(20, 0).await;
    let connection = fixture.connection(&fixture.anna, &fixture.chats, SMALL);
    let mut messages = Vec::new();
    for chat in &fixture.chats {
        messages.extend(fixture.append(chat, 4).await);
    }
    fixture.publish(&messages).await;
    let received = received(&connection, 80).await;
    for seq in numbers(4) {
        assert_eq!(
            received.iter().filter(|received| **received == seq).count(),
            20
        );
    }
    fixture.end().await;
    assert!(is_empty(&connection), "once only");
}

#[tokio::test]
async fn a_chat_that_is_deleted_while_it_is_delayed_is_delivered_to_its_end() {
    let fixture = Fixture::set(1, 0).await;
    let chat = fixture.chats[0].clone();
    let slow = fixture.connection(&fixture.anna, &fixture.chats, SMALL);
    let messages = fixture.append(&chat, 12).await;
    fixture.publish(&messages).await;
    until(|| slow.outbox.is_crowded()).await;
    fixture.publish([&deleted(&chat)]).await;
    let mut expected = numbers(12);
    expected.push("gone".into());
    assert_eq!(received(&slow, 13).await, expected);
    assert!(!slow.is_in(chat.id));
    let hub = Arc::clone(&fixture.hub);
    fixture.end().await;
    assert_eq!(hub.next_after(chat.id), None);
}

#[tokio::test]
async fn what_is_missing_in_a_chat_that_was_deleted_is_not_waited_for() {
    let fixture = Fixture::set(1, 0).await;
    let chat = fixture.chats[0].clone();
    let connection = fixture.connection(&fixture.anna, &fixture.chats, LARGE);
    let messages = fixture.append(&chat, 3).await;
    assert!(
        fixture
            .store
            .delete_chat(chat.id, None)
            .await
            .expect("an answer")
    );
    fixture
        .publish([&messages[0], &messages[2], &deleted(&chat)])
        .await;
    assert_eq!(received(&connection, 2).await, ["1", "gone"]);
    fixture.end().await;
}

#[tokio::test]
async fn at_the_end_delayed_chats_are_waited_for() {
    let fixture = Fixture::set(1, 0).await;
    let slow = fixture.connection(&fixture.anna, &fixture.chats, SMALL);
    let messages = fixture.append(&fixture.chats[0], 100).await;
    fixture.publish(&messages).await;
    until(|| slow.outbox.is_crowded()).await;
    fixture.bus.close();
    assert_eq!(received(&slow, 100).await, numbers(100));
    fixture.end().await;
    assert!(is_empty(&slow), "once only");
}

#[tokio::test]
async fn at_the_end_nobody_is_waited_for_without_limit() {
    let fixture = Fixture::set(2, 1).await;
    let [silent, crowded] = &fixture.chats[..] else {
        panic!("two chats")
    };
    let waiting = fixture.connection(&fixture.boris, [silent], LARGE);
    let slow = fixture.connection(&fixture.anna, [crowded], SMALL);
    let (missing, messages) = (
        fixture.append(silent, 3).await,
        fixture.append(crowded, 100).await,
    );
    fixture.publish([&missing[0], &missing[2]]).await;
    fixture.publish(&messages).await;
    until(|| fixture.unreliable.under_way.load(Ordering::SeqCst) == 1).await;
    until(|| slow.outbox.is_crowded()).await;
    fixture.publish([&changed(silent)]).await;
    fixture.end().await;
    assert_eq!(received(&waiting, 2).await, ["1", "changed"]);
    assert_eq!(slow.outbox.closed(), Some(CloseReason::Lagging));
}
