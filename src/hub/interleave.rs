//! The answers to a connection's own messages among the messages that are delivered to it: those of
//! one chat come in ascending order. For dialects in which such an answer carries the message as a
//! delivery does.
//! Does not know rooms and dialects.
//!
//! Once an own message n is stored, two things happen without regard to each other: the hub
//! delivers n at its place, and the inbox answers the request. Whichever comes first waits for the
//! other: the answer until everything before n was delivered, deliveries after n until the answer
//! was queued. Neither waits for long: the relay and the inbox have both been notified by then. A
//! lone sender never waits, since nothing is missing before its next message.
//!
//! Held frames count like news in an outbox: with much of it the chat is under high pressure, and
//! the relay waits for the inbox. The inbox does not wait for the relay then: of the answers that
//! are missing, the first one of a chat that holds something has its turn.

mod chat_progress;

use std::collections::HashMap;

use parking_lot::Mutex;
use tokio::sync::Notify;

use self::chat_progress::{ChatProgress, Load, queue};
use super::{AnswerPlace, Outbox, Outgoing, Pressure};
use crate::model::{ChatId, Seq};
use crate::telemetry::CloseReason;

pub(super) use self::chat_progress::{News, respond};

/// How many chats are kept in which nothing is under way.
const IDLE: usize = 64;

/// The places of one connection's answers.
#[derive(Default)]
pub(super) struct Interleaver {
    state: Mutex<State>,
    /// Wakes the inbox when the turn of its answer may have come.
    turn: Notify,
    /// Wakes the deliveries when less may be held.
    eased: Notify,
}

#[derive(Default)]
struct State {
    /// The chats into which the connection has sent.
    chats: HashMap<ChatId, ChatProgress>,
    /// The message whose answer waits.
    awaited: Option<(ChatId, Seq)>,
    /// The load of all chats.
    held: Load,
}

/// The outcome of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answered {
    /// It was queued.
    Queued,
    /// Its turn has not come.
    Waits,
    /// The latest delivery in the chat is unknown.
    Unknown,
}

impl Interleaver {
    /// Whether a message is the connection's own, though it carries no origin.
    pub(super) fn is_own(&self, chat: ChatId, seq: Seq) -> bool {
        let state = self.state.lock();
        let progress = state.chats.get(&chat);
        state.awaited == Some((chat, seq))
            || progress.is_some_and(|progress| progress.is_answered(seq))
    }

    /// Queues the frames of a message, or holds them.
    ///
    /// # Errors
    /// Why the outbox accepts nothing more.
    pub(super) fn deliver(
        &self,
        (chat, seq): (ChatId, Seq),
        is_own: bool,
        news: Vec<News>,
        outbox: &Outbox,
    ) -> Result<Pressure, CloseReason> {
        let mut state = self.state.lock();
        if !is_own && !state.chats.contains_key(&chat) {
            return queue(news, outbox);
        }
        let State {
            chats,
            awaited,
            held,
        } = &mut *state;
        let progress = progress(chats, chat, seq - 1);
        let result = progress.put(news, held, outbox);
        if is_own && !progress.is_answered(seq) {
            progress.await_answer(seq);
        }
        progress.early.retain(|early| *early != seq);
        progress.delivered = progress.delivered.max(seq);
        progress.left = false;
        if awaited.is_some_and(|(awaited, before)| awaited == chat && seq >= before - 1) {
            self.turn.notify_one();
        }
        result
    }

    /// Queues other notices behind the held frames of their chat.
    ///
    /// # Errors
    /// Why the outbox accepts nothing more.
    pub(super) fn broadcast(
        &self,
        chat: ChatId,
        news: Vec<News>,
        outbox: &Outbox,
    ) -> Result<Pressure, CloseReason> {
        let State { chats, held, .. } = &mut *self.state.lock();
        match chats.get_mut(&chat) {
            Some(progress) => progress.put(news, held, outbox),
            None => queue(news, outbox),
        }
    }

