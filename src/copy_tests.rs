//! The promises of `copy`: everything is copied, resumed after an interruption, and compared.

use std::sync::Arc;

use jiff::Timestamp;

use super::*;
use crate::model::{
    AuditAct, Draft, EventDetails, MessageId, NewChat, NewEvent, NewEventChat, NewPk, NewUser,
    PendingMessage, Policy, Profile, User, UserId,
};
use crate::store::{self, Scratch};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

async fn empty() -> Arc<dyn Store> {
    let store = crate::store::open("sqlite::memory:").await;
    store.expect("a store in memory")
}

async fn user(store: &dyn Store, name: &str) -> User {
    let new = NewUser {
        pk: NewPk::default(),
        id: UserId::new(NOW),
        external_id: name.into(),
        profile: Profile::default(),
        at: NOW,
        audit: None,
    };
    store.find_or_create_user(new).await.expect("a user")
}

async fn send(store: &dyn Store, chat: ChatId, sender: &User, texts: &[String]) {
    let entry = |text: &String| PendingMessage {
        id: MessageId::new(NOW),
        chat,
        sender: sender.id,
        origin: None,
        draft: Draft::text(text),
        at: NOW,
    };
    let batch = texts.iter().map(entry).collect();
    store.append(batch).await.expect("stored");
}

/// So many records of the audit log.
fn records(number: i64) -> Vec<AuditRecord> {
    let record = |millisecond| {
        let at = Timestamp::from_millisecond(millisecond).expect("a time");
        AuditRecord {
            id: AuditId::new(at),
            at,
            actor: None,
            act: AuditAct::SetRole,
            chat: None,
            user: None,
            detail: [("number".to_owned(), millisecond.into())]
                .into_iter()
                .collect(),
        }
    };
    (0..number).map(record).collect()
}

/// A store with two users, an event, a chat about it, a chat of 2,500 messages, and an audit log of
/// 1,200 records.
async fn filled() -> Arc<dyn Store> {
    let store = empty().await;
    let (anna, boris) = (user(&*store, "anna").await, user(&*store, "boris").await);
    let new = NewChat {
        pk: NewPk::default(),
        external_id: None,
        id: ChatId::new(NOW),
        name: None,
        policy: Policy::Open,
        owner: Some(anna.id),
        team: None,
        members: vec![anna.id],
        key: None,
        at: NOW,
        audit: Vec::new(),
    };
    let chat = store.create_chat(new).await.expect("a chat");
    let event = NewEvent {
        pk: NewPk::default(),
        owner: anna.id,
        details: EventDetails::default(),
        key: None,
        at: NOW,
        audit: None,
    };
    let event = store.create_event(event).await.expect("an event");
    let new = NewEventChat {
        pk: NewPk::default(),
        external_id: None,
        id: ChatId::new(NOW),
        event: event.pk,
        guest: boris.id,
        at: NOW,
        audit: None,
    };
    let opened = store.open_event_chat(new).await.expect("an answer");
    let (_, private) = opened.expect("an event");
    let texts: Vec<_> = (0..2500).map(|number| number.to_string()).collect();
    send(&*store, chat.id, &anna, &texts).await;
    send(&*store, private.chat, &boris, &texts[..3]).await;
    store.take_audit(records(1200)).await.expect("taken");
    store
}

const ALL: Copied = Copied {
    users: 2,
    events: 1,
    chats: 2,
    messages: 2503,
};

#[tokio::test]
async fn everything_is_copied_and_counted() {
    let (from, to) = (filled().await, empty().await);
    let copied = copy(&*from, &*to, Target::Empty).await;
    assert_eq!(copied.expect("a copy"), ALL);
    let back = empty().await;
    let copied = copy(&*to, &*back, Target::Empty).await;
    assert_eq!(copied.expect("a copy of the copy"), ALL);
}

#[tokio::test]
async fn an_empty_source_is_a_mistake() {
    let (from, to) = (empty().await, empty().await);
    let copied = copy(&*from, &*to, Target::Empty).await;
    assert!(matches!(copied, Err(CopyError::Nothing)), "{copied:?}");
}

#[tokio::test]
async fn a_target_that_is_not_empty_is_refused() {
    let (from, to) = (filled().await, empty().await);
    user(&*to, "vera").await;
    let copied = copy(&*from, &*to, Target::Empty).await;
    assert!(matches!(copied, Err(CopyError::NotEmpty)), "{copied:?}");
    let resumed = copy(&*from, &*to, Target::Resumed).await;
    assert!(matches!(resumed, Err(CopyError::Differs(_))), "{resumed:?}");
    // It is no target of a copy: it is as it was, and may be served.
    assert_eq!(to.users_after(0, 9).await.expect("users").len(), 1);
    assert_eq!(to.chat_records(0, 9).await.expect("chats"), []);
    assert!(!to.is_unfinished().await.expect("an answer"));
}

#[tokio::test]
async fn the_target_is_marked_from_the_first_record_to_the_comparison() {
    let (from, to) = (filled().await, empty().await);
    let (gated, gate) = store::gated(Arc::clone(&to), <_>::default());
    for operation in ["begin_copy", "take_users", "take_audit", "take_counters"] {
        let held = gate.hold(operation);
        let copying = copy(&*from, &*gated, Target::Resumed);
        let interrupted = async {
            held.answered().await;
            assert!(to.is_unfinished().await.expect("an answer"), "{operation}");
        };
        // The copy ends here.
        tokio::select! {
            copied = copying => panic!("{copied:?}"),
            () = interrupted => {}
        }
    }
    let copied = copy(&*from, &*to, Target::Resumed).await;
    assert_eq!(copied.expect("the rest"), ALL);
    assert!(!to.is_unfinished().await.expect("an answer"));
}

