//! The promises of `Sanctions` about roles and mutes, and of the rights as a whole.
//! Does not know which store is under test.

use super::*;
use crate::model::{
    ChatRights, EventDetails, MemberRights, MemberRole, NewEvent, NewEventChat, NewPk, Sanction,
};

pub(super) const FOR_EVER: Sanction = Sanction { until: None };

pub(super) fn until(millisecond: i64) -> Sanction {
    Sanction {
        until: Some(at(millisecond)),
    }
}

pub(super) async fn rights(store: &Subject, chat: &Chat) -> ChatRights {
    let found = store.chat_rights(chat.id).await.expect("an answer");
    found.expect("a chat")
}

pub(super) fn member(user: &User) -> MemberRights {
    MemberRights {
        user: user.id,
        role: MemberRole::Member,
        mute: None,
    }
}

pub(super) async fn give(
    store: &Subject,
    chat: &Chat,
    user: &User,
    role: MemberRole,
) -> (bool, Chat) {
    let given = store.set_role(chat.id, user.id, role, None).await;
    given.expect("an answer").expect("a chat")
}

pub(super) async fn mute(
    store: &Subject,
    chat: &Chat,
    user: &User,
    mute: Option<Sanction>,
) -> (bool, Chat) {
    let muted = store.set_mute(chat.id, user.id, mute, None).await;
    muted.expect("an answer").expect("a chat")
}

pub async fn members_begin_with_the_default_role(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let new = NewChat {
        policy: Policy::Open,
        ..new_chat(&[&boris, &anna], 1)
    };
    let talk = store.create_chat(new).await.expect("a chat");
    let expected = ChatRights {
        chat: talk.id,
        pk: talk.pk,
        policy: Policy::Open,
        creator: Some(boris.id),
        event: None,
        version: 0,
        members: vec![member(&boris), member(&anna)],
        bans: Vec::new(),
    };
    assert_eq!(rights(&store, &talk).await, expected);
    let nobodys = chat(&store, &[], 2).await;
    let found = rights(&store, &nobodys).await;
    assert_eq!((found.creator, found.members), (None, Vec::new()));
    assert_eq!(found.policy, Policy::Closed);
}

pub async fn the_creator_of_an_events_chat_is_its_owner(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let event = store.create_event(NewEvent {
        pk: NewPk::default(),
        owner: anna.id,
        details: EventDetails::default(),
        key: None,
        at: at(1),
        audit: None,
    });
    let event = event.await.expect("an event");
    let opened = store.open_event_chat(NewEventChat {
        pk: NewPk::default(),
        external_id: None,
        id: ChatId::new(at(2)),
        event: event.pk,
        guest: boris.id,
        at: at(2),
        audit: None,
    });
    let (_, private) = opened.await.expect("an answer").expect("an event");
    let found = store.chat_rights(private.chat).await.expect("an answer");
    let found = found.expect("a chat");
    assert_eq!(
        (found.creator, found.event),
        (Some(anna.id), Some(event.pk))
    );
    assert_eq!(found.members, [member(&anna), member(&boris)]);
}

pub async fn a_role_is_changed_and_counted(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let before = chat(&store, &[&anna, &boris], 1).await;
    let mut version = 0;
    for role in [
        MemberRole::Reader,
        MemberRole::Moderator,
        MemberRole::Owner,
        MemberRole::Member,
    ] {
        version += 1;
        for changed in [true, false] {
            let after = Chat {
                members_version: version,
                ..before.clone()
            };
            assert_eq!(give(&store, &before, &boris, role).await, (changed, after));
        }
        let found = rights(&store, &before).await;
        let boris = MemberRights {
            role,
            ..member(&boris)
        };
        assert_eq!(found.members, [member(&anna), boris]);
        assert_eq!(found.version, version);
    }
    // A member from the beginning on, without a role of its own.
    let (changed, after) = give(&store, &before, &anna, MemberRole::Member).await;
    assert_eq!((changed, after.members_version), (false, version));
}

pub async fn a_mute_is_replaced_and_lifted(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let before = chat(&store, &[&anna, &boris], 1).await;
    let mut version = 0;
    for given in [
        Some(until(9)),
        Some(FOR_EVER),
        None,
        Some(FOR_EVER),
        Some(until(5)),
        Some(until(7)),
        None,
    ] {
        version += 1;
        for changed in [true, false] {
            let after = Chat {
                members_version: version,
                ..before.clone()
            };
            let answer = mute(&store, &before, &anna, given).await;
            assert_eq!(answer, (changed, after), "{given:?}");
        }
        let found = rights(&store, &before).await;
        let anna = MemberRights {
            mute: given,
            ..member(&anna)
        };
        assert_eq!(found.members, [anna, member(&boris)]);
        assert_eq!(found.version, version);
    }
}

