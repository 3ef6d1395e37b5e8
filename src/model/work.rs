//! How much work a request is, in rows that the server reads, writes or returns for it.
//! Does not limit anything: `limits` does.

use super::{Command, Reply, Room};

/// A chat that is looked up or listed counts as so many rows: its own, those of the rights to it, and
/// its part of the response.
const CHAT: usize = 10;

impl Command {
    /// The rows that are looked up for it besides those in its reply.
    pub fn rows(&self) -> usize {
        match self {
            Self::Sync { chats, .. } => chats.len() * CHAT,
            Self::AddMembers { users, .. } => users.len() * CHAT,
            Self::CreateChat { members, .. } => members.len(),
            _ => 0,
        }
    }

    /// Whether its reply may be megabytes long: with many messages, chats, users or events.
    pub const fn has_long_reply(&self) -> bool {
        match self {
            Self::GetUser { .. } | Self::GetEvent { .. } => false,
            Self::JoinChat { .. } => true,
            command => !command.stores(),
        }
    }
}

impl Reply {
    /// The rows that were read or written for it.
    pub fn rows(&self) -> usize {
        match self {
            Self::Users(page) => page.users.len(),
            Self::Room(room) => rows_of(room),
            Self::Chats(page) => page.chats.iter().map(|it| CHAT + it.members.len()).sum(),
            Self::AllChats(page) => page.chats.iter().map(|it| CHAT + it.members.len()).sum(),
            Self::MyRooms(page) => page.rooms.iter().map(rows_of).sum(),
            Self::Rooms(page) => page.rooms.iter().map(rows_of).sum(),
            Self::Deleted { messages, .. } => usize::try_from(*messages).unwrap_or(0),
            Self::Joined(joined) => joined.chat.members.len(),
            Self::Left { members, .. } => *members,
            Self::Members(members) => members.len(),
            Self::Bans(bans) => bans.len(),
            Self::Audit(page) => page.records.len(),
            Self::Messages(page, _) => page.messages.len(),
            Self::Synced(missed) => missed.iter().flatten().map(|it| it.messages.len()).sum(),
            Self::Events(page) => page.events.len(),
            Self::Marketplace(data) => data.own.len() + data.chats.len() * CHAT,
            Self::User(_)
            | Self::Chat(_)
            | Self::RoleSet(_)
            | Self::Muted(_)
            | Self::Banned(_)
            | Self::Revoked(_)
            | Self::TokenRecorded
            | Self::Sent(_)
            | Self::Read(_)
            | Self::Event(_)
            | Self::EventDeleted(_)
            | Self::EventChat(_) => 0,
        }
    }
}

fn rows_of(room: &Room) -> usize {
    CHAT + room.members.len() + room.messages.len()
}
