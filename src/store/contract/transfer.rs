//! The contract of `Transfer`: an exported store is imported unchanged.
//! Does not know which store is under test.

use super::*;
use crate::model::{
    Access, AuditAct, AuditFilter, AuditId, AuditRecord, EventDetails, Fingerprint, History,
    IdempotencyKey, MemberRights, MemberRole, Message, NewEvent, NewEventChat, NewPk, Range,
    Sanction, Window,
};
use crate::store::StoreError;
use crate::store::transfer::{ChatRecord, EventRecord, Pks, Unfinished};

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
    // A gap in the places, and a number that is free again.
    store
        .remove_member(keyed_chat.id, boris.id, at(2), None)
        .await
        .expect("left");
    let gone = chat(store, &[&anna], 3).await;
    store.delete_chat(gone.id, None).await.expect("deleted");
    let event = store.create_event(NewEvent {
        pk: NewPk::default(),
        owner: anna.id,
        details: EventDetails {
            name: "Picnic".into(),
            icons: vec!["sun".into()],
            ..EventDetails::default()
        },
        key: Some(key("event")),
        at: at(4),
        audit: None,
    });
    let event = event.await.expect("an event");
    let opened = store.open_event_chat(NewEventChat {
        pk: NewPk::default(),
        external_id: None,
        id: ChatId::new(at(5)),
        event: event.pk,
        guest: vera.id,
        at: at(5),
        audit: None,
    });
    let (_, private) = opened.await.expect("an answer").expect("an event");
    let applied = store.change_access(private.chat, &[Access::Unasked], Access::Asked, at(6), None);
    applied.await.expect("an answer");
    let mut batch = vec![
        entry(keyed_chat.id, &anna, "one", 7),
        entry(keyed_chat.id, &vera, "two", 9),
        entry(private.chat, &vera, "three", 8),
    ];
    // All fields, none at its default: a copy has to carry each of them, a new one included.
    batch[0].draft = Draft {
        kind: "note".into(),
        text: "one".into(),
        photos: vec!["a".into(), "b".into()],
        client_id: Some("1".into()),
        original_id: None,
        metadata: crate::model::Metadata::of_json("{\"order\":7}".to_owned()),
        sent_as_read: true,
    };
    batch[1].draft.original_id = Some("77".into());
    store.append(batch).await.expect("stored");
    let read = store.advance_read(keyed_chat.id, anna.id, 2).await;
    read.expect("an answer");
    sanction(store, keyed_chat.id, [&anna, &boris, &vera]).await;
}

/// A role, mutes, bans and revoked tokens, each with its record.
async fn sanction(store: &Subject, talk: ChatId, [anna, boris, vera]: [&User; 3]) {
    let audit = |now| {
        Some(AuditRecord {
            id: AuditId::new(at(now)),
            at: at(now),
            actor: Some(anna.id),
            act: AuditAct::BanUser,
            chat: Some(talk),
            user: Some(boris.id),
            detail: [("number".into(), now.into())].into_iter().collect(),
        })
    };
    let given = store.set_role(talk, vera.id, MemberRole::Moderator, audit(11));
    given.await.expect("an answer");
    for (user, end, now) in [(vera, at(40), 12), (anna, at(41), 13)] {
        let mute = Some(Sanction { until: Some(end) });
        let muted = store.set_mute(talk, user.id, mute, audit(now)).await;
        muted.expect("an answer");
    }
    for (user, until, now) in [(boris, Some(at(50)), 15), (anna, None, 14)] {
        let ban = Some(Sanction { until });
        let banned = store.set_ban(talk, user.id, ban, at(9), audit(now)).await;
        banned.expect("an answer");
    }
    // Anna is a member all the same, with the mute that was kept: another one replaces it.
    let joined = store.add_member(talk, anna.id, 2, at(9), audit(16)).await;
    joined.expect("an answer");
    let muted = store.set_mute(talk, anna.id, Some(Sanction { until: None }), audit(17));
    muted.await.expect("an answer");
    let revoked = store.revoke_tokens(boris.id, at(60), audit(18)).await;
    revoked.expect("an answer");
    // Boris is no member.
    let given = store.set_role(talk, boris.id, MemberRole::Reader, None);
    given.await.expect("an answer");
    let mute = Some(Sanction {
        until: Some(at(70)),
    });
    let muted = store.set_mute(talk, boris.id, mute, None).await;
    muted.expect("an answer");
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
    Pks,
    Vec<User>,
    Vec<EventRecord>,
    Vec<ChatRecord>,
    Vec<Message>,
    Vec<AuditRecord>,
);

async fn everything(store: &Subject) -> Everything {
    let chats = store.chat_records(0, 99).await.expect("chats");
    let mut all = Vec::new();
    for chat in &chats {
        all.extend(messages(store, chat).await);
    }
    (
        store.counters().await.expect("numbers"),
        store.users_after(0, 99).await.expect("users"),
        store.event_records(0, 99).await.expect("events"),
        chats,
        all,
        store
            .audit_records(AuditFilter::default(), None, 99)
            .await
            .expect("records"),
    )
}

