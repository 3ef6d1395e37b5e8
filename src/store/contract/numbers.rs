//! The contract of integer ids, chosen and next ones, and of the names of chats in the host application.
//! Does not know which store is under test.

use futures_util::future::join_all;

use super::*;
use crate::model::{ChatChange, Event, EventDetails, MAX_CHAT_PK, MAX_ID, NewEvent};
use crate::store::StoreError;
use crate::store::transfer::Pks;

pub(in crate::store) fn numbered(external_id: &str, pk: NewPk) -> NewUser {
    NewUser {
        id: UserId::new(at(0)),
        pk,
        external_id: external_id.into(),
        profile: Profile::default(),
        at: at(0),
        audit: None,
    }
}

async fn create_user(store: &Subject, external_id: &str, pk: NewPk) -> Result<i64, StoreError> {
    let created = store.find_or_create_user(numbered(external_id, pk)).await;
    created.map(|user| user.pk)
}

async fn create_chat(store: &Subject, owner: &User, pk: NewPk) -> Result<Chat, StoreError> {
    let new = NewChat {
        pk,
        ..new_chat(&[owner], 1)
    };
    store.create_chat(new).await
}

async fn create_event(store: &Subject, owner: &User, pk: NewPk) -> Result<Event, StoreError> {
    let new = NewEvent {
        pk,
        owner: owner.id,
        details: EventDetails::default(),
        key: None,
        at: at(1),
        audit: None,
    };
    store.create_event(new).await
}

const NEXT: NewPk = NewPk::NextFrom(1);

pub async fn next_numbers_leave_out_chosen_ones(store: Subject) {
    let given = [
        (NEXT, 1),
        (NewPk::Chosen(3), 3),
        (NEXT, 2),
        (NewPk::Chosen(MAX_ID), MAX_ID),
        (NEXT, 4),
        (NewPk::Chosen(5), 5),
        (NewPk::Chosen(6), 6),
        (NEXT, 7),
        (NewPk::NextFrom(1000), 1000),
        (NewPk::NextFrom(1000), 1001),
        (NewPk::Chosen(8), 8),
        (NEXT, 1002),
    ];
    for (number, (pk, expected)) in given.into_iter().enumerate() {
        let external_id = format!("user {number}");
        let created = create_user(&store, &external_id, pk).await;
        assert_eq!(created.expect("a user"), expected, "{pk:?}");
    }
    let user = user(&store, "user 0").await;
    for (pk, expected) in given {
        // Chats have a lower limit.
        let limited = |pk: i64| pk.min(MAX_CHAT_PK);
        let chosen = pk.chosen().map_or(pk, |pk| NewPk::Chosen(limited(pk)));
        let created = create_chat(&store, &user, chosen).await.expect("a chat");
        assert_eq!(created.pk, limited(expected), "{pk:?}");
        let created = create_event(&store, &user, pk).await.expect("an event");
        assert_eq!(created.pk, expected, "{pk:?}");
    }
}

pub async fn a_chosen_number_of_another_is_taken(store: Subject) {
    let anna = user(&store, "anna").await;
    let other = create_user(&store, "boris", NewPk::Chosen(anna.pk)).await;
    assert!(matches!(other, Err(StoreError::PkTaken)), "{other:?}");
    let boris = store.user_by_external_id("boris").await;
    assert_eq!(boris.expect("an answer"), None);
    // Nothing was used up, and a user that exists keeps its own.
    assert_eq!(create_user(&store, "boris", NEXT).await.expect("a user"), 2);
    let same = create_user(&store, "boris", NewPk::Chosen(77)).await;
    assert_eq!(same.expect("a user"), 2);
    let chat = create_chat(&store, &anna, NewPk::Chosen(40)).await;
    let chat = chat.expect("a chat");
    let other = create_chat(&store, &anna, NewPk::Chosen(40)).await;
    assert!(matches!(other, Err(StoreError::PkTaken)), "{other:?}");
    let event = create_event(&store, &anna, NewPk::Chosen(40)).await;
    let event = event.expect("an event");
    let other = create_event(&store, &anna, NewPk::Chosen(40)).await;
    assert!(matches!(other, Err(StoreError::PkTaken)), "{other:?}");
    // That of a deleted one is free, once its messages are removed.
    store.delete_chat(chat.id, None).await.expect("deleted");
    while store.sweep().await.expect("an answer") {}
    let again = create_chat(&store, &anna, NewPk::Chosen(40)).await;
    assert_ne!(again.expect("a chat").id, chat.id);
    store.delete_event(event.pk, None).await.expect("deleted");
    let again = create_event(&store, &anna, NewPk::Chosen(40)).await;
    assert_eq!(again.expect("an event").pk, 40);
}

