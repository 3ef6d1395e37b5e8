//! All rights: who may act for whom, and what a user may do in a chat (PROTOCOL §1.3, §1.4).
//! It refuses to fetch anything: it judges what it is shown.

use std::collections::HashSet;

use crate::model::{Chat, ChatId, Error, ErrorKind, Identity, Policy, Rights, UserId, UserPk};

/// What has to be known of a chat to judge a request.
#[derive(Debug, Clone)]
pub struct Roster {
    chat: ChatId,
    policy: Policy,
    owner: Option<UserPk>,
    members: HashSet<UserId>,
}

impl Roster {
    /// Which chat it is of.
    pub fn chat(&self) -> ChatId {
        self.chat
    }

    /// Whether this user takes part.
    pub fn has(&self, user: UserId) -> bool {
        self.members.contains(&user)
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.members.len()
    }
}

impl From<Chat> for Roster {
    fn from(chat: Chat) -> Self {
        Self {
            chat: chat.id,
            policy: chat.policy,
            owner: chat.owner,
            members: chat.members.into_iter().collect(),
        }
    }
}

/// On whose behalf a request is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// With this user's rights.
    User(UserId),
    /// With the host application's: it sees everything.
    Service,
}

/// As whom the caller makes a request that names `named`, or nobody.
///
/// # Errors
/// `Forbidden`: a verified user names somebody else.
pub fn actor(identity: &Identity, named: Option<UserId>) -> Result<Actor, Error> {
    match (identity.rights, identity.user, named) {
        (Rights::Own, Some(own), named) if named.is_none_or(|named| named == own) => {
            Ok(Actor::User(own))
        }
        (Rights::Own, Some(_), _) => Err(Error::forbidden("user.id: this token is another user's")),
        (Rights::Own, None, _) => Err(Error::new(ErrorKind::Unauthenticated, "nobody is known")),
        (Rights::Open, own, named) => Ok(named.or(own).map_or(Actor::Service, Actor::User)),
        (Rights::Service, _, _) => Ok(Actor::Service),
    }
}

/// The user for whom the caller does what only a user can do: send, list its chats.
///
/// # Errors
/// `Forbidden` as in [`actor`]; `Invalid`: nobody is named and nobody is known.
pub fn user(identity: &Identity, named: Option<UserId>) -> Result<UserId, Error> {
    match actor(identity, named)? {
        Actor::User(user) => Ok(user),
        Actor::Service => named
            .or(identity.user)
            .ok_or_else(|| Error::invalid("user.id", "say whose, or call create-user first")),
    }
}

/// The external id under which the caller may find or create a user.
///
/// # Errors
/// `Forbidden`: a verified user asks for somebody else. `Invalid`: nobody is named, and no
/// token says who it is.
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
/// `NotFound`, the same as for an id that was never given out.
pub fn may_see(actor: Actor, chat: &Roster) -> Result<(), Error> {
    let visible = match actor {
        Actor::Service => true,
        Actor::User(user) => chat.policy == Policy::Open || chat.members.contains(&user),
    };
    if visible {
        Ok(())
    } else {
        Err(no_chat(chat.chat))
    }
}

/// Whether `user` may write into the chat, on the request of `actor`.
///
/// # Errors
/// `NotFound` as in [`may_see`]; `Forbidden`: seen, but not a member.
pub fn may_post(actor: Actor, user: UserId, chat: &Roster) -> Result<(), Error> {
    may_see(actor, chat)?;
    if chat.members.contains(&user) {
        Ok(())
    } else {
        Err(Error::forbidden("room: only members may write there"))
    }
}

/// Whether the actor may change the chat's name and team.
///
/// # Errors
/// `NotFound` as in [`may_see`]; `Forbidden`: seen, but not a member.
pub fn may_change(actor: Actor, chat: &Roster) -> Result<(), Error> {
    may_see(actor, chat)?;
    match actor {
        Actor::User(user) if !chat.has(user) => {
            Err(Error::forbidden("only members may change a chat"))
        }
        _ => Ok(()),
    }
}

/// Whether the actor, who has this `pk` as a user, may delete the chat.
///
/// # Errors
/// `NotFound` as in [`may_see`]; `Forbidden`: seen, but not the owner.
pub fn may_delete(actor: Actor, pk: Option<UserPk>, chat: &Roster) -> Result<(), Error> {
    may_see(actor, chat)?;
    match actor {
        Actor::User(_) if pk.is_none() || pk != chat.owner => {
            Err(Error::forbidden("only its owner may delete a chat"))
        }
        _ => Ok(()),
    }
}

/// What is said of a chat that is not there, or not for the one who asks.
pub fn no_chat(id: impl std::fmt::Display) -> Error {
    Error::not_found(format_args!("chat {id}"))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn identity(rights: Rights, user: Option<UserId>) -> Identity {
        Identity {
            user,
            rights,
            connection: None,
        }
    }

    fn somebody() -> UserId {
        UserId::new(Timestamp::UNIX_EPOCH)
    }

    fn roster(policy: Policy, members: &[UserId]) -> Roster {
        Roster {
            chat: ChatId::new(Timestamp::UNIX_EPOCH),
            policy,
            owner: None,
            members: members.iter().copied().collect(),
        }
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
        let chat = roster(Policy::Closed, &[member]);
        assert!(may_see(Actor::User(member), &chat).is_ok());
        assert!(may_see(Actor::Service, &chat).is_ok());
        let seen = may_see(Actor::User(other), &chat);
        assert_eq!(kind(seen), Some(ErrorKind::NotFound));
        let posted = may_post(Actor::User(other), other, &chat);
        assert_eq!(kind(posted), Some(ErrorKind::NotFound));
    }

    #[test]
    fn an_open_chat_is_seen_by_all_and_written_by_its_members() {
        let (member, other) = (somebody(), somebody());
        let chat = roster(Policy::Open, &[member]);
        assert!(may_see(Actor::User(other), &chat).is_ok());
        assert!(may_post(Actor::User(member), member, &chat).is_ok());
        let posted = may_post(Actor::User(other), other, &chat);
        assert_eq!(kind(posted), Some(ErrorKind::Forbidden));
        let for_other = may_post(Actor::Service, other, &chat);
        assert_eq!(kind(for_other), Some(ErrorKind::Forbidden));
    }
}
