//! The error texts of the original server, which clients may compare.

use crate::model::{Error, ErrorKind};

pub(super) const NOT_JSON: &str = "Invalid JSON";
pub(super) const UNKNOWN_TYPE: &str = "Unknown message type";
pub(super) const UNEXPECTED: &str = "An unexpected error occurred";
pub(super) const NO_CHAT_ID: &str = "Chat ID is required.";
pub(super) const NO_CHAT: &str = "Chat not found.";
pub(super) const NO_CHAT_OR_TEXT: &str = "Invalid data. Chat ID and text are required.";
pub(super) const NOT_CREATED: &str =
    "An error occurred while creating the message. Please try again later.";
pub(super) const NOT_RETRIEVED: &str =
    "An error occurred while retrieving messages. Please try again later.";

/// An `invalid` error with one of these texts.
pub(super) fn invalid(text: &str) -> Error {
    Error::new(ErrorKind::Invalid, text)
}
