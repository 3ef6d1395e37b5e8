//! The responses.

use std::sync::Arc;

use serde_json::{Value, json};

use super::scene::{anna, answered, at, begin, boris, error, message, only, room, setting, text};
use crate::gateway::dialect::Decoded;
use crate::gateway::dialect::fixtures::{decode, respond};
use crate::model::{
    ChatCursor, Error, ErrorKind, Joined, Message, MessagePage, Reads, Reply, Room, RoomPage, Sent,
    User, pair,
};

const NOON: &str = "2025-03-01T12:00:00.000Z";

fn request(kind: &str) -> Value {
    let data = json!({"chat": 7, "chatId": 7, "text": "hi"});
    json!({"type": kind, "data": data})
}

fn joined(room: Room, user: Arc<User>) -> Joined {
    Joined {
        fresh: true,
        chat: room.chat,
        user,
    }
}

fn my_rooms(rooms: Vec<Room>) -> Reply {
    Reply::MyRooms(RoomPage { rooms, next: None })
}

fn page(messages: Vec<Message>) -> MessagePage {
    MessagePage {
        messages,
        has_more: false,
    }
}

#[test]
fn chats_are_listed_with_their_people() {
    let rooms = vec![room(7, &[anna(), boris()]), room(8, &[])];
    let answer = answered(&request("getChats"), Ok(my_rooms(rooms)));
    let people = json!([{"id": 1, "username": "anna"}, {"id": 2, "username": "boris"}]);
    let expected = json!({"type": "chatsList", "data": [
        {"id": 7, "participants": people, "created_at": NOON, "updated_at": NOON},
        {"id": 8, "participants": [], "created_at": NOON, "updated_at": NOON},
    ]});
    assert_eq!(answer, expected);
    let none = answered(&request("getChats"), Ok(my_rooms(Vec::new())));
    assert_eq!(none, json!({"type": "chatsList", "data": []}));
    let next = ChatCursor {
        active_at: at(NOON),
        pk: 7,
    };
    let page = RoomPage {
        rooms: Vec::new(),
        next: Some(next),
    };
    let paged = answered(&request("getChats"), Ok(Reply::MyRooms(page)));
    let expected = json!({"type": "chatsList", "data": [], "next": "1740830400000.7"});
    assert_eq!(paged, expected);
}

#[test]
fn an_empty_chat_has_participants_too() {
    let reply = Reply::Room(room(7, &[]));
    let answer = answered(&request("createEmptyChat"), Ok(reply));
    let data = json!({"id": 7, "participants": [], "created_at": NOON, "updated_at": NOON});
    assert_eq!(answer, json!({"type": "emptyChatCreated", "data": data}));
}

#[test]
fn a_chat_was_updated_when_something_last_happened_in_it() {
    let (early, late) = ("2025-03-01T12:00:01.500Z", "2025-03-01T12:00:02.000Z");
    for (active, modified) in [(early, late), (late, early)] {
        let mut room = room(7, &[anna()]);
        room.chat.active_at = at(active);
        room.chat.modified_at = at(modified);
        let answer = answered(&request("getChatDetails"), Ok(Reply::Room(room)));
        assert_eq!(answer["type"], "chatDetails");
        assert_eq!(answer["data"]["updated_at"], late);
        assert_eq!(answer["data"]["created_at"], NOON);
        assert_eq!(answer["data"]["participants"][0]["username"], "anna");
    }
}

