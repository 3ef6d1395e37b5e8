//! A connection as the hub sees it: its user, its chats, and the outbox for its frames.
//! Does not know other subscriptions.

mod memberships;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use super::interleave::{Interleaver, respond};
use super::{AnswerPlace, LiveFrom, Outbox, Outgoing, Subscriber};
use crate::model::{ChatId, ConnectionId, Issue, Message, Notice, Seq, UserId};
use crate::telemetry::CloseReason;

pub use memberships::{Entering, Entry};
use memberships::{Live, Removals, Watch};

/// One connection, as the hub sees it.
pub struct Subscription {
    /// Which connection.
    pub id: ConnectionId,
    /// Encodes notices for its client.
    pub subscriber: Arc<dyn Subscriber>,
    /// The frames queued for its client.
    pub outbox: Outbox,
    /// The token that it was opened with, if that may be revoked.
    pub issue: Option<Issue>,
    state: Mutex<State>,
    /// Made when the connection first sends a message whose answer has a place in its chat.
    interleaver: OnceLock<Box<Interleaver>>,
}

/// The user of the connection, and its chats.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) user: Option<UserId>,
    /// The chats of its user.
    pub(super) chats: HashMap<ChatId, Live>,
    /// The chats that it watches, member or not.
    pub(super) watched: HashMap<ChatId, Watch>,
    removals: Removals,
}

impl Subscription {
    /// A subscription without a user.
    pub fn new(id: ConnectionId, subscriber: Arc<dyn Subscriber>, outbox: Outbox) -> Self {
        Self {
            id,
            subscriber,
            outbox,
            issue: None,
            state: Mutex::default(),
            interleaver: OnceLock::new(),
        }
    }

    /// The same with this token.
    #[must_use]
    pub fn with_issue(self, issue: Option<Issue>) -> Self {
        Self { issue, ..self }
    }

    /// The state that keeps the order of this notice with the answers to the connection's own
    /// messages; `None`: there are none.
    pub(super) fn interleaver(
        &self,
        notice: &Notice,
        message: Option<&Message>,
    ) -> Option<&Interleaver> {
        let own = message.filter(|_| notice.is_from(self.id));
        let own = own.and_then(|message| self.answer_interleaver(message.chat));
        own.map(|(interleaver, _)| interleaver)
            .or_else(|| self.interleaver.get().map(|interleaver| &**interleaver))
    }

    /// The state that keeps the order of an answer to an own message in this chat with the
    /// deliveries, and its place there; `None`: there is nothing to keep.
    pub(super) fn answer_interleaver(&self, chat: ChatId) -> Option<(&Interleaver, AnswerPlace)> {
        let place = self.subscriber.answer_place(chat);
        if place == AnswerPlace::Apart && self.interleaver.get().is_none() {
            return None;
        }
        Some((self.interleaver.get_or_init(Box::default), place))
    }

    /// Queues the answer to a message that this connection sent, whatever was delivered.
    pub fn answer_now(&self, message: &Message, frames: &mut Vec<Outgoing>) {
        match self.answer_interleaver(message.chat) {
            Some((interleaver, _)) => {
                interleaver.answer_now((message.chat, message.seq), frames, &self.outbox);
            }
            None => respond(frames, &self.outbox),
        }
    }

    /// Returns when an answer for which [`Hub::answer`] had no place yet should be tried again. For
    /// one waiter.
    ///
    /// [`Hub::answer`]: super::Hub::answer
    pub async fn turn(&self) {
        match self.interleaver.get() {
            Some(interleaver) => interleaver.turn().await,
            None => std::future::pending().await,
        }
    }

    /// Whether its outbox, or the held frames of this chat, are under high pressure: no more should
    /// be delivered there.
    pub fn is_crowded(&self, chat: ChatId) -> bool {
        let interleaver = self.interleaver.get();
        self.outbox.is_crowded() || interleaver.is_some_and(|it| it.is_crowded(chat, &self.outbox))
    }

    /// Returns when that is no longer so; see [`Outbox::eased`].
    pub async fn eased(&self, chat: ChatId) {
        self.outbox.eased().await;
        if let Some(interleaver) = self.interleaver.get() {
            interleaver.eased(chat, &self.outbox).await;
        }
    }

