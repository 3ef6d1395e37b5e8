//! The type dialect (PROTOCOL §4): `{"type", "data"}` both ways. Its JSON comes in through
//! `requests`, with the days that a client names in `days`, and goes out through `responses`;
//! `session` is one connection.
//! Does not know transports.

mod days;
mod fields;
mod requests;
mod responses;
mod session;
mod texts;

use std::sync::Arc;

use self::session::TypeSession;
use super::Dialect;

/// The type dialect.
pub(super) const DIALECT: Dialect = Dialect {
    paths: &["/ws/chats", "/ws/chat"],
    recognises: |frame| frame.get("type").is_some(),
    begin: |options| Arc::new(TypeSession::new(options)),
};

#[cfg(test)]
mod tests;
