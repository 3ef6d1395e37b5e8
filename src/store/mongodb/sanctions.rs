//! [`Sanctions`] on MongoDB.
//! Does not know anything about roles, mutes and bans beyond the contract in `store`.

use async_trait::async_trait;
use jiff::Timestamp;
use mongodb::ClientSession;
use mongodb::bson::{Bson, Document, Uuid, doc};

use super::Mongo;
use super::chats::touched;
use super::database::{Database, Query};
use super::documents::{CHATS, ChatDocument, MEMBERS, MemberDocument, UserDocument};
use super::failure::corrupt;
use super::fields::{RoleField, date, decode, parse};
use super::retry::retry_until_deadline;
use super::rights::FoundRights;
use super::sanction_documents::{BANS, BanDocument, MuteDocument};
use super::transaction::Transactional;
use crate::model::{
    AuditRecord, Ban, Chat, ChatId, ChatRights, MemberRole, Policy, Sanction, UserId, UserPk,
};
use crate::store::sanctions::recorded;
use crate::store::{BanOutcome, Sanctions, StoreError};

#[async_trait]
impl Sanctions for Mongo {
    async fn chat_rights(&self, chat: ChatId) -> Result<Option<ChatRights>, StoreError> {
        retry_until_deadline(|| async {
            loop {
                let Some(found) = self
                    .database
                    .one::<ChatDocument>(doc! { "_id": chat })
                    .await?
                else {
                    return Ok(None);
                };
                let rights = self.rights_in(&found.chat).await?;
                // Each change of them counts: with the same version afterwards, there was none.
                let after = self
                    .database
                    .one::<ChatDocument>(doc! { "_id": chat })
                    .await?;
                match after {
                    None => return Ok(None),
                    Some(after) if after.chat.members_version == rights.version => {
                        return Ok(Some(rights));
                    }
                    Some(_) => {}
                }
            }
        })
        .await
    }

    async fn is_visible(&self, chat: ChatId, user: UserId) -> Result<bool, StoreError> {
        retry_until_deadline(|| async {
            let members = self.database.raw(MEMBERS);
            let place = doc! { "chat": chat, "user": user };
            let member = async { Ok(members.find_one(place).await?) };
            let found = self.database.one::<ChatDocument>(doc! { "_id": chat });
            let (found, member) = tokio::try_join!(found, member)?;
            let is_member = member.is_some();
            Ok(found.is_some_and(|found| is_member || found.chat.policy == Policy::Open))
        })
        .await
    }

    async fn rights_of(&self, chats: &[ChatId]) -> Result<Vec<Option<ChatRights>>, StoreError> {
        let found = retry_until_deadline(|| self.rights_in_all(chats)).await?;
        let mut answers = Vec::with_capacity(found.len());
        for (chat, found) in chats.iter().zip(found) {
            answers.push(match found {
                FoundRights::Of(rights) => Some(rights),
                FoundRights::Nothing => None,
                FoundRights::Moving => self.chat_rights(*chat).await?,
            });
        }
        Ok(answers)
    }

    async fn set_role(
        &self,
        chat: ChatId,
        user: UserId,
        role: MemberRole,
        audit: Option<AuditRecord>,
    ) -> Result<Option<(bool, Chat)>, StoreError> {
        let value = |role| RoleField::of(role).map(Bson::from);
        let change = RightsTx {
            chat,
            user,
            field: "role",
            value: value(role),
            kept: value(role.min(MemberRole::Member)),
            audit,
        };
        self.change_rights(change).await
    }

    async fn set_mute(
        &self,
        chat: ChatId,
        user: UserId,
        mute: Option<Sanction>,
        audit: Option<AuditRecord>,
    ) -> Result<Option<(bool, Chat)>, StoreError> {
        let mute = mute.map(|mute| Bson::from(MuteDocument::from(mute)));
        let change = RightsTx {
            chat,
            user,
            field: "mute",
            kept: mute.clone(),
            value: mute,
            audit,
        };
        self.change_rights(change).await
    }