pub async fn next_numbers_of_deleted_ones_are_not_given_again(store: Subject) {
    let anna = user(&store, "anna").await;
    for expected in 1..=3 {
        let created = create_chat(&store, &anna, NEXT).await.expect("a chat");
        assert_eq!(created.pk, expected);
        store.delete_chat(created.id, None).await.expect("deleted");
        while store.sweep().await.expect("an answer") {}
    }
}

pub async fn a_batch_has_chosen_and_next_numbers(store: Subject) {
    let pks = [NEXT, NewPk::Chosen(2), NEXT, NewPk::Chosen(900), NEXT];
    let batch = pks.iter().enumerate().map(|(number, pk)| {
        let external_id = format!("user {number}");
        numbered(&external_id, *pk)
    });
    let created = store.find_or_create_users(batch.collect()).await;
    let created: Vec<_> = created.expect("users").iter().map(|user| user.pk).collect();
    assert_eq!((created[1], created[3]), (2, 900));
    assert_eq!([created[0], created[2], created[4]], [1, 3, 4]);
}

pub async fn a_long_row_of_chosen_numbers_is_left_out(store: Subject) {
    const CHOSEN: i64 = 2_500;
    let chosen: Vec<_> = (1..=CHOSEN)
        .map(|pk| numbered(&format!("host {pk}"), NewPk::Chosen(pk)))
        .collect();
    for batch in chosen.chunks(500) {
        let created = store.find_or_create_users(batch.to_vec()).await;
        created.expect("users");
    }
    for expected in [CHOSEN + 1, CHOSEN + 2] {
        let created = create_user(&store, &format!("own {expected}"), NEXT).await;
        assert_eq!(created.expect("a user"), expected);
    }
}

pub async fn chosen_and_next_numbers_at_once_never_collide(store: Subject) {
    const EACH: i64 = 12;
    let next = (1..=EACH).map(|number| (format!("own {number}"), NEXT));
    let chosen = (1..=EACH).map(|pk| (format!("host {pk}"), NewPk::Chosen(pk)));
    let all: Vec<_> = next
        .zip(chosen)
        .flat_map(|(own, host)| [own, host])
        .collect();
    let calls = all.iter().map(|(name, pk)| create_user(&store, name, *pk));
    let results = join_all(calls).await;
    let mut given = Vec::new();
    for ((name, pk), result) in all.iter().zip(results) {
        match result {
            Ok(number) => {
                assert!(pk.chosen().is_none_or(|pk| pk == number), "{name}");
                given.push(number);
            }
            Err(StoreError::PkTaken) => assert!(pk.chosen().is_some(), "{name}"),
            Err(error) => panic!("{name}: {error}"),
        }
    }
    let count = given.len();
    given.sort_unstable();
    given.dedup();
    assert_eq!(given.len(), count);
    let stored = store.users_after(0, 99).await.expect("users");
    assert_eq!(stored.len(), count);
}

