//! The lines of an export, which an import reads: one JSON object each, with its kind as `type`
//! (docs/IMPORT.md).
//! Does not know files, nor what of it is in the store.

mod fields;
mod read;
mod write;

#[cfg(test)]
mod tests;

pub use read::{Line, read};
pub use write::{header, write};

/// The version of the format that this program writes, and the latest that it reads.
pub const VERSION: i64 = 1;

/// The kinds of lines.
mod kinds {
    pub const HEADER: &str = "polychat";
    pub const NUMBERS: &str = "numbers";
    pub const USER: &str = "user";
    pub const EVENT: &str = "event";
    pub const CHAT: &str = "chat";
    pub const MESSAGE: &str = "message";
    pub const READ: &str = "read";
}