#[test]
fn a_join_is_answered_with_what_was_read() {
    let response = |data: Value, head| {
        let mut room = room(7, &[anna()]);
        room.chat.head = head;
        let reply = Reply::Joined(joined(room, anna()));
        answered(&json!({"type": "joinChat", "data": data}), Ok(reply))
    };
    let mut expected = json!({"type": "chatJoined", "data":
        {"chat": 7, "user": {"id": 1, "username": "anna"}}});
    assert_eq!(response(json!({"chat": "7"}), 0), expected);
    expected["data"]["last_read_message"] = json!(pair(7, 9));
    assert_eq!(
        response(json!({"chat": 7, "last_read_message": 0}), 9),
        expected
    );
    expected["data"]["last_read_message"] = json!(pair(7, 3));
    let given = json!({"chat": 7, "last_read_message": pair(7, 3)});
    assert_eq!(response(given, 9), expected);
    // One that is no message of this chat comes back as it came.
    for other in [json!("4e1f-a"), json!(4), json!([1, 2])] {
        expected["data"]["last_read_message"] = other.clone();
        let given = json!({"chat": 7, "last_read_message": other});
        assert_eq!(response(given, 9), expected);
    }
}

#[test]
fn a_second_join_is_answered_as_such() {
    let again = Joined {
        fresh: false,
        ..joined(room(7, &[anna()]), anna())
    };
    let answer = answered(&request("joinChat"), Ok(Reply::Joined(again)));
    let text = "You are already a participant in this chat.";
    assert_eq!(answer, json!({"type": "info", "message": text}));
}

#[test]
fn a_message_is_answered_with_all_its_fields() {
    let mut expected = json!({"type": "messageCreated", "data": {
        "id": pair(7, 3), "chat": 7, "sender": {"id": 1, "username": "anna"},
        "text": "\u{41f}\"\u{0}\u{1F600}", "timestamp": NOON, "is_read": false,
    }});
    let mut message = message(3, &anna(), "\u{41f}\"\u{0}\u{1F600}");
    let sent = Sent::Stored(Arc::new(message.clone()));
    assert_eq!(
        answered(&request("newMessage"), Ok(Reply::Sent(sent))),
        expected
    );
    message.sent_as_read = true;
    message.client_id = Some("mine".to_owned());
    expected["data"]["is_read"] = json!(true);
    expected["data"]["client_id"] = json!("mine");
    let sent = Sent::Repeated(Arc::new(message));
    assert_eq!(
        answered(&request("newMessage"), Ok(Reply::Sent(sent))),
        expected
    );
}

#[test]
fn history_names_each_sender_twice() {
    let messages = page(vec![message(1, &boris(), "hi")]);
    let reply = Reply::Messages(messages, Reads::default());
    let answer = answered(&request("getChatMessages"), Ok(reply));
    let expected = json!({"type": "chatMessages", "data": [{
        "id": pair(7, 1), "chat": 7, "sender": {"id": 2, "username": "boris"},
        "sender_username": "boris", "text": "hi", "timestamp": NOON, "is_read": false,
    }]});
    assert_eq!(answer, expected);
}

#[test]
fn history_is_read_as_far_as_all_others_have_read() {
    let mut messages: Vec<_> = (1..=4).map(|seq| message(seq, &anna(), "hi")).collect();
    messages[3].sent_as_read = true;
    messages[1].sender = boris();
    // Boris has read the first; Anna, the sender of the last, has read all.
    let reads = Reads::new([(anna().id, 4), (boris().id, 1)]);
    let reply = Reply::Messages(page(messages), reads);
    let answer = answered(&request("getChatMessages"), Ok(reply));
    let items = answer["data"].as_array().expect("a list");
    let read: Vec<_> = items.iter().map(|item| item["is_read"].clone()).collect();
    assert_eq!(read, [true, true, false, true]);
}

#[test]
fn with_last_the_newest_comes_first() {
    let messages: Vec<_> = (1..=3).map(|seq| message(seq, &anna(), "hi")).collect();
    let ids = |last: Value| {
        let data = json!({"chatId": 7, "last": last});
        let reply = Reply::Messages(page(messages.clone()), Reads::default());
        let frame = json!({"type": "getChatMessages", "data": data});
        let answer = answered(&frame, Ok(reply));
        let items = answer["data"].as_array().expect("a list");
        let ids: Vec<_> = items.iter().map(|item| item["id"].as_i64()).collect();
        ids
    };
    let ascending = [pair(7, 1), pair(7, 2), pair(7, 3)];
    assert_eq!(ids(json!(null)), ascending);
    assert_eq!(ids(json!(0)), ascending);
    let descending: Vec<_> = ascending.into_iter().rev().collect();
    assert_eq!(ids(json!(3)), descending);
    assert_eq!(ids(json!("3")), descending);
}

