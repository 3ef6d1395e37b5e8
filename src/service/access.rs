//! All rights: acting for users, and acting in a chat (docs/RIGHTS.md).
//! Does not read the store: rights depend on their arguments only.

mod member_list;
mod moderation;

use jiff::Timestamp;

use crate::model::{
    ChatRef, Error, ErrorKind, Event, EventChat, IdempotencyKey, Identity, MemberRole, Rights,
    Sanction, Side, UserId,
};

pub use member_list::{MemberList, with_ranks};
pub use moderation::{may_add, may_invite, may_remove, may_sanction, may_see_bans, may_set_role};

/// The acting party of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// With this user's rights.
    User(UserId),
    /// With the host application's: it sees everything.
    Service,
}

/// The actor of a request that names `named`, or no user.
///
/// # Errors
/// `Forbidden`: a verified user names another user.
pub fn actor(identity: &Identity, named: Option<UserId>) -> Result<Actor, Error> {
    match (identity.rights, identity.user, named) {
        (Rights::Own, Some(own), named) if named.is_none_or(|named| named == own) => {
            Ok(Actor::User(own))
        }
        (Rights::Own, Some(_), _) => Err(Error::forbidden("user.id: this token is another user's")),
        (Rights::Own, None, _) => Err(Error::new(ErrorKind::Unauthenticated, "there is no user")),
        (Rights::Open, own, named) => Ok(named.or(own).map_or(Actor::Service, Actor::User)),
        (Rights::Service, _, _) => Ok(Actor::Service),
    }
}

/// The acting user of a request that needs one: send, list its chats.
///
/// # Errors
/// `Forbidden` as in [`actor`]; `Invalid`: neither the request nor the identity has a user.
pub fn user(identity: &Identity, named: Option<UserId>) -> Result<UserId, Error> {
    match actor(identity, named)? {
        Actor::User(user) => Ok(user),
        Actor::Service => named
            .or(identity.user)
            .ok_or_else(|| Error::invalid("user.id", "name a user, or call create-user first")),
    }
}

/// The external id under which the caller may find or create a user.
///
/// # Errors
/// `Forbidden`: a verified user names another user. `Invalid`: neither the request nor the token
/// has a user.
pub fn external_id(
    identity: &Identity,
    own: Option<String>,
    named: Option<String>,
) -> Result<String, Error> {
    let missing = || Error::invalid("user.externalUserId", "is missing");
    match (identity.rights, own, named) {
        (Rights::Own, Some(own), named) if named.as_ref().is_none_or(|named| *named == own) => {
            Ok(own)
        }
        (Rights::Own, _, _) => Err(Error::forbidden(
            "user.externalUserId: this token is another user's",
        )),
        (Rights::Service, own, named) => named.or(own).ok_or_else(missing),
        (Rights::Open, _, named) => named.ok_or_else(missing),
    }
}

/// Whether the actor may look at the chat; if not, it does not exist for it.
///
/// # Errors
/// `NotFound`, the same as for an id that was never given out. `Forbidden`: it is open, and the user
/// is banned.
pub fn may_see(actor: Actor, chat: &MemberList, at: Timestamp) -> Result<(), Error> {
    let Actor::User(user) = actor else {
        return Ok(());
    };
    match chat.ban(user, at) {
        Some(ban) if chat.is_open() => Err(forbidden_until("room: you are banned there", ban, at)),
        None if chat.is_open() || chat.has(user) => Ok(()),
        _ => Err(no_chat(chat.chat())),
    }
}

/// Whether `user` may write into the chat, on the request of `actor`.
///
/// # Errors
/// As [`may_see`]; `Forbidden`: seen, but not a member, a reader, or muted.
pub fn may_post(actor: Actor, user: UserId, chat: &MemberList, at: Timestamp) -> Result<(), Error> {
    may_see(actor, chat, at)?;
    if let Some(ban) = chat.ban(user, at) {
        return Err(forbidden_until("room: the user is banned there", ban, at));
    }
    if !chat.has(user) {
        return Err(Error::forbidden("room: only members may write there"));
    }
    if chat.rank(user) < Some(MemberRole::Member) {
        return Err(Error::forbidden("room: readers may not write there"));
    }
    match chat.mute(user, at) {
        Some(mute) => Err(forbidden_until("room: the user is muted there", mute, at)),
        None => Ok(()),
    }
}

/// Whether the actor may change the chat's name and team.
///
/// # Errors
/// As [`may_see`]; `Forbidden`: seen, but not a member, a reader, or muted.
pub fn may_change(actor: Actor, chat: &MemberList, at: Timestamp) -> Result<(), Error> {
    may_see(actor, chat, at)?;
    match actor {
        Actor::User(user) if !chat.has(user) => {
            Err(Error::forbidden("only members may change a chat"))
        }
        Actor::User(user) if chat.rank(user) < Some(MemberRole::Member) => {
            Err(Error::forbidden("readers may not change a chat"))
        }
        // The others see the name: it is a way to write to them.
        _ => not_muted(actor, chat, at),
    }
}

