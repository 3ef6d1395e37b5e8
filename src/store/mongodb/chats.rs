//! [`Chats`] on MongoDB: create, change, delete, find.
//! Does not know anything about chats beyond the contract in `store`; lists are in `lists`.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use mongodb::ClientSession;
use mongodb::bson::{Document, doc};

use super::Mongo;
use super::database::{Database, Query};
use super::documents::{CHATS, ChatDocument, FoundChat, KeyDocument, MEMBERS, MemberDocument};
use super::failure::corrupt;
use super::fields::{date, parse};
use super::limits::Counted;
use super::retry::{retry, retry_until_deadline, with_deadline};
use super::transaction::Transactional;
use crate::model::{
    AuditRecord, Chat, ChatChange, ChatCursor, ChatId, ChatMark, ChatPage, ChatPk, Fingerprint,
    MemberLimits, MembersVersion, NewChat, Seq, UserId, UserPk, VisibleCursor, VisiblePage,
};
use crate::store::{Chats, StoreError};

#[async_trait]
impl Chats for Mongo {
    async fn create_chat_within(
        &self,
        chat: NewChat,
        limits: MemberLimits,
    ) -> Result<Chat, StoreError> {
        let (id, pk) = (chat.id, chat.pk);
        let creation = self.creation_of(chat, limits).await?;
        self.database.pk_transaction(&[pk], creation).await?;
        let created = retry_until_deadline(|| self.chat_now(doc! { "_id": id })).await?;
        created.ok_or_else(|| corrupt(format!("no chat {id} once created")))
    }

    async fn chats_by_external_id(
        &self,
        names: &[Arc<str>],
    ) -> Result<Vec<Option<ChatId>>, StoreError> {
        let wanted: Vec<&str> = names.iter().map(|name| &**name).collect();
        let found = retry_until_deadline(|| {
            let query = Query::all(doc! { "external_id": { "$in": wanted.clone() } });
            self.database.all::<ChatDocument>(query)
        });
        let found = found.await?;
        let of = |name: &Arc<str>| {
            let is = |found: &&FoundChat| found.chat.external_id.as_deref() == Some(&**name);
            found.iter().find(is).map(|found| found.chat.id)
        };
        Ok(names.iter().map(of).collect())
    }

    async fn chat_by_key(&self, name: &str) -> Result<Option<(Chat, Fingerprint)>, StoreError> {
        let found = retry_until_deadline(|| async {
            let Some(found) = self.found(doc! { "key.name": name }).await? else {
                return Ok(None);
            };
            let key = found.key.as_ref().map(KeyDocument::content);
            Ok(Some((self.with_members([found.chat]).await?, key)))
        });
        let Some((mut chats, key)) = found.await? else {
            return Ok(None);
        };
        Ok(chats.pop().zip(key))
    }

    async fn chat(&self, id: ChatId) -> Result<Option<Chat>, StoreError> {
        retry_until_deadline(|| self.chat_now(doc! { "_id": id })).await
    }

    async fn chat_id(&self, pk: ChatPk) -> Result<Option<ChatId>, StoreError> {
        let found =
            retry_until_deadline(|| self.database.one::<ChatDocument>(doc! { "pk": pk })).await?;
        Ok(found.map(|found| found.chat.id))
    }

    async fn chat_ids(&self, pks: &[ChatPk]) -> Result<Vec<Option<ChatId>>, StoreError> {
        retry_until_deadline(|| self.ids_by_pk(pks)).await
    }

    async fn chats_after(&self, after: ChatPk, limit: usize) -> Result<Vec<Chat>, StoreError> {
        retry_until_deadline(|| self.list_after(after, limit)).await
    }

    async fn visible_chats(
        &self,
        user: UserId,
        at: Timestamp,
        before: Option<VisibleCursor>,
        limit: usize,
    ) -> Result<VisiblePage, StoreError> {
        retry_until_deadline(|| self.list_visible(user, at, before, limit)).await
    }

    async fn change_chat(
        &self,
        id: ChatId,
        change: ChatChange,
        at: Timestamp,
        audit: Option<AuditRecord>,
    ) -> Result<Option<Chat>, StoreError> {
        let change = ChangeChatTx {
            id,
            change,
            at,
            audit,
        };
        if !self.database.transaction(change).await? {
            return Ok(None);
        }
        self.chat_afterwards(id).await
    }

