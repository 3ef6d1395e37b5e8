//! [`Events`] on MongoDB.
//! Does not know anything about events beyond the contract in `store`.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use mongodb::ClientSession;
use mongodb::bson::{Document, doc};

use super::Mongo;
use super::database::{Database, Query};
use super::documents::{CHATS, ChatDocument, EVENTS, KeyDocument};
use super::event_chats::{OpenEventChatTx, access_change};
use super::event_documents::EventDocument;
use super::failure::corrupt;
use super::fields::{date, parse};
use super::retry::retry_until_deadline;
use super::transaction::Transactional;
use crate::model::{
    Access, AuditRecord, ChatId, ChatPk, Event, EventChange, EventChat, EventPk, Fingerprint,
    MemberLimits, Message, NewEvent, NewEventChat, User, UserId,
};
use crate::store::{Events, StoreError};

#[async_trait]
impl Events for Mongo {
    async fn create_event(&self, event: NewEvent) -> Result<Event, StoreError> {
        let users = retry_until_deadline(|| self.users_by_id(std::iter::once(event.owner))).await?;
        let Some(owner) = users.get(&event.owner) else {
            return Err(corrupt(format!("no user {} to own it", event.owner)));
        };
        let pk = event.pk;
        let creation = CreateEventTx(event);
        let made = self.database.pk_transaction(&[pk], creation).await?;
        made.with_owner(Arc::clone(owner))
    }

    async fn event(&self, pk: EventPk) -> Result<Option<Event>, StoreError> {
        retry_until_deadline(|| self.event_now(doc! { "_id": pk }))
            .await
            .map(|found| found.map(|(event, _)| event))
    }

    async fn event_by_key(&self, name: &str) -> Result<Option<(Event, Fingerprint)>, StoreError> {
        let found = retry_until_deadline(|| self.event_now(doc! { "key.name": name })).await?;
        Ok(found.and_then(|(event, key)| Some((event, key?.content()))))
    }

    async fn events_after(
        &self,
        owner: Option<UserId>,
        after: EventPk,
        limit: usize,
    ) -> Result<Vec<Event>, StoreError> {
        retry_until_deadline(|| async {
            let mut filter = doc! { "_id": { "$gt": after } };
            if let Some(owner) = owner {
                filter.insert("owner", owner);
            }
            let found = self.database.readable::<EventDocument>(Query {
                filter,
                sort: doc! { "_id": 1 },
                limit,
                ..Query::default()
            });
            let found = found.await?;
            let owners = found.iter().map(|event| event.owner.into());
            let owners = self.users_by_id(owners).await?;
            let events = found.into_iter().map(|event| {
                let owner = owners.get(&event.owner.into());
                with_owner(event, owner)
            });
            events.collect()
        })
        .await
    }

    async fn change_event(
        &self,
        pk: EventPk,
        change: EventChange,
        at: Timestamp,
        audit: Option<AuditRecord>,
    ) -> Result<Option<Event>, StoreError> {
        let change = ChangeEventTx {
            pk,
            change,
            at,
            audit,
        };
        if !self.database.transaction(change).await? {
            return Ok(None);
        }
        self.event(pk).await
    }

    async fn delete_event(
        &self,
        pk: EventPk,
        audit: Option<AuditRecord>,
    ) -> Result<Option<Vec<(ChatId, ChatPk)>>, StoreError> {
        let deleted = self.database.transaction(DeleteEventTx(pk, audit)).await?;
        if let Some(chats) = &deleted {
            let chats: Vec<_> = chats.iter().map(|(chat, _)| *chat).collect();
            for chat in &chats {
                self.heads.forget(*chat).await;
            }
            self.database.remove_members_or_leave(&chats).await;
        }
        Ok(deleted)
    }

    async fn chats_of_event(&self, pk: EventPk) -> Result<Vec<(ChatId, ChatPk)>, StoreError> {
        retry_until_deadline(|| async {
            let found = self.database.all::<ChatDocument>(Query {
                filter: doc! { "event.pk": pk },
                sort: doc! { "pk": 1 },
                ..Query::default()
            });
            let found = found.await?.into_iter();
            Ok(found.map(|it| (it.chat.id, it.chat.pk)).collect())
        })
        .await
    }

    async fn open_event_chat_within(
        &self,
        chat: NewEventChat,
        limits: MemberLimits,
    ) -> Result<Option<(bool, EventChat)>, StoreError> {
        let event = doc! { "_id": chat.event };
        if retry_until_deadline(|| self.database.one::<EventDocument>(event.clone()))
            .await?
            .is_none()
        {
            return Ok(None);
        }
        let guest = retry_until_deadline(|| self.users_by_id(std::iter::once(chat.guest))).await?;
        if guest.is_empty() {
            return Err(corrupt(format!("no user {} to open it", chat.guest)));
        }
        // Usually it exists: then no transaction is needed.
        let known = doc! { "event.pk": chat.event, "event.guest": chat.guest };
        let known =
            retry_until_deadline(|| self.database.one::<ChatDocument>(known.clone())).await?;
        let opened = if let Some(known) = known {
            Some((false, known.chat.id))
        } else {
            let pk = chat.pk;
            let opening = OpenEventChatTx(chat, limits);
            self.database.pk_transaction(&[pk], opening).await?
        };
        let Some((fresh, id)) = opened else {
            return Ok(None);
        };
        let event_chat = retry_until_deadline(|| self.read_event_chat(id)).await?;
        Ok(event_chat.map(|event_chat| (fresh, event_chat)))
    }

