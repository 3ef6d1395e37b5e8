//! The rights over other users in a chat: by rank.
//! Does not know the own rights of a member: `access` does.

use jiff::Timestamp;

use super::{Actor, MemberList, forbidden_until, may_come_and_go, may_see, not_muted};
use crate::model::{Error, MemberRole, UserId};

/// Whether the actor may add other members.
///
/// # Errors
/// As [`may_see`]; `Forbidden`: no member, a reader, muted, or an event's chat.
pub fn may_invite(actor: Actor, chat: &MemberList, at: Timestamp) -> Result<(), Error> {
    may_see(actor, chat, at)?;
    match actor {
        Actor::User(user) if !chat.has(user) => {
            Err(Error::forbidden("only members may add or remove others"))
        }
        Actor::User(user) if chat.rank(user) < Some(MemberRole::Member) => {
            Err(Error::forbidden("readers may not add or remove others"))
        }
        _ => {
            may_come_and_go(chat)?;
            not_muted(actor, chat, at)
        }
    }
}

/// Whether the actor may make this user a member: itself, or another one.
///
/// # Errors
/// As [`may_see`] and [`may_invite`]; `Forbidden`: the user is banned.
pub fn may_add(actor: Actor, user: UserId, chat: &MemberList, at: Timestamp) -> Result<(), Error> {
    if actor == Actor::User(user) {
        may_see(actor, chat, at)?;
        return if chat.has(user) {
            Ok(())
        } else {
            may_come_and_go(chat)
        };
    }
    may_invite(actor, chat, at)?;
    match chat.ban(user, at) {
        Some(ban) => Err(forbidden_until(
            "users: one of them is banned from the chat",
            ban,
            at,
        )),
        None => Ok(()),
    }
}

/// Whether the actor may end the membership of this user: its own, or another one's.
///
/// # Errors
/// As [`may_see`]; `Forbidden`: the rank is too low, an event's chat, or the actor is muted and the
/// user another one.
pub fn may_remove(
    actor: Actor,
    user: UserId,
    chat: &MemberList,
    at: Timestamp,
) -> Result<(), Error> {
    may_see(actor, chat, at)?;
    let rank = match actor {
        Actor::User(own) if own != user => chat.rank(own),
        _ => return may_come_and_go(chat),
    };
    let removed = chat.rank(user);
    let allowed = match rank {
        None => return Err(Error::forbidden("only members may add or remove others")),
        Some(MemberRole::Reader) => false,
        Some(MemberRole::Member) => removed <= Some(MemberRole::Member),
        Some(MemberRole::Moderator) => removed < Some(MemberRole::Moderator),
        Some(MemberRole::Owner) => {
            removed < Some(MemberRole::Owner) || is_over_owner(actor, user, chat)
        }
    };
    if !allowed {
        return Err(too_low());
    }
    may_come_and_go(chat)?;
    not_muted(actor, chat, at)
}

/// Whether the actor may give this member this role.
///
/// # Errors
/// As [`may_see`]; `Forbidden`: the rank is too low, the user is the creator or the actor, or an
/// event's chat.
pub fn may_set_role(
    actor: Actor,
    user: UserId,
    role: MemberRole,
    chat: &MemberList,
    at: Timestamp,
) -> Result<(), Error> {
    may_moderate(actor, user, chat, at)?;
    if chat.is_creator(user) {
        return Err(Error::forbidden("the creator of a chat stays its owner"));
    }
    match rank_of(actor, chat) {
        Some(MemberRole::Moderator)
            if chat.rank(user).max(Some(role)) >= Some(MemberRole::Moderator) =>
        {
            Err(too_low())
        }
        Some(MemberRole::Owner)
            if chat.rank(user) == Some(MemberRole::Owner)
                && role != MemberRole::Owner
                && !is_over_owner(actor, user, chat) =>
        {
            Err(too_low())
        }
        _ => Ok(()),
    }
}

/// Whether the actor may mute or ban this user, and lift that.
///
/// # Errors
/// As [`may_see`]; `Forbidden`: the rank is too low, the user is the actor, or an event's chat.
pub fn may_sanction(
    actor: Actor,
    user: UserId,
    chat: &MemberList,
    at: Timestamp,
) -> Result<(), Error> {
    may_moderate(actor, user, chat, at)?;
    match rank_of(actor, chat) {
        Some(rank) if chat.rank(user) >= Some(rank) => Err(too_low()),
        _ => Ok(()),
    }
}

/// Whether the actor may see the bans of a chat.
///
/// # Errors
/// As [`may_see`]; `Forbidden`: the rank is too low.
pub fn may_see_bans(actor: Actor, chat: &MemberList, at: Timestamp) -> Result<(), Error> {
    may_see(actor, chat, at)?;
    match actor {
        Actor::User(own) if chat.rank(own) < Some(MemberRole::Moderator) => Err(too_low()),
        _ => Ok(()),
    }
}

/// Whether the actor is at least a moderator of a chat whose members may change, and another user.
fn may_moderate(actor: Actor, user: UserId, chat: &MemberList, at: Timestamp) -> Result<(), Error> {
    may_see_bans(actor, chat, at)?;
    if actor == Actor::User(user) {
        return Err(Error::forbidden("user: is the caller"));
    }
    may_come_and_go(chat)
}

/// Whether the actor may end the rank of this owner: only the creator, and not its own.
fn is_over_owner(actor: Actor, owner: UserId, chat: &MemberList) -> bool {
    let is_creator = |actor| matches!(actor, Actor::User(user) if chat.is_creator(user));
    is_creator(actor) && !chat.is_creator(owner)
}

/// The rank of the actor; `None`: the service, which is above all.
fn rank_of(actor: Actor, chat: &MemberList) -> Option<MemberRole> {
    match actor {
        Actor::User(own) => chat.rank(own),
        Actor::Service => None,
    }
}

fn too_low() -> Error {
    Error::forbidden("the role in the chat does not allow it")
}
