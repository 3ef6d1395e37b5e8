//! The promises of `Events`, and the state of an event's chat in its messages.
//! Does not know which store is under test.

use std::sync::Arc;

use super::*;
use crate::model::{
    Access, Event, EventChange, EventChat, EventChatState, EventDetails, History, NewEvent,
    NewEventChat, NewPk, Range, Window,
};
use crate::store::StoreError;

fn new_event(owner: &User, name: &str, millisecond: i64) -> NewEvent {
    NewEvent {
        pk: NewPk::default(),
        owner: owner.id,
        details: EventDetails {
            name: name.into(),
            icons: vec!["sun".into(), "moon".into()],
            location: "ONLINE".into(),
            starts: 1_740_000_000,
            ends: 1_740_003_600,
        },
        key: None,
        at: at(millisecond),
        audit: None,
    }
}

async fn event(store: &Subject, owner: &User, name: &str) -> Event {
    let created = store.create_event(new_event(owner, name, 1)).await;
    created.expect("an event")
}

async fn open(store: &Subject, event: &Event, guest: &User, now: i64) -> (bool, EventChat) {
    let new = NewEventChat {
        pk: NewPk::default(),
        external_id: None,
        id: ChatId::new(at(now)),
        event: event.pk,
        guest: guest.id,
        at: at(now),
        audit: None,
    };
    let opened = store.open_event_chat(new).await.expect("an answer");
    opened.expect("an event")
}

async fn now(store: &Subject, chat: &EventChat) -> EventChat {
    let found = store.event_chat(chat.chat).await.expect("an answer");
    found.expect("a chat of an event")
}

pub async fn a_new_event_gets_the_next_pk(store: Subject) {
    let anna = user(&store, "anna").await;
    for pk in 1..=2 {
        let new = new_event(&anna, "Picnic", 5);
        let made = store.create_event(new.clone()).await.expect("an event");
        let expected = Event {
            pk,
            owner: Arc::new(anna.clone()),
            details: new.details,
            created_at: at(5),
            modified_at: at(5),
        };
        assert_eq!(made, expected);
        assert_eq!(store.event(pk).await.expect("an answer"), Some(made));
    }
}

pub async fn an_event_needs_an_owner(store: Subject) {
    let mut new = new_event(&user(&store, "anna").await, "Picnic", 1);
    new.owner = UserId::new(at(9));
    let made = store.create_event(new).await;
    assert!(matches!(made, Err(StoreError::Corrupt(_))), "{made:?}");
    assert_eq!(store.events_after(None, 0, 9).await.expect("events"), []);
}

pub async fn an_unknown_event_is_none(store: Subject) {
    for pk in [0, 1, -1, i64::MAX] {
        assert_eq!(store.event(pk).await.expect("an answer"), None);
        let change = EventChange::default();
        let changed = store.change_event(pk, change, at(1), None).await;
        assert_eq!(changed.expect("an answer"), None);
        assert_eq!(store.delete_event(pk, None).await.expect("an answer"), None);
    }
}

pub async fn events_come_in_pages_of_all_and_of_one_owner(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let first = event(&store, &anna, "first").await;
    let second = event(&store, &boris, "second").await;
    let third = event(&store, &anna, "third").await;
    let page = |owner, after, limit| store.events_after(owner, after, limit);
    let all = page(None, 0, 2).await.expect("events");
    assert_eq!(all, [first.clone(), second.clone()]);
    let rest = page(None, second.pk, 2).await.expect("events");
    assert_eq!(rest, std::slice::from_ref(&third));
    let own = page(Some(anna.id), 0, 9).await.expect("events");
    assert_eq!(own, [first.clone(), third.clone()]);
    let own = page(Some(anna.id), first.pk, 9).await.expect("events");
    assert_eq!(own, [third]);
    let nobodys = page(Some(UserId::new(at(9))), 0, 9).await;
    assert_eq!(nobodys.expect("events"), []);
}

pub async fn a_change_moves_the_time_of_an_event_forward(store: Subject) {
    let made = event(&store, &user(&store, "anna").await, "Picnic").await;
    for (name, now, modified) in [("Party", 8, 8), ("Feast", 3, 8)] {
        let change = EventChange {
            name: Some(name.into()),
            ..EventChange::default()
        };
        let changed = store.change_event(made.pk, change, at(now), None).await;
        let changed = changed.expect("an answer").expect("an event");
        assert_eq!(
            (&*changed.details.name, changed.modified_at),
            (name, at(modified))
        );
        assert_eq!(changed.details.icons, made.details.icons);
        assert_eq!(
            store.event(made.pk).await.expect("an answer"),
            Some(changed)
        );
    }
}

