//! [`Members`] on MongoDB. A read position is the one stored or the member's own latest message,
//! whichever is greater: so sending a message needs no write to the member.
//! Does not know anything about members beyond the contract in `store`.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use mongodb::ClientSession;
use mongodb::bson::{Document, Uuid, doc};

use super::Mongo;
use super::chats::touched;
use super::database::{Database, Query};
use super::documents::{
    CHATS, FoundChat, LatestDocument, MEMBERS, MESSAGES, MemberDocument, OwnDocument,
    SenderDocument, all_of,
};
use super::failure::corrupt;
use super::fields::{RoleField, decode};
use super::heads::Own;
use super::limits::Counted;
use super::retry::retry_until_deadline;
use super::sanction_documents::MuteDocument;
use super::transaction::Transactional;
use crate::model::{AuditRecord, Chat, ChatId, MemberLimits, Reads, Seq, UserId};
use crate::store::{Full, Members, StoreError};

#[async_trait]
impl Members for Mongo {
    async fn add_member_within(
        &self,
        chat: ChatId,
        user: UserId,
        read: Seq,
        at: Timestamp,
        limits: MemberLimits,
        audit: Option<AuditRecord>,
    ) -> Result<Option<(bool, Chat)>, StoreError> {
        let Some(before) = self.chat_afterwards(chat).await? else {
            return Ok(None);
        };
        let known = retry_until_deadline(|| self.users_by_id(std::iter::once(user))).await?;
        let Some(known) = known.get(&user) else {
            return Err(corrupt(format!("no user {user} to add")));
        };
        let addition = AddMemberTx {
            chat,
            user: Counted::from(&**known),
            owns: before.owner == Some(known.pk),
            read,
            at,
            limits,
            audit,
        };
        let fresh = if before.members.contains(&user) {
            false
        } else {
            match self.database.adding_transaction(addition).await {
                // A concurrent call has added it.
                Err(StoreError::Duplicate) => false,
                joined => joined?,
            }
        };
        if !fresh {
            retry_until_deadline(|| self.advance(chat, user, read)).await?;
        }
        let after = self.chat_afterwards(chat).await?;
        Ok(after.map(|chat| (fresh, chat)))
    }

    async fn remove_member(
        &self,
        chat: ChatId,
        user: UserId,
        at: Timestamp,
        audit: Option<AuditRecord>,
    ) -> Result<Option<(bool, Chat)>, StoreError> {
        let removal = RemoveMemberTx {
            chat,
            user,
            at,
            audit,
        };
        let removed = self.database.transaction(removal).await?;
        let after = self.chat_afterwards(chat).await?;
        Ok(after.map(|chat| (removed, chat)))
    }

    async fn advance_read(
        &self,
        chat: ChatId,
        user: UserId,
        read: Seq,
    ) -> Result<Option<bool>, StoreError> {
        retry_until_deadline(|| self.advance(chat, user, read)).await
    }

    async fn reads(&self, chat: ChatId) -> Result<Reads, StoreError> {
        retry_until_deadline(|| self.positions(chat)).await
    }
}

impl Mongo {
    /// Moves a member's position forward. Returns whether it moved; `None`: there is no such
    /// chat, or no such member of it.
    async fn advance(
        &self,
        chat: ChatId,
        user: UserId,
        read: Seq,
    ) -> Result<Option<bool>, StoreError> {
        let filter = doc! { "chat": chat, "user": user };
        let (found, member, own) = tokio::try_join!(
            self.found_by_id(chat),
            self.database.one::<MemberDocument>(filter.clone()),
            self.latest_with(
                doc! { "_id.chat": chat, "sender": user },
                doc! { "_id.seq": -1 }
            )
        )?;
        let Some((found, member)) = found.zip(member) else {
            return Ok(None);
        };
        let read = read.min(found.chat.head);
        if read <= member.position_with(own.map_or(0, |own| own.seq)) {
            return Ok(Some(false));
        }
        let mut behind = filter;
        behind.insert("last_read", doc! { "$lt": read });
        let further = doc! { "$set": { "last_read": read } };
        let moved = self
            .database
            .raw(MEMBERS)
            .update_one(behind, further)
            .await?;
        Ok(Some(moved.modified_count > 0))
    }

