//! Whole numbers in every spelling that clients use: `2`, `2.0`, `2e0`, `"2"`.
//! Does not know the unit of a number, nor its bounds.

use serde_json::{Number, Value};

/// The whole number that a JSON value spells, as a number or as a text of digits.
pub fn of_json(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => of_number(number),
        Value::String(text) => of_text(text),
        _ => None,
    }
}

/// The whole number that a JSON number spells.
pub fn of_number(number: &Number) -> Option<i64> {
    number.as_i64().or_else(|| of_float(number.as_f64()?))
}

/// The whole number that a text spells: digits with at most a sign before them.
pub fn of_text(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// The whole number that a JSON number with a fraction or an exponent spells. `serde_json` has to
/// read decimals exactly (its feature `float_roundtrip`), or an id might become the next one.
pub fn of_float(number: f64) -> Option<i64> {
    /// One more than the greatest `i64`.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    let is_whole = number.fract() == 0.0 && number.abs() < LIMIT;
    #[expect(clippy::cast_possible_truncation, reason = "nothing is cut off")]
    is_whole.then_some(number as i64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::MAX_ID;

    fn read(json: &str) -> Option<i64> {
        of_json(&serde_json::from_str(json).expect("JSON"))
    }

    #[test]
    fn the_same_number_has_many_spellings() {
        for json in [
            "20", "20.0", "2e1", "2E+1", "0.2e2", "200e-1", "\"20\"", "\"+20\"",
        ] {
            assert_eq!(read(json), Some(20), "{json}");
        }
        for json in ["0", "-0", "0.0", "-0.0", "0e7", "\"0\""] {
            assert_eq!(read(json), Some(0), "{json}");
        }
        assert_eq!(read("1e16"), Some(10_000_000_000_000_000));
        assert_eq!(read(&i64::MAX.to_string()), Some(i64::MAX));
        assert_eq!(read(&i64::MIN.to_string()), Some(i64::MIN));
    }

    #[test]
    fn what_is_no_whole_number_has_none() {
        for json in [
            "1.5",
            "0.1",
            "1e-1",
            "5e-324",
            "1e300",
            "-1e300",
            "9223372036854775808",
            "18446744073709551616",
            "\"\"",
            "\" 1\"",
            "\"1.0\"",
            "\"1e1\"",
            "\"one\"",
            "\"9223372036854775808\"",
            "true",
            "null",
            "[1]",
            "{}",
        ] {
            assert_eq!(read(json), None, "{json}");
        }
    }

    proptest! {
        #[test]
        fn every_id_may_be_written_with_a_fraction_or_an_exponent(id in 0..=MAX_ID) {
            for json in [
                format!("{id}"),
                format!("{id}.0"),
                format!("{id}e0"),
                format!("{id}0e-1"),
                format!("\"{id}\""),
            ] {
                prop_assert_eq!(read(&json), Some(id), "{}", json);
            }
        }
    }
}
