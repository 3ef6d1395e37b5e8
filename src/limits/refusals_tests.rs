//! The lines of each address, and the sums, on a clock that only the test moves.
//! Does not wait.

use std::net::Ipv4Addr;

use governor::clock::FakeRelativeClock;

use super::*;

fn budgets() -> (RefusalBudgets<FakeRelativeClock>, FakeRelativeClock) {
    let clock = FakeRelativeClock::default();
    (RefusalBudgets::new(clock.clone()), clock)
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn lines(
    budgets: &RefusalBudgets<FakeRelativeClock>,
    client: impl Into<Option<IpAddr>>,
    tries: usize,
) -> usize {
    let client = client.into();
    (0..tries).filter(|_| budgets.take(client)).count()
}

fn sum(address: impl Into<Option<IpAddr>>, count: u64, seconds: u64) -> LeftOut {
    LeftOut {
        address: address.into(),
        count,
        time: Duration::from_secs(seconds),
    }
}

#[test]
fn ten_are_logged_and_one_more_every_six_seconds() {
    let (budgets, clock) = budgets();
    let client = address("192.0.2.1");
    assert_eq!(lines(&budgets, client, 1000), 10);
    clock.advance(Duration::from_millis(5_999));
    assert_eq!(lines(&budgets, client, 1), 0);
    clock.advance(Duration::from_millis(1));
    assert_eq!(lines(&budgets, client, 1000), 1);
    assert_eq!(lines(&budgets, address("192.0.2.2"), 1000), 10);
    assert_eq!(lines(&budgets, address("::ffff:192.0.2.1"), 1), 0);
}

#[test]
fn a_network_of_ipv6_is_one_address() {
    let (budgets, _) = budgets();
    assert_eq!(lines(&budgets, address("2001:db8::1"), 10), 10);
    assert_eq!(lines(&budgets, address("2001:db8::ffff:0:0:2"), 10), 0);
    assert_eq!(lines(&budgets, address("2001:db8:0:1::1"), 10), 10);
    assert_eq!(budgets.all(), [sum(address("2001:db8::"), 10, 0)]);
}

#[test]
fn what_is_left_out_is_summed_up_within_a_minute_and_once() {
    let (budgets, clock) = budgets();
    let client = address("192.0.2.1");
    lines(&budgets, client, 10);
    clock.advance(Duration::from_secs(1));
    lines(&budgets, client, 7);
    clock.advance(Duration::from_secs(44));
    lines(&budgets, client, 20);
    assert_eq!(budgets.due(), []);
    clock.advance(Duration::from_secs(1));
    // Seven were refilled meanwhile.
    assert_eq!(budgets.due(), [sum(client, 7 + 13, 45)]);
    clock.advance(Duration::from_mins(10));
    assert_eq!(budgets.due(), []);
    assert_eq!(budgets.all(), []);
}

#[test]
fn at_the_end_all_are_summed_up() {
    let (budgets, clock) = budgets();
    lines(&budgets, address("192.0.2.1"), 11);
    clock.advance(Duration::from_secs(2));
    assert_eq!(budgets.all(), [sum(address("192.0.2.1"), 1, 2)]);
}

#[test]
fn however_many_addresses_there_are_memory_is_bounded_and_nothing_is_uncounted() {
    let (budgets, clock) = budgets();
    let mut logged = 0;
    for number in 0..100_000_u32 {
        let client = Some(IpAddr::V4(Ipv4Addr::from_bits(number)));
        logged += lines(&budgets, client, 1);
    }
    assert_eq!(budgets.state.lock().by_address.len(), ADDRESSES);
    assert_eq!(logged, ADDRESSES + 10);
    clock.advance(WHOLE);
    let rest = 100_000 - ADDRESSES as u64 - 10;
    assert_eq!(budgets.due(), [sum(None, rest, 60)]);
    assert!(budgets.state.lock().by_address.is_empty());
}

#[test]
fn an_address_whose_refusals_are_not_summed_up_yet_is_not_forgotten() {
    let (budgets, clock) = budgets();
    lines(&budgets, address("192.0.2.1"), 10);
    clock.advance(Duration::from_secs(59));
    assert_eq!(budgets.due(), []);
    assert_eq!(budgets.state.lock().by_address.len(), 1);
    clock.advance(Duration::from_secs(1));
    assert_eq!(budgets.due(), []);
    assert!(budgets.state.lock().by_address.is_empty());
}

#[test]
fn clients_without_an_address_have_one_budget() {
    let (budgets, _) = budgets();
    assert_eq!(lines(&budgets, None, 30), 10);
    assert_eq!(budgets.all(), [sum(None, 20, 0)]);
}
