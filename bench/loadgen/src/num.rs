//! Conversions between number types, each with its behavior at the limits.

use std::any::type_name;

/// Converts a count or an index to another integer type. Panics if it is out of range, which would be a bug.
#[inline]
#[track_caller]
pub fn fit<From, To: TryFrom<From>>(number: From) -> To {
    To::try_from(number).unwrap_or_else(|_| panic!("a number that no {} holds", type_name::<To>()))
}

/// The lower 32 bits.
#[inline]
pub fn low(number: u64) -> u32 {
    fit(number & u64::from(u32::MAX))
}

/// The integer part; 0 if negative.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast from a float saturates, which is what is wanted"
)]
pub fn whole(number: f64) -> u64 {
    number as u64
}

/// Seconds in nanoseconds.
#[inline]
pub fn ns(seconds: f64) -> u64 {
    whole(seconds * 1e9)
}