    async fn set_ban(
        &self,
        chat: ChatId,
        user: UserId,
        ban: Option<Sanction>,
        at: Timestamp,
        audit: Option<AuditRecord>,
    ) -> Result<Option<BanOutcome>, StoreError> {
        if self.chat_afterwards(chat).await?.is_none() {
            return Ok(None);
        }
        let known = retry_until_deadline(|| self.users_by_id(std::iter::once(user))).await?;
        if known.is_empty() {
            return Err(corrupt(format!("no user {user} to ban")));
        }
        let ban = BanTx {
            chat,
            user,
            ban,
            at,
            audit,
        };
        let (changed, removed) = self.database.transaction(ban).await?;
        let after = self.chat_afterwards(chat).await?;
        Ok(after.map(|chat| BanOutcome {
            changed,
            removed,
            chat,
        }))
    }
}

impl Mongo {
    /// The rights in a chat that was found a moment ago, with that version.
    async fn rights_in(&self, chat: &Chat) -> Result<ChatRights, StoreError> {
        let members = self.database.readable::<MemberDocument>(Query {
            sort: doc! { "place": 1 },
            ..Query::all(doc! { "chat": chat.id })
        });
        let (creator, members, bans) =
            tokio::try_join!(self.creator(chat.owner), members, self.bans_of(chat.id))?;
        let rights = members.iter().map(MemberDocument::rights);
        Ok(ChatRights {
            chat: chat.id,
            pk: chat.pk,
            policy: chat.policy,
            creator,
            event: chat.event,
            version: chat.members_version,
            members: rights.collect::<Result<_, _>>()?,
            bans,
        })
    }

    async fn creator(&self, pk: Option<UserPk>) -> Result<Option<UserId>, StoreError> {
        let Some(pk) = pk else {
            return Ok(None);
        };
        let found = self.database.one::<UserDocument>(doc! { "pk": pk }).await?;
        Ok(found.map(|user| user.id))
    }

    /// The bans of a chat, by the user's id. None is left out: its user would be let in.
    pub(super) async fn bans_of(&self, chat: ChatId) -> Result<Vec<Ban>, StoreError> {
        let query = Query {
            sort: doc! { "user": 1 },
            ..Query::all(doc! { "chat": chat })
        };
        self.database.all::<BanDocument>(query).await
    }

    /// The chats with a ban of this user that applies at this time.
    pub(super) async fn chats_banned_from(
        &self,
        user: UserId,
        at: Timestamp,
    ) -> Result<Vec<Uuid>, StoreError> {
        let applies = [
            doc! { "until": null },
            doc! { "until": { "$gt": date(at) } },
        ];
        let mine = doc! { "user": user, "$or": applies };
        let bans = self.database.raw(BANS);
        let mut found = bans.find(mine).await?;
        let mut chats = Vec::new();
        while found.advance().await? {
            let ban: BanDocument = parse(found.current())?;
            chats.push(ban.chat);
        }
        Ok(chats)
    }

    /// Changes a right of a user that exists.
    async fn change_rights(&self, change: RightsTx) -> Result<Option<(bool, Chat)>, StoreError> {
        let (chat, user) = (change.chat, change.user);
        let known = retry_until_deadline(|| self.users_by_id(std::iter::once(user))).await?;
        let changed = if known.is_empty() {
            None
        } else {
            Some(self.database.transaction(change).await?)
        };
        let Some(after) = self.chat_afterwards(chat).await? else {
            return Ok(None);
        };
        let changed = changed.ok_or_else(|| corrupt(format!("no user {user} to sanction")))?;
        Ok(Some((changed, after)))
    }
}

/// The update of a member that sets this field; `None` deletes it.
fn replacement(field: &str, value: Option<Bson>) -> Document {
    if let Some(value) = value {
        doc! { "$set": { field: value } }
    } else {
        doc! { "$unset": { field: true } }
    }
}

/// Sets a field of a member, or of what is kept for a user that is none. Returns whether that changed
/// anything.
struct RightsTx {
    chat: ChatId,
    user: UserId,
    field: &'static str,
    /// Of a member; `None` stands for one without the field.
    value: Option<Bson>,
    /// Of a user that is none.
    kept: Option<Bson>,
    audit: Option<AuditRecord>,
}

#[async_trait]
impl Transactional for RightsTx {
    type Output = bool;

