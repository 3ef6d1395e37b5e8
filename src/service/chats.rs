//! Creates and lists chats.
//! Does not check rights: `access` does.

use moka::future::Cache;

use super::access::{self, Actor};
use super::audit::Act;
use super::named::Invited;
use super::user_cache::UserMemberships;
use super::{Service, other_content, store_error};
use crate::model::{
    AuditAct, AuditRecord, Chat, ChatChoice, ChatCursor, ChatId, ChatList, ChatPk, ChatRef, Error,
    ErrorKind, Fact, IdempotencyKey, Identity, MembersVersion, NewChat, NewPk, Policy, Reply,
    Rights, Seq, UserId, UserRef,
};
use crate::store::{PAGE_MEMBERS, StoreError};

/// The maximum and default length of a page of chats.
const PAGE: usize = 1000;

/// The longest name of a chat in the host application, in characters.
const EXTERNAL_ID_CHARS: usize = 256;

/// The longest name of a chat, in bytes.
const NAME_BYTES: usize = 1024;

/// The chat of each `pk`. An entry does not expire: the `pk` of a deleted chat, if it was chosen, can be chosen again, so
/// a deletion removes it.
pub(super) type Numbers = Cache<ChatPk, ChatId>;

/// The capacity of that cache.
const NUMBERS: u64 = 100_000;

pub(super) fn numbers() -> Numbers {
    Cache::new(NUMBERS)
}

impl Service {
    pub(super) async fn create_chat(
        &self,
        identity: &Identity,
        name: Option<String>,
        members: Vec<UserRef>,
        key: Option<IdempotencyKey>,
        chosen: ChatChoice,
    ) -> Result<Reply, Error> {
        check_name(name.as_deref())?;
        check_external_id(chosen.external_id.as_deref())?;
        if chosen.pk.is_some() || chosen.policy.is_some() {
            access::host(identity)?;
        }
        let pk = self.numbering.chat(chosen.pk)?;
        let policy = chosen.policy.unwrap_or(Policy::Closed);
        let key = key.map(|key| access::own_key(identity, key));
        if let Some(chat) = self.made_before(identity, key.as_ref()).await? {
            return Ok(Reply::Chat(chat));
        }
        if let Some(chat) = self.of_that_name(identity, &chosen).await? {
            return Ok(Reply::ChatFound(chat));
        }
        let members = self.members(identity, members, policy).await?;
        if let Err(taken) = self.pk_is_free(pk).await {
            // Perhaps by another request of this name, which was faster.
            let found = self.of_that_name(identity, &chosen).await?;
            return found.map(Reply::ChatFound).ok_or(taken);
        }
        let members = self.created(identity, members).await?;
        let at = self.clock.now();
        let id = ChatId::new(at);
        let new = NewChat {
            id,
            audit: self.placements(identity, id, &members)?,
            pk,
            external_id: chosen.external_id.clone(),
            name,
            policy,
            owner: identity.user.or(members.first().copied()),
            team: None,
            members,
            key,
            at,
        };
        self.create_or_find(identity, new, &chosen).await
    }

    /// Creates this chat, unless another request of the same key or name was faster.
    async fn create_or_find(
        &self,
        identity: &Identity,
        new: NewChat,
        chosen: &ChatChoice,
    ) -> Result<Reply, Error> {
        let (id, key) = (new.id, new.key.clone());
        let changing = self.user_cache.changing(&new.members);
        let before = self.memberships.before_changes(id).await;
        let created = self
            .store
            .create_chat_within(new, self.member_limits(identity));
        let created = created.await;
        drop(changing);
        match created {
            Ok(chat) => {
                self.publish(identity, Fact::ChatCreated(chat.clone()))
                    .await;
                Ok(Reply::Chat(chat))
            }
            Err(taken @ (StoreError::Duplicate | StoreError::PkTaken)) => {
                drop(before);
                if let Some(chat) = self.made_before(identity, key.as_ref()).await? {
                    return Ok(Reply::Chat(chat));
                }
                let found = self.of_that_name(identity, chosen).await?;
                let found = found.map(Reply::ChatFound);
                found.ok_or_else(|| match taken {
                    StoreError::Duplicate if key.is_some() => other_content(),
                    taken => store_error(taken),
                })
            }
            Err(error) => {
                if matches!(error, StoreError::Unavailable(_)) {
                    self.publish(identity, Fact::CreationUncertain(id)).await;
                }
                Err(self.refused(identity, error))
            }
        }
    }

