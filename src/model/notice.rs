//! Something happened, and whom it concerns: what travels from the service over the bus to
//! every node's hub.
//! It refuses to know connections, frames and queues.

use std::sync::Arc;

use super::{Chat, ChatId, ChatPk, ConnectionId, Message, Policy, Room, Seq, User};

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
    /// Somebody became a member: it concerns all members and those who watch.
    MemberJoined(Arc<Membership>),
    /// Somebody stopped being a member: it concerns the others and those who watch.
    MemberLeft(Arc<Membership>),
    /// A chat's name or team changed: it concerns its members and those who watch. With its
    /// latest history, since some clients are told all of it.
    ChatChanged(Arc<Room>),
    /// A chat is gone with all its messages: it concerns its members and those who watch.
    ChatDeleted {
        /// Which one it was.
        chat: ChatId,
        /// Its small integer.
        pk: ChatPk,
    },
}

/// A change of who takes part in a chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// In which chat.
    pub chat: ChatId,
    /// Its small integer.
    pub chat_pk: ChatPk,
    /// Who may see it.
    pub policy: Policy,
    /// Who came or went.
    pub user: Arc<User>,
    /// Who takes part now, in the order of joining.
    pub members: Vec<Arc<User>>,
    /// The number of the latest message at that moment.
    pub head: Seq,
}
