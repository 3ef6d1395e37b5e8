//! Folders with databases for the tests of backups.
//! Does not test anything.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;
use tempfile::TempDir;

use crate::store::contract::{chat, entry, user};
use crate::store::{Store, Totals, open};

/// A folder that is removed afterwards.
pub(super) struct Scene {
    folder: TempDir,
}

impl Scene {
    pub(super) fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        Self { folder }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn place(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// An open database with a user, a chat and these messages.
    pub(super) async fn store(&self, name: &str, messages: &[&str]) -> Arc<dyn Store> {
        let store = opened(&self.path(name)).await;
        let anna = user(&store, "anna").await;
        let talk = chat(&store, &[&anna], 0).await;
        let entries = messages.iter().map(|text| entry(talk.id, &anna, text, 1));
        store.append(entries.collect()).await.expect("stored");
        store
    }

    /// The same, closed.
    pub(super) async fn file(&self, name: &str, messages: &[&str]) -> PathBuf {
        let store = self.store(name, messages).await;
        store.close().await.expect("closed");
        self.path(name)
    }

    /// The files of a database as they are when its server is killed: copies of those of an open one.
    pub(super) fn killed(&self, name: &str, copy: &str) -> PathBuf {
        for ending in ["", "-wal", "-shm"] {
            let [from, to] = [name, copy].map(|name| self.path(&format!("{name}{ending}")));
            fs::copy(from, to).expect("copied");
        }
        self.path(copy)
    }

    /// What is in the folder, in order.
    pub(super) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).expect("a folder");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        let mut names: Vec<_> = names
            .map(|name| name.into_string().expect("a text"))
            .collect();
        names.sort();
        names
    }
}

pub(super) async fn opened(path: &Path) -> Arc<dyn Store> {
    let url = format!("sqlite:{}", path.display());
    open(&url).await.expect("a store")
}

/// What a start finds in the file.
pub(super) async fn totals(path: &Path) -> Totals {
    let store = opened(path).await;
    let totals = store.totals().await.expect("an answer");
    store.close().await.expect("closed");
    totals
}

pub(super) const fn of(users: u64, chats: u64, messages: u64) -> Totals {
    Totals {
        users,
        chats,
        messages,
    }
}

/// Changes a closed database as nothing in polychat does.
pub(super) fn sql(path: &Path, statements: &str) {
    let file = Connection::open(path).expect("a database");
    let changed = file.execute_batch(&format!("PRAGMA foreign_keys = OFF; {statements}"));
    changed.expect("changed");
}

/// Files that hold no complete store of this version, and why: made from a complete one.
pub(super) async fn unusable(scene: &Scene) -> Vec<(PathBuf, &'static str)> {
    let mut made = Vec::new();
    for (name, statements, why) in [
        (
            "newer.db",
            "PRAGMA user_version = 1000",
            "it has schema version 1000, written by a newer polychat",
        ),
        (
            "other.db",
            "PRAGMA application_id = 7",
            "it is a SQLite file of another program",
        ),
        (
            "copied.db",
            "INSERT INTO unfinished_copy VALUES (1)",
            "it holds a part of a copy that was not finished",
        ),
    ] {
        let file = scene.file(name, &["one", "two"]).await;
        sql(&file, statements);
        made.push((file, why));
    }
    let text = scene.path("text.db");
    fs::write(&text, "no database ".repeat(1000)).expect("written");
    made.push((text, "file is not a database"));
    let empty = scene.path("empty.db");
    fs::write(&empty, "").expect("written");
    made.push((empty, "it is empty"));
    made
}

/// Damaged stores, and how.
pub(super) async fn damaged(scene: &Scene) -> Vec<(PathBuf, &'static str)> {
    let mut made = Vec::new();
    for (name, statements, why) in [
        (
            "gap.db",
            "DELETE FROM messages WHERE seq = 1",
            "it is damaged: 1 chats lack messages",
        ),
        (
            "end.db",
            "DELETE FROM messages WHERE seq = 2",
            "it is damaged: 1 chats lack messages",
        ),
        (
            "reference.db",
            "DELETE FROM users",
            "it is damaged: a row of ",
        ),
    ] {
        let file = scene.file(name, &["one", "two"]).await;
        sql(&file, statements);
        made.push((file, why));
    }
    let cut = scene.file("cut.db", &["one", "two"]).await;
    let whole = fs::read(&cut).expect("a file");
    fs::write(&cut, &whole[..whole.len() / 2]).expect("written");
    made.push((cut, ": "));
    made
}
