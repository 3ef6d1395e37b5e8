//! The expected rights: operation × role.
//! Does not know how an operation is requested.

/// The relation of a user to the chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Stranger,
    ExMember,
    Banned,
    Muted,
    Reader,
    Member,
    Moderator,
    Owner,
    Service,
}

/// The columns.
pub(super) const ROLES: [Role; 9] = [
    Role::Stranger,
    Role::ExMember,
    Role::Banned,
    Role::Muted,
    Role::Reader,
    Role::Member,
    Role::Moderator,
    Role::Owner,
    Role::Service,
];

/// The outcome of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cell {
    /// It is done.
    Yes,
    /// `forbidden`
    Forbidden,
    /// `forbidden`, with `retry_after_ms`
    Wait,
    /// `not_found`
    NotFound,
}

impl Cell {
    pub(super) fn of(letter: char) -> Self {
        match letter {
            '+' => Self::Yes,
            'F' => Self::Forbidden,
            'W' => Self::Wait,
            'N' => Self::NotFound,
            other => panic!("{other}"),
        }
    }

    /// As the document has it.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Yes => "**yes**",
            Self::Forbidden => "forbidden",
            Self::Wait => "wait",
            Self::NotFound => "not found",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Listed,
    ListedAmongAll,
    History,
    Room,
    Sync,
    Watch,
    Send,
    SendFor,
    ReadOn,
    Join,
    Leave,
    Add,
    AddBanned,
    RemoveMember,
    RemoveModerator,
    RemoveOwner,
    RemoveCreator,
    Change,
    Delete,
    MakeReader,
    MakeStrangerReader,
    MakeModerator,
    DemoteModerator,
    DemoteOwner,
    DemoteCreator,
    MuteMember,
    MuteModerator,
    MuteOwner,
    MuteCreator,
    MuteStranger,
    LiftMute,
    BanStranger,
    BanMember,
    BanModerator,
    BanOwner,
    BanCreator,
    LiftBan,
    ListBans,
    WhoAmI,
    Profile,
}

impl Operation {
    /// Whether it is about the creator of the chat.
    pub(super) const fn concerns_creator(self) -> bool {
        matches!(
            self,
            Self::RemoveCreator | Self::DemoteCreator | Self::MuteCreator | Self::BanCreator
        )
    }

    /// Whether it is about an owner that is not the creator.
    pub(super) const fn concerns_owner(self) -> bool {
        matches!(
            self,
            Self::RemoveOwner | Self::DemoteOwner | Self::MuteOwner | Self::BanOwner
        )
    }

    /// Whether another attempt needs a chat of its own.
    pub(super) const fn changes(self) -> bool {
        !matches!(
            self,
            Self::Listed
                | Self::ListedAmongAll
                | Self::History
                | Self::Room
                | Self::Sync
                | Self::Watch
                | Self::ListBans
                | Self::WhoAmI
                | Self::Profile
        )
    }
}

/// An operation, and its outcome for each role: a letter of [`Cell::of`].
pub(super) struct Row {
    pub(super) operation: Operation,
    /// As the document has it.
    pub(super) name: &'static str,
    letters: &'static str,
}

impl Row {
    pub(super) fn cells(&self) -> impl Iterator<Item = Cell> {
        self.letters.chars().map(Cell::of)
    }
}

const fn row(operation: Operation, name: &'static str, letters: &'static str) -> Row {
    Row {
        operation,
        name,
        letters,
    }
}

use Operation as O;

