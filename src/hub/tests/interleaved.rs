//! The place of the answers to a connection's own messages among the deliveries to it.

mod joining;
mod random;

use super::*;

/// Encodes a message as its seq; its own only beside the answer.
struct Sender(ConnectionId, AnswerPlace);

impl Subscriber for Sender {
    fn encode(&self, notice: &Notice, shared: &mut SharedEncoding, sink: &mut dyn FnMut(Outgoing)) {
        if !notice.is_from(self.0) || self.1 == AnswerPlace::Beside {
            Numbers.encode(notice, shared, sink);
        }
    }

    fn answer_place(&self, _: ChatId) -> AnswerPlace {
        self.1
    }
}

/// A chat with a connection that sends.
struct Scene {
    hub: Hub,
    chat: ChatId,
    user: UserId,
    sender: Arc<Subscription>,
}

impl Scene {
    fn new() -> Self {
        Self::with_room_for(1000, AnswerPlace::Instead)
    }

    /// A chat where the answers stand in this place, and an outbox for so many frames.
    fn with_room_for(frames: usize, place: AnswerPlace) -> Self {
        Self::of(frames, |id| Arc::new(Sender(id, place)))
    }

    fn of(frames: usize, subscriber: impl FnOnce(ConnectionId) -> Arc<dyn Subscriber>) -> Self {
        let (hub, chat, user) = (Hub::default(), ChatId::new(NOW), user());
        let id = ConnectionId::new(NOW);
        let limits = OutboxLimits {
            frames,
            bytes: 1 << 20,
        };
        let outbox = Outbox::new(limits);
        let sender = Arc::new(Subscription::new(id, subscriber(id), outbox));
        hub.bind_user(&sender, user);
        hub.join(&sender, [chat]);
        hub.open(chat, 0);
        Self {
            hub,
            chat,
            user,
            sender,
        }
    }

    fn message(&self, seq: Seq, origin: Option<ConnectionId>) -> Arc<Notice> {
        Arc::new(Notice {
            origin: origin.map(Into::into),
            ..message(self.chat, seq)
        })
    }

    /// Messages of others, and one of the connection.
    fn deliver_foreign(&self, seqs: impl IntoIterator<Item = Seq>) {
        deliver(&self.hub, self.chat, seqs);
    }

    fn deliver_own(&self, seq: Seq) {
        let own = self.message(seq, Some(self.sender.id));
        self.hub.deliver(self.chat, &[own]);
    }

    /// Whether the answer to an own message was queued.
    fn answer(&self, seq: Seq) -> bool {
        self.answer_in(self.chat, seq)
    }

    fn answer_in(&self, chat: ChatId, seq: Seq) -> bool {
        let message = Message {
            chat,
            ..self.sent(seq)
        };
        let mut frames = vec![answer(seq)];
        let queued = self.hub.answer(&self.sender, &message, &mut frames);
        assert_eq!(frames.is_empty(), queued);
        queued
    }

    fn answer_now(&self, seq: Seq) {
        let mut frames = vec![answer(seq)];
        self.sender.answer_now(&self.sent(seq), &mut frames);
    }

    fn sent(&self, seq: Seq) -> Message {
        Message {
            id: MessageId::new(NOW),
            chat: self.chat,
            seq,
            sender: Arc::new(somebody(self.user)),
            ..Message::example()
        }
    }

    fn received(&self) -> Vec<String> {
        received(&self.sender)
    }
}

fn answer(seq: Seq) -> Outgoing {
    Outgoing::bare(Body::from_json(format!("answer {seq}")))
}

#[test]
fn an_answer_waits_for_the_messages_before_it() {
    let scene = Scene::new();
    scene.deliver_foreign([1]);
    assert!(!scene.answer(4));
    scene.deliver_foreign([2]);
    assert!(!scene.answer(4));
    scene.deliver_foreign([3]);
    assert!(scene.answer(4));
    scene.deliver_own(4);
    scene.deliver_foreign([5]);
    assert_eq!(scene.received(), ["1", "2", "3", "answer 4", "5"]);
}

#[test]
fn what_comes_after_an_own_message_is_held_until_it_is_answered() {
    let scene = Scene::new();
    scene.deliver_own(1);
    scene.deliver_foreign([2]);
    let joined = membership(scene.chat, user(), 2);
    let notice = notice(Fact::MemberJoined(Arc::clone(&joined)));
    scene.hub.member_joined(&joined, &notice);
    scene.deliver_own(3);
    scene.deliver_foreign([4]);
    assert!(scene.received().is_empty());
    assert!(scene.answer(1));
    assert_eq!(scene.received(), ["answer 1", "2", "joined"]);
    assert!(scene.answer(3));
    scene.deliver_foreign([5]);
    assert_eq!(scene.received(), ["answer 3", "4", "5"]);
}

