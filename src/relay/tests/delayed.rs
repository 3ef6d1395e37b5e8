//! The promises of the relay for a chat that has to wait: it delays no other, keeps its order, and
//! stays within bounds.

use std::sync::atomic::Ordering;

use tokio::time::Instant;

use super::fixtures::{LARGE, SMALL, Stage, deleted, heard, is_empty, until};
use super::*;
use crate::relay::backlog::{MESSAGES, OTHERS};
use crate::telemetry::CloseReason;

#[tokio::test]
async fn a_crowded_chat_delays_no_other() {
    let stage = Stage::set(2, 0).await;
    let [crowded, other] = &stage.chats[..] else {
        panic!("two chats")
    };
    let slow = stage.connection(&stage.anna, [crowded], SMALL);
    let watched = stage.connection(&stage.boris, [other], LARGE);
    let (messages, others) = (
        stage.append(crowded, 20).await,
        stage.append(other, 3).await,
    );
    let begun = Instant::now();
    stage.publish(&messages).await;
    until(|| slow.outbox.is_crowded()).await;
    stage.publish(&others).await;
    assert_eq!(heard(&watched, 3).await, numbers(3));
    assert_eq!(begun.elapsed(), Duration::ZERO, "nobody waited");
    assert!(slow.outbox.is_crowded());
    assert_eq!(heard(&slow, 20).await, numbers(20));
    stage.end().await;
    assert!(is_empty(&slow) && is_empty(&watched), "once only");
}

#[tokio::test]
async fn a_chat_that_is_being_read_from_the_store_delays_no_other() {
    let stage = Stage::set(2, 1).await;
    let [silent, other] = &stage.chats[..] else {
        panic!("two chats")
    };
    let waiting = stage.connection(&stage.anna, [silent], LARGE);
    let watched = stage.connection(&stage.boris, [other], LARGE);
    let (messages, others) = (stage.append(silent, 5).await, stage.append(other, 9).await);
    stage.publish(&messages[2..3]).await;
    until(|| stage.unreliable.under_way.load(Ordering::SeqCst) == 1).await;
    stage.publish(&others[..2]).await;
    assert_eq!(heard(&watched, 2).await, numbers(2));
    // It has a hole itself, which is filled meanwhile.
    stage.publish(&others[8..]).await;
    assert_eq!(heard(&watched, 7).await, numbers(9)[2..]);
    assert!(is_empty(&waiting));
    stage.publish(&messages[4..]).await;
    stage.unreliable.answers.add_permits(1);
    assert_eq!(heard(&waiting, 5).await, numbers(5));
    stage.end().await;
    assert!(is_empty(&waiting) && is_empty(&watched), "once only");
}

#[tokio::test]
async fn a_store_that_fails_is_asked_again_and_delays_no_other() {
    let stage = Stage::set(2, 1).await;
    let [failing, other] = &stage.chats[..] else {
        panic!("two chats")
    };
    let waiting = stage.connection(&stage.anna, [failing], LARGE);
    let watched = stage.connection(&stage.boris, [other], LARGE);
    let (messages, others) = (stage.append(failing, 3).await, stage.append(other, 3).await);
    stage.unreliable.failures.store(3, Ordering::SeqCst);
    stage.unreliable.answers.add_permits(4);
    let begun = Instant::now();
    stage.publish(&messages[2..]).await;
    until(|| stage.unreliable.failures.load(Ordering::SeqCst) < 3).await;
    stage.publish(&others).await;
    assert_eq!(heard(&watched, 3).await, numbers(3));
    assert_eq!(begun.elapsed(), Duration::ZERO, "nobody waited");
    assert_eq!(heard(&waiting, 3).await, numbers(3));
    assert_eq!(stage.unreliable.answers.available_permits(), 0);
}

