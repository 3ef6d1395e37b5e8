//! The promises of `Members`.
//! Does not know which store is under test.

use futures_util::future::join_all;

use super::*;
use crate::model::{ChatChange, Seq};
use crate::store::StoreError;

async fn join(store: &Subject, chat: &Chat, user: &User, read: Seq, now: i64) -> (bool, Chat) {
    let joined = store
        .add_member(chat.id, user.id, read, at(now), None)
        .await;
    joined.expect("an answer").expect("a chat")
}

async fn position(store: &Subject, chat: &Chat, user: &User) -> Seq {
    store.reads(chat.id).await.expect("positions").of(user.id)
}

async fn send(store: &Subject, chat: &Chat, user: &User, times: usize) {
    let batch = (0..times).map(|_| entry(chat.id, user, "hello", 1));
    store.append(batch.collect()).await.expect("stored");
}

pub async fn it_is_stored_since_which_message_a_user_is_a_member(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let made = chat(&store, &[&anna], 1).await;
    let users = [boris.id, UserId::new(at(9)), anna.id];
    let joined = async || {
        let joined = store.joined_at(made.id, &users).await;
        joined.expect("an answer")
    };
    assert_eq!(joined().await, [None, None, Some(0)]);
    for now in 2..5 {
        let sent = store
            .append(vec![entry(made.id, &anna, "hello", now)])
            .await;
        sent.expect("stored");
    }
    let added = store.add_member(made.id, boris.id, 0, at(5), None).await;
    added.expect("added");
    let sent = store.append(vec![entry(made.id, &anna, "hello", 6)]).await;
    sent.expect("stored");
    assert_eq!(joined().await, [Some(3), None, Some(0)]);
    let removed = store.remove_member(made.id, anna.id, at(7), None).await;
    removed.expect("removed");
    assert_eq!(joined().await, [Some(3), None, None]);
}

pub async fn a_new_member_is_the_last_one(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let before = chat(&store, &[&boris], 1).await;
    let (fresh, after) = join(&store, &before, &anna, 0, 5).await;
    assert!(fresh);
    assert_eq!(after.members, [boris.id, anna.id]);
    assert_eq!((after.modified_at, after.active_at), (at(5), at(5)));
    let nobody = store
        .add_member(before.id, UserId::new(at(9)), 0, at(6), None)
        .await;
    assert!(matches!(nobody, Err(StoreError::Corrupt(_))), "{nobody:?}");
}

pub async fn a_member_joins_once(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let before = chat(&store, &[&anna, &boris], 1).await;
    let (fresh, after) = join(&store, &before, &anna, 0, 5).await;
    assert!(!fresh);
    assert_eq!(after, before);
}

pub async fn a_position_moves_forward_only_and_not_past_the_end(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let chat = chat(&store, &[&anna, &boris], 1).await;
    send(&store, &chat, &anna, 5).await;
    assert_eq!(position(&store, &chat, &boris).await, 0);
    for (read, expected) in [(3, 3), (2, 3), (0, 3), (99, 5)] {
        join(&store, &chat, &boris, read, 2).await;
        assert_eq!(position(&store, &chat, &boris).await, expected);
    }
}

pub async fn one_who_leaves_is_no_member_and_begins_anew(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let before = chat(&store, &[&anna, &boris], 1).await;
    send(&store, &before, &anna, 1).await;
    join(&store, &before, &boris, 1, 2).await;
    for expected in [true, false] {
        let left = store.remove_member(before.id, boris.id, at(7), None).await;
        let (removed, after) = left.expect("an answer").expect("a chat");
        assert_eq!(removed, expected);
        assert_eq!((after.members, after.modified_at), (vec![anna.id], at(7)));
    }
    assert_eq!(
        store.memberships_of(boris.id).await.expect("memberships"),
        []
    );
    let (fresh, after) = join(&store, &before, &boris, 0, 8).await;
    assert_eq!((fresh, after.members), (true, vec![anna.id, boris.id]));
    assert_eq!(position(&store, &before, &boris).await, 0);
}

