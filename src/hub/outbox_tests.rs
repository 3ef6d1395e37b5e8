//! What an outbox promises to those who fill it and to the one who empties it.

use futures_util::future::join;

use super::*;
use crate::hub::Body;

fn frame(number: usize) -> Outgoing {
    Outgoing::bare(Body::from_json(number.to_string()))
}

fn outbox(frames: usize, bytes: usize) -> Outbox {
    Outbox::new(OutboxLimits { frames, bytes })
}

fn taken(outbox: &Outbox) -> Option<String> {
    match outbox.take() {
        Next::Frame(frame) => Some(frame.body.as_str().to_owned()),
        _ => None,
    }
}

#[test]
fn frames_come_out_as_they_went_in() {
    let outbox = outbox(10, 10_000);
    outbox.push(frame(1)).expect("room");
    outbox.respond(frame(2)).expect("room");
    outbox.push(frame(3)).expect("room");
    let all: Vec<_> = std::iter::from_fn(|| taken(&outbox)).collect();
    assert_eq!(all, ["1", "2", "3"]);
}

#[test]
fn too_many_frames_close_it_as_lagging() {
    let outbox = outbox(2, 10_000);
    outbox.push(frame(1)).expect("room");
    outbox.push(frame(2)).expect("room");
    assert_eq!(outbox.push(frame(3)), Err(Closed::Lagging));
    assert!(matches!(outbox.take(), Next::Closed(Closed::Lagging)));
    assert_eq!(outbox.respond(frame(4)), Err(Closed::Lagging));
}

#[test]
fn too_many_bytes_close_it_as_lagging() {
    let outbox = outbox(100, 2 * frame(1).weight());
    for number in 1..=3 {
        outbox.push(frame(number)).expect("room");
    }
    assert_eq!(outbox.push(frame(4)), Err(Closed::Lagging));
}

#[test]
fn what_was_taken_no_longer_counts() {
    let outbox = outbox(1, 10_000);
    for number in 0..100 {
        outbox.push(frame(number)).expect("room");
        assert_eq!(taken(&outbox), Some(number.to_string()));
    }
}

#[test]
fn what_is_put_back_comes_first() {
    let outbox = outbox(10, 10_000);
    outbox.push(frame(2)).expect("room");
    outbox.put_back(frame(1));
    assert_eq!(taken(&outbox).as_deref(), Some("1"));
    assert_eq!(taken(&outbox).as_deref(), Some("2"));
}

#[test]
fn at_shutdown_what_waits_is_still_sent() {
    let outbox = outbox(10, 10_000);
    outbox.push(frame(1)).expect("room");
    outbox.close(Closed::ShuttingDown);
    assert_eq!(outbox.push(frame(2)), Err(Closed::ShuttingDown));
    assert_eq!(taken(&outbox).as_deref(), Some("1"));
    assert!(matches!(outbox.take(), Next::Closed(Closed::ShuttingDown)));
}

#[tokio::test]
async fn half_full_it_is_crowded_until_it_is_emptied() {
    let outbox = outbox(4, 10_000);
    for number in 0..2 {
        assert_eq!(outbox.push(frame(number)), Ok(Pressure::Normal));
    }
    assert_eq!(outbox.push(frame(2)), Ok(Pressure::High));
    taken(&outbox);
    outbox.eased().await;
}

#[tokio::test]
async fn whoever_waits_for_the_client_is_not_waited_for() {
    let outbox = outbox(4, 10_000);
    let awaiting = outbox.await_client();
    for number in 0..3 {
        assert_eq!(outbox.push(frame(number)), Ok(Pressure::Normal));
    }
    outbox.eased().await;
    drop(awaiting);
    assert_eq!(outbox.push(frame(3)), Ok(Pressure::High));
    outbox.close(Closed::Gone);
    outbox.eased().await;
}

#[tokio::test]
async fn all_who_wait_for_it_to_be_emptied_go_on() {
    let outbox = outbox(4, 10_000);
    for number in 0..3 {
        outbox.push(frame(number)).expect("room");
    }
    assert!(outbox.is_crowded());
    let waiting = join(outbox.eased(), join(outbox.eased(), outbox.eased()));
    join(waiting, async { taken(&outbox) }).await;
    assert!(!outbox.is_crowded());
}

#[tokio::test]
async fn answers_hold_up_requests_and_not_news() {
    let outbox = outbox(10, 10_000);
    let large = Outgoing::bare(Body::from_json("x".repeat(RESPONSES_BEFORE_WAIT)));
    outbox.respond(large).expect("room");
    outbox.push(frame(1)).expect("answers leave room for news");
    assert!(outbox.delays_requests());
    taken(&outbox);
    outbox.has_room().await;
}

#[test]
fn what_a_connection_begins_with_comes_before_everything() {
    let outbox = outbox(10, 10_000);
    outbox.push(frame(3)).expect("room");
    outbox.respond_first(vec![frame(1), frame(2)]);
    let all: Vec<_> = std::iter::from_fn(|| taken(&outbox)).collect();
    assert_eq!(all, ["1", "2", "3"]);
    outbox.close(Closed::Gone);
    outbox.respond_first(vec![frame(4)]);
    assert!(matches!(outbox.take(), Next::Closed(Closed::Gone)));
}

fn counted(frames: usize) -> (Outbox, Gauge) {
    let waiting = Gauge::default();
    (outbox(frames, 10_000).counted_in(waiting.clone()), waiting)
}

#[test]
fn what_waits_is_counted_until_it_is_taken_or_dropped() {
    let (outbox, waiting) = counted(10);
    let one = weight(&frame(1));
    outbox.push(frame(1)).expect("room");
    outbox.respond(frame(2)).expect("room");
    outbox.respond_first(vec![frame(0)]);
    assert_eq!(waiting.get(), 3 * one);
    assert_eq!(taken(&outbox).as_deref(), Some("0"));
    assert_eq!(waiting.get(), 2 * one);
    let Next::Frame(taken) = outbox.take() else {
        panic!("there was one");
    };
    assert_eq!(waiting.get(), one);
    outbox.put_back(taken);
    assert_eq!(waiting.get(), 2 * one);
    outbox.close(Closed::ShuttingDown);
    assert_eq!(waiting.get(), 2 * one);
    outbox.close(Closed::Gone);
    assert_eq!(waiting.get(), 0);
    drop(outbox);
    assert_eq!(waiting.get(), 0);
}

#[test]
fn what_a_lagging_client_loses_does_not_wait_any_more() {
    let (outbox, waiting) = counted(1);
    outbox.push(frame(1)).expect("room");
    assert_eq!(outbox.push(frame(2)), Err(Closed::Lagging));
    assert_eq!(waiting.get(), 0);
}

#[test]
fn what_an_outbox_holds_goes_with_it() {
    let (outbox, waiting) = counted(10);
    outbox.push(frame(1)).expect("room");
    drop(outbox);
    assert_eq!(waiting.get(), 0);
}

#[test]
fn messages_that_were_taken_are_told_with_the_age_of_the_oldest() {
    let outbox = outbox(10, 10_000);
    let first = Instant::now();
    let second = first + std::time::Duration::from_secs(1);
    outbox.deliver(frame(1), first).expect("room");
    outbox.push(frame(2)).expect("room");
    outbox.deliver(frame(3), second).expect("room");
    assert!(outbox.written().is_none());
    let all: Vec<_> = std::iter::from_fn(|| taken(&outbox)).collect();
    assert_eq!(all, ["1", "2", "3"]);
    let written = outbox.written().expect("two of them are messages");
    assert_eq!((written.oldest, written.messages), (first, 2));
    assert!(outbox.written().is_none());
}
