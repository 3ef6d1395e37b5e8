//! What the relay promises: whatever the bus does, each message is delivered once, in order.

use jiff::Timestamp;
use tokio_util::task::TaskTracker;

use super::*;
use crate::bus::Local;
use crate::gateway::dialect::{Encoded, Frame, Listener};
use crate::hub::{Next, Outbox, OutboxLimits, Seat};
use crate::model::{
    Chat, ConnectionId, Draft, Entry, Message, MessageId, NewChat, NewUser, Policy, Profile, User,
    UserId,
};
use crate::store;

/// Says of a message its number, and when a chat is gone.
struct Numbers;

impl Listener for Numbers {
    fn tell(&self, notice: &Notice, _: &mut Encoded, say: &mut dyn FnMut(Frame)) {
        match &notice.fact {
            Fact::MessageSent(message) => say(Frame::Text(message.seq.to_string().into())),
            Fact::ChatDeleted { .. } => say(Frame::Text("gone".into())),
            _ => {}
        }
    }
}

/// A chat in a store, a relay that runs, and a connection that listens.
struct Scene {
    relay: Relay,
    anna: User,
    chat: Chat,
    seat: Arc<Seat>,
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
        let at = Timestamp::UNIX_EPOCH;
        let anna = NewUser {
            id: UserId::new(at),
            external_id: "anna".into(),
            profile: Profile::default(),
            at,
        };
        let anna = store.find_or_create_user(anna).await.expect("a user");
        let chat = NewChat {
            id: ChatId::new(at),
            name: None,
            policy: Policy::Closed,
            owner: None,
            team: None,
            key: None,
            members: vec![anna.id],
            at,
        };
        let chat = store.create_chat(chat).await.expect("a chat");
        let outbox = Outbox::new(limits);
        let seat = Seat::new(ConnectionId::new(at), Arc::new(Numbers), outbox);
        let relay = Relay {
            bus: Arc::new(Local::default()),
            hub: Arc::new(Hub::default()),
            store,
            outbox: limits,
            metrics: Metrics::default(),
        };
        Self {
            relay,
            anna,
            chat,
            seat: Arc::new(seat),
        }
    }

    async fn store(&self, count: usize) -> Vec<Arc<Message>> {
        let at = Timestamp::UNIX_EPOCH;
        let entry = |_| Entry {
            id: MessageId::new(at),
            chat: self.chat.id,
            sender: self.anna.id,
            origin: None,
            draft: Draft::text("hello"),
            at,
        };
        let batch = (0..count).map(entry).collect();
        let sent = self.relay.store.append(batch).await.expect("stored");
        let sent = sent.into_iter().flatten();
        sent.map(|sent| Arc::clone(sent.message())).collect()
    }

    async fn publish(&self, message: &Arc<Message>) {
        let notice = (*sent(message)).clone();
        self.relay.bus.publish(notice).await.expect("an open bus");
    }

    /// Lets the relay read what the bus has, and answers what the connection heard.
    async fn play(self, count: usize) -> Vec<String> {
        let tasks = TaskTracker::new();
        let (bus, seat) = (Arc::clone(&self.relay.bus), Arc::clone(&self.seat));
        let running = tasks.spawn(self.relay.run());
        let mut heard = Vec::new();
        while heard.len() < count {
            match seat.outbox.take() {
                Next::Frame(Frame::Text(text)) => heard.push(text.to_string()),
                Next::Empty => seat.outbox.filled().await,
                other => panic!("{other:?}"),
            }
        }
        bus.close();
        running.await.expect("the relay ends with the bus");
        assert!(matches!(seat.outbox.take(), Next::Empty), "once only");
        heard
    }
}

fn sent(message: &Arc<Message>) -> Arc<Notice> {
    Arc::new(Notice {
        origin: None,
        fact: Fact::MessageSent(Arc::clone(message)),
        durable: None,
    })
}

fn numbers(count: usize) -> Vec<String> {
    (1..=count).map(|number| number.to_string()).collect()
}

#[tokio::test]
async fn what_the_bus_lost_shuffled_and_repeated_is_delivered_once_in_order() {
    let scene = Scene::set().await;
    scene.relay.hub.enter(&scene.seat, scene.anna.id);
    scene.relay.hub.sit(&scene.seat, [scene.chat.id]);
    scene.relay.hub.open(scene.chat.id, 0);
    // More than a page, so that filling the hole takes several.
    let messages = scene.store(PAGE * 2 + 7).await;
    for index in [3, 0, 3, PAGE + 1, messages.len() - 1, 5] {
        scene.publish(&messages[index]).await;
    }
    let count = messages.len();
    assert_eq!(scene.play(count).await, numbers(count));
}

#[tokio::test]
async fn what_came_while_a_seat_was_taken_is_delivered() {
    let scene = Scene::set().await;
    scene.relay.hub.enter(&scene.seat, scene.anna.id);
    assert!(scene.relay.hub.sit(&scene.seat, [scene.chat.id]));
    let messages: Vec<_> = scene.store(3).await.iter().map(sent).collect();
    scene.relay.deliver(scene.chat.id, &messages).await;
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
    scene.relay.hub.enter(&scene.seat, scene.anna.id);
    scene.relay.hub.sit(&scene.seat, [scene.chat.id]);
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
        sent(&Arc::new(Message {
            text,
            ..(**message).clone()
        }))
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
    scene.relay.hub.enter(&scene.seat, scene.anna.id);
    scene.relay.hub.sit(&scene.seat, [one, other]);
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
    let deleted = Notice {
        origin: None,
        fact: Fact::ChatDeleted { chat: one, pk: 1 },
        durable: None,
    };
    scene.relay.bus.publish(deleted).await.expect("an open bus");
    scene.publish(&elsewhere(&messages[1])).await;
    let mut heard = scene.play(5).await;
    assert_eq!(heard.split_off(3), ["gone", "2"]);
    heard.sort();
    assert_eq!(heard, ["1", "1", "2"]);
}
