//! Answers on connections that do not receive a chat, or not yet.
//! Does not deliver them: `super` does.

use super::*;

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
