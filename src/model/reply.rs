//! The replies to commands.
//! Does not know how a dialect spells them.

use std::sync::Arc;

use super::{
    AuditPage, Ban, Chat, ChatCursor, ChatId, ChatList, ChatPage, Event, EventPage, EventPk,
    ImportRefusal, Imported, Joined, MarkedRead, Marketplace, MemberRights, MessagePage, Missed,
    Reads, RoleChange, Room, RoomPage, SanctionChange, Sent, Seq, Updated, User, UserPage,
    VisibleCursor,
};

/// The answer to one [`Command`](super::Command).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// To `CreateUser`, `GetUser` and `UpdateUser`.
    User(User),
    /// To `GetProfile`.
    Profile(User),
    /// To `WhoAmI`.
    Me(User),
    /// To `ListUsers`.
    Users(UserPage),
    /// To `CreateChat`.
    Chat(Chat),
    /// To `CreateChat` with a name in the host application that a chat has.
    ChatFound(Chat),
    /// To `CreateRoom`, `GetRoom`, `ChangeChat`, `AddMembers` and `RemoveMember`.
    Room(Room),
    /// To `ListChats`.
    Chats(ChatPage),
    /// To `ListAllChats`.
    AllChats(ChatList),
    /// To `ListMyRooms`.
    MyRooms(RoomPage<ChatCursor>),
    /// To `ListRooms`.
    Rooms(RoomPage<VisibleCursor>),
    /// To `DeleteChat`.
    Deleted {
        /// The id that is free now.
        chat: ChatId,
        /// How many messages it had.
        messages: Seq,
    },
    /// To `JoinChat`.
    Joined(Joined),
    /// To `LeaveChat`.
    Left {
        /// Which chat it was.
        chat: ChatId,
        /// How many members it has without the user.
        members: usize,
    },
    /// To `ListMembers`, in the order of joining.
    Members(Vec<MemberRights>),
    /// To `SetRole`.
    RoleSet(Arc<RoleChange>),
    /// To `MuteUser`.
    Muted(Arc<SanctionChange>),
    /// To `BanUser`.
    Banned(Arc<SanctionChange>),
    /// To `ListBans`, by the user's id.
    Bans(Vec<Ban>),
    /// To `RevokeTokens`: the user afterwards.
    Revoked(User),
    /// To `Disconnect`.
    Disconnected,
    /// To `RecordToken`.
    TokenRecorded,
    /// To `ListAudit`.
    Audit(AuditPage),
    /// To `ListMessages`: with the read positions of its members, if requested.
    Messages(MessagePage, Reads),
    /// To `Sync`, in the order of the request; `None`: no such chat, or not visible to the caller.
    Synced(Vec<Option<Missed>>),
    /// To `SendMessage`.
    Sent(Sent),
    /// To `MarkRead`.
    Read(MarkedRead),
    /// To `CreateEvent`, `GetEvent` and `ChangeEvent`.
    Event(Event),
    /// To `ListEvents`.
    Events(EventPage),
    /// To `DeleteEvent`: the number that is free now.
    EventDeleted(EventPk),
    /// To `OpenEventChat`, `RequestAccess` and `GrantAccess`.
    EventChat(Updated),
    /// To `EnterMarketplace`.
    Marketplace(Marketplace),
    /// To `Import`: the outcome of each record.
    Imported(Vec<Result<Imported, ImportRefusal>>),
}