#[test]
fn errors_have_the_texts_of_the_original() {
    let later = |what: &str| format!("An error occurred while {what}. Please try again later.");
    let cases = [
        ("getChats", later("retrieving chats")),
        (
            "createEmptyChat",
            "Could not create chat. Please try again later.".to_owned(),
        ),
        (
            "joinChat",
            "An unexpected error occurred. Please try again later.".to_owned(),
        ),
        ("getChatDetails", later("retrieving chat details")),
        ("newMessage", later("creating the message")),
        ("getChatMessages", later("retrieving messages")),
    ];
    for (kind, message) in cases {
        let answer = answered(&request(kind), Err(Error::unavailable("the disk is full")));
        let expected = error(&message, "unavailable");
        assert_eq!(answer, expected, "{kind}");
    }
    for kind in [
        "joinChat",
        "getChatDetails",
        "newMessage",
        "getChatMessages",
    ] {
        let answer = answered(&request(kind), Err(Error::not_found("chat 7")));
        let expected = error("Chat not found.", "not_found");
        assert_eq!(answer, expected, "{kind}");
    }
}

#[test]
fn other_errors_speak_for_themselves() {
    let forbidden = Error::forbidden("only members may write");
    let answer = answered(&request("newMessage"), Err(forbidden));
    assert_eq!(answer, error("only members may write", "forbidden"));
    let refused = answered(&request("getChats"), Err(Error::rate_limited(250)));
    assert_eq!(refused["code"], "rate_limited");
    assert_eq!(refused["retry_after_ms"], 250);
    let odd = answered(&request("getChats"), Ok(Reply::EventDeleted(1)));
    assert_eq!(odd["code"], ErrorKind::Internal.code());
}

#[test]
fn a_request_id_comes_back_as_it_was_written() {
    let great = "123456789012345678901234567890";
    for tag in [
        "1",
        "\"a\\u0041\"",
        "1.50",
        "true",
        "[1,{}]",
        "{\"b\":1,\"a\":2}",
        great,
    ] {
        let frame = format!(r#"{{"type":"getChats", "request_id" : {tag} }}"#);
        let Decoded::Request(_, answer) = decode(&begin(setting()), &frame) else {
            panic!("a question: {tag}");
        };
        let frames = respond(answer, Ok(my_rooms(Vec::new())));
        let expected = format!(r#"{{"type":"chatsList","data":[],"request_id":{tag}}}"#);
        assert_eq!(text(&frames[0]), expected);
    }
}

#[test]
fn a_request_id_comes_back_with_whatever_is_answered() {
    let response = |kind: &str, data: Value, outcome| {
        answered(
            &json!({"type": kind, "data": data, "request_id": 5}),
            outcome,
        )
    };
    let refused = response("getChats", json!({}), Err(Error::unavailable("no")));
    assert_eq!(refused["request_id"], 5);
    let mut again = joined(room(7, &[anna()]), anna());
    again.fresh = false;
    let again = response("joinChat", json!({"chat": 7}), Ok(Reply::Joined(again)));
    assert_eq!(again["request_id"], 5);
    for frame in [
        r#"{"type":"x","request_id":5}"#,
        r#"{"type":"joinChat","request_id":5}"#,
    ] {
        let Decoded::Refused(_, frames) = decode(&begin(setting()), frame) else {
            panic!("no question: {frame}");
        };
        assert_eq!(only(&frames)["request_id"], 5);
    }
    let frame = json!({"type": "getChats", "request_id": null});
    let answer = answered(&frame, Ok(my_rooms(Vec::new())));
    assert_eq!(answer.get("request_id"), None);
}
