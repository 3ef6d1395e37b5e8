//! Users in SQLite.
//! Does not know anything about them beyond the contract in `store`.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::rows::Millisecond;
use super::{Sqlite, audit, numbers};
use crate::model::{AuditRecord, NewUser, Profile, User, UserId, UserPk};
use crate::store::{StoreError, Users};

const COLUMNS: &str = "id, pk, external_id, username, name, avatar, github, image_uuid, created_at, modified_at, \
     revoked_before";

#[async_trait]
impl Users for Sqlite {
    async fn find_or_create_users(&self, users: Vec<NewUser>) -> Result<Vec<User>, StoreError> {
        self.write(move |transaction| {
            let users = users.into_iter();
            users.map(|new| find_or_create(transaction, new)).collect()
        })
        .await
    }

    async fn user_by_external_id(&self, external_id: &str) -> Result<Option<User>, StoreError> {
        let external_id = external_id.to_owned();
        self.read(move |transaction| by_external_id(transaction, &external_id))
            .await
    }

    async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        self.read(move |transaction| Ok(by_id(transaction, id)?))
            .await
    }

    async fn user_by_pk(&self, pk: UserPk) -> Result<Option<User>, StoreError> {
        self.read(move |transaction| Ok(by_pk(transaction, pk).optional()?))
            .await
    }

    async fn update_user(
        &self,
        id: UserId,
        profile: Profile,
        at: Timestamp,
        audit: Option<AuditRecord>,
    ) -> Result<Option<User>, StoreError> {
        self.write(move |transaction| {
            let mut found = by_id(transaction, id)?;
            if let Some(user) = &mut found
                && user.update(profile, at)
            {
                update(transaction, user)?;
                audit::record(transaction, audit.as_ref())?;
            }
            Ok(found)
        })
        .await
    }

    async fn revoke_tokens(
        &self,
        id: UserId,
        before: Timestamp,
        audit: Option<AuditRecord>,
    ) -> Result<Option<(bool, User)>, StoreError> {
        self.write(move |transaction| {
            let mut statement = transaction.prepare_cached(
                "UPDATE users SET revoked_before = ?2
                 WHERE id = ?1 AND coalesce(revoked_before < ?2, true)",
            )?;
            let moved = statement.execute(params![id, Millisecond(before)])? > 0;
            if moved {
                audit::record(transaction, audit.as_ref())?;
            }
            Ok(by_id(transaction, id)?.map(|user| (moved, user)))
        })
        .await
    }

    async fn users_after(&self, after: UserPk, limit: usize) -> Result<Vec<User>, StoreError> {
        self.read(move |transaction| {
            let select = format!("SELECT {COLUMNS} FROM users WHERE pk > ?1 ORDER BY pk LIMIT ?2");
            let mut statement = transaction.prepare_cached(&select)?;
            let users = statement.query_map(params![after, limit], user)?;
            Ok(users.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn users(&self, ids: &[UserId]) -> Result<Vec<Arc<User>>, StoreError> {
        let ids = ids.to_vec();
        self.read(move |transaction| {
            let find = |id| by_id(transaction, id);
            let found = ids.into_iter().map(find).collect::<Result<Vec<_>, _>>()?;
            Ok(found.into_iter().flatten().map(Arc::new).collect())
        })
        .await
    }

    async fn unknown_users(&self, ids: &[UserId]) -> Result<Vec<UserId>, StoreError> {
        let mut unknown = ids.to_vec();
        self.read(move |transaction| {
            let mut statement = transaction.prepare_cached("SELECT 1 FROM users WHERE id = ?1")?;
            let mut failure = None;
            unknown.retain(|id| match statement.exists([id]) {
                Ok(exists) => !exists,
                Err(error) => {
                    failure = Some(error);
                    true
                }
            });
            failure.map_or(Ok(unknown), |error| Err(error.into()))
        })
        .await
    }
}

/// The user with this number, which stands in another table.
pub(super) fn by_pk(transaction: &Transaction<'_>, pk: UserPk) -> rusqlite::Result<User> {
    let select = format!("SELECT {COLUMNS} FROM users WHERE pk = ?1");
    transaction.prepare_cached(&select)?.query_row([pk], user)
}

/// The user with this id; `None`: there is none.
pub(super) fn by_id(transaction: &Transaction<'_>, id: UserId) -> rusqlite::Result<Option<User>> {
    let select = format!("SELECT {COLUMNS} FROM users WHERE id = ?1");
    let mut statement = transaction.prepare_cached(&select)?;
    statement.query_row([id], user).optional()
}

fn find_or_create(transaction: &Transaction<'_>, mut new: NewUser) -> Result<User, StoreError> {
    let audit = new.audit.take();
    let record = |user: &User, is_new| {
        let record = audit.map(|record| record.of_user(user.id, is_new));
        audit::record(transaction, record.as_ref())
    };
    match by_external_id(transaction, &new.external_id)? {
        None => {
            let user = insert(transaction, new)?;
            record(&user, true)?;
            Ok(user)
        }
        Some(mut user) => {
            if user.update(new.profile, new.at) {
                update(transaction, &user)?;
                record(&user, false)?;
            }
            Ok(user)
        }
    }
}

fn by_external_id(
    transaction: &Transaction<'_>,
    external_id: &str,
) -> Result<Option<User>, StoreError> {
    let select = format!("SELECT {COLUMNS} FROM users WHERE external_id = ?1");
    let mut statement = transaction.prepare_cached(&select)?;
    Ok(statement.query_row([external_id], user).optional()?)
}

fn insert(transaction: &Transaction<'_>, new: NewUser) -> Result<User, StoreError> {
    let pk = numbers::assign(transaction, numbers::USERS, new.pk)?;
    let user = new.into_user(pk);
    let mut statement = transaction.prepare_cached(
        "INSERT INTO users (pk, id, external_id, username, name, avatar, github, image_uuid,
                            created_at, modified_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?;
    statement.execute(params![
        user.pk,
        user.id,
        user.external_id,
        user.username,
        user.name,
        user.avatar,
        user.github,
        user.image_uuid,
        Millisecond(user.created_at),
        Millisecond(user.modified_at),
    ])?;
    Ok(user)
}

fn update(transaction: &Transaction<'_>, user: &User) -> Result<(), StoreError> {
    let mut statement = transaction.prepare_cached(
        "UPDATE users SET username = ?2, name = ?3, avatar = ?4, github = ?5, image_uuid = ?6,
                          modified_at = ?7
         WHERE pk = ?1",
    )?;
    statement.execute(params![
        user.pk,
        user.username,
        user.name,
        user.avatar,
        user.github,
        user.image_uuid,
        Millisecond(user.modified_at),
    ])?;
    Ok(())
}

fn user(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        id: row.get(0)?,
        pk: row.get(1)?,
        external_id: row.get(2)?,
        username: row.get(3)?,
        name: row.get(4)?,
        avatar: row.get(5)?,
        github: row.get(6)?,
        image_uuid: row.get(7)?,
        created_at: row.get::<_, Millisecond>(8)?.0,
        modified_at: row.get::<_, Millisecond>(9)?.0,
        revoked_before: row
            .get::<_, Option<Millisecond>>(10)?
            .map(|before| before.0),
    })
}
