//! The limit of the chats of a user, judged in the transaction that adds one.
//! Does not know the limit of the members of a chat.
//!
//! Transactions read a snapshot, so two that add one user to two chats must conflict: each updates the
//! document of that user. Where so many chats are left that the transactions at once cannot exceed the
//! limit, that is left out: a user may be added to many chats at once.

use std::collections::HashMap;
use std::hash::Hash;

use async_trait::async_trait;
use mongodb::ClientSession;
use mongodb::bson::{Bson, Document, Uuid, doc};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Mongo;
use super::database::{ADDITIONS, Database};
use super::documents::{CHATS, MEMBERS, USERS};
use super::failure::corrupt;
use super::transaction::Transactional;
use crate::model::{MemberLimits, User, UserId, UserPk};
use crate::store::{Full, StoreError};

/// With so many chats left the transactions at once cannot exceed the limit: more than [`ADDITIONS`].
const FAR: i64 = 128;
const _: () = assert!(ADDITIONS + 1 < 128);

/// A user whose chats are counted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counted {
    pub(super) id: UserId,
    pub(super) pk: UserPk,
}

impl From<&User> for Counted {
    fn from(user: &User) -> Self {
        Self {
            id: user.id,
            pk: user.pk,
        }
    }
}

/// A number of documents with one key.
#[derive(Deserialize)]
struct CountDocument<K> {
    #[serde(rename = "_id")]
    key: K,
    count: i64,
}

/// How many chats users are members of, and how many they own.
struct Counts {
    member: HashMap<Uuid, i64>,
    owner: HashMap<UserPk, i64>,
}

impl Counts {
    fn member(&self, user: Counted) -> i64 {
        let count = self.member.get(&Uuid::from(user.id));
        count.copied().unwrap_or(0)
    }

    fn owner(&self, user: Counted) -> i64 {
        self.owner.get(&user.pk).copied().unwrap_or(0)
    }

    /// A user has no more chats than this.
    fn sum(&self, user: Counted) -> i64 {
        self.member(user).saturating_add(self.owner(user))
    }
}

impl Database {
    /// Refuses if one of these users has more chats than it may have, with what this transaction
    /// has added.
    pub(super) async fn judge(
        &self,
        users: &[Counted],
        limits: MemberLimits,
        session: &mut ClientSession,
    ) -> Result<(), StoreError> {
        let Some(most) = limits.chats else {
            return Ok(());
        };
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let users = users.iter().copied();
        let users: Vec<_> = users
            .filter(|user| limits.exempt != Some(user.id))
            .collect();
        let counts = self.counts(&users, session).await?;
        let near = |user: &Counted| counts.sum(*user).saturating_add(FAR) > most;
        let near: Vec<_> = users.into_iter().filter(near).collect();
        if near.is_empty() {
            return Ok(());
        }
        let ids: Vec<_> = near.iter().map(|user| user.id).collect();
        let added = doc! { "$inc": { "additions": 1_i64 } };
        let users = self.raw(USERS);
        let lock = users.update_many(doc! { "_id": { "$in": ids } }, added);
        lock.session(&mut *session).await?;
        for user in near {
            if self
                .has_so_many(user, most.saturating_add(1), &counts, session)
                .await?
            {
                return Err(StoreError::Full(Full::User(user.id)));
            }
        }
        Ok(())
    }

    async fn counts(
        &self,
        users: &[Counted],
        session: &mut ClientSession,
    ) -> Result<Counts, StoreError> {
        let ids: Vec<_> = users.iter().map(|user| Bson::from(user.id)).collect();
        let pks: Vec<_> = users.iter().map(|user| Bson::from(user.pk)).collect();
        Ok(Counts {
            member: self.count_by(MEMBERS, "user", ids, session).await?,
            owner: self.count_by(CHATS, "owner", pks, session).await?,
        })
    }

    /// How many documents have each of these values in a field that has an index.
    async fn count_by<K: DeserializeOwned + Eq + Hash + Send + Sync + Unpin>(
        &self,
        collection: &str,
        field: &str,
        values: Vec<Bson>,
        session: &mut ClientSession,
    ) -> Result<HashMap<K, i64>, StoreError> {
        let mut counts = HashMap::new();
        if values.is_empty() {
            return Ok(counts);
        }
        let stages = [
            doc! { "$match": { field: { "$in": values } } },
            doc! { "$group": { "_id": format!("${field}"), "count": { "$sum": 1_i64 } } },
        ];
        let collection = self.collection::<Document>(collection);
        let counted = collection.aggregate(stages).with_type::<CountDocument<K>>();
        let mut counted = counted.session(&mut *session).await?;
        while let Some(found) = counted.next(session).await {
            let CountDocument { key, count } = found?;
            counts.insert(key, count);
        }
        Ok(counts)
    }

    /// Whether the user is a member or the owner of so many chats at least.
    async fn has_so_many(
        &self,
        user: Counted,
        chats: i64,
        counts: &Counts,
        session: &mut ClientSession,
    ) -> Result<bool, StoreError> {
        let (member, owner) = (counts.member(user), counts.owner(user));
        if member.max(owner) >= chats || counts.sum(user) < chats {
            return Ok(member.max(owner) >= chats);
        }
        // Chats that it is both are counted once.
        let id = doc! { "_id": 1 };
        let rooms = self.collection::<Document>(CHATS);
        let rooms = rooms.find(doc! { "owner": user.pk }).projection(id);
        let mut rooms = rooms.session(&mut *session).await?;
        let mut ids = Vec::new();
        while let Some(found) = rooms.next(session).await {
            let id = found?.get("_id").cloned();
            ids.push(id.ok_or_else(|| corrupt("a chat has no id"))?);
        }
        let both = doc! { "user": user.id, "chat": { "$in": ids } };
        let members = self.raw(MEMBERS);
        let both = members.count_documents(both);
        let both = both.session(session).await?;
        let both = i64::try_from(both).unwrap_or(i64::MAX);
        Ok(counts.sum(user).saturating_sub(both) >= chats)
    }
}

impl Mongo {
    /// See [`crate::store::Chats::users_in_many_chats`].
    pub(super) async fn in_many_chats(
        &self,
        users: &[UserId],
        chats: usize,
    ) -> Result<Vec<UserId>, StoreError> {
        let found = self.users_by_id(users.iter().copied()).await?;
        let known = users.iter().filter_map(|id| found.get(id));
        let count = InManyChatsTx {
            users: known.map(|user| Counted::from(&**user)).collect(),
            chats: i64::try_from(chats).unwrap_or(i64::MAX),
        };
        self.database.transaction(count).await
    }
}

/// Those of the users that are members or owners of so many chats at least.
struct InManyChatsTx {
    users: Vec<Counted>,
    chats: i64,
}

#[async_trait]
impl Transactional for InManyChatsTx {
    type Output = Vec<UserId>;

    async fn run(
        &self,
        database: &Database,
        session: &mut ClientSession,
    ) -> Result<Vec<UserId>, StoreError> {
        let counts = database.counts(&self.users, session).await?;
        let mut many = Vec::new();
        for user in &self.users {
            let found = database.has_so_many(*user, self.chats, &counts, session);
            if found.await? {
                many.push(user.id);
            }
        }
        Ok(many)
    }
}
