//! The promises of the rights: acting for users, and acting in a chat.
//! Does not use a store: rights depend on their arguments only.

use std::sync::Arc;

use jiff::Timestamp;

use super::*;
use crate::model::{
    Access, Ban, ChatId, ChatPk, ChatRights, EventChatState, EventDetails, Fingerprint,
    MemberRights, NewUser, Policy, Profile, User, UserPk,
};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn identity(rights: Rights, user: Option<UserId>) -> Identity {
    Identity {
        user,
        rights,
        connection: None,
        request: None,
    }
}

fn somebody() -> UserId {
    UserId::new(Timestamp::UNIX_EPOCH)
}

fn rights(policy: Policy, members: &[UserId]) -> ChatRights {
    let member = |user: &UserId| MemberRights {
        user: *user,
        role: MemberRole::default(),
        mute: None,
    };
    ChatRights {
        chat: ChatId::new(NOW),
        pk: 7,
        policy,
        creator: None,
        event: None,
        version: 0,
        members: members.iter().map(member).collect(),
        bans: Vec::new(),
    }
}

fn member_list(policy: Policy, members: &[UserId]) -> MemberList {
    rights(policy, members).into()
}

fn kind<T>(result: Result<T, Error>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind)
}

#[test]
fn a_verified_user_acts_for_itself_only() {
    let (own, other) = (somebody(), somebody());
    let caller = identity(Rights::Own, Some(own));
    assert_eq!(actor(&caller, None).ok(), Some(Actor::User(own)));
    assert_eq!(actor(&caller, Some(own)).ok(), Some(Actor::User(own)));
    assert_eq!(
        kind(actor(&caller, Some(other))),
        Some(ErrorKind::Forbidden)
    );
}

#[test]
fn in_open_mode_the_named_user_acts_then_the_known_one_then_a_service() {
    let (own, other) = (somebody(), somebody());
    let known = identity(Rights::Open, Some(own));
    assert_eq!(actor(&known, Some(other)).ok(), Some(Actor::User(other)));
    assert_eq!(actor(&known, None).ok(), Some(Actor::User(own)));
    let unknown = identity(Rights::Open, None);
    assert_eq!(actor(&unknown, None).ok(), Some(Actor::Service));
}

#[test]
fn somebody_has_to_send() {
    let unknown = identity(Rights::Open, None);
    assert_eq!(kind(user(&unknown, None)), Some(ErrorKind::Invalid));
    let named = somebody();
    assert_eq!(user(&unknown, Some(named)).ok(), Some(named));
    let service = identity(Rights::Service, Some(somebody()));
    assert_eq!(user(&service, Some(named)).ok(), Some(named));
    assert_eq!(user(&service, None).ok(), service.user);
}

#[test]
fn a_verified_user_is_created_under_its_own_external_id_only() {
    let caller = identity(Rights::Own, Some(somebody()));
    let own = || Some("anna".to_owned());
    assert_eq!(external_id(&caller, own(), None).ok(), own());
    assert_eq!(external_id(&caller, own(), own()).ok(), own());
    let other = external_id(&caller, own(), Some("boris".into()));
    assert_eq!(kind(other), Some(ErrorKind::Forbidden));
}

#[test]
fn a_closed_chat_does_not_exist_for_others() {
    let (member, other) = (somebody(), somebody());
    let chat = member_list(Policy::Closed, &[member]);
    assert!(may_see(Actor::User(member), &chat, NOW).is_ok());
    assert!(may_see(Actor::Service, &chat, NOW).is_ok());
    let seen = may_see(Actor::User(other), &chat, NOW);
    assert_eq!(kind(seen), Some(ErrorKind::NotFound));
    let posted = may_post(Actor::User(other), other, &chat, NOW);
    assert_eq!(kind(posted), Some(ErrorKind::NotFound));
}

#[test]
fn an_open_chat_is_seen_by_all_and_written_by_its_members() {
    let (member, other) = (somebody(), somebody());
    let chat = member_list(Policy::Open, &[member]);
    assert!(may_see(Actor::User(other), &chat, NOW).is_ok());
    assert!(may_post(Actor::User(member), member, &chat, NOW).is_ok());
    let posted = may_post(Actor::User(other), other, &chat, NOW);
    assert_eq!(kind(posted), Some(ErrorKind::Forbidden));
    let for_other = may_post(Actor::Service, other, &chat, NOW);
    assert_eq!(kind(for_other), Some(ErrorKind::Forbidden));
}

fn person(id: UserId, pk: UserPk) -> Arc<User> {
    let new = NewUser {
        id,
        external_id: format!("external {pk}"),
        profile: Profile::default(),
        at: Timestamp::UNIX_EPOCH,
        audit: None,
    };
    Arc::new(new.into_user(pk))
}

