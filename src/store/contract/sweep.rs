//! The promises of `Sweeping`.
//! Does not know which store is under test.

use super::*;
use crate::model::{Fingerprint, History, IdempotencyKey, Range, Window};

/// More than are removed at a time.
const MESSAGES: usize = 1200;

const ALL: History = History {
    range: Range {
        after: None,
        before: None,
        from: None,
        to: None,
    },
    window: Window::Last(10),
};

pub async fn a_deleted_chat_is_emptied_in_pieces_and_never_seen_meanwhile(store: Subject) {
    let anna = user(&store, "anna").await;
    let key = || IdempotencyKey {
        name: "a key".into(),
        content: Fingerprint::of("content"),
    };
    let new = NewChat {
        key: Some(key()),
        ..new_chat(&[&anna], 1)
    };
    let gone = store.create_chat(new).await.expect("a chat");
    let batch = (0..MESSAGES).map(|_| entry(gone.id, &anna, "old", 2));
    store.append(batch.collect()).await.expect("stored");
    assert!(store.delete_chat(gone.id, None).await.expect("an answer"));

    let new = NewChat {
        key: Some(key()),
        ..new_chat(&[&anna], 3)
    };
    let kept = store.create_chat(new).await.expect("the key is free again");
    let mut sent = entry(kept.id, &anna, "new", 4);
    sent.draft.client_id = Some("a".into());
    store.append(vec![sent]).await.expect("stored");
    let mut pieces = 0;
    loop {
        assert_eq!(store.chat(gone.id).await.expect("an answer"), None);
        assert_eq!(store.chat_id(gone.pk).await.expect("an answer"), None);
        assert!(!store.delete_chat(gone.id, None).await.expect("an answer"));
        let all = store.chats_after(0, 10).await.expect("chats");
        let records = store.chat_records(0, 10).await.expect("records");
        assert_eq!(
            all.iter().map(|chat| chat.id).collect::<Vec<_>>(),
            [kept.id]
        );
        assert_eq!((records.len(), records[0].chat.id), (1, kept.id));
        let visible = store
            .visible_chats(anna.id, at(5), None, 10)
            .await
            .expect("chats");
        assert_eq!(visible.chats.len(), 1);
        let page = store.messages(gone.id, ALL).await.expect("a page");
        assert!(page.messages.is_empty());
        let page = store.messages(kept.id, ALL).await.expect("a page");
        assert_eq!(page.messages.len(), 1);
        if !store.sweep().await.expect("an answer") {
            break;
        }
        pieces += 1;
    }
    assert!(pieces >= 2, "{pieces} pieces");
    assert_eq!(chat(&store, &[], 6).await.pk, gone.pk + 2);
}

pub async fn without_a_deleted_chat_nothing_is_removed(store: Subject) {
    let anna = user(&store, "anna").await;
    let kept = chat(&store, &[&anna], 1).await;
    let batch = vec![entry(kept.id, &anna, "hello", 2)];
    store.append(batch).await.expect("stored");
    assert!(!store.sweep().await.expect("an answer"));
    let page = store.messages(kept.id, ALL).await.expect("a page");
    assert_eq!(page.messages.len(), 1);
}
