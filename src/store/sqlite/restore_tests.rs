//! Backups that take the place of databases: closed, damaged, in use, or as a killed server left them. Does not know
//! servers.

use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;
use crate::store::contract::user;
use crate::store::sqlite::backup::back_up;
use crate::store::sqlite::backup_fixtures::{Scene, damaged, of, opened, sql, totals, unusable};

const SUFFIX: &str = ".before";

/// A backup of one user and one message; afterwards its store, which is open, has another user, in its log.
async fn scene() -> (Scene, PathBuf) {
    let scene = Scene::new();
    let store = scene.store("chat.db", &["one"]).await;
    let file = scene.path("copy");
    let copied = back_up(&scene.place("chat.db"), &file).await;
    copied.expect("a backup");
    user(&store, "boris").await;
    scene.killed("chat.db", "killed.db");
    store.close().await.expect("closed");
    (scene, file)
}

async fn restored(file: &Path, place: &str, replace: bool) -> Restored {
    let restored = restore(file, place, replace, SUFFIX).await;
    restored.expect("restored")
}

async fn refusal(file: &Path, place: &str, replace: bool) -> String {
    let error = restore(file, place, replace, SUFFIX).await;
    error.expect_err("it is refused").to_string()
}

#[tokio::test]
async fn a_log_that_lies_beside_a_restored_file_would_be_applied() {
    let (scene, file) = scene().await;
    let careless = scene.path("careless.db");
    fs::copy(&file, &careless).expect("copied");
    fs::copy(scene.path("killed.db-wal"), beside(&careless, "-wal")).expect("copied");
    let opened = Connection::open(&careless).expect("a database");
    let count = opened.query_row("SELECT count(*) FROM users", [], |row| row.get::<_, i64>(0));
    assert_ne!(count, Ok(1), "the other tests would prove nothing");
}

#[tokio::test]
async fn the_log_of_the_old_store_is_in_the_file_that_is_kept_and_not_in_the_new_one() {
    let (scene, file) = scene().await;
    let done = restored(&file, &scene.place("killed.db"), true).await;
    assert_eq!(done.content.totals, of(1, 1, 1));
    assert_eq!(done.content.bytes, length(&scene.path("killed.db")));
    assert_eq!(done.kept, [scene.path("killed.db.before")]);
    let names = ["chat.db", "copy", "killed.db", "killed.db.before"];
    assert_eq!(scene.names(), names, "no log is left");
    assert_eq!(totals(&scene.path("killed.db")).await, of(1, 1, 1));
    assert_eq!(totals(&scene.path("killed.db.before")).await, of(2, 1, 1));
    // And back.
    let before = scene.path("killed.db.before");
    let back = restore(&before, &scene.place("killed.db"), true, ".again").await;
    assert_eq!(back.expect("restored").content.totals, of(2, 1, 1));
    assert_eq!(totals(&scene.path("killed.db")).await, of(2, 1, 1));
    assert_eq!(totals(&file).await, of(1, 1, 1));
}

#[tokio::test]
async fn a_log_whose_file_is_gone_is_put_away() {
    let (scene, file) = scene().await;
    fs::remove_file(scene.path("killed.db")).expect("removed");
    let done = restored(&file, &scene.place("killed.db"), false).await;
    assert_eq!(done.kept, [scene.path("killed.db.before-wal")]);
    let names = ["chat.db", "copy", "killed.db", "killed.db.before-wal"];
    assert_eq!(scene.names(), names);
    assert_eq!(totals(&scene.path("killed.db")).await, of(1, 1, 1));
}

#[tokio::test]
async fn a_damaged_store_is_kept_as_it_is() {
    let (scene, file) = scene().await;
    let damage = "damage ".repeat(2000);
    fs::write(scene.path("killed.db"), &damage).expect("written");
    fs::remove_file(scene.path("killed.db-wal")).expect("removed");
    let done = restored(&file, &scene.place("killed.db"), true).await;
    assert_eq!(done.kept, [scene.path("killed.db.before")]);
    let kept = fs::read_to_string(scene.path("killed.db.before"));
    assert_eq!(kept.expect("a text"), damage);
    let names = ["chat.db", "copy", "killed.db", "killed.db.before"];
    assert_eq!(scene.names(), names);
    assert_eq!(totals(&scene.path("killed.db")).await, of(1, 1, 1));
}

#[tokio::test]
async fn the_logs_of_a_store_that_cannot_be_read_are_kept_with_it() {
    let (scene, file) = scene().await;
    let path = scene.path("killed.db");
    let aside = scene.path("aside");
    fs::write(beside(&path, "-journal"), "a journal").expect("written");
    fs::remove_file(&path).expect("removed");
    let kept = put_away(&path, false, &aside).expect("put away");
    assert_eq!(
        kept,
        ["aside-wal", "aside-journal"].map(|name| scene.path(name))
    );
    let names = ["aside-journal", "aside-wal", "chat.db", "copy"];
    assert_eq!(scene.names(), names);
    assert!(file.exists());
}

