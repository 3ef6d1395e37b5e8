//! A connection as the hub sees it: its user, its chats, and the outbox for its frames.
//! Does not know other subscriptions.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;

use super::{JoinKind, LiveFrom, Outbox, Subscriber};
use crate::model::{ChatId, ConnectionId, Seq, UserId};
use crate::telemetry::CloseReason;

/// One connection, as the hub sees it.
pub struct Subscription {
    /// Which connection.
    pub id: ConnectionId,
    /// Encodes what happens for its client.
    pub subscriber: Arc<dyn Subscriber>,
    /// What waits to be sent to its client.
    pub outbox: Outbox,
    state: Mutex<State>,
}

/// Whose connection it is, and in which chats.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) user: Option<UserId>,
    /// The chats of its user.
    pub(super) chats: HashMap<ChatId, LiveFrom>,
    /// The chats that it watches without being a member.
    pub(super) watched: HashSet<ChatId>,
}

impl Subscription {
    /// A subscription of nobody yet.
    pub fn new(id: ConnectionId, subscriber: Arc<dyn Subscriber>, outbox: Outbox) -> Self {
        Self {
            id,
            subscriber,
            outbox,
            state: Mutex::default(),
        }
    }

    /// Whether the messages of this chat are delivered to this connection.
    #[cfg(test)]
    pub fn is_in(&self, chat: ChatId) -> bool {
        self.state.lock().chats.contains_key(&chat)
    }

    /// Whether this message of a chat is, or was, delivered to this connection live.
    pub fn receives(&self, chat: ChatId, seq: Seq) -> bool {
        let state = self.state.lock();
        let live = state.chats.get(&chat);
        live.is_some_and(|live| live.catch_up_until().is_none_or(|until| seq > until))
    }

    /// Binds it to this user; `false`: the connection has ended.
    pub(super) fn bind_user(&self, user: UserId) -> bool {
        self.change(|state| state.user = Some(user))
    }

    /// Adds a chat, with an unknown [`LiveFrom`] if it is new; `false`: the connection has
    /// ended.
    pub(super) fn subscribe(&self, chat: ChatId, join: JoinKind) -> bool {
        self.change(|state| {
            let live = state.chats.entry(chat);
            let live = live.or_insert(LiveFrom::Unknown(join));
            if join == JoinKind::Connecting {
                live.miss();
            }
        })
    }

    /// Records the seq after which messages of this chat are delivered live, unless it is known.
    pub(super) fn live_after(&self, chat: ChatId, seq: Seq) {
        if let Some(live) = self.state.lock().chats.get_mut(&chat) {
            live.begin(seq);
        }
    }

    /// Records that a message of this chat was not sent.
    pub(super) fn mark_skipped(&self, chat: ChatId, seq: Seq) {
        if let Some(live) = self.state.lock().chats.get_mut(&chat) {
            *live = LiveFrom::skipped(seq);
        }
    }

    /// Up to which seq the client may have missed messages of this chat; `None`: it has caught
    /// up.
    pub(super) fn catch_up_until(&self, chat: ChatId) -> Option<Seq> {
        self.state.lock().chats.get(&chat)?.catch_up_until()
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
            && live.catch_up_until() == Some(until)
        {
            live.catch_up();
        }
    }

    /// Adds a watched chat; `false`: the connection has ended.
    pub(super) fn watch(&self, chat: ChatId) -> bool {
        self.change(|state| {
            state.watched.insert(chat);
        })
    }

    /// Removes a chat; it may still be watched.
    pub(super) fn unsubscribe(&self, chat: ChatId) {
        self.state.lock().chats.remove(&chat);
    }

    /// Removes a chat that is gone, or hidden from the user.
    pub(super) fn forget(&self, chat: ChatId) {
        let mut state = self.state.lock();
        state.chats.remove(&chat);
        state.watched.remove(&chat);
    }

    /// Empties it and returns what was in it.
    pub(super) fn clear(&self) -> State {
        std::mem::take(&mut *self.state.lock())
    }

    /// The outbox is checked under the lock: whoever closes it clears the subscription afterwards,
    /// and so finds what was recorded here.
    fn change(&self, change: impl FnOnce(&mut State)) -> bool {
        let mut state = self.state.lock();
        let open = matches!(self.outbox.closed(), None | Some(CloseReason::ShuttingDown));
        if open {
            change(&mut state);
        }
        open
    }
}
