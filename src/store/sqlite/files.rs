//! Whether the files of the database are where they were opened, by device and inode. A file that was
//! moved, deleted or replaced can still be written to, but no later process would find what is
//! written.
//! Does not open, move or change a file.

use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use parking_lot::RwLock;
use rusqlite::Connection;

use super::MEMORY;
use crate::store::{OpenError, StoreError};

/// The files of an open database.
pub(super) struct Files {
    files: Vec<OpenedFile>,
    state: RwLock<State>,
}

/// A file as it was when the database was opened.
struct OpenedFile {
    /// In a few words, without its path: clients receive it.
    called: &'static str,
    path: PathBuf,
    id: FileId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
}

/// What the latest check found.
enum State {
    /// All files are in place.
    Present,
    /// One of them is not.
    Gone {
        why: String,
        /// The version of the data when that was found; `None`: it could not be read.
        version: Option<i64>,
    },
    /// All are in place again, but another process has written to them meanwhile, so that the caches
    /// above the store are out of date.
    Changed,
}

impl Files {
    /// The files of the database that `writer` has opened at `place`. SQLite creates the write-ahead
    /// log and the shared memory with the first read.
    ///
    /// # Errors
    /// One of them cannot be found.
    pub(super) fn opened(writer: &Connection, place: &Path) -> Result<Self, OpenError> {
        writer.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        // Behind symbolic links: there SQLite has the other files.
        let resolved = writer.path().unwrap_or_default();
        let beside = |suffix: &str| PathBuf::from(format!("{resolved}{suffix}"));
        let mut files = vec![
            OpenedFile::find("database file", beside(""))?,
            OpenedFile::find("write-ahead log", beside("-wal"))?,
            OpenedFile::find("shared memory file", beside("-shm"))?,
        ];
        // The place as the next start will see it: a symbolic link may lead elsewhere then. The URI of
        // a file is no path.
        files.extend(OpenedFile::find("database file", place.to_owned()));
        Ok(Self {
            files,
            state: RwLock::new(State::Present),
        })
    }

    /// Looks at each file: called before and after every commit, by the thread that writes.
    ///
    /// Files that were gone and are back, the same ones, can be used again unless another process
    /// has changed the data meanwhile. A second server cannot: they are locked wherever they are.
    ///
    /// # Errors
    /// `Unavailable`: nothing may be written.
    pub(super) fn check(&self, writer: &Connection) -> Result<(), StoreError> {
        let missing = self.files.iter().find_map(OpenedFile::missing);
        if missing.is_none() && matches!(*self.state.read(), State::Present) {
            return Ok(());
        }
        let now = data_version(writer);
        let mut state = self.state.write();
        let next = match (missing, &*state) {
            (None, State::Present) => State::Present,
            (Some(why), State::Present) => State::Gone {
                why,
                version: now.ok(),
            },
            (Some(why), State::Gone { version, .. }) => State::Gone {
                why,
                version: *version,
            },
            (None, State::Gone { version, .. }) if *version == Some(now?) => State::Present,
            (None, State::Gone { .. }) | (_, State::Changed) => State::Changed,
        };
        *state = next;
        state.verdict()
    }

    /// What the latest check found.
    ///
    /// # Errors
    /// As [`Files::check`].
    pub(super) fn verdict(&self) -> Result<(), StoreError> {
        self.state.read().verdict()
    }
}

impl State {
    fn verdict(&self) -> Result<(), StoreError> {
        let why = match self {
            Self::Present => return Ok(()),
            Self::Gone { why, .. } => why.clone(),
            Self::Changed => "another process has changed it while its files were moved away; \
                              polychat has to be restarted"
                .to_owned(),
        };
        Err(StoreError::Unavailable(why.into()))
    }
}

impl OpenedFile {
    fn find(called: &'static str, path: PathBuf) -> Result<Self, OpenError> {
        match fs::metadata(&path) {
            Ok(found) => Ok(Self {
                called,
                path,
                id: FileId::of(&found),
            }),
            Err(error) => Err(OpenError(format!("{}: {error}", path.display()))),
        }
    }

    /// Why this file may not be written to any more.
    fn missing(&self) -> Option<String> {
        let called = self.called;
        match fs::metadata(&self.path) {
            Ok(found) if FileId::of(&found) == self.id => None,
            Ok(_) => Some(format!("its {called} was replaced by another file")),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Some(format!("its {called} was moved away or deleted"))
            }
            Err(error) => Some(format!("its {called} cannot be found: {}", error.kind())),
        }
    }
}

impl FileId {
    fn of(file: &Metadata) -> Self {
        Self {
            device: file.dev(),
            inode: file.ino(),
        }
    }
}

/// A number that changes with each commit of another connection, and with none of this one.
fn data_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "data_version", |row| row.get(0))
}

/// Whether there is no file at `place` yet, in a folder that exists.
pub(in crate::store) fn is_missing(place: &str) -> bool {
    // The URI of a file is no path.
    if place.is_empty() || place == MEMORY || place.starts_with("file:") {
        return false;
    }
    let place = Path::new(place);
    let folder = place.parent().unwrap_or(place);
    let is_folder = folder.as_os_str().is_empty() || folder.is_dir();
    is_folder && matches!(place.try_exists(), Ok(false))
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
