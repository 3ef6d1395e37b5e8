//! The seq after which a chat's messages are delivered live to a connection, and whether its client
//! may have missed earlier ones. This keeps catching up free of gaps and duplicates.
//! Does not know chats and subscriptions.
//!
//! The rule. When a connection subscribes to a chat, everything up to a number L has been
//! delivered there, and everything after L is delivered to it live, once and in order. A client
//! that reconnects knows the messages up to S; it has missed S < n <= L, whatever has been
//! delivered live meanwhile. So as long as it has not been sent the messages up to L, its
//! requests to catch up are answered up to L and no further: the answer and live delivery never
//! overlap and leave nothing out. Once it was sent everything up to L it has caught up: a further
//! request is answered literally, up to the latest message. The same holds in a chat that it
//! joined later: nothing was missed there, so a request is for the history.
//!
//! Not everything that is delivered to a subscription is sent: the action dialect needs a
//! subscription request first, and on the shared path no dialect is known before the first frame.
//! L moves along with skipped messages.

use crate::model::Seq;

/// When a connection is subscribed to a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JoinKind {
    /// When it connects: its user was a member before, so there may be messages to catch up on.
    Connecting,
    /// When the chat was created, or its user joined it.
    Later,
}

/// L, if it is known yet, and whether the client has still to catch up to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LiveFrom {
    /// Nothing has been delivered yet that would fix L.
    Unknown(JoinKind),
    /// Messages after `seq` are delivered live. `behind`: those up to it may have been missed.
    After { seq: Seq, behind: bool },
}

impl LiveFrom {
    /// Live after `seq`; messages up to it were skipped.
    pub(super) const fn skipped(seq: Seq) -> Self {
        Self::After { seq, behind: true }
    }

    /// Fixes L, unless it is known already.
    pub(super) fn begin(&mut self, seq: Seq) {
        if let Self::Unknown(join) = *self {
            let behind = join == JoinKind::Connecting;
            *self = Self::After { seq, behind };
        }
    }

    /// The client may have missed everything up to L.
    pub(super) fn miss(&mut self) {
        match self {
            Self::Unknown(join) => *join = JoinKind::Connecting,
            Self::After { behind, .. } => *behind = true,
        }
    }

    /// The client was sent everything up to L.
    pub(super) fn catch_up(&mut self) {
        match self {
            Self::Unknown(join) => *join = JoinKind::Later,
            Self::After { behind, .. } => *behind = false,
        }
    }

    /// L, as long as the client has to catch up to it.
    pub(super) fn catch_up_until(self) -> Option<Seq> {
        match self {
            Self::After { seq, behind: true } => Some(seq),
            Self::After { behind: false, .. } | Self::Unknown(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connecting_client_is_behind_until_it_has_caught_up() {
        let mut live = LiveFrom::Unknown(JoinKind::Connecting);
        assert_eq!(live.catch_up_until(), None);
        live.begin(7);
        assert_eq!(live.catch_up_until(), Some(7));
        live.begin(9);
        assert_eq!(live.catch_up_until(), Some(7));
        live.catch_up();
        assert_eq!(live.catch_up_until(), None);
        live.catch_up();
        assert_eq!(live.catch_up_until(), None);
    }

    #[test]
    fn a_client_that_joins_later_misses_only_what_is_skipped() {
        let mut live = LiveFrom::Unknown(JoinKind::Later);
        live.begin(0);
        assert_eq!(live.catch_up_until(), None);
        live = LiveFrom::skipped(3);
        assert_eq!(live.catch_up_until(), Some(3));
    }

    #[test]
    fn a_client_that_joins_while_connecting_misses_what_was_before() {
        let mut live = LiveFrom::Unknown(JoinKind::Later);
        live.begin(5);
        live.miss();
        assert_eq!(live.catch_up_until(), Some(5));
        let mut early = LiveFrom::Unknown(JoinKind::Later);
        early.miss();
        early.begin(6);
        assert_eq!(early.catch_up_until(), Some(6));
    }
}
