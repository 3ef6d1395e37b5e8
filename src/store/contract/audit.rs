//! The promises of `Audit`, and those of every method that records an act.
//! Does not know which store is under test.

use serde_json::{Map, Value, json};

use super::sanctions::{FOR_EVER, until};
use super::*;
use crate::model::{
    Access, AuditAct, AuditFilter, AuditId, AuditRecord, ChatChange, EventDetails, MemberRole,
    NewEvent, NewEventChat, NewPk,
};
use crate::store::StoreError;

pub(super) fn record(act: AuditAct, millisecond: i64) -> AuditRecord {
    AuditRecord {
        id: AuditId::new(at(millisecond)),
        at: at(millisecond),
        actor: None,
        act,
        chat: None,
        user: None,
        detail: Map::new(),
    }
}

pub(super) async fn log(store: &Subject) -> Vec<AuditRecord> {
    let all = AuditFilter::default();
    store.audit_records(all, None, 99).await.expect("records")
}

/// Calls twice: the first call changes something, and only that is recorded.
macro_rules! recorded_once {
    ($store:ident, $log:ident, $act:ident, $record:ident => $call:expr) => {{
        let first = record(AuditAct::$act, i64::try_from($log.len()).expect("a few"));
        $log.push(first.clone());
        let $record = Some(first);
        let _ = $call.await.expect("an answer");
        assert_eq!(log(&$store).await, $log);
        let $record = Some(record(AuditAct::$act, 99));
        let _ = $call.await.expect("an answer");
        assert_eq!(log(&$store).await, $log, "nothing has changed");
    }};
}
pub(super) use recorded_once;

pub async fn every_act_is_recorded_with_its_change(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let talk = chat(&store, &[&anna], 1).await;
    let mut expected = Vec::new();
    recorded_once!(store, expected, AddMember, audit =>
        store.add_member(talk.id, boris.id, 0, at(2), audit));
    recorded_once!(store, expected, SetRole, audit =>
        store.set_role(talk.id, boris.id, MemberRole::Reader, audit));
    recorded_once!(store, expected, MuteUser, audit =>
        store.set_mute(talk.id, boris.id, Some(until(9)), audit));
    recorded_once!(store, expected, RemoveMember, audit =>
        store.remove_member(talk.id, boris.id, at(3), audit));
    recorded_once!(store, expected, BanUser, audit =>
        store.set_ban(talk.id, boris.id, Some(FOR_EVER), at(4), audit));
    recorded_once!(store, expected, BanUser, audit =>
        store.set_ban(talk.id, boris.id, None, at(4), audit));
    recorded_once!(store, expected, RevokeTokens, audit =>
        store.revoke_tokens(boris.id, at(4), audit));
    recorded_once!(store, expected, DeleteChat, audit => store.delete_chat(talk.id, audit));
    let details = EventDetails::default();
    let event = store.create_event(NewEvent {
        pk: NewPk::default(),
        owner: anna.id,
        details,
        key: None,
        at: at(5),
        audit: None,
    });
    let event = event.await.expect("an event").pk;
    let opened = store.open_event_chat(NewEventChat {
        pk: NewPk::default(),
        external_id: None,
        id: ChatId::new(at(6)),
        event,
        guest: boris.id,
        at: at(6),
        audit: None,
    });
    let (_, private) = opened.await.expect("an answer").expect("an event");
    recorded_once!(store, expected, GrantAccess, audit =>
        store.change_access(private.chat, &[Access::Unasked], Access::Granted, at(7), audit));
    recorded_once!(store, expected, DeleteEvent, audit => store.delete_event(event, audit));
}

pub async fn without_a_chat_or_a_user_nothing_is_recorded(store: Subject) {
    let anna = user(&store, "anna").await;
    let talk = chat(&store, &[&anna], 1).await;
    let (nobody, nowhere) = (UserId::new(at(9)), ChatId::new(at(9)));
    let audit = || Some(record(AuditAct::BanUser, 1));
    let refused = [
        store
            .add_member(talk.id, nobody, 0, at(2), audit())
            .await
            .map(drop),
        store
            .set_ban(talk.id, nobody, Some(FOR_EVER), at(2), audit())
            .await
            .map(drop),
    ];
    let corrupt = |refused: &Result<(), StoreError>| matches!(refused, Err(StoreError::Corrupt(_)));
    assert!(refused.iter().all(corrupt), "{refused:?}");
    let change = ChatChange::default();
    let answers = [
        store
            .add_member(nowhere, anna.id, 0, at(2), audit())
            .await
            .map(drop),
        store
            .remove_member(nowhere, anna.id, at(2), audit())
            .await
            .map(drop),
        store
            .set_role(nowhere, anna.id, MemberRole::Owner, audit())
            .await
            .map(drop),
        store
            .set_mute(nowhere, anna.id, Some(FOR_EVER), audit())
            .await
            .map(drop),
        store
            .set_ban(nowhere, anna.id, Some(FOR_EVER), at(2), audit())
            .await
            .map(drop),
        store
            .change_chat(nowhere, change, at(2), audit())
            .await
            .map(drop),
        store.delete_chat(nowhere, audit()).await.map(drop),
        store.delete_event(9, audit()).await.map(drop),
        store.revoke_tokens(nobody, at(2), audit()).await.map(drop),
        store
            .change_access(talk.id, &[Access::Unasked], Access::Asked, at(2), audit())
            .await
            .map(drop),
    ];
    for answer in answers {
        answer.expect("an answer");
    }
    assert_eq!(log(&store).await, []);
}

