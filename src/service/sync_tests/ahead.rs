//! Clients that know messages that the store does not have: it was restored from a backup.

use super::*;
use crate::model::{History, KnownId, KnownUpTo, Range, Window, pair};

async fn missed(scene: &Scene, known: KnownUpTo, chat: ChatId, until: Option<Seq>) -> Missed {
    let sync = Command::Sync {
        user: None,
        chats: vec![(ChatRef::Id(chat), known)],
        until: until.map(|until| (chat, until)).into_iter().collect(),
        budget: PageBudget::RESPONSE,
    };
    match scene.service.execute(&own(&scene.anna), sync).await {
        Ok(Reply::Synced(mut missed)) => missed.pop().flatten().expect("a chat"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_client_that_is_ahead_begins_anew() {
    let scene = Scene::set().await;
    let chat = scene.chat_with(8).await;
    for (seq, reset) in [(7, false), (8, false), (9, true), (i64::MAX, true)] {
        let missed = missed(&scene, seq.into(), chat, None).await;
        assert_eq!(missed.reset, reset, "{seq}");
        assert_eq!((missed.head, missed.has_more), (8, false));
        let first = if reset { 1 } else { seq + 1 };
        assert_eq!(numbers(&missed), (first..=8).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn it_begins_anew_up_to_where_messages_are_delivered_live() {
    let scene = Scene::set().await;
    let chat = scene.chat_with(8).await;
    let until = Some(5);
    let ahead = missed(&scene, 9.into(), chat, until).await;
    assert!(ahead.reset && !ahead.has_more);
    assert_eq!((numbers(&ahead), ahead.head), ((1..=5).collect(), 5));
    for seq in [5, 6, 8] {
        let live = missed(&scene, seq.into(), chat, until).await;
        assert!(!live.reset, "{seq}");
        assert_eq!((live.messages.len(), live.head), (0, 5), "{seq}");
    }
}

#[tokio::test]
async fn another_message_of_that_number_begins_anew() {
    let scene = Scene::set().await;
    let chat = scene.chat_with(300).await;
    let history = History {
        range: Range::default(),
        window: Window::First(300),
    };
    let all = scene.store.messages(chat, history).await.expect("messages");
    let message = |seq: usize| &all.messages[seq - 1];
    // First from the store, then from the cache.
    for _ in 0..2 {
        for seq in [1, 256, 257, 300] {
            let at = Seq::try_from(seq).expect("small");
            let own = KnownId::Id(message(seq).id);
            let number = pair(message(seq).chat_pk, at).map(KnownId::Pair);
            let other = KnownId::Id(message(7).id);
            for (id, reset) in [
                (Some(own), false),
                (number, false),
                (Some(other), true),
                (Some(KnownId::Pair(3_000_000)), true),
                (Some(KnownId::Other), true),
            ] {
                let missed = missed(&scene, KnownUpTo { seq: at, id }, chat, None).await;
                assert_eq!(missed.reset, reset, "{seq} {id:?}");
                let first = missed.messages.first().map(|message| message.seq);
                let next = (at < 300).then_some(at + 1);
                assert_eq!(first, if reset { Some(1) } else { next });
            }
        }
    }
    let none = KnownUpTo {
        seq: 0,
        id: Some(KnownId::Other),
    };
    assert!(missed(&scene, none, chat, None).await.reset, "no message 0");
    let empty = scene.chat_with(0).await;
    assert!(!missed(&scene, 0.into(), empty, None).await.reset);
}
