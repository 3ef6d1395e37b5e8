//! The chat of a request, if its caller may see it.
//! Does not judge that: `access` does.
//!
//! A chat that is hidden from a user is answered like one that does not exist, and as late: in both
//! cases after the same reads of the store, whatever is cached ([`Service::visible`]).

use std::collections::HashMap;
use std::sync::Arc;

use super::access::{self, Actor, MemberList};
use super::{Service, store_error};
use crate::model::{ChatId, ChatPk, ChatRef, Error, ErrorKind, UserId};

/// No chat has this id.
const NOWHERE: ChatId = ChatId::from_bytes([0; 16]);

/// The chat that a request names.
struct Named {
    /// `None`: there is no such number.
    id: Option<ChatId>,
    /// A number whose chat was cached.
    cached: Option<ChatPk>,
}

impl Service {
    /// The member list of a chat that `actor` may see. Costs a member no read of the store if the
    /// list is cached, and no additional one if its own chats are.
    ///
    /// # Errors
    /// `NotFound`, the same for a chat that is hidden from the actor as for one that does not exist;
    /// `Forbidden`: it is banned from an open chat.
    pub(super) async fn visible(
        &self,
        actor: Actor,
        chat: &ChatRef,
    ) -> Result<Arc<MemberList>, Error> {
        let named = self.named(chat).await?;
        let members = match actor {
            Actor::Service => self.members_of(named.id).await,
            Actor::User(user) => self.members_for(user, named).await,
        };
        let members = members.map_err(|error| access::as_requested(error, chat))?;
        self.sees(actor, chat, &members)?;
        Ok(members)
    }

    /// Whether `actor` may see the chat with these members.
    pub(super) fn sees(
        &self,
        actor: Actor,
        chat: &ChatRef,
        members: &MemberList,
    ) -> Result<(), Error> {
        let seen = access::may_see(actor, members, self.clock.now());
        seen.map_err(|error| access::as_requested(error, chat))?;
        if matches!(chat, ChatRef::OfEvent(_) | ChatRef::ExternalOfEvent(_))
            && !members.is_of_event()
        {
            return Err(access::no_chat(chat));
        }
        Ok(())
    }

    /// What `read` reads of a chat that `actor` may see: now, and when it was read.
    ///
    /// # Errors
    /// Those of `read`; `NotFound` and `Forbidden`, also if the actor may see the chat no longer.
    pub(super) async fn judged<T>(
        &self,
        actor: Actor,
        chat: &ChatRef,
        read: impl AsyncFnOnce(ChatId) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let id = self.visible(actor, chat).await?.chat();
        let found = read(id).await?;
        self.visible(actor, chat).await?;
        Ok(found)
    }

    /// The ids of these chats, in the order given; `None`: there is no such chat. Those that are not
    /// cached are read together.
    pub(super) async fn ids_of(&self, chats: &[ChatRef]) -> Result<Vec<Option<ChatId>>, Error> {
        let (mut ids, mut unknown) = (HashMap::new(), Vec::new());
        let mut external = Vec::new();
        for chat in chats {
            match chat {
                ChatRef::Pk(pk) => match self.numbers.get(pk).await {
                    Some(id) => drop(ids.insert(*pk, id)),
                    None => unknown.push(*pk),
                },
                ChatRef::External(name) | ChatRef::ExternalOfEvent(name) => {
                    external.push(Arc::clone(name));
                }
                ChatRef::Id(_) | ChatRef::OfEvent(_) => {}
            }
        }
        let external = self.ids_by_name(&external).await?;
        if !unknown.is_empty() {
            let found = self.store.chat_ids(&unknown).await.map_err(store_error)?;
            for (pk, id) in unknown.into_iter().zip(found) {
                if let Some(id) = id {
                    self.numbers.insert(pk, id).await;
                    ids.insert(pk, id);
                }
            }
        }
        let mut external = external.into_iter();
        let id = |chat: &ChatRef| match chat {
            ChatRef::Id(id) | ChatRef::OfEvent(id) => Some(*id),
            ChatRef::Pk(pk) => ids.get(pk).copied(),
            ChatRef::External(_) | ChatRef::ExternalOfEvent(_) => external.next().flatten(),
        };
        Ok(chats.iter().map(id).collect())
    }

    /// The id of the chat of each of these names in the host application, in the order given.
    pub(super) async fn ids_by_name(
        &self,
        names: &[Arc<str>],
    ) -> Result<Vec<Option<ChatId>>, Error> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let found = self.store.chats_by_external_id(names).await;
        found.map_err(store_error)
    }

    async fn named(&self, chat: &ChatRef) -> Result<Named, Error> {
        let pk = match chat {
            ChatRef::Id(id) | ChatRef::OfEvent(id) => {
                let (id, cached) = (Some(*id), None);
                return Ok(Named { id, cached });
            }
            ChatRef::External(name) | ChatRef::ExternalOfEvent(name) => {
                let found = self.ids_by_name(&[Arc::clone(name)]).await?;
                let id = found.into_iter().next().flatten();
                return Ok(Named { id, cached: None });
            }
            ChatRef::Pk(pk) => *pk,
        };
        if let Some(id) = self.numbers.get(&pk).await {
            let (id, cached) = (Some(id), Some(pk));
            return Ok(Named { id, cached });
        }
        let fetch = async {
            let found = self.store.chat_id(pk).await.map_err(store_error)?;
            found.ok_or_else(|| access::no_chat(pk))
        };
        let id = match self.numbers.try_get_with(pk, fetch).await {
            Ok(id) => Some(id),
            Err(error) if error.kind == ErrorKind::NotFound => None,
            Err(error) => return Err((*error).clone()),
        };
        Ok(Named { id, cached: None })
    }

    async fn members_of(&self, chat: Option<ChatId>) -> Result<Arc<MemberList>, Error> {
        let chat = chat.ok_or_else(|| access::no_chat(NOWHERE))?;
        self.memberships.of(chat).await
    }

    /// The same for a user, with equal reads of the store before each `NotFound`.
    async fn members_for(&self, user: UserId, named: Named) -> Result<Arc<MemberList>, Error> {
        let chat = named.id.unwrap_or(NOWHERE);
        let sees = |members: &MemberList| members.is_open() || members.has(user);
        if let Some(members) = self.memberships.known(chat).await.filter(|it| sees(it)) {
            return Ok(members);
        }
        let own = self.user_cache.chats(user);
        if own.is_ok_and(|own| own.iter().any(|(own, _)| *own == chat)) {
            let members = self.memberships.of(chat).await?;
            if sees(&members) {
                return Ok(members);
            }
        }
        if let Some(pk) = named.cached {
            // A number that is not given out is read each time.
            let now = self.store.chat_id(pk).await.map_err(store_error)?;
            // A deleted chat's may have been chosen again.
            if now != Some(chat) {
                self.numbers.invalidate(&pk).await;
            }
        }
        let is_visible = self.store.is_visible(chat, user).await;
        if !is_visible.map_err(store_error)? {
            return Err(access::no_chat(chat));
        }
        self.memberships.of(chat).await
    }
}

#[cfg(test)]
#[path = "visible_tests.rs"]
mod tests;