/// The chat of an event between its owner and a guest.
fn event_chat(owner: UserId, guest: UserId) -> EventChat {
    let event = Event {
        pk: 10,
        owner: person(owner, 1),
        details: EventDetails::default(),
        created_at: Timestamp::UNIX_EPOCH,
        modified_at: Timestamp::UNIX_EPOCH,
    };
    EventChat {
        chat: ChatId::new(Timestamp::UNIX_EPOCH),
        chat_pk: ChatPk::from(7),
        event: Arc::new(event),
        guest: person(guest, 2),
        state: EventChatState {
            head: 0,
            owner_read: 0,
            guest_read: 0,
            access: Access::Asked,
            access_version: 1,
        },
        active_at: Timestamp::UNIX_EPOCH,
    }
}

fn of_event(members: &[UserId]) -> MemberList {
    let rights = ChatRights {
        event: Some(10),
        ..rights(Policy::Closed, members)
    };
    rights.into()
}

#[test]
fn a_member_list_is_of_an_event_if_its_chat_is() {
    assert!(of_event(&[]).is_of_event());
    assert!(!member_list(Policy::Closed, &[]).is_of_event());
}

#[test]
fn members_and_services_say_who_else_takes_part() {
    let (member, other) = (somebody(), somebody());
    let closed = member_list(Policy::Closed, &[member]);
    assert!(may_invite(Actor::User(member), &closed, NOW).is_ok());
    assert!(may_invite(Actor::Service, &closed, NOW).is_ok());
    let stranger = may_invite(Actor::User(other), &closed, NOW);
    assert_eq!(kind(stranger), Some(ErrorKind::NotFound));
    let open = member_list(Policy::Open, &[member]);
    assert!(may_invite(Actor::User(member), &open, NOW).is_ok());
    let visitor = may_invite(Actor::User(other), &open, NOW);
    assert_eq!(kind(visitor), Some(ErrorKind::Forbidden));
}

#[test]
fn the_two_of_an_events_chat_are_fixed() {
    let (owner, guest, other) = (somebody(), somebody(), somebody());
    let chat = of_event(&[owner, guest]);
    for actor in [Actor::User(owner), Actor::User(guest), Actor::Service] {
        assert_eq!(
            kind(may_invite(actor, &chat, NOW)),
            Some(ErrorKind::Forbidden)
        );
    }
    let stranger = may_invite(Actor::User(other), &chat, NOW);
    assert_eq!(kind(stranger), Some(ErrorKind::NotFound));
    assert_eq!(kind(may_come_and_go(&chat)), Some(ErrorKind::Forbidden));
    for policy in [Policy::Closed, Policy::Open] {
        assert!(may_come_and_go(&member_list(policy, &[owner])).is_ok());
    }
}

#[test]
fn only_members_have_a_read_position() {
    let (member, other) = (somebody(), somebody());
    let closed = member_list(Policy::Closed, &[member]);
    assert!(may_read_on(Actor::User(member), member, &closed, NOW).is_ok());
    assert!(may_read_on(Actor::Service, member, &closed, NOW).is_ok());
    let stranger = may_read_on(Actor::User(other), other, &closed, NOW);
    assert_eq!(kind(stranger), Some(ErrorKind::NotFound));
    let open = member_list(Policy::Open, &[member]);
    let visitor = may_read_on(Actor::User(other), other, &open, NOW);
    assert_eq!(kind(visitor), Some(ErrorKind::Forbidden));
    let for_visitor = may_read_on(Actor::Service, other, &closed, NOW);
    assert_eq!(kind(for_visitor), Some(ErrorKind::Forbidden));
}

#[test]
fn only_the_owner_or_a_service_decides_about_an_application() {
    let (owner, guest, other) = (somebody(), somebody(), somebody());
    let chat = event_chat(owner, guest);
    assert!(may_grant(Actor::User(owner), &chat).is_ok());
    assert!(may_grant(Actor::Service, &chat).is_ok());
    for user in [guest, other] {
        let granted = may_grant(Actor::User(user), &chat);
        assert_eq!(kind(granted), Some(ErrorKind::Forbidden));
    }
    assert_eq!(not_requested().kind, ErrorKind::Conflict);
}

#[test]
fn everybody_but_the_owner_may_write_to_the_owner() {
    let (owner, guest) = (somebody(), somebody());
    let event = event_chat(owner, guest).event;
    assert!(may_write_to_owner(guest, &event).is_ok());
    let own = may_write_to_owner(owner, &event);
    assert_eq!(kind(own), Some(ErrorKind::Forbidden));
}

#[test]
fn a_users_token_does_not_speak_for_the_host() {
    let known = Some(somebody());
    let user = host(&identity(Rights::Own, known));
    assert_eq!(kind(user), Some(ErrorKind::Forbidden));
    for user in [known, None] {
        assert!(host(&identity(Rights::Service, user)).is_ok());
        assert!(host(&identity(Rights::Open, user)).is_ok());
    }
}