pub async fn each_change_of_the_members_has_the_next_version(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let made = chat(&store, &[&anna], 1).await;
    let version = async || {
        let chat = store
            .chat(made.id)
            .await
            .expect("an answer")
            .expect("a chat");
        let version = store.members_version(made.id).await.expect("an answer");
        assert_eq!(version, Some(chat.members_version));
        chat.members_version
    };
    assert_eq!(version().await, 0);
    // Twice each: the second call changes nothing.
    for expected in [true, false] {
        let (fresh, after) = join(&store, &made, &boris, 0, 2).await;
        assert_eq!((fresh, after.members_version), (expected, 1));
        assert_eq!(version().await, 1);
    }
    for expected in [true, false] {
        let left = store.remove_member(made.id, boris.id, at(3), None).await;
        let (removed, after) = left.expect("an answer").expect("a chat");
        assert_eq!((removed, after.members_version), (expected, 2));
        assert_eq!(version().await, 2);
    }
    send(&store, &made, &anna, 4).await;
    let change = ChatChange {
        policy: None,
        name: Some("new".into()),
        team: None,
    };
    let changed = store.change_chat(made.id, change, at(5), None).await;
    assert_eq!(
        changed.expect("an answer").expect("a chat").members_version,
        2
    );
    assert!(store.delete_chat(made.id, None).await.expect("an answer"));
    assert_eq!(
        store.members_version(made.id).await.expect("an answer"),
        None
    );
}

pub async fn many_changes_at_once_are_all_counted(store: Subject) {
    let anna = user(&store, "anna").await;
    let made = chat(&store, &[&anna], 1).await;
    let mut others = Vec::new();
    for name in ["boris", "clara", "dora", "emil"] {
        others.push(user(&store, name).await);
    }
    let joins = others.iter().map(|other| join(&store, &made, other, 0, 2));
    let versions: Vec<_> = join_all(joins)
        .await
        .into_iter()
        .map(|(fresh, after)| (fresh, after.members_version))
        .collect();
    assert!(
        versions
            .iter()
            .all(|(fresh, version)| *fresh && *version <= 4)
    );
    let version = store.members_version(made.id).await.expect("an answer");
    assert_eq!(version, Some(4));
}

pub async fn sending_marks_as_read(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let chat = chat(&store, &[&anna, &boris], 1).await;
    send(&store, &chat, &anna, 2).await;
    send(&store, &chat, &boris, 1).await;
    let reads = store.reads(chat.id).await.expect("positions");
    assert_eq!((reads.of(anna.id), reads.of(boris.id)), (2, 3));
}

pub async fn in_a_chat_that_does_not_exist_nobody_takes_part(store: Subject) {
    let anna = user(&store, "anna").await;
    let nowhere = ChatId::new(at(9));
    let joined = store.add_member(nowhere, anna.id, 0, at(1), None).await;
    assert_eq!(joined.expect("an answer"), None);
    let left = store.remove_member(nowhere, anna.id, at(1), None).await;
    assert_eq!(left.expect("an answer"), None);
    assert_eq!(
        store.reads(nowhere).await.expect("positions").of(anna.id),
        0
    );
}

pub async fn reading_on_moves_forward_only_and_not_past_the_end(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let chat = chat(&store, &[&anna, &boris], 1).await;
    send(&store, &chat, &anna, 5).await;
    for (read, moved, expected) in [
        (3, true, 3),
        (3, false, 3),
        (2, false, 3),
        (0, false, 3),
        (99, true, 5),
        (i64::MAX, false, 5),
    ] {
        let answer = store.advance_read(chat.id, boris.id, read).await;
        assert_eq!(answer.expect("an answer"), Some(moved), "{read}");
        assert_eq!(position(&store, &chat, &boris).await, expected);
    }
}

pub async fn who_is_no_member_has_no_position(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let chat = chat(&store, &[&anna], 1).await;
    send(&store, &chat, &anna, 1).await;
    for (chat, user) in [
        (chat.id, boris.id),
        (chat.id, UserId::new(at(9))),
        (ChatId::new(at(9)), anna.id),
    ] {
        let answer = store.advance_read(chat, user, 1).await;
        assert_eq!(answer.expect("an answer"), None);
    }
}
