//! The promises of an outbox to its producers and its writer.

use futures_util::FutureExt;
use futures_util::future::{join, join_all};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::hub::Body;

fn frame(number: usize) -> Outgoing {
    Outgoing::bare(Body::from_json(number.to_string()))
}

fn outbox(frames: usize, bytes: usize) -> Outbox {
    Outbox::new(OutboxLimits { frames, bytes })
}

fn taken(outbox: &Outbox) -> Option<String> {
    let frame = outbox.try_next()?;
    Some(frame.body.as_str().to_owned())
}

/// Takes nothing; answers why.
fn drained(outbox: &Outbox) -> Drained {
    let context = Context::from_waker(Waker::noop());
    outbox.take(&context, &mut |frame| panic!("{frame:?} waits"))
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
    assert_eq!(outbox.push(frame(3)), Err(CloseReason::Lagging));
    assert!(matches!(
        drained(&outbox),
        Drained::Closed(CloseReason::Lagging)
    ));
    assert_eq!(outbox.respond(frame(4)), Err(CloseReason::Lagging));
}

#[test]
fn too_many_bytes_close_it_as_lagging() {
    let outbox = outbox(100, 2 * frame(1).weight());
    for number in 1..=3 {
        outbox.push(frame(number)).expect("room");
    }
    assert_eq!(outbox.push(frame(4)), Err(CloseReason::Lagging));
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
fn frames_are_taken_until_the_sink_has_enough() {
    let outbox = outbox(10, 10_000);
    for number in 0..5 {
        outbox.push(frame(number)).expect("room");
    }
    let mut taken = 0;
    let context = Context::from_waker(Waker::noop());
    let drained = outbox.take(&context, &mut |_| {
        taken += 1;
        if taken == 3 {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    });
    assert_eq!((taken, drained), (3, Drained::Enough));
    assert!(!outbox.is_empty());
}

#[tokio::test]
async fn a_wait_for_frames_is_woken_by_one_and_by_the_end() {
    let outbox = outbox(10, 10_000);
    let push = async { outbox.push(frame(1)).expect("room") };
    let (next, _) = join(outbox.next(), push).await;
    assert!(next.is_ok());
    let close = async { outbox.close(CloseReason::Expired) };
    let (next, _) = join(outbox.next(), close).await;
    assert!(matches!(next, Err(CloseReason::Expired)));
}

#[test]
fn a_wait_for_the_client_is_woken_by_the_end_only() {
    struct Woken(std::sync::atomic::AtomicBool);
    impl std::task::Wake for Woken {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    }
    let woken = Arc::new(Woken(false.into()));
    let is_woken = || woken.0.load(std::sync::atomic::Ordering::Relaxed);
    let waker = Arc::clone(&woken).into();
    let outbox = outbox(1, 10_000);
    assert_eq!(outbox.await_client(&Context::from_waker(&waker)), None);
    outbox.push(frame(1)).expect("room");
    assert!(!is_woken());
    assert_eq!(outbox.push(frame(2)), Err(CloseReason::Lagging));
    assert!(is_woken());
    let closed = outbox.await_client(&Context::from_waker(&waker));
    assert_eq!(closed, Some(CloseReason::Lagging));
}

#[test]
fn at_shutdown_what_waits_is_still_sent() {
    let outbox = outbox(10, 10_000);
    outbox.push(frame(1)).expect("room");
    outbox.close(CloseReason::ShuttingDown);
    assert_eq!(outbox.push(frame(2)), Err(CloseReason::ShuttingDown));
    assert_eq!(taken(&outbox).as_deref(), Some("1"));
    assert!(matches!(
        drained(&outbox),
        Drained::Closed(CloseReason::ShuttingDown)
    ));
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
async fn a_writer_that_waits_for_the_client_is_not_waited_for() {
    let outbox = outbox(4, 10_000);
    let context = Context::from_waker(Waker::noop());
    assert_eq!(outbox.await_client(&context), None);
    for number in 0..3 {
        assert_eq!(outbox.push(frame(number)), Ok(Pressure::Normal));
    }
    outbox.eased().await;
    assert_eq!(taken(&outbox).as_deref(), Some("0"));
    assert_eq!(outbox.push(frame(3)), Ok(Pressure::High));
    outbox.close(CloseReason::Gone);
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
    let large = Outgoing::bare(Body::from_json("x".repeat(10_000 / RESPONSES_BEFORE_WAIT)));
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
    outbox.close(CloseReason::Gone);
    outbox.respond_first(vec![frame(4)]);
    assert!(matches!(
        drained(&outbox),
        Drained::Closed(CloseReason::Gone)
    ));
}

fn counted(frames: usize) -> (Outbox, Gauge) {
    let waiting = Gauge::default();
    (outbox(frames, 10_000).counted_in(waiting.clone()), waiting)
}

#[test]
fn what_waits_is_counted_until_it_is_written_or_dropped() {
    let (outbox, waiting) = counted(10);
    let one = i64::try_from(frame(1).weight()).expect("few");
    outbox.push(frame(1)).expect("room");
    outbox.respond(frame(2)).expect("room");
    outbox.respond_first(vec![frame(0)]);
    assert_eq!(waiting.get(), 3 * one);
    assert_eq!(taken(&outbox).as_deref(), Some("0"));
    assert_eq!(taken(&outbox).as_deref(), Some("1"));
    assert_eq!(waiting.get(), 3 * one, "they are being written");
    outbox.written();
    assert_eq!(waiting.get(), one);
    outbox.close(CloseReason::ShuttingDown);
    assert_eq!(waiting.get(), one);
    outbox.close(CloseReason::Gone);
    assert_eq!(waiting.get(), 0);
    drop(outbox);
    assert_eq!(waiting.get(), 0);
}

/// What a future has now.
fn now<F: Future + ?Sized>(future: &mut std::pin::Pin<Box<F>>) -> Option<F::Output> {
    future.as_mut().now_or_never()
}

fn page() -> Outgoing {
    Outgoing::bare(Body::from_json("x".repeat(1000)))
}

/// Outboxes of one user, each with room for two pages of news.
fn outboxes_of_one_user(count: usize) -> (Vec<Outbox>, Arc<UserTotal>) {
    let user = Arc::new(UserTotal::default());
    let new = || {
        let outbox = outbox(100, page().weight() * 2);
        outbox.count_for(Some(Arc::clone(&user)));
        outbox
    };
    ((0..count).map(|_| new()).collect(), user)
}

#[test]
fn too_much_news_for_all_connections_of_a_user_closes_those_that_hold_much() {
    let (outboxes, _user) = outboxes_of_one_user(12);
    let (few, much) = outboxes.split_at(1);
    few[0].push(frame(1)).expect("room");
    let results = much
        .iter()
        .map(|outbox| (outbox.push(page()), outbox.push(page())));
    let results: Vec<_> = results.collect();
    // Of four full outboxes there is room for the last page of one, and for one each.
    let refused = results.iter().filter(|(_, second)| second.is_err()).count();
    assert!(results.iter().all(|(first, _)| first.is_ok()));
    assert!((6..=8).contains(&refused), "{refused}");
    few[0].push(frame(2)).expect("it holds little");
    few[0].respond(page()).expect("responses are delayed");
    assert!(much.last().expect("one").closed().is_some());
}

#[tokio::test]
async fn a_long_response_waits_until_the_other_connections_of_the_user_have_written_theirs() {
    let (outboxes, user) = outboxes_of_one_user(2);
    let [stuck, waiting] = &outboxes[..] else {
        panic!("two")
    };
    // As much as is reserved for a long response.
    let reserved: Vec<_> = join_all((0..8).map(|_| waiting.reserve())).await;
    assert_eq!(reserved.iter().flatten().count(), 8);
    let mut ninth = Box::pin(stuck.reserve());
    assert!(now(&mut ninth).is_none(), "{user:?}");
    drop(reserved);
    assert!(matches!(now(&mut ninth), Some(Some(_))), "{user:?}");
    for _ in 0..9 {
        stuck.respond_first(vec![page()]);
    }
    while taken(stuck).is_some() {}
    let mut late = Box::pin(waiting.reserve());
    assert!(now(&mut late).is_none(), "they are being written");
    stuck.written();
    assert!(matches!(now(&mut late), Some(Some(_))), "{user:?}");
}

#[tokio::test]
async fn a_connection_that_is_closed_waits_no_longer_for_its_user() {
    let (outboxes, _user) = outboxes_of_one_user(2);
    let held: Vec<_> = join_all((0..8).map(|_| outboxes[0].reserve())).await;
    let mut waiting = Box::pin(outboxes[1].reserve());
    assert!(now(&mut waiting).is_none());
    outboxes[1].close(CloseReason::Gone);
    assert!(matches!(now(&mut waiting), Some(None)));
    assert_eq!(held.len(), 8);
}

/// A step of the history of some outboxes, by the number of one of them.
#[derive(Debug, Clone)]
enum Step {
    Push(usize, usize),
    Respond(usize, usize),
    RespondFirst(usize, usize),
    Take(usize),
    Written(usize),
    Close(usize, CloseReason),
    CountFor(usize, Option<usize>),
    Replace(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let why = prop_oneof![Just(CloseReason::Gone), Just(CloseReason::ShuttingDown)];
    let (one, size) = (0..4_usize, 0..300_usize);
    prop_oneof![
        4 => (one.clone(), size.clone()).prop_map(|(one, size)| Step::Push(one, size)),
        4 => (one.clone(), size.clone()).prop_map(|(one, size)| Step::Respond(one, size)),
        1 => (one.clone(), size).prop_map(|(one, size)| Step::RespondFirst(one, size)),
        4 => one.clone().prop_map(Step::Take),
        1 => one.clone().prop_map(Step::Written),
        1 => (one.clone(), why).prop_map(|(one, why)| Step::Close(one, why)),
        1 => (one.clone(), option::of(0..2_usize)).prop_map(|(one, user)| Step::CountFor(one, user)),
        1 => one.prop_map(Step::Replace),
    ]
}

proptest! {
    #[test]
    fn what_is_counted_is_what_waits(steps in vec(step(), 0..60)) {
        let all = Gauge::default();
        let users = [UserTotal::default(), UserTotal::default()].map(Arc::new);
        let new = || outbox(4, 1000).counted_in(all.clone());
        let mut outboxes: Vec<_> = (0..4).map(|_| (new(), None)).collect();
        let sized = |size| Outgoing::bare(Body::from_json("x".repeat(size)));
        for step in steps {
            // An outbox that is full, or closed, accepts nothing.
            match step {
                Step::Push(one, size) => drop(outboxes[one].0.push(sized(size))),
                Step::Respond(one, size) => drop(outboxes[one].0.respond(sized(size))),
                Step::RespondFirst(one, size) => outboxes[one].0.respond_first(vec![sized(size)]),
                Step::Take(one) => drop(outboxes[one].0.try_next()),
                Step::Written(one) => {
                    let _ = outboxes[one].0.written();
                }
                Step::Close(one, why) => drop(outboxes[one].0.close(why)),
                Step::CountFor(one, user) => {
                    let total = user.map(|user| Arc::clone(&users[user]));
                    outboxes[one].0.count_for(total);
                    outboxes[one].1 = user;
                }
                Step::Replace(one) => outboxes[one] = (new(), None),
            }
            let sum: usize = outboxes.iter().map(|(outbox, _)| outbox.recount()).sum();
            prop_assert_eq!(all.get(), i64::try_from(sum).expect("few"));
            for (user, total) in users.iter().enumerate() {
                let own = outboxes.iter().filter(|(_, of)| *of == Some(user));
                let sum: usize = own.map(|(outbox, _)| outbox.recount()).sum();
                prop_assert_eq!(total.bytes(), sum);
            }
        }
        for (outbox, _) in &outboxes {
            let _ = outbox.written();
        }
        let queued = outboxes.iter().map(|(outbox, _)| outbox.queued()).sum::<usize>();
        prop_assert_eq!(all.get(), i64::try_from(queued).expect("few"));
    }
}

#[test]
fn what_a_lagging_client_loses_does_not_wait_any_more() {
    let (outbox, waiting) = counted(1);
    outbox.push(frame(1)).expect("room");
    assert_eq!(outbox.push(frame(2)), Err(CloseReason::Lagging));
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
fn messages_that_were_written_are_reported_with_the_age_of_the_oldest() {
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