#[test]
fn a_lone_sender_never_waits() {
    let scene = Scene::new();
    for seq in 1..=50 {
        assert!(scene.answer(seq), "{seq}");
    }
    for seq in 1..=50 {
        scene.deliver_own(seq);
    }
    assert!(scene.answer(51));
    assert_eq!(scene.received().len(), 51);
}

#[test]
fn an_answer_beside_its_message_waits_for_the_one_before() {
    let scene = Scene::with_room_for(1000, AnswerPlace::Beside);
    assert!(scene.answer(1), "a lone sender does not wait");
    assert!(!scene.answer(2));
    scene.deliver_own(1);
    scene.deliver_own(2);
    scene.deliver_foreign([3]);
    assert!(scene.answer(2));
    assert_eq!(scene.received(), ["answer 1", "1", "2", "answer 2", "3"]);
}

#[test]
fn an_answer_that_stands_apart_neither_waits_nor_holds_anything_back() {
    let scene = Scene::with_room_for(1000, AnswerPlace::Apart);
    assert!(scene.answer(5));
    scene.deliver_own(1);
    scene.deliver_foreign([2]);
    assert_eq!(scene.received(), ["answer 5", "2"]);
}

#[test]
fn an_answer_stands_apart_until_its_chat_is_subscribed_to() {
    /// Has not subscribed to the second chat yet.
    struct Half(ConnectionId, ChatId);

    impl Subscriber for Half {
        fn encode(
            &self,
            notice: &Notice,
            shared: &mut SharedEncoding,
            sink: &mut dyn FnMut(Outgoing),
        ) {
            Sender(self.0, AnswerPlace::Beside).encode(notice, shared, sink);
        }

        fn answer_place(&self, chat: ChatId) -> AnswerPlace {
            if chat == self.1 {
                AnswerPlace::Apart
            } else {
                AnswerPlace::Beside
            }
        }
    }

    let second = ChatId::new(NOW);
    let scene = Scene::of(1000, |id| Arc::new(Half(id, second)));
    scene.hub.join(&scene.sender, [second]);
    scene.hub.open(second, 0);
    assert!(scene.answer(1));
    let scene = Scene {
        chat: second,
        ..scene
    };
    scene.deliver_own(1);
    assert!(scene.answer(1));
    assert!(scene.answer(4), "before the messages before it");
    scene.deliver_foreign([2, 3]);
    scene.deliver_own(4);
    scene.deliver_foreign([5]);
    let expected = ["answer 1", "1", "answer 1", "answer 4", "2", "3", "4", "5"];
    assert_eq!(scene.received(), expected);
}

#[test]
fn chats_do_not_wait_for_each_other() {
    let scene = Scene::new();
    let other = ChatId::new(NOW);
    scene.hub.join(&scene.sender, [other]);
    scene.hub.open(other, 0);
    scene.deliver_own(1);
    scene.deliver_foreign([2]);
    deliver(&scene.hub, other, [1, 2]);
    assert_eq!(scene.received(), ["1", "2"]);
    assert!(scene.answer(1));
    assert_eq!(scene.received(), ["answer 1", "2"]);
}

#[test]
fn one_that_leaves_a_chat_is_answered_then() {
    let scene = Scene::new();
    assert!(!scene.answer(3));
    let left = membership(scene.chat, scene.user, 3);
    let notice = notice(Fact::MemberLeft(Arc::clone(&left)));
    scene.hub.member_left(&left, &notice);
    assert!(scene.answer(3));
    assert_eq!(scene.received(), ["answer 3"]);
}

#[test]
fn one_whose_chat_is_deleted_is_answered_and_notified() {
    let scene = Scene::new();
    scene.deliver_own(1);
    scene.deliver_foreign([2]);
    let (chat, pk) = (scene.chat, 1);
    let notice = notice(Fact::ChatDeleted { chat, pk });
    scene.hub.chat_deleted(chat, &notice);
    assert!(scene.received().is_empty());
    assert!(scene.answer(1));
    assert!(
        scene.answer(3),
        "stored before the end, and never delivered"
    );
    assert_eq!(scene.received(), ["answer 1", "2", "deleted", "answer 3"]);
}

#[test]
fn one_that_comes_back_into_a_chat_waits_for_nothing_from_before() {
    let scene = Scene::new();
    assert!(scene.answer(1));
    let left = membership(scene.chat, scene.user, 1);
    scene
        .hub
        .member_left(&left, &notice(Fact::MemberLeft(Arc::clone(&left))));
    let joined = version(scene.chat, scene.user, 9, 2);
    scene
        .hub
        .member_joined(&joined, &notice(Fact::MemberJoined(Arc::clone(&joined))));
    assert!(scene.answer(10));
    scene.deliver_own(10);
    scene.deliver_foreign([11]);
    assert_eq!(scene.received(), ["answer 1", "joined", "answer 10", "11"]);
}

