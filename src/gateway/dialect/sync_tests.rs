//! The forms of a `sync` request and of its answer, in every dialect.

use serde_json::json;

use super::*;
use crate::model::{ChatId, ErrorKind};

fn read(chats: &Value) -> Result<SyncRequest, Error> {
    SyncRequest::read(Some(chats), "chats", by_pk)
}

#[test]
fn numbers_are_whole_and_may_be_texts() {
    let chats = json!({"1": 0, "2": "17", "3": i64::MAX, "4": 2.0, "5": 1e1});
    let request = read(&chats).expect("chats");
    let expected = [(1, 0), (2, 17), (3, i64::MAX), (4, 2), (5, 10)];
    let expected = expected.map(|(pk, seq)| (ChatRef::Pk(pk), KnownUpTo::from(seq)));
    assert_eq!(request.chats(), expected);
}

#[test]
fn a_number_that_is_none_is_named() {
    let wrong = json!([
        null,
        true,
        -1,
        1.5,
        1e300,
        u64::MAX,
        [],
        [1],
        "",
        " 1",
        "1 ",
        "-1",
        "1.5",
        "one",
        "9223372036854775808",
    ]);
    for value in wrong.as_array().expect("a list") {
        let error = read(&json!({"7": value})).expect_err("no number");
        assert_eq!(error.kind, ErrorKind::Invalid);
        let why = "chats.7: must be a whole number of at least 0";
        assert_eq!(error.message, why, "{value}");
    }
}

#[test]
fn chats_have_to_be_an_object() {
    for (value, why) in [
        (None, "chats: is missing"),
        (Some(json!(null)), "chats: is missing"),
        (Some(json!([])), "chats: must be an object"),
        (Some(json!("1")), "chats: must be an object"),
        (Some(json!(1)), "chats: must be an object"),
    ] {
        let error = SyncRequest::read(value.as_ref(), "chats", by_pk).expect_err("no chats");
        assert_eq!((error.kind, &*error.message), (ErrorKind::Invalid, why));
    }
    assert!(read(&json!({})).expect("none").is_empty());
}

#[test]
fn what_can_be_no_chat_is_answered_in_its_place() {
    let request = read(&json!({"0": 1, "2": 1, "9007199254740992": 1, "x": 1})).expect("chats");
    assert_eq!(request.chats(), [(ChatRef::Pk(2), 1.into())]);
    let missed = Missed {
        chat: ChatId::from_bytes([1; 16]),
        messages: Vec::new(),
        head: 5,
        has_more: true,
        reset: false,
    };
    let synced = [Some(missed)];
    let body =
        serde_json::to_value(request.response(&synced, |message| message.seq)).expect("JSON");
    let none = |name: &str| {
        let message = format!("no such chat {name}");
        json!({"error": {"code": "not_found", "retryable": false, "message": message}})
    };
    let expected = json!({"chats": {
        "0": none("0"), "2": {"messages": [], "head": 5, "has_more": true},
        "9007199254740992": none("9007199254740992"), "x": none("x"),
    }});
    assert_eq!(body, expected);
}

#[test]
fn a_long_name_is_not_repeated_in_full() {
    let name = "x".repeat(10_000);
    let error = read(&json!({&*name: "wrong"})).expect_err("no number");
    assert!(error.message.len() < 200, "{error}");
}

#[test]
fn a_position_may_name_the_message() {
    const ID: &str = "01950000-0000-7000-8000-000000000001";
    let id = |given: Value| {
        let chats = json!({"1": {"seq": "7", "id": given, "rev": [1]}});
        let request = read(&chats).expect("a position");
        let [(_, KnownUpTo { seq: 7, id })] = request.chats()[..] else {
            panic!("{request:?}");
        };
        id
    };
    assert_eq!(id(json!(null)), None);
    assert_eq!(id(json!(ID)), Some(KnownId::Id(ID.parse().expect("an id"))));
    for number in [json!(56), json!("56"), json!(56.0)] {
        assert_eq!(id(number), Some(KnownId::Pair(56)));
    }
    for other in [json!("x"), json!(true), json!({}), json!(1.5)] {
        assert_eq!(id(other), Some(KnownId::Other), "another id");
    }
    let plain = read(&json!({"1": {"seq": 7}})).expect("a position");
    assert_eq!(plain.chats(), [(ChatRef::Pk(1), 7.into())]);
    for wrong in [
        json!({}),
        json!({"id": ID}),
        json!({"seq": -1}),
        json!({"seq": {}}),
    ] {
        let error = read(&json!({"7": wrong})).expect_err("no seq");
        let why = "chats.7.seq: must be a whole number of at least 0";
        assert_eq!(error.message, why);
    }
}

#[test]
fn a_chat_that_begins_anew_says_so() {
    let request = read(&json!({"2": 9})).expect("chats");
    let missed = Missed {
        chat: ChatId::from_bytes([1; 16]),
        messages: Vec::new(),
        head: 5,
        has_more: true,
        reset: true,
    };
    let synced = [Some(missed)];
    let body = serde_json::to_value(request.response(&synced, |message| message.seq));
    let expected = json!({"messages": [], "head": 5, "has_more": true, "reset": true});
    assert_eq!(body.expect("JSON")["chats"]["2"], expected);
}
