//! Functions of a store by its URL: connecting, and what needs no connection.
//! Does not know what a store does once it is open.

use std::path::Path;
use std::sync::Arc;

use super::mongodb::Mongo;
use super::sqlite::Sqlite;
#[cfg(any(test, fuzzing))]
use super::transfer::Unfinished;
use super::{Content, InUse, OpenError, Restored, Store, sqlite};

/// The kind of store that `url` names, in a word.
pub fn kind(url: &str) -> &str {
    url.split([':', '+']).next().unwrap_or_default()
}

/// Whether other nodes can use this store, too.
pub fn is_shared(url: &str) -> bool {
    kind(url) == "mongodb"
}

/// Connects to the store that `url` names: `sqlite:PATH`, `sqlite::memory:` or
/// `mongodb://HOST/DATABASE`. It is used once its lease is taken and it is migrated.
///
/// # Errors
/// A sentence about the invalid URL or the unusable store.
pub async fn connect(url: &str) -> Result<Arc<dyn Store>, OpenError> {
    match url.split_once(':') {
        Some(("sqlite", place)) => Ok(Arc::new(Sqlite::open(place).await?)),
        Some(("mongodb" | "mongodb+srv", _)) => Ok(Arc::new(Mongo::connect(url).await?)),
        _ => Err(unknown(url)),
    }
}

/// Whether this is the URL of a SQLite file that does not exist yet, in a folder that does: [`connect`] would
/// create it.
pub fn is_missing(url: &str) -> bool {
    match url.split_once(':') {
        Some(("sqlite", place)) => sqlite::is_missing(place),
        _ => false,
    }
}

/// [`connect`], or what is seen of a store that nobody else can open while another process uses it.
///
/// # Errors
/// As [`connect`].
pub async fn connect_or_look(url: &str) -> Result<Result<Arc<dyn Store>, InUse>, OpenError> {
    match url.split_once(':') {
        Some(("sqlite", place)) => {
            let opened = Sqlite::open_or_look(place).await?;
            Ok(opened.map(|opened| Arc::new(opened) as Arc<dyn Store>))
        }
        _ => connect(url).await.map(Ok),
    }
}

/// Connects to a store and migrates it, without its lease.
///
/// # Errors
/// As [`connect`] and [`Store::migrate`].
#[cfg(any(test, fuzzing))]
pub async fn open(url: &str) -> Result<Arc<dyn Store>, OpenError> {
    let store = connect(url).await?;
    store.migrate(Unfinished::Refused).await?;
    Ok(store)
}

/// Makes a copy of a store, which a server may use meanwhile, in a new file that only this user can read.
/// The file has its name once the copy is whole, checked and on the disk.
///
/// # Errors
/// A sentence about the store or the file; then there is no such file.
pub async fn back_up(url: &str, file: &Path) -> Result<Content, OpenError> {
    match url.split_once(':') {
        Some(("sqlite", place)) => sqlite::backup::back_up(place, file).await,
        Some(("mongodb" | "mongodb+srv", _)) => Err(of_mongodb("mongodump")),
        _ => Err(unknown(url)),
    }
}

/// Puts the copy in `file` in the place of a store that nobody uses. With `replace` an existing store is kept
/// under its name and `suffix`, else it is refused. If the process is killed, the store is the old or the new one,
/// each as a whole.
///
/// # Errors
/// A sentence about the file or the store; then nothing has changed, unless it was the last write to the folder that
/// failed.
pub async fn restore(
    file: &Path,
    url: &str,
    replace: bool,
    suffix: &str,
) -> Result<Restored, OpenError> {
    match url.split_once(':') {
        Some(("sqlite", place)) => sqlite::restore::restore(file, place, replace, suffix).await,
        Some(("mongodb" | "mongodb+srv", _)) => Err(of_mongodb("mongorestore")),
        _ => Err(unknown(url)),
    }
}

fn of_mongodb(tool: &str) -> OpenError {
    OpenError(format!(
        "this command is for files of SQLite; for MongoDB there is {tool}: see \"Backup and restore: MongoDB\" in \
         docs/OPERATIONS.md"
    ))
}

fn unknown(url: &str) -> OpenError {
    OpenError(format!(
        "the store \"{}\" is of no known kind; write sqlite:PATH, sqlite::memory: or \
         mongodb://HOST/DATABASE",
        // The part after the scheme may contain a password.
        url.split_once(':').map_or(url, |(scheme, _)| scheme)
    ))
}
