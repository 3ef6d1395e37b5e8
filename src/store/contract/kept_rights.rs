//! The promises about mutes and the role reader of users that are no members.
//! Does not know which store is under test.

use super::sanctions::{FOR_EVER, give, member, mute, rights, until};
use super::*;
use crate::model::{MemberRights, MemberRole, Sanction};
use crate::store::StoreError;

async fn leave(store: &Subject, chat: &Chat, user: &User) {
    let left = store.remove_member(chat.id, user.id, at(4), None).await;
    assert!(left.expect("an answer").expect("a chat").0);
}

async fn come(store: &Subject, chat: &Chat, user: &User) {
    let joined = store.add_member(chat.id, user.id, 0, at(5), None).await;
    assert!(joined.expect("an answer").expect("a chat").0);
}

/// The role and the mute of a member.
async fn of_member(store: &Subject, chat: &Chat, user: &User) -> (MemberRole, Option<Sanction>) {
    let found = rights(store, chat).await;
    let mut members = found.members.iter();
    let member = members.find(|member| member.user == user.id);
    let member = member.expect("a member");
    (member.role, member.mute)
}

/// What is kept for the users of a chat.
async fn kept(store: &Subject, chat: &Chat) -> Vec<MemberRights> {
    let chats = store.chat_records(chat.pk - 1, 1).await.expect("chats");
    assert_eq!(chats[0].chat.id, chat.id);
    chats[0].kept.clone()
}

pub async fn a_mute_and_the_role_reader_outlive_a_membership(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let talk = chat(&store, &[&anna, &boris], 1).await;
    let cases = [
        (MemberRole::Reader, None, MemberRole::Reader),
        (MemberRole::Reader, Some(until(9)), MemberRole::Reader),
        (MemberRole::Member, Some(FOR_EVER), MemberRole::Member),
        (MemberRole::Member, None, MemberRole::Member),
        (MemberRole::Moderator, Some(until(7)), MemberRole::Member),
        (MemberRole::Owner, None, MemberRole::Member),
    ];
    for (role, given, expected) in cases {
        for bans in [false, true] {
            give(&store, &talk, &boris, role).await;
            mute(&store, &talk, &boris, given).await;
            let version = rights(&store, &talk).await.version;
            assert_eq!(kept(&store, &talk).await, []);
            if bans {
                let ban = |ban| store.set_ban(talk.id, boris.id, ban, at(4), None);
                let banned = ban(Some(FOR_EVER)).await.expect("an answer");
                assert!(banned.expect("a chat").removed);
                ban(None).await.expect("an answer").expect("a chat");
            } else {
                leave(&store, &talk, &boris).await;
            }
            let right = MemberRights {
                user: boris.id,
                role: expected,
                mute: given,
            };
            let right = Some(right).filter(|right| *right != member(&boris));
            assert!(kept(&store, &talk).await.into_iter().eq(right));
            come(&store, &talk, &boris).await;
            let now = of_member(&store, &talk, &boris).await;
            assert_eq!(now, (expected, given), "{role:?}, banned: {bans}");
            assert_eq!(kept(&store, &talk).await, []);
            let changes = if bans { 3 } else { 2 };
            assert_eq!(rights(&store, &talk).await.version, version + changes);
        }
    }
    // What was lifted in one membership does not come back in the next.
    give(&store, &talk, &boris, MemberRole::Reader).await;
    mute(&store, &talk, &boris, Some(FOR_EVER)).await;
    leave(&store, &talk, &boris).await;
    come(&store, &talk, &boris).await;
    give(&store, &talk, &boris, MemberRole::Member).await;
    mute(&store, &talk, &boris, None).await;
    leave(&store, &talk, &boris).await;
    come(&store, &talk, &boris).await;
    let found = rights(&store, &talk).await;
    assert_eq!(found.members, [member(&anna), member(&boris)]);
}

pub async fn a_user_that_is_no_member_is_muted_and_freed(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let before = chat(&store, &[&anna], 1).await;
    let terms = [
        Some(FOR_EVER),
        Some(until(9)),
        Some(until(5)),
        None,
        Some(until(5)),
        Some(FOR_EVER),
        None,
    ];
    for (version, given) in (1..).zip(terms) {
        for changed in [true, false] {
            // Nobody came or left: the times stay.
            let after = Chat {
                members_version: version,
                ..before.clone()
            };
            let answer = mute(&store, &before, &boris, given).await;
            assert_eq!(answer, (changed, after), "{given:?}");
        }
        let right = given.map(|mute| MemberRights {
            mute: Some(mute),
            ..member(&boris)
        });
        assert!(kept(&store, &before).await.into_iter().eq(right));
    }
    assert_eq!(rights(&store, &before).await.members, [member(&anna)]);
    let between = until(9).until.map(|end| Sanction {
        until: Some(end + std::time::Duration::from_micros(700)),
    });
    for changed in [true, false] {
        let (muted, _) = mute(&store, &before, &boris, between).await;
        assert_eq!(muted, changed, "in whole milliseconds");
    }
    come(&store, &before, &boris).await;
    let now = of_member(&store, &before, &boris).await;
    assert_eq!(now, (MemberRole::Member, Some(until(9))));
}

