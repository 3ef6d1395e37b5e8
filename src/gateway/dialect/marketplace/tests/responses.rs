//! The responses and notices, key by key, beside the samples of the document
//! (`002_009911d465e5d3cb`). There the guest is once user 1 and once user 16: here user 1.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::MarketplaceSession;
use super::super::requests::Question;
use super::super::responses::{acknowledged, refused};
use super::scene::{
    at, chat, chat_id, decided, delivered, event_body, fresh, gleb, market, message, olga, read,
    read_frames, respond, sent, state,
};
use crate::model::{
    Access, Error, EventChat, EventChatState, Fact, Message, MessagePage, Reads, Reply, User,
};

/// A chat that is an application, of which Olga has not read 10 messages and Gleb 20.
fn seeds_chat() -> EventChat {
    chat(EventChatState {
        access: Access::Asked,
        access_version: 1,
        ..state(30, 20, 10)
    })
}

/// Olga's message of the document.
fn seeds_message(chat: &EventChat) -> Message {
    let photos = ["uuid1", "uuid2"].map(str::to_owned).to_vec();
    Message {
        photos,
        ..message(chat, 10, &olga(), "Привет!")
    }
}

/// The same as JSON.
fn message_body() -> Value {
    json!({
        "messageId": 10,
        "text": "Привет!",
        "photos": ["uuid1", "uuid2"],
        "date": "2025-03-01T13:51:53.285Z",
        "fromUserId": 14,
        "toUserId": 1,
    })
}

/// The chat of the document with these messages, as Olga sees it.
fn for_olga(messages: &Value) -> Value {
    json!({
        "chatId": "07070707-0707-0707-0707-070707070707",
        "isRequestSended": true,
        "isAccessGranted": false,
        "user": {"id": 1, "name": "User 1", "imageUUID": "uuid1"},
        "messages": messages,
        "myUnreadCount": 10,
        "interlocutorUnreadCount": 20,
    })
}

/// As Gleb sees it.
fn for_gleb(messages: &Value) -> Value {
    let mut body = for_olga(messages);
    body["user"] = json!({"id": 14, "name": "Olga", "imageUUID": null});
    body["myUnreadCount"] = json!(20);
    body["interlocutorUnreadCount"] = json!(10);
    body
}

/// The body of `chat_updates` about this chat.
fn update(mut chat: Value) -> Value {
    chat["event"] = event_body(10);
    chat["eventOwnerId"] = json!(14);
    chat
}

fn unread(mine: i64, interlocutors: i64) -> Value {
    json!({
        "chatId": "07070707-0707-0707-0707-070707070707",
        "myUnreadCount": mine,
        "interlocutorUnreadCount": interlocutors,
    })
}

fn initial_data(user: &Arc<User>, chat: &EventChat, messages: Vec<Message>) -> Value {
    let session = MarketplaceSession::new(user.id);
    let mut events = super::scene::enter(&session, market(chat, messages));
    assert_eq!(events.len(), 1, "{events:?}");
    let (name, body) = events.remove(0);
    assert_eq!(name, "initial_data");
    body
}

fn named(events: Vec<(&str, Value)>) -> Vec<(String, Value)> {
    let owned = |(name, body): (&str, Value)| (name.to_owned(), body);
    events.into_iter().map(owned).collect()
}

/// The body of the one answer.
fn answer(user: &Arc<User>, question: Question, reply: &Reply) -> (String, Value) {
    let mut events = respond(&fresh(user), question, reply);
    assert_eq!(events.len(), 1, "{events:?}");
    events.remove(0)
}

#[test]
fn initial_data_is_as_in_the_document_on_both_sides() {
    let chat = seeds_chat();
    for (user, expected) in [
        (olga(), for_olga(&json!([message_body()]))),
        (gleb(), for_gleb(&json!([message_body()]))),
    ] {
        let body = initial_data(&user, &chat, vec![seeds_message(&chat)]);
        let entry = json!({"event": event_body(10), "eventOwnerId": 14, "chats": [expected]});
        assert_eq!(body, json!([entry]));
    }
}

#[test]
fn a_message_is_sent_as_in_the_document_on_both_sides() {
    let chat = seeds_chat();
    let notice = super::scene::notice(Fact::MessageSent(Arc::new(seeds_message(&chat))));
    let messages = json!([message_body()]);
    let expected = named(vec![
        ("chat_updates", update(for_olga(&messages))),
        ("chat_unread", unread(10, 20)),
    ]);
    assert_eq!(delivered(&fresh(&olga()), &notice), expected);
    let expected = named(vec![
        ("chat_updates", update(for_gleb(&messages))),
        ("chat_unread", unread(20, 10)),
    ]);
    assert_eq!(delivered(&fresh(&gleb()), &notice), expected);
}

#[test]
fn who_reads_on_is_sent_to_both_sides() {
    let notice = read(&seeds_chat());
    let to_olga = named(vec![("chat_unread", unread(10, 20))]);
    assert_eq!(delivered(&fresh(&olga()), &notice), to_olga);
    let to_gleb = named(vec![("chat_unread", unread(20, 10))]);
    assert_eq!(delivered(&fresh(&gleb()), &notice), to_gleb);
}

#[test]
fn a_decision_is_sent_to_both_sides_without_messages() {
    let notice = decided(&seeds_chat());
    let to_olga = named(vec![("chat_updates", update(for_olga(&json!([]))))]);
    assert_eq!(delivered(&fresh(&olga()), &notice), to_olga);
    let to_gleb = named(vec![("chat_updates", update(for_gleb(&json!([]))))]);
    assert_eq!(delivered(&fresh(&gleb()), &notice), to_gleb);
}

