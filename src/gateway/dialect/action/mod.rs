//! The action dialect (docs/protocols/action.md): its JSON in `requests` and `responses`, one
//! connection in `session`, its subscriptions in `subscriptions`. "The original server" is the
//! Django application whose frames the clients of this dialect expect.
//! Does not know transports.

mod refusal;
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
