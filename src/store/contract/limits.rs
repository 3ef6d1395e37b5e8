//! The promises about the limits of members and of chats, judged in the step that adds.
//! Does not know which store is under test.

use futures_util::future::join_all;

use super::*;
use crate::model::{Event, EventDetails, MemberLimits, NewEvent, NewEventChat, NewPk};
use crate::store::{Full, StoreError};

/// How many additions are made at once.
const AT_ONCE: usize = 12;

/// So many members in a chat.
const fn members(members: usize) -> MemberLimits {
    MemberLimits {
        members,
        ..MemberLimits::NONE
    }
}

/// So many chats of a user.
const fn chats(chats: usize) -> MemberLimits {
    MemberLimits {
        chats: Some(chats),
        ..MemberLimits::NONE
    }
}

/// The limit that refused it; `None`: it was done.
fn refusal<T: std::fmt::Debug>(outcome: Result<T, StoreError>) -> Option<Full> {
    match outcome {
        Ok(_) => None,
        Err(StoreError::Full(full)) => Some(full),
        Err(other) => panic!("{other:?}"),
    }
}

async fn add(store: &Subject, chat: &Chat, user: &User, limits: MemberLimits) -> Option<Full> {
    refusal(
        store
            .add_member_within(chat.id, user.id, 0, at(5), limits, None)
            .await,
    )
}

async fn create(store: &Subject, new: NewChat, limits: MemberLimits) -> Option<Full> {
    refusal(store.create_chat_within(new, limits).await)
}

async fn users(store: &Subject, count: usize) -> Vec<User> {
    let mut users = Vec::new();
    for number in 0..count {
        users.push(user(store, &format!("user {number}")).await);
    }
    users
}

/// A chat that this user owns and is no member of.
fn owned(owner: &User, millisecond: i64) -> NewChat {
    NewChat {
        policy: Policy::Open,
        owner: Some(owner.id),
        ..new_chat(&[], millisecond)
    }
}

async fn event_of(store: &Subject, owner: &User) -> Event {
    let new = NewEvent {
        pk: NewPk::default(),
        owner: owner.id,
        details: EventDetails::default(),
        key: None,
        at: at(1),
        audit: None,
    };
    store.create_event(new).await.expect("an event")
}

fn about(event: &Event, guest: &User) -> NewEventChat {
    NewEventChat {
        pk: NewPk::default(),
        external_id: None,
        id: ChatId::new(at(2)),
        event: event.pk,
        guest: guest.id,
        at: at(2),
        audit: None,
    }
}

pub async fn a_full_chat_takes_no_new_member(store: Subject) {
    let all = users(&store, 4).await;
    let full = chat(&store, &[&all[0], &all[1]], 1).await;
    assert_eq!(add(&store, &full, &all[2], members(3)).await, None);
    let before = store.chat(full.id).await.expect("an answer");
    let refused = add(&store, &full, &all[3], members(3)).await;
    assert_eq!(refused, Some(Full::Chat));
    assert_eq!(store.chat(full.id).await.expect("an answer"), before);
    // One that is a member already is no addition.
    assert_eq!(add(&store, &full, &all[1], members(3)).await, None);
    // A member that leaves makes room.
    let left = store.remove_member(full.id, all[0].id, at(6), None).await;
    assert!(left.expect("an answer").expect("a chat").0);
    assert_eq!(add(&store, &full, &all[3], members(3)).await, None);
}

pub async fn additions_at_once_do_not_exceed_the_members_of_a_chat(store: Subject) {
    let all = users(&store, AT_ONCE + 2).await;
    let busy = chat(&store, &[&all[0], &all[1]], 1).await;
    let additions = all[2..]
        .iter()
        .map(|user| add(&store, &busy, user, members(5)));
    let outcomes = join_all(additions).await;
    let refused = outcomes
        .iter()
        .filter(|outcome| **outcome == Some(Full::Chat));
    assert_eq!(refused.count(), AT_ONCE - 3);
    let after = store.chat(busy.id).await.expect("an answer");
    assert_eq!(after.expect("a chat").members.len(), 5);
}

