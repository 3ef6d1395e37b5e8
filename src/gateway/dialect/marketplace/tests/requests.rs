//! The requests: every field of each, valid and invalid.

use serde_json::{Value, json};

use super::super::requests::{self, Question};
use super::scene::chat_id;
use crate::gateway::dialect::fixtures::frame;
use crate::model::{
    Access, ChatChoice, ChatRef, Command, Draft, Error, History, Positions, Range, Window,
};

const NAMES: [&str; 6] = [
    "send_message",
    "read_messages",
    "load_history",
    "open_chat",
    "request_access",
    "grant_access",
];

/// The requests that name a chat, and what else they need.
const IN_A_CHAT: [(&str, &str); 4] = [
    ("send_message", r#"{"message": {"text": "hi"}}"#),
    ("read_messages", r#"{"lastReadedMessageId": 4}"#),
    ("load_history", r#"{"lastMessageId": 4}"#),
    ("grant_access", r#"{"granted": true}"#),
];

/// The fields that are numbers, with the request and what else it needs.
const NUMBERS: [(&str, &str, bool); 4] = [
    ("read_messages", "lastReadedMessageId", true),
    ("load_history", "lastMessageId", true),
    ("open_chat", "eventId", false),
    ("request_access", "eventId", false),
];

fn chat() -> String {
    chat_id(7).to_string()
}

fn decode(name: &str, body: &Value) -> Result<(Command, Question), Error> {
    let text = json!({"event": name, "data": body}).to_string();
    requests::decode(frame(&text).event()?)
}

fn decoded(name: &str, body: &Value) -> Command {
    match decode(name, body) {
        Ok((command, _)) => command,
        Err(error) => panic!("{name} {body}: {error}"),
    }
}

/// The code and the text of a refusal.
fn refused(name: &str, body: &Value) -> (&'static str, String) {
    match decode(name, body) {
        Ok(request) => panic!("{name} {body}: {request:?}"),
        Err(error) => (error.kind.code(), error.message),
    }
}

fn invalid(why: &str) -> (&'static str, String) {
    ("invalid", why.to_owned())
}

/// The draft of a `message`.
fn draft(message: &Value) -> Draft {
    let body = json!({"chatId": chat(), "message": message});
    match decoded("send_message", &body) {
        Command::SendMessage { draft, .. } => draft,
        other => panic!("{other:?}"),
    }
}

fn no_draft(message: &Value) -> (&'static str, String) {
    let body = json!({"chatId": chat(), "message": message});
    refused("send_message", &body)
}

fn number(name: &str, key: &str, in_chat: bool, number: &Value) -> Value {
    let mut body = json!({key: number});
    if in_chat {
        body["chatId"] = json!(chat());
    }
    assert!(NAMES.contains(&name));
    body
}

#[test]
fn the_requests_of_the_document_are_their_commands() {
    let (user, chat) = (None, ChatRef::OfEvent(chat_id(7)));
    let photos = ["uuid1", "uuid2", "uuid3"].map(str::to_owned).to_vec();
    let draft = Draft {
        photos,
        ..Draft::text("Текст сообщения")
    };
    let history = History {
        range: Range {
            before: Some(124),
            ..Range::default()
        },
        window: Window::Last(50),
    };
    let id = self::chat();
    let message = json!({
        "text": "Текст сообщения",
        "photos": ["uuid1", "uuid2"],
        "attachedPhotos": ["uuid1", "uuid2", "uuid3"],
    });
    let cases = [
        (
            "send_message",
            json!({"chatId": id, "message": message}),
            Command::SendMessage {
                user,
                chat: chat.clone(),
                draft,
            },
            Question::Message,
        ),
        (
            "read_messages",
            json!({"chatId": id, "lastReadedMessageId": 10}),
            Command::MarkRead {
                user: None,
                chat: ChatRef::OfEvent(chat_id(7)),
                seq: 10,
            },
            Question::Read,
        ),
        (
            "load_history",
            json!({"chatId": id, "lastMessageId": 124}),
            Command::ListMessages {
                user: None,
                chat,
                history,
                positions: Positions::Omitted,
            },
            Question::History(chat_id(7).into()),
        ),
    ];
    for (name, body, command, question) in cases {
        assert_eq!(decode(name, &body).expect(name), (command, question));
    }
}

#[test]
fn the_requests_beyond_the_document_are_their_commands() {
    let (user, event, id) = (None, 10, chat());
    let access = |access| Command::GrantAccess {
        chat: ChatRef::OfEvent(chat_id(7)),
        access,
    };
    let request = |draft| Command::RequestAccess { user, event, draft };
    let granted = |granted| json!({"chatId": id, "granted": granted});
    let cases = [
        (
            "open_chat",
            json!({"eventId": 10}),
            Command::OpenEventChat {
                chosen: ChatChoice::default(),
                user,
                event,
            },
        ),
        ("request_access", json!({"eventId": 10}), request(None)),
        (
            "request_access",
            json!({"eventId": 10, "message": null}),
            request(None),
        ),
        (
            "request_access",
            json!({"eventId": 10, "message": " Let me in"}),
            request(Some(Draft::text(" Let me in"))),
        ),
        ("grant_access", granted(true), access(Access::Granted)),
        ("grant_access", granted(false), access(Access::Asked)),
    ];
    for (name, body, command) in cases {
        let decoded = decode(name, &body).expect(name);
        assert_eq!(decoded, (command, Question::Chat), "{body}");
    }
}

#[test]
fn fields_that_nobody_asked_for_are_ignored() {
    let plain = json!({"chatId": chat(), "lastReadedMessageId": 10});
    let more = json!({
        "chatId": chat(), "lastReadedMessageId": 10, "granted": 7, "message": [], "x": {"y": null},
    });
    assert_eq!(
        decoded("read_messages", &more),
        decoded("read_messages", &plain)
    );
}

#[test]
fn a_chat_is_named_by_its_id() {
    for (name, rest) in IN_A_CHAT {
        let body = |id: Value| {
            let mut body: Value = serde_json::from_str(rest).expect("JSON");
            body["chatId"] = id;
            body
        };
        let missing: Value = serde_json::from_str(rest).expect("JSON");
        assert_eq!(refused(name, &missing), invalid("chatId: is missing"));
        assert_eq!(
            refused(name, &body(json!(null))),
            invalid("chatId: is missing")
        );
        for id in [json!(7), json!(true), json!([chat()]), json!({"id": 7})] {
            assert_eq!(
                refused(name, &body(id)),
                invalid("chatId: must be a string")
            );
        }
        for id in ["", "some_chat_id", "7", &chat().replace('-', "")] {
            let answer = refused(name, &body(json!(id)));
            assert_eq!(answer, ("not_found", format!("no such chat {id}")));
        }
        let long = "я".repeat(100_000);
        let answer = refused(name, &body(json!(long)));
        let shown = format!("no such chat {}", "я".repeat(64));
        assert_eq!(answer, ("not_found", shown));
    }
}

#[test]
fn a_number_may_come_as_text() {
    for (name, key, in_chat) in NUMBERS {
        for whole in [0, 7, 1 << 53, i64::MAX] {
            let as_number = decoded(name, &number(name, key, in_chat, &json!(whole)));
            let as_text = number(name, key, in_chat, &json!(whole.to_string()));
            assert_eq!(as_number, decoded(name, &as_text), "{key} {whole}");
        }
    }
}

#[test]
fn what_is_no_number_or_too_great_is_refused() {
    for (name, key, in_chat) in NUMBERS {
        for missing in [
            number(name, "another", in_chat, &json!(7)),
            number(name, key, in_chat, &json!(null)),
        ] {
            let why = invalid(&format!("{key}: is missing"));
            assert_eq!(refused(name, &missing), why);
        }
        let why = invalid(&format!("{key}: must be a whole number of at least 0"));
        let numbers = [
            json!(-1),
            json!(i64::MIN),
            json!(u64::MAX),
            json!(1.5),
            json!(1e300),
        ];
        let texts = [
            json!("-1"),
            json!("9223372036854775808"),
            json!("1.5"),
            json!("1e300"),
            json!(""),
            json!(" 7"),
            json!("seven"),
        ];
        let others = [json!(true), json!([7]), json!({"id": 7})];
        for wrong in numbers.into_iter().chain(texts).chain(others) {
            let body = number(name, key, in_chat, &wrong);
            assert_eq!(refused(name, &body), why, "{wrong}");
        }
    }
}

#[test]
fn access_is_granted_or_not() {
    let granted = |granted: Value| json!({"chatId": chat(), "granted": granted});
    let missing = invalid("granted: is missing");
    assert_eq!(refused("grant_access", &json!({"chatId": chat()})), missing);
    assert_eq!(refused("grant_access", &granted(json!(null))), missing);
    for wrong in [json!("true"), json!(1), json!(0), json!([]), json!({})] {
        let answer = refused("grant_access", &granted(wrong));
        assert_eq!(answer, invalid("granted: must be true or false"));
    }
}

#[test]
fn what_comes_with_an_application_is_a_text() {
    for other in [json!(7), json!(false), json!([]), json!({"text": "hi"})] {
        let body = json!({"eventId": 10, "message": other});
        let Command::RequestAccess { draft, .. } = decoded("request_access", &body) else {
            panic!("no request");
        };
        assert_eq!(draft, Some(Draft::text(other.to_string())));
    }
}

#[test]
fn a_message_is_an_object() {
    let missing = invalid("message: is missing");
    assert_eq!(refused("send_message", &json!({"chatId": chat()})), missing);
    assert_eq!(no_draft(&json!(null)), missing);
    for wrong in [json!("hi"), json!(7), json!(true), json!([{"text": "hi"}])] {
        assert_eq!(no_draft(&wrong), invalid("message: must be an object"));
    }
}

#[test]
fn a_message_has_a_text_or_photos() {
    let empty = invalid("message.text: is empty, and there are no photos");
    for nothing in [
        json!({}),
        json!({"text": null}),
        json!({"text": ""}),
        json!({"text": " \t\n\u{2003}\u{a0}"}),
        json!({"text": "", "photos": [], "attachedPhotos": null}),
        json!({"text": " ", "photos": null, "attachedPhotos": []}),
    ] {
        assert_eq!(no_draft(&nothing), empty, "{nothing}");
    }
    for other in [json!(7), json!(["hi"]), json!({}), json!(false)] {
        let body = json!({"chatId": chat(), "message": {"text": other}});
        let Command::SendMessage { draft, .. } = decoded("send_message", &body) else {
            panic!("no message");
        };
        assert_eq!(draft, Draft::text(other.to_string()));
    }
    assert_eq!(draft(&json!({"text": " hi \n"})), Draft::text(" hi \n"));
    for pictured in [
        json!({"photos": ["uuid1"]}),
        json!({"text": "", "photos": ["uuid1"]}),
        json!({"text": null, "attachedPhotos": ["uuid1"]}),
    ] {
        let photos = vec!["uuid1".to_owned()];
        let expected = Draft {
            photos,
            ..Draft::text("")
        };
        assert_eq!(draft(&pictured), expected, "{pictured}");
    }
}

#[test]
fn photos_are_followed_by_those_attached_and_each_comes_once() {
    let photos = |photos: Value, attached: Value| {
        draft(&json!({"text": "hi", "photos": photos, "attachedPhotos": attached})).photos
    };
    assert_eq!(
        photos(json!(["b", "a", "b"]), json!(["c", "a", "c", "B"])),
        ["b", "a", "c", "B"]
    );
    assert_eq!(photos(json!(["a"]), json!(null)), ["a"]);
    assert_eq!(photos(json!(null), json!(["a"])), ["a"]);
    assert_eq!(photos(json!(["a", "a"]), json!([])), ["a"]);
    assert!(photos(json!([]), json!([])).is_empty());
    for key in ["photos", "attachedPhotos"] {
        for wrong in [json!("a"), json!([1]), json!(["a", null]), json!({"a": 1})] {
            let why = invalid(&format!("message.{key}: must be a list of strings"));
            assert_eq!(no_draft(&json!({"text": "hi", key: wrong})), why);
        }
    }
}

#[test]
fn a_message_may_have_a_name_of_its_sender() {
    let named = draft(&json!({"text": "hi", "client_id": "mine"}));
    assert_eq!(named.client_id.as_deref(), Some("mine"));
    let unnamed = draft(&json!({"text": "hi", "client_id": null}));
    assert_eq!(unnamed, Draft::text("hi"));
    for wrong in [json!(7), json!([]), json!({}), json!(true)] {
        let answer = no_draft(&json!({"text": "hi", "client_id": wrong}));
        assert_eq!(answer, invalid("message.client_id: must be a string"));
    }
}

#[test]
fn unknown_requests_are_refused() {
    for unknown in [
        "",
        "Send_message",
        "send-message",
        "initial_data",
        "debug_info",
    ] {
        let why = invalid(&format!("event: there is no \"{unknown}\""));
        assert_eq!(refused(unknown, &json!({"chatId": chat()})), why);
    }
    let why = invalid(&format!("event: there is no \"{}\"", "я".repeat(64)));
    assert_eq!(refused(&"я".repeat(65), &json!({})), why);
}

#[test]
fn a_body_is_an_object() {
    for name in NAMES {
        for body in [json!([]), json!("x"), json!(7), json!(true)] {
            assert_eq!(refused(name, &body), invalid("body: must be an object"));
        }
    }
}
