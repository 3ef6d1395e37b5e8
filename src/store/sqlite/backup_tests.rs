//! Backups of databases that are open, closed, or none. Does not know servers.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;
use crate::store::contract::user;
use crate::store::sqlite::backup_fixtures::{Scene, damaged, of, opened, sql, totals, unusable};
use crate::store::sqlite::part::beside;

async fn refusal(place: &str, file: &Path) -> String {
    let error = back_up(place, file).await.expect_err("it is refused");
    error.to_string()
}

#[tokio::test]
async fn a_copy_beside_an_open_store_is_whole_private_and_stays_as_it_is() {
    let scene = Scene::new();
    let store = scene.store("chat.db", &["one", "two", "three"]).await;
    // A name that SQLite would take apart.
    let file = scene.path("50% of a?b#c.db");
    let content = back_up(&scene.place("chat.db"), &file).await;
    let content = content.expect("a backup");
    let found = file.metadata().expect("a file");
    assert_eq!(content.totals, of(1, 1, 3));
    assert_eq!(content.bytes, found.len());
    assert_eq!(found.permissions().mode() & 0o777, 0o600);
    user(&store, "boris").await;
    store.ping().await.expect("the store is in use");
    store.renew_lease().await.expect("its files are in place");
    store.close().await.expect("closed");
    drop(store);
    let names = ["50% of a?b#c.db", "chat.db"];
    assert_eq!(scene.names(), names, "nothing else is left");
    assert_eq!(totals(&file).await, of(1, 1, 3));
    assert_eq!(totals(&scene.path("chat.db")).await, of(2, 1, 3));
}

#[tokio::test]
async fn a_closed_store_and_one_whose_server_was_killed_are_backed_up_too() {
    let scene = Scene::new();
    scene.file("closed.db", &["one"]).await;
    let store = scene.store("open.db", &["one", "two"]).await;
    scene.killed("open.db", "killed.db");
    for (name, messages) in [("closed.db", 1), ("killed.db", 2)] {
        let file = scene.path(&format!("{name}.copy"));
        let content = back_up(&scene.place(name), &file).await;
        assert_eq!(content.expect("a backup").totals, of(1, 1, messages));
    }
    let left = scene.names().into_iter();
    let left: Vec<_> = left.filter(|name| !name.starts_with("open.db")).collect();
    let names = ["closed.db", "closed.db.copy", "killed.db", "killed.db.copy"];
    assert_eq!(left, names, "the log is folded into its file");
    store.close().await.expect("closed");
}

#[tokio::test]
async fn what_cannot_be_backed_up_is_one_sentence_and_no_file() {
    let scene = Scene::new();
    let unusable = unusable(&scene).await;
    let damaged = damaged(&scene).await;
    let older = scene.file("older.db", &["one"]).await;
    sql(&older, "PRAGMA user_version = 6");
    let older = [(older, "it has schema version 6, and this polychat writes")];
    let names = scene.names();
    let file = scene.path("copy");
    for (place, why) in unusable.iter().chain(&damaged).chain(&older) {
        let refused = refusal(&place.display().to_string(), &file).await;
        assert!(refused.contains(why), "{refused}");
        assert!(!refused.contains('\n'), "{refused}");
    }
    for (place, why) in [
        (
            ":memory:".to_owned(),
            "sqlite::memory: is in its server alone",
        ),
        (scene.place("typo.db"), "there is no such file as sqlite:"),
        (scene.place("no/chat.db"), "unable to open database file"),
        (String::new(), "it is empty"),
    ] {
        let refused = refusal(&place, &file).await;
        assert!(refused.contains(why), "{refused}");
    }
    assert_eq!(scene.names(), names);
}

#[tokio::test]
async fn a_backup_replaces_nothing_and_needs_its_folder() {
    let scene = Scene::new();
    scene.file("chat.db", &["one"]).await;
    let place = scene.place("chat.db");
    let link = scene.path("link");
    symlink(scene.path("nowhere"), &link).expect("a link");
    fs::write(scene.path("text"), "a text").expect("written");
    let names = scene.names();
    for name in ["chat.db", "text", "link", ""] {
        let refused = refusal(&place, &scene.path(name)).await;
        assert!(refused.contains("exists already"), "{refused}");
    }
    for name in ["chat.db-wal", "chat.db-shm", "other-journal"] {
        let refused = refusal(&place, &scene.path(name)).await;
        assert!(refused.contains("a name of SQLite's own"), "{refused}");
    }
    let refused = refusal(&place, &scene.path("no/copy")).await;
    assert!(refused.contains("No such file or directory"), "{refused}");
    assert_eq!(scene.names(), names);
    assert_eq!(
        fs::read_to_string(scene.path("text")).expect("a text"),
        "a text"
    );
    assert_eq!(totals(&scene.path("chat.db")).await, of(1, 1, 1));
}

#[tokio::test]
async fn the_part_of_a_killed_backup_is_removed_by_the_next_and_that_of_another_is_not() {
    let scene = Scene::new();
    scene.file("chat.db", &["one"]).await;
    let (place, file) = (scene.place("chat.db"), scene.path("copy"));
    let other = Part::create(&file).expect("another backup");
    fs::write(other.path(), "a part").expect("written");
    let refused = refusal(&place, &file).await;
    assert!(refused.contains("another process is writing"), "{refused}");
    assert_eq!(fs::read_to_string(other.path()).expect("a text"), "a part");
    drop(other);
    fs::write(beside(&file, ".part"), "a part").expect("written");
    back_up(&place, &file).await.expect("a backup");
    assert_eq!(scene.names(), ["chat.db", "copy"]);
    let store = opened(&file).await;
    store.close().await.expect("closed");
}
