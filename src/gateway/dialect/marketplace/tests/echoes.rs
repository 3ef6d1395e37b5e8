//! The `request_id` of a raw WebSocket in the frame that answers the request: a response or a delivery.

use std::sync::Arc;

use serde_json::json;

use super::scene::{
    begin, chat, chat_id, decided, enter, gleb, market, message, read, sent, state,
};
use crate::gateway::dialect::fixtures::{decode, encode, respond, texts};
use crate::gateway::dialect::{Decoded, DialectSession, Respond};
use crate::hub::SharedEncoding;
use crate::model::{
    ConnectionId, Error, EventChat, Fact, MarkedRead, MessagePage, Notice, Origin, Reads, Reply,
    RequestNumber, Sent, Updated,
};

/// Gleb's connection, which knows his chat.
fn open() -> Arc<dyn DialectSession> {
    let session = begin(&gleb());
    enter(&*session, market(&chat(state(0, 0, 0)), Vec::new()));
    session
}

/// Decodes a request with this `request_id`.
fn ask(
    session: &Arc<dyn DialectSession>,
    name: &str,
    request_id: &str,
) -> (Respond, Option<RequestNumber>) {
    let body = json!({
        "chatId": chat_id(7), "message": {"text": "hi"}, "lastReadedMessageId": 1,
        "lastMessageId": 1, "granted": true,
    });
    let frame = format!(r#"{{"event":"{name}","data":{body},"request_id":{request_id},"more":1}}"#);
    let Decoded::Request(_, respond) = decode(session, &frame) else {
        panic!("{frame}");
    };
    (respond, session.request_number())
}

/// The same notice of the request of this number.
fn of(notice: Notice, request: Option<RequestNumber>) -> Notice {
    let connection = ConnectionId::from_bytes([1; 16]);
    let origin = Some(Origin {
        connection,
        request,
    });
    Notice { origin, ..notice }
}

fn delivered(session: &Arc<dyn DialectSession>, notice: &Notice) -> Vec<String> {
    texts(&encode(&**session, notice, &mut SharedEncoding::default()))
}

fn stored(chat: &EventChat, repeated: bool) -> Reply {
    let message = Arc::new(message(chat, chat.state.head, &gleb(), "hi"));
    Reply::Sent(if repeated {
        Sent::Repeated(message)
    } else {
        Sent::Stored(message)
    })
}

/// For each frame whether it echoes this.
fn echo(frames: &[String], request_id: &str) -> Vec<bool> {
    let end = format!(r#","request_id":{request_id}}}"#);
    frames.iter().map(|frame| frame.ends_with(&end)).collect()
}

#[test]
fn a_delivery_of_the_own_request_echoes_and_no_other() {
    let session = open();
    let (first, number) = ask(&session, "send_message", r#"{"a":  1.0}"#);
    let (second, next) = ask(&session, "send_message", "\"2\"");
    assert_eq!((number, next), (Some(1), Some(2)));
    let chat = [1, 2, 3].map(|head| chat(state(head, 0, head)));
    let others = delivered(&session, &sent(&chat[0], 1, &gleb()));
    assert!(!others[0].contains("request_id"), "{others:?}");
    let one = delivered(&session, &of(sent(&chat[1], 2, &gleb()), number));
    assert_eq!(echo(&one, r#"{"a":  1.0}"#), [true, false]);
    assert!(respond(first, Ok(stored(&chat[1], false))).is_empty());
    // The reply of the second comes before its delivery.
    assert!(respond(second, Ok(stored(&chat[2], false))).is_empty());
    let two = delivered(&session, &of(sent(&chat[2], 3, &gleb()), next));
    assert_eq!(echo(&two, "\"2\""), [true, false]);
}

#[test]
fn a_message_that_was_read_from_the_store_is_echoed_all_the_same() {
    let chat = chat(state(1, 0, 1));
    let session = open();
    let (answer, _) = ask(&session, "send_message", "1");
    assert!(respond(answer, Ok(stored(&chat, false))).is_empty());
    let late = delivered(&session, &sent(&chat, 1, &gleb()));
    assert_eq!(echo(&late, "1"), [true, false]);

    let session = open();
    let (answer, _) = ask(&session, "send_message", "1");
    let early = delivered(&session, &sent(&chat, 1, &gleb()));
    assert_eq!(echo(&early, "1"), [false, false]);
    let answered = texts(&respond(answer, Ok(stored(&chat, false))));
    assert_eq!(echo(&answered, "1"), [true]);
}

#[test]
fn what_changes_nothing_echoes_in_its_answer() {
    let chat = Arc::new(chat(state(1, 0, 1)));
    let unmoved = Reply::Read(MarkedRead {
        chat: chat.chat,
        moved: false,
        event_chat: Some(Arc::clone(&chat)),
    });
    let unchanged = Reply::EventChat(Updated {
        changed: false,
        chat: Arc::clone(&chat),
    });
    let page = Reply::Messages(MessagePage::default(), Reads::default());
    for (name, reply) in [
        ("send_message", stored(&chat, true)),
        ("read_messages", unmoved),
        ("grant_access", unchanged),
        ("load_history", page),
    ] {
        let session = open();
        let (answer, _) = ask(&session, name, "7");
        let frames = texts(&respond(answer, Ok(reply)));
        assert_eq!(echo(&frames, "7"), [true], "{frames:?}");
    }
}

#[test]
fn reading_and_deciding_echo_in_their_delivery() {
    let changed = chat(state(1, 0, 1));
    let reply = Reply::EventChat(Updated {
        changed: true,
        chat: Arc::new(changed.clone()),
    });
    let moved = Reply::Read(MarkedRead {
        chat: changed.chat,
        moved: true,
        event_chat: Some(Arc::new(changed.clone())),
    });
    for (name, reply, notice) in [
        ("grant_access", reply, decided(&changed)),
        ("read_messages", moved, read(&changed)),
    ] {
        for reply_first in [true, false] {
            let session = open();
            let (answer, number) = ask(&session, name, "[1, 2]");
            let notice = of(notice.clone(), number);
            let mut frames = Vec::new();
            if !reply_first {
                frames = delivered(&session, &notice);
            }
            assert!(respond(answer, Ok(reply.clone())).is_empty(), "{name}");
            if reply_first {
                frames = delivered(&session, &notice);
            }
            assert_eq!(echo(&frames, "[1, 2]"), [true], "{frames:?}");
            let again = delivered(&session, &notice);
            assert_eq!(echo(&again, "[1, 2]"), [false], "once");
        }
    }
}

#[test]
fn errors_echo_and_null_is_none() {
    let session = open();
    let (answer, _) = ask(&session, "send_message", "\"\\ud83d\"");
    let frames = texts(&respond(answer, Err(Error::forbidden("no"))));
    assert_eq!(echo(&frames, "\"\\ud83d\""), [true]);
    let Decoded::Refused(_, frames) = decode(&session, r#"{"event":7,"request_id":8}"#) else {
        panic!("a request");
    };
    assert_eq!(echo(&texts(&frames), "8"), [true]);
    let (answer, number) = ask(&session, "load_history", "null");
    assert_eq!(number, None);
    let page = Reply::Messages(MessagePage::default(), Reads::default());
    let frames = texts(&respond(answer, Ok(page)));
    assert!(!frames[0].contains("request_id"), "{frames:?}");
    let chat = chat(state(1, 0, 1));
    let fact = Fact::ReadMoved(Arc::new(chat));
    let other = of(super::scene::notice(fact), None);
    assert!(!delivered(&session, &other)[0].contains("request_id"));
}
