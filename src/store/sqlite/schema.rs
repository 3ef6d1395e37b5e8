//! The tables, and the way from every earlier version of them to the newest.
//! Does not open a file of a newer version, whose tables may have another meaning.

use rusqlite::{Connection, TransactionBehavior};

use super::{OpenError, transfer};
use crate::store::transfer::Unfinished;
use crate::store::{StoreError, Totals};

/// The migrations from version `n` to version `n + 1`, from the empty file (version 0) on. A step
/// that has been released is never changed.
pub(super) const STEPS: [&str; 8] = [
    include_str!("schema_1.sql"),
    include_str!("schema_2.sql"),
    include_str!("schema_3.sql"),
    include_str!("schema_4.sql"),
    include_str!("schema_5.sql"),
    include_str!("schema_6.sql"),
    include_str!("schema_7.sql"),
    include_str!("schema_8.sql"),
];

/// The newest version.
pub(super) const NEWEST: usize = STEPS.len();

/// The first version that has the mark of an unfinished copy.
const MARKS: usize = 4;

/// The first version in which a deleted chat may still have a row.
const DELETED: usize = 5;

/// Indexes beside those of the versions.
const INDEXES: &str = include_str!("indexes.sql");

/// The number in the header of the file by which SQLite files of one program are known: `poly` in ASCII. Files
/// of older versions have none until they are migrated.
const APPLICATION: i32 = 0x706f_6c79;

/// Columns that files of every version have.
const KNOWN: [&str; 2] = [
    "SELECT pk, external_id, username FROM users",
    "SELECT chat, seq, sender, kind, text FROM messages",
];

/// Refuses a file of another program, before anything is written into it.
pub(super) fn refuse_others(connection: &Connection) -> Result<(), OpenError> {
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let ours = match number("application_id")? {
        APPLICATION => true,
        0 if number("user_version")? == 0 => {
            let select = "SELECT count(*) FROM sqlite_schema";
            connection.query_row(select, [], |row| row.get::<_, i64>(0))? == 0
        }
        0 => KNOWN
            .iter()
            .all(|select| connection.prepare(select).is_ok()),
        _ => false,
    };
    if ours {
        Ok(())
    } else {
        Err(OpenError("it is a SQLite file of another program".into()))
    }
}

/// The version of the tables; 0: there are none.
fn version(connection: &Connection) -> rusqlite::Result<usize> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Whether the tables are those of the newest version.
pub(super) fn is_current(connection: &Connection) -> Result<bool, OpenError> {
    Ok(version(connection)? == NEWEST)
}

impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> Self {
        Self(error.to_string())
    }
}

fn newer(version: usize) -> OpenError {
    OpenError(format!(
        "it has schema version {version}, written by a newer polychat; this one knows up to {NEWEST}"
    ))
}

/// The version of a database of polychat that is complete, and that this program can migrate at least.
///
/// # Errors
/// It is another program's, a newer one's, empty, or the target of an unfinished copy.
pub(super) fn known_version(connection: &Connection) -> Result<usize, OpenError> {
    refuse_others(connection)?;
    match version(connection)? {
        0 => Err(OpenError("it is empty".into())),
        version if version > NEWEST => Err(newer(version)),
        version => {
            let is_marked = version >= MARKS && transfer::is_unfinished(connection)?;
            Unfinished::Refused.check(is_marked)?;
            Ok(version)
        }
    }
}

/// Migrates the database to the newest version and to all its indexes, in one transaction.
pub(super) fn migrate(
    connection: &mut Connection,
    unfinished: Unfinished,
) -> Result<(), OpenError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version = version(&transaction)?;
    let steps = STEPS.get(version..).ok_or_else(|| newer(version))?;
    if version >= MARKS {
        unfinished.check(transfer::is_unfinished(&transaction)?)?;
    }
    for step in steps {
        transaction.execute_batch(step)?;
    }
    transaction.execute_batch(INDEXES)?;
    transaction.pragma_update(None, "user_version", STEPS.len())?;
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.commit()?;
    Ok(())
}