    async fn delete_chat(
        &self,
        id: ChatId,
        audit: Option<AuditRecord>,
    ) -> Result<bool, StoreError> {
        let deleted = self.database.transaction(DeleteChatTx(id, audit)).await?;
        if deleted {
            self.heads.forget(id).await;
            self.database.remove_members_or_leave(&[id]).await;
        }
        Ok(deleted)
    }

    async fn chats_of(
        &self,
        user: UserId,
        before: Option<ChatCursor>,
        limit: usize,
    ) -> Result<ChatPage, StoreError> {
        retry_until_deadline(|| self.page_of(user, before, limit)).await
    }

    async fn memberships_of(
        &self,
        user: UserId,
    ) -> Result<Vec<(ChatId, MembersVersion)>, StoreError> {
        retry_until_deadline(|| self.memberships(user)).await
    }

    async fn joined_at(
        &self,
        chat: ChatId,
        users: &[UserId],
    ) -> Result<Vec<Option<Seq>>, StoreError> {
        retry_until_deadline(|| self.joined(chat, users)).await
    }

    async fn members_version(&self, chat: ChatId) -> Result<Option<MembersVersion>, StoreError> {
        let found =
            retry_until_deadline(|| self.database.one::<ChatDocument>(doc! { "_id": chat }))
                .await?;
        Ok(found.map(|found| found.chat.members_version))
    }

    async fn marks(&self, chats: &[ChatId]) -> Result<Vec<Option<ChatMark>>, StoreError> {
        retry_until_deadline(|| self.marks_of(chats)).await
    }

    async fn users_in_many_chats(
        &self,
        users: &[UserId],
        chats: usize,
    ) -> Result<Vec<UserId>, StoreError> {
        self.in_many_chats(users, chats).await
    }

    async fn heads(&self, chats: &[ChatId]) -> Result<Vec<Seq>, StoreError> {
        retry_until_deadline(|| self.heads_of(chats)).await
    }
}

impl Mongo {
    /// The transaction that creates this chat.
    async fn creation_of(
        &self,
        chat: NewChat,
        limits: MemberLimits,
    ) -> Result<CreateChatTx, StoreError> {
        let ids = || chat.members.iter().chain(&chat.owner).copied();
        let users = retry_until_deadline(|| self.users_by_id(ids())).await?;
        let unknown_user = chat.members.iter().find(|id| !users.contains_key(id));
        let unknown_user = unknown_user.copied();
        let owner = chat.owner.and_then(|id| users.get(&id));
        let concerned = ids().filter_map(|id| users.get(&id));
        Ok(CreateChatTx {
            owner: owner.map(|user| user.pk),
            unknown_user,
            concerned: concerned.map(|user| Counted::from(&**user)).collect(),
            limits,
            chat,
        })
    }

    /// The chat that matches, with its head and latest activity, without its members.
    pub(super) async fn found(&self, filter: Document) -> Result<Option<FoundChat>, StoreError> {
        let Some(found) = self.database.one::<ChatDocument>(filter).await? else {
            return Ok(None);
        };
        let latest = self.latest(found.chat.id).await?;
        found.with(latest).map(Some)
    }

    /// The same for the chat of this id, with both queries in parallel.
    pub(super) async fn found_by_id(&self, id: ChatId) -> Result<Option<FoundChat>, StoreError> {
        let found = self.database.one::<ChatDocument>(doc! { "_id": id });
        let (found, latest) = tokio::try_join!(found, self.latest(id))?;
        found.map(|found| found.with(latest)).transpose()
    }

    /// The chat that matches, complete.
    pub(super) async fn chat_now(&self, filter: Document) -> Result<Option<Chat>, StoreError> {
        let Some(found) = self.found(filter).await? else {
            return Ok(None);
        };
        Ok(self.with_members([found.chat]).await?.pop())
    }

    /// The same with retries, as the last part of a call.
    pub(super) async fn chat_afterwards(&self, id: ChatId) -> Result<Option<Chat>, StoreError> {
        with_deadline(retry(|| self.chat_now(doc! { "_id": id }))).await
    }
}

/// The `$max` update of the times of a changed chat.
pub(super) fn touched(at: Timestamp) -> Document {
    doc! { "modified_at": date(at), "active_at": date(at) }
}

/// Creates a chat with its members.
struct CreateChatTx {
    chat: NewChat,
    owner: Option<UserPk>,
    /// A member that does not exist as a user.
    unknown_user: Option<UserId>,
    /// The members and the owner.
    concerned: Vec<Counted>,
    limits: MemberLimits,
}

