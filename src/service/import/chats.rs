//! Chats that are moved in, with members, roles and bans.
//! Does not know messages.

use std::collections::HashSet;
use std::sync::Arc;

use super::users::Users;
use super::{Outcome, first_of, found, made, taken};
use crate::model::{
    Chat, ChatRef, Error, ErrorKind, Fact, Identity, ImportedChat, ImportedMember, ImportedNames,
    MemberRole, Policy, UserId,
};
use crate::service::chats::{check_external_id, check_name};
use crate::service::{Limits, Numbering, Service, access, store_error};
use crate::store::StoreError;
use crate::store::transfer::ChatRecord;

impl Service {
    /// Moves in chats. The new ones are written together.
    pub(super) async fn import_chats(
        &self,
        identity: &Identity,
        users: &mut Users<'_>,
        chats: Vec<ImportedChat>,
    ) -> Vec<Outcome> {
        let first = first_of(chats.iter().map(identity_of));
        let mut outcomes: Vec<Option<Outcome>> = Vec::with_capacity(chats.len());
        let mut new = Vec::new();
        for (index, chat) in chats.into_iter().enumerate() {
            if first[index] != index {
                outcomes.push(None);
                continue;
            }
            outcomes.push(match self.look(identity, users, chat).await {
                Ok(Look::Found(names)) => Some(Ok(found(names))),
                Ok(Look::New(record)) => {
                    new.push((index, *record));
                    None
                }
                Err(error) => Some(Err(error)),
            });
        }
        for (index, outcome) in self.take_chats(identity, new).await {
            outcomes[index] = Some(outcome);
        }
        let lost = || Err(Error::new(ErrorKind::Internal, "no outcome of a chat"));
        let of = |index: usize| outcomes[first[index]].clone().unwrap_or_else(lost);
        (0..first.len()).map(of).collect()
    }

    /// The chat, if it is there, or what has to be written.
    async fn look(
        &self,
        identity: &Identity,
        users: &mut Users<'_>,
        chat: ImportedChat,
    ) -> Result<Look, Error> {
        let named = identity_of(&chat).ok_or_else(nameless)?;
        if let Some(there) = self.there(&named).await? {
            if chat.pk.is_some_and(|pk| pk != there.pk) {
                let why = format!("pk: this chat has the number {}", there.pk);
                return Err(Error::new(ErrorKind::Conflict, why));
            }
            let mut added = 0;
            if chat.add_members {
                added = self
                    .add_missing(identity, users, &there, &chat.members)
                    .await?;
            }
            let (id, pk) = (there.id, there.pk);
            return Ok(Look::Found(ImportedNames::Chat { id, pk, added }));
        }
        if chat.id.is_some()
            && let Some(name) = chat.external_id.as_deref()
            && self.there(&ChatRef::External(name.into())).await?.is_some()
        {
            return Err(taken("externalChatId", "chat"));
        }
        let record = self.record(users, chat).await?;
        Ok(Look::New(Box::new(record)))
    }

    /// The chat of this name; `None`: there is none.
    async fn there(&self, named: &ChatRef) -> Result<Option<Chat>, Error> {
        let id = match named {
            ChatRef::External(name) => {
                let ids = self.store.chats_by_external_id(&[Arc::clone(name)]).await;
                ids.map_err(store_error)?.into_iter().next().flatten()
            }
            ChatRef::Pk(pk) => self.store.chat_id(*pk).await.map_err(store_error)?,
            ChatRef::Id(id) | ChatRef::OfEvent(id) => Some(*id),
            ChatRef::ExternalOfEvent(_) => None,
        };
        match id {
            Some(id) => self.store.chat(id).await.map_err(store_error),
            None => Ok(None),
        }
    }

    /// Makes those that the chat lacks its members; how many there were.
    ///
    /// # Errors
    /// `Conflict`: one of them is banned. `TooLarge`.
    async fn add_missing(
        &self,
        identity: &Identity,
        users: &mut Users<'_>,
        chat: &Chat,
        members: &[ImportedMember],
    ) -> Result<usize, Error> {
        let there: HashSet<UserId> = chat.members.iter().copied().collect();
        let mut added = 0;
        for member in members {
            let user = users.id(&member.user).await?;
            if there.contains(&user) {
                continue;
            }
            let named = ChatRef::Id(chat.id);
            self.add_members(identity, named.clone(), vec![user.into()])
                .await?;
            if member.role != MemberRole::Member {
                self.set_role(identity, named, user.into(), member.role)
                    .await?;
            }
            added += 1;
        }
        Ok(added)
    }

    async fn take_chats(
        &self,
        identity: &Identity,
        chats: Vec<(usize, ChatRecord)>,
    ) -> Vec<(usize, Outcome)> {
        let mut outcomes = Vec::with_capacity(chats.len());
        // Chosen numbers first, so that none of them is given out.
        let (without, chosen): (Vec<_>, Vec<_>) = chats
            .into_iter()
            .partition(|(_, record)| record.chat.pk == 0);
        self.take_numbered(identity, chosen, &mut outcomes).await;
        let mut chats = without;
        match self.number(&mut chats).await {
            Ok(()) => self.take_numbered(identity, chats, &mut outcomes).await,
            Err(error) => {
                let refused = chats.iter().map(|(index, _)| (*index, Err(error.clone())));
                outcomes.extend(refused);
            }
        }
        outcomes
    }

