//! Publishes the list of all members of a chat after its members have changed. In a large chat it is
//! large, and everyone there receives it, so further changes within [`WINDOW`] are followed by one
//! list at its end.
//! Does not publish the changes themselves: nothing that others depend on waits for a list.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::memberships::Memberships;
use crate::bus::Bus;
use crate::model::{Chat, ChatId, ConnectionId, Fact, ListedMembers, Notice};
use crate::store::{Store, StoreError};

/// How long no further list of a chat is published.
const WINDOW: Duration = Duration::from_millis(250);

/// How long to wait at most for the lists that are left at shutdown.
const ENDING: Duration = Duration::from_secs(2);

/// The connection of the requests that a list follows; `None`: of several, or of none. That connection
/// does not receive it.
type Origin = Option<ConnectionId>;

/// The chats of which a list was published less than [`WINDOW`] ago.
pub(super) struct MemberLists {
    store: Arc<dyn Store>,
    bus: Arc<dyn Bus>,
    memberships: Arc<Memberships>,
    windows: Mutex<Windows>,
    /// Wakes [`MemberLists::run`] when a list begins to wait.
    deferred: Notify,
}

/// The windows, one at most for each chat.
#[derive(Default)]
struct Windows {
    /// With the list that waits for the end, if one does.
    chats: HashMap<ChatId, Option<Origin>>,
    /// In the order of their ends.
    ends: VecDeque<(Instant, ChatId)>,
    /// How many lists wait.
    waiting: usize,
    /// Nothing waits any more: the server ends.
    closed: bool,
}

impl Windows {
    /// Begins the window of a chat, or defers the list to the end of the one that it has. Returns
    /// whether the list is to be published now.
    fn begin(&mut self, chat: ChatId, origin: Origin) -> bool {
        let now = Instant::now();
        while let Some((end, ended)) = self.ends.front()
            && *end <= now
            && self.chats.get(ended).is_none_or(Option::is_none)
        {
            self.chats.remove(ended);
            self.ends.pop_front();
        }
        if self.closed {
            return true;
        }
        if self.chats.contains_key(&chat) {
            self.defer(chat, origin);
            return false;
        }
        self.open(chat, now, None);
        true
    }

    fn open(&mut self, chat: ChatId, now: Instant, waiting: Option<Origin>) {
        self.chats.insert(chat, waiting);
        self.ends.push_back((now + WINDOW, chat));
    }

    /// Defers a list to the end of the chat's window: it replaces one that waits there already.
    fn defer(&mut self, chat: ChatId, origin: Origin) {
        if let Some(waiting) = self.chats.get_mut(&chat) {
            self.waiting += usize::from(waiting.is_none());
            let same = waiting.is_none_or(|earlier| earlier == origin);
            *waiting = Some(origin.filter(|_| same));
        }
    }

    /// Takes out the list of this chat that waits.
    fn take(&mut self, chat: ChatId) -> Option<Origin> {
        let taken = self.chats.get_mut(&chat)?.take();
        self.waiting -= usize::from(taken.is_some());
        taken
    }

    /// When a window ends next, if a list waits for one.
    fn next_end(&self) -> Option<Instant> {
        let next = self.ends.front().filter(|_| self.waiting > 0);
        next.map(|(end, _)| *end)
    }

    /// The next chat whose window has ended while a list waited. Its next window begins.
    fn next_due(&mut self) -> Option<ChatId> {
        let now = Instant::now();
        while let Some((_, chat)) = self.ends.pop_front_if(|(end, _)| *end <= now) {
            if let Some(waiting @ Some(_)) = self.chats.remove(&chat) {
                self.open(chat, now, waiting);
                return Some(chat);
            }
        }
        None
    }

    /// Ends all windows, and returns the chats of the lists that wait.
    fn close(&mut self) -> Vec<ChatId> {
        self.closed = true;
        self.ends.clear();
        self.chats.retain(|_, waiting| waiting.is_some());
        self.chats.keys().copied().collect()
    }
}

impl MemberLists {
    pub(super) fn new(
        store: Arc<dyn Store>,
        bus: Arc<dyn Bus>,
        memberships: Arc<Memberships>,
    ) -> Self {
        Self {
            store,
            bus,
            memberships,
            windows: Mutex::default(),
            deferred: Notify::new(),
        }
    }

    /// Lists the members of this chat, which have just changed by a request of this connection. The
    /// caller holds [`Memberships::in_order`], and has published the change.
    pub(super) async fn changed(&self, origin: Origin, chat: &Chat) {
        if !self.windows.lock().begin(chat.id, origin) {
            self.deferred.notify_one();
        } else if let Err(error) = self.publish(origin, chat).await {
            self.retry_later(chat.id, origin, &error);
        }
    }

    /// Publishes the lists that wait, until `stop`; then those that still do. From then on none waits.
    pub(super) async fn run(&self, stop: CancellationToken) {
        loop {
            let end = self.windows.lock().next_end();
            let ended = async {
                match end {
                    Some(end) => tokio::time::sleep_until(end).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = self.deferred.notified() => {}
                () = ended => {
                    let due = self.windows.lock().next_due();
                    if let Some(chat) = due {
                        self.publish_waiting(chat).await;
                    }
                }
            }
        }
        let rest = async {
            let waiting = self.windows.lock().close();
            for chat in waiting {
                self.publish_waiting(chat).await;
            }
        };
        if tokio::time::timeout(ENDING, rest).await.is_err() {
            warn!("some member lists were not published at shutdown");
        }
    }

    /// Publishes the list of a chat as it is now, unless the chat was deleted.
    async fn publish_waiting(&self, chat: ChatId) {
        // So the list comes before the notice of the next change, which may be a removal.
        let _in_order = self.memberships.in_order(chat).await;
        let waiting = self.windows.lock().take(chat);
        let Some(origin) = waiting else { return };
        let published = async {
            match self.store.chat(chat).await? {
                Some(found) => self.publish(origin, &found).await,
                None => Ok(()),
            }
        };
        if let Err(error) = published.await {
            self.retry_later(chat, origin, &error);
        }
    }

    async fn publish(&self, origin: Origin, chat: &Chat) -> Result<(), StoreError> {
        let listed = ListedMembers {
            chat: chat.id,
            members: self.store.users(&chat.members).await?,
            version: chat.members_version,
        };
        let notice = Notice {
            origin: origin.map(Into::into),
            fact: Fact::MembersListed(Arc::new(listed)),
            durable: None,
        };
        if let Err(error) = self.bus.publish(vec![notice]).await {
            warn!(%error, "a member list was not published");
        }
        Ok(())
    }

    fn retry_later(&self, chat: ChatId, origin: Origin, error: &StoreError) {
        warn!(%chat, %error, "a member list could not be read");
        self.windows.lock().defer(chat, origin);
        self.deferred.notify_one();
    }
}

#[cfg(test)]
#[path = "member_lists_tests.rs"]
mod tests;
