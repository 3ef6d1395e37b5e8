//! The members of the chats lately used, with roles, mutes and bans, and the order of their changes.
//! Does not check rights: `access` does.
//!
//! A request is judged by a member list that may be cached, and a removal may overtake it. So a read
//! is judged again once it is done ([`Service::judged`]), and a message while no membership can
//! change, right before it is stored (`append.rs`). A removal is acknowledged after the store has
//! it and the cached list is gone: nothing that is stored later is shown to the removed user.
//!
//! [`Service::judged`]: super::Service::judged

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use moka::future::Cache;
use tokio::sync::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::time::{Instant, timeout};

use super::access::{MemberList, no_chat};
use super::trust::Trust;
use super::{Service, store_error};
use crate::model::{ChatId, ChatRights, Error, ErrorKind, Fact, Identity, UserId};
use crate::store::{Store, StoreError};

/// How many entries the cached member lists may have in all.
const WEIGHT: u64 = 1_000_000;

/// Into how many parts the chats are divided whose changes happen one after the other.
const PARTS: usize = 64;

/// How many counters of changes there are.
const COUNTERS: usize = 4096;

/// How often a list that is outdated at once is fetched for the cache.
const FETCHES: usize = 3;

/// How long a list is used while other nodes may change its chat: a bound for what no notice has told.
const LIFE: Duration = Duration::from_mins(1);

/// How long a request waits for another one that reads many lists.
const TURN: Duration = Duration::from_secs(1);

/// The member lists of chats; `None`: there is no such chat.
type Lists = HashMap<ChatId, Option<Arc<MemberList>>>;

/// The member lists.
pub(super) struct Memberships {
    store: Arc<dyn Store>,
    lists: Cache<ChatId, Listed>,
    hasher: RandomState,
    /// Count the changes of the members of the chats that share one.
    changes: Box<[AtomicU64]>,
    /// Held for writing while the store changes a membership, for reading while messages are judged
    /// and stored.
    steady: RwLock<()>,
    /// Held for writing from a change of the members of a chat until it is published, for reading
    /// from its creation on: so notices about one chat come in the order of the changes.
    order: Box<[RwLock<()>]>,
    /// Held while many lists are read: requests at once for the same chats read each list once.
    reading: Mutex<()>,
    trust: Trust,
}

/// A member list, and how many changes there had been before it was read.
#[derive(Clone)]
struct Listed {
    members: Arc<MemberList>,
    changes: u64,
    read: Instant,
}

impl Memberships {
    pub(super) fn new(store: Arc<dyn Store>, trust: Trust) -> Self {
        let weight = |listed: &Listed| u32::try_from(listed.members.weight()).unwrap_or(u32::MAX);
        Self {
            store,
            lists: Cache::builder()
                .max_capacity(WEIGHT)
                .weigher(move |_, listed| weight(listed))
                .build(),
            hasher: RandomState::new(),
            changes: (0..COUNTERS).map(|_| AtomicU64::new(0)).collect(),
            steady: RwLock::default(),
            order: (0..PARTS).map(|_| RwLock::default()).collect(),
            reading: Mutex::default(),
            trust,
        }
    }

    /// The member list of this chat: with each change that this node acknowledged before the call, and another node some
    /// seconds before ([`Trust`]).
    ///
    /// # Errors
    /// `NotFound`, `Unavailable`.
    pub(super) async fn of(&self, chat: ChatId) -> Result<Arc<MemberList>, Error> {
        let changes = &self.changes[self.part(chat, COUNTERS)];
        let fetch = async || {
            let (changes, read) = (changes.load(Ordering::Acquire), Instant::now());
            let found = self.store.chat_rights(chat).await.map_err(store_error)?;
            let members = Arc::new(MemberList::from(found.ok_or_else(|| no_chat(chat))?));
            Ok(Listed {
                members,
                changes,
                read,
            })
        };
        let fetches = if self.trust.holds() { FETCHES } else { 0 };
        for _ in 0..fetches {
            let listed = self.lists.try_get_with(chat, fetch()).await;
            let listed = listed.map_err(|error: Arc<Error>| (*error).clone())?;
            if self.is_current(chat, &listed) {
                return Ok(listed.members);
            }
            // It may have been read before the latest change, whenever it was cached.
            self.lists.invalidate(&chat).await;
        }
        fetch().await.map(|listed| listed.members)
    }

