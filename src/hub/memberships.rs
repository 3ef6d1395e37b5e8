//! Which connections are in which chats, kept right whatever order reads of the store and notices
//! of changes come in: nothing is delivered to a user that was removed, nor kept from a member.
//! Does not deliver messages.
//!
//! A connection is entered for a chat because a read of the store returned its user as a member.
//! That read has a version ([`MembersVersion`]), and the removal that overtakes it has a greater one.
//! [`Entering`] begins before the read; from then on the connection records each removal of its user,
//! and [`Hub::subscribe`] and [`Hub::watch`] leave out a chat with a later one. A removal before that
//! was known to the read. A removal after it finds the connection in the chat.
//!
//! A room knows up to which version its subscriptions are right ([`SeenMembers`]). Messages that the
//! relay reads from the store may have been stored after a removal whose notice is still on its way:
//! then the version in the store is greater, and [`Hub::reconcile`] comes first.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use super::fanout::fan_out;
use super::subscription::Entry;
use super::{Entering, Hub, Room, Subscription};
use crate::model::{
    Chat, ChatId, Fact, MembersVersion, Membership, Notice, Policy, SanctionChange, Seq, UserId,
};

/// Up to which version of the members the subscriptions of a room are right.
#[derive(Debug, Default)]
pub(super) struct SeenMembers {
    /// The least version with which a connection was entered.
    granted: Option<MembersVersion>,
    /// The greatest version that a notice brought. Notices of one chat come in the order of versions.
    noticed: Option<MembersVersion>,
    /// The members with which the room was reconciled, until the notices have come that far.
    reconciled: Option<(MembersVersion, HashSet<UserId>)>,
    /// Whether there may have been a change without a notice.
    uncertain: bool,
}

impl SeenMembers {
    /// Whether each change up to this version has been seen.
    fn has(&self, version: MembersVersion) -> bool {
        let reconciled = self.reconciled.as_ref().map(|(version, _)| *version);
        !self.uncertain && self.granted.max(self.noticed).max(reconciled) >= Some(version)
    }

    /// The members were compared with the subscriptions.
    fn reconcile(&mut self, version: MembersVersion, members: HashSet<UserId>) {
        self.uncertain = false;
        if self.noticed < Some(version) {
            self.reconciled = Some((version, members));
        }
    }

    /// Whether a user that is a member by this version may be entered.
    fn admits(&self, user: Option<UserId>, version: MembersVersion) -> bool {
        self.reconciled.as_ref().is_none_or(|(later, members)| {
            version >= *later || user.is_some_and(|user| members.contains(&user))
        })
    }

    fn grant(&mut self, version: MembersVersion) {
        self.granted = Some(self.granted.map_or(version, |least| least.min(version)));
    }

    /// Returns whether earlier changes may not have been seen: notices of two nodes have overtaken each other.
    fn notice(&mut self, version: MembersVersion) -> bool {
        let known = self.noticed.max(self.granted);
        let overtakes = known.is_some_and(|known| version > known + 1);
        self.uncertain |= overtakes;
        self.noticed = self.noticed.max(Some(version));
        let is_later = |(reconciled, _): &mut (MembersVersion, _)| version < *reconciled;
        self.reconciled.take_if(|reconciled| !is_later(reconciled));
        overtakes
    }
}

impl Hub {
    /// Subscribes the connection to these chats while no other node uses the store.
    #[cfg(test)]
    pub fn subscribe(
        &self,
        entering: &Entering,
        chats: impl IntoIterator<Item = (ChatId, MembersVersion)>,
    ) -> Vec<ChatId> {
        let chats = chats.into_iter();
        self.subscribe_from(entering, chats.map(|(chat, version)| (chat, version, None)))
    }

    /// Subscribes the connection to these chats, of which its user was a member when the store had
    /// this version of the members, but for those from which it was removed since. Returns the chats
    /// that wait for [`Hub::open`]: nothing is delivered there before. Each with the seq of its latest message, read
    /// since the connection was made: nothing up to that is delivered live. `None`: no other node uses the store.
    pub fn subscribe_from(
        &self,
        entering: &Entering,
        chats: impl IntoIterator<Item = (ChatId, MembersVersion, Option<Seq>)>,
    ) -> Vec<ChatId> {
        let waits = |&(chat, version, head): &_| {
            let entry = Entry {
                version,
                joined: None,
                head,
            };
            self.enter(entering.subscription(), chat, entry)
        };
        let waiting = chats.into_iter().filter(waits);
        waiting.map(|(chat, ..)| chat).collect()
    }

