//! The promises of the relay: whatever the bus does, each message is delivered once, in order.

mod delayed;
mod fixtures;

use jiff::Timestamp;
use tokio_util::task::TaskTracker;

use super::*;
use crate::bus::Local;
use crate::hub::{Body, Outgoing, SharedEncoding, Subscriber};
use crate::hub::{Outbox, OutboxLimits, Subscription};
use crate::model::{
    Chat, ConnectionId, Draft, Message, MessageId, NewChat, NewPk, NewUser, PendingMessage, Policy,
    Profile, Room, Seq, User, UserId,
};
use crate::store::{self, Store};

/// Encodes a message as its seq; a change, a leaving and a deletion as a word.
struct Numbers;

impl Subscriber for Numbers {
    fn encode(&self, notice: &Notice, _: &mut SharedEncoding, sink: &mut dyn FnMut(Outgoing)) {
        match &notice.fact {
            Fact::MessageSent(message) => {
                sink(Outgoing::bare(Body::from_json(message.seq.to_string())));
            }
            Fact::ChatChanged(_) => sink(Outgoing::bare(Body::from_json("changed".to_owned()))),
            Fact::MemberLeft(_) => sink(Outgoing::bare(Body::from_json("left".to_owned()))),
            Fact::ChatDeleted { .. } => sink(Outgoing::bare(Body::from_json("gone".to_owned()))),
            _ => {}
        }
    }
}

/// A chat in a store, a relay that runs, and a subscribed connection.
struct Scene {
    relay: Relay,
    store: Arc<dyn Store>,
    anna: User,
    chat: Chat,
    connection: Arc<Subscription>,
}

impl Scene {
    async fn set() -> Self {
        Self::with_outbox(OutboxLimits {
            frames: 10_000,
            bytes: 1 << 20,
        })
        .await
    }

    async fn with_outbox(limits: OutboxLimits) -> Self {
        let store = store::open("sqlite::memory:").await.expect("a store");
        let anna = new_user(&*store, "anna").await;
        let chat = new_chat(&*store, &anna).await;
        let relay = Relay {
            bus: Arc::new(Local::default()),
            hub: Arc::new(Hub::default()),
            messages: Arc::<dyn Store>::clone(&store),
            chats: Arc::<dyn Store>::clone(&store),
            events: Arc::<dyn Store>::clone(&store),
            remote: Remote::over(&store),
            clock: Clock::system(),
            outbox: limits,
            metrics: Metrics::default(),
        };
        Self {
            relay,
            store,
            anna,
            chat,
            connection: new_connection(limits),
        }
    }

    async fn store(&self, count: usize) -> Vec<Arc<Message>> {
        append(&*self.store, self.chat.id, &self.anna, count).await
    }

    async fn publish(&self, message: &Arc<Message>) {
        let notice = (*sent(Arc::clone(message), None)).clone();
        self.relay
            .bus
            .publish(vec![notice])
            .await
            .expect("an open bus");
    }

    /// Lets the relay read the bus, and returns the frames that the connection received.
    async fn play(self, count: usize) -> Vec<String> {
        let tasks = TaskTracker::new();
        let (bus, connection) = (Arc::clone(&self.relay.bus), Arc::clone(&self.connection));
        let running = tasks.spawn(self.relay.run());
        let mut received = Vec::new();
        while received.len() < count {
            match connection.outbox.next().await {
                Ok(frame) => received.push(frame.body.as_str().to_owned()),
                Err(why) => panic!("{why:?}"),
            }
        }
        bus.close();
        running.await.expect("the relay ends with the bus");
        assert!(connection.outbox.is_empty(), "once only");
        received
    }
}

async fn new_user(store: &dyn Store, external_id: &str) -> User {
    let at = Timestamp::UNIX_EPOCH;
    let user = NewUser {
        pk: NewPk::default(),
        id: UserId::new(at),
        external_id: external_id.into(),
        profile: Profile::default(),
        at,
        audit: None,
    };
    store.find_or_create_user(user).await.expect("a user")
}

async fn new_chat(store: &dyn Store, member: &User) -> Chat {
    let at = Timestamp::UNIX_EPOCH;
    let chat = NewChat {
        pk: NewPk::default(),
        external_id: None,
        id: ChatId::new(at),
        name: None,
        policy: Policy::Closed,
        owner: None,
        team: None,
        key: None,
        members: vec![member.id],
        at,
        audit: Vec::new(),
    };
    store.create_chat(chat).await.expect("a chat")
}

async fn append(store: &dyn Store, chat: ChatId, sender: &User, count: usize) -> Vec<Arc<Message>> {
    let at = Timestamp::UNIX_EPOCH;
    let entry = |_| PendingMessage {
        id: MessageId::new(at),
        chat,
        sender: sender.id,
        origin: None,
        draft: Draft {
            kind: "text".into(),
            text: "hello".into(),
            client_id: None,
            original_id: None,
            metadata: None,
            sent_as_read: false,
            photos: Vec::new(),
        },
        at,
    };
    let sent = store.append((0..count).map(entry).collect()).await;
    let sent = sent.expect("stored").into_iter().flatten();
    sent.map(|sent| Arc::clone(sent.message())).collect()
}

fn new_connection(limits: OutboxLimits) -> Arc<Subscription> {
    let id = ConnectionId::new(Timestamp::UNIX_EPOCH);
    Arc::new(Subscription::new(
        id,
        Arc::new(Numbers),
        Outbox::new(limits),
    ))
}

fn notice(fact: Fact) -> Arc<Notice> {
    Arc::new(Notice {
        origin: None,
        fact,
        durable: None,
    })
}

