//! The frames of the raw WebSocket around the requests, and invalid frames.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::{DIALECT, requests, responses};
use super::scene::{begin, chat_id, gleb, read_frames};
use crate::gateway::dialect::fixtures::{decode, frame, packet};
use crate::gateway::dialect::{
    Acks, Autodetect, Decoded, DialectSession, Push, SessionOptions, untrusted_json,
};
use crate::hub::Outgoing;
use crate::model::{Clock, Command, ConnectionId, Error};

/// The result of decoding a frame on Gleb's connection: a command, or an error.
fn decoded(text: &str) -> Result<Command, Value> {
    match decode(&begin(&gleb()), text) {
        Decoded::Request(command, _) => Ok(command),
        Decoded::Refused(_, frames) => Err(debug_info(&frames)),
    }
}

fn refused(frame: &str) -> Value {
    decoded(frame).expect_err(frame)
}

/// The body of the one frame that there is.
fn debug_info(frames: &[Outgoing]) -> Value {
    let mut events = read_frames(frames);
    assert_eq!(events.len(), 1, "{events:?}");
    let (name, body) = events.remove(0);
    assert_eq!(name, "debug_info");
    body
}

fn error(message: &str, event: &str) -> Value {
    json!({"code": "invalid", "retryable": false, "message": message, "event": event})
}

#[test]
fn a_first_frame_with_an_event_is_of_this_dialect() {
    assert!((DIALECT.recognises)(&json!({"event": null})));
    for other in [json!({"type": "event"}), json!(["event"]), json!("event")] {
        assert!(!(DIALECT.recognises)(&other), "{other}");
    }
    assert_eq!(DIALECT.paths, ["/ws/events"]);
}

