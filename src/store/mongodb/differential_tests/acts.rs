//! The calls of both stores, chosen at random.
//! Does not know their results.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::model::{Access, EventPk, MemberLimits, MemberRole, Policy, Seq};

/// A call of both stores. Numbers choose among the ids there are by then.
#[derive(Debug, Clone)]
pub(super) enum Act {
    MakeUsers {
        users: Vec<(usize, Option<u8>)>,
        now: i64,
    },
    UpdateUser {
        user: usize,
        handle: Option<u8>,
        now: i64,
    },
    MakeChat {
        members: Vec<usize>,
        policy: Policy,
        key: Option<u8>,
        now: i64,
    },
    ChangeChat {
        chat: usize,
        name: Option<u8>,
        team: Option<i64>,
        now: i64,
    },
    DeleteChat {
        chat: usize,
    },
    Sweep,
    Join {
        chat: usize,
        user: usize,
        read: Seq,
        now: i64,
    },
    Leave {
        chat: usize,
        user: usize,
        now: i64,
    },
    Read {
        chat: usize,
        user: usize,
        read: Seq,
    },
    Send {
        entries: Vec<(usize, usize, Option<u8>, i64)>,
    },
    MakeEvent {
        owner: usize,
        key: Option<u8>,
        now: i64,
    },
    ChangeEvent {
        event: EventPk,
        name: Option<u8>,
        now: i64,
    },
    DeleteEvent {
        event: EventPk,
    },
    Open {
        event: EventPk,
        guest: usize,
        now: i64,
    },
    Role {
        chat: usize,
        user: usize,
        role: MemberRole,
    },
    Mute {
        chat: usize,
        user: usize,
        until: Lift,
    },
    Ban {
        chat: usize,
        user: usize,
        until: Lift,
        now: i64,
    },
    Revoke {
        user: usize,
        before: i64,
    },
    Decide {
        chat: usize,
        from: Vec<Access>,
        to: Access,
        now: i64,
    },
}

/// The end of a mute or a ban; `None`: it is lifted.
pub(super) type Lift = Option<Option<i64>>;

fn access() -> impl Strategy<Value = Access> {
    prop_oneof![
        Just(Access::Unasked),
        Just(Access::Asked),
        Just(Access::Granted)
    ]
}

fn role() -> impl Strategy<Value = MemberRole> {
    proptest::sample::select(&MemberRole::ALL[..])
}

fn policy() -> impl Strategy<Value = Policy> {
    prop_oneof![Just(Policy::Closed), Just(Policy::Open)]
}

pub(super) fn act() -> impl Strategy<Value = Act> {
    let (one, now) = (0..6_usize, 0..60_i64);
    let entry = (one.clone(), one.clone(), option::of(0..4_u8), now.clone());
    prop_oneof![
        3 => (vec((0..8_usize, option::of(0..3_u8)), 1..4), now.clone())
            .prop_map(|(users, now)| Act::MakeUsers { users, now }),
        1 => (one.clone(), option::of(0..3_u8), now.clone())
            .prop_map(|(user, handle, now)| Act::UpdateUser { user, handle, now }),
        3 => (vec(one.clone(), 0..4), policy(), option::of(0..2_u8), now.clone())
            .prop_map(|(members, policy, key, now)| Act::MakeChat { members, policy, key, now }),
        1 => (one.clone(), option::of(0..3_u8), option::of(0..3_i64), now.clone())
            .prop_map(|(chat, name, team, now)| Act::ChangeChat { chat, name, team, now }),
        1 => one.clone().prop_map(|chat| Act::DeleteChat { chat }),
        1 => Just(Act::Sweep),
        2 => (one.clone(), one.clone(), -1..9_i64, now.clone())
            .prop_map(|(chat, user, read, now)| Act::Join { chat, user, read, now }),
        2 => (one.clone(), one.clone(), now.clone())
            .prop_map(|(chat, user, now)| Act::Leave { chat, user, now }),
        2 => (one.clone(), one.clone(), -1..9_i64)
            .prop_map(|(chat, user, read)| Act::Read { chat, user, read }),
        2 => (one.clone(), one.clone(), role())
            .prop_map(|(chat, user, role)| Act::Role { chat, user, role }),
        2 => (one.clone(), one.clone(), option::of(option::of(0..9_i64)))
            .prop_map(|(chat, user, until)| Act::Mute { chat, user, until }),
        3 => (one.clone(), one.clone(), option::of(option::of(20..40_i64)), now.clone())
            .prop_map(|(chat, user, until, now)| Act::Ban { chat, user, until, now }),
        1 => (one.clone(), now.clone()).prop_map(|(user, before)| Act::Revoke { user, before }),
        6 => vec(entry, 1..6).prop_map(|entries| Act::Send { entries }),
        2 => (one.clone(), option::of(0..2_u8), now.clone())
            .prop_map(|(owner, key, now)| Act::MakeEvent { owner, key, now }),
        1 => (1..4_i64, option::of(0..3_u8), now.clone())
            .prop_map(|(event, name, now)| Act::ChangeEvent { event, name, now }),
        1 => (1..4_i64).prop_map(|event| Act::DeleteEvent { event }),
        3 => (1..4_i64, one.clone(), now.clone())
            .prop_map(|(event, guest, now)| Act::Open { event, guest, now }),
        2 => (one, vec(access(), 1..3), access(), now)
            .prop_map(|(chat, from, to, now)| Act::Decide { chat, from, to, now }),
    ]
}

/// Some acts are limited.
pub(super) fn limits(now: i64) -> MemberLimits {
    if now % 3 != 0 {
        return MemberLimits::NONE;
    }
    MemberLimits {
        members: 3,
        chats: Some(3),
        exempt: None,
    }
}