    /// Whether the messages of this chat are delivered to this connection.
    pub fn is_in(&self, chat: ChatId) -> bool {
        self.state.lock().chats.contains_key(&chat)
    }

    /// Whether this message of a chat is, or was, delivered to this connection live.
    pub fn receives(&self, chat: ChatId, seq: Seq) -> bool {
        let state = self.state.lock();
        let live = state.chats.get(&chat);
        live.is_some_and(|live| live.from.catch_up_until().is_none_or(|until| seq > until))
    }

    /// Whether messages of this chat will be delivered to this connection, though none was yet: it
    /// has just been subscribed, or its user, with the right to write there, has just become a
    /// member and the hub does not know of it yet.
    pub(super) fn is_joining(&self, chat: ChatId, writer: UserId) -> bool {
        let state = self.state.lock();
        let (is_in, user) = (state.chats.contains_key(&chat), state.user);
        drop(state);
        let interleaver = self.interleaver.get();
        is_in || user == Some(writer) && !interleaver.is_some_and(|it| it.has_left(chat))
    }

    /// Binds it to this user; `false`: the connection has ended.
    pub(super) fn bind_user(&self, user: UserId) -> bool {
        self.change(|state| state.user = Some(user))
    }

    /// Records the seq after which messages of this chat are delivered live, unless it is known.
    pub(super) fn live_after(&self, chat: ChatId, seq: Seq) {
        if let Some(live) = self.state.lock().chats.get_mut(&chat) {
            live.from.begin(seq);
        }
        self.retry_answer();
    }

    /// Records that a message of this chat was not sent.
    pub(super) fn mark_skipped(&self, chat: ChatId, seq: Seq) {
        if let Some(live) = self.state.lock().chats.get_mut(&chat) {
            live.from = LiveFrom::skipped(seq);
        }
    }

    /// Up to which seq the client may have missed messages of this chat; `None`: it has caught
    /// up.
    pub(super) fn catch_up_until(&self, chat: ChatId) -> Option<Seq> {
        let state = self.state.lock();
        state.chats.get(&chat)?.from.catch_up_until()
    }

    /// The chats of its user.
    pub fn chats(&self) -> Vec<ChatId> {
        self.state.lock().chats.keys().copied().collect()
    }

    /// Records that the client was sent everything up to this seq of the chat: if it may have
    /// missed no more, it has caught up. A client that is not subscribed stays behind.
    pub fn caught_up(&self, chat: ChatId, until: Seq) {
        if !self.subscriber.is_subscribed(chat) {
            return;
        }
        if let Some(live) = self.state.lock().chats.get_mut(&chat)
            && live.from.catch_up_until() == Some(until)
        {
            live.from.catch_up();
        }
    }

    /// Removes a chat that is gone.
    pub(super) fn forget(&self, chat: ChatId) {
        let mut state = self.state.lock();
        state.chats.remove(&chat);
        state.watched.remove(&chat);
        drop(state);
        self.leave(chat);
    }

    /// Empties it and returns what was in it.
    pub(super) fn clear(&self) -> State {
        let mut state = self.state.lock();
        let entering = state.removals.entering;
        let cleared = std::mem::take(&mut *state);
        state.removals.entering = entering;
        drop(state);
        for chat in cleared.chats.keys() {
            if let Some(interleaver) = self.interleaver.get() {
                interleaver.leave(*chat);
            }
        }
        self.retry_answer();
        cleared
    }

    /// An answer that is on its way shall not wait for this chat.
    fn leave(&self, chat: ChatId) {
        if let Some((interleaver, _)) = self.answer_interleaver(chat) {
            interleaver.leave(chat);
        }
        self.retry_answer();
    }

    fn retry_answer(&self) {
        if let Some(interleaver) = self.interleaver.get() {
            interleaver.retry();
        }
    }

    /// The outbox is checked under the lock: closing it clears the subscription afterwards,
    /// including what was recorded here.
    fn change(&self, change: impl FnOnce(&mut State)) -> bool {
        let mut state = self.state.lock();
        let open = matches!(self.outbox.closed(), None | Some(CloseReason::ShuttingDown));
        if open {
            change(&mut state);
        }
        open
    }
}