pub async fn of_the_roles_only_the_reader_is_kept(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let talk = chat(&store, &[&anna], 1).await;
    let acts = [
        (MemberRole::Owner, false),
        (MemberRole::Member, false),
        (MemberRole::Reader, true),
        (MemberRole::Reader, false),
        (MemberRole::Member, true),
        (MemberRole::Reader, true),
        (MemberRole::Moderator, true),
        (MemberRole::Moderator, false),
        (MemberRole::Reader, true),
    ];
    for (role, expected) in acts {
        let (changed, _) = give(&store, &talk, &boris, role).await;
        assert_eq!(changed, expected, "{role:?}");
    }
    // One is changed without the other.
    mute(&store, &talk, &boris, Some(FOR_EVER)).await;
    mute(&store, &talk, &boris, None).await;
    let reader = MemberRights {
        role: MemberRole::Reader,
        ..member(&boris)
    };
    assert_eq!(kept(&store, &talk).await, [reader]);
    mute(&store, &talk, &boris, Some(until(9))).await;
    give(&store, &talk, &boris, MemberRole::Member).await;
    let muted = MemberRights {
        mute: Some(until(9)),
        ..member(&boris)
    };
    assert_eq!(kept(&store, &talk).await, [muted]);
}

pub async fn kept_rights_need_a_user_and_a_chat(store: Subject) {
    let anna = user(&store, "anna").await;
    let talk = chat(&store, &[&anna], 1).await;
    let (nobody, nowhere) = (UserId::new(at(9)), ChatId::new(at(9)));
    let corrupt = |answer| matches!(answer, Err(StoreError::Corrupt(_)));
    for role in [MemberRole::Reader, MemberRole::Owner] {
        assert!(corrupt(store.set_role(talk.id, nobody, role, None).await));
        for user in [anna.id, nobody] {
            let given = store.set_role(nowhere, user, role, None).await;
            assert_eq!(given.expect("an answer"), None);
        }
    }
    for given in [Some(FOR_EVER), None] {
        assert!(corrupt(store.set_mute(talk.id, nobody, given, None).await));
        for user in [anna.id, nobody] {
            let muted = store.set_mute(nowhere, user, given, None).await;
            assert_eq!(muted.expect("an answer"), None);
        }
    }
    assert_eq!(store.chat_rights(nowhere).await.expect("an answer"), None);
    assert_eq!(rights(&store, &talk).await.version, 0);
}

pub async fn kept_rights_are_of_one_chat_and_end_with_it(store: Subject) {
    let anna = user(&store, "anna").await;
    let (talk, other) = (
        chat(&store, &[&anna], 1).await,
        chat(&store, &[&anna], 2).await,
    );
    let mut expected = Vec::new();
    for number in 0..4 {
        let muted = user(&store, &format!("user {number}")).await;
        mute(&store, &talk, &muted, Some(until(number))).await;
        expected.push(MemberRights {
            mute: Some(until(number)),
            ..member(&muted)
        });
    }
    expected.sort_by_key(|kept| kept.user);
    assert_eq!(kept(&store, &talk).await, expected);
    assert_eq!(kept(&store, &other).await, []);
    assert!(store.delete_chat(talk.id, None).await.expect("an answer"));
    let muted = store.set_mute(talk.id, anna.id, None, None).await;
    assert_eq!(muted.expect("an answer"), None);
    assert!(store.delete_chat(other.id, None).await.expect("an answer"));
}

pub async fn a_mute_and_a_new_membership_at_once_both_count(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    for number in 1..6 {
        let talk = chat(&store, &[&anna], number).await;
        let (muted, ()) = tokio::join!(
            mute(&store, &talk, &boris, Some(FOR_EVER)),
            come(&store, &talk, &boris),
        );
        assert!(muted.0);
        let now = of_member(&store, &talk, &boris).await;
        assert_eq!(now, (MemberRole::Member, Some(FOR_EVER)));
        let (freed, ()) = tokio::join!(
            mute(&store, &talk, &boris, None),
            leave(&store, &talk, &boris),
        );
        assert!(freed.0);
        assert_eq!(kept(&store, &talk).await, []);
        assert_eq!(rights(&store, &talk).await.version, 4);
    }
}