/// A store that holds what `fill` puts in, and an empty one that is given it.
async fn copied(store: Subject) -> (Everything, Subject) {
    let source = crate::store::open("sqlite::memory:")
        .await
        .expect("a store");
    fill(&source).await;
    let (counters, users, events, chats, messages, audit) = everything(&source).await;
    assert_eq!(store.latest_audit().await.expect("an answer"), None);
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
    let (first, others) = audit.split_at(2);
    for part in [first, others, &[]] {
        store.take_audit(part.to_vec()).await.expect("records");
        let latest = store.latest_audit().await.expect("an answer");
        let last = part.last().or(audit.last()).map(|record| record.id);
        assert_eq!(latest, last);
    }
    store.take_counters(counters).await.expect("numbers");
    ((counters, users, events, chats, messages, audit), store)
}

pub async fn what_goes_out_comes_in_as_it_was(store: Subject) {
    let (before, store) = copied(store).await;
    assert_eq!(before.3.len(), 2);
    assert_eq!(before.4.len(), 3);
    assert_eq!(before.5.len(), 8);
    assert_eq!(everything(&store).await, before);
}

pub async fn a_filled_store_returns_all_of_it(store: Subject) {
    fill(&store).await;
    let (counters, users, events, chats, messages, audit) = everything(&store).await;
    let expected = Pks {
        user: 3,
        chat: 3,
        event: 1,
    };
    assert_eq!(counters, expected);
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
    let by_user = |id| chats[0].members.iter().find(|member| member.user == id);
    let (anna, boris, vera) = (users[0].id, users[1].id, users[2].id);
    let for_ever = Sanction { until: None };
    let until = |now| Sanction {
        until: Some(at(now)),
    };
    let member = by_user(anna).expect("a member");
    assert_eq!((member.last_read, member.role), (2, MemberRole::Member));
    assert_eq!(member.mute, Some(for_ever));
    let member = by_user(vera).expect("a member");
    assert_eq!((member.last_read, member.role), (2, MemberRole::Moderator));
    assert_eq!(member.mute, Some(until(40)));
    let mut bans = vec![(anna, for_ever), (boris, until(50))];
    bans.sort_by_key(|(user, _)| *user);
    let found = chats[0].bans.iter().map(|ban| (ban.user, ban.sanction));
    assert!(found.eq(bans), "{:?}", chats[0].bans);
    let kept = MemberRights {
        user: boris,
        role: MemberRole::Reader,
        mute: Some(until(70)),
    };
    assert_eq!(chats[0].kept, [kept]);
    assert_eq!(users[1].revoked_before, Some(at(60)));
    assert_eq!(audit.len(), 8);
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
    let ((_, users, events, chats, messages, audit), store) = copied(store).await;
    let before = everything(&store).await;
    let duplicate = |taken: Result<(), StoreError>| matches!(taken, Err(StoreError::Duplicate));
    assert!(duplicate(store.take_users(users).await));
    assert!(duplicate(store.take_events(events).await));
    assert!(duplicate(store.take_chats(chats).await));
    assert!(duplicate(store.take_audit(audit).await));
    let again = store.take_messages(messages[..1].to_vec()).await;
    assert!(matches!(again, Err(StoreError::Corrupt(_))), "{again:?}");
    assert_eq!(everything(&store).await, before);
}

pub async fn a_hole_in_a_chat_is_refused(store: Subject) {
    let source = crate::store::open("sqlite::memory:")
        .await
        .expect("a store");
    fill(&source).await;
    let (_, users, events, chats, messages, _) = everything(&source).await;
    store.take_users(users).await.expect("users");
    store.take_events(events).await.expect("events");
    store.take_chats(chats).await.expect("chats");
    let second = store.take_messages(messages[1..2].to_vec()).await;
    assert!(matches!(second, Err(StoreError::Corrupt(_))), "{second:?}");
    let heads = store.chat_records(0, 9).await.expect("chats");
    assert!(heads.iter().all(|record| record.chat.head == 0));
}

pub async fn an_unfinished_copy_is_marked_and_refused(store: Subject) {
    let marked = async || store.is_unfinished().await.expect("an answer");
    assert!(!marked().await);
    for _ in 0..2 {
        for _ in 0..2 {
            store.begin_copy().await.expect("marked");
            assert!(marked().await);
            let refused = store.migrate(Unfinished::Refused).await;
            let why = refused.expect_err("refused").to_string();
            assert!(why.contains("polychat copy --resume"), "{why}");
            let migrated = store.migrate(Unfinished::Allowed).await;
            migrated.expect("migrated");
        }
        // It stays whatever is imported.
        user(&store, "anna").await;
        assert!(marked().await);
        for _ in 0..2 {
            store.finish_copy().await.expect("not marked");
            assert!(!marked().await);
            let migrated = store.migrate(Unfinished::Refused).await;
            migrated.expect("migrated");
        }
    }
}

pub async fn only_an_empty_store_is_empty(store: Subject) {
    store.begin_copy().await.expect("marked");
    let empty = crate::store::transfer::is_empty(&*store).await;
    assert!(empty.expect("an answer"));
    user(&store, "anna").await;
    let empty = crate::store::transfer::is_empty(&*store).await;
    assert!(!empty.expect("an answer"));
}
