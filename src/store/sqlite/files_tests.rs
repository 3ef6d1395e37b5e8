//! A database whose files are moved, deleted or replaced while it is open. Does not know servers.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

use crate::model::{NewPk, NewUser, Profile, UserId};
use crate::store::contract::at;
use crate::store::{Store, StoreError};

const NAMES: [&str; 3] = ["chat.db", "chat.db-wal", "chat.db-shm"];

/// A folder with a database of one user, which is open, and a folder to move files to.
struct Scene {
    folder: TempDir,
    store: Arc<dyn Store>,
}

impl Scene {
    async fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        for name in ["here", "away"] {
            fs::create_dir(folder.path().join(name)).expect("a folder");
        }
        let store = open(&folder.path().join("here/chat.db")).await;
        let scene = Self { folder, store };
        scene.write("anna").await.expect("written");
        scene
    }

    fn path(&self, folder: &str, name: &str) -> PathBuf {
        self.folder.path().join(folder).join(name)
    }

    fn rename(&self, from: &str, to: &str, names: &[&str]) {
        for name in names {
            let renamed = fs::rename(self.path(from, name), self.path(to, name));
            renamed.expect("renamed");
        }
    }

    async fn write(&self, external_id: &str) -> Result<(), StoreError> {
        let user = NewUser {
            pk: NewPk::default(),
            id: UserId::new(at(0)),
            external_id: external_id.into(),
            profile: Profile::default(),
            at: at(0),
            audit: None,
        };
        self.store.find_or_create_user(user).await.map(drop)
    }

    async fn has(&self, external_id: &str) -> bool {
        let found = self.store.user_by_external_id(external_id).await;
        found.expect("an answer").is_some()
    }

    /// Every way to find out answers `Unavailable`, and the reason.
    async fn assert_refused(&self) -> String {
        let unavailable = |answer: Result<(), StoreError>| match answer {
            Err(StoreError::Unavailable(why)) => why.to_string(),
            other => panic!("{other:?}"),
        };
        unavailable(self.write("boris").await);
        unavailable(self.store.ping().await);
        unavailable(self.store.renew_lease().await.map(drop));
        unavailable(self.store.await_lease().await);
        unavailable(self.store.check_lease())
    }

    /// Everything works, with what was written before and nothing that was refused.
    async fn assert_works(&self) {
        self.store.renew_lease().await.expect("the lease");
        self.store.check_lease().expect("the lease");
        self.store.ping().await.expect("an answer");
        assert!(self.has("anna").await);
        assert!(!self.has("boris").await);
        self.write("carol").await.expect("written");
    }
}

async fn open(path: &Path) -> Arc<dyn Store> {
    let url = format!("sqlite:{}", path.display());
    crate::store::open(&url).await.expect("a store")
}

#[tokio::test]
async fn nothing_is_written_while_the_files_are_elsewhere_and_all_works_once_they_are_back() {
    let scene = Scene::new().await;
    for _ in 0..3 {
        scene.rename("here", "away", &NAMES);
        let why = scene.assert_refused().await;
        assert_eq!(why, "its database file was moved away or deleted");
        scene.rename("away", "here", &NAMES);
        scene.assert_works().await;
    }
}

#[tokio::test]
async fn the_first_write_after_the_files_were_moved_is_refused() {
    let scene = Scene::new().await;
    scene.rename("here", "away", &NAMES);
    scene.write("boris").await.expect_err("moved");
    scene.rename("away", "here", &NAMES);
    // Without a renewal between them.
    scene.write("carol").await.expect("back");
    assert!(scene.has("carol").await && !scene.has("boris").await);
}

#[tokio::test]
async fn each_file_is_needed() {
    for (name, called) in [
        ("chat.db", "database file"),
        ("chat.db-wal", "write-ahead log"),
        ("chat.db-shm", "shared memory file"),
    ] {
        let scene = Scene::new().await;
        scene.rename("here", "away", &[name]);
        let why = scene.assert_refused().await;
        assert_eq!(why, format!("its {called} was moved away or deleted"));
        scene.rename("away", "here", &[name]);
        scene.assert_works().await;
        fs::remove_file(scene.path("here", name)).expect("removed");
        fs::write(scene.path("here", name), "another").expect("written");
        let why = scene.assert_refused().await;
        assert_eq!(why, format!("its {called} was replaced by another file"));
    }
}

