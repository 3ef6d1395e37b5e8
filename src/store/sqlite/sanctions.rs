//! Roles, mutes and bans in SQLite.
//! Does not know anything about them beyond the contract in `store`.

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{OptionalExtension, Transaction, params};

use super::chats::{by_id, touch};
use super::members::{count_change, remove};
use super::rows::{Millisecond, mute};
use super::{Sqlite, audit, kept_rights, users};
use crate::model::{
    AuditRecord, Ban, Chat, ChatId, ChatPk, ChatRights, MemberRights, MemberRole, Policy, Sanction,
    UserId,
};
use crate::store::sanctions::recorded;
use crate::store::{BanOutcome, PAGE_MEMBERS, Sanctions, StoreError};

#[async_trait]
impl Sanctions for Sqlite {
    async fn chat_rights(&self, chat: ChatId) -> Result<Option<ChatRights>, StoreError> {
        self.read(move |transaction| rights(transaction, chat))
            .await
    }

    async fn is_visible(&self, chat: ChatId, user: UserId) -> Result<bool, StoreError> {
        self.read(move |transaction| {
            let mut statement = transaction.prepare_cached(
                "SELECT 1 FROM chats WHERE id = ?1 AND (policy = ?3 OR EXISTS (
                     SELECT 1 FROM members JOIN users ON users.pk = user
                     WHERE users.id = ?2 AND chat = chats.pk))",
            )?;
            Ok(statement.exists(params![chat, user, Policy::Open])?)
        })
        .await
    }

    async fn rights_of(&self, chats: &[ChatId]) -> Result<Vec<Option<ChatRights>>, StoreError> {
        let chats = chats.to_vec();
        self.read(move |transaction| {
            let (mut found, mut members) = (Vec::with_capacity(chats.len()), 0);
            for chat in chats {
                let rights = rights(transaction, chat)?;
                members += rights.as_ref().map_or(0, |rights| rights.members.len());
                found.push(rights);
                if members > PAGE_MEMBERS {
                    break;
                }
            }
            Ok(found)
        })
        .await
    }

    async fn set_role(
        &self,
        chat: ChatId,
        user: UserId,
        role: MemberRole,
        audit: Option<AuditRecord>,
    ) -> Result<Option<(bool, Chat)>, StoreError> {
        self.write(move |transaction| {
            let mut statement = transaction.prepare_cached(
                "UPDATE members SET role = ?3
                 WHERE chat = (SELECT pk FROM chats WHERE id = ?1)
                   AND user = (SELECT pk FROM users WHERE id = ?2) AND role <> ?3",
            )?;
            let changed = statement.execute(params![chat, user, role])? > 0
                || kept_rights::change(transaction, chat, user, |kept| kept.role = role)?;
            afterwards(transaction, chat, changed, audit.as_ref())
        })
        .await
    }

    async fn set_mute(
        &self,
        chat: ChatId,
        user: UserId,
        mute: Option<Sanction>,
        audit: Option<AuditRecord>,
    ) -> Result<Option<(bool, Chat)>, StoreError> {
        self.write(move |transaction| {
            let lifted = match mute {
                Some(_) => None,
                None => mute_of(transaction, chat, user)?,
            };
            let mut statement = transaction.prepare_cached(
                "UPDATE members SET muted = ?3, muted_until = ?4
                 WHERE chat = (SELECT pk FROM chats WHERE id = ?1)
                   AND user = (SELECT pk FROM users WHERE id = ?2)
                   AND (muted <> ?3 OR muted_until IS NOT ?4)",
            )?;
            let until = mute.and_then(|mute| mute.until).map(Millisecond);
            let changed = statement.execute(params![chat, user, mute.is_some(), until])? > 0
                || kept_rights::change(transaction, chat, user, |kept| kept.mute = mute)?;
            afterwards(transaction, chat, changed, recorded(audit.as_ref(), lifted))
        })
        .await
    }

    async fn set_ban(
        &self,
        chat: ChatId,
        user: UserId,
        ban: Option<Sanction>,
        at: Timestamp,
        audit: Option<AuditRecord>,
    ) -> Result<Option<BanOutcome>, StoreError> {
        self.write(move |transaction| {
            let Some(found) = by_id(transaction, chat)? else {
                return Ok(None);
            };
            let Some(banned) = users::by_id(transaction, user)? else {
                return Err(StoreError::Corrupt(format!("no user {user} to ban")));
            };
            let (changed, lifted) = replace_ban(transaction, found.pk, banned.pk, ban)?;
            let removed = ban.is_some() && remove(transaction, chat, user)?;
            if removed {
                touch(transaction, chat, at)?;
            }
            let changed = changed || removed;
            let audit = recorded(audit.as_ref(), lifted);
            let outcome = afterwards(transaction, chat, changed, audit)?;
            Ok(outcome.map(|(changed, chat)| BanOutcome {
                changed,
                removed,
                chat,
            }))
        })
        .await
    }
}