    /// The members of these chats, each with the `seq` of its own latest message. That is queried
    /// only where it is not cached for the current head of the chat.
    pub(super) async fn members_with_own(
        &self,
        chats: &[FoundChat],
    ) -> Result<Vec<MemberDocument>, StoreError> {
        let (mut cached, mut unknown) = (HashMap::new(), Vec::new());
        for found in chats {
            match self.heads.own(found.chat.id, found.chat.head).await {
                Some(own) => drop(cached.insert(Uuid::from(found.chat.id), own)),
                None => unknown.push(found),
            }
        }
        let (mut members, queried) = tokio::try_join!(
            self.members_with_cached_own(&cached),
            self.members_with_queried_own(&unknown)
        )?;
        members.extend(queried);
        Ok(members)
    }

    /// The members of chats whose members' own latest messages are cached.
    async fn members_with_cached_own(
        &self,
        chats: &HashMap<Uuid, Arc<Own>>,
    ) -> Result<Vec<MemberDocument>, StoreError> {
        if chats.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<_> = chats.keys().copied().collect();
        let query = Query::all(doc! { "chat": { "$in": ids } });
        let mut members = self.database.readable::<MemberDocument>(query).await?;
        for member in &mut members {
            let own = chats.get(&member.chat).into_iter();
            let own = own.flat_map(|own| own.iter());
            let own = own.filter(|(user, _)| *user == member.user);
            member.own = own.map(|(_, seq)| OwnDocument { seq: *seq }).collect();
        }
        Ok(members)
    }

    /// The members of chats that were found a moment ago; queries their own latest messages.
    async fn members_with_queried_own(
        &self,
        chats: &[&FoundChat],
    ) -> Result<Vec<MemberDocument>, StoreError> {
        if chats.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<_> = chats.iter().map(|found| found.chat.id).collect();
        let stages = [doc! { "$match": { "chat": { "$in": ids } } }, with_own()];
        let members = self.database.aggregated::<MemberDocument>(stages).await?;
        let mut own: HashMap<ChatId, Own> = HashMap::new();
        for member in &members {
            let of_chat = own.entry(member.chat.into()).or_default();
            let latest = member.own.iter();
            of_chat.extend(latest.map(|own| (member.user, own.seq)));
        }
        for found in chats {
            if let Some(own) = own.remove(&found.chat.id) {
                self.heads.observe_own(found, own).await;
            }
        }
        Ok(members)
    }

    async fn positions(&self, chat: ChatId) -> Result<Reads, StoreError> {
        let ids = [chat];
        let (there, members, own) = tokio::try_join!(
            self.existing(&ids),
            self.database
                .readable::<MemberDocument>(Query::all(doc! { "chat": chat })),
            self.own_latest(chat)
        )?;
        if there.is_empty() {
            return Ok(Reads::default());
        }
        let positions = members.iter().map(|member| {
            let own = own.get(&member.user).copied().unwrap_or(0);
            (member.user.into(), member.position_with(own))
        });
        Ok(Reads::new(positions))
    }

    /// The `seq` of each sender's latest message in a chat: one step in the index per sender.
    pub(super) async fn own_latest(&self, chat: ChatId) -> Result<HashMap<Uuid, Seq>, StoreError> {
        let stages = [
            doc! { "$match": { "_id.chat": chat } },
            doc! { "$sort": { "_id.chat": -1, "sender": -1, "_id.seq": -1 } },
            doc! { "$group": { "_id": "$sender", "seq": { "$first": "$_id.seq" } } },
        ];
        let found = self.database.aggregated::<SenderDocument>(stages).await?;
        Ok(found.into_iter().map(|own| (own.sender, own.seq)).collect())
    }
}

