//! The mutes and the role reader of users that are no members, in SQLite: kept when a membership
//! ends, given back when one begins.
//! Does not begin or end memberships: `members` and `sanctions` do.

use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::rows::{Millisecond, mute};
use super::users;
use crate::model::{ChatId, ChatPk, MemberRights, MemberRole, UserId, UserPk};
use crate::store::StoreError;

/// Keeps what outlives a membership that is about to end.
pub(super) fn keep(
    transaction: &Transaction<'_>,
    chat: ChatId,
    user: UserId,
) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(
        "INSERT OR REPLACE INTO kept_rights (chat, user, role, muted, muted_until)
         SELECT chat, user, min(role, ?4), muted, muted_until FROM members
         WHERE chat = (SELECT pk FROM chats WHERE id = ?1)
           AND user = (SELECT pk FROM users WHERE id = ?2) AND (role = ?3 OR muted)",
    )?;
    let (reader, member) = (MemberRole::Reader, MemberRole::Member);
    statement.execute(params![chat, user, reader, member])?;
    Ok(())
}

/// Gives a new member what was kept for it.
pub(super) fn give_back(
    transaction: &Transaction<'_>,
    chat: ChatPk,
    user: UserPk,
) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(
        "UPDATE members SET role = kept.role, muted = kept.muted, muted_until = kept.muted_until
         FROM kept_rights AS kept
         WHERE members.chat = ?1 AND members.user = ?2 AND kept.chat = ?1 AND kept.user = ?2",
    )?;
    if statement.execute([chat, user])? > 0 {
        delete(transaction, chat, user)?;
    }
    Ok(())
}

/// Changes what is kept for a user that is no member. Returns whether that changed anything: nothing
/// without such a chat, or for a member. `Corrupt`: there is no such user.
pub(super) fn change(
    transaction: &Transaction<'_>,
    chat: ChatId,
    user: UserId,
    change: impl FnOnce(&mut MemberRights),
) -> Result<bool, StoreError> {
    let mut statement = transaction.prepare_cached("SELECT pk FROM chats WHERE id = ?1")?;
    let Some(chat) = statement.query_row([chat], |row| row.get(0)).optional()? else {
        return Ok(false);
    };
    let Some(known) = users::by_id(transaction, user)? else {
        return Err(StoreError::Corrupt(format!("no user {user} to sanction")));
    };
    let mut statement =
        transaction.prepare_cached("SELECT 1 FROM members WHERE chat = ?1 AND user = ?2")?;
    if statement.exists([chat, known.pk])? {
        return Ok(false);
    }
    let found = of_user(transaction, chat, known.pk)?;
    let mut rights = found.unwrap_or(MemberRights::of_new_member(user));
    change(&mut rights);
    match rights.kept() {
        Some(kept) => put(transaction, chat, known.pk, kept),
        None => delete(transaction, chat, known.pk),
    }
    .map_err(StoreError::from)
}

/// What is kept of a chat, by the user's id.
pub(super) fn of_chat(
    transaction: &Transaction<'_>,
    chat: ChatPk,
) -> rusqlite::Result<Vec<MemberRights>> {
    let mut statement = transaction.prepare_cached(
        "SELECT users.id, role, muted, muted_until FROM kept_rights JOIN users ON users.pk = user
         WHERE chat = ?1 ORDER BY users.id",
    )?;
    let kept = statement.query_map([chat], rights)?;
    kept.collect()
}

/// Keeps this for a user, in place of what was kept. Returns whether that is something else.
pub(super) fn put(
    transaction: &Transaction<'_>,
    chat: ChatPk,
    user: UserPk,
    kept: MemberRights,
) -> rusqlite::Result<bool> {
    let mut statement = transaction.prepare_cached(
        "INSERT INTO kept_rights (chat, user, role, muted, muted_until) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (chat, user) DO UPDATE
         SET role = excluded.role, muted = excluded.muted, muted_until = excluded.muted_until
         WHERE kept_rights.role <> excluded.role OR kept_rights.muted <> excluded.muted
            OR kept_rights.muted_until IS NOT excluded.muted_until",
    )?;
    let MemberRights { role, mute, .. } = kept;
    let until = mute.and_then(|mute| mute.until).map(Millisecond);
    Ok(statement.execute(params![chat, user, role, mute.is_some(), until])? > 0)
}

fn of_user(
    transaction: &Transaction<'_>,
    chat: ChatPk,
    user: UserPk,
) -> rusqlite::Result<Option<MemberRights>> {
    let mut statement = transaction.prepare_cached(
        "SELECT users.id, role, muted, muted_until FROM kept_rights JOIN users ON users.pk = user
         WHERE chat = ?1 AND user = ?2",
    )?;
    statement.query_row([chat, user], rights).optional()
}

fn delete(transaction: &Transaction<'_>, chat: ChatPk, user: UserPk) -> rusqlite::Result<bool> {
    let mut statement =
        transaction.prepare_cached("DELETE FROM kept_rights WHERE chat = ?1 AND user = ?2")?;
    Ok(statement.execute([chat, user])? > 0)
}

fn rights(row: &Row<'_>) -> rusqlite::Result<MemberRights> {
    Ok(MemberRights {
        user: row.get(0)?,
        role: row.get(1)?,
        mute: mute(row, 2)?,
    })
}