pub async fn who_lifts_what_has_ended_is_not_recorded(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let talk = chat(&store, &[&anna], 1).await;
    let mut expected = Vec::new();
    let cases = [
        (until(20), 19, true),
        (until(20), 20, false),
        (FOR_EVER, 21, true),
    ];
    // A member, until it is banned, and a user that is none.
    for user in [anna.id, boris.id] {
        for act in [AuditAct::MuteUser, AuditAct::BanUser] {
            for (given, lifted, recorded) in cases {
                let mut record = record(act, lifted);
                record.id = AuditId::after(
                    expected.last().map(|last: &AuditRecord| last.id),
                    at(lifted),
                );
                let audit = Some(record.clone());
                let changed = if act == AuditAct::MuteUser {
                    let set = store.set_mute(talk.id, user, Some(given), None).await;
                    set.expect("an answer").expect("a chat");
                    let lifted = store.set_mute(talk.id, user, None, audit).await;
                    lifted.expect("an answer").expect("a chat").0
                } else {
                    let set = store.set_ban(talk.id, user, Some(given), at(2), None).await;
                    set.expect("an answer").expect("a chat");
                    let lifted = store.set_ban(talk.id, user, None, at(3), audit).await;
                    lifted.expect("an answer").expect("a chat").changed
                };
                assert!(changed, "it is stored no longer");
                if recorded {
                    expected.push(record);
                }
                assert_eq!(log(&store).await, expected, "{act:?} {given:?}");
            }
        }
    }
}

pub async fn of_two_equal_acts_at_once_one_is_recorded(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let talk = chat(&store, &[&anna, &boris], 1).await;
    let (one, other) = (record(AuditAct::BanUser, 1), record(AuditAct::BanUser, 2));
    let ban = |record: &AuditRecord| {
        let record = Some(record.clone());
        store.set_ban(talk.id, boris.id, Some(FOR_EVER), at(2), record)
    };
    let (first, second) = tokio::join!(ban(&one), ban(&other));
    let changed = |outcome: Result<Option<crate::store::BanOutcome>, StoreError>| {
        outcome.expect("an answer").expect("a chat").changed
    };
    let expected = match (changed(first), changed(second)) {
        (true, false) => one,
        (false, true) => other,
        both => panic!("{both:?}"),
    };
    assert_eq!(log(&store).await, [expected]);
}

pub async fn a_record_comes_back_as_it_was_given(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let talk = chat(&store, &[&anna, &boris], 1).await;
    let Value::Object(detail) = json!({
        "role": "reader", "name": "Анна", "until": null, "numbers": [0, -1, u64::MAX, 0.1, true],
    }) else {
        panic!("an object");
    };
    let full = AuditRecord {
        actor: Some(anna.id),
        chat: Some(talk.id),
        user: Some(boris.id),
        detail,
        ..record(AuditAct::SetRole, 1)
    };
    let given = store.set_role(talk.id, boris.id, MemberRole::Reader, Some(full.clone()));
    assert!(given.await.expect("an answer").expect("a chat").0);
    assert!(store.delete_chat(talk.id, None).await.expect("an answer"));
    assert_eq!(log(&store).await, [full], "also without its chat");
}

pub async fn every_act_has_a_place_in_the_log(store: Subject) {
    let records: Vec<_> = (0..)
        .zip(AuditAct::ALL)
        .map(|(now, act)| record(act, now))
        .collect();
    store.take_audit(records.clone()).await.expect("taken");
    assert_eq!(log(&store).await, records);
}

pub async fn records_come_in_pages_by_their_ids(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let talk = chat(&store, &[&anna, &boris], 1).await;
    let other = chat(&store, &[&anna, &boris], 1).await;
    let records: Vec<_> = [
        (&talk, &boris, 4),
        (&talk, &anna, 2),
        (&other, &boris, 3),
        (&other, &anna, 1),
    ]
    .map(|(chat, user, now)| AuditRecord {
        chat: Some(chat.id),
        user: Some(user.id),
        ..record(AuditAct::MuteUser, now)
    })
    .to_vec();
    for record in &records {
        let (chat, user) = (record.chat.expect("a chat"), record.user.expect("a user"));
        let muted = store.set_mute(chat, user, Some(FOR_EVER), Some(record.clone()));
        assert!(muted.await.expect("an answer").expect("a chat").0);
    }
    let ordered = [3, 1, 2, 0].map(|index| records[index].clone());
    let page = |filter, after, limit| store.audit_records(filter, after, limit);
    let all = AuditFilter::default();
    assert_eq!(page(all, None, 3).await.expect("records"), ordered[..3]);
    let after = Some(ordered[2].id);
    assert_eq!(page(all, after, 3).await.expect("records"), ordered[3..]);
    assert_eq!(page(all, None, 0).await.expect("records"), []);
    let (of_talk, of_boris) = (Some(talk.id), Some(boris.id));
    for (chat, user, after, expected) in [
        (of_talk, None, None, &[1, 0][..]),
        (None, of_boris, None, &[2, 0]),
        (of_talk, of_boris, None, &[0]),
        (of_talk, None, Some(records[1].id), &[0]),
        (None, of_boris, Some(records[2].id), &[0]),
        (Some(ChatId::new(at(9))), None, None, &[]),
    ] {
        let found = page(AuditFilter { chat, user }, after, 9).await;
        let expected: Vec<_> = expected
            .iter()
            .map(|index| records[*index].clone())
            .collect();
        assert_eq!(found.expect("records"), expected);
    }
}
