//! The marketplace dialect (docs/protocols/marketplace.md), on Socket.IO and on the raw WebSocket
//! with the same bodies: `requests` decodes them, `responses` encodes them, `session` is one
//! connection.
//! Does not know transports, nor rights.

mod echoes;
mod requests;
mod responses;
mod session;

use std::sync::Arc;

use super::Dialect;

pub use session::MarketplaceSession;

/// The marketplace dialect on the raw WebSocket.
pub(super) const DIALECT: Dialect = Dialect {
    paths: &["/ws/events"],
    recognises: |frame| frame.get("event").is_some(),
    begin: |options| Arc::new(MarketplaceSession::raw(&options)),
};

#[cfg(test)]
mod tests;
