//! A connection's place: whose it is, in which chats, and where to put what it is told.
//! It refuses to know the other seats.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Arrival, Closed, Outbox, Start};
use crate::gateway::dialect::Listener;
use crate::model::{ChatId, ConnectionId, Seq, UserId};

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
    /// With the number after which the messages come by themselves.
    pub(super) chats: HashMap<ChatId, Start>,
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
        self.place.lock().chats.contains_key(&chat)
    }

    /// Makes it this user's; `false`: the connection has gone.
    pub(super) fn enter(&self, user: UserId) -> bool {
        self.change(|place| place.user = Some(user))
    }

    /// Notes that it is in this chat, if that is new at a place yet unknown; `false`: the
    /// connection has gone.
    pub(super) fn sit(&self, chat: ChatId, arrival: Arrival) -> bool {
        self.change(|place| {
            let start = place.chats.entry(chat);
            let start = start.or_insert(Start::unknown(arrival));
            if arrival == Arrival::Connecting {
                start.miss();
            }
        })
    }

    /// Notes after which number the messages of this chat come by themselves, if that is not
    /// known yet.
    pub(super) fn start(&self, chat: ChatId, after: Seq) {
        if let Some(start) = self.place.lock().chats.get_mut(&chat) {
            start.begin(after);
        }
    }

    /// Notes that a message of this chat was not passed on.
    pub(super) fn overhear(&self, chat: ChatId, seq: Seq) {
        if let Some(start) = self.place.lock().chats.get_mut(&chat) {
            *start = Start::missed(seq);
        }
    }

    /// Up to which number the client may have missed messages of this chat; `None`: it has
    /// caught up.
    pub(super) fn missed(&self, chat: ChatId) -> Option<Seq> {
        self.place.lock().chats.get(&chat)?.missing()
    }

    /// Notes that the client was told of everything up to this number of the chat: if that is
    /// what it could have missed, it has caught up. One who hears nothing goes on missing.
    pub fn caught_up(&self, chat: ChatId, until: Seq) {
        if !self.listener.hears(chat) {
            return;
        }
        if let Some(start) = self.place.lock().chats.get_mut(&chat)
            && start.missing() == Some(until)
        {
            start.catch_up();
        }
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
