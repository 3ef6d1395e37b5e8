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
use super::transaction::Transactional;
use crate::model::{NewUser, Profile, User, UserId, UserPk};
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
    async fn find_or_create_user(&self, user: NewUser) -> Result<User, StoreError> {
        let known = doc! { "external_id": &user.external_id };
        // A user that another call creates concurrently is found by the second attempt.
        for _ in 0..2 {
            let found =
                retry_until_deadline(|| self.database.one::<UserDocument>(known.clone())).await?;
            if let Some(found) = found {
                // Mostly it is as it should be.
                let (profile, at) = (user.profile.clone(), user.at);
                if !found.clone().update(profile.clone(), at) {
                    return Ok(found);
                }
                let updated = self.update(found.id, profile, at).await?;
                return updated.ok_or_else(|| corrupt(format!("no user {} any more", found.id)));
            }
            match self
                .database
                .pk_transaction(CreateUserTx(user.clone()))
                .await
            {
                Err(StoreError::Duplicate) => {}
                made => return made,
            }
        }
        Err(StoreError::Duplicate)
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
    ) -> Result<Option<User>, StoreError> {
        self.update(id, profile, at).await
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
                if !user.update(profile.clone(), at) || self.replace(&before, &user).await? {
                    return Ok(Some(user));
                }
            }
        })
        .await
    }

    /// Writes `user` where `before` stands; whether that still stood there.
    async fn replace(&self, before: &User, user: &User) -> Result<bool, StoreError> {
        let mut still = what_changes(before);
        still.insert("_id", before.id);
        let users = self.database.raw(USERS);
        let set = doc! { "$set": what_changes(user) };
        Ok(users.update_one(still, set).await?.matched_count > 0)
    }
}

/// All of a user that ever changes.
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

/// Creates a user.
struct CreateUserTx(NewUser);

#[async_trait]
impl Transactional for CreateUserTx {
    type Output = User;

    async fn run(
        &self,
        database: &Database,
        session: &mut ClientSession,
    ) -> Result<User, StoreError> {
        let pk = database.next_pk(USERS, session).await?;
        let user = self.0.clone().into_user(pk);
        let users = database.collection::<UserDocument>(USERS);
        let document = UserDocument::from(user.clone());
        users.insert_one(document).session(session).await?;
        Ok(user)
    }
}
