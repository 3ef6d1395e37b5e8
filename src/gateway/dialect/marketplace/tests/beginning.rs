//! The initial data: the events and their chats, their order and their grouping.

use std::sync::Arc;

use serde_json::{Value, json};

use super::scene::{at, chat, chat_id, enter, entering, event, gleb, message, olga, state, vera};
use crate::model::{Event, EventChat, EventChatSnapshot, Marketplace, Message, User};

/// A chat about this event with this guest, without messages, last active then.
fn snapshot(id: u8, event: &Arc<Event>, guest: &Arc<User>, active: &str) -> EventChatSnapshot {
    let chat = EventChat {
        chat: chat_id(id),
        chat_pk: id.into(),
        event: Arc::clone(event),
        guest: Arc::clone(guest),
        active_at: at(active),
        ..chat(state(0, 0, 0))
    };
    EventChatSnapshot {
        chat,
        messages: Vec::new(),
    }
}

fn made(pk: i64, owner: &Arc<User>, created: &str) -> Arc<Event> {
    Arc::new(Event {
        created_at: at(created),
        ..(*event(pk, owner)).clone()
    })
}

fn begins(user: &Arc<User>, own: &[Arc<Event>], chats: Vec<EventChatSnapshot>) -> Value {
    let own = own.iter().map(|event| (**event).clone()).collect();
    let mut events = enter(&entering(user), Marketplace { own, chats });
    assert_eq!(events.len(), 1, "{events:?}");
    let (name, body) = events.remove(0);
    assert_eq!(name, "initial_data");
    body
}

/// Of an entry: the event, its owner, and of its chats the id and the other side.
type Outline = (i64, i64, Vec<(String, i64)>);

fn outline(body: &Value) -> Vec<Outline> {
    let number = |value: &Value| value.as_i64().expect("a number");
    let chat = |chat: &Value| {
        let id = chat["chatId"].as_str().expect("an id").to_owned();
        (id, number(&chat["user"]["id"]))
    };
    let entry = |entry: &Value| {
        let chats = entry["chats"].as_array().expect("a list");
        let event = number(&entry["event"]["id"]);
        let owner = number(&entry["eventOwnerId"]);
        (event, owner, chats.iter().map(chat).collect())
    };
    body.as_array().expect("a list").iter().map(entry).collect()
}

fn id(byte: u8) -> String {
    chat_id(byte).to_string()
}

#[test]
fn who_takes_part_in_nothing_begins_with_an_empty_list() {
    assert_eq!(begins(&vera(), &[], Vec::new()), json!([]));
}

#[test]
fn an_event_without_chats_is_there_for_its_owner() {
    let own = made(10, &olga(), "2025-03-01T12:00:00Z");
    let expected = json!([{
        "event": super::scene::event_body(10), "eventOwnerId": 14, "chats": [],
    }]);
    assert_eq!(begins(&olga(), &[own], Vec::new()), expected);
}

#[test]
fn the_chats_of_an_event_stand_together() {
    let first = made(10, &olga(), "2025-03-01T12:00:00Z");
    let second = made(11, &olga(), "2025-03-01T12:00:00Z");
    let chats = vec![
        snapshot(1, &first, &gleb(), "2025-03-01T18:00:00Z"),
        snapshot(2, &second, &gleb(), "2025-03-01T17:00:00Z"),
        snapshot(3, &first, &vera(), "2025-03-01T16:00:00Z"),
        snapshot(4, &second, &vera(), "2025-03-01T15:00:00Z"),
    ];
    let body = begins(&olga(), &[first, second], chats);
    let expected = [
        (10, 14, vec![(id(1), 1), (id(3), 17)]),
        (11, 14, vec![(id(2), 1), (id(4), 17)]),
    ];
    assert_eq!(outline(&body), expected);
}

