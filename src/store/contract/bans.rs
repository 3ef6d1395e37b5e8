//! The promises of `Sanctions` about bans.
//! Does not know which store is under test.

use super::sanctions::{FOR_EVER, member, rights, until};
use super::*;
use crate::model::{Ban, Sanction};
use crate::store::{BanOutcome, StoreError};

async fn ban(
    store: &Subject,
    chat: &Chat,
    user: &User,
    ban: Option<Sanction>,
    now: i64,
) -> BanOutcome {
    let banned = store.set_ban(chat.id, user.id, ban, at(now), None).await;
    banned.expect("an answer").expect("a chat")
}

fn of(user: &User, sanction: Sanction) -> Ban {
    Ban {
        user: user.id,
        sanction,
    }
}

pub async fn a_ban_ends_a_membership(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let before = chat(&store, &[&anna, &boris], 1).await;
    let after = Chat {
        members: vec![anna.id],
        members_version: 1,
        modified_at: at(5),
        active_at: at(5),
        ..before.clone()
    };
    let outcome = ban(&store, &before, &boris, Some(until(9)), 5).await;
    let expected = BanOutcome {
        changed: true,
        removed: true,
        chat: after.clone(),
    };
    assert_eq!(outcome, expected);
    let found = rights(&store, &before).await;
    assert_eq!((found.version, found.members), (1, vec![member(&anna)]));
    assert_eq!(found.bans, [of(&boris, until(9))]);
    let memberships = store.memberships_of(boris.id).await.expect("memberships");
    assert_eq!(memberships, []);
    // The same once more changes nothing.
    let outcome = ban(&store, &before, &boris, Some(until(9)), 6).await;
    let expected = BanOutcome {
        changed: false,
        removed: false,
        chat: after,
    };
    assert_eq!(outcome, expected);
}

pub async fn a_ban_of_a_stranger_is_replaced_and_lifted(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let before = chat(&store, &[&anna], 1).await;
    let mut version = 0;
    for given in [
        Some(FOR_EVER),
        Some(until(9)),
        Some(until(5)),
        None,
        Some(until(5)),
        Some(FOR_EVER),
        None,
    ] {
        version += 1;
        for changed in [true, false] {
            let outcome = ban(&store, &before, &boris, given, 7).await;
            // Nobody left: the times stay.
            let chat = Chat {
                members_version: version,
                ..before.clone()
            };
            let expected = BanOutcome {
                changed,
                removed: false,
                chat,
            };
            assert_eq!(outcome, expected, "{given:?}");
        }
        let found = rights(&store, &before).await;
        let bans: Vec<_> = given.map(|given| of(&boris, given)).into_iter().collect();
        assert_eq!((found.version, found.bans), (version, bans));
    }
}

pub async fn bans_come_by_the_ids_of_their_users(store: Subject) {
    let anna = user(&store, "anna").await;
    let talk = chat(&store, &[&anna], 1).await;
    let mut bans = Vec::new();
    for number in 0..5 {
        let banned = user(&store, &format!("user {number}")).await;
        ban(&store, &talk, &banned, Some(until(number)), 9).await;
        bans.push(of(&banned, until(number)));
    }
    bans.sort_by_key(|ban| ban.user);
    let found = rights(&store, &talk).await;
    assert_eq!(found.bans, bans, "those that have ended as well");
}

pub async fn a_ban_outlives_a_membership_and_ends_with_the_chat(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let talk = chat(&store, &[&anna], 1).await;
    let other = chat(&store, &[&anna, &boris], 1).await;
    ban(&store, &talk, &boris, Some(FOR_EVER), 2).await;
    // A store does not know whether the user may come back.
    let joined = store.add_member(talk.id, boris.id, 0, at(3), None).await;
    assert!(joined.expect("an answer").expect("a chat").0);
    let left = store.remove_member(talk.id, boris.id, at(4), None).await;
    assert!(left.expect("an answer").expect("a chat").0);
    let found = rights(&store, &talk).await;
    assert_eq!(found.bans, [of(&boris, FOR_EVER)]);
    let found = rights(&store, &other).await;
    assert_eq!((found.members.len(), found.bans), (2, Vec::new()));
    // A ban that stands already ends a membership, too.
    let joined = store.add_member(talk.id, boris.id, 0, at(5), None).await;
    joined.expect("an answer").expect("a chat");
    let outcome = ban(&store, &talk, &boris, Some(FOR_EVER), 6).await;
    assert!(outcome.changed && outcome.removed);
    assert_eq!(outcome.chat.members_version, 5);
    assert!(store.delete_chat(talk.id, None).await.expect("an answer"));
    assert_eq!(store.chat_rights(talk.id).await.expect("an answer"), None);
    let banned = store.set_ban(talk.id, boris.id, None, at(7), None).await;
    assert_eq!(banned.expect("an answer"), None);
}

pub async fn a_ban_needs_a_user_and_a_chat(store: Subject) {
    let anna = user(&store, "anna").await;
    let talk = chat(&store, &[&anna], 1).await;
    let (nobody, nowhere) = (UserId::new(at(9)), ChatId::new(at(9)));
    for given in [Some(FOR_EVER), None] {
        let banned = store.set_ban(talk.id, nobody, given, at(2), None).await;
        assert!(matches!(banned, Err(StoreError::Corrupt(_))), "{banned:?}");
        let banned = store.set_ban(nowhere, anna.id, given, at(2), None).await;
        assert_eq!(banned.expect("an answer"), None);
    }
    assert_eq!(rights(&store, &talk).await.version, 0);
}

