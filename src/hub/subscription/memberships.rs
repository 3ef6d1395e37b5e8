//! The chats that a connection is in or watches, by which version of their members.
//! Does not know rooms: `hub/memberships.rs` keeps both in step.

use std::collections::HashSet;
use std::sync::Arc;

use super::super::live_from::{JoinKind, LiveFrom};
use super::Subscription;
use crate::model::{Chat, ChatId, MembersVersion, Membership, Policy, Seq, UserId};

/// A chat of its user.
#[derive(Debug)]
pub(in crate::hub) struct Live {
    pub(super) from: LiveFrom,
    /// The latest version of the members with which the user is known to be one.
    version: MembersVersion,
}

/// A chat that is watched.
#[derive(Debug)]
pub(in crate::hub) struct Watch {
    version: MembersVersion,
    by: WatchedBy,
}

/// Why a connection may watch a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::hub) enum WatchedBy {
    /// Its user was a member.
    Member,
    /// The chat was open.
    Anyone,
    /// It may see every chat.
    Service,
}

/// How a connection comes into a chat.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// The version of the members of which its user is one.
    pub(in crate::hub) version: MembersVersion,
    /// The seq of the latest message when its user became a member, later than the connection was
    /// made; `None`: it was one before.
    pub(in crate::hub) joined: Option<Seq>,
    /// The seq of the latest message in the store, read since the connection was made: its client may have received
    /// everything up to that from another node. `None`: no other node uses the store.
    pub(in crate::hub) head: Option<Seq>,
}

/// The chats from which the user was removed while the store is being read for [`Entering`].
#[derive(Debug, Default)]
pub(in crate::hub) struct Removals {
    /// How many such reads are under way.
    pub(super) entering: usize,
    chats: Vec<(ChatId, MembersVersion)>,
    /// The chats from which the user was banned.
    banned: Vec<(ChatId, MembersVersion)>,
}

impl Removals {
    fn note(&mut self, chat: ChatId, version: MembersVersion) {
        if self.entering > 0 {
            self.chats.push((chat, version));
        }
    }

    /// Whether the user was banned after this version, so that it may not see an open chat either.
    fn has_later_ban(&self, chat: ChatId, version: MembersVersion) -> bool {
        let mut of_chat = self.banned.iter().filter(|(banned, _)| *banned == chat);
        of_chat.any(|(_, banned)| *banned > version)
    }

    /// Whether the user was removed after it was a member by this version.
    fn has_later(&self, chat: ChatId, version: MembersVersion) -> bool {
        let mut of_chat = self.chats.iter().filter(|(removed, _)| *removed == chat);
        of_chat.any(|(_, removed)| *removed > version)
    }
}

/// A read of the store after which the connection may be entered for chats: taken before the read,
/// dropped afterwards. See `memberships.rs`.
pub struct Entering(Arc<Subscription>);

impl Entering {
    /// The connection.
    pub(in crate::hub) fn subscription(&self) -> &Arc<Subscription> {
        &self.0
    }

    /// Whether the chat, which was read meanwhile, no longer exists for the user: it is closed, and
    /// the user was removed since.
    pub fn has_lost(&self, chat: &Chat) -> bool {
        let state = self.0.state.lock();
        chat.policy == Policy::Closed && state.removals.has_later(chat.id, chat.members_version)
    }
}

impl Drop for Entering {
    fn drop(&mut self) {
        let removals = &mut self.0.state.lock().removals;
        removals.entering -= 1;
        if removals.entering == 0 {
            removals.chats = Vec::new();
            removals.banned = Vec::new();
        }
    }
}

impl Subscription {
    /// Begins a read of the store after which the connection may be entered for chats.
    pub fn entering(self: &Arc<Self>) -> Entering {
        self.state.lock().removals.entering += 1;
        Entering(Arc::clone(self))
    }

    /// Whether such a read is under way.
    pub(in crate::hub) fn is_entering(&self) -> bool {
        self.state.lock().removals.entering > 0
    }

    /// The user that it is bound to.
    pub(in crate::hub) fn user(&self) -> Option<UserId> {
        self.state.lock().user
    }

