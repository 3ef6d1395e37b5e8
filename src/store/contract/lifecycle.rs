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

pub async fn a_migration_again_changes_nothing(store: Subject) {
    let anna = user(&store, "anna").await;
    let migrated = store.migrate(Unfinished::Refused).await;
    migrated.expect("of the newest version");
    let found = store.user(anna.id).await.expect("an answer");
    assert_eq!(found, Some(anna));
    an_open_store_lacks_no_index(store).await;
}
