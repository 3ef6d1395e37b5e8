//! The promises of the hub for an event's chat: notices overtake each other, and the last one sent
//! has the latest state.

use super::*;
use crate::model::{Access, Event, EventChat, EventDetails};

/// Encodes the fact and the state: head, the read positions of owner and guest, the access and its
/// version.
struct States;

impl Subscriber for States {
    fn encode(&self, notice: &Notice, _: &mut SharedEncoding, sink: &mut dyn FnMut(Outgoing)) {
        let word = match &notice.fact {
            Fact::MessageSent(message) => format!("{} sent", message.seq),
            Fact::AccessChanged(_) => "decided".to_owned(),
            Fact::ReadMoved(_) => "read".to_owned(),
            Fact::EventChatOpened(_) => "opened".to_owned(),
            other => panic!("{other:?}"),
        };
        let text = match notice.fact.event_chat() {
            Some(chat) => format!("{word}: {}", spelled(chat.state)),
            None => word,
        };
        sink(Outgoing::bare(Body::from_json(text)));
    }
}

fn spelled(state: EventChatState) -> String {
    let EventChatState {
        head,
        owner_read,
        guest_read,
        access,
        access_version,
    } = state;
    format!("{head} {owner_read} {guest_read} {access:?} {access_version}")
}

fn state(head: Seq, owner_read: Seq, guest_read: Seq) -> EventChatState {
    EventChatState {
        head,
        owner_read,
        guest_read,
        access: Access::Unasked,
        access_version: 0,
    }
}

fn decided(access: Access, access_version: i64) -> EventChatState {
    EventChatState {
        access,
        access_version,
        ..state(0, 0, 0)
    }
}

fn event_chat(chat: ChatId, state: EventChatState) -> Arc<EventChat> {
    let event = Event {
        pk: 10,
        owner: Arc::new(somebody(user())),
        details: EventDetails::default(),
        created_at: NOW,
        modified_at: NOW,
    };
    Arc::new(EventChat {
        chat,
        chat_pk: 1,
        event: Arc::new(event),
        guest: Arc::new(somebody(user())),
        state,
        active_at: NOW,
    })
}

/// The message `seq`, with the state when it was stored.
fn sent(chat: ChatId, seq: Seq, state: EventChatState) -> Notice {
    let mut notice = message(chat, seq);
    if let Fact::MessageSent(message) = &mut notice.fact {
        Arc::make_mut(message).event_chat = Some(event_chat(chat, state));
    }
    notice
}

fn read(chat: ChatId, state: EventChatState) -> Notice {
    notice(Fact::ReadMoved(event_chat(chat, state)))
}

fn access(chat: ChatId, state: EventChatState) -> Notice {
    notice(Fact::AccessChanged(event_chat(chat, state)))
}

/// A hub, a chat there, and a connection that is subscribed to it and receives all notices.
fn scene() -> (Hub, ChatId, Arc<Subscription>) {
    let (hub, chat) = (Hub::default(), ChatId::new(NOW));
    let connection = connection_of(Arc::new(States), 1000);
    hub.bind_user(&connection, user());
    if hub.join(&connection, [chat]) {
        hub.open(chat, 0);
    }
    (hub, chat, connection)
}

#[test]
fn in_order_everything_is_sent_as_it_was() {
    let (hub, chat, connection) = scene();
    hub.broadcast(
        chat,
        &notice(Fact::EventChatOpened(event_chat(chat, state(0, 0, 0)))),
    );
    hub.deliver(chat, &[Arc::new(sent(chat, 1, state(1, 0, 1)))]);
    hub.broadcast(chat, &read(chat, state(1, 1, 1)));
    hub.deliver(chat, &[Arc::new(sent(chat, 2, state(2, 2, 1)))]);
    let expected = [
        "opened: 0 0 0 Unasked 0",
        "1 sent: 1 0 1 Unasked 0",
        "read: 1 1 1 Unasked 0",
        "2 sent: 2 2 1 Unasked 0",
    ];
    assert_eq!(received(&connection), expected);
}

#[test]
fn a_read_that_overtook_a_message_is_not_taken_back_by_it() {
    let (hub, chat, connection) = scene();
    hub.broadcast(chat, &read(chat, state(2, 1, 2)));
    hub.deliver(chat, &[Arc::new(sent(chat, 1, state(1, 0, 1)))]);
    hub.deliver(chat, &[Arc::new(sent(chat, 2, state(2, 0, 2)))]);
    let expected = [
        "read: 2 1 2 Unasked 0",
        "1 sent: 2 1 2 Unasked 0",
        "2 sent: 2 1 2 Unasked 0",
    ];
    assert_eq!(received(&connection), expected);
}

