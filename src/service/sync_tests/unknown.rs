//! Chats that are not known yet: they are looked up together.
//! Does not test what is missed of them.

use super::*;
use crate::model::ChatPk;

/// How many chats a request names.
const MANY: usize = 1000;

async fn none_of(scene: &Scene, named: Vec<ChatRef>) {
    let chats = named.into_iter().map(|chat| (chat, 0)).collect();
    let missed = scene.sync(chats, HashMap::new(), PageBudget::RESPONSE);
    assert_eq!(missed.await.expect("an answer"), vec![None; MANY]);
}

#[tokio::test]
async fn a_thousand_chats_that_do_not_exist_are_one_read() {
    let scene = Scene::set().await;
    let ids = (0..MANY).map(|_| ChatRef::Id(ChatId::new(NOW)));
    reads(&scene);
    none_of(&scene, ids.collect()).await;
    assert_eq!(reads(&scene), calls([("rights_of", 1)]));
    let pks = (1..)
        .take(MANY)
        .map(|pk: ChatPk| ChatRef::Pk(1_000_000 + pk));
    none_of(&scene, pks.collect()).await;
    assert_eq!(reads(&scene), calls([("chat_ids", 1)]));
}

#[tokio::test]
async fn a_thousand_chats_of_others_are_two_reads() {
    let scene = Scene::set().await;
    let boris = user(&*scene.store, "boris").await;
    let mut named = Vec::new();
    for _ in 0..MANY {
        let chat = scene.chat(Policy::Closed, &[boris.id], &[]).await;
        let found = scene.store.chat(chat).await.expect("an answer");
        named.push(ChatRef::Pk(found.expect("a chat").pk));
    }
    reads(&scene);
    none_of(&scene, named.clone()).await;
    assert_eq!(reads(&scene), calls([("chat_ids", 1), ("rights_of", 1)]));
    none_of(&scene, named).await;
    assert_eq!(reads(&scene), calls([]));
}

#[tokio::test]
async fn known_and_unknown_ones_keep_their_order() {
    let scene = Scene::set().await;
    let boris = user(&*scene.store, "boris").await;
    let (own, open) = (
        scene.chat_with(2).await,
        scene
            .chat(Policy::Open, &[boris.id], &["hello".into()])
            .await,
    );
    let closed = scene.chat(Policy::Closed, &[boris.id], &[]).await;
    let nowhere = ChatId::new(NOW);
    let named = [own, nowhere, open, closed, nowhere, own];
    for _ in 0..2 {
        let chats = named.map(|chat| (chat, 0));
        let missed = scene.missed(&chats, PageBudget::RESPONSE).await;
        let found = missed.into_iter().map(|missed| {
            let missed = missed?;
            Some((missed.chat, missed.head))
        });
        let (own, open) = (Some((own, 2)), Some((open, 1)));
        let expected = [own, None, open, None, None, own];
        assert_eq!(found.collect::<Vec<_>>(), expected);
    }
    // A removal counts at once, whatever was cached.
    let leave = Command::LeaveChat {
        chat: ChatRef::Id(own),
    };
    let left = scene.service.execute(&self::own(&scene.anna), leave).await;
    left.expect("left");
    let chats = [(own, 0), (open, 0)];
    let missed = scene.missed(&chats, PageBudget::RESPONSE).await;
    let found = missed.into_iter().map(|missed| missed.is_some());
    assert_eq!(found.collect::<Vec<_>>(), [false, true]);
}