pub async fn an_open_chat_is_not_visible_while_a_ban_applies(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let open = |now| NewChat {
        policy: Policy::Open,
        ..new_chat(&[&anna], now)
    };
    let ended = store.create_chat(open(1)).await.expect("a chat");
    let lasting = store.create_chat(open(2)).await.expect("a chat");
    let free = store.create_chat(open(3)).await.expect("a chat");
    ban(&store, &ended, &boris, Some(until(9)), 4).await;
    ban(&store, &lasting, &boris, Some(FOR_EVER), 4).await;
    let visible = async |user: &User, now| {
        let visible = store.visible_chats(user.id, at(now), None, 9).await;
        let visible = visible.expect("a page").chats.into_iter();
        visible.map(|chat| chat.id).collect::<Vec<_>>()
    };
    assert_eq!(visible(&boris, 8).await, [free.id]);
    assert_eq!(visible(&boris, 9).await, [free.id, ended.id]);
    assert_eq!(visible(&anna, 8).await, [free.id, lasting.id, ended.id]);
    let first = store.visible_chats(boris.id, at(9), None, 1).await;
    assert_eq!(first.expect("a page").chats[0].id, free.id);
}

pub async fn of_two_equal_bans_at_once_one_counts(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let talk = chat(&store, &[&anna, &boris], 1).await;
    let (one, other) = tokio::join!(
        ban(&store, &talk, &boris, Some(until(9)), 5),
        ban(&store, &talk, &boris, Some(until(9)), 5),
    );
    assert_ne!(one.changed, other.changed);
    assert_ne!(one.removed, other.removed);
    let found = rights(&store, &talk).await;
    assert_eq!((found.version, found.bans), (1, vec![of(&boris, until(9))]));
    // Of two different ones, either may be the last: each counts.
    let (one, other) = tokio::join!(
        ban(&store, &talk, &boris, Some(until(7)), 5),
        ban(&store, &talk, &boris, Some(until(8)), 5),
    );
    assert!(one.changed && other.changed);
    let found = rights(&store, &talk).await;
    assert_eq!((found.version, found.bans.len()), (3, 1));
}

pub async fn a_ban_and_a_new_membership_at_once_both_count(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    for number in 1..4 {
        let talk = chat(&store, &[&anna], number).await;
        let (banned, joined) = tokio::join!(
            ban(&store, &talk, &boris, Some(FOR_EVER), 5),
            store.add_member(talk.id, boris.id, 0, at(5), None),
        );
        assert!(joined.expect("an answer").expect("a chat").0);
        let found = rights(&store, &talk).await;
        assert_eq!(found.version, 2);
        assert_eq!(found.bans, [of(&boris, FOR_EVER)]);
        // Whichever came first: the other one came after it.
        let members = if banned.removed { 1 } else { 2 };
        assert_eq!(found.members.len(), members);
    }
}

pub async fn rights_are_those_of_one_moment(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let talk = chat(&store, &[&anna, &boris], 1).await;
    let changes = async {
        for _ in 0..12 {
            ban(&store, &talk, &boris, Some(FOR_EVER), 2).await;
            ban(&store, &talk, &boris, None, 2).await;
            let joined = store.add_member(talk.id, boris.id, 0, at(2), None).await;
            joined.expect("an answer").expect("a chat");
        }
    };
    let reads = async {
        let mut version = 0;
        while version < 36 {
            let found = rights(&store, &talk).await;
            assert!(found.version >= version, "{found:?} after {version}");
            version = found.version;
            // Three states follow upon each other.
            let state = (found.members.len(), found.bans.len());
            let expected = [(2, 0), (1, 1), (1, 0)];
            let index = usize::try_from(version % 3).expect("a small number");
            assert_eq!(state, expected[index], "{found:?}");
        }
    };
    tokio::join!(changes, reads);
}

pub async fn rights_in_many_chats_are_those_in_each(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let both = chat(&store, &[&boris, &anna], 1).await;
    let nobodys = NewChat {
        owner: None,
        ..new_chat(&[], 2)
    };
    let nobodys = store.create_chat(nobodys).await.expect("a chat");
    let other = chat(&store, &[&anna], 3).await;
    ban(&store, &other, &boris, Some(until(9)), 4).await;
    ban(&store, &nobodys, &boris, Some(FOR_EVER), 4).await;
    ban(&store, &nobodys, &anna, Some(FOR_EVER), 4).await;
    let nowhere = ChatId::new(at(9));
    let named = [other.id, nowhere, both.id, nobodys.id, other.id];
    let found = store.rights_of(&named).await.expect("an answer");
    let mut expected = Vec::new();
    for chat in named {
        expected.push(store.chat_rights(chat).await.expect("an answer"));
    }
    assert_eq!(found, expected);
    let none = store.rights_of(&[nowhere]).await.expect("an answer");
    assert_eq!(none, [None]);
    assert!(store.rights_of(&[]).await.expect("an answer").is_empty());
}
