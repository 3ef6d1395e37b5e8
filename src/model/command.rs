//! All that a client can ask, and all that it can be answered.
//! It refuses to know how a dialect spells either.

use super::{
    Chat, ChatCursor, ChatId, ChatPage, Draft, History, MessagePage, Profile, Sent, Seq, User,
    UserId,
};

/// What a client asks. `user` is the one that the request names, if it names one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Find the user of this external id, or create it, and update its profile.
    /// `None` means the caller's own.
    CreateUser {
        /// The id in the host application.
        external_id: Option<String>,
        /// What to set.
        profile: Profile,
    },
    /// Fetch a user by id.
    GetUser {
        /// Whom.
        id: UserId,
    },
    /// Create a closed chat.
    CreateChat {
        /// What to call it.
        name: Option<String>,
        /// Who takes part, in this order.
        members: Vec<UserId>,
    },
    /// The chats of a user, the most recently active first.
    ListChats {
        /// Whose.
        user: Option<UserId>,
        /// How many at most; `None`: as many as a page holds.
        limit: Option<usize>,
        /// Where the page before ended.
        before: Option<ChatCursor>,
    },
    /// A part of a chat's history.
    ListMessages {
        /// On whose behalf.
        user: Option<UserId>,
        /// Which chat.
        chat: ChatId,
        /// Which part.
        history: History,
    },
    /// Send a message.
    SendMessage {
        /// On whose behalf.
        user: Option<UserId>,
        /// Where to.
        chat: ChatId,
        /// What.
        draft: Draft,
    },
    /// The chats in which a connection of this user takes its seats, with their heads.
    ListSeats {
        /// Whose.
        user: UserId,
    },
}

/// The answer to one [`Command`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// To `CreateUser` and `GetUser`.
    User(User),
    /// To `CreateChat`.
    Chat(Chat),
    /// To `ListChats`.
    Chats(ChatPage),
    /// To `ListMessages`.
    Messages(MessagePage),
    /// To `SendMessage`.
    Sent(Sent),
    /// To `ListSeats`: each chat with the number of its latest message.
    Seats(Vec<(ChatId, Seq)>),
}