#[tokio::test]
async fn a_store_that_is_in_use_or_not_to_be_replaced_stays_as_it_is() {
    let (scene, file) = scene().await;
    let place = scene.place("chat.db");
    let names = scene.names();
    let refused = refusal(&file, &place, false).await;
    assert!(
        refused.contains("it exists already; with --replace"),
        "{refused}"
    );
    assert_eq!(scene.names(), names);
    let store = opened(&scene.path("chat.db")).await;
    let refused = refusal(&file, &place, true).await;
    let process = std::process::id();
    let why = format!("another polychat is using it (process {process}); stop it first");
    assert!(refused.contains(&why), "{refused}");
    store.renew_lease().await.expect("its files are in place");
    store.close().await.expect("closed");
    drop(store);
    let other = Connection::open(&place).expect("a database");
    let count = "SELECT count(*) FROM users";
    other
        .execute_batch(&format!("BEGIN; {count}"))
        .expect("a reader");
    let refused = refusal(&file, &place, true).await;
    assert!(refused.contains("another program has it open"), "{refused}");
    drop(other);
    assert_eq!(scene.names(), names);
    assert_eq!(totals(&scene.path("chat.db")).await, of(2, 1, 1));
}

#[tokio::test]
async fn what_is_no_backup_is_one_sentence_and_changes_nothing() {
    let (scene, file) = scene().await;
    let mut bad = unusable(&scene).await;
    bad.extend(damaged(&scene).await);
    // A backup would lack the index: here it is missed.
    let lost = scene.file("index.db", &["one"]).await;
    let forget = "DELETE FROM sqlite_schema WHERE name = 'messages_client_id'";
    sql(&lost, &format!("PRAGMA writable_schema = ON; {forget}"));
    bad.push((lost, "it is damaged: "));
    bad.push((scene.path("typo"), "there is no such file"));
    bad.push((scene.path(""), "it is no file"));
    bad.push((scene.path("chat.db"), "it is the backup"));
    let names = scene.names();
    for (file, why) in &bad {
        for target in ["chat.db", "new.db"] {
            if *why == "it is the backup" && target == "new.db" {
                continue;
            }
            let refused = refusal(file, &scene.place(target), true).await;
            assert!(refused.contains(why), "{refused}");
            assert!(!refused.contains('\n'), "{refused}");
            assert_eq!(scene.names(), names);
        }
    }
    let nowhere = scene.path("nowhere");
    symlink(scene.path("missing"), &nowhere).expect("a link");
    for (place, why) in [
        (":memory:".to_owned(), "write sqlite:PATH"),
        (String::new(), "write sqlite:PATH"),
        (
            format!("file:{}", scene.place("new.db")),
            "write sqlite:PATH",
        ),
        (scene.place("no/chat.db"), "No such file or directory"),
        (
            scene.place("other.db"),
            "it is a SQLite file of another program",
        ),
        (
            scene.place("nowhere"),
            "it is a link to a file that does not exist",
        ),
    ] {
        let refused = refusal(&file, &place, true).await;
        assert!(refused.contains(why), "{refused}");
    }
    fs::remove_file(nowhere).expect("removed");
    assert_eq!(scene.names(), names);
    assert_eq!(totals(&scene.path("chat.db")).await, of(2, 1, 1));
}

#[tokio::test]
async fn a_backup_may_have_its_log_beside_it_or_be_of_an_older_version() {
    let (scene, _) = scene().await;
    // A snapshot of all files.
    let done = restored(&scene.path("killed.db"), &scene.place("new.db"), false).await;
    assert_eq!(done.content.totals, of(2, 1, 1));
    assert_eq!(totals(&scene.path("new.db")).await, of(2, 1, 1));
    for version in 1..=schema::NEWEST {
        let [old, new] = ["old", "new"].map(|name| scene.path(&format!("{name}-{version}.db")));
        let file = Connection::open(&old).expect("a database");
        for step in &schema::STEPS[..version] {
            file.execute_batch(step).expect("a schema");
        }
        file.pragma_update(None, "user_version", version)
            .expect("a version");
        let insert = "INSERT INTO users (id, external_id, username, name, avatar, github, created_at, modified_at)
                      VALUES (zeroblob(16), 'anna', '', '', '', '', 0, 0)";
        file.execute(insert, []).expect("a user");
        drop(file);
        let done = restored(&old, &new.display().to_string(), false).await;
        assert_eq!(done.content.totals, of(1, 0, 0), "{version}");
        assert_eq!(totals(&new).await, of(1, 0, 0), "{version}");
    }
}

#[tokio::test]
async fn permissions_and_links_stay() {
    let (scene, file) = scene().await;
    let mode = |name: &str| {
        let found = scene.path(name).metadata().expect("a file");
        found.permissions().mode() & 0o777
    };
    let new = scene.path("chat.db");
    fs::set_permissions(&new, fs::Permissions::from_mode(0o640)).expect("changed");
    let link = scene.path("link.db");
    symlink("chat.db", &link).expect("a link");
    let done = restored(&file, &scene.place("link.db"), true).await;
    assert_eq!(done.kept, [scene.path("chat.db.before")]);
    assert!(link.is_symlink());
    assert_eq!(totals(&link).await, of(1, 1, 1));
    restored(&file, &scene.place("new.db"), false).await;
    assert_eq!((mode("chat.db"), mode("new.db")), (0o640, 0o600));
    // An empty file is in the place of none.
    fs::write(scene.path("empty.db"), "").expect("written");
    let done = restored(&file, &scene.place("empty.db"), false).await;
    assert!(done.kept.is_empty());
    assert_eq!(totals(&scene.path("empty.db")).await, of(1, 1, 1));
}