    /// Records the latest delivery in a chat. The caller prevents deliveries there meanwhile.
    pub(super) fn begin(&self, chat: ChatId, delivered: Seq) {
        let mut state = self.state.lock();
        let progress = progress(&mut state.chats, chat, delivered);
        progress.delivered = progress.delivered.max(delivered);
        progress.left = false;
    }

    /// Queues the answer to an own message, which stands in this place, if its turn has come.
    pub(super) fn answer(
        &self,
        (chat, seq): (ChatId, Seq),
        stands: AnswerPlace,
        frames: &mut Vec<Outgoing>,
        outbox: &Outbox,
    ) -> Answered {
        let State {
            chats,
            awaited,
            held,
        } = &mut *self.state.lock();
        *awaited = None;
        let Some(progress) = chats.get_mut(&chat) else {
            return Answered::Unknown;
        };
        let reached = match stands {
            AnswerPlace::Apart | AnswerPlace::NotYet => return Answered::Unknown,
            AnswerPlace::Instead => progress.delivered.max(progress.answered),
            AnswerPlace::Beside => progress.delivered,
        };
        if reached >= seq - 1 {
            progress.answer(seq, frames, held, outbox);
            progress.answered = progress.answered.max(seq);
            self.eased.notify_waiters();
            Answered::Queued
        } else if progress.left {
            Answered::Unknown
        } else {
            *awaited = Some((chat, seq));
            Answered::Waits
        }
    }

    /// Queues the answer to an own message whether its turn has come or not.
    pub(super) fn answer_now(
        &self,
        (chat, seq): (ChatId, Seq),
        frames: &mut Vec<Outgoing>,
        outbox: &Outbox,
    ) {
        let State {
            chats,
            awaited,
            held,
        } = &mut *self.state.lock();
        *awaited = None;
        let Some(progress) = chats.get_mut(&chat) else {
            return respond(frames, outbox);
        };
        progress.answer(seq, frames, held, outbox);
        if seq > progress.delivered.max(progress.answered) {
            progress.early.push(seq);
        }
        self.eased.notify_waiters();
    }

    /// Returns when an answer that waits should be tried again. For one waiter.
    pub(super) async fn turn(&self) {
        self.turn.notified().await;
    }

    /// Whether so much of a chat is held that no more should be delivered there.
    pub(super) fn is_crowded(&self, chat: ChatId, outbox: &Outbox) -> bool {
        let state = self.state.lock();
        let progress = state.chats.get(&chat);
        progress.is_some_and(|progress| progress.is_crowded(outbox))
    }

    /// Returns when that is no longer so.
    pub(super) async fn eased(&self, chat: ChatId, outbox: &Outbox) {
        loop {
            let mut eased = std::pin::pin!(self.eased.notified());
            // From here on no wake-up is missed.
            eased.as_mut().enable();
            if !self.is_crowded(chat, outbox) {
                return;
            }
            eased.await;
        }
    }

    /// Has the answer that waits tried again, if one does.
    pub(super) fn retry(&self) {
        self.turn.notify_one();
    }

    /// The connection has left a chat: nothing more is delivered there.
    pub(super) fn leave(&self, chat: ChatId) {
        progress(&mut self.state.lock().chats, chat, 0).left = true;
    }

    /// Whether the connection has left a chat, as far as that is remembered.
    pub(super) fn has_left(&self, chat: ChatId) -> bool {
        let state = self.state.lock();
        let progress = state.chats.get(&chat);
        progress.is_some_and(|progress| progress.left)
    }
}

/// The place of a chat; one that is not known was delivered up to `delivered`.
fn progress(
    chats: &mut HashMap<ChatId, ChatProgress>,
    chat: ChatId,
    delivered: Seq,
) -> &mut ChatProgress {
    if chats.len() > IDLE && !chats.contains_key(&chat) {
        chats.retain(|_, progress| progress.is_busy());
    }
    chats
        .entry(chat)
        .or_insert_with(|| ChatProgress::after(delivered))
}
