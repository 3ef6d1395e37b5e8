//! The commands of clients.
//! Does not know how a dialect spells them.

use std::collections::HashMap;

use jiff::Timestamp;

use super::{
    Access, AuditFilter, AuditId, ChatChange, ChatChoice, ChatCursor, ChatId, ChatPk, ChatRef,
    Draft, EventChange, EventDetails, EventPk, History, IdempotencyKey, ImportRecord, KnownUpTo,
    MemberRole, PageBudget, Positions, Profile, SanctionTerm, Seq, UserId, UserPk, UserRef,
    VisibleCursor,
};

/// The command of a client. `user` is the one that the request names, if it names one. Converted to
/// a text it is the name in metrics: `send_message`.
#[derive(Debug, Clone, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Command {
    /// Find the user of this external id, or create it, and update its profile.
    /// `None` means the caller's own.
    CreateUser {
        /// The id in the host application.
        external_id: Option<String>,
        /// The integer id of a new user, if the host application chooses it.
        pk: Option<UserPk>,
        /// The fields to set.
        profile: Profile,
    },
    /// Fetch a user.
    GetUser {
        /// The user.
        user: UserRef,
    },
    /// The public profile of a user.
    GetProfile {
        /// The user.
        user: UserRef,
    },
    /// The user of the caller.
    WhoAmI,
    /// Change the profile of a user.
    UpdateUser {
        /// The user.
        user: UserRef,
        /// The fields to set.
        profile: Profile,
    },
    /// All users, by their integer ids.
    ListUsers {
        /// Only those with a greater number.
        after: UserPk,
        /// How many at most; `None`: as many as a page holds.
        limit: Option<usize>,
    },
    /// Create a chat, a closed one unless another policy is chosen.
    CreateChat {
        /// The name.
        name: Option<String>,
        /// The members, in this order.
        members: Vec<UserRef>,
        /// The idempotency key.
        key: Option<IdempotencyKey>,
        /// What the host application chooses.
        chosen: ChatChoice,
    },
    /// Create an open chat of the caller's, without members.
    CreateRoom {
        /// The name.
        name: Option<String>,
        /// The number of a team.
        team: Option<i64>,
    },
    /// The chats of a user, the most recently active first.
    ListChats {
        /// The user.
        user: Option<UserRef>,
        /// How many at most; `None`: as many as a page holds.
        limit: Option<usize>,
        /// Where the page before ended.
        before: Option<ChatCursor>,
    },
    /// All chats, by their integer ids.
    ListAllChats {
        /// Only those with a greater number.
        after: ChatPk,
        /// How many at most; `None`: as many as a page holds.
        limit: Option<usize>,
    },
    /// The caller's chats, the most recently active first, with their members.
    ListMyRooms {
        /// How many at most; `None`: as many as a page holds.
        limit: Option<usize>,
        /// Where the page before ended.
        before: Option<ChatCursor>,
    },
    /// The chats that the caller may see, its own ones first, with their members.
    ListRooms {
        /// How many at most; `None`: as many as a page holds.
        limit: Option<usize>,
        /// Where the page before ended.
        before: Option<VisibleCursor>,
    },
    /// A chat with its members and its latest messages.
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
    /// Join a chat.
    JoinChat {
        /// The chat.
        chat: ChatRef,
        /// How far the caller has read already.
        read: Option<Seq>,
    },
    /// Leave a chat.
    LeaveChat {
        /// The chat.
        chat: ChatRef,
    },
    /// Add members.
    AddMembers {
        /// The chat.
        chat: ChatRef,
        /// The users, in this order; those that are members already stay members.
        users: Vec<UserRef>,
    },
    /// Remove a member.
    RemoveMember {
        /// The chat.
        chat: ChatRef,
        /// The user.
        user: UserId,
    },
    /// The members of a chat, with their roles and mutes.
    ListMembers {
        /// The chat.
        chat: ChatRef,
    },
    /// Set the role of a member.
    SetRole {
        /// The chat.
        chat: ChatRef,
        /// The member.
        user: UserRef,
        /// The role.
        role: MemberRole,
    },
    /// Mute a member, or lift the mute.
    MuteUser {
        /// The chat.
        chat: ChatRef,
        /// The member.
        user: UserRef,
        /// For how long.
        term: SanctionTerm,
    },
    /// Ban a user from a chat, or lift the ban.
    BanUser {
        /// The chat.
        chat: ChatRef,
        /// The user, member or not.
        user: UserRef,
        /// For how long.
        term: SanctionTerm,
    },
    /// The bans in force in a chat.
    ListBans {
        /// The chat.
        chat: ChatRef,
    },
    /// Revoke the tokens of a user that were issued before a time.
    RevokeTokens {
        /// The user.
        user: UserRef,
        /// The time; `None`: now.
        before: Option<Timestamp>,
    },
    /// Close the connections of a user.
    Disconnect {
        /// The user.
        user: UserRef,
    },
    /// Record that a token is made for a user, who need not be known yet.
    RecordToken {
        /// The user's id in the host application.
        external_id: String,
        /// Until when the token is valid.
        expires_at: Timestamp,
    },
    /// The audit log, the oldest records first.
    ListAudit {
        /// Which records.
        filter: AuditFilter,
        /// Only those after this one.
        after: Option<AuditId>,
        /// How many at most; `None`: as many as a page holds.
        limit: Option<usize>,
    },
    /// A part of a chat's history.
    ListMessages {
        /// The acting user.
        user: Option<UserRef>,
        /// The chat.
        chat: ChatRef,
        /// The part.
        history: History,
        /// Whether the reply contains the read positions of the members.
        positions: Positions,
    },
    /// The messages after these seqs, for a client that reconnects.
    Sync {
        /// The acting user.
        user: Option<UserRef>,
        /// Of which chats, each with the latest message that the client knows.
        chats: Vec<(ChatRef, KnownUpTo)>,
        /// Up to which seq the messages of a chat are sent, where later ones are delivered to the
        /// connection live; the connection sets it. Of other chats, all messages are sent.
        until: HashMap<ChatId, Seq>,
        /// How much is sent at once.
        budget: PageBudget,
    },
    /// Send a message.
    SendMessage {
        /// The acting user.
        user: Option<UserRef>,
        /// The chat.
        chat: ChatRef,
        /// What.
        draft: Draft,
    },
    /// Move a read position forward.
    MarkRead {
        /// The acting user.
        user: Option<UserId>,
        /// The chat.
        chat: ChatRef,
        /// Up to which message.
        seq: Seq,
    },
    /// Create an event.
    CreateEvent {
        /// Its integer id, if the host application chooses it.
        pk: Option<EventPk>,
        /// Its owner.
        owner: UserRef,
        /// Its details.
        details: EventDetails,
        /// The idempotency key.
        key: Option<IdempotencyKey>,
    },
    /// Fetch an event.
    GetEvent {
        /// Which one.
        event: EventPk,
    },
    /// Change the details of an event.
    ChangeEvent {
        /// Which one.
        event: EventPk,
        /// What.
        change: EventChange,
    },
    /// Delete an event with all its chats.
    DeleteEvent {
        /// Which one.
        event: EventPk,
    },
    /// Events, by their integer ids.
    ListEvents {
        /// Only those of this user.
        owner: Option<UserId>,
        /// Only those with a greater number.
        after: EventPk,
        /// How many at most; `None`: as many as a page holds.
        limit: Option<usize>,
    },
    /// Find or open the chat between an event's owner and a guest.
    OpenEventChat {
        /// The acting user.
        user: Option<UserId>,
        /// The event.
        event: EventPk,
        /// What the host application chooses of a new chat; its policy is always closed.
        chosen: ChatChoice,
    },
    /// Apply for access to an event, in the chat with its owner.
    RequestAccess {
        /// The acting user.
        user: Option<UserId>,
        /// The event.
        event: EventPk,
        /// The message to send in the chat.
        draft: Option<Draft>,
    },
    /// Decide about an application.
    GrantAccess {
        /// The chat.
        chat: ChatRef,
        /// `Granted`, or `Asked` to take it back.
        access: Access,
    },
    /// The initial data of a user of the marketplace.
    EnterMarketplace,
    /// Move in at most 1000 records, in this order. One that is refused does not affect the others.
    Import(Vec<ImportRecord>),
}