/// The indexes that an empty database of the newest version has and this one has not.
pub(super) fn missing_indexes(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let model = Connection::open_in_memory()?;
    for step in STEPS {
        model.execute_batch(step)?;
    }
    model.execute_batch(INDEXES)?;
    let there = indexes(connection)?;
    let mut missing = indexes(&model)?;
    missing.retain(|index| !there.contains(index));
    Ok(missing)
}

/// How many records there are. The messages of a chat have numbers without a gap.
pub(super) fn totals(connection: &Connection) -> Result<Totals, StoreError> {
    totals_of(connection, NEWEST)
}

/// The same of a database of this version.
pub(super) fn totals_of(connection: &Connection, version: usize) -> Result<Totals, StoreError> {
    let select = format!(
        "SELECT (SELECT count(*) FROM users), count(*), coalesce(sum(head), 0) FROM chats WHERE {}",
        present(version)
    );
    let totals = connection.query_row(&select, [], |row| {
        Ok(Totals {
            users: row.get(0)?,
            chats: row.get(1)?,
            messages: row.get(2)?,
        })
    });
    Ok(totals?)
}

/// How many chats of a database of this version have other messages than their heads say.
pub(super) fn incomplete_chats(connection: &Connection, version: usize) -> rusqlite::Result<u64> {
    let select = format!(
        "SELECT count(*) FROM chats WHERE {}
         AND (head <> (SELECT count(*) FROM messages WHERE chat = chats.pk)
              OR head <> (SELECT coalesce(max(seq), 0) FROM messages WHERE chat = chats.pk))",
        present(version)
    );
    connection.query_row(&select, [], |row| row.get(0))
}

/// The condition for chats that are not deleted.
const fn present(version: usize) -> &'static str {
    if version < DELETED {
        "TRUE"
    } else {
        "deleted = 0"
    }
}

