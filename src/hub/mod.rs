//! Who is connected to this node: a seat per connection, rooms of seats per chat. Delivers
//! each message of a chat once and in order, encoded once per dialect.
//! It refuses to fetch anything: what is missing it marks, and the relay brings it.

mod outbox;
mod seat;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

use crate::gateway::dialect::{Dialect, Frame};
use crate::model::{Chat, ChatId, ConnectionId, Notice, Seq, UserId};

pub use outbox::{Closed, Next, Outbox, OutboxLimits};
pub use seat::Seat;

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
    /// The number of the latest message delivered here; `None`: it is not yet known from
    /// where on to deliver.
    delivered: Option<Seq>,
    /// The greatest number heard of.
    heard: Seq,
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

    /// Seats the connection in these chats. Answers whether one of them waits for
    /// [`Hub::open`]: nothing is delivered there before.
    pub fn sit(&self, seat: &Arc<Seat>, chats: impl IntoIterator<Item = ChatId>) -> bool {
        let mut waiting = false;
        for chat in chats {
            let mut rooms = self.rooms.write();
            if seat.sit(chat) {
                let room = rooms.entry(chat).or_default();
                let mut room = room.lock();
                room.seats.insert(seat.id, Arc::clone(seat));
                waiting |= room.delivered.is_none();
            }
        }
        waiting
    }

    /// Says where a chat's deliveries begin: after `head`, which the store had when every
    /// seat that waits for this was taken. Does nothing where they have begun.
    pub fn open(&self, chat: ChatId, head: Seq) {
        let Some(room) = self.room(chat) else { return };
        let mut room = room.lock();
        if room.delivered.is_none() {
            room.delivered = Some(head);
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
        for chat in left.chats {
            let mut rooms = self.rooms.write();
            let empty = rooms.get(&chat).is_some_and(|room| {
                let mut room = room.lock();
                room.seats.remove(&seat.id);
                room.seats.is_empty()
            });
            if empty {
                rooms.remove(&chat);
            }
        }
    }

    /// Delivers the message `seq` of `chat` to every seat there if it is the next one. An
    /// earlier one has been delivered, a later one shows that some are missing: the chat has
    /// fallen behind.
    pub fn deliver(&self, chat: ChatId, seq: Seq, notice: &Notice) {
        let Some(room) = self.room(chat) else { return };
        let mut room = room.lock();
        room.heard = room.heard.max(seq);
        match room.delivered {
            None => {}
            Some(delivered) if seq <= delivered => {}
            Some(delivered) if seq > delivered + 1 => {
                drop(room);
                self.fall_behind(chat);
            }
            Some(_) => {
                room.delivered = Some(seq);
                let lagging = tell(room.seats.values(), notice);
                drop(room);
                self.leave_all(&lagging);
            }
        }
    }

    /// A chat was made: seats its members' connections there and tells them.
    pub fn introduce(&self, chat: &Chat, notice: &Notice) {
        let seats: Vec<_> = {
            let users = self.users.lock();
            let connected = chat.members.iter().filter_map(|member| users.get(member));
            connected
                .flat_map(HashMap::values)
                .map(Arc::clone)
                .collect()
        };
        let mut waiting = false;
        for seat in &seats {
            waiting |= self.sit(seat, [chat.id]);
        }
        if waiting {
            self.open(chat.id, 0);
            // Who sees the chat in the store may have written already.
            self.fall_behind(chat.id);
        }
        let lagging = tell(seats.iter(), notice);
        self.leave_all(&lagging);
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

/// Puts `notice` into the outbox of each seat, encoded once per dialect. Answers the seats
/// that take nothing more.
fn tell<'a>(seats: impl Iterator<Item = &'a Arc<Seat>>, notice: &Notice) -> Vec<Arc<Seat>> {
    let mut encoded = Encoded::default();
    let mut closed = Vec::new();
    for seat in seats {
        if notice.origin == Some(seat.id) && !seat.dialect.tells_origin(notice) {
            continue;
        }
        if let Some(frame) = encoded.of(seat.dialect, notice)
            && seat.outbox.tell(frame).is_err()
        {
            closed.push(Arc::clone(seat));
        }
    }
    closed
}

/// One notice in each dialect that has been asked for.
#[derive(Default)]
struct Encoded(Vec<(&'static str, Option<Frame>)>);

impl Encoded {
    fn of(&mut self, dialect: &dyn Dialect, notice: &Notice) -> Option<Frame> {
        let name = dialect.name();
        if let Some((_, frame)) = self.0.iter().find(|(known, _)| *known == name) {
            return frame.clone();
        }
        let frame = dialect.encode(notice);
        self.0.push((name, frame.clone()));
        frame
    }
}

#[cfg(test)]
mod tests;