pub async fn additions_at_once_do_not_exceed_the_chats_of_a_user(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let mut rooms = Vec::new();
    for number in 0..AT_ONCE {
        let number = i64::try_from(number).expect("few");
        rooms.push(chat(&store, &[&boris], number).await);
    }
    let additions = rooms.iter().map(|room| add(&store, room, &anna, chats(3)));
    let creations = (0..3).map(|number| create(&store, new_chat(&[&anna], number), chats(3)));
    let (added, created) = tokio::join!(join_all(additions), join_all(creations));
    let outcomes = [added, created].concat();
    let done = outcomes.iter().filter(|outcome| outcome.is_none());
    assert_eq!(done.count(), 3);
    let refused = Some(Full::User(anna.id));
    assert!(
        outcomes
            .iter()
            .all(|outcome| outcome.is_none() || *outcome == refused)
    );
    let memberships = store.memberships_of(anna.id).await.expect("memberships");
    assert_eq!(memberships.len(), 3);
}

pub async fn creations_at_once_do_not_exceed_the_chats_of_their_owner(store: Subject) {
    let anna = user(&store, "anna").await;
    let creations = (0..12).map(|number| create(&store, owned(&anna, number), chats(5)));
    let outcomes = join_all(creations).await;
    let done = outcomes.iter().filter(|outcome| outcome.is_none());
    assert_eq!(done.count(), 5);
    assert_eq!(store.chats_after(0, 99).await.expect("chats").len(), 5);
}

pub async fn owned_chats_count_once_with_those_of_a_member(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let room = store.create_chat(owned(&anna, 1)).await.expect("a chat");
    let many = |chats| store.users_in_many_chats(std::slice::from_ref(&anna.id), chats);
    assert_eq!(many(1).await.expect("an answer"), [anna.id]);
    assert_eq!(many(2).await.expect("an answer"), []);
    // Its owner may join it: that is no chat more.
    assert_eq!(add(&store, &room, &anna, chats(1)).await, None);
    assert_eq!(many(2).await.expect("an answer"), []);
    let other = chat(&store, &[&boris], 2).await;
    let refused = Some(Full::User(anna.id));
    assert_eq!(add(&store, &other, &anna, chats(1)).await, refused);
    assert_eq!(add(&store, &other, &anna, chats(2)).await, None);
    assert_eq!(many(2).await.expect("an answer"), [anna.id]);
    assert_eq!(many(3).await.expect("an answer"), []);
    let next = new_chat(&[&boris, &anna], 3);
    assert_eq!(create(&store, next.clone(), chats(2)).await, refused);
    // A refused creation uses up no number.
    assert_eq!(create(&store, next, chats(3)).await, None);
    let made = store.chats_after(other.pk, 9).await.expect("chats");
    assert_eq!(made.first().map(|chat| chat.pk), Some(other.pk + 1));
    // Leaving an own room does not make room for another one.
    let left = store.remove_member(room.id, anna.id, at(6), None).await;
    assert!(left.expect("an answer").expect("a chat").0);
    assert_eq!(create(&store, owned(&anna, 4), chats(3)).await, refused);
    let exempt = MemberLimits {
        exempt: Some(anna.id),
        ..chats(3)
    };
    assert_eq!(create(&store, owned(&anna, 4), exempt).await, None);
}

pub async fn an_events_chat_counts_for_both(store: Subject) {
    let all = users(&store, 4).await;
    let event = event_of(&store, &all[0]).await;
    let open = async |guest: &User, limits| {
        refusal(
            store
                .open_event_chat_within(about(&event, guest), limits)
                .await,
        )
    };
    assert_eq!(open(&all[1], chats(2)).await, None);
    assert_eq!(open(&all[2], chats(2)).await, None);
    let refused = Some(Full::User(all[0].id));
    assert_eq!(open(&all[3], chats(2)).await, refused);
    // The one that exists is found.
    assert_eq!(open(&all[1], chats(1)).await, None);
    chat(&store, &[&all[3]], 4).await;
    let refused = Some(Full::User(all[3].id));
    let exempt = MemberLimits {
        exempt: Some(all[0].id),
        ..chats(1)
    };
    assert_eq!(open(&all[3], exempt).await, refused);
}

pub async fn a_taken_key_is_a_duplicate_beyond_a_limit_too(store: Subject) {
    let anna = user(&store, "anna").await;
    let keyed = || NewChat {
        key: Some(crate::model::IdempotencyKey {
            name: "once".into(),
            content: crate::model::Fingerprint::from_bytes([1; 16]),
        }),
        ..new_chat(&[&anna], 1)
    };
    assert_eq!(create(&store, keyed(), chats(1)).await, None);
    let again = store.create_chat_within(keyed(), chats(1)).await;
    assert!(matches!(again, Err(StoreError::Duplicate)), "{again:?}");
}