    /// The records of those members of a new chat whom the caller places there.
    fn placements(
        &self,
        identity: &Identity,
        chat: ChatId,
        members: &[UserId],
    ) -> Result<Vec<AuditRecord>, Error> {
        let actor = access::actor(identity, None)?;
        let placed = members.iter().filter_map(|member| {
            let act = Act::of_user(AuditAct::AddMember, chat, *member);
            self.audit(actor, act.with([("created", true.into())]))
        });
        Ok(placed.collect())
    }

    /// The chat that a request of this name has made. Subscribes its members' connections in case the
    /// store's answer to that request was lost.
    async fn made_before(
        &self,
        identity: &Identity,
        key: Option<&IdempotencyKey>,
    ) -> Result<Option<Chat>, Error> {
        let Some(key) = key else { return Ok(None) };
        let made = self.store.chat_by_key(&key.name).await;
        let chat = match made.map_err(store_error)? {
            Some((_, content)) if content != key.content => return Err(other_content()),
            Some((chat, _)) => chat,
            None => return Ok(None),
        };
        let id = chat.id;
        let _in_order = self.memberships.in_order(id).await;
        // A caller that was removed since is answered like a stranger.
        let actor = access::actor(identity, None)?;
        self.visible(actor, &ChatRef::Id(id)).await?;
        let current = self.store.chat(id).await.map_err(store_error)?;
        let current = current.ok_or_else(|| access::no_chat(ChatRef::Id(id)))?;
        self.publish(identity, Fact::MembersConfirmed(current.clone()))
            .await;
        Ok(Some(current))
    }

    /// The chat with the chosen name in the host application.
    ///
    /// # Errors
    /// `NotFound`: a user's token, for which there is no such chat: it creates none, so that nobody takes a name of
    /// the host application's. `Conflict`: it has another integer id than the chosen one.
    async fn of_that_name(
        &self,
        identity: &Identity,
        chosen: &ChatChoice,
    ) -> Result<Option<Chat>, Error> {
        let Some(name) = chosen.external_id.as_deref() else {
            return Ok(None);
        };
        let named = ChatRef::External(name.into());
        let actor = access::actor(identity, None)?;
        if access::host(identity).is_ok() {
            let found = self.ids_by_name(&[name.into()]).await?;
            if found.into_iter().flatten().next().is_none() {
                return Ok(None);
            }
        }
        let id = self.visible(actor, &named).await?.chat();
        let found = self.store.chat(id).await.map_err(store_error)?;
        let found = found.ok_or_else(|| access::no_chat(&named))?;
        if chosen.pk.is_some_and(|pk| pk != found.pk) {
            let why = format!("pk: this chat has the number {}", found.pk);
            return Err(Error::new(ErrorKind::Conflict, why));
        }
        Ok(Some(found))
    }

    /// Refuses early what the store would refuse, before users are created.
    async fn pk_is_free(&self, pk: NewPk) -> Result<(), Error> {
        let Some(pk) = pk.chosen() else { return Ok(()) };
        match self.store.chat_id(pk).await.map_err(store_error)? {
            Some(_) => Err(store_error(StoreError::PkTaken)),
            None => Ok(()),
        }
    }

    /// The named users, each once, in the order given; a verified user is always one. An open chat needs
    /// none.
    async fn members(
        &self,
        identity: &Identity,
        mut named: Vec<UserRef>,
        policy: Policy,
    ) -> Result<Vec<Invited>, Error> {
        let caller = identity.user.filter(|_| identity.rights == Rights::Own);
        named.extend(caller.map(UserRef::Id));
        let members = self.invited(identity, named).await?;
        if members.is_empty() && policy == Policy::Closed {
            return Err(Error::invalid("users", "name at least one member"));
        }
        self.check_members(members.len())?;
        Ok(members)
    }

    /// Whether a chat may have so many members.
    ///
    /// # Errors
    /// `TooLarge`.
    pub(super) fn check_members(&self, count: usize) -> Result<(), Error> {
        if count > self.limits.members {
            let limit = format_args!("{} members", self.limits.members);
            return Err(Error::too_large("users", limit));
        }
        Ok(())
    }

    pub(super) async fn list_chats(
        &self,
        identity: &Identity,
        named: Option<UserRef>,
        limit: Option<usize>,
        before: Option<ChatCursor>,
    ) -> Result<Reply, Error> {
        let named = self.named_user(named).await?;
        let user = access::user(identity, named)?;
        if identity.user != Some(user) {
            self.user(user).await?;
        }
        let limit = limit.unwrap_or(PAGE).min(PAGE);
        let page = self.store.chats_of(user, before, limit).await;
        page.map(Reply::Chats).map_err(store_error)
    }

