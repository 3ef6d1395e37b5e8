//! What is seen of a store before it is used, for people.
//! Does not open a store.

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
        let process = self.process;
        process.map_or_else(String::new, |process| format!(" (process {process})"))
    }
}