/// The chats of their members. The columns are those of [`ROLES`].
pub(super) const CLOSED: [Row; 40] = [
    row(O::Listed, "find the chat in the list of rooms", "NNN+++++N"),
    row(
        O::ListedAmongAll,
        "find the chat in the list of all chats",
        "NNN++++++",
    ),
    row(O::History, "read the history", "NNN++++++"),
    row(O::Room, "list the members", "NNN++++++"),
    row(O::Sync, "`sync`", "NNN++++++"),
    row(
        O::Watch,
        "look at it, or subscribe to its changes",
        "NNN++++++",
    ),
    row(O::Send, "send a message", "NNNWF+++F"),
    row(O::SendFor, "have a service send a message", "FFWWF+++F"),
    row(O::ReadOn, "move the own read position", "NNN+++++F"),
    row(O::Join, "join", "NNN+++++N"),
    row(O::Leave, "leave", "NNN+++++N"),
    row(O::Add, "add a user", "NNNWF++++"),
    row(O::AddBanned, "add a banned user", "NNNWFWWWW"),
    row(O::RemoveMember, "remove a member", "NNNWF++++"),
    row(O::RemoveModerator, "remove a moderator", "NNNFFFF++"),
    row(O::RemoveOwner, "remove another owner", "NNNFFFFF+"),
    row(O::RemoveCreator, "remove the creator", "NNNFFFFF+"),
    row(O::Change, "change the name or the team", "NNNWF++++"),
    row(O::Delete, "delete the chat", "NNNFFFF++"),
    row(O::MakeReader, "make a member a reader", "NNNFFF+++"),
    row(
        O::MakeStrangerReader,
        "make a user that is no member a reader",
        "NNNFFF+++",
    ),
    row(O::MakeModerator, "make a member a moderator", "NNNFFFF++"),
    row(O::DemoteModerator, "make a moderator a member", "NNNFFFF++"),
    row(O::DemoteOwner, "make another owner a member", "NNNFFFFF+"),
    row(
        O::DemoteCreator,
        "change the role of the creator",
        "NNNFFFFFF",
    ),
    row(O::MuteMember, "mute a member", "NNNFFF+++"),
    row(O::MuteModerator, "mute a moderator", "NNNFFFF++"),
    row(O::MuteOwner, "mute another owner", "NNNFFFFF+"),
    row(O::MuteCreator, "mute the creator", "NNNFFFFF+"),
    row(
        O::MuteStranger,
        "mute a user that is no member",
        "NNNFFF+++",
    ),
    row(O::LiftMute, "lift the mute of a member", "NNNFFF+++"),
    row(O::BanStranger, "ban a user that is no member", "NNNFFF+++"),
    row(O::BanMember, "ban a member", "NNNFFF+++"),
    row(O::BanModerator, "ban a moderator", "NNNFFFF++"),
    row(O::BanOwner, "ban another owner", "NNNFFFFF+"),
    row(O::BanCreator, "ban the creator", "NNNFFFFF+"),
    row(O::LiftBan, "lift a ban", "NNNFFF+++"),
    row(O::ListBans, "list the bans", "NNNFFF+++"),
    row(O::WhoAmI, "`whoami`", "+++++++++"),
    row(
        O::Profile,
        "see the public profile of another user",
        "+++++++++",
    ),
];

/// The chats that everybody may look at and join.
pub(super) const OPEN: [Row; 40] = [
    row(O::Listed, "find the chat in the list of rooms", "++N++++++"),
    row(
        O::ListedAmongAll,
        "find the chat in the list of all chats",
        "++N++++++",
    ),
    row(O::History, "read the history", "++W++++++"),
    row(O::Room, "list the members", "++W++++++"),
    row(O::Sync, "`sync`", "++N++++++"),
    row(
        O::Watch,
        "look at it, or subscribe to its changes",
        "++W++++++",
    ),
    row(O::Send, "send a message", "FFWWF+++F"),
    row(O::SendFor, "have a service send a message", "FFWWF+++F"),
    row(O::ReadOn, "move the own read position", "FFW+++++F"),
    row(O::Join, "join", "++W++++++"),
    row(O::Leave, "leave", "++W++++++"),
    row(O::Add, "add a user", "FFWWF++++"),
    row(O::AddBanned, "add a banned user", "FFWWFWWWW"),
    row(O::RemoveMember, "remove a member", "FFWWF++++"),
    row(O::RemoveModerator, "remove a moderator", "FFWFFFF++"),
    row(O::RemoveOwner, "remove another owner", "FFWFFFFF+"),
    row(O::RemoveCreator, "remove the creator", "FFWFFFFF+"),
    row(O::Change, "change the name or the team", "FFWWF++++"),
    row(O::Delete, "delete the chat", "FFWFFFF++"),
    row(O::MakeReader, "make a member a reader", "FFWFFF+++"),
    row(
        O::MakeStrangerReader,
        "make a user that is no member a reader",
        "FFWFFF+++",
    ),
    row(O::MakeModerator, "make a member a moderator", "FFWFFFF++"),
    row(O::DemoteModerator, "make a moderator a member", "FFWFFFF++"),
    row(O::DemoteOwner, "make another owner a member", "FFWFFFFF+"),
    row(
        O::DemoteCreator,
        "change the role of the creator",
        "FFWFFFFFF",
    ),
    row(O::MuteMember, "mute a member", "FFWFFF+++"),
    row(O::MuteModerator, "mute a moderator", "FFWFFFF++"),
    row(O::MuteOwner, "mute another owner", "FFWFFFFF+"),
    row(O::MuteCreator, "mute the creator", "FFWFFFFF+"),
    row(
        O::MuteStranger,
        "mute a user that is no member",
        "FFWFFF+++",
    ),
    row(O::LiftMute, "lift the mute of a member", "FFWFFF+++"),
    row(O::BanStranger, "ban a user that is no member", "FFWFFF+++"),
    row(O::BanMember, "ban a member", "FFWFFF+++"),
    row(O::BanModerator, "ban a moderator", "FFWFFFF++"),
    row(O::BanOwner, "ban another owner", "FFWFFFFF+"),
    row(O::BanCreator, "ban the creator", "FFWFFFFF+"),
    row(O::LiftBan, "lift a ban", "FFWFFF+++"),
    row(O::ListBans, "list the bans", "FFWFFF+++"),
    row(O::WhoAmI, "`whoami`", "+++++++++"),
    row(
        O::Profile,
        "see the public profile of another user",
        "+++++++++",
    ),
];