    /// The same without a read of the store; `None`: it is not known.
    pub(super) async fn known(&self, chat: ChatId) -> Option<Arc<MemberList>> {
        let listed = self.lists.get(&chat).await?;
        let usable = self.trust.holds() && self.is_current(chat, &listed);
        usable.then_some(listed.members)
    }

    /// Whether nothing in the chat was changed since, as far as this node knows.
    fn is_current(&self, chat: ChatId, listed: &Listed) -> bool {
        let changes = self.changes[self.part(chat, COUNTERS)].load(Ordering::Acquire);
        listed.changes == changes && (listed.read.elapsed() < LIFE || self.trust.is_complete())
    }

    /// Drops those lists of these chats that another node has outdated, whether its notice has come or not.
    ///
    /// # Errors
    /// Those of the store, which is queried unless no other node uses it.
    pub(super) async fn confirm(&self, chats: &[ChatId]) -> Result<(), StoreError> {
        if self.trust.is_complete() || chats.is_empty() {
            return Ok(());
        }
        let marks = self.store.marks(chats).await?;
        for (chat, mark) in chats.iter().zip(marks) {
            let listed = self.lists.get(chat).await;
            let version = mark.map(|mark| mark.members_version);
            if listed.is_some_and(|listed| Some(listed.members.version()) != version) {
                self.changed(*chat).await;
            }
        }
        Ok(())
    }

    /// The same for each of these chats, in the order given; `None`: there is no such chat. Those that
    /// are not cached are read together.
    ///
    /// # Errors
    /// `Unavailable`.
    pub(super) async fn of_all(
        &self,
        chats: &[ChatId],
    ) -> Result<Vec<Option<Arc<MemberList>>>, Error> {
        let (mut found, unknown) = self.cached(chats).await;
        if unknown.is_empty() {
            return Ok(in_order(chats, &found));
        }
        // What another request reads at the moment is in the cache afterwards.
        let _turn = timeout(TURN, self.reading.lock()).await;
        let ids: Vec<_> = unknown.iter().map(|(chat, _)| *chat).collect();
        let (read_meanwhile, unknown) = self.cached(&ids).await;
        found.extend(read_meanwhile);
        let mut unknown = &*unknown;
        while !unknown.is_empty() {
            let ids: Vec<_> = unknown.iter().map(|(chat, _)| *chat).collect();
            let read = self.store.rights_of(&ids).await.map_err(store_error)?;
            // There is one at least.
            let (these, others) = unknown.split_at(read.len().clamp(1, unknown.len()));
            for ((chat, changes), rights) in these.iter().zip(read) {
                let members = self.read_now(*chat, *changes, rights).await?;
                found.insert(*chat, members);
            }
            unknown = others;
        }
        Ok(in_order(chats, &found))
    }

    /// The cached lists of these chats, and the other chats with the count of their changes.
    async fn cached(&self, chats: &[ChatId]) -> (Lists, Vec<(ChatId, u64)>) {
        let (mut found, mut unknown) = (Lists::new(), Vec::new());
        for chat in chats {
            let changes = self.changes[self.part(*chat, COUNTERS)].load(Ordering::Acquire);
            match self.lists.get(chat).await {
                Some(listed) if self.trust.holds() && self.is_current(*chat, &listed) => {
                    found.insert(*chat, Some(listed.members));
                }
                _ => unknown.push((*chat, changes)),
            }
        }
        (found, unknown)
    }

