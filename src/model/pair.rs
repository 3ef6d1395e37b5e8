//! One integer for two: the integer ids of messages (docs/protocols/README.md).
//! Does not know the meaning of the two values.

use super::MAX_ID;

/// Szudzik's pairing: `b * b + a` if `a < b`, else `a * a + a + b`. Grows with `b` for a given
/// `a`, and no two pairs share a number. `None`: an argument is negative, or the number would
/// not fit into a JavaScript integer.
pub fn pair(a: i64, b: i64) -> Option<i64> {
    if a < 0 || b < 0 {
        return None;
    }
    let paired = if a < b {
        b.checked_mul(b)?.checked_add(a)?
    } else {
        a.checked_mul(a)?.checked_add(a)?.checked_add(b)?
    };
    (paired <= MAX_ID).then_some(paired)
}

/// The pair that [`pair`] made this number of. `None`: it made no such number.
pub fn unpair(paired: i64) -> Option<(i64, i64)> {
    if !(0..=MAX_ID).contains(&paired) {
        return None;
    }
    let root = paired.isqrt();
    let rest = paired - root * root;
    Some(if rest < root {
        (rest, root)
    } else {
        (root, rest - root)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The greatest number of which every pair fits.
    const SIDE: i64 = 94_906_264;

    proptest! {
        #[test]
        fn every_pair_comes_back(a in 0..=SIDE, b in 0..=SIDE) {
            let paired = pair(a, b).expect("it fits");
            prop_assert_eq!(unpair(paired), Some((a, b)));
        }

        #[test]
        fn every_number_comes_back(paired in 0..=MAX_ID) {
            let (a, b) = unpair(paired).expect("a number that fits");
            prop_assert_eq!(pair(a, b), Some(paired));
        }

        #[test]
        fn the_number_grows_inside_a_chat(a in 0..SIDE, b in 0..SIDE) {
            prop_assert!(pair(a, b) < pair(a, b + 1));
        }

        #[test]
        fn nothing_is_ever_wrapped(a: i64, b: i64) {
            if let Some(paired) = pair(a, b) {
                prop_assert_eq!(unpair(paired), Some((a, b)));
            }
            let _ = unpair(a);
        }
    }

    #[test]
    fn what_does_not_fit_is_none() {
        assert_eq!(pair(0, 1 << 30), None);
        assert_eq!(pair(-1, 1), None);
        assert_eq!(unpair(-1), None);
        assert_eq!(unpair(MAX_ID + 1), None);
        assert!(pair(SIDE, SIDE).is_some());
    }
}
