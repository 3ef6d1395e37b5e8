//! The calls of both stores, chosen at random.
//! Does not know their results.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::model::{Access, EventPk, Policy, Seq};

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
    Decide {
        chat: usize,
        from: Vec<Access>,
        to: Access,
        now: i64,
    },
}

fn access() -> impl Strategy<Value = Access> {
    prop_oneof![
        Just(Access::Unasked),
        Just(Access::Asked),
        Just(Access::Granted)
    ]
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
        2 => (one.clone(), one.clone(), -1..9_i64, now.clone())
            .prop_map(|(chat, user, read, now)| Act::Join { chat, user, read, now }),
        2 => (one.clone(), one.clone(), now.clone())
            .prop_map(|(chat, user, now)| Act::Leave { chat, user, now }),
        2 => (one.clone(), one.clone(), -1..9_i64)
            .prop_map(|(chat, user, read)| Act::Read { chat, user, read }),
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