#[tokio::test]
async fn only_so_many_chats_are_read_at_once_and_all_in_the_end() {
    let stage = Stage::set(20, 20).await;
    let connection = stage.connection(&stage.anna, &stage.chats, LARGE);
    for chat in &stage.chats {
        let messages = stage.append(chat, 2).await;
        stage.publish(&messages[1..]).await;
    }
    // Time moves on when nothing is left to be done.
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(stage.unreliable.under_way.load(Ordering::SeqCst), 8);
    stage.unreliable.answers.add_permits(20);
    let heard = heard(&connection, 40).await;
    assert_eq!(heard.iter().filter(|seq| *seq == "1").count(), 20);
}

#[tokio::test]
async fn several_crowded_connections_are_waited_for_at_the_same_time() {
    let stage = Stage::set(1, 0).await;
    let crowded: Vec<_> = (0..5)
        .map(|_| stage.connection(&stage.anna, &stage.chats, SMALL))
        .collect();
    let watched = stage.connection(&stage.boris, &stage.chats, LARGE);
    let messages = stage.append(&stage.chats[0], 8).await;
    let begun = Instant::now();
    stage.publish(&messages).await;
    until(|| {
        crowded
            .iter()
            .all(|connection| connection.outbox.is_crowded())
    })
    .await;
    assert_eq!(heard(&watched, 6).await, numbers(6));
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!(heard(&watched, 2).await, numbers(8)[6..]);
    assert!(begun.elapsed() < EASE * 2, "one wait for all of them");
}

#[tokio::test]
async fn the_notices_of_a_delayed_chat_keep_their_order() {
    let stage = Stage::set(1, 0).await;
    let chat = &stage.chats[0];
    let slow = stage.connection(&stage.anna, &stage.chats, SMALL);
    let removed = stage.connection(&stage.boris, &stage.chats, LARGE);
    let messages = stage.append(chat, 30).await;
    stage.publish(&messages[..10]).await;
    until(|| slow.outbox.is_crowded()).await;
    stage.publish([&changed(chat)]).await;
    stage.publish(&messages[10..20]).await;
    stage.publish([&stage.left(chat, &stage.boris)]).await;
    stage.publish(&messages[20..]).await;
    stage.publish([&deleted(chat)]).await;
    let mut expected = numbers(30);
    expected.insert(10, "changed".into());
    expected.insert(21, "left".into());
    expected.push("gone".into());
    assert_eq!(heard(&slow, expected.len()).await, expected);
    assert_eq!(heard(&removed, 21).await, expected[..21]);
    stage.end().await;
    assert!(is_empty(&removed), "nothing after leaving");
}

#[tokio::test]
async fn messages_beyond_the_backlog_come_from_the_store_in_their_place() {
    let stage = Stage::set(1, 0).await;
    let chat = &stage.chats[0];
    let slow = stage.connection(&stage.anna, &stage.chats, SMALL);
    let removed = stage.connection(&stage.boris, &stage.chats, LARGE);
    let before = MESSAGES.chat + PAGE + 100;
    let messages = stage.append(chat, before + 50).await;
    stage.publish(&messages[..6]).await;
    until(|| slow.outbox.is_crowded()).await;
    stage.publish(&messages[6..before]).await;
    stage.publish([&stage.left(chat, &stage.boris)]).await;
    stage.publish(&messages[before..]).await;
    // So that the relay has taken all of it from the bus.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let mut expected = numbers(before + 50);
    expected.insert(before, "left".into());
    assert_eq!(heard(&slow, expected.len()).await, expected);
    assert_eq!(heard(&removed, before).await, numbers(before));
    stage.end().await;
    assert!(is_empty(&removed), "nothing after leaving");
    assert!(is_empty(&slow), "once only");
}

#[tokio::test]
async fn with_too_many_other_notices_a_chat_is_not_waited_for() {
    let stage = Stage::set(1, 0).await;
    let chat = &stage.chats[0];
    let slow = stage.connection(&stage.anna, &stage.chats, SMALL);
    let watched = stage.connection(&stage.boris, &stage.chats, LARGE);
    let messages = stage.append(chat, 20).await;
    let begun = Instant::now();
    stage.publish(&messages).await;
    until(|| slow.outbox.is_crowded()).await;
    let changes = OTHERS.chat + 1;
    let change = changed(chat);
    stage.publish((0..changes).map(|_| &change)).await;
    let mut expected = numbers(20);
    expected.extend((0..changes).map(|_| "changed".into()));
    assert_eq!(heard(&watched, expected.len()).await, expected);
    assert_eq!(begun.elapsed(), Duration::ZERO, "nobody waited");
    assert_eq!(slow.outbox.closed(), Some(CloseReason::Lagging));
    // The chat goes on.
    let messages = stage.append(chat, 1).await;
    stage.publish(&messages).await;
    assert_eq!(heard(&watched, 1).await, ["21"]);
}