#[test]
fn the_two_marks_say_how_far_an_application_is() {
    let cases = [
        (Access::Unasked, (false, false)),
        (Access::Asked, (true, false)),
        (Access::Granted, (true, true)),
    ];
    for (access, (sended, granted)) in cases {
        let chat = chat(EventChatState {
            access,
            ..state(0, 0, 0)
        });
        let notices = [decided(&chat), sent(&chat, 1, &gleb())];
        let delivered = notices.map(|notice| delivered(&fresh(&olga()), &notice)[0].1.clone());
        let first = initial_data(&olga(), &chat, Vec::new())[0]["chats"][0].clone();
        for body in delivered.into_iter().chain([first]) {
            let marks = (&body["isRequestSended"], &body["isAccessGranted"]);
            assert_eq!(marks, (&json!(sended), &json!(granted)));
        }
    }
}

#[test]
fn history_is_as_in_the_document() {
    let chat = seeds_chat();
    let mut earlier = message(&chat, 9, &gleb(), "");
    earlier.client_id = Some("mine".to_owned());
    let page = MessagePage {
        messages: vec![earlier, seeds_message(&chat)],
        has_more: true,
    };
    let reply = Reply::Messages(page, Reads::default());
    let earlier = json!({
        "messageId": 9, "text": "", "photos": [], "date": "2025-03-01T13:51:53.285Z",
        "fromUserId": 1, "toUserId": 14, "client_id": "mine",
    });
    let expected = json!({"chatId": chat_id(7), "messages": [earlier, message_body()]});
    for user in [olga(), gleb()] {
        let events = answer(&user, Question::History(chat_id(7)), &reply);
        assert_eq!(events, ("history".to_owned(), expected.clone()));
    }
}

#[test]
fn history_that_has_no_end_has_no_messages_either() {
    let reply = Reply::Messages(MessagePage::default(), Reads::default());
    let events = answer(&gleb(), Question::History(chat_id(9)), &reply);
    let expected = json!({"chatId": chat_id(9), "messages": []});
    assert_eq!(events, ("history".to_owned(), expected));
}

#[test]
fn times_have_milliseconds() {
    let chat = seeds_chat();
    for (time, expected) in [
        ("2025-03-01T13:51:53Z", "2025-03-01T13:51:53.000Z"),
        ("2025-03-01T13:51:53.28Z", "2025-03-01T13:51:53.280Z"),
        ("2025-03-01T01:51:53.285+12:00", "2025-02-28T13:51:53.285Z"),
        ("1970-01-01T00:00:00.001Z", "1970-01-01T00:00:00.001Z"),
    ] {
        let mut message = seeds_message(&chat);
        message.created_at = at(time);
        message.modified_at = at("2030-01-01T00:00:00Z");
        let body = initial_data(&olga(), &chat, vec![message]);
        assert_eq!(body[0]["chats"][0]["messages"][0]["date"], expected);
    }
}

#[test]
fn the_senders_name_for_a_message_comes_back_if_it_gave_one() {
    let chat = seeds_chat();
    let mut named = seeds_message(&chat);
    named.client_id = Some("mine".to_owned());
    let mut expected = message_body();
    expected["client_id"] = json!("mine");
    let body = initial_data(&gleb(), &chat, vec![named.clone()]);
    assert_eq!(body[0]["chats"][0]["messages"], json!([expected.clone()]));
    let notice = super::scene::notice(Fact::MessageSent(Arc::new(named)));
    let body = &delivered(&fresh(&gleb()), &notice)[0].1;
    assert_eq!(body["messages"], json!([expected]));
}

#[test]
fn a_message_goes_to_the_other_side_on_either_side() {
    let chat = seeds_chat();
    for user in [olga(), gleb()] {
        let bodies = [(gleb(), 1, 14), (olga(), 14, 1)].map(|(sender, from, to)| {
            let body = &delivered(&fresh(&user), &sent(&chat, 5, &sender))[0].1;
            let message = &body["messages"][0];
            assert_eq!(message["fromUserId"], from);
            assert_eq!(message["toUserId"], to);
            message.clone()
        });
        let messages = vec![
            message(&chat, 5, &gleb(), "number 5"),
            message(&chat, 5, &olga(), "number 5"),
        ];
        let first = &initial_data(&user, &chat, messages)[0]["chats"][0]["messages"];
        assert_eq!(first, &json!(bodies), "the same in initial_data");
    }
}

#[test]
fn an_error_says_its_code_its_reason_and_its_request() {
    let events = |error: &Error| read_frames(&[refused("open_chat", error)]);
    let invalid = json!({
        "code": "invalid", "retryable": false, "message": "a: is b", "event": "open_chat",
    });
    let slow = json!({
        "code": "rate_limited", "retryable": true, "message": "too many requests at once", "event": "open_chat",
        "retry_after_ms": 250,
    });
    for (error, body) in [
        (Error::invalid("a", "is b"), invalid),
        (Error::rate_limited(250), slow),
    ] {
        assert_eq!(events(&error), named(vec![("debug_info", body.clone())]));
        let acknowledged = acknowledged("open_chat", &error);
        let acknowledged: Value = serde_json::from_str(acknowledged.as_str()).expect("JSON");
        let mut both = body.clone();
        both["error"] = body;
        assert_eq!(acknowledged, both);
    }
}