/// A chat that is in no store.
pub(super) fn absent_chat() -> Chat {
    let at = Timestamp::UNIX_EPOCH;
    Chat {
        id: ChatId::new(at),
        ..Chat::example()
    }
}

/// A message that is in no store.
pub(super) fn message(chat: ChatId, seq: Seq) -> Arc<Notice> {
    let at = Timestamp::UNIX_EPOCH;
    let sender = NewUser {
        pk: NewPk::default(),
        id: UserId::new(at),
        external_id: "anna".into(),
        profile: Profile::default(),
        at,
        audit: None,
    };
    let message = Message {
        id: MessageId::new(at),
        chat,
        chat_pk: 1,
        seq,
        sender: Arc::new(sender.into_user(1)),
        kind: "text".into(),
        text: "hello".into(),
        client_id: None,
        original_id: None,
        metadata: None,
        sent_as_read: false,
        photos: Vec::new(),
        event_chat: None,
        created_at: at,
        modified_at: at,
    };
    sent(Arc::new(message), None)
}

pub(super) fn changed(chat: &Chat) -> Arc<Notice> {
    notice(Fact::ChatChanged(Arc::new(Room {
        chat: chat.clone(),
        members: Vec::new(),
        messages: Vec::new(),
    })))
}

fn numbers(count: usize) -> Vec<String> {
    (1..=count).map(|number| number.to_string()).collect()
}

#[tokio::test]
async fn what_the_bus_lost_shuffled_and_repeated_is_delivered_once_in_order() {
    let scene = Scene::set().await;
    scene.relay.hub.bind_user(&scene.connection, scene.anna.id);
    scene.relay.hub.join(&scene.connection, [scene.chat.id]);
    scene.relay.hub.open(scene.chat.id, 0);
    // More than a page, so that filling the gap takes several.
    let messages = scene.store(PAGE * 2 + 7).await;
    for index in [3, 0, 3, PAGE + 1, messages.len() - 1, 5] {
        scene.publish(&messages[index]).await;
    }
    let count = messages.len();
    assert_eq!(scene.play(count).await, numbers(count));
}

#[tokio::test]
async fn what_came_while_a_connection_subscribed_is_delivered() {
    let scene = Scene::set().await;
    scene.relay.hub.bind_user(&scene.connection, scene.anna.id);
    assert!(scene.relay.hub.join(&scene.connection, [scene.chat.id]));
    let messages: Vec<_> = scene
        .store(3)
        .await
        .into_iter()
        .map(|message| sent(message, None))
        .collect();
    scene.relay.hub.deliver(scene.chat.id, &messages);
    // The head that was read before those three were stored.
    scene.relay.hub.open(scene.chat.id, 0);
    assert_eq!(scene.play(3).await, numbers(3));
}

#[tokio::test]
async fn a_burst_fills_no_outbox_that_is_emptied() {
    let scene = Scene::with_outbox(OutboxLimits {
        frames: 8,
        bytes: 1 << 20,
    })
    .await;
    scene.relay.hub.bind_user(&scene.connection, scene.anna.id);
    scene.relay.hub.join(&scene.connection, [scene.chat.id]);
    scene.relay.hub.open(scene.chat.id, 0);
    for message in scene.store(300).await {
        scene.publish(&message).await;
    }
    assert_eq!(scene.play(300).await, numbers(300));
}

#[tokio::test]
async fn large_messages_are_delivered_in_smaller_portions() {
    let scene = Scene::set().await;
    let messages = scene.store(64).await;
    let large = |message: &Arc<Message>, bytes| {
        let text = "\u{1}".repeat(bytes);
        let large = Message {
            text,
            ..(**message).clone()
        };
        sent(Arc::new(large), None)
    };
    let quarter = scene.relay.outbox.bytes / PORTIONS;
    for bytes in [16, 1024, 4096, 16 * 1024] {
        let messages: Vec<_> = messages.iter().map(|one| large(one, bytes)).collect();
        let portion = scene.relay.portion(&messages);
        let encoded = serde_json::to_string(&"\u{1}".repeat(bytes)).expect("JSON");
        assert!(portion * encoded.len() <= quarter, "{bytes}: {portion}");
    }
    let huge = large(&messages[0], quarter);
    assert_eq!(scene.relay.portion(&[huge]), 1, "it has to go some time");
}

#[tokio::test]
async fn what_is_no_message_keeps_its_place_among_messages() {
    let scene = Scene::set().await;
    let (one, other) = (scene.chat.id, ChatId::new(Timestamp::UNIX_EPOCH));
    scene.relay.hub.bind_user(&scene.connection, scene.anna.id);
    scene.relay.hub.join(&scene.connection, [one, other]);
    scene.relay.hub.open(one, 0);
    scene.relay.hub.open(other, 0);
    let messages = scene.store(2).await;
    let elsewhere = |message: &Arc<Message>| {
        Arc::new(Message {
            chat: other,
            ..(**message).clone()
        })
    };
    scene.publish(&messages[0]).await;
    scene.publish(&elsewhere(&messages[0])).await;
    scene.publish(&messages[1]).await;
    let deleted = notice(Fact::ChatDeleted { chat: one, pk: 1 });
    let published = scene.relay.bus.publish(vec![(*deleted).clone()]);
    published.await.expect("an open bus");
    scene.publish(&elsewhere(&messages[1])).await;
    let mut received = scene.play(5).await;
    assert_eq!(received.split_off(3), ["gone", "2"]);
    received.sort();
    assert_eq!(received, ["1", "1", "2"]);
}
