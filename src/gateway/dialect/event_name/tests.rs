//! The dialect's JSON, field by field.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::requests::command;
use super::responses::{
    CREATE_CHAT, CREATE_USER, LIST_CHATS, LIST_MESSAGES, NEW_MESSAGE, exception, refusal, response,
};
use super::*;
use crate::gateway::dialect::cursors::CursorText;
use crate::gateway::dialect::fixtures::{self, encode};
use crate::gateway::dialect::{Incoming, RequestRef};
use crate::hub::{Outgoing, SharedEncoding};
use crate::model::{
    Chat, ChatId, ChatRef, Command, ConnectionId, Draft, Error, ErrorKind, Fact, Message,
    MessageId, Notice, Range, Reply, Sent, User, UserRef, Window,
};

const CHAT: &str = "01950000-0000-7000-8000-000000000001";
const USER: &str = "01950000-0000-7000-8000-000000000002";

fn decoded(name: &str, arguments: &[Value]) -> Result<Command, Error> {
    let mut packet = vec![json!(name)];
    packet.extend_from_slice(arguments);
    command(incoming(&Value::from(packet).to_string()).event()?)
}

fn incoming(text: &str) -> Incoming {
    fixtures::packet(text, None)
}

fn at() -> Timestamp {
    "2025-03-01T13:51:53.285Z".parse().expect("a time")
}

fn user() -> User {
    User {
        id: USER.parse().expect("an id"),
        avatar: "/a.jpg".into(),
        ..User::example()
    }
}

/// The frames for a connection about an action of another one.
fn delivered(fact: Fact, connection: Option<ConnectionId>) -> Option<Outgoing> {
    let notice = Notice {
        origin: Some(ConnectionId::from_bytes([9; 16]).into()),
        fact,
        durable: None,
    };
    let session = EventNameSession::new(connection);
    encode(&session, &notice, &mut SharedEncoding::default()).pop()
}

fn message() -> Message {
    Message {
        id: MessageId::from_bytes([7; 16]),
        chat: CHAT.parse().expect("an id"),
        chat_pk: 4,
        seq: 3,
        sender: Arc::new(user()),
        text: "Hi \"world\" \u{1F600}".into(),
        client_id: Some("mine".into()),
        created_at: at(),
        modified_at: at(),
        ..Message::example()
    }
}

#[test]
fn whitespace_before_an_event_does_not_hide_its_name() {
    let event = incoming(" \t\r\n[\"no\"]");
    assert_eq!(event.event().expect("an event").name, "no");
    assert_eq!(event.request_ref().name, "no");
}

