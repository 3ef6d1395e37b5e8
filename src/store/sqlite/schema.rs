//! The tables, and the way from every earlier version of them to the newest.
//! Does not open a file of a newer version, whose tables may have another meaning.

use rusqlite::{Connection, TransactionBehavior};

use super::OpenError;
use crate::store::StoreError;

/// The migrations from version `n` to version `n + 1`, from the empty file (version 0) on. A step
/// that has been released is never changed.
const STEPS: [&str; 4] = [
    include_str!("schema_1.sql"),
    include_str!("schema_2.sql"),
    include_str!("schema_3.sql"),
    include_str!("schema_5.sql"),
];

/// Migrates the database to the newest version, in one transaction.
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

#[cfg(test)]
mod tests {
    use rusqlite::params;

    use crate::model::{ChatId, MemberRights, MemberRole, UserId};

    #[tokio::test]
    async fn a_file_of_version_2_is_brought_up_to_date() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("chat.db");
        let (anna, talk) = (UserId::from_bytes([1; 16]), ChatId::from_bytes([2; 16]));
        let file = super::Connection::open(&path).expect("a file");
        for step in &super::STEPS[..2] {
            file.execute_batch(step).expect("a schema");
        }
        file.pragma_update(None, "user_version", 2)
            .expect("a version");
        let insert = "INSERT INTO users VALUES (7, ?1, 'anna', 'anna', 'anna', '', '', NULL, 0, 0)";
        file.execute(insert, [anna]).expect("a user");
        let insert = "INSERT INTO chats (pk, id, policy, owner, created_at, modified_at, active_at)
                      VALUES (9, ?1, 'closed', 7, 0, 0, 0)";
        file.execute(insert, [talk]).expect("a chat");
        let insert = "INSERT INTO members (chat, place, user) VALUES (?1, ?2, ?3)";
        file.execute(insert, params![9, 0, 7]).expect("a member");
        drop(file);
        let url = format!("sqlite:{}", path.display());
        let store = crate::store::open(&url).await.expect("a store");
        let rights = store.chat_rights(talk).await.expect("an answer");
        let rights = rights.expect("a chat");
        let member = MemberRights {
            user: anna,
            role: MemberRole::Member,
            mute: None,
        };
        assert_eq!((rights.creator, rights.version), (Some(anna), 0));
        assert_eq!((rights.members, rights.bans), (vec![member], vec![]));
        let user = store.user(anna).await.expect("an answer");
        assert_eq!(user.expect("a user").revoked_before, None);
        let missing = store.missing_indexes().await.expect("an answer");
        assert!(missing.is_empty(), "{missing:?}");
    }
}