#[test]
fn what_is_read_from_the_store_has_no_origin_and_is_known_all_the_same() {
    let scene = Scene::new();
    // One was answered before it was delivered, the other waits.
    assert!(scene.answer(1));
    assert!(!scene.answer(3));
    for seq in 1..=4 {
        let notice = scene.message(seq, None);
        scene.hub.deliver(scene.chat, &[notice]);
    }
    assert!(scene.answer(3));
    assert_eq!(scene.received(), ["answer 1", "2", "answer 3", "4"]);
}

#[test]
fn an_answer_to_a_repeated_message_does_not_wait() {
    let scene = Scene::new();
    scene.deliver_foreign([1, 2, 3]);
    assert!(scene.answer(2));
    scene.deliver_foreign([4]);
    assert_eq!(scene.received(), ["1", "2", "3", "answer 2", "4"]);
}

#[test]
fn an_answer_that_waited_too_long_delays_nothing_after_it() {
    let scene = Scene::new();
    assert!(!scene.answer(3));
    scene.answer_now(3);
    scene.deliver_foreign([1, 2]);
    scene.deliver_own(3);
    scene.deliver_foreign([4]);
    assert!(scene.answer(5));
    assert_eq!(scene.received(), ["answer 3", "1", "2", "4", "answer 5"]);
}

#[test]
fn an_answer_that_never_comes_holds_back_no_more_than_a_bound() {
    let scene = Scene::with_room_for(400, AnswerPlace::Instead);
    scene.deliver_own(1);
    scene.deliver_foreign(2..=100);
    scene.deliver_own(101);
    scene.deliver_foreign(102..=202);
    assert!(scene.received().is_empty());
    scene.deliver_foreign([203]);
    assert_eq!(scene.received().len(), 201);
    assert!(scene.answer(1) && scene.answer(101));
    scene.deliver_foreign([204]);
    assert_eq!(scene.received(), ["answer 1", "answer 101", "204"]);
}

#[tokio::test]
async fn a_chat_of_which_much_is_held_waits_for_the_answer() {
    let scene = Scene::with_room_for(400, AnswerPlace::Instead);
    let other = ChatId::new(NOW);
    let next = |seq| [scene.message(seq, None)];
    scene.deliver_own(1);
    scene.deliver_foreign(2..=51);
    assert!(!scene.sender.is_crowded(scene.chat));
    assert_eq!(scene.hub.deliver(scene.chat, &next(52)).len(), 1);
    assert_eq!(scene.hub.crowded(scene.chat).len(), 1);
    assert!(!scene.sender.is_crowded(other), "no other chat waits");
    let waits = scene.sender.eased(scene.chat);
    let answers = async { assert!(scene.answer(1)) };
    tokio::join!(waits, answers);
    assert!(scene.hub.crowded(scene.chat).is_empty());
    assert_eq!(scene.received().len(), 52);
}

#[test]
fn an_answer_that_is_left_out_holds_back_nothing_after_the_next() {
    let scene = Scene::new();
    scene.deliver_own(1);
    scene.deliver_foreign([2]);
    scene.deliver_own(3);
    scene.deliver_foreign([4]);
    assert!(scene.answer(3));
    assert_eq!(scene.received(), ["2", "answer 3", "4"]);
}

#[test]
fn a_connection_that_does_not_keep_up_is_closed_by_what_is_released() {
    let scene = Scene::with_room_for(3, AnswerPlace::Instead);
    scene.deliver_own(1);
    scene.deliver_foreign(2..=9);
    assert!(scene.answer(1));
    assert_eq!(scene.sender.outbox.closed(), Some(CloseReason::Lagging));
    scene.deliver_foreign([10]);
    assert!(!scene.sender.is_in(scene.chat), "and leaves the hub");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_waits_is_woken_by_what_it_waits_for() {
    let scene = Scene::new();
    assert!(!scene.answer(3));
    let turn = scene.sender.turn();
    let deliver = async {
        scene.deliver_foreign([1]);
        tokio::task::yield_now().await;
        scene.deliver_foreign([2]);
    };
    tokio::join!(turn, deliver);
    assert!(scene.answer(3));
    assert!(!scene.answer(5));
    let left = membership(scene.chat, scene.user, 3);
    let notice = notice(Fact::MemberLeft(Arc::clone(&left)));
    scene.hub.member_left(&left, &notice);
    scene.sender.turn().await;
    assert!(scene.answer(5));
}