/// Whether no mute of the actor applies.
///
/// # Errors
/// `Forbidden`, with the time to its end.
fn not_muted(actor: Actor, chat: &MemberList, at: Timestamp) -> Result<(), Error> {
    let Actor::User(user) = actor else {
        return Ok(());
    };
    match chat.mute(user, at) {
        Some(mute) => Err(forbidden_until("room: you are muted there", mute, at)),
        None => Ok(()),
    }
}

/// Whether the actor may delete the chat.
///
/// # Errors
/// As [`may_see`]; `Forbidden`: seen, but not an owner.
pub fn may_delete(actor: Actor, chat: &MemberList, at: Timestamp) -> Result<(), Error> {
    may_see(actor, chat, at)?;
    match actor {
        Actor::User(user)
            if !chat.is_creator(user) && chat.rank(user) < Some(MemberRole::Owner) =>
        {
            Err(Error::forbidden("only its owner may delete a chat"))
        }
        _ => Ok(()),
    }
}

/// Whether users may join or leave the chat.
///
/// # Errors
/// `Forbidden`: it is an event's.
pub fn may_come_and_go(chat: &MemberList) -> Result<(), Error> {
    if chat.is_of_event() {
        return Err(Error::forbidden(
            "the chat of an event belongs to its owner and one guest",
        ));
    }
    Ok(())
}

/// Whether the visibility of the chat can be changed.
///
/// # Errors
/// `Forbidden`: it is an event's.
pub fn may_have_policy(chat: &MemberList) -> Result<(), Error> {
    if chat.is_of_event() {
        return Err(Error::forbidden("policy: the chat of an event is closed"));
    }
    Ok(())
}

/// Whether `user` has a read position in the chat to move, on the request of `actor`.
///
/// # Errors
/// As [`may_see`]; `Forbidden`: seen, but not a member.
pub fn may_read_on(
    actor: Actor,
    user: UserId,
    chat: &MemberList,
    at: Timestamp,
) -> Result<(), Error> {
    may_see(actor, chat, at)?;
    if chat.has(user) {
        Ok(())
    } else {
        Err(Error::forbidden("room: only members read there"))
    }
}

/// Whether the actor, for whom the chat is visible, may decide about the guest's application.
///
/// # Errors
/// `Forbidden`: not the event's owner.
pub fn may_grant(actor: Actor, chat: &EventChat) -> Result<(), Error> {
    match actor {
        Actor::User(user) if chat.side_of(user) != Some(Side::Owner) => {
            Err(Error::forbidden("only the event's owner may grant access"))
        }
        _ => Ok(()),
    }
}

/// Whether this user may write to the event's owner.
///
/// # Errors
/// `Forbidden`: it is the owner.
pub fn may_write_to_owner(user: UserId, event: &Event) -> Result<(), Error> {
    if user == event.owner.id {
        return Err(Error::forbidden("the event is your own"));
    }
    Ok(())
}

/// The error of a decision about an application that was never made.
pub fn not_requested() -> Error {
    Error::new(ErrorKind::Conflict, "the guest has not asked for access")
}

/// Whether the caller is the host application's backend, or trusted like it.
///
/// # Errors
/// `Forbidden`: a user's token.
pub fn host(identity: &Identity) -> Result<(), Error> {
    match identity.rights {
        Rights::Own => Err(Error::forbidden("this needs a service token")),
        Rights::Open | Rights::Service => Ok(()),
    }
}

/// Whether the caller acts as the host application itself, for no user.
///
/// # Errors
/// `Forbidden`: it acts as a user.
pub fn service(identity: &Identity) -> Result<(), Error> {
    match actor(identity, None)? {
        Actor::Service => Ok(()),
        Actor::User(_) => Err(Error::forbidden("this needs a service token")),
    }
}

/// The error of what a mute or a ban forbids at this time, with the time to its end.
fn forbidden_until(why: &str, sanction: Sanction, at: Timestamp) -> Error {
    let left = |until: Timestamp| until.as_millisecond() - at.as_millisecond();
    let left = sanction.until.map(left);
    Error {
        retry_after_ms: left.and_then(|left| u64::try_from(left).ok()),
        ..Error::forbidden(why)
    }
}

/// The error of a token that was revoked.
pub fn revoked() -> Error {
    Error::new(ErrorKind::Unauthenticated, "no valid token")
}

/// The key with the caller in its name: the names of different callers do not collide.
pub fn own_key(identity: &Identity, key: IdempotencyKey) -> IdempotencyKey {
    let caller = identity.user.map(|user| user.to_string());
    let caller = caller.as_deref().unwrap_or("anybody");
    let IdempotencyKey { name, content } = key;
    let name = format!("{caller} {name}");
    IdempotencyKey { name, content }
}

/// The error of a chat that does not exist, or is not visible to the caller.
pub fn no_chat(id: impl std::fmt::Display) -> Error {
    Error::not_found(format_args!("chat {id}"))
}

/// The error with the chat as the request names it.
pub fn as_requested(error: Error, chat: &ChatRef) -> Error {
    match error.kind {
        ErrorKind::NotFound => no_chat(chat),
        _ => error,
    }
}

#[cfg(test)]
#[path = "access_tests.rs"]
mod tests;
