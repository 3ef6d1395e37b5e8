//! The contract of `Transfer`: an exported store is imported unchanged.
//! Does not know which store is under test.

use super::*;
use crate::model::{
    Access, EventDetails, Fingerprint, History, IdempotencyKey, Message, NewEvent, NewEventChat,
    Range, Window,
};
use crate::store::StoreError;
use crate::store::transfer::{ChatRecord, EventRecord, Greatest};

fn key(name: &str) -> IdempotencyKey {
    IdempotencyKey {
        name: name.into(),
        content: Fingerprint::of(name),
    }
}

/// A store with something of everything in it.
async fn fill(store: &Subject) {
    let (anna, boris) = (user(store, "anna").await, user(store, "boris").await);
    let vera = user(store, "vera").await;
    let keyed = NewChat {
        key: Some(key("chat")),
        team: Some(7),
        ..new_chat(&[&anna, &boris, &vera], 1)
    };
    let keyed_chat = store.create_chat(keyed).await.expect("a chat");
    // A hole in the places, and a number that is free again.
    store
        .remove_member(keyed_chat.id, boris.id, at(2))
        .await
        .expect("left");
    let gone = chat(store, &[&anna], 3).await;
    store.delete_chat(gone.id).await.expect("deleted");
    let event = store.create_event(NewEvent {
        owner: anna.id,
        details: EventDetails {
            name: "Picnic".into(),
            icons: vec!["sun".into()],
            ..EventDetails::default()
        },
        key: Some(key("event")),
        at: at(4),
    });
    let event = event.await.expect("an event");
    let opened = store.open_event_chat(NewEventChat {
        id: ChatId::new(at(5)),
        event: event.pk,
        guest: vera.id,
        at: at(5),
    });
    let (_, private) = opened.await.expect("an answer").expect("an event");
    let applied = store.change_access(private.chat, &[Access::Unasked], Access::Asked, at(6));
    applied.await.expect("an answer");
    let mut batch = vec![
        entry(keyed_chat.id, &anna, "one", 7),
        entry(keyed_chat.id, &vera, "two", 9),
    ];
    // All fields, none at its default: a copy has to carry each of them, a new one included.
    batch[0].draft = Draft {
        kind: "note".into(),
        text: "one".into(),
        photos: vec!["a".into(), "b".into()],
        client_id: Some("1".into()),
        sent_as_read: true,
    };
    batch.push(entry(private.chat, &vera, "three", 8));
    store.append(batch).await.expect("stored");
    store
        .advance_read(keyed_chat.id, anna.id, 2)
        .await
        .expect("an answer");
}

async fn messages(store: &Subject, chat: &ChatRecord) -> Vec<Message> {
    let history = History {
        range: Range::default(),
        window: Window::First(99),
    };
    store
        .messages(chat.chat.id, history)
        .await
        .expect("a page")
        .messages
}

/// Everything that a store holds.
type Everything = (
    Greatest,
    Vec<User>,
    Vec<EventRecord>,
    Vec<ChatRecord>,
    Vec<Message>,
);

async fn everything(store: &Subject) -> Everything {
    let chats = store.chat_records(0, 99).await.expect("chats");
    let mut all = Vec::new();
    for chat in &chats {
        all.extend(messages(store, chat).await);
    }
    (
        store.greatest().await.expect("numbers"),
        store.users_after(0, 99).await.expect("users"),
        store.event_records(0, 99).await.expect("events"),
        chats,
        all,
    )
}

/// A store that holds what `fill` puts in, and an empty one that is given it.
async fn copied(store: Subject) -> (Everything, Subject) {
    let source = crate::store::open("sqlite::memory:")
        .await
        .expect("a store");
    fill(&source).await;
    let (greatest, users, events, chats, messages) = everything(&source).await;
    store.take_users(users.clone()).await.expect("users");
    store.take_events(events.clone()).await.expect("events");
    store.take_chats(chats.clone()).await.expect("chats");
    for chat in &chats {
        let of_chat = messages
            .iter()
            .filter(|message| message.chat == chat.chat.id);
        let of_chat = of_chat.cloned().collect();
        store.take_messages(of_chat).await.expect("messages");
    }
    store.take_greatest(greatest).await.expect("numbers");
    ((greatest, users, events, chats, messages), store)
}

