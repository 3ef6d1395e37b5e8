//! The connections of this node: a subscription per connection, a room of subscriptions per
//! chat. Delivers each message of a chat once and in order, encoded once per dialect.
//! Does not read the store: it marks chats that have fallen behind, and the relay fills them.

mod answers;
mod fanout;
mod interleave;
mod live_from;
mod lookups;
mod memberships;
mod outbox;
mod outgoing;
mod remote;
mod room;
mod subscriber;
mod subscription;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

use crate::model::{ChatId, ConnectionId, Issue, Notice, Seq, UserId};
use crate::telemetry::CloseReason;

use fanout::{FanoutResult, fan_out};
use live_from::LiveFrom;
pub use lookups::{Found, Lookup};
use outbox::UserTotal;
pub use outbox::{Drained, Outbox, OutboxLimits, Pressure, Reserved};
pub use outgoing::{AckId, Body, Outgoing};
use room::Room;
pub use subscriber::{AnswerPlace, SharedEncoding, Subscriber};
pub use subscription::{Entering, Subscription};

/// The subscriptions of this node.
#[derive(Default)]
pub struct Hub {
    rooms: RwLock<HashMap<ChatId, Arc<Mutex<Room>>>>,
    users: Mutex<HashMap<UserId, UserConnections>>,
    /// The rooms for which the store has more than was delivered.
    behind: Mutex<HashSet<ChatId>>,
    fell_behind: Notify,
    /// The chats that the store may have created or deleted.
    lookups: Mutex<HashMap<ChatId, Lookup>>,
}

/// The connections of one user.
#[derive(Default)]
struct UserConnections {
    all: HashMap<ConnectionId, Arc<Subscription>>,
    /// The bytes that wait for them.
    waiting: Arc<UserTotal>,
}

impl Hub {
    /// Binds the connection to this user: it will be subscribed to the chats that the user
    /// joins. Ends the subscriptions that it had as another user.
    pub fn bind_user(&self, subscription: &Arc<Subscription>, user: UserId) {
        self.leave(subscription);
        let mut users = self.users.lock();
        if subscription.bind_user(user) {
            let connections = users.entry(user).or_default();
            let waiting = Arc::clone(&connections.waiting);
            subscription.outbox.count_for(Some(waiting));
            let connection = Arc::clone(subscription);
            connections.all.insert(subscription.id, connection);
        }
    }

    /// Sets where a chat's deliveries begin: after `head`, which the store had when every
    /// subscription that waits for this had been made. No effect where they have begun.
    pub fn open(&self, chat: ChatId, head: Seq) {
        let Some(room) = self.room(chat) else { return };
        let mut room = room.lock();
        if room.open(head) {
            for member in room.members.values() {
                member.live_after(chat, head);
            }
            if room.announced() > head {
                drop(room);
                self.fall_behind(chat);
            }
        }
    }

    /// Ends all subscriptions of the connection and unbinds its user.
    pub fn leave(&self, subscription: &Subscription) {
        let left = subscription.clear();
        if let Some(user) = left.user {
            let mut users = self.users.lock();
            if let Some(connections) = users.get_mut(&user) {
                connections.all.remove(&subscription.id);
                if connections.all.is_empty() {
                    users.remove(&user);
                }
            }
        }
        let watched = left.watched.keys();
        let only_watched = watched.filter(|chat| !left.chats.contains_key(chat));
        for chat in left.chats.keys().chain(only_watched) {
            let mut rooms = self.rooms.write();
            let empty = rooms.get(chat).is_some_and(|room| {
                let mut room = room.lock();
                room.members.remove(&subscription.id);
                room.watchers.remove(&subscription.id);
                room.is_empty()
            });
            if empty {
                rooms.remove(chat);
            }
        }
    }

    /// Delivers messages of this chat, in the order of the bus, to every member connected here:
    /// each if it is the next one. An earlier one has been delivered; a later one shows that
    /// some are missing: the chat has fallen behind. Returns the subscriptions whose outboxes
    /// are under high pressure now, to be waited for.
    pub fn deliver(&self, chat: ChatId, messages: &[Arc<Notice>]) -> Vec<Arc<Subscription>> {
        let Some(room) = self.room(chat) else {
            return Vec::new();
        };
        let mut room = room.lock();
        let due = room.advance(messages);
        let mut result = FanoutResult::default();
        for (members, notice) in due.some {
            result.extend(fan_out(members.iter(), &[notice]));
        }
        result.extend(fan_out(room.members.values(), &due.all));
        drop(room);
        if due.missing {
            self.fall_behind(chat);
        }
        self.leave_all(&result.closed);
        result.crowded
    }

