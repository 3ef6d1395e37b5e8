//! The chats of events on MongoDB.
//! Does not know access rules.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use mongodb::ClientSession;
use mongodb::bson::{Bson, Uuid, doc};
use tracing::error;

use super::Mongo;
use super::chats::touched;
use super::database::{Database, Query};
use super::documents::{
    CHATS, ChatDocument, EVENTS, EventPartDocument, FoundChat, MemberDocument, UserDocument,
};
use super::event_documents::EventDocument;
use super::failure::corrupt;
use super::fields::{AccessField, PolicyField, date, parse};
use super::limits::Counted;
use super::transaction::{Transactional, UpdateTx};
use crate::model::{
    Access, AuditRecord, ChatId, EventChat, EventChatState, MemberLimits, NewEventChat, User,
    UserId,
};
use crate::store::StoreError;

/// The parts of events' chats, read together for several of them.
struct Parts {
    users: HashMap<UserId, Arc<User>>,
    events: HashMap<i64, EventDocument>,
    members: HashMap<(Uuid, Uuid), MemberDocument>,
}

impl Mongo {
    /// This chat as one of an event's; `None`: it is none.
    pub(super) async fn read_event_chat(
        &self,
        chat: ChatId,
    ) -> Result<Option<EventChat>, StoreError> {
        let filter = doc! { "_id": chat, "event.pk": { "$exists": true } };
        match self.found(filter).await? {
            Some(found) => self.complete_one(found).await,
            None => Ok(None),
        }
    }

    /// The event chat of this document.
    pub(super) async fn complete_one(
        &self,
        found: FoundChat,
    ) -> Result<Option<EventChat>, StoreError> {
        let parts = self.parts(std::slice::from_ref(&found)).await?;
        parts.event_chat(found)
    }

    /// Those of these chats that are events'.
    pub(super) async fn read_event_chats(
        &self,
        chats: &[ChatId],
    ) -> Result<HashMap<ChatId, EventChat>, StoreError> {
        if chats.is_empty() {
            return Ok(HashMap::new());
        }
        let of_events = doc! { "_id": { "$in": chats }, "event.pk": { "$exists": true } };
        let found = self.found_all(Query::all(of_events)).await?;
        let event_chats = self.complete(found).await?;
        Ok(event_chats
            .into_iter()
            .map(|event_chat| (event_chat.chat, event_chat))
            .collect())
    }

    /// These chats of events, with all that belongs to them. One that lacks something is
    /// reported in the log and left out.
    pub(super) async fn complete(
        &self,
        found: Vec<FoundChat>,
    ) -> Result<Vec<EventChat>, StoreError> {
        let parts = self.parts(&found).await?;
        let mut event_chats = Vec::with_capacity(found.len());
        for found in found {
            match parts.event_chat(found) {
                Ok(event_chat) => event_chats.extend(event_chat),
                Err(error) => error!(%error, "the chat of an event was left out"),
            }
        }
        Ok(event_chats)
    }

    async fn parts(&self, found: &[FoundChat]) -> Result<Parts, StoreError> {
        let event_chats = || found.iter().filter_map(|found| found.event_chat.as_ref());
        let users =
            event_chats().flat_map(|event_chat| [event_chat.owner.into(), event_chat.guest.into()]);
        let events: Vec<_> = event_chats().map(|event_chat| event_chat.pk).collect();
        let (users, events, members) = tokio::try_join!(
            self.users_by_id(users),
            self.database
                .readable::<EventDocument>(Query::all(doc! { "_id": { "$in": events } })),
            self.members_with_own(found)
        )?;
        let events = events.into_iter().map(|event| (event.pk, event));
        let members = members
            .into_iter()
            .map(|member| ((member.chat, member.user), member));
        Ok(Parts {
            users,
            events: events.collect(),
            members: members.collect(),
        })
    }
}

