//! What is seen of a store, or of a copy of it, without using it: for people.
//! Does not open a store.

use std::path::PathBuf;

use super::OpenError;

/// How many records a store has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// Users.
    pub users: u64,
    /// Chats that are not deleted.
    pub chats: u64,
    /// Messages.
    pub messages: u64,
}

/// What is read in a store that another process uses.
#[derive(Debug)]
pub struct Seen {
    /// How many records it has.
    pub totals: Totals,
    /// The indexes that it lacks.
    pub missing_indexes: Vec<String>,
}

/// A store that another process uses.
#[derive(Debug)]
pub struct InUse {
    /// The store in a few words, as [`Store::describe`](super::Store::describe).
    pub store: String,
    /// The id of the process, if it is known.
    pub process: Option<u32>,
    /// What is in it, or why that is not known.
    pub seen: Result<Seen, OpenError>,
}

impl InUse {
    /// The process, to stand behind a name: ` (process 7)`.
    pub fn in_brackets(&self) -> String {
        in_brackets(self.process)
    }
}

/// A process, to stand behind a name, if it is known.
pub(super) fn in_brackets(process: Option<u32>) -> String {
    process.map_or_else(String::new, |process| format!(" (process {process})"))
}

/// What a checked copy of a store holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    /// How many records it has.
    pub totals: Totals,
    /// The size of the file.
    pub bytes: u64,
}

/// A store that was restored.
#[derive(Debug)]
pub struct Restored {
    /// What it holds now.
    pub content: Content,
    /// The files that were in its place, under their new names.
    pub kept: Vec<PathBuf>,
}
