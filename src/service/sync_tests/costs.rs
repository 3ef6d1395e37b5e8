//! The reads of the store that `sync` costs.
//! Does not test what it answers otherwise.

use super::*;

#[tokio::test]
async fn a_crowd_that_comes_back_reads_the_store_once() {
    let scene = Scene::set().await;
    let chat = scene.chat_with(1000).await;
    scene.connect().await;
    let clients = (0..200).map(|client| {
        let chats = vec![(ChatRef::Id(chat), client)];
        let until = HashMap::from([(chat, 999 - client % 3)]);
        scene.sync(chats, until, PageBudget::RESPONSE)
    });
    for (client, answer) in (0..).zip(join_all(clients).await) {
        let missed = answer.expect("an answer").pop().flatten().expect("a chat");
        let until = 999 - client % 3;
        assert_eq!(missed.head, until);
        assert_eq!(numbers(&missed), (client + 1..=until).collect::<Vec<_>>());
    }
    let reads = reads(&scene);
    assert_eq!(reads, calls([("rights_of", 1), ("messages", 4)]));
}

#[tokio::test]
async fn a_client_of_many_chats_looks_into_each_once_and_the_next_one_into_none() {
    let scene = Scene::set().await;
    let mut chats = Vec::new();
    for _ in 0..300 {
        chats.push((scene.chat_with(2).await, 1));
    }
    scene.connect().await;
    for part in scene.missed(&chats, PageBudget::RESPONSE).await {
        assert_eq!(numbers(&part.expect("a chat")), [2]);
    }
    let expected = calls([("heads", 1), ("messages", 300), ("rights_of", 1)]);
    assert_eq!(reads(&scene), expected);
    for part in scene.missed(&chats, PageBudget::RESPONSE).await {
        assert_eq!(numbers(&part.expect("a chat")), [2]);
    }
    assert_eq!(reads(&scene), calls([("heads", 1)]));
}

#[tokio::test]
async fn who_has_missed_nothing_costs_no_message() {
    let scene = Scene::set().await;
    let chat = scene.chat_with(10).await;
    scene.connect().await;
    let missed = scene.ask_one(chat, 10).await;
    assert_eq!((numbers(&missed), missed.has_more), (vec![], false));
    assert_eq!(reads(&scene), calls([("rights_of", 1), ("heads", 1)]));
}
