//! [`Sweeping`] on SQLite: removes the messages of deleted chats, then their rows.
//! Does not touch anything of a chat that exists.

use async_trait::async_trait;
use rusqlite::{OptionalExtension, Transaction, params};

use super::Sqlite;
use crate::model::{ChatId, ChatPk};
use crate::store::StoreError;
use crate::store::sweep::Sweeping;

/// How many rows are removed at a time. There is one writer, for which all others wait.
const PIECE: usize = 500;

#[async_trait]
impl Sweeping for Sqlite {
    async fn sweep(&self) -> Result<bool, StoreError> {
        if self
            .read(|transaction| Ok(next(transaction)?))
            .await?
            .is_none()
        {
            return Ok(false);
        }
        self.write(|transaction| Ok(piece(transaction)?)).await
    }
}

/// Marks a chat as deleted, so that nothing finds it any more; `false`: there was none.
pub(super) fn mark(transaction: &Transaction<'_>, id: ChatId) -> rusqlite::Result<bool> {
    let mut statement = transaction.prepare_cached(
        "UPDATE chats SET id = randomblob(16), external_id = NULL, name = NULL, policy = 'closed', owner = NULL,
                          team = NULL, event = NULL, guest = NULL, access = NULL,
                          key_name = NULL, key_content = NULL, deleted = 1
         WHERE id = ?1",
    )?;
    Ok(statement.execute([id])? > 0)
}

/// A chat that is marked.
fn next(transaction: &Transaction<'_>) -> rusqlite::Result<Option<ChatPk>> {
    let mut statement =
        transaction.prepare_cached("SELECT pk FROM chats WHERE deleted = 1 LIMIT 1")?;
    statement.query_row([], |row| row.get(0)).optional()
}

/// Returns whether there may be more.
fn piece(transaction: &Transaction<'_>) -> rusqlite::Result<bool> {
    let mut left = PIECE;
    while left > 0 {
        let Some(chat) = next(transaction)? else {
            return Ok(false);
        };
        let mut statement = transaction.prepare_cached(
            "DELETE FROM messages WHERE rowid IN
                 (SELECT rowid FROM messages WHERE chat = ?1 ORDER BY seq LIMIT ?2)",
        )?;
        left -= statement.execute(params![chat, left])?;
        if left > 0 {
            let mut statement = transaction.prepare_cached("DELETE FROM chats WHERE pk = ?1")?;
            statement.execute([chat])?;
            left -= 1;
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::store::Store;
    use crate::store::contract::{chat, entry, user};

    async fn open(path: &Path) -> Arc<dyn Store> {
        let url = format!("sqlite:{}", path.display());
        crate::store::open(&url).await.expect("a store")
    }

    fn count(path: &Path, table: &str) -> usize {
        let file = rusqlite::Connection::open(path).expect("a file");
        let count = format!("SELECT count(*) FROM {table}");
        file.query_row(&count, [], |row| row.get(0)).expect("rows")
    }

    #[tokio::test]
    async fn a_store_that_was_killed_in_between_goes_on_where_it_was() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("chat.db");
        let store = open(&path).await;
        let anna = user(&store, "anna").await;
        let gone = chat(&store, &[&anna], 1).await;
        let batch = (0..PIECE * 2).map(|_| entry(gone.id, &anna, "hello", 2));
        store.append(batch.collect()).await.expect("stored");
        assert!(store.delete_chat(gone.id, None).await.expect("an answer"));
        assert!(store.sweep().await.expect("an answer"));
        store.close().await.expect("closed");
        drop(store);
        assert_eq!(
            (count(&path, "messages"), count(&path, "chats")),
            (PIECE, 1)
        );

        let store = open(&path).await;
        let kept = chat(&store, &[&anna], 3).await;
        assert_eq!((kept.pk, kept.head), (gone.pk + 1, 0));
        let batch = vec![entry(kept.id, &anna, "new", 4)];
        store.append(batch).await.expect("stored");
        while store.sweep().await.expect("an answer") {}
        store.close().await.expect("closed");
        assert_eq!((count(&path, "messages"), count(&path, "chats")), (1, 1));
    }

    #[tokio::test]
    async fn many_empty_chats_are_one_piece() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("chat.db");
        let store = open(&path).await;
        let anna = user(&store, "anna").await;
        for number in 0..5 {
            let gone = chat(&store, &[&anna], number).await;
            store.delete_chat(gone.id, None).await.expect("an answer");
        }
        assert!(!store.sweep().await.expect("an answer"));
        store.close().await.expect("closed");
        assert_eq!(count(&path, "chats"), 0);
    }
}
