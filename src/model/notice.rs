//! Something happened, and whom it concerns: what travels from the service over the bus to
//! every node's hub.
//! It refuses to know connections, frames and queues.

use std::sync::Arc;

use super::{Chat, ConnectionId, Message};

/// A [`Fact`], and the connection whose request brought it about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The connection whose request this was; some dialects do not tell it what it knows.
    pub origin: Option<ConnectionId>,
    /// What happened.
    pub fact: Fact,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// A message was stored: it concerns every member of its chat.
    MessageSent(Arc<Message>),
    /// A chat was made: it concerns its members.
    ChatCreated(Chat),
}
