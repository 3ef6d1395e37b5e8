//! What other nodes change: what is cached of it is dropped before their notice is delivered here, and a notice that
//! holds only ids is completed from the store.
//! Does not know the bus and the connections: the relay brings the notices and delivers them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;

use super::chats::Numbers;
use super::heads::Heads;
use super::memberships::Memberships;
use super::origins::Origins;
use super::rooms::{NOTICE_HISTORY, room};
use super::user_cache::UserCache;
use super::{Service, store_error};
use crate::bus::{Header, Hint, HintKind, Kind};
use crate::model::{ChatId, Error, EventChat, Fact, ListedMembers, MessageId, Origin, UserId};
use crate::store::{Store, StoreError};

/// The caches of a [`Service`], and the store.
#[derive(Clone)]
pub struct Remote {
    store: Arc<dyn Store>,
    memberships: Arc<Memberships>,
    user_cache: Arc<UserCache>,
    heads: Arc<Heads>,
    numbers: Numbers,
    revocations: Arc<AtomicU64>,
    origins: Arc<Origins>,
}

impl Service {
    /// What has to learn of the changes of other nodes.
    pub fn remote(&self) -> Remote {
        Remote {
            store: Arc::clone(&self.store),
            memberships: Arc::clone(&self.memberships),
            user_cache: Arc::clone(&self.user_cache),
            heads: Arc::clone(&self.heads),
            numbers: self.numbers.clone(),
            revocations: Arc::clone(&self.revocations),
            origins: Arc::clone(&self.origins),
        }
    }
}

impl Remote {
    /// Over this store, with caches that nothing uses.
    #[cfg(test)]
    pub fn over(store: &Arc<dyn Store>) -> Self {
        let trust = super::trust::Trust::default();
        Self {
            store: Arc::clone(store),
            memberships: Arc::new(Memberships::new(Arc::clone(store), trust.clone())),
            user_cache: Arc::default(),
            heads: Arc::new(Heads::with_trust(trust)),
            numbers: super::chats::numbers(),
            revocations: Arc::default(),
            origins: Arc::default(),
        }
    }

    /// Drops what another node has outdated. Called before its notice is delivered.
    pub async fn changed(&self, header: &Header) {
        match (header.kind, header.chat) {
            (Kind::MessageSent, Some(chat)) => match header.seq {
                Some(seq) => self.heads.stored(chat, seq),
                None => self.heads.unknown(chat),
            },
            (Kind::ChatCreated, Some(_)) => self.chats_changed(header),
            (Kind::MemberJoined | Kind::MemberLeft | Kind::Banned, Some(chat)) => {
                self.memberships.changed(chat).await;
                self.chats_changed(header);
            }
            (Kind::RoleSet | Kind::Muted | Kind::ChatChanged, Some(chat)) => {
                self.memberships.changed(chat).await;
            }
            (
                Kind::MembersListed
                | Kind::EventChatOpened
                | Kind::AccessChanged
                | Kind::ReadMoved
                | Kind::Disconnected
                | Kind::UserChanged
                | Kind::Bye
                | Kind::Over,
                _,
            ) => {}
            (Kind::TokensRevoked, _) => {
                self.revocations.fetch_add(1, Ordering::AcqRel);
            }
            // A change that is uncertain, a deletion, or something of a later version.
            (_, Some(chat)) => self.forget(chat).await,
            (_, None) => self.forget_all(),
        }
    }

    /// The same for what only the body of the notice names.
    pub async fn noticed(&self, fact: &Fact) {
        match fact {
            Fact::UserChanged { external_id, .. } => self.user_cache.profile_changed(external_id),
            Fact::ChatDeleted { pk, .. } | Fact::DeletionUncertain { pk, .. } => {
                self.numbers.invalidate(pk).await;
            }
            _ => {}
        }
    }

    /// Drops all that is cached of a chat.
    pub async fn forget(&self, chat: ChatId) {
        self.memberships.changed(chat).await;
        self.user_cache.chats_deleted();
        self.heads.unknown(chat);
    }

    /// Drops all that is cached of what may change.
    pub fn forget_all(&self) {
        self.memberships.all_changed();
        self.user_cache.all_changed();
        self.heads.all_unknown();
        self.numbers.invalidate_all();
        self.revocations.fetch_add(1, Ordering::AcqRel);
    }

    /// Where this message came from, if that was a connection of this node a short while ago.
    pub fn origin_of(&self, message: MessageId) -> Option<Origin> {
        self.origins.of(message)
    }

    fn chats_changed(&self, header: &Header) {
        match &header.users {
            Some(users) => {
                for user in users {
                    self.user_cache.chats_changed(*user);
                }
            }
            None => self.user_cache.chats_deleted(),
        }
    }

    /// The fact of a notice that holds only ids, as the store has it now; `None`: the chat is gone, or the fact is one
    /// that the hub completes.
    ///
    /// # Errors
    /// `Unavailable`, `Internal`.
    pub async fn complete(&self, hint: &Hint) -> Result<Option<Fact>, Error> {
        let chat = hint.chat;
        Ok(match hint.kind {
            HintKind::MembersListed => {
                let found = self.store.chat(chat).await.map_err(store_error)?;
                let Some(found) = found else { return Ok(None) };
                let members = self.store.users(&found.members).await;
                Some(Fact::MembersListed(Arc::new(ListedMembers {
                    chat,
                    members: members.map_err(store_error)?,
                    version: found.members_version,
                })))
            }
            HintKind::ChatChanged => {
                let found = self.store.chat(chat).await.map_err(store_error)?;
                let Some(found) = found else { return Ok(None) };
                let room = room(&*self.store, found, NOTICE_HISTORY).await?;
                Some(Fact::ChatChanged(Arc::new(room)))
            }
            HintKind::MembersConfirmed => {
                let found = self.store.chat(chat).await.map_err(store_error)?;
                found.map(Fact::MembersConfirmed)
            }
            HintKind::EventChatOpened => self.event_chat(chat).await?.map(Fact::EventChatOpened),
            HintKind::AccessChanged => self.event_chat(chat).await?.map(Fact::AccessChanged),
            HintKind::ReadMoved => self.event_chat(chat).await?.map(Fact::ReadMoved),
            HintKind::MessageSent | HintKind::ChatCreated | HintKind::Unknown => None,
        })
    }

    /// Those of these users of whom tokens are revoked, each with the time before which they were issued.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn revoked(&self, users: &[UserId]) -> Result<Vec<(UserId, Timestamp)>, StoreError> {
        let found = self.store.users(users).await?;
        let revoked = found
            .iter()
            .filter_map(|user| Some((user.id, user.revoked_before?)));
        Ok(revoked.collect())
    }

    async fn event_chat(&self, chat: ChatId) -> Result<Option<Arc<EventChat>>, Error> {
        let found = self.store.event_chat(chat).await.map_err(store_error)?;
        Ok(found.map(Arc::new))
    }
}
