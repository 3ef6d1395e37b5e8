//! The action dialect (PROTOCOL §3, ORIGINALS part A): its JSON in `requests` and `responses`, one
//! connection in `session`, its subscriptions in `subscriptions`.
//! Does not know transports.

mod requests;
mod responses;
mod session;
mod subscriptions;
mod validation;

use std::sync::Arc;

use self::session::ActionSession;
use super::Dialect;

/// The action dialect.
pub(super) const DIALECT: Dialect = Dialect {
    paths: &["/ws/chat/room"],
    recognises: |frame| frame.get("action").is_some() || frame.get("stream").is_some(),
    begin: |options| Arc::new(ActionSession::new(options)),
};

#[cfg(test)]
mod tests;
