//! Timestamps as clients write them, and as they are written to clients.
//! Does not know time zones: a day is one in UTC here.

use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::fmt::temporal::Pieces;
use jiff::tz::TimeZone;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serializer};

use super::decode::Text;

/// The error of a text that is no [`Moment`].
pub const NO_MOMENT: &str = "must be an RFC 3339 time or a date";

/// A point in time, or a whole day in UTC.
#[derive(Debug, Clone, Copy)]
pub enum Moment {
    /// The point.
    At(Timestamp),
    /// The day.
    On(Date),
}

impl Moment {
    /// The earliest instant that it stands for.
    pub fn first(self) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::On(day) => utc(day.at(0, 0, 0, 0), Timestamp::MIN),
        }
    }

    /// The latest instant that it stands for.
    pub fn last(self) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::On(day) => utc(day.at(23, 59, 59, 999_999_999), Timestamp::MAX),
        }
    }
}

impl FromStr for Moment {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const DATE: usize = "2025-03-01".len();
        if text.len() == DATE {
            text.parse().map(Self::On)
        } else {
            let at = text.parse().or_else(|error| beyond(text).ok_or(error));
            at.map(Self::At)
        }
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Text(text) = Text::deserialize(deserializer)?;
        text.parse().map_err(|_| D::Error::custom(NO_MOMENT))
    }
}

/// The last hours of the year 9999 are a time, but one that no timestamp can hold.
fn beyond(text: &str) -> Option<Timestamp> {
    let pieces = Pieces::parse(text).ok()?;
    let moment = pieces.date().to_datetime(pieces.time()?);
    let held = pieces.to_numeric_offset()?.to_timestamp(moment).is_ok();
    (!held && moment.year() > 0).then_some(Timestamp::MAX)
}

/// RFC 3339 in UTC with milliseconds: `2025-03-01T13:51:53.285Z`.
pub fn time<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{at:.3}"))
}

/// The same, or null.
#[expect(clippy::ref_option, reason = "as serde calls it")]
pub fn optional_time<S: Serializer>(
    at: &Option<Timestamp>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => time(at, serializer),
        None => serializer.serialize_none(),
    }
}

/// The days at the ends of time have instants that no timestamp can hold.
fn utc(moment: DateTime, beyond: Timestamp) -> Timestamp {
    let zoned = TimeZone::UTC.to_timestamp(moment);
    zoned.unwrap_or(beyond)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Moment> {
        text.parse().ok()
    }

    #[test]
    fn a_day_lasts_from_midnight_to_midnight() {
        let first = read("2025-03-01").map(Moment::first);
        assert_eq!(first, "2025-03-01T00:00:00Z".parse().ok());
        let last = read("2025-03-01").map(Moment::last);
        assert_eq!(last, "2025-03-01T23:59:59.999999999Z".parse().ok());
        assert_eq!(read("9999-12-31").map(Moment::last), Some(Timestamp::MAX));
    }

    #[test]
    fn the_last_time_of_all_is_one() {
        let last = read("9999-12-31T23:59:59Z").map(Moment::first);
        assert_eq!(last, Some(Timestamp::MAX));
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "now",
            "2025-02-30",
            "2025-03-01T10:00:00",
            "2025-03-01T25:00:00Z",
        ] {
            assert!(read(text).is_none(), "{text}");
        }
    }
}
