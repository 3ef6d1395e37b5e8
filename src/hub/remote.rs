//! What of the hub is compared with the store when a notice of another node may have been lost, and the notices that follow.
//! Does not read the store.

use std::borrow::Cow;
use std::sync::Arc;

use super::fanout::fan_out;
use super::{Hub, Subscription};
use crate::model::{Access, Chat, ChatId, ChatPk, EventChat, Fact, Notice, Seq, UserId};

impl Hub {
    /// Whether a connection of this node is in this chat, or watches it.
    pub fn has_room(&self, chat: ChatId) -> bool {
        self.rooms.read().contains_key(&chat)
    }

    /// Whether one of these users is connected here.
    pub fn has_any(&self, users: &[UserId]) -> bool {
        let connected = self.users.lock();
        users.iter().any(|user| connected.contains_key(user))
    }

    /// The chats that connections of this node are in, or watch.
    pub fn chats(&self) -> Vec<ChatId> {
        self.rooms.read().keys().copied().collect()
    }

    /// The users that are connected here.
    pub fn connected_users(&self) -> Vec<UserId> {
        self.users.lock().keys().copied().collect()
    }

    /// Whether this chat is watched by connections.
    pub fn is_watched(&self, chat: ChatId) -> bool {
        let room = self.room(chat);
        room.is_some_and(|room| !room.lock().watchers.is_empty())
    }

    /// Its small integer, if a connection watches it.
    pub fn pk_of(&self, chat: ChatId) -> Option<ChatPk> {
        self.room(chat)?.lock().pk
    }

    /// Those of these chats of a user that a connection of it is not in. A connection that has just begun to read its
    /// chats is left out.
    pub fn missing(&self, user: UserId, chats: &[ChatId]) -> Vec<ChatId> {
        let connections = self.connections_of(&[user]);
        let mut settled = connections.iter().filter(|it| !it.is_entering()).peekable();
        if settled.peek().is_none() {
            return Vec::new();
        }
        let settled: Vec<_> = settled.collect();
        let is_missing = |chat: &&ChatId| settled.iter().any(|it| !it.is_in(**chat));
        chats.iter().filter(is_missing).copied().collect()
    }

    /// The members of this chat with a connection that is not in it, but for connections that have just begun to read
    /// their chats.
    pub fn absent(&self, chat: &Chat) -> Vec<UserId> {
        let users = self.users.lock();
        let is_absent = |it: &Arc<Subscription>| !it.is_entering() && !it.is_in(chat.id);
        let absent = chat.members.iter().filter(|member| {
            let connections = users.get(member).into_iter();
            connections
                .flat_map(|user| user.all.values())
                .any(is_absent)
        });
        absent.copied().collect()
    }

    /// The chat was read from the store, and these of its members may have missed that they are, since the message with
    /// this seq: subscribes those of their connections that are not in it, and notifies them as of a new chat.
    pub fn admit_missed(&self, chat: &Chat, joined: &[(UserId, Seq)]) {
        for (user, since) in joined {
            let connections = self.connections_of(&[*user]);
            let absent = |it: &&Arc<Subscription>| !it.is_entering() && !it.is_in(chat.id);
            let absent: Vec<_> = connections.iter().filter(absent).cloned().collect();
            let notice = Notice {
                origin: None,
                fact: Fact::ChatCreated(chat.clone()),
                durable: None,
            };
            let result = fan_out(absent.iter(), &[Cow::Borrowed(&notice)]);
            self.leave_all(&result.closed);
            self.admit(&absent, chat.id, chat.members_version, *since);
        }
    }

    /// The state of an event's chat was read from the store. Returns whether the access is another than its connections
    /// were notified of; `false`: that is not known.
    pub fn has_other_access(&self, chat: &EventChat) -> bool {
        let room = self.room(chat.chat);
        let known = room.and_then(|room| room.lock().state);
        match known {
            Some(known) => known.access_version < chat.state.access_version,
            None => chat.state.access != Access::Unasked,
        }
    }
}