impl Command {
    /// Whether something is different afterwards. One that only reads has a time limit.
    pub const fn stores(&self) -> bool {
        match self {
            Self::GetUser { .. }
            | Self::GetProfile { .. }
            | Self::WhoAmI
            | Self::ListUsers { .. }
            | Self::ListChats { .. }
            | Self::ListAllChats { .. }
            | Self::ListMyRooms { .. }
            | Self::ListRooms { .. }
            | Self::GetRoom { .. }
            | Self::ListMembers { .. }
            | Self::ListBans { .. }
            | Self::ListAudit { .. }
            | Self::ListMessages { .. }
            | Self::Sync { .. }
            | Self::GetEvent { .. }
            | Self::ListEvents { .. }
            | Self::EnterMarketplace => false,
            Self::Import(_)
            | Self::CreateUser { .. }
            | Self::UpdateUser { .. }
            | Self::CreateChat { .. }
            | Self::CreateRoom { .. }
            | Self::ChangeChat { .. }
            | Self::DeleteChat { .. }
            | Self::JoinChat { .. }
            | Self::LeaveChat { .. }
            | Self::AddMembers { .. }
            | Self::RemoveMember { .. }
            | Self::SetRole { .. }
            | Self::MuteUser { .. }
            | Self::BanUser { .. }
            | Self::RevokeTokens { .. }
            | Self::Disconnect { .. }
            | Self::RecordToken { .. }
            | Self::SendMessage { .. }
            | Self::MarkRead { .. }
            | Self::CreateEvent { .. }
            | Self::ChangeEvent { .. }
            | Self::DeleteEvent { .. }
            | Self::OpenEventChat { .. }
            | Self::RequestAccess { .. }
            | Self::GrantAccess { .. } => true,
        }
    }

    /// Whether it needs an acting user and names none: only the connection can have one.
    pub const fn needs_user(&self) -> bool {
        matches!(
            self,
            Self::WhoAmI
                | Self::ListChats { user: None, .. }
                | Self::SendMessage { user: None, .. }
                | Self::MarkRead { user: None, .. }
                | Self::OpenEventChat { user: None, .. }
                | Self::RequestAccess { user: None, .. }
        )
    }

    /// The sender that the request names by its id, if it sends a message; `Some(None)`: it names none
    /// in this way.
    pub fn sends_for(&self) -> Option<Option<UserId>> {
        match self {
            Self::SendMessage { user, .. } => Some(user.as_ref().and_then(UserRef::id)),
            Self::RequestAccess {
                user,
                draft: Some(_),
                ..
            } => Some(*user),
            _ => None,
        }
    }
}
