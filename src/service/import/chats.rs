//! Chats that are moved in, with members, roles and bans.
//! Does not know messages.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::users::Users;
use super::{Outcome, first_of, found, made, taken};
use crate::model::{
    Access, Ban, Chat, ChatId, ChatRef, Error, ErrorKind, Fact, Identity, ImportedChat,
    ImportedEventPart, ImportedMember, ImportedNames, MemberRights, MemberRole, Policy, UserId,
};
use crate::service::chats::{check_external_id, check_name};
use crate::service::events::no_event;
use crate::service::{Limits, Numbering, Service, access, store_error};
use crate::store::StoreError;
use crate::store::transfer::{ChatRecord, EventPart, MemberRecord};

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

    async fn record(&self, users: &mut Users<'_>, chat: ImportedChat) -> Result<ChatRecord, Error> {
        let pk = self.numbering.chat(chat.pk)?.chosen().unwrap_or(0);
        let (of_event, pair) = match &chat.of_event {
            Some(part) => {
                let (part, pair) = self.event_part(users, part).await?;
                (Some(part), Some(pair))
            }
            None => (None, None),
        };
        let mut members = self.members_in(users, &chat.members).await?;
        if let Some(pair) = pair {
            members = of_pair(members, pair)?;
        }
        let owner = match (&chat.owner, &pair) {
            (Some(owner), _) => Some(users.user(owner).await?.pk),
            (None, Some([owner, _])) => Some(self.user(*owner).await?.pk),
            (None, None) => None,
        };
        let mut bans = Vec::with_capacity(chat.bans.len());
        for (user, sanction) in &chat.bans {
            let (user, sanction) = (users.id(user).await?, *sanction);
            bans.push(Ban { user, sanction });
        }
        let kept = self.members_in(users, &chat.kept).await?;
        let kept = kept.into_iter().map(|kept| MemberRights {
            user: kept.user,
            role: kept.role,
            mute: kept.mute,
        });
        let created_at = chat.created_at.unwrap_or_else(|| self.clock.now());
        let modified_at = chat.modified_at.unwrap_or(created_at);
        Ok(ChatRecord {
            chat: Chat {
                id: chat.id.unwrap_or_else(|| ChatId::new(created_at)),
                pk,
                external_id: chat.external_id,
                name: chat.name,
                policy: chat.policy.unwrap_or(Policy::Closed),
                owner,
                team: chat.team,
                event: chat.of_event.map(|part| part.event),
                members: members.iter().map(|member| member.user).collect(),
                members_version: 0,
                head: chat.head,
                created_at,
                modified_at,
                active_at: chat.active_at.unwrap_or(modified_at),
            },
            latest_at: Timestamp::UNIX_EPOCH,
            key: chat.key,
            of_event,
            members,
            bans,
            kept: kept.collect(),
        })
    }

    /// What is stored of an event's chat, with its owner and its guest.
    async fn event_part(
        &self,
        users: &mut Users<'_>,
        part: &ImportedEventPart,
    ) -> Result<(EventPart, [UserId; 2]), Error> {
        let event = self.store.event(part.event).await.map_err(store_error)?;
        let owner = event.ok_or_else(|| no_event(part.event))?.owner.id;
        let guest = users.id(&part.guest).await?;
        if guest == owner {
            return Err(Error::invalid("guest", "is the owner of the event"));
        }
        let access_version = i64::from(part.access != Access::Unasked);
        let part = EventPart {
            guest,
            access: part.access,
            access_version,
        };
        Ok((part, [owner, guest]))
    }

    async fn members_in(
        &self,
        users: &mut Users<'_>,
        named: &[ImportedMember],
    ) -> Result<Vec<MemberRecord>, Error> {
        let mut members: Vec<MemberRecord> = Vec::with_capacity(named.len());
        for (place, member) in (0..).zip(named) {
            let user = users.id(&member.user).await?;
            members.push(MemberRecord {
                user,
                place,
                last_read: member.last_read,
                role: member.role,
                mute: member.mute,
            });
        }
        let first = first_of(members.iter().map(|member| member.user));
        match first
            .iter()
            .enumerate()
            .find(|(index, first)| index != *first)
        {
            Some((index, _)) => {
                let why = format!("names user {} twice", named[index].user);
                Err(Error::invalid("members", &why))
            }
            None => Ok(members),
        }
    }

    async fn take_chats(
        &self,
        identity: &Identity,
        mut chats: Vec<(usize, ChatRecord)>,
    ) -> Vec<(usize, Outcome)> {
        if let Err(error) = self.number(&mut chats).await {
            let refused = |(index, _)| (index, Err(error.clone()));
            return chats.into_iter().map(refused).collect();
        }
        let all: Vec<_> = chats.iter().map(|(_, record)| record.clone()).collect();
        let together = self.take(identity, all).await;
        let mut outcomes = Vec::with_capacity(chats.len());
        for (index, record) in chats {
            let outcome = match &together {
                Ok(()) => Ok(made(names(&record.chat))),
                Err(_) => self.take_one(identity, record).await,
            };
            outcomes.push((index, outcome));
        }
        outcomes
    }

    /// Gives numbers to the chats that have none.
    async fn number(&self, chats: &mut [(usize, ChatRecord)]) -> Result<(), Error> {
        let without = |(_, record): &&mut (usize, ChatRecord)| record.chat.pk == 0;
        let count = chats.iter_mut().filter(without).count();
        if count == 0 {
            return Ok(());
        }
        let from = self.numbering.first_chat();
        let pks = self.store.next_chat_pks(from, count).await;
        let pks = pks.map_err(store_error)?;
        for ((_, record), pk) in chats.iter_mut().filter(without).zip(pks) {
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

/// The members of an event's chat: its owner and its guest, also if none are given.
fn of_pair(members: Vec<MemberRecord>, pair: [UserId; 2]) -> Result<Vec<MemberRecord>, Error> {
    if members.is_empty() {
        let member = |(place, user)| MemberRecord {
            user,
            place,
            last_read: 0,
            role: MemberRole::Member,
            mute: None,
        };
        return Ok((0..).zip(pair).map(member).collect());
    }
    if members.len() != pair.len() || !members.iter().all(|it| pair.contains(&it.user)) {
        let why = "must be the owner of the event and the guest";
        return Err(Error::invalid("members", why));
    }
    Ok(members)
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
