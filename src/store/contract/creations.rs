//! The promises of the records of users, chats and events that are created or changed.
//! Does not know which store is under test.

use super::audit::{log, record, recorded_once};
use super::*;
use crate::model::{
    AuditAct, AuditRecord, ChatChange, EventChange, EventDetails, Fingerprint, IdempotencyKey,
    NewEvent, NewEventChat, NewPk,
};
use crate::store::StoreError;

pub async fn every_change_of_a_user_is_recorded_once(store: Subject) {
    let mut expected = Vec::new();
    let new = |external_id: &str, name: Option<&str>, audit| NewUser {
        pk: NewPk::default(),
        id: UserId::new(at(0)),
        external_id: external_id.into(),
        profile: Profile {
            name: name.map(Into::into),
            ..Profile::default()
        },
        at: at(1),
        audit: Some(audit),
    };
    let about = |act, now, user: &User| AuditRecord {
        user: Some(user.id),
        ..record(act, now)
    };
    let given = |now| record(AuditAct::ChangeUser, now);
    let made = store.find_or_create_users(vec![
        new("anna", None, given(0)),
        new("boris", None, given(1)),
        // Changes a user that the same call has created.
        new("anna", Some("Anna"), given(2)),
        new("boris", None, given(3)),
    ]);
    let made = made.await.expect("users");
    let (anna, boris) = (&made[0], &made[1]);
    let pair = (AuditAct::CreateUser, AuditAct::ChangeUser);
    for (act, now, user) in [(pair.0, 0, anna), (pair.0, 1, boris), (pair.1, 2, anna)] {
        expected.push(about(act, now, user));
    }
    // The ids are random within a millisecond only, and these have one each.
    let ids = |records: &[AuditRecord]| {
        let shown = records.iter().map(|it| (it.at, it.act, it.user));
        shown.collect::<Vec<_>>()
    };
    assert_eq!(ids(&log(&store).await), ids(&expected));
    let found = store.find_or_create_users(vec![
        new("anna", Some("Anna"), given(4)),
        new("boris", Some("Boris"), given(3)),
    ]);
    found.await.expect("users");
    expected.push(about(pair.1, 3, boris));
    assert_eq!(ids(&log(&store).await), ids(&expected));
    let mut expected = log(&store).await;
    let profile = || Profile {
        github: Some("anna".into()),
        ..Profile::default()
    };
    recorded_once!(store, expected, ChangeUser, audit =>
        store.update_user(anna.id, profile(), at(2), audit));
    let nobody = UserId::new(at(9));
    let audit = Some(record(AuditAct::ChangeUser, 8));
    let updated = store.update_user(nobody, profile(), at(2), audit).await;
    assert_eq!(updated.expect("an answer"), None);
    assert_eq!(log(&store).await, expected);
}

pub async fn two_equal_changes_of_a_user_at_once_are_one(store: Subject) {
    let anna = user(&store, "anna").await;
    let change = |now| {
        let profile = Profile {
            name: Some("Anna".into()),
            ..Profile::default()
        };
        let audit = Some(record(AuditAct::ChangeUser, now));
        store.update_user(anna.id, profile, at(now), audit)
    };
    let (one, other) = tokio::join!(change(1), change(2));
    assert_eq!(one.expect("an answer"), other.expect("an answer"));
    assert_eq!(log(&store).await.len(), 1);
}

pub async fn members_are_recorded_with_their_new_chat(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let new = NewChat {
        key: Some(IdempotencyKey {
            name: "once".into(),
            content: Fingerprint::of("content"),
        }),
        audit: (1..=2)
            .map(|now| record(AuditAct::AddMember, now))
            .collect(),
        ..new_chat(&[&anna, &boris], 1)
    };
    store.create_chat(new.clone()).await.expect("a chat");
    assert_eq!(log(&store).await, new.audit);
    let more = || vec![record(AuditAct::AddMember, 3)];
    let again = NewChat {
        id: ChatId::new(at(2)),
        audit: more(),
        ..new.clone()
    };
    let again = store.create_chat(again).await;
    assert!(matches!(again, Err(StoreError::Duplicate)), "{again:?}");
    let unknown = NewChat {
        members: vec![UserId::new(at(9))],
        audit: more(),
        ..new_chat(&[], 3)
    };
    let unknown = store.create_chat(unknown).await;
    assert!(
        matches!(unknown, Err(StoreError::Corrupt(_))),
        "{unknown:?}"
    );
    assert_eq!(log(&store).await, new.audit);
}