    /// Delivers everything but messages of this chat to the connection, which was allowed to see it
    /// when the store had it like this. No effect if it is closed and the user was removed since.
    pub fn watch(&self, entering: &Entering, chat: &Chat) {
        self.watch_as(entering, chat, false);
    }

    /// The same for a connection that may see every chat: also once an open one is closed.
    pub fn watch_as_service(&self, entering: &Entering, chat: &Chat) {
        self.watch_as(entering, chat, true);
    }

    fn watch_as(&self, entering: &Entering, chat: &Chat, sees_all: bool) {
        let subscription = entering.subscription();
        let mut rooms = self.rooms.write();
        if !subscription.watch(chat, sees_all) {
            return;
        }
        let mut room = rooms.entry(chat.id).or_default().lock();
        room.watchers
            .insert(subscription.id, Arc::clone(subscription));
        room.pk = Some(chat.pk);
        // The chat may have been closed since it was read.
        let is_outdated = room.seen.noticed > Some(chat.members_version);
        room.seen.uncertain |= is_outdated;
        drop(room);
        drop(rooms);
        if is_outdated {
            self.fall_behind(chat.id);
        }
    }

    /// A chat was created: subscribes its members' connections and notifies them.
    pub fn chat_created(&self, chat: &Chat, notice: &Notice) {
        let connections = self.connections_of(&chat.members);
        self.admit(&connections, chat.id, chat.members_version, 0);
        let result = fan_out(connections.iter(), &[Cow::Borrowed(notice)]);
        self.leave_all(&result.closed);
    }

    /// A user became a member: subscribes the user's connections and notifies everyone there.
    pub fn member_joined(&self, membership: &Membership, notice: &Notice) {
        let connections = self.connections_of(&[membership.user.id]);
        let (chat, version) = (membership.chat, membership.version);
        self.admit(&connections, chat, version, membership.head);
        self.notice(chat, version);
        self.broadcast(chat, notice);
    }

    /// A user is no longer a member: unsubscribes the user's connections and notifies the remaining
    /// members.
    pub fn member_left(&self, membership: &Membership, notice: &Notice) {
        let chat = membership.chat;
        let connections = self.connections_of(&[membership.user.id]);
        {
            // So that no connection is being entered meanwhile.
            let rooms = self.rooms.write();
            let room = rooms.get(&chat);
            for connection in &connections {
                let left = connection.remove(membership);
                if let Some(mut room) = room.filter(|_| left).map(|room| room.lock()) {
                    room.members.remove(&connection.id);
                    if membership.policy == Policy::Closed {
                        // The chat no longer exists for them, so it cannot be watched either.
                        room.watchers.remove(&connection.id);
                    }
                }
            }
        }
        self.notice(chat, membership.version);
        self.broadcast(chat, notice);
        self.forget_if_empty(chat);
    }

    /// A role, or a mute, has changed: notifies everyone in the chat.
    pub fn rights_changed(&self, chat: ChatId, version: MembersVersion, notice: &Notice) {
        self.notice(chat, version);
        self.broadcast(chat, notice);
    }

    /// A user was banned, or the ban was lifted: ends that the user's connections watch the chat, then
    /// the membership, and notifies everyone there and these connections.
    pub fn user_banned(&self, change: &SanctionChange, notice: &Notice) {
        let chat = change.chat;
        let connections = self.connections_of(&[change.user.id]);
        if change.sanction.is_some() {
            // So that no connection begins to watch meanwhile.
            let rooms = self.rooms.write();
            let room = rooms.get(&chat);
            for connection in &connections {
                let ended = connection.ban(chat, change.version);
                if let Some(mut room) = room.filter(|_| ended).map(|room| room.lock()) {
                    room.watchers.remove(&connection.id);
                }
            }
        }
        if let Some(left) = &change.left {
            let fact = Fact::MemberLeft(Arc::clone(left));
            let left_notice = Notice {
                fact,
                ..notice.clone()
            };
            self.member_left(left, &left_notice);
        }
        self.rights_changed(chat, change.version, notice);
        let outside = connections.iter();
        let outside = outside.filter(|it| change.to_user && !it.is_there(chat));
        let result = fan_out(outside, &[Cow::Borrowed(notice)]);
        self.leave_all(&result.closed);
        self.forget_if_empty(chat);
    }