pub async fn chosen_numbers_are_taken_along(store: Subject) {
    let source = crate::store::open("sqlite::memory:").await;
    let source = source.expect("a store");
    let anna = user(&source, "anna").await;
    create_user(&source, "host", NewPk::Chosen(500))
        .await
        .expect("a user");
    let named = NewChat {
        pk: NewPk::Chosen(600),
        external_id: Some("team 7".into()),
        ..new_chat(&[&anna], 1)
    };
    let named = source.create_chat(named).await.expect("a chat");
    let greatest = Pks {
        user: 500,
        chat: 600,
        event: 0,
    };
    let counters = Pks {
        user: 1,
        chat: 0,
        event: 0,
    };
    let state = |store: Subject| async move {
        let greatest = store.greatest().await.expect("numbers");
        (greatest, store.counters().await.expect("numbers"))
    };
    assert_eq!(state(Arc::clone(&source)).await, (greatest, counters));
    let users = source.users_after(0, 9).await.expect("users");
    store.take_users(users).await.expect("taken");
    let chats = source.chat_records(0, 9).await.expect("chats");
    store.take_chats(chats.clone()).await.expect("taken");
    store.take_counters(counters).await.expect("taken");
    assert_eq!(state(Arc::clone(&store)).await, (greatest, counters));
    assert_eq!(store.chat_records(0, 9).await.expect("chats"), chats);
    let found = store.chats_by_external_id(&["team 7".into()]).await;
    assert_eq!(found.expect("an answer"), [Some(named.id)]);
    assert_eq!(create_user(&store, "new", NEXT).await.expect("a user"), 2);
}

pub async fn a_chat_is_found_by_its_name_in_the_host_application(store: Subject) {
    let anna = user(&store, "anna").await;
    let new = |name: &str| NewChat {
        external_id: Some(name.into()),
        ..new_chat(&[&anna], 1)
    };
    let (one, two) = (new("one"), new("two"));
    let one = store.create_chat(one).await.expect("a chat");
    let two = store.create_chat(two).await.expect("a chat");
    assert_eq!(one.external_id.as_deref(), Some("one"));
    assert_eq!(
        store.chat(one.id).await.expect("an answer"),
        Some(one.clone())
    );
    let again = store.create_chat(new("one")).await;
    assert!(matches!(again, Err(StoreError::Duplicate)), "{again:?}");
    let names = ["two", "none", "one"].map(Arc::from);
    let found = store.chats_by_external_id(&names).await;
    assert_eq!(
        found.expect("an answer"),
        [Some(two.id), None, Some(one.id)]
    );
    let none = store.chats_by_external_id(&[]).await;
    assert_eq!(none.expect("an answer"), []);
    // Without a name there is no conflict, and a deleted chat's is free.
    chat(&store, &[&anna], 2).await;
    store.delete_chat(one.id, None).await.expect("deleted");
    let found = store.chats_by_external_id(&["one".into()]).await;
    assert_eq!(found.expect("an answer"), [None]);
    let again = store.create_chat(new("one")).await.expect("a chat");
    assert_ne!(again.id, one.id);
}

pub async fn another_policy_is_another_version_of_the_members(store: Subject) {
    let anna = user(&store, "anna").await;
    let talk = chat(&store, &[&anna], 1).await;
    let mut version = talk.members_version;
    for (policy, moves) in [
        (Some(Policy::Closed), 0),
        (Some(Policy::Open), 1),
        (Some(Policy::Open), 0),
        (None, 0),
        (Some(Policy::Closed), 1),
    ] {
        let change = ChatChange {
            policy,
            ..ChatChange::default()
        };
        let changed = store.change_chat(talk.id, change, at(2), None).await;
        let changed = changed.expect("an answer").expect("a chat");
        version += moves;
        assert_eq!(changed.members_version, version, "{policy:?}");
        assert!(policy.is_none_or(|policy| policy == changed.policy));
        let rights = store.chat_rights(talk.id).await.expect("an answer");
        let rights = rights.expect("a chat");
        assert_eq!((rights.version, rights.policy), (version, changed.policy));
    }
}
