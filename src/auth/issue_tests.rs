//! The promises of `authenticate` about the time of issue. Does not know revocations.

use serde_json::json;

use super::tests::{NOW, judged};
use super::*;

#[test]
fn a_token_of_the_future_is_refused() {
    for iat in [json!(NOW + 6), json!(1_800_000_005.5), json!(1e300)] {
        let refused = judged(&json!({ "iat": iat }));
        assert!(matches!(refused, Err(Refusal::NotYetIssued(_))), "{iat}");
    }
    let refused = judged(&json!({ "iat": NOW + 60 })).expect_err("too early");
    let why = "the token was issued in the future, at 2027-01-15T08:01:00Z";
    assert_eq!(refused.to_string(), why);
}

#[test]
fn the_clock_of_the_issuer_may_be_a_little_ahead() {
    for iat in [-1, 0, NOW - 3600, NOW, NOW + 5] {
        let caller = judged(&json!({ "iat": iat })).expect("valid");
        assert_eq!(caller.issued_at, Timestamp::from_second(iat).ok());
    }
}

#[test]
fn an_unreadable_time_of_issue_is_none() {
    for iat in [json!(null), json!("soon"), json!(true)] {
        let caller = judged(&json!({ "iat": iat })).expect("valid");
        assert_eq!(caller.issued_at, None);
    }
}
