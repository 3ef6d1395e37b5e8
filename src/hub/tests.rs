//! The promises of the hub to connections: each message once, in order, and no skipping in silence.

mod banned;
mod event_chat_state;
mod interleaved;
mod memberships;
mod missed;

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;

use super::*;
use crate::model::{
    Chat, EventChatState, Fact, MembersVersion, Membership, Message, MessageId, Policy, User,
};
use crate::telemetry::CloseReason;

/// Encodes a message as its seq, any other fact as a word.
struct Numbers;

impl Subscriber for Numbers {
    fn encode(&self, notice: &Notice, shared: &mut SharedEncoding, sink: &mut dyn FnMut(Outgoing)) {
        let word = match &notice.fact {
            Fact::MessageSent(message) => message.seq.to_string(),
            Fact::ChatCreated(_) => "created".into(),
            Fact::MemberJoined(_) => "joined".into(),
            Fact::MemberLeft(_) => "left".into(),
            Fact::MembersListed(_) => "listed".into(),
            Fact::ChatChanged(_) => "changed".into(),
            Fact::ChatDeleted { .. } => "deleted".into(),
            Fact::EventChatOpened(_) | Fact::AccessChanged(_) | Fact::ReadMoved(_) => {
                "event chat".into()
            }
            Fact::RoleSet(_) => "role".into(),
            Fact::Muted(_) => "muted".into(),
            Fact::Banned(_) => "banned".into(),
            Fact::Disconnected(_) => "disconnected".into(),
            Fact::TokensRevoked { .. } => "revoked".into(),
            Fact::UserChanged { .. } => "changed user".into(),
            Fact::MembersConfirmed(_)
            | Fact::MembersUncertain(_)
            | Fact::CreationUncertain(_)
            | Fact::DeletionUncertain { .. } => unreachable!("not sent"),
        };
        let body = shared.body("numbers", || Body::from_json(word));
        sink(Outgoing::bare(body));
    }
}

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn connection(frames: usize) -> Arc<Subscription> {
    connection_of(Arc::new(Numbers), frames)
}

fn connection_of(listener: Arc<dyn Subscriber>, frames: usize) -> Arc<Subscription> {
    let limits = OutboxLimits {
        frames,
        bytes: 1 << 20,
    };
    let outbox = Outbox::new(limits);
    Arc::new(Subscription::new(ConnectionId::new(NOW), listener, outbox))
}

fn user() -> UserId {
    UserId::new(NOW)
}

impl Hub {
    /// [`Hub::subscribe`] as a member of the first version. Returns whether a chat waits for
    /// [`Hub::open`].
    pub fn join(
        &self,
        subscription: &Arc<Subscription>,
        chats: impl IntoIterator<Item = ChatId>,
    ) -> bool {
        let entering = subscription.entering();
        let chats = chats.into_iter().map(|chat| (chat, 0));
        !self.subscribe(&entering, chats).is_empty()
    }
}

/// A connection of `user` subscribed to `chat`, which begins after `head`.
fn subscribed(hub: &Hub, user: UserId, chat: ChatId, head: Seq) -> Arc<Subscription> {
    let connection = connection(1000);
    hub.bind_user(&connection, user);
    if hub.join(&connection, [chat]) {
        hub.open(chat, head);
    }
    connection
}

fn message(chat: ChatId, seq: Seq) -> Notice {
    let message = Message {
        id: MessageId::new(NOW),
        chat,
        seq,
        ..Message::example()
    };
    notice(Fact::MessageSent(Arc::new(message)))
}

fn deliver(hub: &Hub, chat: ChatId, numbers: impl IntoIterator<Item = Seq>) {
    for seq in numbers {
        hub.deliver(chat, &[Arc::new(message(chat, seq))]);
    }
}

fn received(connection: &Subscription) -> Vec<String> {
    let mut received = Vec::new();
    while let Some(frame) = connection.outbox.try_next() {
        received.push(frame.body.as_str().to_owned());
    }
    received
}

fn somebody(id: UserId) -> User {
    User {
        id,
        ..User::example()
    }
}

fn membership(chat: ChatId, user: UserId, head: Seq) -> Arc<Membership> {
    version(chat, user, head, 1)
}

fn version(chat: ChatId, user: UserId, head: Seq, version: MembersVersion) -> Arc<Membership> {
    Arc::new(Membership {
        chat,
        chat_pk: 1,
        policy: Policy::Closed,
        user: Arc::new(somebody(user)),
        version,
        head,
    })
}

