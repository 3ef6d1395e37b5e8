//! From the bus to the hub: notices of any node reach this node's connections, and messages that
//! the bus lost are read from the store.
//! Does not know connections and frames.

mod backlog;
mod compare;
mod dispatcher;
mod incomplete;
mod remote;
mod waits;

use std::sync::Arc;
use std::time::Duration;

use dispatcher::Dispatcher;
use waits::Source;

use crate::bus::Bus;
use crate::hub::{Hub, Lookup, OutboxLimits};
use crate::model::{ChatId, Clock, Fact, Message, Notice, Origin};
use crate::service::Remote;
use crate::store::{Chats, Events, Messages};
use crate::telemetry::Metrics;

/// How many messages are read at a time to catch up.
const PAGE: usize = 500;

/// How many notices are taken from the bus at a time.
const TAKEN: usize = 256;

/// How many messages of one chat are delivered at a time.
const TOGETHER: usize = 64;

/// Into how many portions the outbox of a connection is to be filled at least: the relay waits for
/// a client whose outbox is half full, so there has to be room for one more portion.
const PORTIONS: usize = 4;

/// How long one delivery waits at most for crowded outboxes of its chat.
const EASE: Duration = Duration::from_secs(1);

/// How long to wait before querying the store again after a failure.
const RETRY: Duration = Duration::from_millis(500);

/// How long to wait at most for delayed chats once the bus is closed and empty.
const ENDING: Duration = Duration::from_secs(2);

/// Feeds a hub. Strictly in `seq` order per chat: the hub takes the next `seq` only, and marks the
/// chats that have fallen behind. The notices about one chat keep the order of the bus. A chat that
/// has to wait, for crowded outboxes or for the store, delays no other.
pub struct Relay {
    /// The bus to read from.
    pub bus: Arc<dyn Bus>,
    /// The hub to deliver to.
    pub hub: Arc<Hub>,
    /// Where missing messages are read.
    pub messages: Arc<dyn Messages>,
    /// Where their chat is read, to compare its members with the subscriptions.
    pub chats: Arc<dyn Chats>,
    /// Where the chat of an event is read that the store may have opened.
    pub events: Arc<dyn Events>,
    /// What has to learn of the changes of other nodes, and completes their notices.
    pub remote: Remote,
    /// The time of the nodes.
    pub clock: Clock,
    /// The limits of each outbox.
    pub outbox: OutboxLimits,
    /// Counts the messages that were missing, and the notices of other nodes.
    pub metrics: Metrics,
}

impl Relay {
    /// Runs until the bus is closed and empty and everything is delivered. Chats that are still
    /// delayed by then are waited for two seconds at most; then the rest is delivered without
    /// waiting, which closes connections that lag.
    pub async fn run(self) {
        Dispatcher::new(self).run().await;
    }

    /// Where a page of messages is read, and what it is compared with.
    fn source(&self) -> Source {
        Source {
            messages: Arc::clone(&self.messages),
            chats: Arc::clone(&self.chats),
            events: Arc::clone(&self.events),
            hub: Arc::clone(&self.hub),
            remote: self.remote.clone(),
        }
    }

    /// How many of these messages may come to an outbox at once that is half full.
    fn portion(&self, messages: &[Arc<Notice>]) -> usize {
        let OutboxLimits { frames, bytes } = self.outbox;
        let mut sum = 0;
        let mut fits = |notice: &&Arc<Notice>| {
            sum += message_of(notice).map_or(0, Message::most_encoded_bytes);
            sum <= bytes / PORTIONS
        };
        let most = TOGETHER.min(frames / PORTIONS);
        let fitting = messages.iter().take(most).take_while(&mut fits);
        fitting.count().max(1)
    }

    /// Passes a notice other than a message to the hub.
    fn pass_on(&self, notice: &Notice) {
        match &notice.fact {
            Fact::MessageSent(_) | Fact::UserChanged { .. } => {}
            Fact::ChatCreated(chat) => self.hub.chat_created(chat, notice),
            Fact::MemberJoined(membership) => self.hub.member_joined(membership, notice),
            Fact::MemberLeft(membership) => self.hub.member_left(membership, notice),
            Fact::MembersListed(listed) => self.hub.broadcast(listed.chat, notice),
            Fact::ChatChanged(room) => self.hub.broadcast(room.chat.id, notice),
            Fact::EventChatOpened(chat) | Fact::AccessChanged(chat) | Fact::ReadMoved(chat) => {
                self.hub.broadcast(chat.chat, notice);
            }
            Fact::RoleSet(change) => self.hub.rights_changed(change.chat, change.version, notice),
            Fact::Muted(change) => self.hub.rights_changed(change.chat, change.version, notice),
            Fact::Banned(change) => self.hub.user_banned(change, notice),
            Fact::MembersConfirmed(chat) => self.hub.members_confirmed(chat),
            Fact::MembersUncertain(chat) => self.hub.members_uncertain(*chat),
            Fact::CreationUncertain(chat) => self.hub.look_up(*chat, Lookup::Creation),
            Fact::DeletionUncertain { chat, pk } => {
                self.hub.look_up(*chat, Lookup::Deletion(*pk));
            }
            Fact::Disconnected(user) => self.hub.disconnect(*user),
            Fact::TokensRevoked { user, before } => self.hub.tokens_revoked(*user, *before),
            Fact::ChatDeleted { chat, .. } => self.hub.chat_deleted(*chat, notice),
        }
    }
}

fn sent(message: Arc<Message>, origin: Option<Origin>) -> Arc<Notice> {
    Arc::new(Notice {
        origin,
        fact: Fact::MessageSent(message),
        durable: None,
    })
}

fn message_of(notice: &Notice) -> Option<&Message> {
    match &notice.fact {
        Fact::MessageSent(message) => Some(message),
        _ => None,
    }
}

fn chat_of(notice: &Arc<Notice>) -> Option<ChatId> {
    message_of(notice).map(|message| message.chat)
}

#[cfg(test)]
mod tests;