#[test]
fn own_events_and_those_of_others_stand_side_by_side_the_latest_activity_first() {
    let olgas = made(10, &olga(), "2025-03-01T12:00:00Z");
    let quiet = made(11, &gleb(), "2025-03-01T17:30:00Z");
    let older = made(12, &gleb(), "2025-03-01T11:00:00Z");
    let veras = made(13, &vera(), "2025-03-01T12:00:00Z");
    let busy = made(14, &gleb(), "2025-03-01T10:00:00Z");
    let chats = vec![
        snapshot(1, &veras, &gleb(), "2025-03-01T18:00:00Z"),
        snapshot(2, &olgas, &gleb(), "2025-03-01T17:00:00Z"),
        snapshot(3, &busy, &vera(), "2025-03-01T16:00:00Z"),
    ];
    let body = begins(&gleb(), &[quiet, older, busy], chats);
    let expected = [
        (13, 17, vec![(id(1), 17)]),
        (11, 1, vec![]),
        (10, 14, vec![(id(2), 14)]),
        (14, 1, vec![(id(3), 17)]),
        (12, 1, vec![]),
    ];
    assert_eq!(outline(&body), expected);
}

#[test]
fn an_event_is_as_active_as_the_latest_of_its_chats() {
    let first = made(10, &olga(), "2025-03-01T12:00:00Z");
    let second = made(11, &olga(), "2025-03-01T17:00:00Z");
    let chats = vec![
        snapshot(1, &first, &gleb(), "2025-03-01T18:00:00Z"),
        snapshot(2, &first, &vera(), "2025-03-01T10:00:00Z"),
    ];
    let body = begins(&olga(), &[first, second], chats);
    let expected = [(10, 14, vec![(id(1), 1), (id(2), 17)]), (11, 14, vec![])];
    assert_eq!(outline(&body), expected);
}

#[test]
fn of_what_happened_at_the_same_time_the_order_stays() {
    let same = "2025-03-01T12:00:00Z";
    let events = [12, 10, 11].map(|pk| made(pk, &olga(), same));
    let chats = events.iter().zip(1..);
    let chats = chats.map(|(event, id)| snapshot(id, event, &gleb(), same));
    let body = begins(&gleb(), &[], chats.collect());
    let order: Vec<i64> = outline(&body).iter().map(|entry| entry.0).collect();
    assert_eq!(order, [12, 10, 11]);
}

#[test]
fn each_chat_keeps_its_messages_oldest_first_and_its_counts() {
    let event = made(10, &olga(), "2025-03-01T12:00:00Z");
    let mut chats = vec![
        snapshot(1, &event, &gleb(), "2025-03-01T18:00:00Z"),
        snapshot(2, &event, &vera(), "2025-03-01T17:00:00Z"),
    ];
    for (snapshot, (head, read)) in chats.iter_mut().zip([(3, 1), (2, 2)]) {
        snapshot.chat.state = state(head, read, head);
        let guest = Arc::clone(&snapshot.chat.guest);
        let written = |seq| message(&snapshot.chat, seq, &guest, &format!("by {}", guest.pk));
        snapshot.messages = (1..=head).map(written).collect::<Vec<Message>>();
    }
    let body = begins(&olga(), &[], chats);
    let seen: Vec<_> = (0..2)
        .map(|index| {
            let chat = &body[0]["chats"][index];
            let messages = chat["messages"].as_array().expect("a list");
            let numbers: Vec<_> = messages
                .iter()
                .map(|message| (message["messageId"].clone(), message["text"].clone()))
                .collect();
            let counts = (&chat["myUnreadCount"], &chat["interlocutorUnreadCount"]);
            (numbers, counts.0.clone(), counts.1.clone())
        })
        .collect();
    let numbered = |head: i64, text: &str| -> Vec<_> {
        (1..=head).map(|seq| (json!(seq), json!(text))).collect()
    };
    let expected = vec![
        (numbered(3, "by 1"), json!(2), json!(0)),
        (numbered(2, "by 17"), json!(0), json!(0)),
    ];
    assert_eq!(seen, expected);
}
