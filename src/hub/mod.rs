//! Who is connected to this node: a seat per connection, rooms of seats per chat. Delivers
//! each message of a chat once and in order, encoded once per dialect.
//! It refuses to fetch anything: what is missing it marks, and the relay brings it.

mod outbox;
mod seat;
mod start;
mod telling;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

use crate::model::{
    Chat, ChatId, ConnectionId, Fact, Membership, Notice, Policy, Seq, Standing, UserId,
};

pub use outbox::{Closed, Fill, Next, Outbox, OutboxLimits, Outlet};
pub use seat::Seat;
use start::{Arrival, Start};
use telling::tell;

/// All seats of this node.
#[derive(Default)]
pub struct Hub {
    rooms: RwLock<HashMap<ChatId, Arc<Mutex<Room>>>>,
    users: Mutex<HashMap<UserId, HashMap<ConnectionId, Arc<Seat>>>>,
    /// The rooms for which the store has more than was delivered.
    behind: Mutex<HashSet<ChatId>>,
    fell_behind: Notify,
}

/// The seats of one chat, and how far they have been served.
#[derive(Default)]
struct Room {
    seats: HashMap<ConnectionId, Arc<Seat>>,
    /// Those who look on without being members: they hear everything but messages.
    watchers: HashMap<ConnectionId, Arc<Seat>>,
    /// The number of the latest message delivered here; `None`: it is not yet known from
    /// where on to deliver.
    delivered: Option<Seq>,
    /// The greatest number heard of.
    heard: Seq,
    /// In an event's chat: how things stand there, as far as was heard.
    standing: Option<Standing>,
}

impl Hub {
    /// From now on the connection is one of this user's: it will be seated in chats that the
    /// user joins. Leaves every seat that it had as another user.
    pub fn enter(&self, seat: &Arc<Seat>, user: UserId) {
        self.leave(seat);
        let mut users = self.users.lock();
        if seat.enter(user) {
            users
                .entry(user)
                .or_default()
                .insert(seat.id, Arc::clone(seat));
        }
    }

    /// Seats the connection in these chats, which its user was in before. Answers whether one
    /// of them waits for [`Hub::open`]: nothing is delivered there before.
    pub fn sit(&self, seat: &Arc<Seat>, chats: impl IntoIterator<Item = ChatId>) -> bool {
        self.arrive(seat, chats, Arrival::Connecting)
    }

    fn arrive(
        &self,
        seat: &Arc<Seat>,
        chats: impl IntoIterator<Item = ChatId>,
        arrival: Arrival,
    ) -> bool {
        let mut waiting = false;
        for chat in chats {
            let mut rooms = self.rooms.write();
            if seat.sit(chat, arrival) {
                let room = rooms.entry(chat).or_default();
                let mut room = room.lock();
                room.seats.insert(seat.id, Arc::clone(seat));
                match room.delivered {
                    Some(delivered) => seat.start(chat, delivered),
                    None => waiting = true,
                }
            }
        }
        waiting
    }

    /// Lets the connection hear everything but messages of this chat, member or not.
    pub fn watch(&self, seat: &Arc<Seat>, chat: ChatId) {
        let mut rooms = self.rooms.write();
        if seat.watch(chat) {
            let room = rooms.entry(chat).or_default();
            room.lock().watchers.insert(seat.id, Arc::clone(seat));
        }
    }

    /// Says where a chat's deliveries begin: after `head`, which the store had when every
    /// seat that waits for this was taken. Does nothing where they have begun.
    pub fn open(&self, chat: ChatId, head: Seq) {
        let Some(room) = self.room(chat) else { return };
        let mut room = room.lock();
        if room.delivered.is_none() {
            room.delivered = Some(head);
            for seat in room.seats.values() {
                seat.start(chat, head);
            }
            if room.heard > head {
                drop(room);
                self.fall_behind(chat);
            }
        }
    }