    /// Adds a chat, with an unknown [`LiveFrom`] if it is new; `false`: the connection has
    /// ended, or its user was removed after that version.
    pub(in crate::hub) fn enter(&self, chat: ChatId, entry: Entry) -> bool {
        let Entry {
            version, joined, ..
        } = entry;
        let join = match joined {
            Some(_) => JoinKind::Later,
            None => JoinKind::Connecting,
        };
        let mut entered = false;
        let is_open = self.change(|state| {
            if state.removals.has_later(chat, version) {
                return;
            }
            let live = state.chats.entry(chat).or_insert(Live {
                from: LiveFrom::Unknown(join),
                version,
            });
            live.version = live.version.max(version);
            if join == JoinKind::Connecting {
                live.from.miss();
            }
            entered = true;
        });
        self.retry_answer();
        is_open && entered
    }

    /// Ends what its user was entered for before this removal; a closed chat is no longer watched
    /// either. Returns whether its user is no member now as far as this connection knows.
    pub(in crate::hub) fn remove(&self, left: &Membership) -> bool {
        let (chat, version) = (left.chat, left.version);
        let mut state = self.state.lock();
        state.removals.note(chat, version);
        let is_older = |known: MembersVersion| known < version;
        if state
            .chats
            .get(&chat)
            .is_some_and(|live| !is_older(live.version))
        {
            return false;
        }
        state.chats.remove(&chat);
        if left.policy == Policy::Closed
            && state
                .watched
                .get(&chat)
                .is_some_and(|watch| is_older(watch.version))
        {
            state.watched.remove(&chat);
        }
        drop(state);
        self.leave(chat);
        true
    }

    /// Ends that the chat is watched since before this ban. Returns whether it was.
    pub(in crate::hub) fn ban(&self, chat: ChatId, version: MembersVersion) -> bool {
        let mut state = self.state.lock();
        if state.removals.entering > 0 {
            state.removals.banned.push((chat, version));
        }
        let watch = state.watched.get(&chat);
        let ends = watch.is_some_and(|watch| watch.version < version);
        if ends {
            state.watched.remove(&chat);
        }
        ends
    }

    /// Whether everything but messages of this chat is delivered to it.
    pub(in crate::hub) fn is_there(&self, chat: ChatId) -> bool {
        let state = self.state.lock();
        state.chats.contains_key(&chat) || state.watched.contains_key(&chat)
    }

    /// Ends what its user was entered for earlier unless it is one of these members of the chat.
    /// Returns whether the subscription to the chat stays.
    pub(in crate::hub) fn confirm(&self, chat: &Chat, members: &HashSet<UserId>) -> bool {
        let mut state = self.state.lock();
        let is_member = state.user.is_some_and(|user| members.contains(&user));
        if let Some(live) = state.chats.get_mut(&chat.id)
            && (is_member || live.version >= chat.members_version)
        {
            live.version = live.version.max(chat.members_version);
            return true;
        }
        state.chats.remove(&chat.id);
        drop(state);
        self.leave(chat.id);
        false
    }

    /// The same for a chat that is watched. A service, and an open chat, need no membership.
    pub(in crate::hub) fn confirm_watch(&self, chat: &Chat, members: &HashSet<UserId>) -> bool {
        let mut state = self.state.lock();
        let is_member = state.user.is_some_and(|user| members.contains(&user));
        let Some(watch) = state.watched.get_mut(&chat.id) else {
            return false;
        };
        if chat.policy == Policy::Open && !is_member {
            // Only a ban ends it, by a version that is later than the watch.
            return true;
        }
        let is_later = watch.version >= chat.members_version;
        if is_member || is_later || watch.by == WatchedBy::Service {
            watch.version = watch.version.max(chat.members_version);
            return true;
        }
        state.watched.remove(&chat.id);
        false
    }

    /// Adds a watched chat as it was read; `false`: the connection has ended, or the chat no longer
    /// exists for its user.
    pub(in crate::hub) fn watch(&self, chat: &Chat, sees_all: bool) -> bool {
        let version = chat.members_version;
        let mut watched = false;
        let is_open = self.change(|state| {
            let removals = &state.removals;
            let is_lost = chat.policy == Policy::Closed && removals.has_later(chat.id, version);
            if is_lost || removals.has_later_ban(chat.id, version) {
                return;
            }
            let is_member = state.user.is_some_and(|user| chat.members.contains(&user));
            let by = match chat.policy {
                _ if is_member => WatchedBy::Member,
                Policy::Open if !sees_all => WatchedBy::Anyone,
                _ => WatchedBy::Service,
            };
            let watch = Watch { version, by };
            state.watched.insert(chat.id, watch);
            watched = true;
        });
        is_open && watched
    }
}