    async fn run(
        &self,
        database: &Database,
        session: &mut ClientSession,
    ) -> Result<bool, StoreError> {
        let place = doc! { "chat": self.chat, "user": self.user };
        let members = database.collection::<Document>(MEMBERS);
        let member = members.find_one(place.clone());
        let member = member.session(&mut *session).await?;
        let (stored, wanted) = if let Some(member) = &member {
            (member.get(self.field).cloned(), &self.value)
        } else {
            let kept = database.kept_field(place.clone(), self.field, session);
            (kept.await?, &self.kept)
        };
        // First, so that a concurrent change of the same chat conflicts here.
        if stored == *wanted || !database.count_change(self.chat, doc! {}, session).await? {
            return Ok(false);
        }
        if member.is_some() {
            let change = replacement(self.field, self.value.clone());
            let change = members.update_one(place, change);
            change.session(&mut *session).await?;
        } else {
            let kept = self.kept.clone();
            let change = database.change_kept(place, self.field, kept, session);
            change.await?;
        }
        // Of the fields a mute alone is a document.
        let lifted = match (stored, wanted) {
            (Some(Bson::Document(mute)), None) => MuteDocument::lifted(mute),
            _ => None,
        };
        let audit = recorded(self.audit.as_ref(), lifted);
        database.record(audit, session).await?;
        Ok(true)
    }
}

/// Replaces a ban, and ends a membership. Returns whether that changed anything, and whether there
/// was a membership.
struct BanTx {
    chat: ChatId,
    user: UserId,
    ban: Option<Sanction>,
    at: Timestamp,
    audit: Option<AuditRecord>,
}

#[async_trait]
impl Transactional for BanTx {
    type Output = (bool, bool);

    async fn run(
        &self,
        database: &Database,
        session: &mut ClientSession,
    ) -> Result<(bool, bool), StoreError> {
        let place = doc! { "chat": self.chat, "user": self.user };
        let (bans, members) = (database.raw(BANS), database.raw(MEMBERS));
        let before = bans.find_one(place.clone()).session(&mut *session).await?;
        let before = before.map(|ban| decode::<BanDocument>(&ban)).transpose()?;
        let member = members.find_one(place.clone());
        let member = member.session(&mut *session).await?.is_some();
        let removed = member && self.ban.is_some();
        let user = self.user;
        let ban = self.ban.map(|sanction| Ban { user, sanction });
        let document = ban.map(|ban| BanDocument::new(self.chat, ban));
        let lifted = before.filter(|_| ban.is_none()).map(|ban| ban.sanction);
        let before = before.map(|ban| BanDocument::new(self.chat, ban));
        let until = |ban: &Option<BanDocument>| ban.as_ref().map(|ban| ban.until);
        let replaced = until(&before) != until(&document);
        if !replaced && !removed {
            return Ok((false, false));
        }
        let times = if removed {
            touched(self.at)
        } else {
            doc! {}
        };
        // First, so that a concurrent change of the same chat conflicts here.
        if !database.count_change(self.chat, times, session).await? {
            return Ok((false, false));
        }
        if replaced {
            bans.delete_many(place.clone())
                .session(&mut *session)
                .await?;
        }
        if let Some(document) = document.filter(|_| replaced) {
            let bans = database.collection::<BanDocument>(BANS);
            bans.insert_one(document).session(&mut *session).await?;
        }
        if removed {
            let member = members.find_one_and_delete(place);
            if let Some(member) = member.session(&mut *session).await? {
                database.keep(&member, session).await?;
            }
        }
        let audit = recorded(self.audit.as_ref(), lifted);
        database.record(audit, session).await?;
        Ok((true, removed))
    }
}

impl Database {
    /// Counts a change of the members of a chat, or of their rights, and moves its times to at least
    /// these. `false`: there is no such chat.
    pub(super) async fn count_change(
        &self,
        chat: ChatId,
        times: Document,
        session: &mut ClientSession,
    ) -> Result<bool, StoreError> {
        let mut update = doc! { "$inc": { "members_version": 1_i64 } };
        if !times.is_empty() {
            update.insert("$max", times);
        }
        let chats = self.raw(CHATS);
        let counted = chats.update_one(doc! { "_id": chat }, update);
        Ok(counted.session(session).await?.matched_count > 0)
    }
}
