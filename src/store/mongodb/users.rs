//! [`Users`] on MongoDB.
//! Does not know anything about users beyond the contract in `store`.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use mongodb::ClientSession;
use mongodb::bson::{Document, doc};
use parking_lot::Mutex;

use super::Mongo;
use super::database::{Database, Query};
use super::documents::{USERS, UserDocument};
use super::failure::corrupt;
use super::fields::date;
use super::retry::retry_until_deadline;
use super::transaction::{Transactional, UpdateTx};
use crate::model::{AuditRecord, NewUser, Profile, User, UserId, UserPk};
use crate::store::{StoreError, Users};

/// The capacity of [`KnownUsers`].
const KNOWN: usize = 100_000;

/// Ids of users that exist. Users are never deleted, so an id stays valid.
#[derive(Default)]
pub(super) struct KnownUsers(Mutex<HashSet<UserId>>);

impl KnownUsers {
    pub(super) fn has_all(&self, ids: &HashSet<UserId>) -> bool {
        self.0.lock().is_superset(ids)
    }

    pub(super) fn add(&self, ids: impl Iterator<Item = UserId>) {
        let mut known = self.0.lock();
        if known.len() >= KNOWN {
            known.clear();
        }
        known.extend(ids);
    }
}

#[async_trait]
impl Users for Mongo {
    async fn find_or_create_users(&self, users: Vec<NewUser>) -> Result<Vec<User>, StoreError> {
        let mut known = self.by_external_id(&users).await?;
        let unknown = self.create_unknown(&users, &mut known).await;
        match unknown {
            // Another call has created some of them meanwhile, or one of them has a number that is taken.
            Err(StoreError::Duplicate | StoreError::PkTaken) => {
                known = self.by_external_id(&users).await?;
            }
            created => created?,
        }
        let mut answers = Vec::with_capacity(users.len());
        for new in users {
            let found = match known.get(&new.external_id) {
                Some(found) => found.clone(),
                None => self.create_or_find(new.clone()).await?,
            };
            // Mostly nothing changes.
            let user = if found.has(&new.profile) {
                found
            } else {
                let audit = new.audit.map(|record| record.of_user(found.id, false));
                let updated = self.update(found.id, new.profile, new.at, audit).await?;
                updated.ok_or_else(|| corrupt(format!("no user {} any more", found.id)))?
            };
            known.insert(new.external_id, user.clone());
            answers.push(user);
        }
        Ok(answers)
    }

    async fn user_by_external_id(&self, external_id: &str) -> Result<Option<User>, StoreError> {
        let filter = doc! { "external_id": external_id };
        retry_until_deadline(|| self.database.one::<UserDocument>(filter.clone())).await
    }

    async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        retry_until_deadline(|| self.database.one::<UserDocument>(doc! { "_id": id })).await
    }

    async fn user_by_pk(&self, pk: UserPk) -> Result<Option<User>, StoreError> {
        retry_until_deadline(|| self.database.one::<UserDocument>(doc! { "pk": pk })).await
    }

    async fn update_user(
        &self,
        id: UserId,
        profile: Profile,
        at: Timestamp,
        audit: Option<AuditRecord>,
    ) -> Result<Option<User>, StoreError> {
        self.update(id, profile, at, audit).await
    }

    async fn revoke_tokens(
        &self,
        id: UserId,
        before: Timestamp,
        audit: Option<AuditRecord>,
    ) -> Result<Option<(bool, User)>, StoreError> {
        let before = date(before);
        // `null` matches a user without the field as well.
        let earlier = [
            doc! { "revoked_before": null },
            doc! { "revoked_before": { "$lt": before } },
        ];
        let revocation = UpdateTx {
            collection: USERS,
            due: doc! { "_id": id, "$or": earlier },
            update: doc! { "$set": { "revoked_before": before } },
            audit,
        };
        let moved = self.database.transaction(revocation).await?;
        let after = self.user(id).await?;
        Ok(after.map(|user| (moved, user)))
    }

    async fn users_after(&self, after: UserPk, limit: usize) -> Result<Vec<User>, StoreError> {
        retry_until_deadline(|| {
            self.database.readable::<UserDocument>(Query {
                filter: doc! { "pk": { "$gt": after } },
                sort: doc! { "pk": 1 },
                limit,
                ..Query::default()
            })
        })
        .await
    }

    async fn users(&self, ids: &[UserId]) -> Result<Vec<Arc<User>>, StoreError> {
        let found = retry_until_deadline(|| self.users_by_id(ids.iter().copied())).await?;
        let of = |id| found.get(id).map(Arc::clone);
        Ok(ids.iter().filter_map(of).collect())
    }

    async fn unknown_users(&self, ids: &[UserId]) -> Result<Vec<UserId>, StoreError> {
        let found = retry_until_deadline(|| self.users_by_id(ids.iter().copied())).await?;
        let unknown = ids.iter().filter(|id| !found.contains_key(id));
        Ok(unknown.copied().collect())
    }
}

impl Mongo {
    /// Those of these users that exist, by their external ids.
    async fn by_external_id(&self, users: &[NewUser]) -> Result<HashMap<String, User>, StoreError> {
        let ids: Vec<_> = users.iter().map(|user| &*user.external_id).collect();
        let found = retry_until_deadline(|| {
            let query = Query::all(doc! { "external_id": { "$in": ids.clone() } });
            self.database.all::<UserDocument>(query)
        });
        let found = found.await?.into_iter();
        Ok(found.map(|user| (user.external_id.clone(), user)).collect())
    }