    /// The connection gives up its user and all its seats.
    pub fn leave(&self, seat: &Seat) {
        let left = seat.leave();
        if let Some(user) = left.user {
            let mut users = self.users.lock();
            if let Some(seats) = users.get_mut(&user) {
                seats.remove(&seat.id);
                if seats.is_empty() {
                    users.remove(&user);
                }
            }
        }
        let watched = left.watched.iter();
        let only_watched = watched.filter(|chat| !left.chats.contains_key(chat));
        for chat in left.chats.keys().chain(only_watched) {
            let mut rooms = self.rooms.write();
            let empty = rooms.get(chat).is_some_and(|room| {
                let mut room = room.lock();
                room.seats.remove(&seat.id);
                room.watchers.remove(&seat.id);
                room.is_empty()
            });
            if empty {
                rooms.remove(chat);
            }
        }
    }

    /// Delivers messages of this chat, in the order of the bus, to every seat there: each if it
    /// is the next one. An earlier one has been delivered, a later one shows that some are
    /// missing: the chat has fallen behind. Answers the seats whose outboxes are crowded now: to
    /// be waited for.
    pub fn deliver(&self, chat: ChatId, messages: &[Arc<Notice>]) -> Vec<Arc<Seat>> {
        let Some(room) = self.room(chat) else {
            return Vec::new();
        };
        let mut room = room.lock();
        let (due, missing) = room.advance(messages);
        let told = tell(room.seats.values(), &due);
        drop(room);
        if missing {
            self.fall_behind(chat);
        }
        self.leave_all(&told.closed);
        told.crowded
    }

    /// The seats of this chat whose outboxes are crowded now.
    pub fn crowded(&self, chat: ChatId) -> Vec<Arc<Seat>> {
        let Some(room) = self.room(chat) else {
            return Vec::new();
        };
        let room = room.lock();
        let crowded = room.seats.values().filter(|seat| seat.outbox.is_crowded());
        crowded.map(Arc::clone).collect()
    }

    /// The `seq` of the latest message delivered in this chat; `None`: nobody is there, or it
    /// is not yet known from where on to deliver.
    pub fn delivered(&self, chat: ChatId) -> Option<Seq> {
        self.room(chat)?.lock().delivered
    }

    /// A chat was made: seats its members' connections there and tells them.
    pub fn introduce(&self, chat: &Chat, notice: &Notice) {
        let seats = self.seats_of(&chat.members);
        self.admit(&seats, chat.id, 0);
        let told = tell(seats.iter(), &[Cow::Borrowed(notice)]);
        self.leave_all(&told.closed);
    }

    /// Somebody became a member: seats that user's connections in the chat and tells everybody
    /// there.
    pub fn welcome(&self, membership: &Membership, notice: &Notice) {
        let seats = self.seats_of(&[membership.user.id]);
        self.admit(&seats, membership.chat, membership.head);
        self.spread(membership.chat, notice);
    }

    /// Somebody is no longer a member: that user's connections leave the chat, and those who
    /// remain are told.
    pub fn dismiss(&self, membership: &Membership, notice: &Notice) {
        let seats = self.seats_of(&[membership.user.id]);
        if let Some(room) = self.room(membership.chat) {
            let mut room = room.lock();
            for seat in &seats {
                seat.rise(membership.chat);
                room.seats.remove(&seat.id);
                if membership.policy == Policy::Closed {
                    // It no longer exists for them, so there is nothing to look at either.
                    seat.forget(membership.chat);
                    room.watchers.remove(&seat.id);
                }
            }
        }
        self.spread(membership.chat, notice);
        self.forget_if_empty(membership.chat);
    }

    /// A chat is gone: everybody there is told and leaves it.
    pub fn bury(&self, chat: ChatId, notice: &Notice) {
        self.spread(chat, notice);
        let buried = self.rooms.write().remove(&chat);
        if let Some(room) = buried {
            let room = room.lock();
            for seat in room.seats.values().chain(room.watchers.values()) {
                seat.forget(chat);
            }
        }
    }

    /// Up to which number a client that catches up in this chat has to be told: what is later
    /// comes, or came, by itself. `None`: it has caught up, or nothing comes by itself.
    pub fn missed(&self, seat: &Seat, chat: ChatId) -> Option<Seq> {
        if !seat.listener.hears(chat) {
            return None;
        }
        let room = self.room(chat)?;
        // What is being delivered now may be the last that is not passed on.
        let _delivered = room.lock();
        seat.missed(chat)
    }

