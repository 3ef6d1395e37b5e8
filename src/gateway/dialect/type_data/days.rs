//! The calendar days by which a client filters messages.
//! Does not know which fields name them.

use std::ops::RangeInclusive;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::gateway::dialect::timestamps::Moment;

/// The day that a text names: a date, one of three words counted back from `today`, or a time, which
/// counts as its day in this zone. `None`: it is no day.
pub(super) fn day(text: &str, today: Date, zone: &TimeZone) -> Option<Date> {
    let ago = |days: i32| today.checked_sub(days.days()).ok();
    match text {
        "yesterday" => ago(1),
        "day_before_yesterday" => ago(2),
        "last_7_days" => ago(7),
        // As long as a date without dashes: no milliseconds.
        date if date.len() == 8 => written(date),
        other => written(other).or_else(|| Some(day_of(other.parse().ok()?, zone))),
    }
}

/// The day of a time; a date is its own day.
pub(super) fn day_of(moment: Moment, zone: &TimeZone) -> Date {
    match moment {
        Moment::At(at) => at.to_zoned(zone.clone()).date(),
        Moment::On(day) => day,
    }
}

/// `2024-01-05`, also without the zeros in front, or `20240105`.
fn written(text: &str) -> Option<Date> {
    let mut parts = text.split('-');
    match (parts.next()?, parts.next(), parts.next(), parts.next()) {
        (whole, None, None, None) => {
            let (year, rest) = whole.split_at_checked(4)?;
            let (month, day) = rest.split_at_checked(2)?;
            date(year, month, day, 2..=2)
        }
        (year, Some(month), Some(day), None) => date(year, month, day, 1..=2),
        _ => None,
    }
}

/// The date of a year of four digits, and a month and a day of `width` digits.
fn date(year: &str, month: &str, day: &str, width: RangeInclusive<usize>) -> Option<Date> {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let wide = year.len() == 4 && width.contains(&month.len()) && width.contains(&day.len());
    if !wide || ![year, month, day].into_iter().all(digits) {
        return None;
    }
    Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()
}

/// The first instant of a day. Where the clocks skip midnight it is not 00:00.
pub(super) fn first_instant(day: Date, zone: &TimeZone) -> Timestamp {
    // Fails only beyond the end of all time, in the year 9999.
    let midnight = day.to_zoned(zone.clone());
    midnight.map_or(Timestamp::MAX, |midnight| midnight.timestamp())
}

/// The last instant of a day, however many hours it has.
pub(super) fn last_instant(day: Date, zone: &TimeZone) -> Timestamp {
    let Ok(next) = day.tomorrow() else {
        return Timestamp::MAX;
    };
    let next = first_instant(next, zone);
    next.checked_sub(1.nanosecond()).unwrap_or(next)
}
