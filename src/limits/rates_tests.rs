//! Every pace against its documented numbers, on a clock that only the test moves.
//! Does not wait.

use std::time::Duration;

use governor::clock::FakeRelativeClock;
use proptest::prelude::*;

use super::*;

fn rate(per_second: u32, burst: u32) -> Rate {
    Rate {
        per_second: NonZeroU32::new(per_second).expect("not zero"),
        burst: NonZeroU32::new(burst).expect("not zero"),
    }
}

fn pace(per_second: u32, burst: u32) -> (Pace<FakeRelativeClock>, FakeRelativeClock) {
    let clock = FakeRelativeClock::default();
    (Pace::new(rate(per_second, burst), clock.clone()), clock)
}

fn somebody(number: u8) -> Payer {
    Payer::Address(IpAddr::from([10, 0, 0, number]))
}

proptest! {
    #[test]
    fn no_more_pass_than_a_burst_and_what_has_come_back(
        per_second in 1_u32..2000,
        burst in 1_u32..300,
        turns in proptest::collection::vec((0_u64..3_000, 0_usize..400), 1..20),
    ) {
        let (pace, clock) = pace(per_second, burst);
        let gauge = pace.gauge();
        let (mut elapsed, mut passed) = (0_u64, 0_u64);
        for (wait, tries) in turns {
            clock.advance(Duration::from_millis(wait));
            elapsed += wait;
            for _ in 0..tries {
                passed += u64::from(pace.take(Some(somebody(1)), Some(&gauge)).is_ok());
            }
            let back = elapsed * u64::from(per_second) / 1000;
            prop_assert!(passed <= u64::from(burst) + back);
        }
    }

    #[test]
    fn a_whole_burst_passes_after_silence_and_one_more_does_not(
        per_second in 1_u32..2000,
        burst in 1_u32..300,
    ) {
        let (pace, clock) = pace(per_second, burst);
        let gauge = pace.gauge();
        for _ in 0..3 {
            for _ in 0..burst {
                prop_assert!(pace.take(Some(somebody(1)), Some(&gauge)).is_ok());
            }
            prop_assert!(pace.take(Some(somebody(1)), Some(&gauge)).is_err());
            clock.advance(Duration::from_secs(u64::from(burst.div_ceil(per_second)) + 1));
        }
    }

    #[test]
    fn who_waits_as_long_as_retry_after_names_passes_and_no_earlier(
        per_second in 1_u32..500,
        burst in 1_u32..50,
    ) {
        let (pace, clock) = pace(per_second, burst);
        let gauge = pace.gauge();
        while pace.take(None, Some(&gauge)).is_ok() {}
        let over = pace.take(None, Some(&gauge)).expect_err("empty");
        prop_assert!(over.retry_after_ms <= 1000_u64.div_ceil(u64::from(per_second)));
        if over.retry_after_ms > 1 {
            clock.advance(Duration::from_millis(over.retry_after_ms - 1));
            prop_assert!(pace.take(None, Some(&gauge)).is_err());
            clock.advance(Duration::from_millis(1));
        } else {
            clock.advance(Duration::from_millis(over.retry_after_ms));
        }
        prop_assert!(pace.take(None, Some(&gauge)).is_ok());
    }

    #[test]
    fn ten_bursts_of_refusals_are_borne_and_then_no_more(
        per_second in 1_u32..500,
        burst in 1_u32..50,
    ) {
        let (pace, _clock) = pace(per_second, burst);
        let gauge = pace.gauge();
        for _ in 0..burst {
            prop_assert!(pace.take(Some(somebody(1)), Some(&gauge)).is_ok());
        }
        for _ in 0..10 * burst {
            let over = pace.take(Some(somebody(1)), Some(&gauge)).expect_err("empty");
            prop_assert_eq!(over.verdict, Verdict::Refuse);
        }
        let over = pace.take(Some(somebody(1)), Some(&gauge)).expect_err("empty");
        prop_assert_eq!(over.verdict, Verdict::Close);
    }

    #[test]
    fn connections_of_one_payer_share_and_others_do_not(burst in 1_u32..100, others in 1_u8..5) {
        let (pace, _clock) = pace(1, burst);
        let gauges = [pace.gauge(), pace.gauge()];
        let taken = (0..2 * burst).filter(|turn| {
            let gauge = &gauges[usize::from(turn % 2 == 1)];
            pace.take(Some(somebody(0)), Some(gauge)).is_ok()
        });
        prop_assert_eq!(taken.count(), usize::try_from(burst).expect("a number"));
        for other in 1..=others {
            prop_assert!(pace.take(Some(somebody(other)), None).is_ok());
        }
    }
}

