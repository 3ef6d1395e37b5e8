//! Checks the answer to a refused request, for each dialect.
//! Does not know sessions.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::fuzz::invariants::is_code;
use crate::gateway::dialect::untrusted_json::{RawFields, UntrustedJson, from_str};

type Object<'a> = BTreeMap<String, &'a RawValue>;

/// The fields of an object, unread.
fn object(text: &str) -> Option<Object<'_>> {
    let RawFields(fields) = serde_json::from_str(text).ok()?;
    Some(fields)
}

/// A field that is there and not null, as it was written.
fn given<'a>(object: Option<&Object<'a>>, key: &str) -> Option<&'a str> {
    let value = object?.get(key)?.get();
    (value != "null").then_some(value)
}

/// The code in a refusal of any dialect.
pub fn code(refused: &str) -> String {
    let text = |json: &str| serde_json::from_str::<String>(json).expect("a text");
    let frame = object(refused).expect("an object");
    let frame = frame.get("payload").map_or(frame.clone(), |payload| {
        object(payload.get()).expect("an object")
    });
    if let Some(code) = frame.get("code") {
        return text(code.get());
    }
    if let Some(data) = frame.get("data").and_then(|data| object(data.get())) {
        return text(data["code"].get());
    }
    let code = match frame["response_status"].get() {
        "400" | "405" => "invalid",
        "401" => "unauthenticated",
        "403" => "forbidden",
        "404" => "not_found",
        "409" => "conflict",
        "413" => "too_large",
        "429" => "rate_limited",
        "500" => "internal",
        "503" => "unavailable",
        other => panic!("an unknown status: {other}"),
    };
    code.to_owned()
}

/// In action: the five keys, with the action and the id of the request as they came.
pub fn hold_action(request: &str, refused: &str) {
    let whole = object(request);
    let enveloped = whole
        .as_ref()
        .is_some_and(|whole| whole.contains_key("stream") && !whole.contains_key("action"));
    let answer = object(refused).expect("an object");
    let wrapped = answer.get("payload").map(|payload| payload.get());
    assert!(enveloped || wrapped.is_none(), "{refused}");
    let inner = match (&whole, wrapped) {
        (Some(whole), Some(_)) => {
            assert_eq!(given(Some(&answer), "stream"), given(Some(whole), "stream"));
            whole
                .get("payload")
                .and_then(|payload| object(payload.get()))
        }
        // A stream that is too long to be kept is not repeated, and nothing in it is read.
        _ if enveloped => None,
        (whole, _) => whole.clone(),
    };
    let reply = object(wrapped.unwrap_or(refused)).expect("an object");
    let keys: Vec<_> = reply.keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "action",
            "code",
            "data",
            "errors",
            "request_id",
            "response_status",
            "retryable"
        ]
    );
    assert_eq!(reply["data"].get(), "null");
    let errors: Vec<Value> = serde_json::from_str(reply["errors"].get()).expect("a list");
    let [Value::String(_) | Value::Object(_)] = &errors[..] else {
        panic!("not one error: {refused}");
    };
    assert!(is_code(&code(refused)));
    for key in ["action", "request_id"] {
        assert_eq!(
            given(Some(&reply), key),
            given(inner.as_ref(), key),
            "{request} {refused}"
        );
    }
}

/// In type: `{"type": "error", "message", "code"}`, with the id of the request as it came.
pub fn hold_type(request: &str, refused: &str) {
    let answer = object(refused).expect("an object");
    assert_eq!(answer["type"].get(), r#""error""#);
    let message: String = serde_json::from_str(answer["message"].get()).expect("a text");
    assert!(!message.is_empty());
    assert!(is_code(&code(refused)), "{refused}");
    let echo = given(Some(&answer), "request_id");
    assert_eq!(
        echo,
        given(object(request).as_ref(), "request_id"),
        "{request}"
    );
}

/// In marketplace: `debug_info`, with the beginning of the request's name.
pub fn hold_marketplace(request: &str, refused: &str) {
    let answer = object(refused).expect("an object");
    assert_eq!(answer["event"].get(), r#""debug_info""#);
    let Ok(UntrustedJson(data)) = from_str(answer["data"].get()) else {
        panic!("no JSON: {refused}");
    };
    assert!(data["code"].as_str().is_some_and(is_code), "{refused}");
    assert!(
        data["message"]
            .as_str()
            .is_some_and(|text| !text.is_empty())
    );
    let echo = data["event"].as_str().expect("a text");
    assert!(echo.chars().count() <= 64);
    let Ok(UntrustedJson(frame)) = from_str(request) else {
        return assert_eq!(echo, "");
    };
    let name = frame["event"].as_str().unwrap_or_default();
    assert!(name.starts_with(echo) && (echo == name || name.chars().count() > 64));
}

/// Until a frame has decided, and in whatever dialect it has decided for.
pub fn hold_any(request: &str, refused: &str) {
    let answer = object(refused).expect("an object");
    if answer.contains_key("response_status") || answer.contains_key("payload") {
        hold_action(request, refused);
    } else if answer.contains_key("event") {
        hold_marketplace(request, refused);
    } else {
        hold_type(request, refused);
    }
}