#[test]
fn a_message_that_overtook_a_read_is_not_taken_back_by_it() {
    let (hub, chat, connection) = scene();
    hub.deliver(chat, &[Arc::new(sent(chat, 1, state(1, 0, 1)))]);
    hub.deliver(chat, &[Arc::new(sent(chat, 2, state(2, 2, 1)))]);
    hub.broadcast(chat, &read(chat, state(1, 1, 1)));
    let expected = [
        "1 sent: 1 0 1 Unasked 0",
        "2 sent: 2 2 1 Unasked 0",
        "read: 2 2 1 Unasked 0",
    ];
    assert_eq!(received(&connection), expected);
}

#[test]
fn reads_of_both_sides_that_crossed_are_sent_together() {
    let (hub, chat, connection) = scene();
    hub.broadcast(chat, &read(chat, state(5, 5, 2)));
    hub.broadcast(chat, &read(chat, state(5, 1, 4)));
    hub.broadcast(chat, &read(chat, state(5, 3, 3)));
    let expected = [
        "read: 5 5 2 Unasked 0",
        "read: 5 5 4 Unasked 0",
        "read: 5 5 4 Unasked 0",
    ];
    assert_eq!(received(&connection), expected);
}

#[test]
fn of_two_decisions_the_later_one_is_sent_last() {
    let (hub, chat, connection) = scene();
    hub.broadcast(chat, &access(chat, decided(Access::Asked, 3)));
    hub.broadcast(chat, &access(chat, decided(Access::Granted, 2)));
    let state = EventChatState {
        head: 1,
        guest_read: 1,
        ..decided(Access::Granted, 2)
    };
    hub.deliver(chat, &[Arc::new(sent(chat, 1, state))]);
    hub.broadcast(chat, &access(chat, decided(Access::Granted, 4)));
    let expected = [
        "decided: 0 0 0 Asked 3",
        "decided: 0 0 0 Asked 3",
        "1 sent: 1 0 1 Asked 3",
        "decided: 1 0 1 Granted 4",
    ];
    assert_eq!(received(&connection), expected);
}

#[test]
fn in_any_order_the_last_one_sent_is_right() {
    let chat = ChatId::new(NOW);
    let notices = [
        read(chat, state(3, 3, 1)),
        read(chat, state(2, 0, 2)),
        access(chat, decided(Access::Asked, 1)),
        access(chat, decided(Access::Granted, 2)),
    ];
    // Every order of the four.
    for order in 0..256_usize {
        let picked = [order & 3, order >> 2 & 3, order >> 4 & 3, order >> 6];
        if (0..4).any(|index| !picked.contains(&index)) {
            continue;
        }
        let hub = Hub::default();
        let connection = connection_of(Arc::new(States), 1000);
        hub.bind_user(&connection, user());
        hub.join(&connection, [chat]);
        for index in picked {
            hub.broadcast(chat, &notices[index]);
        }
        let last = received(&connection).pop().expect("a frame");
        let truth = spelled(EventChatState {
            access: Access::Granted,
            access_version: 2,
            ..state(3, 3, 2)
        });
        assert!(last.ends_with(&truth), "{picked:?}: {last}");
    }
}

#[test]
fn chats_stand_each_by_itself() {
    let (hub, chat, connection) = scene();
    let other = ChatId::new(NOW);
    hub.join(&connection, [other]);
    hub.broadcast(chat, &read(chat, state(5, 5, 5)));
    hub.broadcast(other, &read(other, state(2, 1, 0)));
    let expected = ["read: 5 5 5 Unasked 0", "read: 2 1 0 Unasked 0"];
    assert_eq!(received(&connection), expected);
}

#[test]
fn a_chat_of_no_event_has_no_state() {
    let (hub, chat, connection) = scene();
    deliver(&hub, chat, [1, 2]);
    assert_eq!(received(&connection), ["1 sent", "2 sent"]);
    let room = hub.room(chat).expect("a room");
    assert_eq!(room.lock().state, None);
    let notice = message(chat, 3);
    let mut room = room.lock();
    assert!(matches!(room.refresh(&notice), Cow::Borrowed(same) if *same == notice));
}