#[tokio::test]
async fn a_folder_that_is_moved_or_is_a_file_then_is_noticed() {
    let scene = Scene::new().await;
    let (here, there) = (scene.path("here", ""), scene.path("there", ""));
    fs::rename(&here, &there).expect("renamed");
    scene.assert_refused().await;
    let stand_in = scene.folder.path().join("here");
    fs::write(&stand_in, "no folder").expect("written");
    let why = scene.assert_refused().await;
    assert_eq!(why, "its database file cannot be found: not a directory");
    fs::remove_file(&stand_in).expect("removed");
    fs::rename(&there, &here).expect("renamed");
    scene.assert_works().await;
}

#[tokio::test]
async fn files_that_took_the_place_are_left_as_they_are_also_at_the_end() {
    let scene = Scene::new().await;
    scene.rename("here", "away", &NAMES);
    for name in NAMES {
        fs::write(scene.path("here", name), name).expect("written");
    }
    let why = scene.assert_refused().await;
    assert_eq!(why, "its database file was replaced by another file");
    scene.store.close().await.expect("closed");
    for name in NAMES {
        let content = fs::read_to_string(scene.path("here", name));
        assert_eq!(content.expect("still there"), name);
    }
    // What was acknowledged before is in the files that were moved.
    let Scene { folder, store } = scene;
    drop(store);
    let store = open(&folder.path().join("away/chat.db")).await;
    let anna = store.user_by_external_id("anna").await;
    assert!(anna.expect("an answer").is_some());
}

#[tokio::test]
async fn a_place_behind_symbolic_links_is_the_one_that_the_next_start_finds() {
    let scene = Scene::new().await;
    let link = scene.folder.path().join("link");
    symlink(scene.path("away", ""), &link).expect("a link");
    symlink(link.join("linked.db"), scene.path("here", "alias.db")).expect("a link");
    fs::write(scene.path("away", "linked.db"), "").expect("written");
    let store = open(&scene.path("here", "alias.db")).await;
    let scene = Scene { store, ..scene };
    scene.write("anna").await.expect("written");
    assert!(scene.path("away", "linked.db-wal").exists());

    let point_to = |folder: &str| {
        fs::remove_file(&link).expect("removed");
        symlink(scene.path(folder, ""), &link).expect("a link");
    };
    point_to("here");
    let why = scene.assert_refused().await;
    assert_eq!(why, "its database file was moved away or deleted");
    fs::write(scene.path("here", "linked.db"), "another").expect("written");
    let why = scene.assert_refused().await;
    assert_eq!(why, "its database file was replaced by another file");
    point_to("away");
    scene.assert_works().await;
}

#[tokio::test]
async fn files_that_another_process_has_changed_meanwhile_are_not_used_again() {
    let scene = Scene::new().await;
    scene.rename("here", "away", &NAMES);
    scene.assert_refused().await;
    let moved = scene.path("away", "chat.db");
    let second = crate::store::open(&format!("sqlite:{}", moved.display())).await;
    let Err(error) = second else {
        panic!("a second server has opened it");
    };
    assert!(error.to_string().contains("another polychat is using it"));
    let other = rusqlite::Connection::open(moved).expect("opened");
    let change = "UPDATE users SET name = 'Dora'";
    assert_eq!(other.execute(change, []).expect("written"), 1);
    drop(other);
    scene.rename("away", "here", &NAMES);
    for _ in 0..2 {
        let why = scene.assert_refused().await;
        assert!(why.contains("another process has changed it"), "{why}");
    }
}

#[tokio::test]
async fn files_that_another_process_has_only_read_meanwhile_are_used_again() {
    let scene = Scene::new().await;
    scene.rename("here", "away", &NAMES);
    scene.assert_refused().await;
    let reader = rusqlite::Connection::open(scene.path("away", "chat.db")).expect("opened");
    let count = "SELECT count(*) FROM users";
    let users: i64 = reader.query_row(count, [], |row| row.get(0)).expect("read");
    assert_eq!(users, 1);
    drop(reader);
    scene.rename("away", "here", &NAMES);
    scene.assert_works().await;
}

#[tokio::test]
async fn a_database_in_memory_has_no_files() {
    let store = crate::store::open("sqlite::memory:")
        .await
        .expect("a store");
    store.renew_lease().await.expect("the lease");
    store.check_lease().expect("the lease");
    store.ping().await.expect("an answer");
}
