//! Fuzz targets for the pairing of numbers, and for ids.
//! Does not run the targets: `crate::fuzz` does.

use super::{ChatId, pair, unpair};
use crate::fuzz::Target;

/// Every target of this module.
pub const TARGETS: &[Target] = &[PAIR, ID];

const PAIR: Target = Target {
    name: "pair",
    check: |input| {
        let text = String::from_utf8_lossy(input);
        let numbers: Vec<i64> = text
            .split(' ')
            .filter_map(|text| text.parse().ok())
            .collect();
        for &one in &numbers {
            if let Some((a, b)) = unpair(one) {
                assert_eq!(pair(a, b), Some(one));
            }
            for &other in &numbers {
                if let Some(paired) = pair(one, other) {
                    assert_eq!(unpair(paired), Some((one, other)));
                    assert!((0..1 << 53).contains(&paired));
                }
            }
        }
    },
};

const ID: Target = Target {
    name: "id",
    check: |input| {
        let text = String::from_utf8_lossy(input);
        if let Ok(id) = text.parse::<ChatId>() {
            assert_eq!(id.to_string(), text.to_lowercase());
        }
    },
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzz::mutator::{bytes, text};
    use crate::fuzz::run;

    #[test]
    fn pairs() {
        let inputs = text(&[
            "0 1",
            "1 0",
            "94906264 94906265",
            "94906266 0",
            "9007199254740991 9007199254740992",
            "9223372036854775807 -9223372036854775808",
        ]);
        run(&PAIR, &bytes(inputs));
    }

    #[test]
    fn ids() {
        let inputs = text(&[
            "01a20107-7bba-7000-8000-00000000000A",
            "{01a20107-7bba-7000-8000-000000000001}",
            "urn:uuid:01a20107-7bba-7000-8000-000000000001",
            "01a201077bba70008000000000000001",
        ]);
        run(&ID, &bytes(inputs));
    }
}
