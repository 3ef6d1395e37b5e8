//! A fact and the users it concerns: sent from the service over the bus to every node's hub.
//! Does not know connections, frames and queues.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::time::Instant;

use super::{
    Chat, ChatId, ChatPk, ConnectionId, EventChat, EventChatState, MemberRole, MembersVersion,
    Message, Origin, Policy, Room, Sanction, Seq, User, UserId,
};

/// A [`Fact`], and the connection whose request brought it about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Where the request came from; some dialects do not notify that connection.
    pub origin: Option<Origin>,
    /// The fact.
    pub fact: Fact,
    /// Since when it is durable, if this node stored it: for metrics.
    pub durable: Option<Instant>,
}

impl Notice {
    /// Whether a request on this connection brought it about.
    pub fn is_from(&self, connection: ConnectionId) -> bool {
        self.origin
            .is_some_and(|origin| origin.connection == connection)
    }

    /// The same notice, with this state of an event's chat.
    #[must_use]
    pub fn with_state(&self, state: EventChatState) -> Self {
        let mut notice = self.clone();
        let chat = match &mut notice.fact {
            Fact::MessageSent(message) => Arc::make_mut(message).event_chat.as_mut(),
            Fact::EventChatOpened(chat) | Fact::AccessChanged(chat) | Fact::ReadMoved(chat) => {
                Some(chat)
            }
            _ => None,
        };
        if let Some(chat) = chat {
            Arc::make_mut(chat).state = state;
        }
        notice
    }
}

/// The fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// A message was stored: it concerns every member of its chat.
    MessageSent(Arc<Message>),
    /// A chat was made: it concerns its members.
    ChatCreated(Chat),
    /// A user became a member: sent to all members and watchers. [`Fact::MembersListed`] follows.
    MemberJoined(Arc<Membership>),
    /// A user stopped being a member: sent to the others and watchers. [`Fact::MembersListed`] follows.
    MemberLeft(Arc<Membership>),
    /// The members of a chat have changed and are these: sent to them and to watchers. Changes in quick
    /// succession are followed by one list.
    MembersListed(Arc<ListedMembers>),
    /// A chat's name or team changed: sent to its members and watchers. With its latest history,
    /// which some dialects encode.
    ChatChanged(Arc<Room>),
    /// A chat was deleted with all its messages: sent to its members and watchers.
    ChatDeleted {
        /// Which one it was.
        chat: ChatId,
        /// Its small integer.
        pk: ChatPk,
    },
    /// A guest opened a chat with an event's owner: sent to that guest only.
    EventChatOpened(Arc<EventChat>),
    /// A guest has applied, or the owner has decided: it concerns both.
    AccessChanged(Arc<EventChat>),
    /// One of the two of an event's chat has read on: it concerns both.
    ReadMoved(Arc<EventChat>),
    /// A member has another role: sent to all members and watchers.
    RoleSet(Arc<RoleChange>),
    /// A member was muted, or its mute was lifted: sent to all members and watchers.
    Muted(Arc<SanctionChange>),
    /// A user was banned, or its ban was lifted: sent to all members, watchers and the user, unless
    /// the chat is hidden from it. A membership ends with it.
    Banned(Arc<SanctionChange>),
    /// The members of a chat are these: its subscriptions are compared with them, and nobody is notified.
    /// Follows a request that changed nothing, because an earlier one did whose answer was lost.
    MembersConfirmed(Chat),
    /// The store may have changed the members of a chat, or not: its subscriptions are compared with
    /// the store.
    MembersUncertain(ChatId),
    /// The store may have created this chat, or not: it is looked up, and if it is there its members are
    /// notified as of [`Fact::ChatCreated`].
    CreationUncertain(ChatId),
    /// The store may have deleted this chat, or not: it is looked up, and if it is gone that is notified
    /// as of [`Fact::ChatDeleted`].
    DeletionUncertain {
        /// Which one it is.
        chat: ChatId,
        /// Its small integer.
        pk: ChatPk,
    },
    /// The connections that this user has end.
    Disconnected(UserId),
    /// The tokens of a user that were issued before a time were revoked: the connections that were
    /// opened with one end.
    TokensRevoked {
        /// The user.
        user: UserId,
        /// The time.
        before: Timestamp,
    },
    /// The profile of a user has changed, or other tokens are revoked: other nodes drop what they have cached, and
    /// nobody is notified.
    UserChanged {
        /// The user.
        user: UserId,
        /// Its id in the host application.
        external_id: Arc<str>,
    },
}

impl Fact {
    /// Whether the store may have made a change, or not.
    pub const fn is_uncertain(&self) -> bool {
        matches!(
            self,
            Self::MembersUncertain(_) | Self::CreationUncertain(_) | Self::DeletionUncertain { .. }
        )
    }

    /// The chat that it is about; `None`: it is about a user.
    pub fn chat(&self) -> Option<ChatId> {
        Some(match self {
            Self::MessageSent(message) => message.chat,
            Self::ChatCreated(chat) | Self::MembersConfirmed(chat) => chat.id,
            Self::MemberJoined(membership) | Self::MemberLeft(membership) => membership.chat,
            Self::MembersListed(listed) => listed.chat,
            Self::ChatChanged(room) => room.chat.id,
            Self::ChatDeleted { chat, .. }
            | Self::MembersUncertain(chat)
            | Self::CreationUncertain(chat)
            | Self::DeletionUncertain { chat, .. } => *chat,
            Self::EventChatOpened(chat) | Self::AccessChanged(chat) | Self::ReadMoved(chat) => {
                chat.chat
            }
            Self::RoleSet(change) => change.chat,
            Self::Muted(change) | Self::Banned(change) => change.chat,
            Self::Disconnected(_) | Self::TokensRevoked { .. } | Self::UserChanged { .. } => {
                return None;
            }
        })
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

/// A change of the members of a chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The chat.
    pub chat: ChatId,
    /// Its small integer.
    pub chat_pk: ChatPk,
    /// Its visibility.
    pub policy: Policy,
    /// The user that joined or left.
    pub user: Arc<User>,
    /// The version of the members after the change.
    pub version: MembersVersion,
    /// The number of the latest message at that moment.
    pub head: Seq,
}

/// The members of a chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedMembers {
    /// The chat.
    pub chat: ChatId,
    /// All of them, in the order of joining.
    pub members: Vec<Arc<User>>,
    /// Their version.
    pub version: MembersVersion,
}

/// A change of a member's role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleChange {
    /// The chat.
    pub chat: ChatId,
    /// The member.
    pub user: Arc<User>,
    /// The role after the change.
    pub role: MemberRole,
    /// The version of the members after the change.
    pub version: MembersVersion,
}

/// A change of a mute or a ban.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SanctionChange {
    /// The chat.
    pub chat: ChatId,
    /// The user concerned.
    pub user: Arc<User>,
    /// The mute or the ban after the change; `None`: it was lifted.
    pub sanction: Option<Sanction>,
    /// The membership that a ban has ended.
    pub left: Option<Arc<Membership>>,
    /// Whether the user concerned is notified, too: not if the chat is hidden from it.
    pub to_user: bool,
    /// The version of the members after the change.
    pub version: MembersVersion,
}