#[tokio::test]
async fn a_copy_that_differs_stays_marked() {
    let (from, to) = (filled().await, empty().await);
    to.begin_copy().await.expect("marked");
    user(&*to, "vera").await;
    let copied = copy(&*from, &*to, Target::Resumed).await;
    assert!(copied.is_err(), "Vera is nobody in the source");
    assert!(to.is_unfinished().await.expect("an answer"));
}

#[tokio::test(start_paused = true)]
async fn a_copy_goes_on_after_a_store_did_not_answer() {
    let from = filled().await;
    for operation in [
        "take_users",
        "take_events",
        "take_chats",
        "take_messages",
        "take_audit",
        "take_counters",
        "finish_copy",
    ] {
        let to = empty().await;
        let (gated, gate) = store::gated(Arc::clone(&to), <_>::default());
        gate.lose(operation);
        let copied = copy(&*from, &*gated, Target::Empty).await;
        assert_eq!(copied.expect("a copy"), ALL, "{operation}");
        assert!(!to.is_unfinished().await.expect("an answer"));
    }
    // Not for ever.
    let to = empty().await;
    let (gated, gate) = store::gated(Arc::clone(&to), <_>::default());
    let held = gate.hold("begin_copy");
    let closes = async {
        held.answered().await;
        to.close().await.expect("closed");
        held.release();
    };
    let (copied, ()) = tokio::join!(copy(&*from, &*gated, Target::Empty), closes);
    let failed = matches!(copied, Err(CopyError::Store(StoreError::Unavailable(_))));
    assert!(failed, "{copied:?}");
}

#[tokio::test]
async fn a_copy_outlasts_the_transaction_of_a_killed_one() {
    let from = filled().await;
    let scratch = Scratch::new();
    let to = store::open(&scratch.url()).await.expect("a database");
    to.begin_copy().await.expect("marked");
    let anna = from.user_by_pk(1).await.expect("an answer");
    let open = scratch.killed_copy(anna.expect("a user")).await;
    let ends = async {
        // Longer than one call of the store tries.
        sleep(Duration::from_secs(6)).await;
        open.abort().await;
    };
    let (copied, ()) = tokio::join!(copy(&*from, &*to, Target::Resumed), ends);
    assert_eq!(copied.expect("a copy"), ALL);
    assert!(!to.is_unfinished().await.expect("an answer"));
}

async fn audit_log(store: &dyn Store) -> Vec<AuditRecord> {
    let all = AuditFilter::default();
    let log = store.audit_records(all, None, 9999).await;
    log.expect("records")
}

#[tokio::test]
async fn an_interrupted_copy_goes_on_wherever_it_ended() {
    let from = filled().await;
    let chats = from.chat_records(0, 9).await.expect("chats");
    let log = audit_log(&*from).await;
    assert_eq!(log.len(), 1200);
    for (messages, recorded) in [(0, 0), (1, 0), (1000, 0), (1700, 0), (2500, 0), (2500, 700)] {
        let to = empty().await;
        to.begin_copy().await.expect("marked");
        let users = from.users_after(0, 9).await.expect("users");
        to.take_users(users).await.expect("taken");
        let events = from.event_records(0, 9).await.expect("events");
        to.take_events(events).await.expect("taken");
        to.take_chats(chats[..1].to_vec()).await.expect("taken");
        let mut taken = page(&*from, chats[0].chat.id, 0).await.expect("a page");
        let rest = page(&*from, chats[0].chat.id, 1000).await.expect("a page");
        let last = page(&*from, chats[0].chat.id, 2000).await.expect("a page");
        taken.messages.extend(rest.messages);
        taken.messages.extend(last.messages);
        taken.messages.truncate(messages);
        to.take_messages(taken.messages).await.expect("taken");
        let begun = log[..recorded].to_vec();
        to.take_audit(begun).await.expect("taken");
        let copied = copy(&*from, &*to, Target::Resumed).await;
        assert_eq!(copied.expect("the rest"), ALL, "after {messages}");
        assert_eq!(audit_log(&*to).await, log, "after {recorded}");
        assert!(!to.is_unfinished().await.expect("an answer"));
    }
}

#[tokio::test]
async fn a_target_that_has_changed_is_found_out() {
    let (from, to) = (filled().await, empty().await);
    copy(&*from, &*to, Target::Empty).await.expect("a copy");
    let profile = Profile {
        name: Some("Anna".into()),
        ..Profile::default()
    };
    let anna = from
        .user_by_pk(1)
        .await
        .expect("an answer")
        .expect("a user");
    let updated = to.update_user(anna.id, profile, NOW, None).await;
    updated.expect("an answer");
    let again = copy(&*from, &*to, Target::Resumed).await;
    assert!(matches!(again, Err(CopyError::Differs(_))), "{again:?}");
}

#[tokio::test]
async fn a_target_with_more_messages_is_found_out() {
    let (from, to) = (filled().await, empty().await);
    copy(&*from, &*to, Target::Empty).await.expect("a copy");
    let chat = &to.chat_records(0, 1).await.expect("chats")[0].chat;
    let anna = to.user_by_pk(1).await.expect("an answer").expect("a user");
    send(&*to, chat.id, &anna, &["one more".to_owned()]).await;
    let again = copy(&*from, &*to, Target::Resumed).await;
    assert!(matches!(again, Err(CopyError::Differs(_))), "{again:?}");
}

#[tokio::test]
async fn a_target_with_another_audit_log_is_found_out() {
    let (from, to) = (filled().await, empty().await);
    copy(&*from, &*to, Target::Empty).await.expect("a copy");
    to.take_audit(records(1)).await.expect("taken");
    let again = copy(&*from, &*to, Target::Resumed).await;
    assert!(matches!(again, Err(CopyError::Differs(_))), "{again:?}");
}
