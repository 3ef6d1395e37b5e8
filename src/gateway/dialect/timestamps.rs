//! Timestamps as clients write them, and as they are written to clients.
//! Does not know time zones: a day is one in UTC here.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::fmt::temporal::Pieces;
use jiff::tz::TimeZone;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serializer};

use super::whole;

/// The error of a value that is no [`Moment`].
pub const NO_MOMENT: &str =
    "must be an RFC 3339 time, a date, YYYY-MM-DD HH:MM:SS in UTC, or milliseconds since 1970";

/// A point in time, or a whole day in UTC.
#[derive(Debug, Clone, Copy)]
pub enum Moment {
    /// The point.
    At(Timestamp),
    /// The day.
    On(Date),
}

impl Moment {
    /// So many milliseconds after the beginning of 1970; `None`: no timestamp can hold it.
    pub fn of_millisecond(millisecond: i64) -> Option<Self> {
        Timestamp::from_millisecond(millisecond).ok().map(Self::At)
    }

    /// The earliest instant that it stands for.
    pub fn first(self) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::On(day) => utc(day.at(0, 0, 0, 0)),
        }
    }

    /// The latest instant that it stands for.
    pub fn last(self) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::On(day) => utc(day.at(23, 59, 59, 999_999_999)),
        }
    }
}

impl FromStr for Moment {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const DATE: usize = "2025-03-01".len();
        if let Some(moment) = digits(text).and_then(Self::of_millisecond) {
            Ok(moment)
        } else if text.len() == DATE {
            text.parse().map(Self::On)
        } else {
            let at = text.parse().or_else(|error| {
                let other = beyond(text).or_else(|| in_utc(text));
                other.ok_or(error)
            });
            at.map(Self::At)
        }
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl Visitor<'_> for Any {
            type Value = Moment;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(NO_MOMENT.trim_start_matches("must be "))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Moment, E> {
                Moment::of_millisecond(number).ok_or_else(|| E::custom(NO_MOMENT))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Moment, E> {
                let number = i64::try_from(number).map_err(|_| E::custom(NO_MOMENT))?;
                self.visit_i64(number)
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Moment, E> {
                let number = whole::of_float(number).ok_or_else(|| E::custom(NO_MOMENT))?;
                self.visit_i64(number)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Moment, E> {
                text.parse().map_err(|_| E::custom(NO_MOMENT))
            }
        }

        deserializer.deserialize_any(Any)
    }
}

/// A whole number, and nothing else.
fn digits(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

/// `2025-03-01 13:51:53`, with or without a fraction of a second.
fn in_utc(text: &str) -> Option<Timestamp> {
    const DATE_AND_TIME: usize = "2025-03-01 13:51:53".len();
    let has_seconds = text.len() == DATE_AND_TIME || text.get(DATE_AND_TIME..)?.starts_with('.');
    let is_alike = has_seconds && text.as_bytes().get(10) == Some(&b' ');
    let moment: DateTime = text.parse().ok().filter(|_| is_alike)?;
    Some(utc(moment))
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

/// The days at the ends of time have instants that no timestamp can hold: the nearest one.
fn utc(moment: DateTime) -> Timestamp {
    let zoned = TimeZone::UTC.to_timestamp(moment);
    zoned.unwrap_or(if moment.year() > 0 {
        Timestamp::MAX
    } else {
        Timestamp::MIN
    })
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
        assert_eq!(read("9999-12-31").map(Moment::first), Some(Timestamp::MAX));
    }

    #[test]
    fn the_last_time_of_all_is_one() {
        let last = read("9999-12-31T23:59:59Z").map(Moment::first);
        assert_eq!(last, Some(Timestamp::MAX));
    }

    #[test]
    fn one_time_has_many_spellings() {
        let at = "2025-03-01T13:51:53Z".parse().ok();
        for text in [
            "2025-03-01T13:51:53Z",
            "2025-03-01T13:51:53.000Z",
            "2025-03-01T16:51:53+03:00",
            "2025-03-01 13:51:53Z",
            "2025-03-01 13:51:53",
            "2025-03-01 13:51:53.000",
            "1740837113000",
        ] {
            assert_eq!(read(text).map(Moment::first), at, "{text}");
            assert_eq!(read(text).map(Moment::last), at, "{text}");
        }
        for json in ["1740837113000", "1740837113000.0", "\"1740837113000\""] {
            let moment: Moment = serde_json::from_str(json).expect(json);
            assert_eq!(Some(moment.first()), at, "{json}");
        }
        let before: Moment = serde_json::from_str("-1").expect("before 1970");
        assert_eq!(before.first().as_millisecond(), -1);
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "now",
            "2025-02-30",
            "2025-03-01T10:00:00",
            "2025-03-01T25:00:00Z",
            "2025-03-01 10:00",
            "2025-03-01 25:00:00",
            "2025-03-01 10:00:00 ",
            "2025-03-01 10:00:00[UTC]",
            "9223372036854775807",
            "--1",
            "+1",
            "1.5",
            "1e3",
        ] {
            assert!(read(text).is_none(), "{text}");
        }
        for json in [
            "1.5",
            "1e300",
            "true",
            "[]",
            "{}",
            "\"\"",
            "18446744073709551615",
        ] {
            assert!(serde_json::from_str::<Moment>(json).is_err(), "{json}");
        }
    }
}
