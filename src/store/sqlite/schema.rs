//! The tables, and the way from every earlier version of them to the newest.
//! Does not open a file of a newer version, whose tables may have another meaning.

use rusqlite::{Connection, TransactionBehavior};

use super::OpenError;
use crate::store::StoreError;

/// The migrations from version `n` to version `n + 1`, from the empty file (version 0) on. A step
/// that has been released is never changed.
const STEPS: [&str; 3] = [
    include_str!("schema_1.sql"),
    include_str!("schema_2.sql"),
    include_str!("schema_3.sql"),
];

/// Brings the database to the newest version: each step as a whole or not at all.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), OpenError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: usize = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let Some(steps) = STEPS.get(version..) else {
        return Err(OpenError(format!(
            "it has schema version {version}, written by a newer polychat; this one knows up to {}",
            STEPS.len()
        )));
    };
    for step in steps {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", STEPS.len())?;
    transaction.commit()?;
    Ok(())
}

/// The indexes that an empty database of the newest version has and this one has not.
pub(super) fn missing_indexes(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let model = Connection::open_in_memory()?;
    for step in STEPS {
        model.execute_batch(step)?;
    }
    let there = indexes(connection)?;
    let mut missing = indexes(&model)?;
    missing.retain(|index| !there.contains(index));
    Ok(missing)
}

fn indexes(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let select = "SELECT name FROM sqlite_schema WHERE type = 'index' ORDER BY name";
    let mut statement = connection.prepare(select)?;
    let names = statement.query_map([], |row| row.get(0))?;
    names.collect()
}
