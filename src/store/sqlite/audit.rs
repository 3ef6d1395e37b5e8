//! The audit log in SQLite.
//! Does not know anything about it beyond the contract in `store`.

use async_trait::async_trait;
use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::Sqlite;
use super::rows::{Details, Millisecond, taken};
use crate::model::{AuditFilter, AuditId, AuditRecord};
use crate::store::{Audit, StoreError};

#[async_trait]
impl Audit for Sqlite {
    async fn audit_records(
        &self,
        filter: AuditFilter,
        after: Option<AuditId>,
        limit: usize,
    ) -> Result<Vec<AuditRecord>, StoreError> {
        self.read(move |transaction| {
            let AuditFilter { chat, user } = filter;
            // Conditions on one parameter each, so that an index is used.
            let chat_is = if chat.is_some() {
                "chat = ?1"
            } else {
                "?1 IS NULL"
            };
            let user_is = if user.is_some() {
                "user = ?2"
            } else {
                "?2 IS NULL"
            };
            let select = format!(
                "SELECT id, at, actor, act, chat, user, detail FROM audit
                 WHERE {chat_is} AND {user_is} AND id > ?3 ORDER BY id LIMIT ?4"
            );
            let mut statement = transaction.prepare_cached(&select)?;
            // No id is less than the empty blob.
            let after = after.map_or_else(Vec::new, |after| after.as_bytes().to_vec());
            let records = statement.query_map(params![chat, user, after, limit], read)?;
            Ok(records.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn add_audit(&self, added: AuditRecord) -> Result<(), StoreError> {
        self.write(move |transaction| record(transaction, Some(&added)))
            .await
    }
}

/// Stores this record, if there is one, in the transaction of the act.
pub(super) fn record(
    transaction: &Transaction<'_>,
    record: Option<&AuditRecord>,
) -> Result<(), StoreError> {
    let Some(record) = record else {
        return Ok(());
    };
    let mut statement = transaction.prepare_cached(
        "INSERT INTO audit (id, at, actor, act, chat, user, detail)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    taken(statement.execute(params![
        record.id,
        Millisecond(record.at),
        record.actor,
        record.act,
        record.chat,
        record.user,
        Details(record.detail.clone()),
    ]))?;
    Ok(())
}

/// The greatest id in the log.
pub(super) fn latest(transaction: &Transaction<'_>) -> rusqlite::Result<Option<AuditId>> {
    let mut statement =
        transaction.prepare_cached("SELECT id FROM audit ORDER BY id DESC LIMIT 1")?;
    statement.query_row([], |row| row.get(0)).optional()
}

fn read(row: &Row<'_>) -> rusqlite::Result<AuditRecord> {
    Ok(AuditRecord {
        id: row.get(0)?,
        at: row.get::<_, Millisecond>(1)?.0,
        actor: row.get(2)?,
        act: row.get(3)?,
        chat: row.get(4)?,
        user: row.get(5)?,
        detail: row.get::<_, Details>(6)?.0,
    })
}