    /// Tells everybody in a chat, and those who watch it, of what is no message.
    pub fn spread(&self, chat: ChatId, notice: &Notice) {
        let Some(room) = self.room(chat) else { return };
        let told = {
            let mut room = room.lock();
            let notice = room.present(notice);
            let seated = |id| room.seats.contains_key(id);
            let watchers = room.watchers.iter().filter(|(id, _)| !seated(id));
            let watchers = watchers.map(|(_, seat)| seat);
            tell(room.seats.values().chain(watchers), &[notice])
        };
        self.leave_all(&told.closed);
    }

    /// Seats connections in a chat that has had messages up to `head`. Whoever sees it in the
    /// store may have written since, so a room that was not open is compared with the store.
    fn admit(&self, seats: &[Arc<Seat>], chat: ChatId, head: Seq) {
        let mut waiting = false;
        for seat in seats {
            waiting |= self.arrive(seat, [chat], Arrival::Later);
        }
        if waiting {
            self.open(chat, head);
            self.fall_behind(chat);
        }
    }

    fn seats_of(&self, users: &[UserId]) -> Vec<Arc<Seat>> {
        let known = self.users.lock();
        let connected = users.iter().filter_map(|user| known.get(user));
        let seats = connected.flat_map(HashMap::values);
        seats.map(Arc::clone).collect()
    }

    fn forget_if_empty(&self, chat: ChatId) {
        let mut rooms = self.rooms.write();
        if rooms.get(&chat).is_some_and(|room| room.lock().is_empty()) {
            rooms.remove(&chat);
        }
    }

    /// Returns when chats have fallen behind. For one waiter.
    pub async fn fell_behind(&self) {
        self.fell_behind.notified().await;
    }

    /// The chats that have fallen behind, with the number of the latest message delivered in
    /// each; they count as caught up from now on.
    pub fn take_behind(&self) -> Vec<(ChatId, Seq)> {
        let behind = std::mem::take(&mut *self.behind.lock());
        let after = |chat| Some((chat, self.room(chat)?.lock().delivered?));
        behind.into_iter().filter_map(after).collect()
    }

    /// Notes that the store may have more of this chat than was delivered.
    pub fn fall_behind(&self, chat: ChatId) {
        self.behind.lock().insert(chat);
        self.fell_behind.notify_one();
    }

    fn room(&self, chat: ChatId) -> Option<Arc<Mutex<Room>>> {
        self.rooms.read().get(&chat).map(Arc::clone)
    }

    fn leave_all(&self, seats: &[Arc<Seat>]) {
        for seat in seats {
            self.leave(seat);
        }
    }
}

impl Room {
    fn is_empty(&self) -> bool {
        self.seats.is_empty() && self.watchers.is_empty()
    }

    /// Those of these messages that are to be delivered now, which from now on they are, and
    /// whether some are missing before others.
    fn advance<'a>(&mut self, messages: &'a [Arc<Notice>]) -> (Vec<Cow<'a, Notice>>, bool) {
        let mut due = Vec::with_capacity(messages.len());
        let mut missing = false;
        for notice in messages {
            let Fact::MessageSent(message) = &notice.fact else {
                continue;
            };
            self.heard = self.heard.max(message.seq);
            match self.delivered {
                Some(delivered) if message.seq == delivered + 1 => {
                    self.delivered = Some(message.seq);
                    due.push(self.present(notice));
                }
                Some(delivered) => missing |= message.seq > delivered,
                None => {}
            }
        }
        (due, missing)
    }

    /// What happened in an event's chat, with how things stand there by now: notices of sends
    /// and of reads overtake each other, and the last one told has to tell the truth.
    fn present<'a>(&mut self, notice: &'a Notice) -> Cow<'a, Notice> {
        let Some(chat) = notice.fact.event_chat() else {
            return Cow::Borrowed(notice);
        };
        let standing = self.standing.get_or_insert(chat.standing);
        standing.merge(chat.standing);
        if *standing == chat.standing {
            return Cow::Borrowed(notice);
        }
        Cow::Owned(notice.standing(*standing))
    }
}

#[cfg(test)]
mod tests;
