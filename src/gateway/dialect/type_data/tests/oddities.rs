//! Invalid frames.

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::scene::{UNEXPECTED, begin, decoded, decoded_in, error, only, setting};
use crate::gateway::dialect::SessionOptions;
use crate::gateway::dialect::fixtures::{decode, frame};
use crate::model::{Clock, Command};

/// The response to a frame without a request.
fn refused(frame: &str) -> Value {
    decoded_in(setting(), frame).expect_err(frame)
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
        "{\"type\":}",
        "\u{0}",
        "NaN",
        &deep,
    ];
    for frame in frames {
        assert_eq!(refused(frame), error("Invalid JSON", "invalid"));
    }
    let session = begin(setting());
    let binary = session.refuse(&frame(""), &session.not_text());
    assert_eq!(only(&binary), error("Invalid JSON", "invalid"));
}

#[test]
fn half_a_character_is_a_replacement() {
    let frame = r#"{"\ud800":1,"type":"newMessage","data":{"\udc00":"\ud83d","chat":7,"text":"Hello \ud83d"}}"#;
    let Ok(Command::SendMessage { draft, .. }) = decoded_in(setting(), frame) else {
        panic!("a message");
    };
    assert_eq!(draft.text, "Hello \u{FFFD}");
}

#[test]
fn what_is_no_object_is_answered() {
    for frame in ["[]", "7", "\"type\"", "null", " true "] {
        assert_eq!(refused(frame), error(UNEXPECTED, "invalid"), "{frame}");
    }
}

#[test]
fn an_unknown_type_is_answered() {
    let unknown = error("Unknown message type", "invalid");
    for kind in [
        json!(null),
        json!("getchats"),
        json!(7),
        json!(["getChats"]),
    ] {
        assert_eq!(
            decoded(&json!({"type": kind, "data": {}})),
            Err(unknown.clone())
        );
    }
    assert_eq!(refused("{}"), unknown);
    assert_eq!(refused(r#"{"action":"list","request_id":null}"#), unknown);
}

#[test]
fn the_last_of_equal_keys_counts() {
    let frame = r#"{"type":"x","type":"getChats","request_id":1,"request_id":2}"#;
    assert_eq!(
        decoded_in(setting(), frame),
        Ok(Command::ListMyRooms {
            limit: None,
            before: None
        })
    );
}

#[test]
fn depth_costs_nothing() {
    // `serde_json` would unpack this key of its own recursively, and the stack would end.
    let level = |inner: String| json!({"$serde_json::private::RawValue": inner}).to_string();
    let packed = (0..8).fold("1".to_owned(), |inner, _| level(inner));
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for text in [packed, deep] {
        let frame = format!(r#"{{"type":"newMessage","data":{{"chat":7,"text":{text}}}}}"#);
        let Ok(Command::SendMessage { draft, .. }) = decoded_in(setting(), &frame) else {
            panic!("a message");
        };
        assert!(draft.text == text);
        let frame = format!(r#"{{"type":"joinChat","data":{{"chat":{text}}}}}"#);
        assert_eq!(refused(&frame), error(UNEXPECTED, "invalid"));
    }
}

/// Any JSON value, not too large.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[0-9]{0,9}(-[0-9]{0,3}){0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_text_is_too_odd(text: String) {
        let _ = decode(&begin(setting()), &text);
    }

    #[test]
    fn no_request_is_too_odd(
        kind in "joinChat|getChatDetails|newMessage|getChatMessages",
        data in prop::collection::btree_map(
            "chat|chatId|text|is_read|client_id|last_read_message|date_from|date_to|last",
            any_json(),
            0..6,
        ),
        chat in prop::option::of(1_i64..9),
        now in 0_i64..4_000_000_000,
    ) {
        let mut data = json!(data);
        if let Some(pk) = chat {
            data["chat"] = json!(pk);
            data["chatId"] = json!(pk);
        }
        let clock = Clock::fixed(Timestamp::from_second(now).expect("a time"));
        let frame = json!({"type": kind, "data": data}).to_string();
        let _ = decoded_in(SessionOptions { clock, ..setting() }, &frame);
    }
}
