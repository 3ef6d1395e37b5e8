//! The requested part of a chat's history.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::scene::{at, decoded_in, error, setting};
use crate::gateway::dialect::SessionOptions;
use crate::model::{Clock, Command, History, Range, Window};

const NOT_RETRIEVED: &str = "An error occurred while retrieving messages. Please try again later.";

/// The part of a chat's history that these fields select, on that connection.
fn history_in(setting: SessionOptions, mut data: Value) -> Result<History, Value> {
    data["chatId"] = json!(7);
    let frame = json!({"type": "getChatMessages", "data": data}).to_string();
    match decoded_in(setting, &frame)? {
        Command::ListMessages { history, .. } => Ok(history),
        other => panic!("{other:?}"),
    }
}

fn range(data: Value) -> Result<Range, Value> {
    history_in(setting(), data).map(|history| history.range)
}

#[test]
fn a_day_is_whole() {
    for day in ["2024-01-05", "2024-1-5", "20240105"] {
        let range = range(json!({"date_from": day, "date_to": day})).expect(day);
        assert_eq!(range.from, Some(at("2024-01-05T00:00:00Z")), "{day}");
        assert_eq!(
            range.to,
            Some(at("2024-01-05T23:59:59.999999999Z")),
            "{day}"
        );
    }
    let last = range(json!({"date_from": "9999-12-31", "date_to": "9999-12-31"}));
    assert!(last.is_ok());
}

#[test]
fn a_time_counts_as_its_day_in_the_servers_zone() {
    let moscow = || SessionOptions {
        zone: TimeZone::get("Europe/Moscow").expect("a zone"),
        ..setting()
    };
    for (time, in_utc, in_moscow) in [
        (json!("2024-01-05T10:00:00Z"), "2024-01-05", "2024-01-05"),
        (json!("2024-01-05 22:30:00"), "2024-01-05", "2024-01-06"),
        (
            json!("2024-01-06T00:30:00+03:00"),
            "2024-01-05",
            "2024-01-06",
        ),
        (json!(1_704_493_800_000_i64), "2024-01-05", "2024-01-06"),
        (json!("1704493800000"), "2024-01-05", "2024-01-06"),
        (json!(0), "1970-01-01", "1970-01-01"),
    ] {
        for key in ["date_from", "date_to"] {
            let meant = range(json!({key: in_utc}));
            assert_eq!(range(json!({key: time})), meant, "{key} {time}");
            let meant = history_in(moscow(), json!({key: in_moscow}));
            assert_eq!(history_in(moscow(), json!({key: time})), meant, "{time}");
        }
    }
}

#[test]
fn three_words_name_days_in_either_field() {
    for (word, day) in [
        ("yesterday", "2025-02-28"),
        ("day_before_yesterday", "2025-02-27"),
        ("last_7_days", "2025-02-22"),
    ] {
        for key in ["date_from", "date_to"] {
            let meant = range(json!({key: day})).expect(day);
            assert_ne!(meant, Range::default());
            assert_eq!(range(json!({key: word})), Ok(meant), "{key} {word}");
        }
    }
}

#[test]
fn what_is_no_day_is_an_error_and_nothing_is_no_filter() {
    for nothing in [json!(null), json!("")] {
        let data = json!({"date_from": nothing, "date_to": nothing});
        assert_eq!(range(data), Ok(Range::default()));
    }
    let texts = [
        "2024-13-45",
        "2024-02-30",
        "20240230",
        "garbage",
        "today",
        "Yesterday",
        " ",
    ];
    let shapes = [
        "2024-01-05T10:00:00",
        "24-1-5",
        "2024-001-5",
        "2024-1-",
        "-1-1",
        "2024-01-05 10:00",
    ];
    let digits = ["2024-1-+5", "+024-1-5", "2024-1-5-1", "\u{0664}\u{0664}"];
    let texts = texts
        .into_iter()
        .chain(shapes)
        .chain(digits)
        .map(Value::from);
    let others = [
        json!(1.5),
        json!(1e300),
        json!(true),
        json!([]),
        json!({"a": 1}),
    ];
    for bad in texts.chain(others) {
        for key in ["date_from", "date_to"] {
            let answer = range(json!({key: bad}));
            assert_eq!(answer, Err(error(NOT_RETRIEVED, "invalid")), "{bad}");
        }
    }
}

#[test]
fn days_are_those_of_the_servers_zone() {
    let cases = [
        // 23 hours, then 25.
        (
            "Europe/Berlin",
            "2025-03-30",
            "2025-03-29T23:00:00Z",
            "2025-03-30T22:00:00Z",
        ),
        (
            "Europe/Berlin",
            "2025-10-26",
            "2025-10-25T22:00:00Z",
            "2025-10-26T23:00:00Z",
        ),
        // Begins at 01:00; has 00:00 to 01:00 twice.
        (
            "America/Havana",
            "2024-03-10",
            "2024-03-10T05:00:00Z",
            "2024-03-11T04:00:00Z",
        ),
        (
            "America/Havana",
            "2024-11-03",
            "2024-11-03T04:00:00Z",
            "2024-11-04T05:00:00Z",
        ),
    ];
    for (zone, day, first, next) in cases {
        let zone = TimeZone::get(zone).expect("a zone");
        let data = json!({"date_from": day, "date_to": day});
        let history = history_in(SessionOptions { zone, ..setting() }, data).expect(day);
        assert_eq!(history.range.from, Some(at(first)), "{day}");
        let last = at(next).as_nanosecond() - 1;
        assert_eq!(
            history.range.to.map(Timestamp::as_nanosecond),
            Some(last),
            "{day}"
        );
    }
}

#[test]
fn yesterday_depends_on_the_zone() {
    let late = SessionOptions {
        clock: Clock::fixed(at("2025-03-01T22:30:00Z")),
        zone: TimeZone::get("Europe/Moscow").expect("a zone"),
        ..setting()
    };
    let history = history_in(late, json!({"date_from": "yesterday"})).expect("a history");
    assert_eq!(history.range.from, Some(at("2025-02-28T21:00:00Z")));
}

#[test]
fn last_is_a_positive_whole_number_or_ignored() {
    let window =
        |last: Value| history_in(setting(), json!({"last": last})).map(|history| history.window);
    for (last, count) in [(json!(3), 3), (json!("2"), 2), (json!(1e1), 10)] {
        assert_eq!(window(last), Ok(Window::Last(count)));
    }
    for great in [json!(1e300), json!("99999999999999999999"), json!(u64::MAX)] {
        let count = window(great).expect("a history").limit();
        assert!(count > 10_000);
    }
    let ignored = [
        json!(0),
        json!(-1),
        json!(1.5),
        json!("x"),
        json!(true),
        json!(null),
    ];
    for last in ignored
        .into_iter()
        .chain([json!("0"), json!("-2"), json!([3])])
    {
        assert_eq!(window(last), Ok(Window::Last(10_000)));
    }
}
