//! The receivers of each notice, and the requests that are answered at once because no notice
//! follows.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::requests::Question;
use super::scene::{
    chat, chat_id, decided, delivered, enter, entering, fresh, gleb, message, notice, olga, opened,
    read, read_frames, respond, sent, state, vera,
};
use crate::gateway::dialect::RequestRef;
use crate::gateway::dialect::fixtures::encode;
use crate::hub::{AckId, Outgoing, SharedEncoding};
use crate::model::{
    Chat, ConnectionId, EventChat, Fact, MarkedRead, Marketplace, Membership, MessagePage, Notice,
    Policy, Reads, Reply, Room, Sent, Updated, User,
};

fn names(events: &[(String, Value)]) -> Vec<&str> {
    events.iter().map(|(name, _)| &**name).collect()
}

fn updated(changed: bool, chat: &EventChat) -> Reply {
    let chat = Arc::new(chat.clone());
    Reply::EventChat(Updated { changed, chat })
}

fn marked(moved: bool, chat: &EventChat) -> Reply {
    Reply::Read(MarkedRead {
        chat: chat.chat,
        moved,
        event_chat: Some(Arc::new(chat.clone())),
    })
}

/// A message of Gleb's, new or sent once more.
fn stored(new: bool, chat: &EventChat) -> Reply {
    let message = Arc::new(message(chat, chat.state.head, &gleb(), "hi"));
    Reply::Sent(if new {
        Sent::Stored(message)
    } else {
        Sent::Repeated(message)
    })
}

/// Every notice about an event's chat.
fn happenings(chat: &EventChat) -> [Notice; 4] {
    let head = chat.state.head;
    [
        sent(chat, head, &gleb()),
        read(chat),
        decided(chat),
        opened(chat),
    ]
}

#[test]
fn other_peoples_chats_are_silent() {
    let (inside, before) = (fresh(&vera()), entering(&vera()));
    for notice in happenings(&chat(state(3, 1, 3))) {
        assert!(delivered(&inside, &notice).is_empty(), "{notice:?}");
        assert!(delivered(&before, &notice).is_empty());
    }
    let events = enter(&before, Marketplace::default());
    assert_eq!(names(&events), ["initial_data"], "nothing comes afterwards");
}

#[test]
fn a_guest_is_sent_nothing_of_the_chats_of_other_guests() {
    let mut veras = chat(state(3, 1, 3));
    (veras.chat, veras.guest) = (chat_id(8), vera());
    for notice in happenings(&veras) {
        assert!(delivered(&fresh(&gleb()), &notice).is_empty());
        assert!(
            notice == opened(&veras) || !delivered(&fresh(&olga()), &notice).is_empty(),
            "the owner receives all her chats"
        );
    }
}

#[test]
fn that_a_chat_was_opened_is_sent_to_its_guest_only() {
    let notice = opened(&chat(state(0, 0, 0)));
    let events = delivered(&fresh(&gleb()), &notice);
    assert_eq!(names(&events), ["chat_updates"]);
    assert_eq!(events[0].1["messages"], json!([]));
    assert!(delivered(&fresh(&olga()), &notice).is_empty());
}

#[test]
fn who_sent_a_message_is_notified_of_it_like_everybody() {
    let chat = chat(state(3, 1, 3));
    let mut notice = sent(&chat, 3, &gleb());
    notice.origin = Some(ConnectionId::from_bytes([1; 16]).into());
    for user in [gleb(), olga()] {
        let events = delivered(&fresh(&user), &notice);
        assert_eq!(names(&events), ["chat_updates", "chat_unread"]);
    }
}

#[test]
fn of_chats_of_no_event_nothing_is_sent() {
    let plain = Chat {
        id: chat_id(7),
        pk: 7,
        members: vec![gleb().id, olga().id],
        head: 1,
        ..Chat::example()
    };
    let mut message = message(&chat(state(1, 0, 1)), 1, &gleb(), "hi");
    message.event_chat = None;
    let membership = Arc::new(Membership {
        chat: plain.id,
        chat_pk: 7,
        policy: Policy::Closed,
        user: gleb(),
        version: 1,
        head: 1,
    });
    let room = Room {
        chat: plain.clone(),
        members: vec![gleb(), olga()],
        messages: vec![message.clone()],
    };
    let (chat, pk) = (plain.id, plain.pk);
    for fact in [
        Fact::MessageSent(Arc::new(message)),
        Fact::ChatCreated(plain),
        Fact::MemberJoined(Arc::clone(&membership)),
        Fact::MemberLeft(membership),
        Fact::ChatChanged(Arc::new(room)),
        Fact::ChatDeleted { chat, pk },
    ] {
        assert!(delivered(&fresh(&gleb()), &notice(fact)).is_empty());
    }
}

#[test]
fn what_the_hub_sends_is_not_answered_once_more() {
    let chat = chat(state(3, 1, 3));
    for (question, reply) in [
        (Question::Message, stored(true, &chat)),
        (Question::Read, marked(true, &chat)),
        (Question::Chat, updated(true, &chat)),
    ] {
        assert!(respond(&fresh(&gleb()), question, &reply).is_empty());
    }
}

#[test]
fn a_message_sent_once_more_is_answered_to_its_sender() {
    let chat = chat(state(3, 1, 3));
    let events = respond(&fresh(&gleb()), Question::Message, &stored(false, &chat));
    let delivered = delivered(&fresh(&gleb()), &notice(stored_fact(&chat)));
    assert_eq!(names(&events), ["chat_updates"]);
    assert_eq!(events[0], delivered[0], "as it was delivered");
}

