//! The limit of the chats of a user, judged in the transaction that adds one.
//! Does not know the limit of the members of a chat.

use rusqlite::{Transaction, params};

use crate::model::{MemberLimits, UserId};
use crate::store::{Full, StoreError};

/// Refuses if one of these users has more chats than it may have, with what this transaction has
/// added.
pub(super) fn judge(
    transaction: &Transaction<'_>,
    users: impl IntoIterator<Item = UserId>,
    limits: MemberLimits,
) -> Result<(), StoreError> {
    for user in users {
        if let Some(most) = limits.chats_of(user)
            && has_so_many(transaction, user, most.saturating_add(1))?
        {
            return Err(StoreError::Full(Full::User(user)));
        }
    }
    Ok(())
}

/// Whether the user is a member or the owner of so many chats at least. No more is counted than
/// has to be known.
pub(super) fn has_so_many(
    transaction: &Transaction<'_>,
    user: UserId,
    chats: usize,
) -> rusqlite::Result<bool> {
    let mut statement = transaction.prepare_cached(
        "SELECT count(*) FROM (
             SELECT 1 FROM members WHERE user = (SELECT pk FROM users WHERE id = ?1)
             UNION ALL
             SELECT 1 FROM chats WHERE owner = (SELECT pk FROM users WHERE id = ?1)
               AND NOT EXISTS (SELECT 1 FROM members WHERE user = owner AND chat = chats.pk)
             LIMIT ?2)",
    )?;
    let chats = i64::try_from(chats).unwrap_or(i64::MAX);
    let counted: i64 = statement.query_row(params![user, chats], |row| row.get(0))?;
    Ok(counted >= chats)
}
