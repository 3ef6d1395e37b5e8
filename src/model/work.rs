//! How much work a request is, in rows that the server reads, writes or returns for it.
//! Does not limit anything: `limits` does.

use super::{Command, Message, Reply, Room};

/// A chat that is looked up or listed counts as so many rows: its own, those of the rights to it, and
/// its part of the response.
const CHAT: usize = 10;

/// So many bytes of the text of a message count as a row more.
const TEXT: usize = 256;

/// A deletion is a write of its own, and a notice to others.
const DELETION: usize = 500;

impl Command {
    /// The rows that are looked up for it besides those in its reply.
    pub fn rows(&self) -> usize {
        match self {
            Self::Sync { chats, .. } => chats.len() * CHAT,
            Self::AddMembers { users, .. } => users.len() * CHAT,
            Self::CreateChat { members, .. } => members.len(),
            Self::Import(records) => records.len(),
            _ => 0,
        }
    }

    /// The rows that it counts as besides if a client sends it.
    pub const fn rows_of_client(&self) -> usize {
        match self {
            Self::DeleteChat { .. } | Self::DeleteEvent { .. } => DELETION,
            _ => 0,
        }
    }

    /// Whether its reply may be megabytes long: with many messages, chats, users or events.
    pub const fn has_long_reply(&self) -> bool {
        match self {
            Self::GetUser { .. }
            | Self::GetProfile { .. }
            | Self::WhoAmI
            | Self::GetEvent { .. } => false,
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
            Self::Messages(page, _) => page.messages.iter().map(rows_of_message).sum(),
            Self::Synced(missed) => {
                let messages = missed.iter().flatten().flat_map(|chat| &chat.messages);
                messages.map(|message| rows_of_message(message)).sum()
            }
            Self::Events(page) => page.events.len(),
            Self::Marketplace(data) => data.own.len() + data.chats.len() * CHAT,
            Self::User(_)
            | Self::Profile(_)
            | Self::Me(_)
            | Self::Chat(_)
            | Self::ChatFound(_)
            | Self::RoleSet(_)
            | Self::Muted(_)
            | Self::Banned(_)
            | Self::Revoked(_)
            | Self::Disconnected
            | Self::TokenRecorded
            | Self::Sent(_)
            | Self::Read(_)
            | Self::Event(_)
            | Self::EventDeleted(_)
            | Self::Imported(_)
            | Self::EventChat(_) => 0,
        }
    }
}

fn rows_of(room: &Room) -> usize {
    let messages: usize = room.messages.iter().map(rows_of_message).sum();
    CHAT + room.members.len() + messages
}

fn rows_of_message(message: &Message) -> usize {
    1 + message.text.len() / TEXT
}
