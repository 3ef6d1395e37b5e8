//! Notices of other nodes that the store completes.
//! Does not read the store.

use std::sync::Arc;

use crate::bus::{Hint, HintKind};
use crate::model::{Chat, ChatId, EventChat, Fact, MembersVersion, Notice, Seq, UserId};

/// A notice of another node that the store completes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Incomplete {
    /// It holds ids only.
    Hint(Hint),
    /// This user has joined: its connections are entered if it is still a member.
    Joined(Arc<Notice>, UserId),
}

impl Incomplete {
    /// Anything about this chat may have been missed.
    pub(super) fn doubtful(chat: ChatId) -> Self {
        Self::hint(chat, HintKind::Unknown)
    }

    /// Only this is known.
    pub(super) fn hint(chat: ChatId, kind: HintKind) -> Self {
        Self::Hint(Hint {
            kind,
            chat,
            origin: None,
        })
    }

    /// Whether what the store has now makes both complete.
    pub(super) fn includes(&self, later: &Self) -> bool {
        match (self, later) {
            (Self::Hint(one), Self::Hint(other)) => one.kind == other.kind,
            _ => false,
        }
    }
}

/// What the store has of it.
pub(super) enum Completion {
    /// The fact; `None`: there is none any more.
    Fact(Option<Box<Fact>>),
    /// The version of the members with which the user is a member; `None`: it is none any more.
    Joined(Option<MembersVersion>),
    /// The chat, which anything may have been missed about; `None`: it is gone.
    Chat(Option<Box<Doubtful>>),
}

/// A chat that anything may have been missed about, as the store has it.
pub(super) struct Doubtful {
    pub(super) chat: Chat,
    /// The same as an event's, if it is one.
    pub(super) of_event: Option<EventChat>,
    /// The members whose connections are not in it, with the seq of the latest message when they joined.
    pub(super) joined: Vec<(UserId, Seq)>,
}

/// A notice that was completed.
pub(super) struct Completed {
    pub(super) chat: ChatId,
    pub(super) incomplete: Incomplete,
    pub(super) completion: Result<Completion, String>,
}