#[test]
fn the_same_name_of_two_callers_is_two_keys() {
    let key = |text: &str| IdempotencyKey {
        name: "first".into(),
        content: Fingerprint::of(text),
    };
    let (anna, boris) = (Some(somebody()), Some(somebody()));
    let own = |user, text: &str| own_key(&identity(Rights::Service, user), key(text));
    assert_eq!(own(anna, "a"), own(anna, "a"), "a repetition is one");
    assert_ne!(own(anna, "a").name, own(boris, "a").name);
    assert_ne!(own(anna, "a").name, own(None, "a").name);
    let changed = own(anna, "b");
    assert_eq!(changed.name, own(anna, "a").name);
    assert_eq!(changed.content, Fingerprint::of("b"), "the content stays");
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

/// An open chat of this creator, which is no member, with a member of each role, from the reader up.
fn of_every_role(creator: UserId) -> ([UserId; 4], ChatRights) {
    let users = [somebody(), somebody(), somebody(), somebody()];
    let mut rights = rights(Policy::Open, &users);
    for (member, role) in rights.members.iter_mut().zip(MemberRole::ALL) {
        member.role = role;
    }
    rights.creator = Some(creator);
    (users, rights)
}

#[test]
fn a_mute_ends_at_its_end() {
    let creator = somebody();
    let ([_, member, ..], mut rights) = of_every_role(creator);
    rights.members[1].mute = Some(Sanction { until: Some(at(9)) });
    let chat = MemberList::from(rights);
    let post = |now| may_post(Actor::User(member), member, &chat, now);
    let muted = post(at(7)).expect_err("muted");
    assert_eq!(muted.kind, ErrorKind::Forbidden);
    assert_eq!(muted.retry_after_ms, Some(2000));
    assert!(post(at(9)).is_ok());
    assert!(may_see(Actor::User(member), &chat, at(7)).is_ok());
}

#[test]
fn a_banned_user_does_not_see_an_open_chat_until_the_ban_ends() {
    let (creator, banned) = (somebody(), somebody());
    let (_, mut rights) = of_every_role(creator);
    let sanction = Sanction { until: Some(at(9)) };
    rights.bans = vec![Ban {
        user: banned,
        sanction,
    }];
    let chat = MemberList::from(rights.clone());
    let refused = may_add(Actor::User(banned), banned, &chat, at(8)).expect_err("banned");
    assert_eq!(
        (refused.kind, refused.retry_after_ms),
        (ErrorKind::Forbidden, Some(1000))
    );
    assert_eq!(
        kind(may_add(Actor::Service, banned, &chat, at(8))),
        Some(ErrorKind::Forbidden)
    );
    assert_eq!(chat.bans(at(8)).len(), 1);
    assert!(may_add(Actor::User(banned), banned, &chat, at(9)).is_ok());
    assert!(chat.bans(at(9)).is_empty());
    rights.policy = Policy::Closed;
    let closed = MemberList::from(rights);
    let hidden = may_see(Actor::User(banned), &closed, at(8));
    assert_eq!(kind(hidden), Some(ErrorKind::NotFound));
}

#[test]
fn the_creator_has_the_rank_of_an_owner_without_being_a_member() {
    let creator = somebody();
    let ([reader, _, moderator, owner], rights) = of_every_role(creator);
    let chat = MemberList::from(rights);
    let acting = Actor::User(creator);
    assert!(may_delete(acting, &chat, NOW).is_ok());
    assert!(may_sanction(acting, moderator, &chat, NOW).is_ok());
    let equal = may_sanction(acting, owner, &chat, NOW);
    assert_eq!(kind(equal), Some(ErrorKind::Forbidden));
    assert!(may_set_role(acting, owner, MemberRole::Reader, &chat, NOW).is_ok());
    let posted = may_post(acting, creator, &chat, NOW);
    assert_eq!(kind(posted), Some(ErrorKind::Forbidden));
    let own = may_set_role(acting, creator, MemberRole::Reader, &chat, NOW);
    assert_eq!(kind(own), Some(ErrorKind::Forbidden));
    assert_eq!(chat.rank(reader), Some(MemberRole::Reader));
    // The own membership may end whatever the rank.
    assert!(may_remove(Actor::User(reader), reader, &chat, NOW).is_ok());
}

#[test]
fn an_owner_is_not_over_another_one_unless_it_is_the_creator() {
    let creator = somebody();
    let ([_, _, other, owner], mut rights) = of_every_role(creator);
    rights.members[2].role = MemberRole::Owner;
    let chat = MemberList::from(rights);
    for role in MemberRole::ALL {
        let set = |actor| kind(may_set_role(actor, other, role, &chat, NOW));
        // A repetition changes nothing.
        let refused = (role != MemberRole::Owner).then_some(ErrorKind::Forbidden);
        assert_eq!(set(Actor::User(owner)), refused, "{role:?}");
        assert_eq!(set(Actor::User(creator)), None);
        assert_eq!(set(Actor::Service), None);
    }
    let removed = |actor| kind(may_remove(actor, other, &chat, NOW));
    assert_eq!(removed(Actor::User(owner)), Some(ErrorKind::Forbidden));
    assert_eq!(removed(Actor::User(creator)), None);
    assert_eq!(removed(Actor::Service), None);
    assert_eq!(removed(Actor::User(other)), None, "its own membership");
}
