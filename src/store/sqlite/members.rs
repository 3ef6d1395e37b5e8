//! Members and their read positions in SQLite.
//! Does not know anything about them beyond the contract in `store`.

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{OptionalExtension, Transaction, params};

use super::chats::{by_id, touch};
use super::{Sqlite, audit, kept_rights, limits, users};
use crate::model::{
    AuditRecord, Chat, ChatId, ChatPk, MemberLimits, Reads, Seq, User, UserId, UserPk,
};
use crate::store::{Full, Members, StoreError};

#[async_trait]
impl Members for Sqlite {
    async fn add_member_within(
        &self,
        chat: ChatId,
        user: UserId,
        read: Seq,
        at: Timestamp,
        limits: MemberLimits,
        audit: Option<AuditRecord>,
    ) -> Result<Option<(bool, Chat)>, StoreError> {
        self.write(move |transaction| {
            let Some(found) = by_id(transaction, chat)? else {
                return Ok(None);
            };
            let Some(member) = users::by_id(transaction, user)? else {
                return Err(StoreError::Corrupt(format!("no user {user} to add")));
            };
            let mut statement = transaction.prepare_cached(
                "INSERT INTO members (chat, place, user, since)
                 SELECT ?1, coalesce(max(place), -1) + 1, ?2, ?3 FROM members WHERE chat = ?1
                 ON CONFLICT (user, chat) DO NOTHING",
            )?;
            let fresh = statement.execute([found.pk, member.pk, found.head])? > 0;
            if fresh {
                judge(transaction, &found, &member, limits)?;
                kept_rights::give_back(transaction, found.pk, member.pk)?;
            }
            advance(transaction, found.pk, member.pk, read.min(found.head))?;
            afterwards(transaction, chat, fresh, at, audit.as_ref())
        })
        .await
    }

    async fn remove_member(
        &self,
        chat: ChatId,
        user: UserId,
        at: Timestamp,
        audit: Option<AuditRecord>,
    ) -> Result<Option<(bool, Chat)>, StoreError> {
        self.write(move |transaction| {
            let removed = remove(transaction, chat, user)?;
            afterwards(transaction, chat, removed, at, audit.as_ref())
        })
        .await
    }

    async fn advance_read(
        &self,
        chat: ChatId,
        user: UserId,
        read: Seq,
    ) -> Result<Option<bool>, StoreError> {
        self.write(move |transaction| {
            let mut statement = transaction.prepare_cached(
                "SELECT chats.pk, users.pk, head FROM users
                 JOIN members ON members.user = users.pk JOIN chats ON chats.pk = members.chat
                 WHERE users.id = ?2 AND chats.id = ?1",
            )?;
            let found = statement.query_row(params![chat, user], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get::<_, Seq>(2)?))
            });
            let Some((chat, user, head)) = found.optional()? else {
                return Ok(None);
            };
            Ok(Some(advance(transaction, chat, user, read.min(head))?))
        })
        .await
    }

    async fn reads(&self, chat: ChatId) -> Result<Reads, StoreError> {
        self.read(move |transaction| {
            let mut statement = transaction.prepare_cached(
                "SELECT users.id, last_read FROM members JOIN users ON users.pk = user
                 WHERE chat = (SELECT pk FROM chats WHERE id = ?1)",
            )?;
            let rows = statement.query_map([chat], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let positions: Vec<(UserId, Seq)> = rows.collect::<Result<_, _>>()?;
            Ok(Reads::new(positions))
        })
        .await
    }
}

/// Refuses a new member of this chat, which is as it was before, if a limit does not allow it.
fn judge(
    transaction: &Transaction<'_>,
    before: &Chat,
    member: &User,
    limits: MemberLimits,
) -> Result<(), StoreError> {
    if before.members.len() >= limits.members {
        return Err(StoreError::Full(Full::Chat));
    }
    // Its owner has it already.
    let counts = before.owner != Some(member.pk);
    limits::judge(transaction, counts.then_some(member.id), limits)
}

/// Moves a member's read position forward to `read`. Returns whether it moved.
pub(super) fn advance(
    transaction: &Transaction<'_>,
    chat: ChatPk,
    user: UserPk,
    read: Seq,
) -> rusqlite::Result<bool> {
    let mut statement = transaction.prepare_cached(
        "UPDATE members SET last_read = ?3 WHERE chat = ?1 AND user = ?2 AND last_read < ?3",
    )?;
    Ok(statement.execute([chat, user, read])? > 0)
}

/// The same of a member that has sent this message, unless the position was imported with those up to it.
pub(super) fn advance_by_sending(
    transaction: &Transaction<'_>,
    chat: ChatPk,
    user: UserPk,
    sent: Seq,
) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(
        "UPDATE members SET last_read = ?3
         WHERE chat = ?1 AND user = ?2 AND last_read < ?3 AND since < ?3",
    )?;
    statement.execute([chat, user, sent])?;
    Ok(())
}

/// Ends a membership, and keeps what outlives it. Returns whether there was one.
pub(super) fn remove(
    transaction: &Transaction<'_>,
    chat: ChatId,
    user: UserId,
) -> rusqlite::Result<bool> {
    kept_rights::keep(transaction, chat, user)?;
    let mut statement = transaction.prepare_cached(
        "DELETE FROM members WHERE chat = (SELECT pk FROM chats WHERE id = ?1)
                               AND user = (SELECT pk FROM users WHERE id = ?2)",
    )?;
    Ok(statement.execute(params![chat, user])? > 0)
}

/// Counts a change of the members of a chat, or of their rights.
pub(super) fn count_change(transaction: &Transaction<'_>, chat: ChatId) -> rusqlite::Result<()> {
    let mut statement = transaction
        .prepare_cached("UPDATE chats SET members_version = members_version + 1 WHERE id = ?1")?;
    statement.execute([chat])?;
    Ok(())
}

/// The chat after a membership may have changed.
fn afterwards(
    transaction: &Transaction<'_>,
    chat: ChatId,
    changed: bool,
    at: Timestamp,
    audit: Option<&AuditRecord>,
) -> Result<Option<(bool, Chat)>, StoreError> {
    if changed {
        touch(transaction, chat, at)?;
        count_change(transaction, chat)?;
        audit::record(transaction, audit)?;
    }
    let chat = by_id(transaction, chat)?;
    Ok(chat.map(|chat| (changed, chat)))
}
