//! Gaps, silence and own batches, with instants that the tests choose.
//! Does not wait.

use super::*;

fn node(number: u8) -> NodeId {
    NodeId::from_bytes([number; 16])
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn is_alone(peers: &Peers, hears_itself: bool, now: Instant) -> bool {
    let mut found = None;
    peers.judge_alone(hears_itself, now, |alone| found = Some(alone));
    found.expect("a judgement")
}

#[test]
fn a_batch_that_is_not_the_next_one_is_a_gap() {
    let start = Instant::now();
    let peers = Peers::new(node(0), start);
    let arrivals = [
        (1, 1, true, false),
        (1, 2, false, false),
        (1, 4, false, true),
        // It was late.
        (1, 3, false, true),
        (1, 5, false, false),
        (2, 2, true, true),
        (2, 3, false, false),
    ];
    for (number, n, is_new, has_gap) in arrivals {
        let arrival = peers.heard(node(number), n, start);
        assert_eq!(arrival, Arrival { is_new, has_gap }, "{number} {n}");
    }
    assert_eq!(peers.gaps(), 3);
}

#[test]
fn one_resync_makes_up_for_all_that_was_missed_while_the_link_was_broken() {
    let start = Instant::now();
    let peers = Peers::new(node(0), start);
    for number in [1, 2] {
        peers.heard(node(number), 1, start);
    }
    peers.reopened();
    for (number, n, has_gap) in [(1, 9, false), (2, 2, false), (1, 11, true), (2, 3, false)] {
        let arrival = peers.heard(node(number), n, start);
        assert_eq!(arrival.has_gap, has_gap, "{number} {n}");
    }
}

#[test]
fn a_silent_node_is_noticed_once_and_again_when_it_is_forgotten() {
    let start = Instant::now();
    let peers = Peers::new(node(0), start);
    peers.heard(node(1), 1, start);
    let noticed = |from: u64, to: u64| {
        let times = (from..=to).filter(|second| peers.has_silent(start + seconds(*second)));
        times.collect::<Vec<_>>()
    };
    assert_eq!(noticed(0, 8), [4]);
    peers.heard(node(1), 2, start + seconds(8));
    assert_eq!(noticed(9, 30), [12, 21]);
    let arrival = peers.heard(node(1), 3, start + seconds(31));
    assert!(arrival.is_new && arrival.has_gap, "{arrival:?}");
}

#[test]
fn a_node_that_said_that_it_ends_is_not_missed() {
    let start = Instant::now();
    let peers = Peers::new(node(0), start);
    peers.heard(node(1), 1, start);
    peers.forget(node(1));
    assert!(!(0..30).any(|second| peers.has_silent(start + seconds(second))));
    assert_eq!((peers.heard_now(start), peers.count()), (0, 1));
}

#[test]
fn only_expected_nodes_must_be_heard() {
    let start = Instant::now();
    let peers = Peers::new(node(0), start);
    assert!(peers.all_heard(start));
    peers.expect(&[node(0), node(1)]);
    assert!(!peers.all_heard(start));
    peers.heard(node(1), 7, start);
    peers.heard(node(2), 7, start);
    assert!(peers.all_heard(start + seconds(2)));
    assert!(!peers.all_heard(start + seconds(4)));
    peers.expect(&[node(0)]);
    assert!(peers.all_heard(start + seconds(4)));
}

#[test]
fn a_node_is_alone_when_it_would_have_heard_another() {
    let start = Instant::now();
    let peers = Peers::new(node(0), start);
    assert!(!is_alone(&peers, true, start + seconds(9)));
    assert!(is_alone(&peers, true, start + seconds(11)));
    assert!(!is_alone(&peers, false, start + seconds(11)));
    peers.expect(&[node(0), node(1)]);
    assert!(!is_alone(&peers, true, start + seconds(11)));
    peers.expect(&[node(0)]);
    peers.heard(node(1), 1, start + seconds(11));
    peers.forget(node(1));
    assert!(!is_alone(&peers, true, start + seconds(20)));
    assert!(is_alone(&peers, true, start + seconds(22)));
}

#[test]
fn an_own_batch_is_known_by_its_number() {
    let start = Instant::now();
    let peers = Peers::new(node(0), start);
    for n in 1..=4 {
        peers.sending(n, start + seconds(n));
    }
    // The first one was lost.
    let now = start + seconds(9);
    assert_eq!(peers.own_heard(2, now), Some(start + seconds(2)));
    assert_eq!(peers.lag(now), seconds(7));
    // The third one is under way since then.
    assert_eq!(peers.lag(start + seconds(20)), seconds(17));
    assert_eq!(peers.own_heard(2, now), None);
    assert_eq!(peers.own_heard(1, now), None);
    assert_eq!(peers.own_heard(4, now), Some(start + seconds(4)));
}