    /// Caches the member list of these rights, which were read after so many changes.
    async fn read_now(
        &self,
        chat: ChatId,
        changes: u64,
        rights: Option<ChatRights>,
    ) -> Result<Option<Arc<MemberList>>, Error> {
        let Some(rights) = rights else {
            return Ok(None);
        };
        let members = Arc::new(MemberList::from(rights));
        let listed = Listed {
            members: Arc::clone(&members),
            changes,
            read: Instant::now(),
        };
        self.lists.insert(chat, listed).await;
        if self.changes[self.part(chat, COUNTERS)].load(Ordering::Acquire) == changes {
            return Ok(Some(members));
        }
        match self.of(chat).await {
            Ok(members) => Ok(Some(members)),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Lets no membership, role, mute or ban change until the guard is dropped.
    pub(super) async fn steady(&self) -> RwLockReadGuard<'_, ()> {
        self.steady.read().await
    }

    /// To be held while the store changes any of these. No messages are stored meanwhile. For one chat:
    /// [`Service::changing_members`].
    pub(super) async fn changing(&self) -> RwLockWriteGuard<'_, ()> {
        self.steady.write().await
    }

    /// The store has changed any of these in this chat, or has deleted it.
    pub(super) async fn changed(&self, chat: ChatId) {
        self.changes[self.part(chat, COUNTERS)].fetch_add(1, Ordering::AcqRel);
        self.lists.invalidate(&chat).await;
    }

    /// The store may have changed the members of any chat.
    pub(super) fn all_changed(&self) {
        for changes in &self.changes {
            changes.fetch_add(1, Ordering::AcqRel);
        }
        self.lists.invalidate_all();
    }

    /// To be held from a change of the members of this chat until it was published.
    pub(super) async fn in_order(&self, chat: ChatId) -> RwLockWriteGuard<'_, ()> {
        self.order[self.part(chat, PARTS)].write().await
    }

    /// To be held from the creation of this chat until it was published.
    pub(super) async fn before_changes(&self, chat: ChatId) -> RwLockReadGuard<'_, ()> {
        self.order[self.part(chat, PARTS)].read().await
    }

    /// Which one of so many parts has this chat.
    fn part(&self, chat: ChatId, parts: usize) -> usize {
        let hash = self.hasher.hash_one(chat) % (parts as u64);
        usize::try_from(hash).unwrap_or(0)
    }
}

fn in_order(chats: &[ChatId], found: &Lists) -> Vec<Option<Arc<MemberList>>> {
    let members = |chat| found.get(chat).cloned().flatten();
    chats.iter().map(members).collect()
}

impl Service {
    /// Runs a change of a chat in the store: of a membership, role, mute or ban, which these users have,
    /// or its deletion. No message is stored meanwhile, and nothing that is cached of them
    /// outlives it, whatever the store answers. The caller holds [`Memberships::in_order`].
    ///
    /// # Errors
    /// Those of the store: the change may have been made all the same, so the subscriptions are compared
    /// with the store.
    pub(super) async fn changing_members<T>(
        &self,
        identity: &Identity,
        chat: ChatId,
        users: &[UserId],
        change: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, Error> {
        let changed = {
            let _changing = self.memberships.changing().await;
            let _cached = self.user_cache.changing(users);
            change.await
        };
        self.memberships.changed(chat).await;
        if changed.is_err() {
            self.publish(identity, Fact::MembersUncertain(chat)).await;
        }
        changed.map_err(store_error)
    }

    /// Publishes the notice of such a change, which is made with further reads, and returns what they
    /// returned.
    ///
    /// # Errors
    /// Those of the reads; the subscriptions are compared with the store then.
    pub(super) async fn publish_members<T>(
        &self,
        identity: &Identity,
        chat: ChatId,
        notice: impl Future<Output = Result<(T, Fact), Error>>,
    ) -> Result<T, Error> {
        let (result, fact) = match notice.await {
            Ok((read, fact)) => (Ok(read), fact),
            Err(error) => (Err(error), Fact::MembersUncertain(chat)),
        };
        self.publish(identity, fact).await;
        result
    }
}
