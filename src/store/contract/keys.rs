//! The promises about keys of requests that may be repeated.
//! Does not know which store is under test.

use super::*;
use crate::model::{EventDetails, Fingerprint, IdempotencyKey, NewEvent, NewPk};
use crate::store::StoreError;

fn key(name: &str) -> IdempotencyKey {
    IdempotencyKey {
        name: name.into(),
        content: Fingerprint::of("content"),
    }
}

fn keyed_chat(owner: &User, name: &str) -> NewChat {
    NewChat {
        key: Some(key(name)),
        ..new_chat(&[owner], 1)
    }
}

fn keyed_event(owner: &User, name: &str) -> NewEvent {
    NewEvent {
        pk: NewPk::default(),
        owner: owner.id,
        details: EventDetails::default(),
        key: Some(key(name)),
        at: at(1),
        audit: None,
    }
}

pub async fn a_chat_is_found_by_the_name_of_its_key(store: Subject) {
    let anna = user(&store, "anna").await;
    let made = store.create_chat(keyed_chat(&anna, "a b")).await;
    let made = made.expect("a chat");
    let found = store.chat_by_key("a b").await.expect("an answer");
    assert_eq!(found, Some((made, Fingerprint::of("content"))));
    let none = store.chat_by_key("a").await.expect("an answer");
    assert_eq!(none, None);
}

pub async fn an_event_is_found_by_the_name_of_its_key(store: Subject) {
    let anna = user(&store, "anna").await;
    let made = store.create_event(keyed_event(&anna, "a b")).await;
    let made = made.expect("an event");
    let found = store.event_by_key("a b").await.expect("an answer");
    assert_eq!(found, Some((made, Fingerprint::of("content"))));
    let none = store.event_by_key("a").await.expect("an answer");
    assert_eq!(none, None);
}

pub async fn a_repeated_creation_places_nobody_back(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let new = NewChat {
        key: Some(key("once")),
        ..new_chat(&[&anna, &boris], 1)
    };
    let made = store.create_chat(new.clone()).await.expect("a chat");
    let removed = store.remove_member(made.id, anna.id, at(2), None).await;
    let (_, left) = removed.expect("an answer").expect("a chat");
    let other_id = NewChat {
        id: ChatId::new(at(3)),
        ..new.clone()
    };
    let other_key = NewChat {
        key: Some(key("another")),
        ..new.clone()
    };
    for again in [new, other_id, other_key] {
        let again = store.create_chat(again).await;
        assert!(matches!(again, Err(StoreError::Duplicate)), "{again:?}");
    }
    assert_eq!(
        store.chat(made.id).await.expect("an answer"),
        Some(left.clone())
    );
    let found = store.chat_by_key("once").await.expect("an answer");
    assert_eq!(found, Some((left, Fingerprint::of("content"))));
    assert_eq!(store.memberships_of(anna.id).await.expect("chats"), []);
}

pub async fn a_key_makes_one_chat_and_one_event(store: Subject) {
    let anna = user(&store, "anna").await;
    let creating = (0..4).map(|_| store.create_chat(keyed_chat(&anna, "once")));
    let created = futures_util::future::join_all(creating).await;
    assert_eq!(created.iter().filter(|made| made.is_ok()).count(), 1);
    let duplicate = |error: &StoreError| matches!(error, StoreError::Duplicate);
    let refused: Vec<_> = created.into_iter().filter_map(Result::err).collect();
    assert!(refused.iter().all(duplicate), "{refused:?}");
    let creating = (0..4).map(|_| store.create_event(keyed_event(&anna, "once")));
    let created = futures_util::future::join_all(creating).await;
    assert_eq!(created.iter().filter(|made| made.is_ok()).count(), 1);
    let refused: Vec<_> = created.into_iter().filter_map(Result::err).collect();
    assert!(refused.iter().all(duplicate), "{refused:?}");
    // Without a key there is nothing to be repeated.
    chat(&store, &[&anna], 2).await;
    chat(&store, &[&anna], 3).await;
    assert_eq!(store.chats_after(0, 9).await.expect("chats").len(), 3);
    assert_eq!(
        store.events_after(None, 0, 9).await.expect("events").len(),
        1
    );
}
