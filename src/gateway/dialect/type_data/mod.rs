//! The type dialect (docs/protocols/type.md): `{"type", "data"}` in both directions. `requests`
//! decodes, `days` has the days that a client names, `responses` encodes; `session` is one
//! connection. "The original server" is the Python application whose frames the clients of this
//! dialect expect.
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
