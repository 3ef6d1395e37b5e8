//! A connection's place: whose it is, in which chats, and where to put what it is told.
//! It refuses to know the other seats.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Closed, Outbox};
use crate::gateway::dialect::Listener;
use crate::model::{ChatId, ConnectionId, UserId};

/// One connection, as the hub sees it.
pub struct Seat {
    /// Which one.
    pub id: ConnectionId,
    /// What it makes of what happens.
    pub listener: Arc<dyn Listener>,
    /// What waits to be sent to it.
    pub outbox: Outbox,
    place: Mutex<Place>,
}

/// Whose seat it is, and where.
#[derive(Debug, Default)]
pub(super) struct Place {
    pub(super) user: Option<UserId>,
    pub(super) chats: HashSet<ChatId>,
    /// Those that it looks at without being a member.
    pub(super) watched: HashSet<ChatId>,
}

impl Seat {
    /// A seat that is nobody's yet.
    pub fn new(id: ConnectionId, listener: Arc<dyn Listener>, outbox: Outbox) -> Self {
        Self {
            id,
            listener,
            outbox,
            place: Mutex::default(),
        }
    }

    /// Whether what is said in this chat is delivered to this connection.
    pub fn is_in(&self, chat: ChatId) -> bool {
        self.place.lock().chats.contains(&chat)
    }

    /// Makes it this user's; `false`: the connection has gone.
    pub(super) fn enter(&self, user: UserId) -> bool {
        self.change(|place| place.user = Some(user))
    }

    /// Notes that it is in this chat; `false`: the connection has gone.
    pub(super) fn sit(&self, chat: ChatId) -> bool {
        self.change(|place| {
            place.chats.insert(chat);
        })
    }

    /// Notes that it watches this chat; `false`: the connection has gone.
    pub(super) fn watch(&self, chat: ChatId) -> bool {
        self.change(|place| {
            place.watched.insert(chat);
        })
    }

    /// Notes that it is no longer in this chat.
    pub(super) fn rise(&self, chat: ChatId) {
        self.place.lock().chats.remove(&chat);
    }

    /// Notes that there is no such chat any more.
    pub(super) fn forget(&self, chat: ChatId) {
        let mut place = self.place.lock();
        place.chats.remove(&chat);
        place.watched.remove(&chat);
    }

    /// Empties it; answers where it was.
    pub(super) fn leave(&self) -> Place {
        std::mem::take(&mut *self.place.lock())
    }

    /// The outbox is looked at under the lock: whoever closes it leaves afterwards, and so
    /// finds what was noted here.
    fn change(&self, change: impl FnOnce(&mut Place)) -> bool {
        let mut place = self.place.lock();
        let open = matches!(self.outbox.closed(), None | Some(Closed::ShuttingDown));
        if open {
            change(&mut place);
        }
        open
    }
}