/// The mute of a member, or of a user that is none.
fn mute_of(
    transaction: &Transaction<'_>,
    chat: ChatId,
    user: UserId,
) -> rusqlite::Result<Option<Sanction>> {
    let mut statement = transaction.prepare_cached(
        "WITH place (chat, user) AS (
             SELECT chats.pk, users.pk FROM chats, users WHERE chats.id = ?1 AND users.id = ?2)
         SELECT muted, muted_until FROM members JOIN place USING (chat, user)
         UNION ALL SELECT muted, muted_until FROM kept_rights JOIN place USING (chat, user)",
    )?;
    let found = statement.query_row(params![chat, user], |row| mute(row, 0));
    Ok(found.optional()?.flatten())
}

/// Replaces or lifts a ban. Returns whether that changed anything, and the ban that is lifted.
fn replace_ban(
    transaction: &Transaction<'_>,
    chat: ChatPk,
    user: i64,
    ban: Option<Sanction>,
) -> rusqlite::Result<(bool, Option<Sanction>)> {
    let Some(Sanction { until }) = ban else {
        let mut statement = transaction
            .prepare_cached("DELETE FROM bans WHERE chat = ?1 AND user = ?2 RETURNING until")?;
        let lifted = statement.query_row([chat, user], |row| {
            let until = row.get::<_, Option<Millisecond>>(0)?;
            let until = until.map(|until| until.0);
            Ok(Sanction { until })
        });
        let lifted = lifted.optional()?;
        return Ok((lifted.is_some(), lifted));
    };
    let mut statement = transaction.prepare_cached(
        "INSERT INTO bans (chat, user, until) VALUES (?1, ?2, ?3)
         ON CONFLICT (chat, user) DO UPDATE SET until = excluded.until
         WHERE bans.until IS NOT excluded.until",
    )?;
    let until = until.map(Millisecond);
    let changed = statement.execute(params![chat, user, until])? > 0;
    Ok((changed, None))
}

/// The chat after rights may have changed.
fn afterwards(
    transaction: &Transaction<'_>,
    chat: ChatId,
    changed: bool,
    audit: Option<&AuditRecord>,
) -> Result<Option<(bool, Chat)>, StoreError> {
    if changed {
        count_change(transaction, chat)?;
        audit::record(transaction, audit)?;
    }
    let chat = by_id(transaction, chat)?;
    Ok(chat.map(|chat| (changed, chat)))
}

fn rights(transaction: &Transaction<'_>, chat: ChatId) -> Result<Option<ChatRights>, StoreError> {
    let mut statement = transaction.prepare_cached(
        "SELECT chats.pk, policy, users.id, event, members_version
         FROM chats LEFT JOIN users ON users.pk = owner WHERE chats.id = ?1",
    )?;
    let found = statement.query_row([chat], |row| {
        Ok(ChatRights {
            chat,
            pk: row.get(0)?,
            policy: row.get(1)?,
            creator: row.get(2)?,
            event: row.get(3)?,
            version: row.get(4)?,
            members: Vec::new(),
            bans: Vec::new(),
        })
    });
    let Some(mut rights) = found.optional()? else {
        return Ok(None);
    };
    let mut statement = transaction.prepare_cached(
        "SELECT users.id, role, muted, muted_until FROM members JOIN users ON users.pk = user
         WHERE chat = ?1 ORDER BY place",
    )?;
    let members = statement.query_map([rights.pk], |row| {
        Ok(MemberRights {
            user: row.get(0)?,
            role: row.get(1)?,
            mute: mute(row, 2)?,
        })
    })?;
    rights.members = members.collect::<Result<_, _>>()?;
    rights.bans = bans(transaction, rights.pk)?;
    Ok(Some(rights))
}

/// The bans of a chat, by the user's id.
pub(super) fn bans(transaction: &Transaction<'_>, chat: ChatPk) -> rusqlite::Result<Vec<Ban>> {
    let mut statement = transaction.prepare_cached(
        "SELECT users.id, until FROM bans JOIN users ON users.pk = user
         WHERE chat = ?1 ORDER BY users.id",
    )?;
    let bans = statement.query_map([chat], |row| {
        let until = row.get::<_, Option<Millisecond>>(1)?;
        Ok(Ban {
            user: row.get(0)?,
            sanction: Sanction {
                until: until.map(|until| until.0),
            },
        })
    })?;
    bans.collect()
}