pub async fn every_change_of_an_event_is_recorded_once(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let new = |now| NewEvent {
        pk: NewPk::default(),
        owner: anna.id,
        details: EventDetails::default(),
        key: Some(IdempotencyKey {
            name: "once".into(),
            content: Fingerprint::of("content"),
        }),
        at: at(1),
        audit: Some(record(AuditAct::CreateEvent, now)),
    };
    let made = new(0);
    let event = store.create_event(made.clone()).await.expect("an event");
    let mut expected: Vec<_> = made.audit.iter().map(|it| it.of_event(event.pk)).collect();
    assert_eq!(expected[0].detail["event"], event.pk);
    assert_eq!(log(&store).await, expected);
    let again = store.create_event(new(9)).await;
    assert!(matches!(again, Err(StoreError::Duplicate)), "{again:?}");
    let change = || EventChange {
        name: Some("Picnic".into()),
        ..EventChange::default()
    };
    recorded_once!(store, expected, ChangeEvent, audit =>
        store.change_event(event.pk, change(), at(2), audit));
    recorded_once!(store, expected, OpenEventChat, audit =>
    store.open_event_chat(NewEventChat { pk: NewPk::default(), external_id: None,
        id: ChatId::new(at(3)),
        event: event.pk,
        guest: boris.id,
        at: at(3),
        audit,
    }));
    let audit = || Some(record(AuditAct::ChangeEvent, 9));
    let nowhere = store.change_event(99, change(), at(3), audit()).await;
    assert_eq!(nowhere.expect("an answer"), None);
    let nowhere = store.open_event_chat(NewEventChat {
        pk: NewPk::default(),
        external_id: None,
        id: ChatId::new(at(4)),
        event: 99,
        guest: boris.id,
        at: at(4),
        audit: audit(),
    });
    assert_eq!(nowhere.await.expect("an answer"), None);
    assert_eq!(log(&store).await, expected);
}

pub async fn a_record_may_come_alone(store: Subject) {
    let record = record(AuditAct::CreateToken, 1);
    store.add_audit(record.clone()).await.expect("an answer");
    assert_eq!(log(&store).await, std::slice::from_ref(&record));
    let again = store.add_audit(record).await;
    assert!(matches!(again, Err(StoreError::Duplicate)), "{again:?}");
}

pub async fn a_change_of_a_chat_is_recorded_if_something_is_other_than_before(store: Subject) {
    let talk = chat(&store, &[&user(&store, "anna").await], 1).await;
    let mut expected = Vec::new();
    let named = |name: &str| ChatChange {
        name: Some(name.into()),
        ..ChatChange::default()
    };
    let team = |team| ChatChange {
        team: Some(team),
        ..ChatChange::default()
    };
    for change in [named("walk"), team(Some(3)), team(None)] {
        recorded_once!(store, expected, ChangeChat, audit =>
            store.change_chat(talk.id, change.clone(), at(2), audit));
    }
    let both = ChatChange {
        policy: None,
        name: Some("walk".into()),
        team: Some(Some(4)),
    };
    recorded_once!(store, expected, ChangeChat, audit =>
        store.change_chat(talk.id, both.clone(), at(2), audit));
    let audit = Some(record(AuditAct::ChangeChat, 9));
    let moved = store.change_chat(talk.id, ChatChange::default(), at(9), audit);
    let moved = moved.await.expect("an answer").expect("a chat");
    assert_eq!(moved.modified_at, at(9));
    assert_eq!(log(&store).await, expected);
}
