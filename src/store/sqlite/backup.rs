//! `polychat backup` on SQLite: a checked copy of a database in a new file, beside a server that goes on.
//! Does not take the lock on the database: it reads one state of it, as any other reader does.

use std::fmt::Display;
use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension};
use tokio::task::spawn_blocking;

use super::disk::outlive_file_limits;
use super::part::{Part, uri};
use super::{BUSY_TIMEOUT, MEMORY, is_missing, refuse, schema};
use crate::store::{Content, OpenError, Totals};

/// The file alone, as it is: without locks, and without a log beside it.
pub(super) const ALONE: &str = "immutable=1";

/// Without SQLite's locks: a file that nobody else has, on any file system.
const UNLOCKED: &str = "nolock=1";

/// The ends of the names that SQLite gives to files beside a database, and deletes.
const LOGS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// See [`crate::store::back_up`].
pub(in crate::store) async fn back_up(place: &str, file: &Path) -> Result<Content, OpenError> {
    let (place, file) = (place.to_owned(), file.to_owned());
    blocking(move || copy_to(&place, &file)).await
}

/// Runs work that waits for the disk.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, OpenError> + Send + 'static,
) -> Result<T, OpenError> {
    outlive_file_limits().map_err(|error| OpenError(error.to_string()))?;
    let done = spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(OpenError(error.to_string())))
}

fn copy_to(place: &str, file: &Path) -> Result<Content, OpenError> {
    if place == MEMORY {
        return Err(OpenError(
            "sqlite::memory: is in its server alone, and cannot be backed up".into(),
        ));
    }
    if is_missing(place) {
        return Err(OpenError(format!(
            "there is no such file as sqlite:{place}"
        )));
    }
    // A link that leads nowhere is something, too.
    if file.symlink_metadata().is_ok() {
        return Err(OpenError(format!(
            "{} exists already, and a backup replaces nothing",
            file.display()
        )));
    }
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    if let Some(ending) = LOGS.iter().find(|ending| name.ends_with(**ending)) {
        return Err(OpenError(format!(
            "{} is a name of SQLite's own: files that end with {ending} belong to another one",
            file.display()
        )));
    }
    let source = open_current(place).map_err(|OpenError(why)| refuse(place, &why))?;
    let failed = |why: &dyn Display| {
        let file = file.display();
        OpenError(format!("the backup {file} was not written: {why}"))
    };
    let part = Part::create(file).map_err(|why| failed(&why))?;
    copy(&source, part.path()).map_err(|why| failed(&why))?;
    let copied = open(&uri(part.path(), ALONE));
    let checked = copied.and_then(|copied| check(&copied));
    let totals = checked.map_err(|why| failed(&format_args!("the copy: {why}")))?;
    let bytes = part.path().metadata().map(|file| file.len());
    let bytes = bytes.map_err(|why| failed(&why))?;
    part.publish().map_err(|why| failed(&why))?;
    Ok(Content { totals, bytes })
}

/// A database of this version, which a server may use.
fn open_current(place: &str) -> Result<Connection, OpenError> {
    // Not for reading alone: the last connection to close folds the write-ahead log into the file, also if the
    // server stops meanwhile.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
    let source = open_with(place, flags)?;
    let version = schema::known_version(&source)?;
    if version < schema::NEWEST {
        return Err(OpenError(format!(
            "it has schema version {version}, and this polychat writes {}; `polychat check` migrates it, or use the \
             polychat that wrote it",
            schema::NEWEST
        )));
    }
    Ok(source)
}

/// Opens an existing database for reading.
pub(super) fn open(place: &str) -> Result<Connection, OpenError> {
    open_with(place, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

/// Opens an existing database.
pub(super) fn open_with(place: &str, flags: OpenFlags) -> Result<Connection, OpenError> {
    let flags = flags | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(place, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(connection)
}

/// Writes all that is in a database, at one time, into an empty file. Others write into the database meanwhile.
pub(super) fn copy(source: &Connection, file: &Path) -> Result<(), OpenError> {
    source.execute("VACUUM INTO ?1", [uri(file, UNLOCKED)])?;
    Ok(())
}

/// Checks a database, and counts what is in it.
///
/// # Errors
/// It is no complete database of polychat, or it is damaged.
pub(super) fn check(connection: &Connection) -> Result<Totals, OpenError> {
    let version = schema::known_version(connection)?;
    let damaged = |why: &dyn Display| OpenError(format!("it is damaged: {why}"));
    let first = "PRAGMA integrity_check(1)";
    let found: String = connection.query_row(first, [], |row| row.get(0))?;
    if found != "ok" {
        return Err(damaged(&found.replace('\n', " ")));
    }
    let first = "SELECT \"table\" FROM pragma_foreign_key_check LIMIT 1";
    let found = connection.query_row(first, [], |row| row.get::<_, String>(0));
    if let Some(table) = found.optional()? {
        return Err(damaged(&format_args!(
            "a row of {table} refers to no other"
        )));
    }
    match schema::incomplete_chats(connection, version)? {
        0 => {}
        chats => return Err(damaged(&format_args!("{chats} chats lack messages"))),
    }
    let totals = schema::totals_of(connection, version);
    totals.map_err(|error| OpenError(error.to_string()))
}

#[cfg(test)]
#[path = "backup_tests.rs"]
mod tests;
