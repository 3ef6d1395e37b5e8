//! Answers on connections that do not receive a chat, or not yet.
//! Does not deliver them: `super` does.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

/// Subscribes to messages later; answers are beside them from then on.
struct Late(ConnectionId, Arc<AtomicBool>);

impl Subscriber for Late {
    fn encode(&self, notice: &Notice, shared: &mut SharedEncoding, sink: &mut dyn FnMut(Outgoing)) {
        if self.1.load(Ordering::Acquire) {
            Sender(self.0, AnswerPlace::Beside).encode(notice, shared, sink);
        }
    }

    fn answer_place(&self, _: ChatId) -> AnswerPlace {
        if self.1.load(Ordering::Acquire) {
            AnswerPlace::Beside
        } else {
            AnswerPlace::NotYet
        }
    }
}

#[test]
fn a_message_that_was_answered_before_its_chat_is_subscribed_to_holds_nothing_back() {
    for is_delivered in [false, true] {
        let subscribed = Arc::new(AtomicBool::new(false));
        let scene = Scene::of(1000, |id| Arc::new(Late(id, Arc::clone(&subscribed))));
        scene.deliver_foreign([1]);
        if is_delivered {
            scene.deliver_own(2);
        }
        assert!(scene.answer(2));
        subscribed.store(true, Ordering::Release);
        if !is_delivered {
            scene.deliver_own(2);
        }
        scene.deliver_foreign([3]);
        scene.deliver_own(4);
        scene.deliver_foreign([5]);
        assert!(scene.answer(4));
        let expected = ["answer 2", "2", "3", "4", "answer 4", "5"];
        let mut received = scene.received();
        if is_delivered {
            // Before the subscription.
            received.insert(1, "2".to_owned());
        }
        assert_eq!(received, expected);
    }
}

#[test]
fn one_that_does_not_receive_a_chat_is_answered_at_once() {
    let scene = Scene::new();
    let message = Message {
        chat: ChatId::new(NOW),
        sender: Arc::new(somebody(user())),
        ..scene.sent(3)
    };
    // A service that acts for another user.
    let mut frames = vec![answer(3)];
    assert!(scene.hub.answer(&scene.sender, &message, &mut frames));
    assert_eq!(scene.received(), ["answer 3"]);
    scene.hub.leave(&scene.sender);
    assert!(scene.answer(7), "the connection has ended");
}

#[tokio::test]
async fn one_whose_user_has_just_become_a_member_waits_until_the_hub_knows() {
    let scene = Scene::new();
    let chat = ChatId::new(NOW);
    assert!(!scene.answer_in(chat, 2));
    scene.hub.join(&scene.sender, [chat]);
    scene.sender.turn().await;
    assert!(!scene.answer_in(chat, 2), "not open yet");
    scene.hub.open(chat, 0);
    scene.sender.turn().await;
    assert!(!scene.answer_in(chat, 2));
    deliver(&scene.hub, chat, [1]);
    scene.sender.turn().await;
    assert!(scene.answer_in(chat, 2));
    assert_eq!(scene.received(), ["1", "answer 2"]);
}
