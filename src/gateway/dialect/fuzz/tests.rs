//! The words of each dialect, and a test for each target.
//! Does not check results: the targets do.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::fuzz::mutator::{Words, bytes, lines, text};
use crate::fuzz::run;

const ACTION_WORDS: Words = Words {
    samples: &[
        r#"{"action":"join_room","pk":4,"request_id":1638979242972}"#,
        r#"{"action":"leave_room","pk":"4","request_id":"a"}"#,
        r#"{"action":"retrieve","pk":4,"request_id":1}"#,
        r#"{"action":"subscribe_to_messages_in_room","pk":4,"request_id":1}"#,
        r#"{"action":"subscribe_instance","pk":4,"request_id":2}"#,
        r#"{"action":"unsubscribe_instance","pk":4,"request_id":2}"#,
        r#"{"action":"create_message","message":"Hi world!!!","pk":4,"client_id":"c","request_id":1}"#,
        r#"{"action":"create_message","message":{"a":1.0},"request_id":1,"images":[]}"#,
        r#"{"action":"list","request_id":3}"#,
        r#"{"action":"sync","chats":{"4":0,"7":"3"},"request_id":1}"#,
        r#"{"action":"create","data":{"name":"Python","team":3},"request_id":1}"#,
        r#"{"action":"update","pk":4,"data":{"name":"Rust","team":null},"request_id":1}"#,
        r#"{"action":"patch","pk":4,"data":{"team":3},"request_id":1}"#,
        r#"{"action":"delete","pk":4,"request_id":{"any":["thing"]}}"#,
        r#"{"stream":"room","payload":{"action":"subscribe_instance","pk":4,"request_id":"4f1c"}}"#,
        r#"{"stream":"room","payload":{"action":"list","data":{},"request_id":"4f1c"}}"#,
    ],
    keys: &[
        "action",
        "pk",
        "request_id",
        "message",
        "data",
        "name",
        "team",
        "stream",
        "payload",
        "client_id",
        "chats",
    ],
    texts: &[
        "sync",
        "join_room",
        "leave_room",
        "retrieve",
        "subscribe_to_messages_in_room",
        "subscribe_instance",
        "unsubscribe_instance",
        "create_message",
        "list",
        "create",
        "update",
        "patch",
        "delete",
        "room",
        "4",
        "Python",
    ],
};

const TYPE_WORDS: Words = Words {
    samples: &[
        r#"{"type":"getChats","data":{}}"#,
        r#"{"type":"sync","data":{"chats":{"1":0,"x":"3"}},"request_id":2}"#,
        r#"{"type":"createEmptyChat","data":{},"request_id":1}"#,
        r#"{"type":"joinChat","data":{"chat":1,"last_read_message":3},"request_id":"again"}"#,
        r#"{"type":"getChatDetails","data":{"chatId":"1"}}"#,
        r#"{"type":"newMessage","data":{"chat":1,"text":"Hello","is_read":true,"client_id":"mine"}}"#,
        r#"{"type":"newMessage","data":{"chat":1,"text":{"not":["a string"]}},"request_id":[1]}"#,
        r#"{"type":"getChatMessages","data":{"chatId":1,"date_from":"yesterday","last":2}}"#,
        r#"{"type":"getChatMessages","data":{"chatId":1,"date_from":"2024-1-5","date_to":"20240229"}}"#,
    ],
    keys: &[
        "type",
        "data",
        "request_id",
        "chat",
        "chatId",
        "text",
        "is_read",
        "client_id",
        "last_read_message",
        "date_from",
        "date_to",
        "last",
        "chats",
    ],
    texts: &[
        "sync",
        "getChats",
        "createEmptyChat",
        "joinChat",
        "getChatDetails",
        "newMessage",
        "getChatMessages",
        "yesterday",
        "day_before_yesterday",
        "last_7_days",
        "0001-01-01",
        "9999-12-31",
        "2024-02-30",
        "00000101",
        "False",
        "1",
        "0",
        "3",
    ],
};

const MARKETPLACE_WORDS: Words = Words {
    samples: &[
        r#"{"event":"open_chat","data":{"eventId":1}}"#,
        r#"{"event":"send_message","data":{"chatId":"01010101-0101-0101-0101-010101010101","message":{"text":"","photos":["uuid1","uuid2"],"attachedPhotos":["uuid2","uuid3"],"client_id":"mine"}}}"#,
        r#"{"event":"read_messages","data":{"chatId":"01010101-0101-0101-0101-010101010101","lastReadedMessageId":"1000000"}}"#,
        r#"{"event":"load_history","data":{"chatId":"01010101-0101-0101-0101-010101010101","lastMessageId":3}}"#,
        r#"{"event":"request_access","data":{"eventId":"1","message":"Let me in","client_id":"c"}}"#,
        r#"{"event":"grant_access","data":{"chatId":"01010101-0101-0101-0101-010101010101","granted":true}}"#,
        r#"{"event":"grant_access","data":{"chatId":"02020202-0202-0202-0202-020202020202","granted":true}}"#,
    ],
    keys: &[
        "event",
        "data",
        "chatId",
        "eventId",
        "message",
        "text",
        "photos",
        "attachedPhotos",
        "client_id",
        "lastReadedMessageId",
        "lastMessageId",
        "granted",
    ],
    texts: &[
        "open_chat",
        "send_message",
        "read_messages",
        "load_history",
        "request_access",
        "grant_access",
        "01010101-0101-0101-0101-010101010101",
        "01010101010101010101010101010101",
        "1",
        "uuid1",
    ],
};

#[test]
fn frames_of_the_action_dialect() {
    run(&ACTION, &lines(ACTION_WORDS));
}

#[test]
fn frames_of_the_type_dialect() {
    let days = text(&[
        "2024-02-29",
        "2024-1-5",
        "20240105",
        "0001-01-01",
        "9999-12-31",
        "last_7_days",
    ]);
    let requests = days.prop_map(|day| {
        let data = json!({"chatId": 1, "date_from": day, "date_to": day});
        json!({"type": "getChatMessages", "data": data})
            .to_string()
            .into_bytes()
    });
    run(&TYPE, &prop_oneof![4 => lines(TYPE_WORDS), 1 => requests]);
}

#[test]
fn frames_of_the_marketplace_dialect() {
    run(&MARKETPLACE, &lines(MARKETPLACE_WORDS));
}

#[test]
fn first_frames_where_they_decide_the_dialect() {
    let any = prop_oneof![
        lines(ACTION_WORDS),
        lines(TYPE_WORDS),
        lines(MARKETPLACE_WORDS)
    ];
    let two = (any.clone(), any).prop_map(|(one, other)| [one, other].join(&b'\n'));
    run(&AUTODETECT, &two);
}

#[test]
fn places_in_a_list_of_chats() {
    let inputs = text(&[
        "1740836400123.3",
        "-1.1",
        "0.9223372036854775807",
        "253402207200000.1",
    ]);
    run(&CURSOR, &bytes(inputs));
}

#[test]
fn times_and_dates() {
    let inputs = text(&[
        "2025-03-01T13:51:53.285Z",
        "2025-03-01",
        "9999-12-31",
        "0000-01-01",
        "-000001-01-01",
        "9999-12-31T23:59:59.999999999+00:00",
        "2016-12-31T23:59:60Z",
        "-009999-01-01T00:00:00-23:59",
        "2025-03-01T10:00:00[Europe/Moscow]",
        "20250301T101112Z",
    ]);
    run(&MOMENT, &bytes(inputs));
}
