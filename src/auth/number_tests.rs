//! The promises of `authenticate` about the claim `pk`. Does not know users.

use serde_json::json;

use super::tests::judged;
use super::*;

#[test]
fn a_claimed_number_is_an_integer_id_in_any_spelling_or_not_meant() {
    for (claim, expected) in [
        (json!(14), Some(14)),
        (json!("14"), Some(14)),
        (json!(14.0), Some(14)),
        (json!(1.4e1), Some(14)),
        (json!(MAX_ID), Some(MAX_ID)),
        (json!(null), None),
        (json!(0), None),
        (json!(-1), None),
        (json!(1.5), None),
        (json!(MAX_ID + 1), None),
        (json!("a7f3"), None),
        (json!([14]), None),
    ] {
        let caller = judged(&json!({ "pk": claim })).expect("valid");
        assert_eq!(caller.pk, expected, "{claim}");
    }
    assert_eq!(judged(&json!({})).expect("valid").pk, None);
}