pub async fn ends_are_kept_in_whole_milliseconds(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let talk = chat(&store, &[&anna], 1).await;
    let between = Sanction {
        until: Some(at(9) + std::time::Duration::from_micros(700)),
    };
    for changed in [true, false] {
        let (muted, _) = mute(&store, &talk, &anna, Some(between)).await;
        let banned = store.set_ban(talk.id, boris.id, Some(between), at(2), None);
        let banned = banned.await.expect("an answer").expect("a chat");
        assert_eq!((muted, banned.changed), (changed, changed));
    }
    let found = rights(&store, &talk).await;
    assert_eq!(found.members[0].mute, Some(until(9)));
    assert_eq!(found.bans[0].sanction, until(9));
}

pub async fn a_chat_is_visible_if_it_is_open_or_the_user_a_member(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let closed = chat(&store, &[&anna], 1).await;
    let open = NewChat {
        policy: Policy::Open,
        ..new_chat(&[&anna], 2)
    };
    let open = store.create_chat(open).await.expect("a chat");
    let (nobody, nowhere) = (UserId::new(at(9)), ChatId::new(at(9)));
    let cases = [
        (closed.id, anna.id, true),
        (closed.id, boris.id, false),
        (closed.id, nobody, false),
        (open.id, anna.id, true),
        (open.id, boris.id, true),
        (open.id, nobody, true),
        (nowhere, anna.id, false),
    ];
    for (chat, user, expected) in cases {
        let visible = store.is_visible(chat, user).await;
        assert_eq!(visible.expect("an answer"), expected);
    }
    let left = store.remove_member(closed.id, anna.id, at(3), None).await;
    left.expect("an answer").expect("a chat");
    let visible = store.is_visible(closed.id, anna.id).await;
    assert!(!visible.expect("an answer"));
}

pub async fn reading_on_and_joining_again_leave_rights_as_they_are(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let talk = chat(&store, &[&anna, &boris], 1).await;
    give(&store, &talk, &boris, MemberRole::Moderator).await;
    mute(&store, &talk, &boris, Some(FOR_EVER)).await;
    let batch = vec![entry(talk.id, &anna, "hello", 2)];
    store.append(batch).await.expect("stored");
    let read = store.advance_read(talk.id, boris.id, 1).await;
    assert_eq!(read.expect("an answer"), Some(true));
    let joined = store.add_member(talk.id, boris.id, 1, at(3), None).await;
    assert!(!joined.expect("an answer").expect("a chat").0);
    let boris = MemberRights {
        user: boris.id,
        role: MemberRole::Moderator,
        mute: Some(FOR_EVER),
    };
    let found = rights(&store, &talk).await;
    assert_eq!(found.members, [member(&anna), boris]);
    assert_eq!(found.version, 2);
}

pub async fn changes_at_once_are_all_counted(store: Subject) {
    let mut users = Vec::new();
    for number in 0..6 {
        users.push(user(&store, &format!("user {number}")).await);
    }
    let members: Vec<_> = users.iter().collect();
    let talk = chat(&store, &members, 1).await;
    let (moderator, reader) = (MemberRole::Moderator, MemberRole::Reader);
    let answers = tokio::join!(
        give(&store, &talk, &users[0], moderator),
        give(&store, &talk, &users[1], reader),
        mute(&store, &talk, &users[1], Some(until(9))),
        mute(&store, &talk, &users[2], Some(FOR_EVER)),
        give(&store, &talk, &users[3], reader),
        // Of two of the same kind, one changes something.
        give(&store, &talk, &users[4], moderator),
        give(&store, &talk, &users[4], moderator),
    );
    assert!(answers.0.0 && answers.1.0 && answers.2.0 && answers.3.0 && answers.4.0);
    assert_ne!(answers.5.0, answers.6.0);
    let found = rights(&store, &talk).await;
    assert_eq!(found.version, 6);
    let expected = [
        (moderator, None),
        (reader, Some(until(9))),
        (MemberRole::Member, Some(FOR_EVER)),
        (reader, None),
        (moderator, None),
        (MemberRole::Member, None),
    ];
    let now = found
        .members
        .iter()
        .map(|member| (member.role, member.mute));
    assert!(now.eq(expected), "{found:#?}");
}
