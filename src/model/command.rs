//! All that a client can ask, and all that it can be answered.
//! It refuses to know how a dialect spells either.

use super::{
    Chat, ChatChange, ChatCursor, ChatId, ChatPage, ChatRef, Draft, History, Joined, MessagePage,
    Profile, Reads, Room, Sent, Seq, User, UserId,
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
    /// Create an open chat of the caller's, without members.
    CreateRoom {
        /// What to call it.
        name: Option<String>,
        /// The number of a team.
        team: Option<i64>,
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
    /// The first page of the caller's chats, with their people.
    ListMyRooms,
    /// Every chat that the caller may see, by `pk`, as many as a page holds, with their people.
    ListRooms,
    /// A chat with its people and its latest messages.
    GetRoom {
        /// Which one.
        chat: ChatRef,
        /// How many messages at most.
        messages: usize,
    },
    /// Change a chat's name or team.
    ChangeChat {
        /// Which one.
        chat: ChatRef,
        /// What.
        change: ChatChange,
    },
    /// Delete a chat with all its messages.
    DeleteChat {
        /// Which one.
        chat: ChatRef,
    },
    /// Become a member.
    JoinChat {
        /// Of which chat.
        chat: ChatRef,
        /// How far the caller has read already.
        read: Option<Seq>,
    },
    /// Stop being a member.
    LeaveChat {
        /// Of which chat.
        chat: ChatRef,
    },
    /// A part of a chat's history.
    ListMessages {
        /// On whose behalf.
        user: Option<UserId>,
        /// Which chat.
        chat: ChatRef,
        /// Which part.
        history: History,
    },
    /// Send a message.
    SendMessage {
        /// On whose behalf.
        user: Option<UserId>,
        /// Where to.
        chat: ChatRef,
        /// What.
        draft: Draft,
    },
    /// The chats in which a connection of this user takes its seats, with their heads.
    ListSeats {
        /// Whose.
        user: UserId,
    },
}

impl Command {
    /// Whether something is different afterwards.
    pub const fn stores(&self) -> bool {
        !matches!(
            self,
            Self::GetUser { .. }
                | Self::ListChats { .. }
                | Self::ListMyRooms
                | Self::ListRooms
                | Self::GetRoom { .. }
                | Self::ListMessages { .. }
                | Self::ListSeats { .. }
        )
    }
}

/// The answer to one [`Command`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// To `CreateUser` and `GetUser`.
    User(User),
    /// To `CreateChat`.
    Chat(Chat),
    /// To `CreateRoom`, `GetRoom` and `ChangeChat`.
    Room(Room),
    /// To `ListChats`.
    Chats(ChatPage),
    /// To `ListMyRooms` and `ListRooms`.
    Rooms(Vec<Room>),
    /// To `DeleteChat`: the id that is free now.
    Deleted(ChatId),
    /// To `JoinChat`.
    Joined(Joined),
    /// To `LeaveChat`: which chat it was.
    Left(ChatId),
    /// To `ListMessages`: with how far its members have read.
    Messages(MessagePage, Reads),
    /// To `SendMessage`.
    Sent(Sent),
    /// To `ListSeats`: each chat with the number of its latest message.
    Seats(Vec<(ChatId, Seq)>),
}
