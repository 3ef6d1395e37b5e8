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
    fn who_waits_as_long_as_was_said_passes_and_no_earlier(
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