    async fn change_access(
        &self,
        chat: ChatId,
        from: &[Access],
        to: Access,
        at: Timestamp,
        audit: Option<AuditRecord>,
    ) -> Result<Option<(bool, EventChat)>, StoreError> {
        let change = access_change(chat, from, to, at, audit);
        let changed = self.database.transaction(change).await?;
        let event_chat = retry_until_deadline(|| self.read_event_chat(chat)).await?;
        Ok(event_chat.map(|event_chat| (changed, event_chat)))
    }

    async fn event_chat(&self, chat: ChatId) -> Result<Option<EventChat>, StoreError> {
        retry_until_deadline(|| self.read_event_chat(chat)).await
    }

    async fn event_chats_of(
        &self,
        user: UserId,
        limit: usize,
    ) -> Result<Vec<EventChat>, StoreError> {
        retry_until_deadline(|| async {
            let of_events = doc! { "event.pk": { "$exists": true } };
            let mut found = self.by_activity(user, of_events).await?;
            found.truncate(limit);
            self.complete(found).await
        })
        .await
    }

    async fn latest_in(&self, chat: &EventChat, limit: usize) -> Result<Vec<Message>, StoreError> {
        let chat = Arc::new(chat.clone());
        retry_until_deadline(|| self.latest_messages(&chat, limit)).await
    }
}

impl Mongo {
    /// The event that matches, with the key that it was created with.
    async fn event_now(
        &self,
        filter: Document,
    ) -> Result<Option<(Event, Option<KeyDocument>)>, StoreError> {
        let Some(found) = self.database.one::<EventDocument>(filter).await? else {
            return Ok(None);
        };
        let owner = found.owner.into();
        let owners = self.users_by_id(std::iter::once(owner)).await?;
        let key = found.key.clone();
        Ok(Some((with_owner(found, owners.get(&owner))?, key)))
    }
}

/// The event, whose owner has to be there.
pub(super) fn with_owner(
    event: EventDocument,
    owner: Option<&Arc<User>>,
) -> Result<Event, StoreError> {
    match owner {
        Some(owner) => event.with_owner(Arc::clone(owner)),
        None => Err(corrupt(format!(
            "the document {} in {EVENTS}: no such owner",
            event.pk
        ))),
    }
}

/// The fields that a change names.
fn what_changes(change: EventChange) -> Document {
    let mut set = Document::new();
    if let Some(name) = change.name {
        set.insert("name", name);
    }
    if let Some(icons) = change.icons {
        set.insert("icons", icons);
    }
    if let Some(location) = change.location {
        set.insert("location", location);
    }
    if let Some(starts) = change.starts {
        set.insert("starts", starts);
    }
    if let Some(ends) = change.ends {
        set.insert("ends", ends);
    }
    set
}

/// Creates an event.
struct CreateEventTx(NewEvent);

#[async_trait]
impl Transactional for CreateEventTx {
    type Output = EventDocument;

    async fn run(
        &self,
        database: &Database,
        session: &mut ClientSession,
    ) -> Result<EventDocument, StoreError> {
        let new = self.0.clone();
        let pk = database.assign_one(EVENTS, new.pk, session).await?;
        let document = EventDocument::new(pk, new.owner, new.details, new.key, new.at);
        let events = database.collection::<EventDocument>(EVENTS);
        events.insert_one(&document).session(&mut *session).await?;
        let record = self.0.audit.as_ref().map(|record| record.of_event(pk));
        database.record(record.as_ref(), session).await?;
        Ok(document)
    }
}

/// Changes an event, and records that if its details change. Returns whether there is such an event.
struct ChangeEventTx {
    pk: EventPk,
    change: EventChange,
    at: Timestamp,
    audit: Option<AuditRecord>,
}

#[async_trait]
impl Transactional for ChangeEventTx {
    type Output = bool;

    async fn run(
        &self,
        database: &Database,
        session: &mut ClientSession,
    ) -> Result<bool, StoreError> {
        let mut update = doc! { "$max": { "modified_at": date(self.at) } };
        let set = what_changes(self.change.clone());
        if !set.is_empty() {
            update.insert("$set", set);
        }
        let events = database.raw(EVENTS);
        let before = events.find_one_and_update(doc! { "_id": self.pk }, update);
        let Some(before) = before.session(&mut *session).await? else {
            return Ok(false);
        };
        let before: EventDocument = parse(&before)?;
        let before = before.details();
        if self.change.clone().apply(before.clone()) != before {
            database.record(self.audit.as_ref(), session).await?;
        }
        Ok(true)
    }
}

/// Deletes an event and its chats. Their members, bans and messages are unreachable without them, and
/// are swept later.
struct DeleteEventTx(EventPk, Option<AuditRecord>);

#[async_trait]
impl Transactional for DeleteEventTx {
    type Output = Option<Vec<(ChatId, ChatPk)>>;

    async fn run(
        &self,
        database: &Database,
        session: &mut ClientSession,
    ) -> Result<Self::Output, StoreError> {
        let events = database.raw(EVENTS);
        let event = events.delete_one(doc! { "_id": self.0 });
        if event.session(&mut *session).await?.deleted_count == 0 {
            return Ok(None);
        }
        let chats = database.raw(CHATS);
        let of_event = doc! { "event.pk": self.0 };
        let mut found = chats.find(of_event.clone()).session(&mut *session).await?;
        let mut deleted = Vec::new();
        while found.advance(session).await? {
            let chat: ChatDocument = parse(found.current())?;
            deleted.push((ChatId::from(chat.id), chat.pk));
        }
        drop(found);
        deleted.sort_by_key(|(_, pk)| *pk);
        chats.delete_many(of_event).session(&mut *session).await?;
        let ids: Vec<_> = deleted.iter().map(|(id, _)| *id).collect();
        database.mark_deleted(&ids, session).await?;
        database.record(self.1.as_ref(), session).await?;
        Ok(Some(deleted))
    }
}
