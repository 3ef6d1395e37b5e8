//! How far each member of a chat has read.
//! Does not count unread messages: the count depends on the user.

use std::sync::Arc;

use super::{ChatId, EventChat, Seq, UserId};

/// Whether a history includes the read positions of the chat's members: another query, for the
/// dialects that show them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Positions {
    /// It is.
    Included,
    /// It is not.
    Omitted,
}

/// The read positions of a chat's members.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reads {
    /// The members, by their positions, the least first.
    positions: Vec<(Seq, UserId)>,
}

impl Reads {
    /// The positions of these members.
    pub fn new(positions: impl IntoIterator<Item = (UserId, Seq)>) -> Self {
        let positions = positions.into_iter().map(|(user, seq)| (seq, user));
        let mut positions: Vec<_> = positions.collect();
        positions.sort_unstable();
        Self { positions }
    }

    /// Whether every member but its sender has read the message `seq`; without any other member it
    /// is unread.
    pub fn all_but(&self, sender: UserId, seq: Seq) -> bool {
        // The lowest position decides, unless it is that of the sender.
        let least = self.positions.iter().find(|(_, user)| *user != sender);
        least.is_some_and(|(position, _)| *position >= seq)
    }

    /// How far this member has read; 0: nothing, or no member.
    pub fn of(&self, user: UserId) -> Seq {
        let own = self.positions.iter().find(|(_, member)| *member == user);
        own.map_or(0, |(position, _)| *position)
    }
}

/// The outcome of a request to mark a chat as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkedRead {
    /// The chat.
    pub chat: ChatId,
    /// Whether the position moved.
    pub moved: bool,
    /// The chat afterwards, if it is an event's.
    pub event_chat: Option<Arc<EventChat>>,
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn user() -> UserId {
        UserId::new(Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_message_is_read_when_all_others_have_read_it() {
        let (anna, boris, vera) = (user(), user(), user());
        let reads = Reads::new([(anna, 0), (boris, 5), (vera, 3)]);
        assert!(reads.all_but(anna, 3));
        assert!(!reads.all_but(anna, 4));
        assert!(!reads.all_but(boris, 1), "Anna has read nothing");
    }

    #[test]
    fn alone_nobody_has_read_it() {
        let anna = user();
        assert!(!Reads::new([(anna, 9)]).all_but(anna, 1));
        assert!(!Reads::default().all_but(anna, 1));
    }
}