pub async fn what_goes_out_comes_in_as_it_was(store: Subject) {
    let (before, store) = copied(store).await;
    assert_eq!(before.3.len(), 2);
    assert_eq!(before.4.len(), 3);
    assert_eq!(everything(&store).await, before);
}

pub async fn a_filled_store_tells_all_of_it(store: Subject) {
    fill(&store).await;
    let (greatest, users, events, chats, messages) = everything(&store).await;
    let expected = Greatest {
        user: 3,
        chat: 3,
        event: 1,
    };
    assert_eq!(greatest, expected);
    assert_eq!(
        (users.len(), events.len(), chats.len(), messages.len()),
        (3, 1, 2, 3)
    );
    assert_eq!(events[0].key, Some(key("event")));
    assert_eq!(
        (chats[0].key.clone(), chats[0].latest_at),
        (Some(key("chat")), at(9))
    );
    let places: Vec<_> = chats[0].members.iter().map(|member| member.place).collect();
    assert!(places.len() == 2 && places[0] < places[1], "{places:?}");
    assert_eq!(chats[0].members[0].last_read, 2);
    let part = chats[1].of_event.expect("an event's chat");
    assert_eq!((part.access, part.access_version), (Access::Asked, 1));
    let second = store
        .chat_records(chats[0].chat.pk, 1)
        .await
        .expect("chats");
    assert_eq!(second, chats[1..]);
}

pub async fn numbers_go_on_after_a_copy(store: Subject) {
    let (_, store) = copied(store).await;
    let dora = user(&store, "dora").await;
    assert_eq!(dora.pk, 4);
    let made = chat(&store, &[&dora], 9).await;
    assert_eq!(made.pk, 4);
    let keyed_chat = &store.chat_records(0, 1).await.expect("chats")[0];
    let anna = user(&store, "anna").await;
    let mut again = entry(keyed_chat.chat.id, &anna, "again", 9);
    again.draft.client_id = Some("1".into());
    let next = entry(keyed_chat.chat.id, &anna, "next", 1);
    let sent = store.append(vec![again, next]).await.expect("stored");
    let seqs: Vec<_> = sent
        .iter()
        .flatten()
        .map(|sent| sent.message().seq)
        .collect();
    assert_eq!(seqs, [1, 3]);
    // Time goes on from the latest message, too.
    assert_eq!(
        sent[1].as_ref().map(|sent| sent.message().created_at),
        Some(at(9))
    );
}

pub async fn what_is_there_is_not_taken_twice(store: Subject) {
    let ((_, users, events, chats, messages), store) = copied(store).await;
    let before = everything(&store).await;
    let duplicate = |taken: Result<(), StoreError>| matches!(taken, Err(StoreError::Duplicate));
    assert!(duplicate(store.take_users(users).await));
    assert!(duplicate(store.take_events(events).await));
    assert!(duplicate(store.take_chats(chats).await));
    let again = store.take_messages(messages[..1].to_vec()).await;
    assert!(matches!(again, Err(StoreError::Corrupt(_))), "{again:?}");
    assert_eq!(everything(&store).await, before);
}

pub async fn a_hole_in_a_chat_is_refused(store: Subject) {
    let source = crate::store::open("sqlite::memory:")
        .await
        .expect("a store");
    fill(&source).await;
    let (_, users, events, chats, messages) = everything(&source).await;
    store.take_users(users).await.expect("users");
    store.take_events(events).await.expect("events");
    store.take_chats(chats).await.expect("chats");
    let second = store.take_messages(messages[1..2].to_vec()).await;
    assert!(matches!(second, Err(StoreError::Corrupt(_))), "{second:?}");
    let heads = store.chat_records(0, 9).await.expect("chats");
    assert!(heads.iter().all(|record| record.chat.head == 0));
}

pub async fn only_an_empty_store_is_empty(store: Subject) {
    let empty = crate::store::transfer::is_empty(&*store).await;
    assert!(empty.expect("an answer"));
    user(&store, "anna").await;
    let empty = crate::store::transfer::is_empty(&*store).await;
    assert!(!empty.expect("an answer"));
}
