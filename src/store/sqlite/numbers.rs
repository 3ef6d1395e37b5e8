//! The integer ids of users, chats and events in SQLite: chosen ones, and the next free ones.
//! Does not know what has them.

use rusqlite::{OptionalExtension, Transaction, params};

use crate::model::NewPk;
use crate::store::StoreError;

/// The tables whose rows have one; also the names of their counters.
pub(super) const USERS: &str = "users";
pub(super) const CHATS: &str = "chats";
pub(super) const EVENTS: &str = "events";

/// The integer id of a new row of this table. `PkTaken`: another row has the chosen one.
pub(super) fn assign(
    transaction: &Transaction<'_>,
    table: &'static str,
    pk: NewPk,
) -> Result<i64, StoreError> {
    match pk {
        NewPk::Chosen(pk) if has(transaction, table, pk)? => Err(StoreError::PkTaken),
        NewPk::Chosen(pk) => Ok(pk),
        NewPk::NextFrom(from) => {
            let next = from.max(last(transaction, table)?.saturating_add(1));
            let free = first_free(transaction, table, next)?;
            count_to(transaction, table, free)?;
            Ok(free)
        }
    }
}

/// The last one of this table that was not chosen; 0: there was none.
pub(super) fn last(transaction: &Transaction<'_>, table: &str) -> rusqlite::Result<i64> {
    let mut statement = transaction.prepare_cached("SELECT last FROM counters WHERE noun = ?1")?;
    let last = statement.query_row([table], |row| row.get(0)).optional()?;
    Ok(last.unwrap_or(0))
}

/// Sets that one.
pub(super) fn count_to(
    transaction: &Transaction<'_>,
    table: &str,
    last: i64,
) -> rusqlite::Result<()> {
    let update = "INSERT OR REPLACE INTO counters (noun, last) VALUES (?1, ?2)";
    transaction
        .prepare_cached(update)?
        .execute(params![table, last])?;
    Ok(())
}

/// The greatest one of this table, chosen or not; 0: it has no rows.
pub(super) fn greatest(transaction: &Transaction<'_>, table: &str) -> rusqlite::Result<i64> {
    let select = format!("SELECT coalesce(max(pk), 0) FROM {table}");
    transaction
        .prepare_cached(&select)?
        .query_row([], |row| row.get(0))
}

fn has(transaction: &Transaction<'_>, table: &str, pk: i64) -> rusqlite::Result<bool> {
    let select = format!("SELECT 1 FROM {table} WHERE pk = ?1");
    transaction.prepare_cached(&select)?.exists([pk])
}

/// The first one from `next` on that no row has. Goes over chosen ones once: the counter is behind them
/// afterwards.
fn first_free(transaction: &Transaction<'_>, table: &str, next: i64) -> rusqlite::Result<i64> {
    if !has(transaction, table, next)? {
        return Ok(next);
    }
    let select = format!(
        "SELECT pk + 1 FROM {table} AS taken
         WHERE pk >= ?1 AND NOT EXISTS (SELECT 1 FROM {table} WHERE pk = taken.pk + 1)
         ORDER BY pk LIMIT 1"
    );
    transaction
        .prepare_cached(&select)?
        .query_row([next], |row| row.get(0))
}
