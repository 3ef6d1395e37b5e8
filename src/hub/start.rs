//! After which number a chat's messages come to a connection by themselves, and whether it may
//! have missed some before: what makes catching up free of gaps and doubles.
//! It refuses to know chats and seats.
//!
//! The rule. When a connection takes its seat in a chat, everything up to a number L has been
//! delivered there, and everything after L comes to it live, once and in order. A client that
//! comes back knows the messages up to S; what it has missed is S < n <= L, whatever has come
//! live meanwhile. So as long as it has not been told up to L its questions are answered up to
//! L and no further: what it is told and what comes by itself never overlap and leave nothing
//! out. Once it has been told up to L it has caught up: a further question is answered
//! literally, up to the latest message. So it is in a chat that it was seated in later: nothing
//! was missed there, so whoever asks wants the history.
//!
//! Not everything that is delivered to a seat is passed on: the action dialect asks for a
//! subscription first, and on the shared path nobody knows what to say before the first frame.
//! L moves along with what is not passed on.

use crate::model::Seq;

/// How a connection comes into a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    /// With its user, who was in the chat before: there may be something to catch up on.
    Connecting,
    /// When the chat was made, or its user joined it.
    Later,
}

/// L, and whether the client has still to be told up to it. Eight bytes, since every seat in
/// every chat has one: L itself if so, otherwise its bits inverted, which is negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Start(Seq);

/// Stands for an L that is not known yet: no chat has so many messages.
const UNKNOWN: Seq = Seq::MAX;

impl Start {
    /// Nothing has been delivered yet of which L could be told.
    pub(super) const fn unknown(arrival: Arrival) -> Self {
        match arrival {
            Arrival::Connecting => Self(UNKNOWN),
            Arrival::Later => Self(!UNKNOWN),
        }
    }

    /// What is later than `seq` comes by itself, what is not may have been missed.
    pub(super) const fn missed(seq: Seq) -> Self {
        Self(seq)
    }

    /// What is later than `seq` comes by itself, unless it is known already what does.
    pub(super) fn begin(&mut self, seq: Seq) {
        if self.0 == UNKNOWN {
            self.0 = seq;
        } else if self.0 == !UNKNOWN {
            self.0 = !seq;
        }
    }

    /// The client may have missed what was before.
    pub(super) fn miss(&mut self) {
        self.0 = self.0.max(!self.0);
    }

    /// The client has been told.
    pub(super) fn catch_up(&mut self) {
        self.0 = self.0.min(!self.0);
    }

    /// L, as long as the client may have missed something up to it.
    pub(super) fn missing(self) -> Option<Seq> {
        (0..UNKNOWN).contains(&self.0).then_some(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_who_connects_misses_what_was_until_it_was_told() {
        let mut start = Start::unknown(Arrival::Connecting);
        assert_eq!(start.missing(), None);
        start.begin(7);
        assert_eq!(start.missing(), Some(7));
        start.begin(9);
        assert_eq!(start.missing(), Some(7));
        start.catch_up();
        assert_eq!(start.missing(), None);
        start.catch_up();
        assert_eq!(start.missing(), None);
    }

    #[test]
    fn one_who_joins_misses_nothing_but_what_is_not_passed_on() {
        let mut start = Start::unknown(Arrival::Later);
        start.begin(0);
        assert_eq!(start.missing(), None);
        start = Start::missed(3);
        assert_eq!(start.missing(), Some(3));
    }

    #[test]
    fn one_who_joins_while_connecting_misses_what_was_before() {
        let mut start = Start::unknown(Arrival::Later);
        start.begin(5);
        start.miss();
        assert_eq!(start.missing(), Some(5));
        let mut early = Start::unknown(Arrival::Later);
        early.miss();
        early.begin(6);
        assert_eq!(early.missing(), Some(6));
    }
}