fn indexes(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let select = "SELECT name FROM sqlite_schema WHERE type = 'index' ORDER BY name";
    let mut statement = connection.prepare(select)?;
    let names = statement.query_map([], |row| row.get(0))?;
    names.collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use jiff::Timestamp;
    use rusqlite::{Connection, params};

    use crate::model::{
        ChatId, History, MemberRights, MemberRole, NewPk, NewUser, Profile, Range, Sanction,
        UserId, Window,
    };

    const ANNA: UserId = UserId::from_bytes([1; 16]);
    const TALK: ChatId = ChatId::from_bytes([2; 16]);

    /// A file of this version with a chat of one member.
    fn older(folder: &Path, version: usize) -> (Connection, String) {
        let path = folder.join("chat.db");
        let file = Connection::open(&path).expect("a file");
        for step in &super::STEPS[..version] {
            file.execute_batch(step).expect("a schema");
        }
        file.pragma_update(None, "user_version", version)
            .expect("a version");
        let insert = "INSERT INTO users (pk, id, external_id, username, name, avatar, github,
                                         image_uuid, created_at, modified_at)
                      VALUES (7, ?1, 'anna', 'anna', 'anna', '', '', NULL, 0, 0)";
        file.execute(insert, [ANNA]).expect("a user");
        let insert = "INSERT INTO chats (pk, id, policy, owner, created_at, modified_at, active_at)
                      VALUES (9, ?1, 'closed', 7, 0, 0, 0)";
        file.execute(insert, [TALK]).expect("a chat");
        let insert = "INSERT INTO members (chat, place, user) VALUES (?1, ?2, ?3)";
        file.execute(insert, params![9, 0, 7]).expect("a member");
        (file, format!("sqlite:{}", path.display()))
    }

    #[tokio::test]
    async fn a_file_of_another_program_is_refused_untouched() {
        for (number, statements) in [
            (1, "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT)"),
            (
                2,
                "CREATE TABLE users (id INTEGER); PRAGMA user_version = 3",
            ),
            (3, "PRAGMA application_id = 7"),
            (4, "CREATE TABLE notes (text); PRAGMA journal_mode = WAL"),
        ] {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("other.db");
            let file = Connection::open(&path).expect("a file");
            file.execute_batch(statements).expect("a database");
            drop(file);
            let before = std::fs::read(&path).expect("a file");
            let url = format!("sqlite:{}", path.display());
            let Err(error) = crate::store::open(&url).await else {
                panic!("{number} was opened");
            };
            let why = error.to_string();
            assert!(
                why.ends_with("it is a SQLite file of another program"),
                "{why}"
            );
            assert_eq!(std::fs::read(&path).expect("a file"), before, "{number}");
        }
    }

    #[tokio::test]
    async fn files_are_known_by_their_number_also_older_ones_once_they_are_migrated() {
        let folder = tempfile::tempdir().expect("a folder");
        let number = |path: &Path| {
            let file = Connection::open(path).expect("a file");
            file.pragma_query_value(None, "application_id", |row| row.get::<_, i32>(0))
        };
        for version in 1..=super::STEPS.len() {
            let folder = folder.path().join(version.to_string());
            std::fs::create_dir(&folder).expect("a folder");
            let (file, url) = older(&folder, version);
            // As programs that back up the file do.
            file.execute_batch("CREATE TABLE _replica (seq)")
                .expect("a table");
            drop(file);
            let store = crate::store::open(&url).await.expect("ours");
            store.close().await.expect("closed");
            assert_eq!(number(&folder.join("chat.db")), Ok(super::APPLICATION));
        }
        let fresh = folder.path().join("fresh.db");
        let url = format!("sqlite:{}", fresh.display());
        let store = crate::store::open(&url).await.expect("a store");
        store.close().await.expect("closed");
        drop(store);
        assert_eq!(number(&fresh), Ok(super::APPLICATION));
        crate::store::open(&url).await.expect("opened again");
    }

    #[tokio::test]
    async fn a_message_of_version_5_has_no_metadata() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, url) = older(folder.path(), 5);
        let insert = "INSERT INTO messages (chat, seq, id, sender, kind, text, read, created_at, modified_at)
                      VALUES (9, 1, ?1, 7, 'text', 'old', 0, 0, 0)";
        file.execute(insert, [ANNA]).expect("a message");
        file.execute("UPDATE chats SET head = 1", [])
            .expect("a head");
        drop(file);
        let store = crate::store::open(&url).await.expect("a store");
        let history = History {
            range: Range::default(),
            window: Window::First(9),
        };
        let page = store.messages(TALK, history).await.expect("a page");
        let [message] = &page.messages[..] else {
            panic!("{page:?}");
        };
        assert_eq!((&*message.text, &message.metadata), ("old", &None));
    }

    #[tokio::test]
    async fn a_file_of_version_3_is_brought_up_to_date() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, url) = older(folder.path(), 3);
        file.execute("UPDATE members SET muted = 1, muted_until = 5", [])
            .expect("muted");
        drop(file);
        let store = crate::store::open(&url).await.expect("a store");
        let now = Timestamp::UNIX_EPOCH;
        let left = store.remove_member(TALK, ANNA, now, None).await;
        assert!(left.expect("an answer").expect("a chat").0);
        let back = store.add_member(TALK, ANNA, 0, now, None).await;
        assert!(back.expect("an answer").expect("a chat").0);
        let rights = store.chat_rights(TALK).await.expect("an answer");
        let until = Timestamp::from_millisecond(5).ok();
        let mute = rights.expect("a chat").members[0].mute;
        assert_eq!(mute, Some(Sanction { until }));
        // The numbers that were given out are not given again.
        let boris = NewUser {
            id: UserId::from_bytes([3; 16]),
            pk: NewPk::default(),
            external_id: "boris".into(),
            profile: Profile::default(),
            at: now,
            audit: None,
        };
        let boris = store.find_or_create_user(boris).await.expect("a user");
        assert_eq!(boris.pk, 8);
        let missing = store.missing_indexes().await.expect("an answer");
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[tokio::test]
    async fn a_file_of_version_2_is_brought_up_to_date() {
        let folder = tempfile::tempdir().expect("a folder");
        let (anna, talk) = (ANNA, TALK);
        let (file, url) = older(folder.path(), 2);
        drop(file);
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
