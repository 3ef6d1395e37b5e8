//! Chats and their members in SQLite.
//! Does not know anything about them beyond the contract in `store`.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::lists::{self, COLUMNS, chat, collect, with_members};
use super::rows::{Millisecond, taken};
use super::{Sqlite, audit, limits, numbers, sweep};
use crate::model::{
    AuditRecord, Chat, ChatChange, ChatCursor, ChatId, ChatMark, ChatPage, ChatPk, Fingerprint,
    MemberLimits, MembersVersion, NewChat, Seq, UserId, VisibleCursor, VisiblePage,
};
use crate::store::{Chats, StoreError};

#[async_trait]
impl Chats for Sqlite {
    async fn create_chat_within(
        &self,
        new: NewChat,
        limits: MemberLimits,
    ) -> Result<Chat, StoreError> {
        self.write(move |transaction| insert(transaction, &new, limits))
            .await
    }

    async fn chat(&self, id: ChatId) -> Result<Option<Chat>, StoreError> {
        self.read(move |transaction| by_id(transaction, id)).await
    }

    async fn chat_id(&self, pk: ChatPk) -> Result<Option<ChatId>, StoreError> {
        self.read(move |transaction| {
            let mut statement =
                transaction.prepare_cached("SELECT id FROM chats WHERE pk = ?1 AND deleted = 0")?;
            Ok(statement.query_row([pk], |row| row.get(0)).optional()?)
        })
        .await
    }