#[test]
fn where_all_dialects_meet_the_first_event_asks_for_what_a_user_begins_with() {
    let undecided: Arc<dyn DialectSession> = Arc::new(Autodetect::new(SessionOptions {
        connection: ConnectionId::from_bytes([1; 16]),
        user: gleb().id,
        clock: Clock::system(),
        zone: jiff::tz::TimeZone::UTC,
        acks: Acks::Silent,
        push: Push::On,
    }));
    assert_eq!(undecided.opening(), None);
    let _ = decode(&undecided, r#"{"event":"open_chat","data":{"eventId":10}}"#);
    assert_eq!(undecided.opening(), Some(Command::EnterMarketplace));
}

#[test]
fn a_frame_is_a_name_and_a_body() {
    let expected = Command::OpenEventChat {
        user: None,
        event: 10,
    };
    for frame in [
        r#"{"event":"open_chat","data":{"eventId":10}}"#,
        r#" {"data": {"eventId": "10"}, "more": [1], "event": "open_chat"} "#,
    ] {
        assert_eq!(decoded(frame), Ok(expected.clone()));
    }
}

#[test]
fn what_is_no_json_is_answered() {
    let deep = "[".repeat(100_000);
    let frames = [
        "",
        " ",
        "x",
        "{",
        "{}{}",
        r#"{"event":}"#,
        "\u{0}",
        "NaN",
        &deep,
    ];
    for frame in frames {
        let answer = refused(frame);
        let message = answer["message"].as_str().expect("a text").to_owned();
        assert!(message.starts_with("frame: is not JSON: "), "{message}");
        assert_eq!(answer, error(&message, ""));
    }
}

#[test]
fn half_a_character_is_a_replacement() {
    let frame =
        r#"{"\ud800":1,"event":"request_access","data":{"eventId":10,"message":"Hello \ud83d"}}"#;
    let Ok(Command::RequestAccess { draft, .. }) = decoded(frame) else {
        panic!("an application");
    };
    assert_eq!(draft.expect("a text").text, "Hello \u{FFFD}");
}

#[test]
fn what_is_no_object_is_answered() {
    for frame in [
        "[]",
        r#"["open_chat",{"eventId":10}]"#,
        "7",
        r#""event""#,
        "null",
        " true ",
    ] {
        assert_eq!(refused(frame), error("frame: must be an object", ""));
    }
}

#[test]
fn a_frame_without_text_is_answered() {
    let session = begin(&gleb());
    let binary = session.refuse(&frame(""), &session.not_text());
    let expected = error("frame: must be text", "");
    assert_eq!(debug_info(&binary), expected);
}

#[test]
fn the_name_is_a_string() {
    for frame in ["{}", r#"{"data":{"eventId":10}}"#] {
        assert_eq!(refused(frame), error("event: is missing", ""));
    }
    for event in [
        json!(null),
        json!(7),
        json!(["open_chat"]),
        json!({}),
        json!(true),
    ] {
        let frame = json!({"event": event, "data": {"eventId": 10}}).to_string();
        assert_eq!(refused(&frame), error("event: must be a string", ""));
    }
}

#[test]
fn an_error_names_the_request() {
    let frame = r#"{"event":"sing","data":{}}"#;
    let expected = error("event: there is no \"sing\"", "sing");
    assert_eq!(refused(frame), expected);
    let frame = r#"{"event":"open_chat","data":{"eventId":-1}}"#;
    let why = "eventId: must be a whole number of at least 0";
    assert_eq!(refused(frame), error(why, "open_chat"));
}

#[test]
fn a_missing_body_is_an_empty_one() {
    for frame in [
        r#"{"event":"load_history"}"#,
        r#"{"event":"load_history","data":null}"#,
        r#"{"event":"load_history","data":{}}"#,
    ] {
        let expected = error("chatId: is missing", "load_history");
        assert_eq!(refused(frame), expected);
    }
    for body in [json!([]), json!("x"), json!(7), json!(false)] {
        let frame = json!({"event": "load_history", "data": body}).to_string();
        let expected = error("body: must be an object", "load_history");
        assert_eq!(refused(&frame), expected);
    }
}

#[test]
fn json_may_be_nested_in_127_levels_and_no_more() {
    let nested = |levels: usize| {
        let (open, close) = ("[".repeat(levels - 2), "]".repeat(levels - 2));
        format!(r#"{{"event":"open_chat","data":{{"eventId":10,"x":{open}{close}}}}}"#)
    };
    assert!(decoded(&nested(127)).is_ok());
    for levels in [129, 100_000] {
        let message = refused(&nested(levels))["message"].to_string();
        assert!(message.contains("recursion limit"), "{message}");
    }
}

#[test]
fn json_inside_json_is_never_unpacked() {
    const KEY: &str = "$serde_json::private::RawValue";
    let whole = json!({KEY: r#"{"event":"open_chat","data":{"eventId":10}}"#});
    assert_eq!(
        refused(&whole.to_string()),
        error("event: is missing", ""),
        "as the frame"
    );
    let body = json!({"event": "open_chat", "data": {KEY: r#"{"eventId":10}"#}});
    let expected = error("eventId: is missing", "open_chat");
    assert_eq!(refused(&body.to_string()), expected, "as the body");
    let field = json!({"event": "open_chat", "data": {"eventId": {KEY: "10"}}});
    let why = "eventId: must be a whole number of at least 0";
    assert_eq!(refused(&field.to_string()), error(why, "open_chat"));
    let packed = untrusted_json::tests::packed(200);
    let frame = format!(r#"{{"event":"open_chat","data":{{"eventId":10,"x":{packed}}}}}"#);
    assert!(decoded(&frame).is_ok(), "a key like any other");
}

/// Any JSON value, not too large.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(json!(chat_id(7))),
    ];
    leaf.prop_recursive(3, 8, 3, |inner| {
        let text = "text|photos|attachedPhotos|client_id";
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(text, inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_text_is_too_odd(text: String) {
        let _ = decoded(&text);
    }

    #[test]
    fn no_request_is_too_odd(
        name in "send_message|read_messages|load_history|open_chat|request_access|grant_access",
        mut body in prop::collection::btree_map(
            "message|lastReadedMessageId|lastMessageId|eventId|granted|chatId",
            any_json(),
            0..6,
        ),
        in_chat: bool,
    ) {
        if in_chat {
            body.insert("chatId".to_owned(), json!(chat_id(7)));
        }
        let body = json!(body);
        let framed = decoded(&json!({"event": name, "data": body}).to_string());
        let event = packet(&json!([name, body]).to_string(), None).event().expect("an event");
        prop_assert_eq!(framed.is_ok(), requests::decode(event).is_ok());
    }
}

#[test]
fn an_application_with_an_empty_text_is_refused_in_the_names_of_this_dialect() {
    for blank in ["", " \t\n"] {
        let body = json!({"eventId": 10, "message": blank});
        let events = refused(&json!({"event": "request_access", "data": body}).to_string());
        assert_eq!(events["code"], "invalid");
        let message = events["message"].as_str().expect("a text");
        assert!(message.starts_with("message: "), "{message}");
    }
}

#[test]
fn a_refusal_of_the_service_names_the_fields_of_this_dialect() {
    let limit = || Error::too_large("msg", "16384 bytes");
    for (event, expected) in [
        ("send_message", "message.text: at most 16384 bytes"),
        ("request_access", "message: at most 16384 bytes"),
    ] {
        let frame = responses::refused(event, &limit());
        assert_eq!(debug_info(&[frame])["message"], expected);
    }
}

#[test]
fn an_error_repeats_no_more_than_the_beginning_of_an_unknown_name() {
    let long = "\u{436}".repeat(10_000);
    let events = refused(&json!({"event": long, "data": {}}).to_string());
    assert_eq!(events["event"], "\u{436}".repeat(64));
}

/// A list of photos as long as a frame can hold is refused for its length, not searched
/// for doubles over and over.
#[test]
fn a_very_long_list_of_photos_is_read_once() {
    let photos: Vec<String> = (0..140_000).map(|number| format!("{number:x}")).collect();
    let body = json!({"chatId": chat_id(1), "message": {"photos": photos}});
    let command = decoded(&json!({"event": "send_message", "data": body}).to_string());
    let Ok(Command::SendMessage { draft, .. }) = command else {
        panic!("no message: {command:?}");
    };
    assert_eq!(draft.photos.len(), 140_000);
}