#[tokio::test]
async fn a_connection_in_many_crowded_chats_is_not_closed_while_it_reads() {
    let stage = Stage::set(20, 0).await;
    let connection = stage.connection(&stage.anna, &stage.chats, SMALL);
    let mut messages = Vec::new();
    for chat in &stage.chats {
        messages.extend(stage.append(chat, 4).await);
    }
    stage.publish(&messages).await;
    let heard = heard(&connection, 80).await;
    for seq in numbers(4) {
        assert_eq!(heard.iter().filter(|heard| **heard == seq).count(), 20);
    }
    stage.end().await;
    assert!(is_empty(&connection), "once only");
}

#[tokio::test]
async fn a_chat_that_is_deleted_while_it_is_delayed_is_delivered_to_its_end() {
    let stage = Stage::set(1, 0).await;
    let chat = stage.chats[0].clone();
    let slow = stage.connection(&stage.anna, &stage.chats, SMALL);
    let messages = stage.append(&chat, 12).await;
    stage.publish(&messages).await;
    until(|| slow.outbox.is_crowded()).await;
    stage.publish([&deleted(&chat)]).await;
    let mut expected = numbers(12);
    expected.push("gone".into());
    assert_eq!(heard(&slow, 13).await, expected);
    assert!(!slow.is_in(chat.id));
    let hub = Arc::clone(&stage.hub);
    stage.end().await;
    assert_eq!(hub.delivered(chat.id), None);
}

#[tokio::test]
async fn what_is_missing_in_a_chat_that_was_deleted_is_not_waited_for() {
    let stage = Stage::set(1, 0).await;
    let chat = stage.chats[0].clone();
    let connection = stage.connection(&stage.anna, &stage.chats, LARGE);
    let messages = stage.append(&chat, 3).await;
    assert!(stage.store.delete_chat(chat.id).await.expect("an answer"));
    stage
        .publish([&messages[0], &messages[2], &deleted(&chat)])
        .await;
    assert_eq!(heard(&connection, 2).await, ["1", "gone"]);
    stage.end().await;
}

#[tokio::test]
async fn at_the_end_delayed_chats_are_waited_for() {
    let stage = Stage::set(1, 0).await;
    let slow = stage.connection(&stage.anna, &stage.chats, SMALL);
    let messages = stage.append(&stage.chats[0], 100).await;
    stage.publish(&messages).await;
    until(|| slow.outbox.is_crowded()).await;
    stage.bus.close();
    assert_eq!(heard(&slow, 100).await, numbers(100));
    stage.end().await;
    assert!(is_empty(&slow), "once only");
}

#[tokio::test]
async fn at_the_end_nobody_is_waited_for_without_limit() {
    let stage = Stage::set(2, 1).await;
    let [silent, crowded] = &stage.chats[..] else {
        panic!("two chats")
    };
    let waiting = stage.connection(&stage.boris, [silent], LARGE);
    let slow = stage.connection(&stage.anna, [crowded], SMALL);
    let (missing, messages) = (
        stage.append(silent, 3).await,
        stage.append(crowded, 100).await,
    );
    stage.publish([&missing[0], &missing[2]]).await;
    stage.publish(&messages).await;
    until(|| stage.unreliable.under_way.load(Ordering::SeqCst) == 1).await;
    until(|| slow.outbox.is_crowded()).await;
    stage.publish([&changed(silent)]).await;
    stage.end().await;
    assert_eq!(heard(&waiting, 2).await, ["1", "changed"]);
    assert_eq!(slow.outbox.closed(), Some(CloseReason::Lagging));
}
