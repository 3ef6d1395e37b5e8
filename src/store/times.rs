//! Times as stores keep them: whole milliseconds since 1970.
//! Does not know where they are kept.

use jiff::Timestamp;

/// The last one that can be read as a time again: [`Timestamp::MAX`] lies in a later one.
const LAST: i64 = 253_402_207_200_000;

/// The millisecond in which a time lies, or the last one.
pub(super) fn millisecond(at: Timestamp) -> i64 {
    at.as_millisecond().min(LAST)
}

#[cfg(test)]
#[test]
fn every_time_can_be_read_again() {
    for at in [Timestamp::MIN, Timestamp::UNIX_EPOCH, Timestamp::MAX] {
        assert!(Timestamp::from_millisecond(millisecond(at)).is_ok(), "{at}");
    }
    assert!(Timestamp::from_millisecond(LAST + 1).is_err());
}