#[test]
fn half_a_character_is_a_replacement_in_names_too() {
    let text =
        format!(r#"["new-message",{{"room":"{CHAT}","msg":"Hello \ud83d","\udc00":"\ud800"}}]"#);
    let Ok(Command::SendMessage { draft, .. }) = incoming(&text).event().and_then(command) else {
        panic!("a message");
    };
    assert_eq!(draft.text, "Hello \u{FFFD}");
    let unknown = r#"["no \ud83d",{}]"#;
    assert_eq!(
        incoming(unknown).event().expect("an event").name,
        "no \u{FFFD}"
    );
    assert_eq!(incoming(unknown).request_ref().name, "no \u{FFFD}");
    assert_eq!(
        incoming(r#"["no \ud83d",{"#).request_ref().name,
        "no \u{FFFD}"
    );
}

#[test]
fn all_four_forms_of_a_message_mean_the_same() {
    let forms = [
        vec![json!({"room": CHAT, "msg": "hi", "type": "note"})],
        vec![json!({"chat": {"id": CHAT}, "msg": "hi", "type": "note"})],
        vec![json!(CHAT), json!({"msg": "hi", "type": "note"})],
        vec![json!({"chat": {"id": CHAT}, "message": {"value": "hi", "type": "note"}})],
    ];
    for form in forms {
        let expected = Command::SendMessage {
            user: None,
            chat: ChatRef::Id(CHAT.parse().expect("an id")),
            draft: Draft {
                kind: "note".into(),
                ..Draft::text("hi")
            },
        };
        assert_eq!(
            decoded(NEW_MESSAGE, &form).expect("a command"),
            expected,
            "{form:?}"
        );
    }
}

#[test]
fn a_message_that_is_no_text_is_its_json_as_it_was_written() {
    for json in ["7", "1.50", "true", "[ 1, 2]", r#"{"b":1,"a":{}}"#] {
        let chat = format!(r#"{{"id":"{CHAT}"}}"#);
        for packet in [
            format!(r#"["new-message",{{"room":"{CHAT}","msg":{json}}}]"#),
            format!(r#"["new-message", "{CHAT}" ,{{"msg":{json}}}]"#),
            format!(r#"["new-message",{{"chat":{chat},"message":{{"value":{json}}}}}]"#),
        ] {
            let event = incoming(&packet).event().expect("an event");
            let Ok(Command::SendMessage { draft, .. }) = command(event) else {
                panic!("{packet}");
            };
            assert_eq!(draft.text, json, "{packet}");
        }
    }
}

#[test]
fn a_message_is_of_type_text_unless_it_says_otherwise() {
    let body = json!({"room": CHAT, "msg": "hi", "user": {"id": USER}, "client_id": "c"});
    let Ok(Command::SendMessage { user, draft, .. }) = decoded(NEW_MESSAGE, &[body]) else {
        panic!("a message");
    };
    assert_eq!(draft.kind, "text");
    assert_eq!(draft.client_id.as_deref(), Some("c"));
    assert_eq!(user, USER.parse().ok());
}

#[test]
fn a_field_of_the_wrong_type_is_named() {
    let cases = [
        (NEW_MESSAGE, json!({"room": 7, "msg": "hi"}), "room"),
        (NEW_MESSAGE, json!({"room": CHAT, "msg": null}), "msg"),
        (
            NEW_MESSAGE,
            json!({"chat": {"id": CHAT}, "message": {"value": null}}),
            "message.value",
        ),
        (CREATE_CHAT, json!({"users": USER}), "users"),
        (
            CREATE_USER,
            json!({"user": {"externalUserId": 7}}),
            "user.externalUserId",
        ),
        (LIST_MESSAGES, json!({"chat": {}}), "chat.id"),
        (
            LIST_MESSAGES,
            json!({"chat": {"id": CHAT}, "query": {"limit": 0}}),
            "query.limit",
        ),
        (
            LIST_MESSAGES,
            json!({"chat": {"id": CHAT}, "query": {"from": "now"}}),
            "query.from",
        ),
        (LIST_CHATS, json!({"before": "yesterday"}), "before"),
    ];
    for (name, body, field) in cases {
        let error = decoded(name, &[body]).expect_err(field);
        assert_eq!(error.kind, ErrorKind::Invalid, "{field}");
        assert!(
            error.message.starts_with(&format!("{field}: ")),
            "{}",
            error.message
        );
    }
}

#[test]
fn two_rooms_in_one_message_are_one_too_many() {
    let body = json!({"room": CHAT, "chat": {"id": USER}, "msg": "hi"});
    let error = decoded(NEW_MESSAGE, &[body]).expect_err("two rooms");
    assert_eq!(error.kind, ErrorKind::Invalid);
}

#[test]
fn an_id_that_is_none_was_never_given_out() {
    let error = decoded(CREATE_CHAT, &[json!({"users": ["nobody"]})]).expect_err("no id");
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert!(error.message.contains("nobody"));
}

#[test]
fn names_of_the_later_revision_are_understood() {
    let body = json!({"user": {"external_id": "anna", "photo": "/a.jpg"}});
    let Ok(Command::CreateUser {
        external_id,
        profile,
    }) = decoded(CREATE_USER, &[body])
    else {
        panic!("a user");
    };
    assert_eq!(external_id.as_deref(), Some("anna"));
    assert_eq!(profile.avatar.as_deref(), Some("/a.jpg"));
}

#[test]
fn an_id_alone_fetches_a_user() {
    let fetch = decoded(CREATE_USER, &[json!({"user": {"id": USER}})]);
    let id = USER.parse().expect("an id");
    assert_eq!(
        fetch.expect("a command"),
        Command::GetUser {
            user: UserRef::Id(id)
        }
    );
}

#[test]
fn a_plain_date_means_the_whole_day() {
    let query = json!({"from": "2025-03-01", "to": "2025-03-01"});
    let body = json!({"chat": {"id": CHAT}, "query": query});
    let Ok(Command::ListMessages { history, .. }) = decoded(LIST_MESSAGES, &[body]) else {
        panic!("a history");
    };
    let Range { from, to, .. } = history.range;
    assert_eq!(from, "2025-03-01T00:00:00Z".parse().ok());
    assert_eq!(to, "2025-03-01T23:59:59.999999999Z".parse().ok());
    assert_eq!(history.window, Window::Last(usize::MAX));
}

#[test]
fn with_after_seq_the_first_ones_are_wanted() {
    let body = json!({"chat": {"id": CHAT}, "query": {"after_seq": 5, "limit": 2}});
    let Ok(Command::ListMessages { history, .. }) = decoded(LIST_MESSAGES, &[body]) else {
        panic!("a history");
    };
    assert_eq!(history.range.after, Some(5));
    assert_eq!(history.window, Window::First(2));
}

#[test]
fn the_next_of_one_answer_is_the_before_of_the_next_request() {
    let next = "1740836400000.12";
    let Ok(Command::ListChats { before, .. }) = decoded(LIST_CHATS, &[json!({"before": next})])
    else {
        panic!("a list");
    };
    let before = before.expect("a cursor");
    assert_eq!(CursorText(before).to_string(), next);
}

#[test]
fn what_is_no_event_is_invalid() {
    for packet in ["", "[", "{}", "[]", "[7]", "[\"a\",]", "\u{0}"] {
        let error = incoming(packet).event().expect_err(packet);
        assert_eq!(error.kind, ErrorKind::Invalid, "{packet}");
    }
    let deep = format!("[\"new-message\",{}", "[".repeat(100_000));
    assert!(incoming(&deep).event().is_err());
    let expected = RequestRef {
        request_id: None,
        name: "new-message".to_owned(),
        ack: None,
    };
    assert_eq!(incoming(&deep).request_ref(), expected);
    assert!(decoded("make-coffee", &[]).is_err());
}

#[test]
fn a_frame_that_unpacks_itself_is_read_like_any_other() {
    let packed = crate::gateway::dialect::untrusted_json::tests::packed(200);
    let text = format!("[\"list-chats\",{packed}]");
    assert!(command(incoming(&text).event().expect("JSON")).is_err());
}

#[test]
fn the_acknowledgement_and_the_broadcast_of_a_message_are_the_same() {
    let message = Arc::new(message());
    let frame = delivered(Fact::MessageSent(Arc::clone(&message)), None);
    let broadcast = frame.expect("an event");
    assert_eq!(broadcast.name, Some("new-message"));
    let answered = response(&Reply::Sent(Sent::Stored(message)));
    let (name, body) = answered.expect("an answer");
    assert_eq!((name, body.json()), ("new-message", broadcast.body.json()));
    let expected = json!({
        "id": "07070707-0707-0707-0707-070707070707", "seq": 3, "room": CHAT,
        "msg": "Hi \"world\" \u{1F600}", "type": "text", "user_id": USER,
        "created_at": "2025-03-01T13:51:53.285Z", "modified_at": "2025-03-01T13:51:53.285Z",
        "client_id": "mine",
    });
    let body: Value = serde_json::from_str(body.as_str()).expect("JSON");
    assert_eq!(body, expected);
}

#[test]
fn whole_seconds_have_milliseconds_too() {
    let (name, body) = response(&Reply::User(user())).expect("an answer");
    assert_eq!(name, "create-user");
    let body: Value = serde_json::from_str(body.as_str()).expect("JSON");
    assert_eq!(body["user"]["created_at"], "1970-01-01T00:00:00.000Z");
    assert_eq!(body["user"]["imageUUID"], Value::Null);
}

#[test]
fn the_creator_of_a_chat_is_not_notified_of_it_beside_the_answer() {
    let chat = Chat {
        id: ChatId::from_bytes([2; 16]),
        pk: 4,
        created_at: at(),
        modified_at: at(),
        active_at: at(),
        ..Chat::example()
    };
    let maker = ConnectionId::from_bytes([9; 16]);
    assert!(delivered(Fact::ChatCreated(chat.clone()), Some(maker)).is_none());
    assert!(delivered(Fact::ChatCreated(chat), None).is_some());
}

#[test]
fn an_error_says_what_to_do() {
    let error = Error::rate_limited(250);
    let body: Value = serde_json::from_str(refusal(&error).as_str()).expect("JSON");
    assert_eq!(body["error"]["code"], "rate_limited");
    assert_eq!(body["error"]["retry_after_ms"], 250);
    let frame = exception("new-message", &error);
    assert_eq!(frame.name, Some("exception"));
    let body: Value = serde_json::from_str(frame.body.as_str()).expect("JSON");
    assert_eq!(body["event"], "new-message");
}