/// Adds the `seq` of its own latest message to a member.
fn with_own() -> Document {
    doc! { "$lookup": {
        "from": MESSAGES,
        "let": { "chat": "$chat", "user": "$user" },
        "pipeline": [
            { "$match": { "$expr": { "$and": [
                { "$eq": ["$_id.chat", "$$chat"] },
                { "$eq": ["$sender", "$$user"] },
            ] } } },
            { "$sort": { "_id.seq": -1 } },
            { "$limit": 1 },
            { "$project": { "_id": 0, "seq": "$_id.seq" } },
        ],
        "as": "own",
    } }
}

/// Adds a member. Returns `false` if there is no such chat.
struct AddMemberTx {
    chat: ChatId,
    user: Counted,
    /// Whether the user owns the chat, which never changes.
    owns: bool,
    read: Seq,
    at: Timestamp,
    limits: MemberLimits,
    audit: Option<AuditRecord>,
}

#[async_trait]
impl Transactional for AddMemberTx {
    type Output = bool;

    async fn run(
        &self,
        database: &Database,
        session: &mut ClientSession,
    ) -> Result<bool, StoreError> {
        let chats = database.raw(CHATS);
        let counted = doc! { "places": 1_i64, "members_version": 1_i64 };
        let update = doc! { "$inc": counted, "$max": touched(self.at) };
        let chat = chats.find_one_and_update(doc! { "_id": self.chat }, update);
        let Some(before) = chat.session(&mut *session).await? else {
            return Ok(false);
        };
        let place = before.get_i64("places");
        let place = place.map_err(|error| corrupt(format!("the chat {}: {error}", self.chat)))?;
        let messages = database.raw(MESSAGES);
        let latest = messages.find_one(all_of(self.chat));
        let latest = latest
            .sort(doc! { "_id": -1 })
            .session(&mut *session)
            .await?;
        let latest = latest.map(|latest| decode::<LatestDocument>(&latest));
        let head = latest.transpose()?.map_or(0, |latest| latest.seq);
        let kept = doc! { "chat": self.chat, "user": self.user.id };
        let kept = database.take_back(kept, session).await?;
        let members = database.collection::<MemberDocument>(MEMBERS);
        let member = MemberDocument {
            chat: self.chat.into(),
            user: self.user.id.into(),
            place,
            since: head,
            last_read: self.read.clamp(0, head),
            role: kept.and_then(|kept| RoleField::of(kept.role)),
            mute: kept.and_then(|kept| kept.mute).map(MuteDocument::from),
            own: Vec::new(),
        };
        members.insert_one(member).session(&mut *session).await?;
        self.judge(database, place, session).await?;
        database.record(self.audit.as_ref(), session).await?;
        Ok(true)
    }
}

impl AddMemberTx {
    /// Refuses if a limit does not allow the new member; `before` members have ever joined before.
    async fn judge(
        &self,
        database: &Database,
        before: i64,
        session: &mut ClientSession,
    ) -> Result<(), StoreError> {
        let most = u64::try_from(self.limits.members).unwrap_or(u64::MAX);
        if u64::try_from(before).unwrap_or(u64::MAX) >= most {
            let members = database.raw(MEMBERS);
            let members = members.count_documents(doc! { "chat": self.chat });
            if members.session(&mut *session).await? > most {
                return Err(StoreError::Full(Full::Chat));
            }
        }
        let counts = (!self.owns).then_some(self.user);
        database
            .judge(counts.as_slice(), self.limits, session)
            .await
    }
}

/// Removes a member. Returns whether there was one.
struct RemoveMemberTx {
    chat: ChatId,
    user: UserId,
    at: Timestamp,
    audit: Option<AuditRecord>,
}

#[async_trait]
impl Transactional for RemoveMemberTx {
    type Output = bool;

    async fn run(
        &self,
        database: &Database,
        session: &mut ClientSession,
    ) -> Result<bool, StoreError> {
        let members = database.raw(MEMBERS);
        let member = members.find_one_and_delete(doc! { "chat": self.chat, "user": self.user });
        let Some(member) = member.session(&mut *session).await? else {
            return Ok(false);
        };
        let times = touched(self.at);
        let counted = database.count_change(self.chat, times, session).await?;
        if counted {
            database.keep(&member, session).await?;
            database.record(self.audit.as_ref(), session).await?;
        }
        Ok(counted)
    }
}