fn notice(fact: Fact) -> Notice {
    Notice {
        origin: None,
        fact,
        durable: None,
    }
}

/// The connection watches a chat of which its user is no member.
fn watch(hub: &Hub, connection: &Arc<Subscription>, chat: ChatId) {
    let chat = Chat {
        id: chat,
        ..Chat::example()
    };
    hub.watch(&connection.entering(), &chat);
}

fn created(members: Vec<UserId>) -> (Chat, Notice) {
    let chat = Chat {
        id: ChatId::new(NOW),
        members,
        ..Chat::example()
    };
    let fact = Fact::ChatCreated(chat.clone());
    (chat, notice(fact))
}

#[test]
fn everybody_in_a_chat_receives_each_message_once_in_order() {
    let (hub, chat) = (Hub::default(), ChatId::new(NOW));
    let anna = subscribed(&hub, user(), chat, 0);
    let boris = subscribed(&hub, user(), chat, 0);
    let elsewhere = subscribed(&hub, user(), ChatId::new(NOW), 0);
    deliver(&hub, chat, [1, 2, 2, 1, 3]);
    assert_eq!(received(&anna), ["1", "2", "3"]);
    assert_eq!(received(&boris), ["1", "2", "3"]);
    assert!(received(&elsewhere).is_empty());
}

#[test]
fn after_a_hole_nothing_is_delivered_until_it_is_filled() {
    let (hub, chat) = (Hub::default(), ChatId::new(NOW));
    let anna = subscribed(&hub, user(), chat, 4);
    deliver(&hub, chat, [5, 8]);
    assert_eq!(received(&anna), ["5"]);
    assert_eq!(
        (hub.take_behind(), hub.next_after(chat)),
        (vec![chat], Some(5))
    );
    assert_eq!(hub.take_behind(), []);
    deliver(&hub, chat, [6, 7, 8, 8, 9]);
    assert_eq!(received(&anna), ["6", "7", "8", "9"]);
}

#[test]
fn messages_before_a_room_is_open_are_fetched_when_it_opens() {
    let (hub, chat) = (Hub::default(), ChatId::new(NOW));
    let anna = connection(1000);
    hub.bind_user(&anna, user());
    assert!(hub.join(&anna, [chat]));
    deliver(&hub, chat, [7]);
    assert!(received(&anna).is_empty());
    hub.open(chat, 6);
    assert_eq!(
        (hub.take_behind(), hub.next_after(chat)),
        (vec![chat], Some(6))
    );
    deliver(&hub, chat, [7, 8]);
    assert_eq!(received(&anna), ["7", "8"]);
}

#[test]
fn a_later_connection_does_not_move_an_open_room() {
    let (hub, chat) = (Hub::default(), ChatId::new(NOW));
    let anna = subscribed(&hub, user(), chat, 0);
    deliver(&hub, chat, [1]);
    let boris = connection(1000);
    hub.bind_user(&boris, user());
    assert!(!hub.join(&boris, [chat]));
    hub.open(chat, 100);
    deliver(&hub, chat, [2]);
    assert_eq!(received(&anna), ["1", "2"]);
    assert_eq!(received(&boris), ["2"]);
}

#[test]
fn one_that_lags_leaves_every_room_and_costs_the_others_nothing() {
    let (hub, chat, other) = (Hub::default(), ChatId::new(NOW), ChatId::new(NOW));
    let anna = subscribed(&hub, user(), chat, 0);
    let slow = connection(2);
    hub.bind_user(&slow, user());
    hub.join(&slow, [chat, other]);
    deliver(&hub, chat, 1..=5);
    assert_eq!(received(&anna), ["1", "2", "3", "4", "5"]);
    assert_eq!(slow.outbox.closed(), Some(CloseReason::Lagging));
    assert!(!slow.is_in(chat) && !slow.is_in(other));
    assert!(hub.room(other).is_none(), "an empty room is forgotten");
}

#[test]
fn one_that_has_gone_is_never_subscribed_again() {
    let (hub, chat) = (Hub::default(), ChatId::new(NOW));
    let anna = connection(1000);
    anna.outbox.close(CloseReason::Gone);
    hub.leave(&anna);
    hub.bind_user(&anna, user());
    hub.join(&anna, [chat]);
    assert!(!anna.is_in(chat));
    assert!(hub.room(chat).is_none() && hub.users.lock().is_empty());
}