    async fn take_numbered(
        &self,
        identity: &Identity,
        chats: Vec<(usize, ChatRecord)>,
        outcomes: &mut Vec<(usize, Outcome)>,
    ) {
        let all: Vec<_> = chats.iter().map(|(_, record)| record.clone()).collect();
        let together = self.take(identity, all).await;
        for (index, record) in chats {
            let outcome = match &together {
                Ok(()) => Ok(made(names(&record.chat))),
                Err(_) => self.take_one(identity, record).await,
            };
            outcomes.push((index, outcome));
        }
    }

    /// Gives numbers to these chats.
    async fn number(&self, chats: &mut [(usize, ChatRecord)]) -> Result<(), Error> {
        if chats.is_empty() {
            return Ok(());
        }
        let from = self.numbering.first_chat();
        let pks = self.store.next_chat_pks(from, chats.len()).await;
        for ((_, record), pk) in chats.iter_mut().zip(pks.map_err(store_error)?) {
            record.chat.pk = pk;
        }
        Ok(())
    }

    async fn take(&self, identity: &Identity, chats: Vec<ChatRecord>) -> Result<(), StoreError> {
        if chats.is_empty() {
            return Ok(());
        }
        let new: Vec<_> = chats.iter().map(|record| record.chat.clone()).collect();
        let members: Vec<UserId> = new.iter().flat_map(|chat| chat.members.clone()).collect();
        // Nobody opens the chat of an event meanwhile, and no event is deleted.
        let _opening = self.opening.read().await;
        let written = {
            let _changing = self.user_cache.changing(&members);
            self.store.take_chats(chats).await
        };
        for chat in new {
            let fact = match &written {
                Ok(()) => Fact::ChatCreated(Chat { head: 0, ..chat }),
                Err(StoreError::Unavailable(_)) => Fact::CreationUncertain(chat.id),
                Err(_) => continue,
            };
            self.publish(identity, fact).await;
        }
        written
    }

    /// Writes one of a run that could not be written together.
    async fn take_one(&self, identity: &Identity, record: ChatRecord) -> Outcome {
        let chat = record.chat.clone();
        match self.take(identity, vec![record]).await {
            Ok(()) => Ok(made(names(&chat))),
            Err(StoreError::Duplicate | StoreError::PkTaken) => {
                // It, or a part of it, or another import was faster.
                if let Some(there) = self.there(&ChatRef::Id(chat.id)).await? {
                    return Ok(found(names(&there)));
                }
                if let Some(name) = chat.external_id
                    && let Some(there) = self.there(&ChatRef::External(name.into())).await?
                {
                    return Ok(found(names(&there)));
                }
                if self.there(&ChatRef::Pk(chat.pk)).await?.is_some() {
                    return Err(taken("pk", "chat"));
                }
                let field = match chat.event {
                    Some(_) => "event and guest",
                    None => "idempotency_key",
                };
                Err(taken(field, "chat"))
            }
            Err(error) => Err(store_error(error)),
        }
    }
}

/// What is known of a chat to move in.
enum Look {
    Found(ImportedNames),
    New(Box<ChatRecord>),
}

/// Checks a chat alone.
///
/// # Errors
/// `Invalid`, `TooLarge`.
pub(super) fn check(chat: &ImportedChat, limits: Limits) -> Result<(), Error> {
    check_name(chat.name.as_deref())?;
    check_external_id(chat.external_id.as_deref())?;
    Numbering::default().chat(chat.pk)?;
    if chat.members.len() > limits.members {
        let limit = format_args!("{} of them", limits.members);
        return Err(Error::too_large("members", limit));
    }
    let beyond = |member: &&ImportedMember| member.last_read > chat.head;
    if chat.members.iter().any(|member| beyond(&member)) {
        return Err(Error::invalid("members.last_read", "is greater than head"));
    }
    // Every other role is lost with the membership.
    let is_kept = |role| matches!(role, MemberRole::Reader | MemberRole::Member);
    if chat.kept.iter().any(|kept| !is_kept(kept.role)) {
        return Err(Error::invalid("kept.role", "must be reader or member"));
    }
    if chat.of_event.is_some() && chat.policy == Some(Policy::Open) {
        let why = "must be closed: it is the chat of an event";
        return Err(Error::invalid("policy", why));
    }
    if chat.of_event.is_some() && chat.team.is_some() {
        return Err(Error::invalid("team", "is given for the chat of an event"));
    }
    identity_of(chat).map(drop).ok_or_else(nameless)
}

fn nameless() -> Error {
    let why = "is missing, and so is a pk: without either a second import would double the chat";
    Error::invalid("externalChatId", why)
}

/// The name by which a chat is found; `None`: it has none.
fn identity_of(chat: &ImportedChat) -> Option<ChatRef> {
    let external = chat.external_id.as_deref().map(Arc::from);
    let id = chat.id.map(ChatRef::Id);
    id.or(external.map(ChatRef::External))
        .or(chat.pk.map(ChatRef::Pk))
}

fn names(chat: &Chat) -> ImportedNames {
    let (id, pk, added) = (chat.id, chat.pk, 0);
    ImportedNames::Chat { id, pk, added }
}

impl Service {
    /// The id of a chat that a record names.
    ///
    /// # Errors
    /// `NotFound`. `Unavailable`.
    pub(super) async fn imported_chat(&self, chat: &ChatRef) -> Result<Chat, Error> {
        let there = self.there(chat).await?;
        there.ok_or_else(|| access::no_chat(chat))
    }
}
