//! Publishes notices. A change that the store did not answer may still be made: once its outcome
//! is known, what is cached of it is dropped, and the connections are compared with the store once more.
//! Does not make changes.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::heads::Heads;
use super::memberships::Memberships;
use super::user_cache::UserCache;
use crate::bus::Bus;
use crate::model::{Fact, Notice, Origin, User, UserId};
use crate::store::Store;

/// How long to wait after a failure of the store.
const RETRY: Duration = Duration::from_secs(5);

/// The changes without an outcome.
pub(super) struct Settlement {
    store: Arc<dyn Store>,
    bus: Arc<dyn Bus>,
    memberships: Arc<Memberships>,
    user_cache: Arc<UserCache>,
    heads: Arc<Heads>,
    open: Mutex<Vec<Change>>,
    added: Notify,
}

/// A change without an outcome.
#[derive(Debug)]
enum Change {
    /// It was published as uncertain; that is published again.
    Published(Box<Fact>),
    /// The tokens of this user may have been revoked.
    Revocation(UserId),
}

impl Settlement {
    pub(super) fn new(
        store: Arc<dyn Store>,
        bus: Arc<dyn Bus>,
        memberships: Arc<Memberships>,
        user_cache: Arc<UserCache>,
        heads: Arc<Heads>,
    ) -> Self {
        Self {
            store,
            bus,
            memberships,
            user_cache,
            heads,
            open: Mutex::default(),
            added: Notify::new(),
        }
    }

    /// Publishes a notice of a request that came from `origin`. If it is uncertain, it
    /// is published again once the outcome is known.
    pub(super) async fn publish(&self, origin: Option<Origin>, fact: Fact) {
        if fact.is_uncertain() {
            self.add(Change::Published(Box::new(fact.clone())));
        }
        self.send(origin, fact).await;
    }

    /// The tokens of this user may have been revoked.
    pub(super) fn revocation(&self, user: UserId) {
        self.add(Change::Revocation(user));
    }

    /// The profile of this user may have changed, or other of its tokens are revoked: other nodes drop what they have
    /// cached of it.
    pub(super) async fn user_changed(&self, user: &User) {
        if self.bus.is_alone() {
            return;
        }
        let fact = Fact::UserChanged {
            user: user.id,
            external_id: user.external_id.as_str().into(),
        };
        self.send(None, fact).await;
    }

    fn add(&self, change: Change) {
        self.open.lock().push(change);
        self.added.notify_one();
    }

    /// Runs until `stop`.
    pub(super) async fn run(&self, stop: CancellationToken) {
        while let Some(()) = stop.run_until_cancelled(self.added.notified()).await {
            let changes = std::mem::take(&mut *self.open.lock());
            let settling = self.settle(changes);
            stop.run_until_cancelled(settling).await;
        }
    }

    async fn settle(&self, changes: Vec<Change>) {
        self.store.settled().await;
        if changes.is_empty() {
            return;
        }
        self.memberships.all_changed();
        self.user_cache.chats_deleted();
        for change in changes {
            match change {
                Change::Published(fact) => {
                    if let Some(chat) = fact.chat() {
                        self.heads.unknown(chat);
                    }
                    self.send(None, *fact).await;
                }
                Change::Revocation(user) => self.look_up_revocation(user).await,
            }
        }
    }

    async fn look_up_revocation(&self, user: UserId) {
        match self.store.user(user).await {
            Ok(Some(
                found @ User {
                    revoked_before: Some(before),
                    ..
                },
            )) => {
                self.user_cache.profile_changed(&found.external_id);
                self.user_changed(&found).await;
                self.send(None, Fact::TokensRevoked { user, before }).await;
            }
            Ok(_) => {}
            Err(error) => {
                warn!(%user, %error, "a revocation could not be looked up yet");
                sleep(RETRY).await;
                self.revocation(user);
            }
        }
    }

    async fn send(&self, origin: Option<Origin>, fact: Fact) {
        let notice = Notice {
            origin,
            fact,
            durable: None,
        };
        if let Err(error) = self.bus.publish(vec![notice]).await {
            error!(%error, "a notice was not published");
        }
    }
}