    /// The subscriptions of this chat that are under high pressure now.
    pub fn crowded(&self, chat: ChatId) -> Vec<Arc<Subscription>> {
        let Some(room) = self.room(chat) else {
            return Vec::new();
        };
        let room = room.lock();
        let members = room.members.values();
        let crowded = members.filter(|member| member.is_crowded(chat));
        crowded.map(Arc::clone).collect()
    }

    /// The seq after which the next message is to be delivered in this chat; `None`: no connection is
    /// subscribed to it, or the first seq to deliver is not yet known.
    pub fn next_after(&self, chat: ChatId) -> Option<Seq> {
        self.room(chat)?.lock().next_after()
    }

    /// Those of these chats in which the client still has to catch up, each with the seq up to
    /// which: later messages are delivered live. Chats that are missing in the result have
    /// nothing to catch up on, or are not subscribed to.
    pub fn catch_up_until(
        &self,
        subscription: &Subscription,
        chats: impl IntoIterator<Item = ChatId>,
    ) -> HashMap<ChatId, Seq> {
        let chats = chats.into_iter();
        let subscribed = chats.filter(|chat| subscription.subscriber.is_subscribed(*chat));
        let until = subscribed.filter_map(|chat| {
            let room = self.room(chat)?;
            // A delivery that is under way may be the last one that is skipped.
            let _delivered = room.lock();
            Some((chat, subscription.catch_up_until(chat)?))
        });
        until.collect()
    }

    /// Delivers other notices to all subscriptions of a chat, watchers included.
    pub fn broadcast(&self, chat: ChatId, notice: &Notice) {
        let Some(room) = self.room(chat) else { return };
        let result = {
            let mut room = room.lock();
            let notice = room.refresh(notice);
            let is_member = |id| room.members.contains_key(id);
            let watchers = room.watchers.iter().filter(|(id, _)| !is_member(id));
            let watchers = watchers.map(|(_, watcher)| watcher);
            fan_out(room.members.values().chain(watchers), &[notice])
        };
        self.leave_all(&result.closed);
    }

    /// The tokens of this user that were issued before this time were revoked: ends the connections
    /// that were opened with one.
    pub fn tokens_revoked(&self, user: UserId, before: Timestamp) {
        let users = self.users.lock();
        let connections = users.values().flat_map(|user| user.all.values());
        let is_revoked = |issue: Issue| issue.user == user && issue.is_revoked(before);
        let revoked = connections.filter(|connection| connection.issue.is_some_and(is_revoked));
        let revoked: Vec<_> = revoked.map(Arc::clone).collect();
        drop(users);
        for connection in &revoked {
            connection.outbox.close(CloseReason::Expired);
        }
        self.leave_all(&revoked);
    }

    /// Ends all connections of this user.
    pub fn disconnect(&self, user: UserId) {
        let connections = self.connections_of(&[user]);
        for connection in &connections {
            connection.outbox.close(CloseReason::Disconnected);
        }
        self.leave_all(&connections);
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

    /// The chats that have fallen behind, or are to be looked up; they count as caught up from now on.
    pub fn take_behind(&self) -> Vec<ChatId> {
        let behind = std::mem::take(&mut *self.behind.lock());
        let is_due = |chat: &ChatId| self.next_after(*chat).is_some() || self.is_uncertain(*chat);
        behind.into_iter().filter(is_due).collect()
    }

    /// Marks that the store may have more of this chat than was delivered.
    pub fn fall_behind(&self, chat: ChatId) {
        self.behind.lock().insert(chat);
        self.fell_behind.notify_one();
    }

    fn room(&self, chat: ChatId) -> Option<Arc<Mutex<Room>>> {
        self.rooms.read().get(&chat).map(Arc::clone)
    }

    fn leave_all(&self, subscriptions: &[Arc<Subscription>]) {
        for subscription in subscriptions {
            self.leave(subscription);
        }
    }
}

#[cfg(test)]
impl Hub {
    /// For each user that is connected: the number of connections, the bytes of the frames that wait
    /// for them, counted again, and the bytes that are counted for the user.
    pub fn recount(&self) -> Vec<(usize, usize, usize)> {
        let users = self.users.lock();
        let recounted = users.values().map(|user| {
            let outboxes = user.all.values().map(|connection| &connection.outbox);
            let waiting = outboxes.map(Outbox::recount).sum();
            (user.all.len(), waiting, user.waiting.bytes())
        });
        recounted.collect()
    }
}

#[cfg(test)]
mod tests;
