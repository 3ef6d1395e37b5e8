//! Something happened, and whom it concerns: what travels from the service over the bus to
//! every node's hub.
//! It refuses to know connections, frames and queues.

use std::sync::Arc;

use tokio::time::Instant;

use super::{
    Chat, ChatId, ChatPk, ConnectionId, EventChat, Message, Policy, Room, Seq, Standing, User,
};

/// A [`Fact`], and the connection whose request brought it about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The connection whose request this was; some dialects do not tell it what it knows.
    pub origin: Option<ConnectionId>,
    /// What happened.
    pub fact: Fact,
    /// Since when it is durable, as far as this node saw that: for figures.
    pub durable: Option<Instant>,
}

impl Notice {
    /// The same, told of an event's chat in which things stand so.
    #[must_use]
    pub fn standing(&self, standing: Standing) -> Self {
        let mut notice = self.clone();
        let chat = match &mut notice.fact {
            Fact::MessageSent(message) => Arc::make_mut(message).event_chat.as_mut(),
            Fact::EventChatOpened(chat) | Fact::AccessChanged(chat) | Fact::ReadMoved(chat) => {
                Some(chat)
            }
            _ => None,
        };
        if let Some(chat) = chat {
            Arc::make_mut(chat).standing = standing;
        }
        notice
    }
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
    /// Somebody wants to write to an event's owner: it concerns that guest only.
    EventChatOpened(Arc<EventChat>),
    /// A guest has applied, or the owner has decided: it concerns both.
    AccessChanged(Arc<EventChat>),
    /// One of the two of an event's chat has read on: it concerns both.
    ReadMoved(Arc<EventChat>),
}

impl Fact {
    /// The chat that it is about.
    pub fn chat(&self) -> ChatId {
        match self {
            Self::MessageSent(message) => message.chat,
            Self::ChatCreated(chat) => chat.id,
            Self::MemberJoined(membership) | Self::MemberLeft(membership) => membership.chat,
            Self::ChatChanged(room) => room.chat.id,
            Self::ChatDeleted { chat, .. } => *chat,
            Self::EventChatOpened(chat) | Self::AccessChanged(chat) | Self::ReadMoved(chat) => {
                chat.chat
            }
        }
    }

    /// The event's chat in which it happened, if it happened in one.
    pub fn event_chat(&self) -> Option<&Arc<EventChat>> {
        match self {
            Self::MessageSent(message) => message.event_chat.as_ref(),
            Self::EventChatOpened(chat) | Self::AccessChanged(chat) | Self::ReadMoved(chat) => {
                Some(chat)
            }
            _ => None,
        }
    }
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