    /// A chat was deleted: notifies everyone there and ends their subscriptions.
    pub fn chat_deleted(&self, chat: ChatId, notice: &Notice) {
        self.broadcast(chat, notice);
        let deleted = self.rooms.write().remove(&chat);
        if let Some(room) = deleted {
            let room = room.lock();
            for subscription in room.members.values().chain(room.watchers.values()) {
                subscription.forget(chat);
            }
        }
    }

    /// Whether the subscriptions of this chat are right for these members, as far as they were stored
    /// up to this version.
    pub fn has_seen_members(&self, chat: ChatId, version: MembersVersion) -> bool {
        let room = self.room(chat);
        room.is_none_or(|room| room.lock().seen.has(version))
    }

    /// Ends the subscriptions of all that are no members of this chat, which was read from the store,
    /// unless its members have been seen already.
    pub fn reconcile(&self, chat: &Chat) {
        let version = chat.members_version;
        let rooms = self.rooms.write();
        let Some(room) = rooms.get(&chat.id) else {
            return;
        };
        let Room {
            members: connections,
            watchers,
            seen,
            ..
        } = &mut *room.lock();
        if seen.has(version) {
            return;
        }
        let members: HashSet<UserId> = chat.members.iter().copied().collect();
        connections.retain(|_, connection| connection.confirm(chat, &members));
        watchers.retain(|_, watcher| watcher.confirm_watch(chat, &members));
        seen.reconcile(version, members);
    }

    /// The members of a chat were read from the store after a request that has not changed them: ends
    /// the subscriptions of all others, and subscribes the members' connections.
    pub fn members_confirmed(&self, chat: &Chat) {
        self.doubt(chat.id);
        self.reconcile(chat);
        let connections = self.connections_of(&chat.members);
        self.admit(&connections, chat.id, chat.members_version, chat.head);
        self.notice(chat.id, chat.members_version);
    }

    /// There may have been a change of the members without a notice: the relay compares them with the
    /// store.
    pub fn members_uncertain(&self, chat: ChatId) {
        self.doubt(chat);
        self.fall_behind(chat);
    }

    fn doubt(&self, chat: ChatId) {
        if let Some(room) = self.room(chat) {
            room.lock().seen.uncertain = true;
        }
    }

    /// Subscribes connections to a chat that had messages up to `head` when their users became members.
    /// Members that saw the chat in the store may have written since, so a room that was not open is
    /// compared with the store.
    pub(super) fn admit(
        &self,
        connections: &[Arc<Subscription>],
        chat: ChatId,
        version: MembersVersion,
        head: Seq,
    ) {
        let mut waiting = false;
        for connection in connections {
            let entry = Entry {
                version,
                joined: Some(head),
                head: None,
            };
            waiting |= self.enter(connection, chat, entry);
        }
        if waiting {
            self.open(chat, head);
            self.fall_behind(chat);
        }
    }

    /// Subscribes the connection to a chat, unless its user was removed later. The only place where
    /// that is done. Returns whether it waits for [`Hub::open`].
    fn enter(&self, connection: &Arc<Subscription>, chat: ChatId, entry: Entry) -> bool {
        // Under the lock that a removal needs, too.
        let mut rooms = self.rooms.write();
        let seen = rooms.get(&chat).map(|room| room.lock());
        if seen.is_some_and(|room| !room.seen.admits(connection.user(), entry.version))
            || !connection.enter(chat, entry)
        {
            return false;
        }
        let mut room = rooms.entry(chat).or_default().lock();
        room.seen.grant(entry.version);
        let delivered = room.add(connection, entry);
        if let Some(delivered) = delivered {
            connection.live_after(chat, delivered);
        }
        let is_late = room.has_latecomers() || room.has_ahead();
        drop(room);
        drop(rooms);
        if is_late {
            self.fall_behind(chat);
        }
        delivered.is_none()
    }

    /// Records the version of a notice in the room, if there is one.
    fn notice(&self, chat: ChatId, version: MembersVersion) {
        let room = self.room(chat);
        if room.is_some_and(|room| room.lock().seen.notice(version)) {
            self.fall_behind(chat);
        }
    }

    pub(super) fn connections_of(&self, users: &[UserId]) -> Vec<Arc<Subscription>> {
        let known = self.users.lock();
        let connected = users.iter().filter_map(|user| known.get(user));
        let connections = connected.flat_map(|user| user.all.values());
        connections.map(Arc::clone).collect()
    }
}