pub async fn a_deleted_event_takes_its_chats_along(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let made = event(&store, &anna, "Picnic").await;
    let other = event(&store, &anna, "Party").await;
    let (_, event_chat) = open(&store, &made, &boris, 1).await;
    let (_, kept) = open(&store, &other, &boris, 2).await;
    let batch = vec![entry(event_chat.chat, &boris, "hello", 3)];
    store.append(batch).await.expect("stored");
    let vera = user(&store, "vera").await;
    let (_, second) = open(&store, &made, &vera, 4).await;
    let chats = vec![
        (event_chat.chat, event_chat.chat_pk),
        (second.chat, second.chat_pk),
    ];
    assert_eq!(store.chats_of_event(made.pk).await.expect("chats"), chats);
    let deleted = store.delete_event(made.pk, None).await.expect("an answer");
    assert_eq!(deleted, Some(chats));
    assert_eq!(store.chats_of_event(made.pk).await.expect("chats"), []);
    assert_eq!(store.event(made.pk).await.expect("an answer"), None);
    assert_eq!(store.chat(event_chat.chat).await.expect("an answer"), None);
    assert_eq!(
        store.event_chat(event_chat.chat).await.expect("an answer"),
        None
    );
    let memberships = store.memberships_of(boris.id).await.expect("memberships");
    assert_eq!(memberships, [(kept.chat, 0)]);
}

pub async fn a_guest_and_an_owner_have_one_chat(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let vera = user(&store, "vera").await;
    let made = event(&store, &anna, "Picnic").await;
    let (fresh, first) = open(&store, &made, &boris, 4).await;
    assert!(fresh);
    assert_eq!((&*first.event, &*first.guest), (&made, &boris));
    let begun = EventChatState {
        head: 0,
        owner_read: 0,
        guest_read: 0,
        access: Access::Unasked,
        access_version: 0,
    };
    assert_eq!((first.state, first.active_at), (begun, at(4)));
    let chat = store
        .chat(first.chat)
        .await
        .expect("an answer")
        .expect("a chat");
    assert_eq!((chat.pk, chat.policy), (first.chat_pk, Policy::Closed));
    assert_eq!((chat.event, chat.owner), (Some(made.pk), Some(anna.pk)));
    assert_eq!(chat.members, [anna.id, boris.id]);
    let (fresh, again) = open(&store, &made, &boris, 5).await;
    assert_eq!((fresh, &again), (false, &first));
    let (fresh, other) = open(&store, &made, &vera, 6).await;
    assert!(fresh && other.chat != first.chat);
}

pub async fn two_who_open_one_chat_at_once_get_the_same(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let made = event(&store, &anna, "Picnic").await;
    let opening = (0..8).map(|now| open(&store, &made, &boris, now));
    let opened = futures_util::future::join_all(opening).await;
    assert_eq!(opened.iter().filter(|(fresh, _)| *fresh).count(), 1);
    assert!(opened.iter().all(|(_, chat)| chat.chat == opened[0].1.chat));
}

pub async fn without_event_or_guest_no_chat_is_opened(store: Subject) {
    let anna = user(&store, "anna").await;
    let made = event(&store, &anna, "Picnic").await;
    let new = NewEventChat {
        pk: NewPk::default(),
        external_id: None,
        id: ChatId::new(at(1)),
        event: made.pk + 1,
        guest: anna.id,
        at: at(1),
        audit: None,
    };
    let opened = store.open_event_chat(new.clone()).await;
    assert_eq!(opened.expect("an answer"), None);
    let opened = store.open_event_chat(NewEventChat {
        event: made.pk,
        guest: UserId::new(at(9)),
        ..new
    });
    let opened = opened.await;
    assert!(matches!(opened, Err(StoreError::Corrupt(_))), "{opened:?}");
    assert_eq!(store.chats_after(0, 9).await.expect("chats"), []);
}

pub async fn access_changes_from_one_state_to_another_and_is_counted(store: Subject) {
    use Access::{Asked, Granted, Unasked};
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let made = event(&store, &anna, "Picnic").await;
    let (_, event_chat) = open(&store, &made, &boris, 1).await;
    for (from, to, changed, access, version) in [
        (&[Asked][..], Granted, false, Unasked, 0),
        (&[Unasked], Asked, true, Asked, 1),
        (&[Unasked], Asked, false, Asked, 1),
        (&[Asked, Granted], Asked, false, Asked, 1),
        (&[Asked, Granted], Granted, true, Granted, 2),
        (&[Asked, Granted], Asked, true, Asked, 3),
    ] {
        let answer = store
            .change_access(event_chat.chat, from, to, at(5), None)
            .await;
        let (did, chat) = answer.expect("an answer").expect("a chat");
        let state = chat.state;
        assert_eq!(
            (did, state.access, state.access_version),
            (changed, access, version)
        );
        assert_eq!(now(&store, &event_chat).await, chat);
    }
    assert_eq!(now(&store, &event_chat).await.active_at, at(5));
}

