//! The invariants of every command and every error, from any decoder.
//! Does not know frames.

use std::collections::HashSet;

use crate::model::{
    ChatPk, ChatRef, Command, Draft, Error, ErrorKind, EventPk, History, KnownUpTo, Profile,
    SanctionTerm,
};

/// The greatest integer that every JSON client can hold.
const GREATEST: i64 = (1 << 53) - 1;

/// The longest name of a room, in characters.
const NAME_CHARS: usize = 255;

/// The longest message of an error, in bytes: it repeats at most 255 characters of its input.
const MESSAGE_BYTES: usize = 2048;

/// Every kind of error.
pub const KINDS: [ErrorKind; 9] = [
    ErrorKind::Invalid,
    ErrorKind::Unauthenticated,
    ErrorKind::Forbidden,
    ErrorKind::NotFound,
    ErrorKind::Conflict,
    ErrorKind::TooLarge,
    ErrorKind::RateLimited,
    ErrorKind::Unavailable,
    ErrorKind::Internal,
];

/// Whether this is the code of an error.
pub fn is_code(text: &str) -> bool {
    KINDS.iter().any(|kind| kind.code() == text)
}

/// Holds the error of a decoder to its bounds.
///
/// # Panics
/// Its kind is impossible for a decoder, or its message is empty or too long.
pub fn hold_error(error: &Error) {
    let kinds = [ErrorKind::Invalid, ErrorKind::NotFound, ErrorKind::TooLarge];
    assert!(kinds.contains(&error.kind), "{error}");
    assert!(!error.message.is_empty());
    assert!(error.message.len() <= MESSAGE_BYTES, "{error}");
}

/// Holds a command to its bounds; `read` is the length of the input that it was read from.
///
/// # Panics
/// A value is out of its bounds, or the command is greater than its input.
pub fn hold_command(command: &Command, read: usize) {
    hold_chat(chat_of(command));
    match command {
        Command::CreateUser {
            external_id: id,
            profile,
            ..
        } => hold_profile(id.as_deref(), profile, read),
        Command::CreateChat { name, members, .. } => {
            assert!(name.as_ref().is_none_or(|name| name.len() <= read) && members.len() <= read);
        }
        Command::CreateRoom { name, team } => hold_room(name.as_deref(), *team),
        Command::ChangeChat { change, .. } => {
            hold_room(change.name.as_deref(), change.team.flatten());
        }
        Command::ListChats { limit, .. } => assert!(limit.is_none_or(|limit| limit > 0)),
        Command::ListMessages { history, .. } => hold_history(history),
        Command::JoinChat { read, .. } => {
            assert!(read.is_none_or(|seq| (1..=GREATEST).contains(&seq)));
        }
        Command::MarkRead { seq: least, .. } | Command::OpenEventChat { event: least, .. } => {
            assert!(*least >= 0);
        }
        Command::SendMessage { draft, .. } => hold_draft(draft, read),
        Command::RequestAccess { event, draft, .. } => {
            hold_application(*event, draft.as_ref(), read);
        }
        Command::GetUser { .. }
        | Command::GetProfile { .. }
        | Command::WhoAmI
        | Command::ListMyRooms { .. }
        | Command::ListRooms { .. }
        | Command::GetRoom { .. }
        | Command::DeleteChat { .. }
        | Command::LeaveChat { .. }
        | Command::SetRole { .. }
        | Command::GrantAccess { .. } => {}
        Command::MuteUser { term, .. } | Command::BanUser { term, .. } => hold_term(*term),
        Command::Sync { chats, until, .. } => {
            assert!(chats.len() <= read && until.is_empty());
            hold_positions(chats);
        }
        Command::UpdateUser { .. }
        | Command::ListUsers { .. }
        | Command::ListAllChats { .. }
        | Command::AddMembers { .. }
        | Command::RemoveMember { .. }
        | Command::ListMembers { .. }
        | Command::ListBans { .. }
        | Command::RevokeTokens { .. }
        | Command::Disconnect { .. }
        | Command::RecordToken { .. }
        | Command::ListAudit { .. }
        | Command::CreateEvent { .. }
        | Command::GetEvent { .. }
        | Command::ChangeEvent { .. }
        | Command::DeleteEvent { .. }
        | Command::ListEvents { .. }
        | Command::EnterMarketplace
        | Command::Import(_) => panic!("no frame has this command: {command:?}"),
    }
}

fn hold_application(event: EventPk, draft: Option<&Draft>, read: usize) {
    assert!(event >= 0);
    if let Some(draft) = draft {
        hold_draft(draft, read);
    }
}

fn hold_term(term: SanctionTerm) {
    assert!(!matches!(term, SanctionTerm::Seconds(seconds) if seconds < 1));
}

fn hold_positions(chats: &[(ChatRef, KnownUpTo)]) {
    for (chat, KnownUpTo { seq, .. }) in chats {
        let in_range = |pk: &ChatPk| (1..=GREATEST).contains(pk);
        assert!(!matches!(chat, ChatRef::Pk(pk) if !in_range(pk)), "{chat}");
        assert!(*seq >= 0, "{seq}");
    }
}

fn hold_chat(chat: Option<&ChatRef>) {
    if let Some(ChatRef::Pk(pk)) = chat {
        assert!((1..=GREATEST).contains(pk), "{pk}");
    }
}

fn chat_of(command: &Command) -> Option<&ChatRef> {
    match command {
        Command::GetRoom { chat, .. }
        | Command::ChangeChat { chat, .. }
        | Command::DeleteChat { chat }
        | Command::JoinChat { chat, .. }
        | Command::LeaveChat { chat }
        | Command::ListMessages { chat, .. }
        | Command::SendMessage { chat, .. }
        | Command::MarkRead { chat, .. }
        | Command::GrantAccess { chat, .. } => Some(chat),
        _ => None,
    }
}

fn hold_profile(external_id: Option<&str>, profile: &Profile, read: usize) {
    let fields = [
        external_id,
        profile.username.as_deref(),
        profile.name.as_deref(),
        profile.avatar.as_deref(),
        profile.github.as_deref(),
        profile.image_uuid.as_deref(),
    ];
    let bytes: usize = fields.into_iter().flatten().map(str::len).sum();
    assert!(bytes <= read);
}

fn hold_room(name: Option<&str>, team: Option<i64>) {
    if let Some(name) = name {
        assert!((1..=NAME_CHARS).contains(&name.chars().count()));
        assert_eq!(name.trim(), name);
    }
    assert!(team.is_none_or(|team| (1..=GREATEST).contains(&team)));
}

/// Checks the bounds of the requested part of a history.
///
/// # Panics
/// It is none.
pub fn hold_history(history: &History) {
    assert!(history.window.limit() > 0);
    assert!(history.range.after.is_none_or(|seq| seq >= 0));
    assert!(history.range.before.is_none_or(|seq| seq >= 0));
}

fn hold_draft(draft: &Draft, read: usize) {
    let photos: HashSet<_> = draft.photos.iter().collect();
    assert_eq!(photos.len(), draft.photos.len(), "a photo twice");
    let client_id = draft.client_id.as_ref().map_or(0, String::len);
    let photos: usize = draft.photos.iter().map(String::len).sum();
    let metadata = draft.metadata.as_ref().map_or(0, |it| it.json().len());
    assert!(draft.text.len() + photos + client_id + metadata <= read);
}