#[test]
fn members_are_subscribed_to_a_new_chat_and_notified() {
    let hub = Hub::default();
    let (anna, boris) = (user(), user());
    let annas = subscribed(&hub, anna, ChatId::new(NOW), 0);
    let annas_other = subscribed(&hub, anna, ChatId::new(NOW), 0);
    let boriss = subscribed(&hub, boris, ChatId::new(NOW), 0);
    let strangers = subscribed(&hub, user(), ChatId::new(NOW), 0);
    let (chat, notice) = created(vec![anna, boris]);
    hub.chat_created(&chat, &notice);
    deliver(&hub, chat.id, [1]);
    for connection in [annas, annas_other, boriss] {
        assert_eq!(received(&connection), ["created", "1"]);
    }
    assert!(received(&strangers).is_empty());
    // Messages that members sent before they were subscribed here are requested.
    assert_eq!(
        (hub.take_behind(), hub.next_after(chat.id)),
        (vec![chat.id], Some(1))
    );
}

#[test]
fn a_new_member_receives_what_comes_after_joining() {
    let (hub, chat, boris) = (Hub::default(), ChatId::new(NOW), user());
    let annas = subscribed(&hub, user(), chat, 0);
    let boriss = subscribed(&hub, boris, ChatId::new(NOW), 0);
    deliver(&hub, chat, [1]);
    let joined = membership(chat, boris, 1);
    hub.member_joined(&joined, &notice(Fact::MemberJoined(Arc::clone(&joined))));
    deliver(&hub, chat, [2]);
    assert_eq!(received(&annas), ["1", "joined", "2"]);
    assert_eq!(received(&boriss), ["joined", "2"]);
}

#[test]
fn one_who_left_receives_nothing_more() {
    let (hub, chat, boris) = (Hub::default(), ChatId::new(NOW), user());
    let annas = subscribed(&hub, user(), chat, 0);
    let boriss = subscribed(&hub, boris, chat, 0);
    let left = membership(chat, boris, 0);
    hub.member_left(&left, &notice(Fact::MemberLeft(Arc::clone(&left))));
    deliver(&hub, chat, [1]);
    assert_eq!(received(&annas), ["left", "1"]);
    assert!(received(&boriss).is_empty());
    assert!(!boriss.is_in(chat));
}

#[test]
fn one_who_left_a_closed_chat_does_not_watch_it_either() {
    let (hub, chat, boris) = (Hub::default(), ChatId::new(NOW), user());
    let _annas = subscribed(&hub, user(), chat, 0);
    let boriss = subscribed(&hub, boris, chat, 0);
    watch(&hub, &boriss, chat);
    let left = membership(chat, boris, 0);
    hub.member_left(&left, &notice(Fact::MemberLeft(Arc::clone(&left))));
    hub.chat_deleted(chat, &notice(Fact::ChatDeleted { chat, pk: 1 }));
    assert!(received(&boriss).is_empty());
}

#[test]
fn one_who_watches_receives_everything_but_messages() {
    let (hub, chat, boris) = (Hub::default(), ChatId::new(NOW), user());
    let watching = subscribed(&hub, user(), ChatId::new(NOW), 0);
    watch(&hub, &watching, chat);
    let _annas = subscribed(&hub, user(), chat, 0);
    deliver(&hub, chat, [1]);
    let joined = membership(chat, boris, 1);
    hub.member_joined(&joined, &notice(Fact::MemberJoined(Arc::clone(&joined))));
    hub.chat_deleted(chat, &notice(Fact::ChatDeleted { chat, pk: 1 }));
    assert_eq!(received(&watching), ["joined", "deleted"]);
    assert!(hub.room(chat).is_none());
}

#[test]
fn a_member_who_watches_receives_everything_once() {
    let (hub, chat) = (Hub::default(), ChatId::new(NOW));
    let annas = subscribed(&hub, user(), chat, 0);
    watch(&hub, &annas, chat);
    deliver(&hub, chat, [1]);
    hub.chat_deleted(chat, &notice(Fact::ChatDeleted { chat, pk: 1 }));
    assert_eq!(received(&annas), ["1", "deleted"]);
}

#[test]
fn as_another_user_a_connection_receives_the_other_users_chats_only() {
    let (hub, first, second) = (Hub::default(), ChatId::new(NOW), ChatId::new(NOW));
    let anna = subscribed(&hub, user(), first, 0);
    hub.bind_user(&anna, user());
    if hub.join(&anna, [second]) {
        hub.open(second, 0);
    }
    deliver(&hub, first, [1]);
    deliver(&hub, second, [1, 2]);
    assert_eq!(received(&anna), ["1", "2"]);
}