pub async fn a_chat_of_no_event_is_none(store: Subject) {
    let anna = user(&store, "anna").await;
    let plain = chat(&store, &[&anna], 1).await;
    for chat in [plain.id, ChatId::new(at(9))] {
        assert_eq!(store.event_chat(chat).await.expect("an answer"), None);
        let changed = store.change_access(chat, &[Access::Unasked], Access::Asked, at(1), None);
        assert_eq!(changed.await.expect("an answer"), None);
    }
    store
        .append(vec![entry(plain.id, &anna, "hello", 2)])
        .await
        .expect("stored");
    assert_eq!(store.event_chats_of(anna.id, 9).await.expect("chats"), []);
}

pub async fn event_chats_come_with_the_most_recently_active_first(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let vera = user(&store, "vera").await;
    let (picnic, party) = (
        event(&store, &anna, "Picnic").await,
        event(&store, &boris, "Party").await,
    );
    let (_, first) = open(&store, &picnic, &boris, 1).await;
    let (_, second) = open(&store, &picnic, &vera, 2).await;
    let (_, third) = open(&store, &party, &anna, 3).await;
    store
        .append(vec![entry(first.chat, &boris, "hello", 9)])
        .await
        .expect("stored");
    let of = |user: UserId, limit| {
        let store = store.clone();
        async move {
            let chats = store.event_chats_of(user, limit).await.expect("chats");
            chats.into_iter().map(|chat| chat.chat).collect::<Vec<_>>()
        }
    };
    assert_eq!(of(anna.id, 9).await, [first.chat, third.chat, second.chat]);
    assert_eq!(of(anna.id, 2).await, [first.chat, third.chat]);
    assert_eq!(of(boris.id, 9).await, [first.chat, third.chat]);
    assert_eq!(of(vera.id, 9).await, [second.chat]);
    assert_eq!(
        store.event_chats_of(vera.id, 9).await.expect("chats"),
        [now(&store, &second).await]
    );
}

pub async fn the_latest_messages_of_an_events_chat_end_where_it_ended(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let made = event(&store, &anna, "Picnic").await;
    let (_, event_chat) = open(&store, &made, &boris, 1).await;
    let fresh = store.latest_in(&event_chat, 9).await.expect("messages");
    assert_eq!(fresh, []);
    let by = |who, text| entry(event_chat.chat, who, text, 2);
    let begin = [&boris, &boris, &boris, &anna].map(|who| by(who, "hello"));
    store.append(begin.to_vec()).await.expect("stored");
    let then = now(&store, &event_chat).await;
    let later = vec![by(&boris, "later")];
    store.append(later).await.expect("stored");
    for (limit, expected) in [(2, vec![3, 4]), (9, vec![1, 2, 3, 4]), (0, vec![])] {
        let latest = store.latest_in(&then, limit).await.expect("messages");
        let actual: Vec<_> = latest.iter().map(|message| message.seq).collect();
        assert_eq!(actual, expected, "at most {limit}");
        for message in latest {
            let writer = if message.seq == 4 { &anna } else { &boris };
            assert_eq!(message.sender.id, writer.id);
            let carried = message.event_chat.expect("the chat");
            assert!(carried.chat == event_chat.chat && carried.state.head >= 4);
        }
    }
}

pub async fn a_message_carries_how_things_stand_after_it(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let made = event(&store, &anna, "Picnic").await;
    let (_, event_chat) = open(&store, &made, &boris, 1).await;
    let mut first = entry(event_chat.chat, &boris, "one", 2);
    first.draft.client_id = Some("1".into());
    let batch = vec![
        first.clone(),
        entry(event_chat.chat, &boris, "two", 2),
        entry(event_chat.chat, &anna, "three", 3),
    ];
    let sent = store.append(batch).await.expect("stored");
    let actual: Vec<_> = sent
        .into_iter()
        .map(|sent| {
            let chat = sent.expect("a chat").message().event_chat.clone();
            let state = chat.expect("a chat of an event").state;
            (state.head, state.owner_read, state.guest_read)
        })
        .collect();
    assert_eq!(actual, [(1, 0, 1), (2, 0, 2), (3, 3, 2)]);
    let again = store.append(vec![first]).await.expect("an answer");
    let again = again[0]
        .as_ref()
        .expect("a chat")
        .message()
        .event_chat
        .clone();
    assert_eq!(again.as_deref(), Some(&now(&store, &event_chat).await));
}

pub async fn history_carries_how_things_stand_now(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let made = event(&store, &anna, "Picnic").await;
    let (_, event_chat) = open(&store, &made, &boris, 1).await;
    let batch = vec![
        entry(event_chat.chat, &boris, "one", 2),
        entry(event_chat.chat, &boris, "two", 2),
    ];
    store.append(batch).await.expect("stored");
    store
        .advance_read(event_chat.chat, anna.id, 1)
        .await
        .expect("an answer");
    let history = History {
        range: Range::default(),
        window: Window::First(1),
    };
    let page = store
        .messages(event_chat.chat, history)
        .await
        .expect("a page");
    let actual = page.messages[0]
        .event_chat
        .as_deref()
        .expect("a chat of an event");
    assert_eq!(*actual, now(&store, &event_chat).await);
    assert_eq!((actual.state.head, actual.state.owner_read), (2, 1));
}