    pub(super) async fn list_all_chats(
        &self,
        identity: &Identity,
        after: ChatPk,
        limit: Option<usize>,
    ) -> Result<Reply, Error> {
        access::host(identity)?;
        let actor = access::actor(identity, None)?;
        let limit = limit.unwrap_or(PAGE).min(PAGE);
        // One more than requested shows whether there is a next page; one may also end early.
        let chats = self.store.chats_after(after, limit + 1).await;
        let mut chats = chats.map_err(store_error)?;
        let members: usize = chats.iter().map(|chat| chat.members.len()).sum();
        let more = chats.len() > limit || members > PAGE_MEMBERS;
        chats.truncate(limit);
        let next = chats.last().filter(|_| more).map(|chat| chat.pk);
        if let Actor::User(_) = actor {
            let named: Vec<_> = chats.iter().map(|chat| ChatRef::Id(chat.id)).collect();
            let mut seen = self.seen(actor, &named).await?.into_iter();
            chats.retain(|_| seen.next().flatten().is_some());
        }
        Ok(Reply::AllChats(ChatList { chats, next }))
    }

    /// The chats of which this user is a member, each with the version of its members. A query of
    /// the server itself, without rights. Reads the store only if they are not known.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn chats_of(&self, user: UserId) -> Result<UserMemberships, Error> {
        self.serves().await?;
        let stamp = match self.user_cache.chats(user) {
            Ok(chats) => return Ok(chats),
            Err(stamp) => stamp,
        };
        let chats = self.store.memberships_of(user).await.map_err(store_error)?;
        let chats = UserMemberships::from(chats);
        self.user_cache.read_chats(user, &chats, stamp);
        Ok(chats)
    }

    /// The number of the latest message of each of these chats that a client may have received from another node; `None`:
    /// no other node uses the store.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn known_elsewhere(
        &self,
        chats: &[(ChatId, MembersVersion)],
    ) -> Result<Vec<Option<Seq>>, Error> {
        if self.trust.is_complete() || chats.is_empty() {
            return Ok(vec![None; chats.len()]);
        }
        let chats: Vec<_> = chats.iter().map(|(chat, _)| *chat).collect();
        let heads = self.store.heads(&chats).await.map_err(store_error)?;
        Ok(heads.into_iter().map(Some).collect())
    }

    /// The number of the latest message of each of these chats, in the order given: of all that
    /// were published before this call at least. Reads the store only for those not known.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn heads_of(&self, chats: &[ChatId]) -> Result<Vec<Seq>, Error> {
        let known: Vec<_> = chats.iter().map(|chat| self.heads.of(*chat)).collect();
        let unknown = chats.iter().zip(&known).filter(|(_, head)| head.is_err());
        let unknown: Vec<_> = unknown.map(|(chat, _)| *chat).collect();
        let mut read = match &*unknown {
            [] => Vec::new(),
            unknown => self.store.heads(unknown).await.map_err(store_error)?,
        }
        .into_iter();
        let heads = chats.iter().zip(known).map(|(chat, known)| {
            known.unwrap_or_else(|stamp| {
                let head = read.next().unwrap_or(0);
                self.heads.read(*chat, head, stamp);
                head
            })
        });
        Ok(heads.collect())
    }
}

/// Checks the name of a chat in the host application.
///
/// # Errors
/// `Invalid`, `TooLarge`.
pub(super) fn check_external_id(name: Option<&str>) -> Result<(), Error> {
    let field = "externalChatId";
    match name {
        Some(name) if name.trim().is_empty() => Err(Error::invalid(field, "is empty")),
        Some(name) if name.chars().any(char::is_control) => {
            Err(Error::invalid(field, "has a control character"))
        }
        Some(name) if name.chars().count() > EXTERNAL_ID_CHARS => {
            let limit = format_args!("{EXTERNAL_ID_CHARS} characters");
            Err(Error::too_large(field, limit))
        }
        _ => Ok(()),
    }
}

/// The error of a name in the host application that another chat has.
pub(super) fn name_taken() -> Error {
    Error::new(
        ErrorKind::Conflict,
        "externalChatId: another chat has this name",
    )
}

/// Checks the name of a chat.
///
/// # Errors
/// `TooLarge`.
pub(super) fn check_name(name: Option<&str>) -> Result<(), Error> {
    match name {
        Some(name) if name.len() > NAME_BYTES => {
            let limit = format_args!("{NAME_BYTES} bytes");
            Err(Error::too_large("chat.name", limit))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
#[path = "chats_tests.rs"]
mod tests;