    async fn chat_ids(&self, pks: &[ChatPk]) -> Result<Vec<Option<ChatId>>, StoreError> {
        let pks = pks.to_vec();
        self.read(move |transaction| {
            let mut statement =
                transaction.prepare_cached("SELECT id FROM chats WHERE pk = ?1 AND deleted = 0")?;
            let id = |pk| statement.query_row([pk], |row| row.get(0)).optional();
            Ok(pks.into_iter().map(id).collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn chats_by_external_id(
        &self,
        names: &[Arc<str>],
    ) -> Result<Vec<Option<ChatId>>, StoreError> {
        let names = names.to_vec();
        self.read(move |transaction| {
            let mut statement =
                transaction.prepare_cached("SELECT id FROM chats WHERE external_id = ?1")?;
            let id = |name| statement.query_row([name], |row| row.get(0)).optional();
            Ok(names.into_iter().map(id).collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn chat_by_key(&self, name: &str) -> Result<Option<(Chat, Fingerprint)>, StoreError> {
        let name = name.to_owned();
        self.read(move |transaction| {
            let mut statement = transaction
                .prepare_cached("SELECT id, key_content FROM chats WHERE key_name = ?1")?;
            let found = statement.query_row([name], |row| Ok((row.get(0)?, row.get(1)?)));
            let Some((id, content)) = found.optional()? else {
                return Ok(None);
            };
            Ok(by_id(transaction, id)?.map(|chat| (chat, content)))
        })
        .await
    }

    async fn chats_after(&self, after: ChatPk, limit: usize) -> Result<Vec<Chat>, StoreError> {
        self.read(move |transaction| {
            let select = format!(
                "SELECT {COLUMNS} FROM chats WHERE pk > ?1 AND deleted = 0 ORDER BY pk LIMIT ?2"
            );
            let mut statement = transaction.prepare_cached(&select)?;
            collect(
                transaction,
                statement.query_map(params![after, limit], chat)?,
            )
        })
        .await
    }

    async fn visible_chats(
        &self,
        user: UserId,
        at: Timestamp,
        before: Option<VisibleCursor>,
        limit: usize,
    ) -> Result<VisiblePage, StoreError> {
        self.read(move |transaction| lists::visible(transaction, user, at, before, limit))
            .await
    }

    async fn change_chat(
        &self,
        id: ChatId,
        change: ChatChange,
        at: Timestamp,
        audit: Option<AuditRecord>,
    ) -> Result<Option<Chat>, StoreError> {
        self.write(move |transaction| {
            let mut statement = transaction.prepare_cached(
                "UPDATE chats SET name = coalesce(?2, name), team = iif(?3, ?4, team),
                                  policy = coalesce(?5, policy),
                                  members_version = members_version + (policy IS NOT coalesce(?5, policy))
                 WHERE id = ?1 AND (name IS NOT coalesce(?2, name)
                                    OR team IS NOT iif(?3, ?4, team)
                                    OR policy IS NOT coalesce(?5, policy))",
            )?;
            let ChatChange { name, team, policy } = change;
            let (changes_team, team) = (team.is_some(), team.flatten());
            if statement.execute(params![id, name, changes_team, team, policy])? > 0 {
                audit::record(transaction, audit.as_ref())?;
            }
            touch(transaction, id, at)?;
            by_id(transaction, id)
        })
        .await
    }

    async fn delete_chat(
        &self,
        id: ChatId,
        audit: Option<AuditRecord>,
    ) -> Result<bool, StoreError> {
        self.write(move |transaction| {
            let deleted = delete(transaction, id)?;
            if deleted {
                audit::record(transaction, audit.as_ref())?;
            }
            Ok(deleted)
        })
        .await
    }

    async fn chats_of(
        &self,
        user: UserId,
        before: Option<ChatCursor>,
        limit: usize,
    ) -> Result<ChatPage, StoreError> {
        self.read(move |transaction| lists::page(transaction, user, before, limit))
            .await
    }

    async fn memberships_of(
        &self,
        user: UserId,
    ) -> Result<Vec<(ChatId, MembersVersion)>, StoreError> {
        self.read(move |transaction| {
            let mut statement = transaction.prepare_cached(
                "SELECT chats.id, members_version FROM users
                 JOIN members ON members.user = users.pk JOIN chats ON chats.pk = members.chat
                 WHERE users.id = ?1",
            )?;
            let memberships = statement.query_map([user], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(memberships.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn joined_at(
        &self,
        chat: ChatId,
        users: &[UserId],
    ) -> Result<Vec<Option<Seq>>, StoreError> {
        let users = users.to_vec();
        self.read(move |transaction| {
            let mut statement = transaction.prepare_cached(
                "SELECT since FROM users
                 JOIN members ON members.user = users.pk JOIN chats ON chats.pk = members.chat
                 WHERE users.id = ?2 AND chats.id = ?1",
            )?;
            let since = users.iter().map(|user| {
                let since = statement.query_row(params![chat, user], |row| row.get(0));
                since.optional()
            });
            Ok(since.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn members_version(&self, chat: ChatId) -> Result<Option<MembersVersion>, StoreError> {
        self.read(move |transaction| {
            let mut statement =
                transaction.prepare_cached("SELECT members_version FROM chats WHERE id = ?1")?;
            Ok(statement.query_row([chat], |row| row.get(0)).optional()?)
        })
        .await
    }

    async fn marks(&self, chats: &[ChatId]) -> Result<Vec<Option<ChatMark>>, StoreError> {
        let chats = chats.to_vec();
        self.read(move |transaction| {
            let mut statement = transaction.prepare_cached(
                "SELECT members_version, event IS NOT NULL, modified_at FROM chats WHERE id = ?1",
            )?;
            let mark = |row: &Row<'_>| {
                Ok(ChatMark {
                    members_version: row.get(0)?,
                    of_event: row.get(1)?,
                    modified_at: row.get::<_, Millisecond>(2)?.0,
                })
            };
            let marks = chats
                .iter()
                .map(|chat| statement.query_row([chat], mark).optional());
            Ok(marks.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn users_in_many_chats(
        &self,
        users: &[UserId],
        chats: usize,
    ) -> Result<Vec<UserId>, StoreError> {
        let users = users.to_vec();
        self.read(move |transaction| {
            let mut many = Vec::new();
            for user in users {
                if limits::has_so_many(transaction, user, chats)? {
                    many.push(user);
                }
            }
            Ok(many)
        })
        .await
    }

    async fn heads(&self, chats: &[ChatId]) -> Result<Vec<Seq>, StoreError> {
        let chats = chats.to_vec();
        self.read(move |transaction| {
            let mut statement =
                transaction.prepare_cached("SELECT head FROM chats WHERE id = ?1")?;
            let mut heads = Vec::with_capacity(chats.len());
            for chat in chats {
                let head = statement.query_row([chat], |row| row.get(0)).optional()?;
                heads.push(head.unwrap_or(0));
            }
            Ok(heads)
        })
        .await
    }
}

/// Deletes a chat with its members, bans and kept rights; `false`: there was none. Its messages are left to
/// [`sweep`].
pub(super) fn delete(transaction: &Transaction<'_>, id: ChatId) -> rusqlite::Result<bool> {
    for part in ["members", "bans", "kept_rights"] {
        let delete =
            format!("DELETE FROM {part} WHERE chat = (SELECT pk FROM chats WHERE id = ?1)");
        transaction.prepare_cached(&delete)?.execute([id])?;
    }
    sweep::mark(transaction, id)
}

fn insert(
    transaction: &Transaction<'_>,
    new: &NewChat,
    limits: MemberLimits,
) -> Result<Chat, StoreError> {
    let pk = numbers::assign(transaction, numbers::CHATS, new.pk)?;
    let mut statement = transaction.prepare_cached(
        "INSERT INTO chats (pk, id, external_id, name, policy, owner, team, created_at, modified_at,
                            active_at, key_name, key_content)
         VALUES (?1, ?2, ?3, ?4, ?5, (SELECT pk FROM users WHERE id = ?6), ?7, ?8, ?8, ?8, ?9, ?10)",
    )?;
    let key = new.key.as_ref();
    taken(statement.execute(params![
        pk,
        new.id,
        new.external_id,
        new.name,
        new.policy,
        new.owner,
        new.team,
        Millisecond(new.at),
        key.map(|key| &key.name),
        key.map(|key| key.content),
    ]))?;
    let mut statement = transaction.prepare_cached(
        "INSERT INTO members (chat, place, user) SELECT ?1, ?2, pk FROM users WHERE id = ?3",
    )?;
    for (place, member) in new.members.iter().enumerate() {
        if statement.execute(params![pk, place, member])? != 1 {
            return Err(StoreError::Corrupt(format!("no user {member} to add")));
        }
    }
    // Last: the id or the name of its key may be taken.
    let concerned = new.members.iter().chain(&new.owner).copied();
    limits::judge(transaction, concerned, limits)?;
    for record in &new.audit {
        audit::record(transaction, Some(record))?;
    }
    let created = by_id(transaction, new.id)?;
    created.ok_or_else(|| StoreError::Corrupt(format!("no chat {} once created", new.id)))
}

/// The chat of this id with its members.
pub(super) fn by_id(transaction: &Transaction<'_>, id: ChatId) -> Result<Option<Chat>, StoreError> {
    let select = format!("SELECT {COLUMNS} FROM chats WHERE id = ?1");
    let mut statement = transaction.prepare_cached(&select)?;
    let found = statement.query_row([id], chat).optional()?;
    found
        .map(|chat| with_members(transaction, chat))
        .transpose()
}

/// Moves the times of a chat that has changed.
pub(super) fn touch(
    transaction: &Transaction<'_>,
    id: ChatId,
    at: Timestamp,
) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(
        "UPDATE chats SET modified_at = max(modified_at, ?2), active_at = max(active_at, ?2)
         WHERE id = ?1",
    )?;
    statement.execute(params![id, Millisecond(at)])?;
    Ok(())
}
