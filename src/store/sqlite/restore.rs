//! `polychat restore` on SQLite: the copy in a file takes the place of a database that nobody uses.
//! Does not change the file that it restores.
//!
//! SQLite applies a write-ahead log to any file beside which it lies. So the log of the old database is folded into
//! it, or put away, before another file takes its name: a process that is killed at any step leaves the old database or
//! the new one under that name, and never the one with the log of the other.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::backup::{ALONE, blocking, check, copy, open, open_with};
use super::lock::{LockError, lock};
use super::part::{Part, beside, sync_folder, uri};
use super::{MEMORY, refuse, schema};
use crate::store::seen::in_brackets;
use crate::store::{Content, OpenError, Restored, Totals};

/// The logs beside a file that SQLite would apply to it.
const LOGS: [&str; 2] = ["-wal", "-journal"];

/// The index of the write-ahead log, which SQLite makes anew.
const INDEX: &str = "-shm";

/// See [`crate::store::restore`].
pub(in crate::store) async fn restore(
    file: &Path,
    place: &str,
    replace: bool,
    suffix: &str,
) -> Result<Restored, OpenError> {
    let (file, place, suffix) = (file.to_owned(), place.to_owned(), suffix.to_owned());
    blocking(move || {
        let unusable = |OpenError(why)| {
            let file = file.display();
            OpenError(format!("the backup {file} cannot be restored: {why}"))
        };
        let (file, source) = open_backup(&file).map_err(unusable)?;
        let totals = check(&source).map_err(unusable)?;
        let restored = Target::lock(&place, &file, replace)
            .and_then(|target| put_in_place(&source, totals, target, &suffix));
        restored.map_err(|OpenError(why)| refuse(&place, &why))
    })
    .await
}

/// Opens a file to read it, with its log if there is one. Returns also its path without links.
fn open_backup(file: &Path) -> Result<(PathBuf, Connection), OpenError> {
    let file = fs::canonicalize(file).map_err(|error| match error.kind() {
        ErrorKind::NotFound => OpenError("there is no such file".into()),
        _ => OpenError(error.to_string()),
    })?;
    if !file.is_file() {
        return Err(OpenError("it is no file".into()));
    }
    let has_log = LOGS.iter().any(|log| length(&beside(&file, log)) > 0);
    // Alone it can be read wherever it is, also where no file can be created beside it.
    let connection = open(&uri(&file, if has_log { "mode=ro" } else { ALONE }))?;
    Ok((file, connection))
}

/// The place of the database, which nobody else uses meanwhile.
struct Target {
    path: PathBuf,
    /// Whether a database is in the place.
    is_taken: bool,
    /// Whether there was no file: then an empty one, for the lock.
    is_made: bool,
    _lock: File,
}

impl Target {
    fn lock(place: &str, source: &Path, replace: bool) -> Result<Self, OpenError> {
        if place.is_empty() || place == MEMORY || place.starts_with("file:") {
            return Err(OpenError("write sqlite:PATH, the path of a file".into()));
        }
        let place = Path::new(place);
        let path = match fs::canonicalize(place) {
            Ok(path) => path,
            Err(_) if place.is_symlink() => {
                return Err(OpenError(
                    "it is a link to a file that does not exist".into(),
                ));
            }
            Err(_) => place.to_owned(),
        };
        if path == source {
            return Err(OpenError("it is the backup".into()));
        }
        let is_made = !path.exists();
        let lock = lock(&path).map_err(|error| match error {
            LockError::Held(process) => OpenError(format!(
                "another polychat is using it{}; stop it first",
                in_brackets(process)
            )),
            LockError::Unusable(why) => OpenError(why),
        })?;
        let is_taken = length(&path) > 0;
        let target = Self {
            path,
            is_taken,
            is_made,
            _lock: lock,
        };
        if is_taken && !replace {
            return Err(OpenError(
                "it exists already; with --replace it is kept under another name".into(),
            ));
        }
        Ok(target)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if self.is_made {
            // An empty file is no database: a later start or restore uses it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Copies the database, and gives the copy the name of the target.
fn put_in_place(
    source: &Connection,
    totals: Totals,
    mut target: Target,
    suffix: &str,
) -> Result<Restored, OpenError> {
    let path = target.path.clone();
    let part = Part::create(&path)?;
    copy(source, part.path())?;
    let copied = check(&open(&uri(part.path(), ALONE))?)?;
    if copied != totals {
        return Err(OpenError("the copy differs from the backup".into()));
    }
    let failed = |error: std::io::Error| OpenError(error.to_string());
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let model = if target.is_taken {
        &path
    } else {
        folder.unwrap_or(Path::new("."))
    };
    part.resemble(model).map_err(failed)?;
    part.sync().map_err(failed)?;
    let content = Content {
        totals,
        bytes: length(part.path()),
    };
    let kept = put_away(&path, target.is_taken, &beside(&path, suffix))?;
    let _new = part.publish().map_err(failed)?;
    target.is_made = false;
    Ok(Restored { content, kept })
}

/// Gives the old database a second name, and its logs another one. Afterwards there is no log, and the old database
/// is still in its place. Returns the new names.
fn put_away(path: &Path, is_taken: bool, aside: &Path) -> Result<Vec<PathBuf>, OpenError> {
    let failed = |error: std::io::Error| OpenError(format!("{}: {error}", aside.display()));
    let mut kept = Vec::new();
    if is_taken {
        fold(path)?;
        fs::hard_link(path, aside).map_err(failed)?;
        sync_folder(path).map_err(failed)?;
        kept.push(aside.to_owned());
    }
    for log in LOGS {
        let (from, to) = (beside(path, log), beside(aside, log));
        if length(&from) > 0 {
            fs::rename(&from, &to).map_err(failed)?;
            kept.push(to);
        } else {
            remove(&from).map_err(failed)?;
        }
    }
    remove(&beside(path, INDEX)).map_err(failed)?;
    sync_folder(path).map_err(failed)?;
    Ok(kept)
}

/// Folds the write-ahead log into the database, which has none afterwards. One that is damaged stays as it is.
///
/// # Errors
/// Another program has it open, or it is another program's.
fn fold(path: &Path) -> Result<(), OpenError> {
    let Ok(connection) = open_with(&uri(path, "mode=rw"), OpenFlags::SQLITE_OPEN_READ_WRITE) else {
        return Ok(());
    };
    let tables = "SELECT count(*) FROM sqlite_schema";
    let readable = connection.query_row(tables, [], |_| Ok(()));
    if readable.is_ok() {
        schema::refuse_others(&connection)?;
    }
    let mode = readable.and_then(|()| {
        let mode = |row: &rusqlite::Row<'_>| row.get::<_, String>(0);
        connection.pragma_update_and_check(None, "journal_mode", "DELETE", mode)
    });
    match mode.map_err(|error| error.sqlite_error_code()) {
        Err(Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)) => {
            Err(OpenError("another program has it open".into()))
        }
        Ok(mode) if mode != "delete" => Err(OpenError("another program has it open".into())),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Removes a file if there is one.
fn remove(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The length of a file; 0: there is none.
fn length(path: &Path) -> u64 {
    path.metadata().map_or(0, |file| file.len())
}

#[cfg(test)]
#[path = "restore_tests.rs"]
mod tests;
