//! The promises of `Chats`.
//! It refuses to know which store it is looking at.

use super::*;
use crate::model::ChatPage;
use crate::store::StoreError;

async fn page(store: &Subject, user: &User, limit: usize) -> ChatPage {
    let page = store.chats_of(user.id, None, limit).await;
    page.expect("a page")
}

fn ids(page: &ChatPage) -> Vec<ChatId> {
    page.chats.iter().map(|chat| chat.id).collect()
}

pub async fn a_new_chat_gets_the_next_pk_and_keeps_the_order_of_its_members(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let first = chat(&store, &[&boris, &anna], 1).await;
    let second = chat(&store, &[&anna], 2).await;
    assert_eq!((first.pk, second.pk), (1, 2));
    assert_eq!(first.members, [boris.id, anna.id]);
    assert_eq!((first.head, first.active_at), (0, at(1)));
    assert_eq!(store.chat(first.id).await.expect("an answer"), Some(first));
}

pub async fn a_taken_id_is_a_duplicate_and_changes_nothing(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let first = chat(&store, &[&anna], 1).await;
    let again = NewChat {
        id: first.id,
        ..new_chat(&[&boris], 2)
    };
    let refused = store.create_chat(again).await;
    assert!(matches!(refused, Err(StoreError::Duplicate)), "{refused:?}");
    assert_eq!(store.chat(first.id).await.expect("an answer"), Some(first));
    assert!(page(&store, &boris, 10).await.chats.is_empty());
}

pub async fn with_a_member_who_is_no_user_nothing_is_created(store: Subject) {
    let anna = user(&store, "anna").await;
    let mut new = new_chat(&[&anna], 1);
    new.members.push(UserId::new(at(9)));
    let id = new.id;
    let refused = store.create_chat(new).await;
    assert!(
        matches!(refused, Err(StoreError::Corrupt(_))),
        "{refused:?}"
    );
    assert_eq!(store.chat(id).await.expect("an answer"), None);
    assert!(page(&store, &anna, 10).await.chats.is_empty());
}

pub async fn an_unknown_chat_is_none(store: Subject) {
    let found = store.chat(ChatId::new(at(0))).await.expect("an answer");
    assert_eq!(found, None);
}

pub async fn chats_come_with_the_most_recently_active_first(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let old = chat(&store, &[&anna], 1).await;
    let new = chat(&store, &[&anna, &boris], 2).await;
    chat(&store, &[&boris], 3).await;
    assert_eq!(ids(&page(&store, &anna, 10).await), [new.id, old.id]);
    let batch = vec![entry(old.id, &anna, "hello", 4)];
    store.append(batch).await.expect("stored");
    let page = page(&store, &anna, 10).await;
    assert_eq!(ids(&page), [old.id, new.id]);
    assert_eq!((page.chats[0].head, page.next), (1, None));
    assert_eq!(page.chats[1].members, [anna.id, boris.id]);
}

pub async fn pages_of_chats_go_on_where_the_last_one_ended(store: Subject) {
    let anna = user(&store, "anna").await;
    let mut all = Vec::new();
    for number in 0..7 {
        // Two at a time are equally active.
        all.push(chat(&store, &[&anna], number / 2).await.id);
    }
    all.reverse();
    let (mut seen, mut before) = (Vec::new(), None);
    for _ in 0..4 {
        let page = store.chats_of(anna.id, before, 2).await.expect("a page");
        seen.extend(ids(&page));
        before = page.next;
    }
    assert_eq!(seen, all);
    assert_eq!(before, None);
}

pub async fn a_user_in_no_chat_has_an_empty_page(store: Subject) {
    let anna = user(&store, "anna").await;
    chat(&store, &[&anna], 1).await;
    let boris = user(&store, "boris").await;
    let empty = ChatPage {
        chats: Vec::new(),
        next: None,
    };
    assert_eq!(page(&store, &boris, 10).await, empty);
    let nobody = store.chats_of(UserId::new(at(9)), None, 10).await;
    assert_eq!(nobody.expect("a page"), empty);
}

pub async fn seats_tell_every_chat_and_its_latest_number(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let quiet = chat(&store, &[&anna], 1).await;
    let busy = chat(&store, &[&anna, &boris], 2).await;
    let batch = (0..3).map(|number| entry(busy.id, &boris, "hello", number));
    store.append(batch.collect()).await.expect("stored");
    let mut seats = store.seats_of(anna.id).await.expect("seats");
    seats.sort();
    assert_eq!(seats, [(quiet.id, 0), (busy.id, 3)]);
    assert_eq!(store.seats_of(UserId::new(at(9))).await.expect("seats"), []);
}
