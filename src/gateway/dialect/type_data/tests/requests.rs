//! The requests: the commands, the chats and the messages.

use serde_json::{Value, json};

use super::super::DIALECT;
use super::scene::{NO_CHAT, UNEXPECTED, decoded, decoded_in, error, request, setting};
use crate::model::{ChatCursor, ChatRef, Command, Draft, History, Positions, Range, Window, pair};

const NO_CHAT_OR_TEXT: &str = "Invalid data. Chat ID and text are required.";
const NOT_CREATED: &str = "An error occurred while creating the message. Please try again later.";

fn draft(data: &Value) -> Result<Draft, Value> {
    match request("newMessage", data)? {
        Command::SendMessage { draft, .. } => Ok(draft),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_first_frame_with_a_type_is_of_this_dialect() {
    assert!((DIALECT.recognises)(&json!({"type": null})));
    for other in [json!({"action": "list"}), json!([]), json!("type")] {
        assert!(!(DIALECT.recognises)(&other), "{other}");
    }
}

#[test]
fn each_request_is_its_command() {
    let chat = ChatRef::Pk(7);
    let create = Command::CreateRoom {
        name: None,
        team: None,
    };
    let join = Command::JoinChat { chat, read: None };
    let details = Command::GetRoom { chat, messages: 0 };
    let send = Command::SendMessage {
        user: None,
        chat,
        draft: Draft {
            client_id: Some("mine".to_owned()),
            sent_as_read: true,
            ..Draft::text("hi")
        },
    };
    let list = Command::ListMessages {
        user: None,
        chat,
        history: History {
            range: Range::default(),
            window: Window::Last(10_000),
        },
        positions: Positions::Included,
    };
    let message = json!({"chat": 7, "text": "hi", "is_read": true, "client_id": "mine"});
    let cases = [
        (
            "getChats",
            json!({}),
            Command::ListMyRooms {
                limit: None,
                before: None,
            },
        ),
        ("createEmptyChat", json!({}), create),
        ("joinChat", json!({"chat": 7}), join),
        ("getChatDetails", json!({"chatId": 7}), details),
        ("newMessage", message, send),
        ("getChatMessages", json!({"chatId": 7}), list),
    ];
    for (kind, data, command) in cases {
        assert_eq!(request(kind, &data), Ok(command), "{kind}");
    }
}

#[test]
fn a_page_of_chats_has_a_length_and_a_place() {
    let place = ChatCursor {
        active_at: "2025-03-01T12:00:00Z".parse().expect("a time"),
        pk: 7,
    };
    let next = "1740830400000.7";
    for (data, limit, before) in [
        (json!({"limit": 2, "before": next}), Some(2), Some(place)),
        (json!({"limit": "2", "before": null}), Some(2), None),
        (json!({"limit": -1}), None, None),
    ] {
        let list = Command::ListMyRooms { limit, before };
        assert_eq!(request("getChats", &data), Ok(list), "{data}");
    }
    for before in [json!(""), json!(7), json!("own.7"), json!([next])] {
        let refused = request("getChats", &json!({ "before": before }));
        let refused = refused.expect_err("no place");
        assert_eq!(refused["code"], "invalid", "{before}");
    }
}

#[test]
fn requests_without_fields_need_no_data() {
    for kind in ["getChats", "createEmptyChat"] {
        assert!(decoded(&json!({"type": kind})).is_ok());
        for data in [json!(null), json!([1]), json!("x")] {
            assert!(request(kind, &data).is_ok(), "{kind} {data}");
        }
    }
}

#[test]
fn requests_with_fields_need_data_that_is_an_object() {
    for kind in [
        "joinChat",
        "getChatDetails",
        "newMessage",
        "getChatMessages",
    ] {
        let missing = decoded(&json!({"type": kind}));
        assert_eq!(missing, Err(error(UNEXPECTED, "invalid")), "{kind}");
        for data in [json!(null), json!([]), json!("x"), json!(7)] {
            let answer = request(kind, &data);
            assert_eq!(answer, Err(error(UNEXPECTED, "invalid")), "{kind} {data}");
        }
    }
}

#[test]
fn an_id_is_taken_in_many_spellings() {
    let seven = [
        json!(7),
        json!(7.0),
        json!(7.9),
        json!("7"),
        json!(" 7 "),
        json!("+7"),
    ];
    let greatest = (1_i64 << 53) - 1;
    let others = [(json!(true), 1), (json!(greatest), greatest)];
    for (id, pk) in seven.map(|id| (id, 7)).into_iter().chain(others) {
        let expected = Command::GetRoom {
            chat: ChatRef::Pk(pk),
            messages: 0,
        };
        assert_eq!(
            request("getChatDetails", &json!({"chatId": id})),
            Ok(expected)
        );
    }
}

#[test]
fn an_id_that_cannot_be_names_no_chat() {
    let small = [
        json!(0),
        json!(-1),
        json!(0.5),
        json!(false),
        json!("0"),
        json!("-5"),
    ];
    let great = [json!(1_i64 << 53), json!(u64::MAX), json!(1e300)];
    let long = [
        json!("99999999999999999999"),
        json!("-99999999999999999999"),
    ];
    for id in small.into_iter().chain(great).chain(long) {
        for (kind, key) in [
            ("getChatDetails", "chatId"),
            ("getChatMessages", "chatId"),
            ("joinChat", "chat"),
        ] {
            let answer = request(kind, &json!({key: id}));
            assert_eq!(answer, Err(error(NO_CHAT, "not_found")), "{kind} {id}");
        }
    }
    let answer = request(
        "newMessage",
        &json!({"chat": "0", "text": "hi", "is_read": 7}),
    );
    assert_eq!(answer, Err(error(NO_CHAT, "not_found")));
}

#[test]
fn an_id_that_is_none_or_missing_is_answered() {
    for (kind, key) in [
        ("getChatDetails", "chatId"),
        ("getChatMessages", "chatId"),
        ("joinChat", "chat"),
    ] {
        for id in [json!("abc"), json!(""), json!("1.5"), json!([1]), json!({})] {
            let answer = request(kind, &json!({key: id}));
            assert_eq!(answer, Err(error(UNEXPECTED, "invalid")), "{kind} {id}");
        }
        let required = error("Chat ID is required.", "invalid");
        assert_eq!(request(kind, &json!({key: null})), Err(required.clone()));
        assert_eq!(request(kind, &json!({})), Err(required));
    }
}

#[test]
fn a_message_needs_a_chat_and_a_text() {
    let missing = error(NO_CHAT_OR_TEXT, "invalid");
    let nothing = [
        json!(null),
        json!(0),
        json!(0.0),
        json!(""),
        json!(false),
        json!([]),
    ];
    for nothing in nothing.into_iter().chain([json!({})]) {
        let data = json!({"chat": nothing, "text": "hi"});
        assert_eq!(draft(&data), Err(missing.clone()), "{data}");
        let data = json!({"chat": 7, "text": nothing});
        let text = match nothing {
            Value::Null | Value::String(_) => Err(missing.clone()),
            other => Ok(Draft::text(other.to_string())),
        };
        assert_eq!(draft(&data), text, "{data}");
    }
    for data in [json!({"text": "hi"}), json!({"chat": 7}), json!({})] {
        assert_eq!(draft(&data), Err(missing.clone()), "{data}");
    }
    for blank in ["  ", "\t\n", "\u{2003}\u{a0}"] {
        assert_eq!(
            draft(&json!({"chat": 7, "text": blank})),
            Err(missing.clone())
        );
    }
    let answer = draft(&json!({"chat": "abc", "text": "hi"}));
    assert_eq!(answer, Err(error(UNEXPECTED, "invalid")));
}

#[test]
fn a_text_that_is_no_string_is_stored_as_it_was_written() {
    let texts = ["5", "1.50", "true", r#"["a"]"#, r#"{"b": 1, "a": 2}"#];
    for text in texts {
        let frame = format!(r#"{{"type":"newMessage","data":{{"chat":7,"text": {text} }}}}"#);
        let Ok(Command::SendMessage { draft, .. }) = decoded_in(setting(), &frame) else {
            panic!("a message: {text}");
        };
        assert_eq!(draft.text, text);
    }
    let odd = " \u{0}\u{1F600}\u{2028} ";
    let kept = draft(&json!({"chat": 7, "text": odd})).expect("a message");
    assert_eq!(kept.text, odd);
}

#[test]
fn a_message_is_sent_as_read_in_many_spellings() {
    let is_read = |given: Value| draft(&json!({"chat": 7, "text": "hi", "is_read": given}));
    for yes in [json!(true), json!(1), json!(1.0), json!("True"), json!("1")] {
        assert!(is_read(yes).expect("a message").sent_as_read);
    }
    for no in [
        json!(false),
        json!(0),
        json!(0.0),
        json!("False"),
        json!("0"),
    ] {
        assert!(!is_read(no).expect("a message").sent_as_read);
    }
    for bad in [
        json!("true"),
        json!("yes"),
        json!(null),
        json!([]),
        json!(2),
        json!(1.5),
        json!(""),
    ] {
        assert_eq!(is_read(bad), Err(error(NOT_CREATED, "invalid")));
    }
    let silent = draft(&json!({"chat": 7, "text": "hi"})).expect("a message");
    assert!(!silent.sent_as_read);
}

#[test]
fn a_client_id_is_a_string() {
    let client_id = |given: Value| draft(&json!({"chat": 7, "text": "hi", "client_id": given}));
    assert_eq!(client_id(json!(null)).expect("a message").client_id, None);
    let wrong = error("client_id: must be a string", "invalid");
    assert_eq!(client_id(json!(7)), Err(wrong));
}

#[test]
fn a_message_that_was_read_belongs_to_the_chat() {
    let id = pair(7, 3).expect("it fits");
    let join = |given: &Value| -> Result<_, Value> {
        let data = json!({"chat": 7, "last_read_message": given});
        match request("joinChat", &data)? {
            Command::JoinChat { read, .. } => Ok(read),
            other => panic!("{other:?}"),
        }
    };
    for given in [json!(id), json!(id.to_string())] {
        assert_eq!(join(&given), Ok(Some(3)));
    }
    for nothing in [json!(null), json!(0), json!(""), json!(false)] {
        assert_eq!(join(&nothing), Ok(None));
    }
    let others = [pair(8, 3), pair(3, 7), pair(7, 0)].map(|id| json!(id));
    let odd = [
        json!(-1),
        json!("x"),
        json!(1e300),
        json!({"a": 1}),
        json!([1]),
    ];
    for given in others.into_iter().chain(odd) {
        assert_eq!(join(&given), Ok(None), "{given}");
    }
}