    /// Creates those that are not `known`, all in one transaction, and adds them there.
    async fn create_unknown(
        &self,
        users: &[NewUser],
        known: &mut HashMap<String, User>,
    ) -> Result<(), StoreError> {
        let mut seen = HashSet::new();
        let unknown = users.iter().filter(|user| {
            !known.contains_key(&user.external_id) && seen.insert(&*user.external_id)
        });
        let unknown: Vec<_> = unknown.cloned().collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let created = self.create(unknown).await?;
        known.extend(
            created
                .into_iter()
                .map(|user| (user.external_id.clone(), user)),
        );
        Ok(())
    }

    /// A user that was unknown before, while other calls create users concurrently.
    async fn create_or_find(&self, new: NewUser) -> Result<User, StoreError> {
        let filter = doc! { "external_id": &new.external_id };
        match self.create(vec![new]).await {
            Ok(created) => created.into_iter().next().ok_or(StoreError::Duplicate),
            Err(StoreError::Duplicate) => {
                let found =
                    retry_until_deadline(|| self.database.one::<UserDocument>(filter.clone()));
                found.await?.ok_or(StoreError::Duplicate)
            }
            Err(error) => Err(error),
        }
    }

    async fn create(&self, users: Vec<NewUser>) -> Result<Vec<User>, StoreError> {
        let pks: Vec<_> = users.iter().map(|user| user.pk).collect();
        let creation = CreateUsersTx(users);
        self.database.pk_transaction(&pks, creation).await
    }

    /// Those of these users that exist.
    pub(super) async fn users_by_id(
        &self,
        ids: impl Iterator<Item = UserId>,
    ) -> Result<HashMap<UserId, Arc<User>>, StoreError> {
        let ids: HashSet<_> = ids.collect();
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let ids: Vec<_> = ids.into_iter().collect();
        let query = Query::all(doc! { "_id": { "$in": ids } });
        let found = self.database.all::<UserDocument>(query).await?;
        self.known_users.add(found.iter().map(|user| user.id));
        let by_id = found.into_iter().map(|user| (user.id, Arc::new(user)));
        Ok(by_id.collect())
    }

    /// Updates a profile by compare-and-set: written only if the user is still as it was read.
    async fn update(
        &self,
        id: UserId,
        profile: Profile,
        at: Timestamp,
        audit: Option<AuditRecord>,
    ) -> Result<Option<User>, StoreError> {
        retry_until_deadline(|| async {
            loop {
                let Some(before) = self
                    .database
                    .one::<UserDocument>(doc! { "_id": id })
                    .await?
                else {
                    return Ok(None);
                };
                let mut user = before.clone();
                if !user.update(profile.clone(), at)
                    || self.replace(&before, &user, audit.clone()).await?
                {
                    return Ok(Some(user));
                }
            }
        })
        .await
    }

    /// Writes `user` where `before` stands; whether that still stood there.
    async fn replace(
        &self,
        before: &User,
        user: &User,
        audit: Option<AuditRecord>,
    ) -> Result<bool, StoreError> {
        let mut still = what_changes(before);
        still.insert("_id", before.id);
        still.insert("revoked_before", before.revoked_before.map(date));
        let set = doc! { "$set": what_changes(user) };
        // Without a record, which is usual, one write is enough.
        if audit.is_none() {
            let users = self.database.raw(USERS);
            return Ok(users.update_one(still, set).await?.matched_count > 0);
        }
        let replacement = UpdateTx {
            collection: USERS,
            due: still,
            update: set,
            audit,
        };
        self.database.transaction(replacement).await
    }
}

/// All of a user that a profile changes.
fn what_changes(user: &User) -> Document {
    doc! {
        "username": &user.username,
        "name": &user.name,
        "avatar": &user.avatar,
        "github": &user.github,
        "image_uuid": user.image_uuid.as_deref(),
        "modified_at": date(user.modified_at),
    }
}

/// Creates users with distinct external ids.
struct CreateUsersTx(Vec<NewUser>);

#[async_trait]
impl Transactional for CreateUsersTx {
    type Output = Vec<User>;

    async fn run(
        &self,
        database: &Database,
        session: &mut ClientSession,
    ) -> Result<Vec<User>, StoreError> {
        let pks: Vec<_> = self.0.iter().map(|new| new.pk).collect();
        let pks = database.assign(USERS, &pks, session).await?;
        let made = pks.into_iter().zip(self.0.iter().cloned());
        let made: Vec<_> = made.map(|(pk, new)| new.into_user(pk)).collect();
        let users = database.collection::<UserDocument>(USERS);
        let documents: Vec<_> = made.iter().cloned().map(UserDocument::from).collect();
        users.insert_many(documents).session(&mut *session).await?;
        let records = self.0.iter().zip(&made);
        let records: Vec<_> = records
            .filter_map(|(new, user)| Some(new.audit.as_ref()?.of_user(user.id, true)))
            .collect();
        database.record(&records, session).await?;
        Ok(made)
    }
}