#[async_trait]
impl Transactional for CreateChatTx {
    type Output = ();

    async fn run(
        &self,
        database: &Database,
        session: &mut ClientSession,
    ) -> Result<(), StoreError> {
        let new = &self.chat;
        let at = date(new.at);
        let document = ChatDocument {
            id: new.id.into(),
            pk: database.assign_one(CHATS, new.pk, session).await?,
            external_id: new.external_id.clone(),
            name: new.name.clone(),
            policy: new.policy.into(),
            owner: self.owner,
            team: new.team,
            places: 0,
            members_version: 0,
            created_at: at,
            modified_at: at,
            active_at: at,
            key: new.key.clone().map(KeyDocument::from),
            event: None,
        };
        database
            .insert_chat(document, &new.members, &mut *session)
            .await?;
        database.record(&new.audit, session).await?;
        match self.unknown_user {
            Some(id) => Err(corrupt(format!("no user {id} to add"))),
            None => database.judge(&self.concerned, self.limits, session).await,
        }
    }
}

/// Changes a chat, and records that if its name, team or policy changes. Returns whether there is such a
/// chat.
struct ChangeChatTx {
    id: ChatId,
    change: ChatChange,
    at: Timestamp,
    audit: Option<AuditRecord>,
}

#[async_trait]
impl Transactional for ChangeChatTx {
    type Output = bool;

    async fn run(
        &self,
        database: &Database,
        session: &mut ClientSession,
    ) -> Result<bool, StoreError> {
        let ChatChange { name, team, policy } = &self.change;
        let mut update = doc! { "$max": touched(self.at) };
        let mut set = Document::new();
        if let Some(name) = name {
            set.insert("name", name);
        }
        if let Some(team) = team {
            set.insert("team", team);
        }
        if let Some(policy) = policy {
            set.insert("policy", policy.name());
        }
        if !set.is_empty() {
            update.insert("$set", set);
        }
        let chats = database.raw(CHATS);
        let before = chats.find_one_and_update(doc! { "_id": self.id }, update);
        let Some(before) = before.session(&mut *session).await? else {
            return Ok(false);
        };
        let before: ChatDocument = parse(&before)?;
        let is_other_name = name.is_some() && *name != before.name;
        let is_other_policy = policy.is_some_and(|policy| policy != before.policy.into());
        if is_other_policy {
            let next = doc! { "$inc": { "members_version": 1_i64 } };
            let next = chats.update_one(doc! { "_id": self.id }, next);
            next.session(&mut *session).await?;
        }
        let is_other_team = team.is_some_and(|team| team != before.team);
        if is_other_name || is_other_policy || is_other_team {
            database.record(self.audit.as_ref(), session).await?;
        }
        Ok(true)
    }
}

impl Database {
    /// Inserts a chat and its members, in the order given.
    pub(super) async fn insert_chat(
        &self,
        mut chat: ChatDocument,
        members: &[UserId],
        session: &mut ClientSession,
    ) -> Result<(), StoreError> {
        let places = (0..).zip(members);
        let members: Vec<_> = places
            .map(|(place, user)| MemberDocument {
                chat: chat.id,
                user: (*user).into(),
                place,
                since: 0,
                last_read: 0,
                role: None,
                mute: None,
                own: Vec::new(),
            })
            .collect();
        chat.places = i64::try_from(members.len()).unwrap_or(i64::MAX);
        let chats = self.collection::<ChatDocument>(CHATS);
        chats.insert_one(chat).session(&mut *session).await?;
        if !members.is_empty() {
            let places = self.collection::<MemberDocument>(MEMBERS);
            places.insert_many(members).session(session).await?;
        }
        Ok(())
    }
}

/// Deletes a chat. All that belongs to it is unreachable without it, and is swept later.
struct DeleteChatTx(ChatId, Option<AuditRecord>);

#[async_trait]
impl Transactional for DeleteChatTx {
    type Output = bool;

    async fn run(
        &self,
        database: &Database,
        session: &mut ClientSession,
    ) -> Result<bool, StoreError> {
        let chats = database.raw(CHATS);
        let delete = chats.delete_one(doc! { "_id": self.0 });
        let deleted = delete.session(&mut *session).await?.deleted_count > 0;
        if deleted {
            database.mark_deleted(&[self.0], session).await?;
            database.record(self.1.as_ref(), session).await?;
        }
        Ok(deleted)
    }
}