#[test]
fn who_has_been_silent_for_long_is_forgotten() {
    let (pace, clock) = pace(10, 20);
    for number in 0..100 {
        pace.take(Some(somebody(number)), None).expect("a token");
    }
    pace.sweep();
    assert_eq!(pace.payers(), 100);
    clock.advance(Duration::from_mins(1));
    pace.sweep();
    assert_eq!(pace.payers(), 0);
}

#[test]
fn a_rate_is_two_numbers() {
    assert_eq!("20:100".parse(), Ok(rate(20, 100)));
    assert_eq!("1000000:1".parse(), Ok(rate(1_000_000, 1)));
    for wrong in [
        "",
        "20",
        "20:",
        ":20",
        "0:1",
        "1:0",
        "-1:1",
        "1:1000001",
        "1:1:1",
        "1.5:2",
    ] {
        assert!(wrong.parse::<Rate>().is_err(), "{wrong}");
    }
}

/// Takes tokens until there are none, and returns how many there were.
fn rest(
    pace: &Pace<FakeRelativeClock>,
    payer: Option<Payer>,
    gauge: &Gauge<FakeRelativeClock>,
) -> u32 {
    let tries = (0..10_000).take_while(|_| pace.take(payer, Some(gauge)).is_ok());
    u32::try_from(tries.count()).expect("few")
}

#[test]
fn a_charge_takes_tokens_and_at_most_a_fifth_of_a_burst() {
    for payer in [Some(somebody(1)), None] {
        for (charged, left) in [(0, 500), (7, 493), (100, 400), (1_000_000, 400)] {
            let (pace, _) = pace(100, 500);
            let gauge = pace.gauge();
            assert_eq!(pace.charge(payer, Some(&gauge), charged), 0);
            assert_eq!(rest(&pace, payer, &gauge), left, "{charged}");
        }
    }
}

#[test]
fn what_is_missing_is_owed_and_nothing_passes_before_it_is_paid() {
    for payer in [Some(somebody(1)), None] {
        let (pace, clock) = pace(100, 500);
        let gauge = pace.gauge();
        for _ in 0..4 {
            assert_eq!(pace.charge(payer, Some(&gauge), 100), 0);
        }
        for _ in 0..70 {
            assert!(pace.take(payer, Some(&gauge)).is_ok());
        }
        assert_eq!(pace.charge(payer, Some(&gauge), 100), 70);
        let over = pace.take(payer, Some(&gauge)).expect_err("owed");
        assert_eq!((over.retry_after_ms, over.verdict), (710, Verdict::Refuse));
        pace.sweep();
        clock.advance(Duration::from_millis(699));
        assert!(pace.take(payer, Some(&gauge)).is_err());
        clock.advance(Duration::from_millis(11));
        assert!(pace.take(payer, Some(&gauge)).is_ok());
        assert!(pace.take(payer, Some(&gauge)).is_err());
    }
}

#[test]
fn a_debt_has_an_end_and_is_forgotten_when_it_is_paid() {
    let (pace, clock) = pace(100, 500);
    let payer = Some(somebody(1));
    for _ in 0..1000 {
        pace.charge(payer, None, 100);
    }
    assert_eq!(pace.charge(payer, None, 0), 500);
    assert_eq!(pace.debts.lock().len(), 1);
    clock.advance(Duration::from_secs(5));
    pace.sweep();
    assert!(pace.debts.lock().is_empty());
    clock.advance(Duration::from_millis(10));
    assert!(pace.take(payer, None).is_ok());
}

#[test]
fn a_charge_to_a_user_is_not_one_to_others() {
    let (pace, _) = pace(100, 500);
    let gauge = pace.gauge();
    for _ in 0..6 {
        pace.charge(Some(somebody(1)), Some(&gauge), 100);
    }
    assert!(pace.take(Some(somebody(1)), Some(&gauge)).is_err());
    assert!(pace.take(Some(somebody(2)), Some(&gauge)).is_ok());
}

#[test]
fn the_smallest_rate_is_charged_one_token() {
    let (pace, _) = pace(1, 1);
    assert_eq!(pace.charge(Some(somebody(1)), None, 1000), 0);
    assert!(pace.take(Some(somebody(1)), None).is_err());
}