fn stored_fact(chat: &EventChat) -> Fact {
    Fact::MessageSent(Arc::new(message(chat, chat.state.head, &gleb(), "hi")))
}

#[test]
fn what_changes_nothing_is_answered_to_the_one_who_asked() {
    let chat = chat(state(3, 1, 3));
    for user in [gleb(), olga()] {
        let session = fresh(&user);
        let events = respond(&session, Question::Read, &marked(false, &chat));
        assert_eq!(events, delivered(&session, &read(&chat)));
        let events = respond(&session, Question::Chat, &updated(false, &chat));
        assert_eq!(events, delivered(&session, &decided(&chat)));
    }
}

#[test]
fn history_is_always_answered() {
    let reply = Reply::Messages(MessagePage::default(), Reads::default());
    let events = respond(&fresh(&gleb()), Question::History(chat_id(7)), &reply);
    assert_eq!(names(&events), ["history"]);
}

#[test]
fn an_acknowledgement_has_a_body_even_where_the_answer_is_silent() {
    let chat = chat(state(3, 1, 3));
    let session = fresh(&gleb());
    for (question, new, old) in [
        (Question::Message, stored(true, &chat), stored(false, &chat)),
        (Question::Read, marked(true, &chat), marked(false, &chat)),
        (Question::Chat, updated(true, &chat), updated(false, &chat)),
    ] {
        let request = RequestRef {
            ack: Some(AckId(1)),
            ..RequestRef::default()
        };
        let frames = session.respond(&request, None, &question, &new);
        assert_eq!(
            frames.len(),
            1,
            "nothing but the acknowledgement: {frames:?}"
        );
        let body: Value = serde_json::from_str(frames[0].body.as_str()).expect("JSON");
        let answered = respond(&session, question, &old);
        assert_eq!(answered[0].1, body, "{question:?}");
    }
}

#[test]
fn an_answer_shows_the_side_of_the_one_who_asked() {
    let chat = chat(state(3, 1, 3));
    for (user, other, mine) in [(gleb(), 14, 0), (olga(), 1, 2)] {
        let events = respond(&fresh(&user), Question::Chat, &updated(false, &chat));
        assert_eq!(events[0].1["user"]["id"], other);
        assert_eq!(events[0].1["myUnreadCount"], mine);
        let events = respond(&fresh(&user), Question::Read, &marked(false, &chat));
        assert_eq!(events[0].1["myUnreadCount"], mine);
    }
}

/// The frames that sessions of these users encode for `notice`, one after the other.
fn texts(users: &[Arc<User>], notice: &Notice) -> Vec<Vec<Outgoing>> {
    let mut encoded = SharedEncoding::default();
    let sessions = users.iter().map(fresh);
    sessions
        .map(|session| encode(&session, notice, &mut encoded))
        .collect()
}

#[test]
fn a_notice_is_encoded_once_for_each_side() {
    let chat = chat(state(3, 1, 3));
    for notice in [sent(&chat, 3, &gleb()), read(&chat), decided(&chat)] {
        let events = texts(&[gleb(), olga(), gleb(), olga()], &notice);
        let place = |frame: &Outgoing| Arc::as_ptr(&frame.body);
        let places: Vec<Vec<_>> = events
            .iter()
            .map(|frames| frames.iter().map(place).collect())
            .collect();
        assert_eq!(places[0], places[2]);
        assert_eq!(places[1], places[3]);
        let bodies: Vec<_> = events.iter().map(|frames| read_frames(frames)).collect();
        assert_eq!(bodies[0], delivered(&fresh(&gleb()), &notice));
        assert_eq!(bodies[1], delivered(&fresh(&olga()), &notice));
        assert_ne!(bodies[0], bodies[1]);
    }
}

/// With many sends under way their replies are ahead of the deliveries.
#[test]
fn a_response_that_is_not_sent_changes_nothing_that_is_sent() {
    let session = fresh(&gleb());
    let events = respond(
        &session,
        Question::Message,
        &stored(true, &chat(state(5, 0, 5))),
    );
    assert!(events.is_empty(), "{events:?}");
    let events = delivered(&session, &sent(&chat(state(1, 0, 1)), 1, &gleb()));
    assert_eq!(events[0].1["interlocutorUnreadCount"], 1);
    assert_eq!(events[1].1["interlocutorUnreadCount"], 1);
}

#[test]
fn an_answer_does_not_turn_back_what_was_sent() {
    let session = fresh(&gleb());
    delivered(&session, &sent(&chat(state(2, 0, 2)), 2, &gleb()));
    let stale = chat(state(1, 0, 1));
    let events = respond(&session, Question::Chat, &updated(false, &stale));
    assert_eq!(events[0].1["interlocutorUnreadCount"], 2);
    let events = respond(&session, Question::Read, &marked(false, &stale));
    assert_eq!(events[0].1["interlocutorUnreadCount"], 2);
}

#[test]
fn who_decides_for_another_is_answered_since_nobody_notifies_it() {
    let chat = chat(state(3, 1, 3));
    let service = fresh(&vera());
    assert!(delivered(&service, &decided(&chat)).is_empty());
    let events = respond(&service, Question::Chat, &updated(true, &chat));
    assert_eq!(names(&events), ["chat_updates"]);
}
