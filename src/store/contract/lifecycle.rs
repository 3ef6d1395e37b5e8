//! The promises of `Store` itself.
//! Does not know which store is under test.

use super::*;
use crate::store::StoreError;
use crate::store::transfer::Unfinished;

pub async fn an_open_store_answers_a_ping(store: Subject) {
    store.ping().await.expect("an answer");
}

pub async fn a_closed_store_is_unavailable(store: Subject) {
    let anna = user(&store, "anna").await;
    store.close().await.expect("closed");
    let answers = [
        store.ping().await,
        store.user(anna.id).await.map(drop),
        store.append(Vec::new()).await.map(drop),
    ];
    for answer in answers {
        assert!(
            matches!(answer, Err(StoreError::Unavailable(_))),
            "{answer:?}"
        );
    }
}

pub async fn an_open_store_lacks_no_index(store: Subject) {
    let missing = store.missing_indexes().await.expect("an answer");
    assert!(missing.is_empty(), "{missing:?}");
}

pub async fn the_totals_count_what_is_there(store: Subject) {
    let nothing = store.totals().await.expect("totals");
    assert_eq!((nothing.users, nothing.chats, nothing.messages), (0, 0, 0));
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let talk = chat(&store, &[&anna, &boris], 1).await;
    let gone = chat(&store, &[&anna], 2).await;
    let batch = (0..3).map(|_| entry(talk.id, &anna, "text", 3));
    store.append(batch.collect()).await.expect("stored");
    let deleted = store.delete_chat(gone.id, None).await;
    assert!(deleted.expect("an answer"));
    let totals = store.totals().await.expect("totals");
    assert_eq!((totals.users, totals.chats, totals.messages), (2, 1, 3));
}

pub async fn a_migration_again_changes_nothing(store: Subject) {
    let anna = user(&store, "anna").await;
    let migrated = store.migrate(Unfinished::Refused).await;
    migrated.expect("of the newest version");
    assert!(store.is_current().await.expect("an answer"));
    let found = store.user(anna.id).await.expect("an answer");
    assert_eq!(found, Some(anna));
    an_open_store_lacks_no_index(store).await;
}
