//! The notices, and their receivers.

use std::sync::Arc;

use serde_json::{Value, json};

use super::scene::{anna, begin, boris, message, only, room, setting, text};
use crate::gateway::dialect::fixtures::encode;
use crate::gateway::dialect::{Push, SessionOptions};
use crate::hub::{Outgoing, SharedEncoding};
use crate::model::{ConnectionId, Fact, Membership, Notice, pair};

/// The frames for Anna's connection about an action of this connection.
fn delivered_in(
    setting: SessionOptions,
    origin: Option<u8>,
    fact: Fact,
    encoded: &mut SharedEncoding,
) -> Vec<Outgoing> {
    let origin = origin.map(|byte| ConnectionId::from_bytes([byte; 16]).into());
    let notice = Notice {
        origin,
        fact,
        durable: None,
    };
    encode(&*begin(setting), &notice, encoded)
}

fn delivered(origin: Option<u8>, fact: Fact) -> Vec<Outgoing> {
    delivered_in(setting(), origin, fact, &mut SharedEncoding::default())
}

fn sent() -> Fact {
    let mut message = message(3, &boris(), "hi");
    message.sent_as_read = true;
    Fact::MessageSent(Arc::new(message))
}

fn change() -> Arc<Membership> {
    let room = room(7, &[anna(), boris()]);
    Arc::new(Membership {
        chat: room.chat.id,
        chat_pk: 7,
        policy: crate::model::Policy::Open,
        user: boris(),
        version: 1,
        head: 9,
    })
}

#[test]
fn a_message_is_sent_to_every_connection_but_the_one_it_was_sent_on() {
    let expected = json!({"type": "messageCreated", "data": {
        "id": pair(7, 3), "chat": 7, "sender": {"id": 2, "username": "boris"},
        "text": "hi", "timestamp": "2025-03-01T12:00:00.000Z", "is_read": true,
    }});
    for other in [None, Some(2)] {
        assert_eq!(only(&delivered(other, sent())), expected);
    }
    assert!(delivered(Some(1), sent()).is_empty());
}

#[test]
fn a_new_participant_is_sent_to_the_others() {
    let expected: Value = json!({"type": "chatJoined", "data":
        {"chat": 7, "user": {"id": 2, "username": "boris"}}});
    let joined = Fact::MemberJoined(change());
    assert_eq!(only(&delivered(Some(2), joined.clone())), expected);
    assert!(delivered(Some(1), joined).is_empty());
}

#[test]
fn of_other_things_nothing_is_sent() {
    let room = room(7, &[anna()]);
    let (chat, pk) = (room.chat.id, room.chat.pk);
    for fact in [
        Fact::ChatCreated(room.chat.clone()),
        Fact::MemberLeft(change()),
        Fact::ChatChanged(Arc::new(room)),
        Fact::ChatDeleted { chat, pk },
    ] {
        assert!(delivered(None, fact).is_empty());
    }
}

#[test]
fn who_wants_answers_only_is_pushed_nothing() {
    for fact in [sent(), Fact::MemberJoined(change())] {
        let quiet = SessionOptions {
            push: Push::Off,
            ..setting()
        };
        assert!(delivered_in(quiet, None, fact, &mut SharedEncoding::default()).is_empty());
    }
}

#[test]
fn a_notice_is_encoded_once_for_all_connections() {
    for fact in [sent(), Fact::MemberJoined(change())] {
        let mut encoded = SharedEncoding::default();
        let first = delivered_in(setting(), None, fact.clone(), &mut encoded);
        let second = delivered_in(setting(), None, fact, &mut encoded);
        assert_eq!(text(&first[0]).as_ptr(), text(&second[0]).as_ptr());
    }
}