impl Parts {
    /// This chat as one of an event's; `None`: it is none, or not any more.
    fn event_chat(&self, found: FoundChat) -> Result<Option<EventChat>, StoreError> {
        let FoundChat {
            chat, event_chat, ..
        } = found;
        let Some(event_chat) = event_chat else {
            return Ok(None);
        };
        // It was deleted between two queries, and its chats with it.
        let Some(event) = self.events.get(&event_chat.pk) else {
            return Ok(None);
        };
        let user = |id: Uuid| {
            let user = self.users.get(&id.into()).map(Arc::clone);
            user.ok_or_else(|| corrupt(format!("the event's chat {}: no user {id}", chat.id)))
        };
        let read = |user: Uuid| {
            let member = self.members.get(&(chat.id.into(), user));
            member.map_or(0, MemberDocument::position)
        };
        let (owner_read, guest_read) = (read(event_chat.owner), read(event_chat.guest));
        Ok(Some(EventChat {
            chat: chat.id,
            chat_pk: chat.pk,
            event: Arc::new(event.clone().with_owner(user(event_chat.owner)?)?),
            guest: user(event_chat.guest)?,
            state: EventChatState {
                // A message that was stored between two queries was counted as read.
                head: chat.head.max(owner_read).max(guest_read),
                owner_read,
                guest_read,
                access: event_chat.access.into(),
                access_version: event_chat.version,
            },
            active_at: chat.active_at,
        }))
    }
}

/// Finds or opens the chat of an event with a guest. Returns whether it is new, and which it is;
/// `None`: there is no such event.
pub(super) struct OpenEventChatTx(pub(super) NewEventChat, pub(super) MemberLimits);

#[async_trait::async_trait]
impl Transactional for OpenEventChatTx {
    type Output = Option<(bool, ChatId)>;

    async fn run(
        &self,
        database: &Database,
        session: &mut ClientSession,
    ) -> Result<Self::Output, StoreError> {
        let new = &self.0;
        // Conflicts with a concurrent deletion of the event.
        let events = database.raw(EVENTS);
        let opened = doc! { "$inc": { "opened": 1_i64 } };
        let event = events.find_one_and_update(doc! { "_id": new.event }, opened);
        let Some(event) = event.session(&mut *session).await? else {
            return Ok(None);
        };
        let event: EventDocument = parse(&event)?;
        let chats = database.raw(CHATS);
        let known = doc! { "event.pk": new.event, "event.guest": new.guest };
        if let Some(chat) = chats.find_one(known).session(&mut *session).await? {
            let chat: ChatDocument = parse(&chat)?;
            return Ok(Some((false, chat.id.into())));
        }
        let owner = UserId::from(event.owner);
        let users = doc! { "_id": { "$in": [owner, new.guest] } };
        let users = database.all::<UserDocument>(Query::all(users)).await?;
        let user = users.iter().find(|user| user.id == owner);
        let document = ChatDocument {
            id: new.id.into(),
            pk: database.assign_one(CHATS, new.pk, session).await?,
            external_id: new.external_id.clone(),
            name: None,
            policy: PolicyField::Closed,
            owner: user.map(|user| user.pk),
            team: None,
            places: 0,
            members_version: 0,
            created_at: date(new.at),
            modified_at: date(new.at),
            active_at: date(new.at),
            key: None,
            event: Some(EventPartDocument {
                pk: new.event,
                owner: event.owner,
                guest: new.guest.into(),
                access: AccessField::Unasked,
                version: 0,
            }),
        };
        database
            .insert_chat(document, &[owner, new.guest], &mut *session)
            .await?;
        let counted = |id| users.iter().find(|user| user.id == id).map(Counted::from);
        let concerned: Vec<_> = [new.guest, owner].into_iter().filter_map(counted).collect();
        database.judge(&concerned, self.1, &mut *session).await?;
        database.record(new.audit.as_ref(), session).await?;
        Ok(Some((true, new.id)))
    }
}

/// Changes the access of an event's chat, if it is one of `from` and not yet `to`.
pub(super) fn access_change(
    chat: ChatId,
    from: &[Access],
    to: Access,
    at: Timestamp,
    audit: Option<AuditRecord>,
) -> UpdateTx {
    let from = from.iter().filter(|access| **access != to);
    let from: Vec<Bson> = from.map(|access| (*access).into()).collect();
    UpdateTx {
        collection: CHATS,
        due: doc! { "_id": chat, "event.access": { "$in": from } },
        update: doc! {
            "$set": { "event.access": to },
            "$inc": { "event.version": 1_i64 },
            "$max": touched(at),
        },
        audit,
    }
}
