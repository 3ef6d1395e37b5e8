//! Appends with several nodes on one database.
//! Does not repeat the contract, which tests one node.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
use mongodb::bson::{Document, doc};

use super::documents::{CHATS, DELETED, MEMBERS, MESSAGES, all_of};
use super::replica_set::Scratch;
use crate::model::{ChatId, History, Message, PendingMessage, Range, Sent, Seq, User, Window};
use crate::store::contract::{Subject, at, chat, entry, user};

async fn two_nodes(scratch: &Scratch) -> (Subject, Subject) {
    let one = scratch.node().await;
    (one, scratch.node().await)
}

pub(super) async fn all(store: &Subject, chat: ChatId) -> Vec<Message> {
    let history = History {
        range: Range::default(),
        window: Window::First(100_000),
    };
    let page = store.messages(chat, history).await.expect("a page");
    page.messages
}

pub(super) fn seqs(messages: &[Message]) -> Vec<Seq> {
    messages.iter().map(|message| message.seq).collect()
}

pub(super) fn named(chat: ChatId, sender: &User, client_id: &str) -> PendingMessage {
    let mut entry = entry(chat, sender, client_id, 1);
    entry.draft.client_id = Some(client_id.into());
    entry
}

/// Sends so many batches, one after the other; the answers.
async fn send(store: Subject, chat: ChatId, sender: User, name: &str, batches: usize) -> Vec<Sent> {
    let mut sent = Vec::new();
    for batch in 0..batches {
        let entries =
            (0..=batch % 7).map(|part| named(chat, &sender, &format!("{name}.{batch}.{part}")));
        let answers = store.append(entries.collect()).await.expect("stored");
        sent.extend(answers.into_iter().map(|sent| sent.expect("a chat")));
    }
    sent
}

#[tokio::test]
async fn two_nodes_at_full_speed_leave_no_hole_and_no_double() {
    let scratch = Scratch::new();
    let (one, two) = two_nodes(&scratch).await;
    let (anna, boris) = (user(&one, "anna").await, user(&one, "boris").await);
    let chat = chat(&one, &[&anna, &boris], 0).await.id;
    let (of_one, of_two, more_of_two) = tokio::join!(
        send(Arc::clone(&one), chat, anna.clone(), "a", 40),
        send(Arc::clone(&two), chat, boris.clone(), "b", 40),
        send(Arc::clone(&two), chat, boris.clone(), "c", 40),
    );
    let stored = all(&one, chat).await;
    let expected = Seq::try_from(stored.len()).expect("a number");
    assert_eq!(seqs(&stored), (1..=expected).collect::<Vec<_>>());
    let answers: Vec<_> = of_one.iter().chain(&of_two).chain(&more_of_two).collect();
    assert_eq!(answers.len(), stored.len());
    for answer in answers {
        assert!(matches!(answer, Sent::Stored(_)), "{answer:?}");
        let index = usize::try_from(answer.message().seq - 1).expect("an index");
        assert_eq!(**answer.message(), stored[index]);
    }
    // One sender's messages keep their order.
    for answers in [of_one, of_two, more_of_two] {
        assert!(answers.is_sorted_by_key(|sent| sent.message().seq));
    }
    assert!(stored.is_sorted_by_key(|message| message.created_at));
}

#[tokio::test]
async fn one_client_id_on_two_nodes_makes_one_message() {
    let scratch = Scratch::new();
    let (one, two) = two_nodes(&scratch).await;
    let anna = user(&one, "anna").await;
    let chat = chat(&one, &[&anna], 0).await.id;
    let names = ["a", "b", "c", "d", "e", "f"];
    let sends = [&one, &two, &one, &two].map(|store| {
        let batch = names.map(|name| named(chat, &anna, name)).to_vec();
        async move { store.append(batch).await.expect("stored") }
    });
    let answers = join_all(sends).await;
    let stored = all(&two, chat).await;
    assert_eq!(seqs(&stored), [1, 2, 3, 4, 5, 6]);
    let new = answers.iter().flatten().flatten();
    let new = new.filter(|sent| matches!(sent, Sent::Stored(_))).count();
    assert_eq!(new, names.len());
    for (index, answers) in answers
        .iter()
        .flat_map(|answers| answers.iter().enumerate())
    {
        let message = answers.as_ref().expect("a chat").message();
        assert_eq!(message.text, names[index]);
        let place = usize::try_from(message.seq - 1).expect("an index");
        assert_eq!(**message, stored[place]);
    }
}

#[tokio::test]
async fn a_repeated_client_id_is_found_behind_the_messages_of_another_node() {
    let scratch = Scratch::new();
    let (one, two) = two_nodes(&scratch).await;
    let anna = user(&one, "anna").await;
    let chat = chat(&one, &[&anna], 0).await.id;
    let batch = |names: &[&str]| names.iter().map(|name| named(chat, &anna, name)).collect();
    one.append(batch(&["a"])).await.expect("stored");
    two.append(batch(&["b", "c"])).await.expect("stored");
    // The first one violates both unique indexes, the others each of them in turn. A text may
    // look like the server's own.
    let odd = entry(chat, &anna, "E11000 index: key dup key: { key: 1 }", 1);
    let mut mixed: Vec<PendingMessage> = batch(&["b", "d", "a", "c", "e"]);
    mixed.insert(3, odd);
    let sent = one.append(mixed).await.expect("stored");
    let outcome = |sent: &Option<Sent>| match sent {
        Some(Sent::Stored(message)) => (true, message.seq),
        Some(Sent::Repeated(message)) => (false, message.seq),
        None => panic!("no chat"),
    };
    let expected = [
        (false, 2),
        (true, 4),
        (false, 1),
        (true, 5),
        (false, 3),
        (true, 6),
    ];
    assert_eq!(sent.iter().map(outcome).collect::<Vec<_>>(), expected);
    assert_eq!(seqs(&all(&two, chat).await), [1, 2, 3, 4, 5, 6]);
}

#[tokio::test]
async fn a_repeated_client_id_is_found_while_another_node_appends_all_the_time() {
    const ROUNDS: usize = 40;
    let scratch = Scratch::new();
    let (one, two) = two_nodes(&scratch).await;
    let anna = user(&one, "anna").await;
    let chat = chat(&one, &[&anna], 0).await.id;
    let names: Vec<_> = (0..ROUNDS).map(|round| format!("{round}")).collect();
    let batch: Vec<_> = names.iter().map(|name| named(chat, &anna, name)).collect();
    one.append(batch).await.expect("stored");
    let done = AtomicBool::new(false);
    let disturb = async {
        while !done.load(Ordering::Relaxed) {
            let noise = vec![entry(chat, &anna, "noise", 1)];
            two.append(noise).await.expect("stored");
        }
    };
    let repeat = async {
        for (name, seq) in names.iter().zip(1..) {
            let sent = one.append(vec![named(chat, &anna, name)]).await;
            let sent = sent.expect("an answer");
            let Some(Sent::Repeated(first)) = &sent[0] else {
                panic!("{sent:?}");
            };
            assert_eq!(first.seq, seq);
        }
        done.store(true, Ordering::Relaxed);
    };
    tokio::join!(disturb, repeat);
    let stored = all(&two, chat).await;
    let expected = Seq::try_from(stored.len()).expect("a number");
    assert_eq!(seqs(&stored), (1..=expected).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_batch_goes_on_where_others_have_appended_meanwhile() {
    let scratch = Scratch::new();
    let (one, two) = two_nodes(&scratch).await;
    let anna = user(&one, "anna").await;
    let (stale, fresh) = (
        chat(&one, &[&anna], 0).await.id,
        chat(&one, &[&anna], 0).await.id,
    );
    let at_time = |chat, now| entry(chat, &anna, "hello", now);
    one.append(vec![at_time(stale, 1), at_time(fresh, 1)])
        .await
        .expect("stored");
    two.append(vec![at_time(stale, 50), at_time(stale, 50)])
        .await
        .expect("stored");
    let batch = vec![
        at_time(fresh, 2),
        at_time(stale, 2),
        at_time(fresh, 3),
        at_time(stale, 60),
    ];
    let sent = one.append(batch).await.expect("stored");
    let sent = sent.iter().flatten().map(|sent| {
        let message = sent.message();
        (message.seq, message.created_at)
    });
    let expected = [(2, at(2)), (4, at(50)), (3, at(3)), (5, at(60))];
    assert_eq!(sent.collect::<Vec<_>>(), expected);
    assert_eq!(seqs(&all(&two, stale).await), [1, 2, 3, 4, 5]);
    assert_eq!(seqs(&all(&two, fresh).await), [1, 2, 3]);
}

#[tokio::test]
async fn a_chat_that_another_node_has_deleted_takes_no_message() {
    let scratch = Scratch::new();
    let (one, two) = two_nodes(&scratch).await;
    let anna = user(&one, "anna").await;
    let (gone, kept) = (
        chat(&one, &[&anna], 0).await.id,
        chat(&one, &[&anna], 0).await.id,
    );
    let batch = || {
        [gone, kept]
            .map(|chat| entry(chat, &anna, "hello", 1))
            .to_vec()
    };
    one.append(batch()).await.expect("stored");
    assert!(two.delete_chat(gone, None).await.expect("an answer"));
    while two.sweep().await.expect("an answer") {}
    let sent = one.append(batch()).await.expect("stored");
    assert_eq!(sent[0], None);
    assert!(sent[1].is_some());
    let database = scratch.database().await;
    for (collection, expected) in [(MESSAGES, 2), (MEMBERS, 1), (DELETED, 1)] {
        let left = database.collection::<Document>(collection);
        let left = left.count_documents(doc! {}).await.expect("a number");
        assert_eq!(left, expected, "{collection}");
    }
}

#[tokio::test]
async fn what_a_deleted_chat_left_is_swept_at_the_next_start() {
    let scratch = Scratch::new();
    let store = scratch.node().await;
    let anna = user(&store, "anna").await;
    let chat = chat(&store, &[&anna], 0).await.id;
    store
        .append(vec![named(chat, &anna, "a")])
        .await
        .expect("stored");
    // As a node leaves it that ended right after the deletion.
    let database = scratch.database().await;
    let of = |name| database.collection::<Document>(name);
    of(DELETED)
        .insert_one(doc! { "_id": chat })
        .await
        .expect("stored");
    of(CHATS)
        .delete_one(doc! { "_id": chat })
        .await
        .expect("deleted");
    assert_eq!(
        store.memberships_of(anna.id).await.expect("memberships"),
        []
    );
    assert_eq!(store.reads(chat).await.expect("positions").of(anna.id), 0);
    assert!(all(&store, chat).await.is_empty());
    let next = scratch.node().await;
    while next.sweep().await.expect("an answer") {}
    for (name, expected) in [(MESSAGES, 0), (MEMBERS, 0), (DELETED, 0)] {
        let left = of(name).count_documents(doc! {}).await.expect("a number");
        assert_eq!(left, expected, "{name}");
    }
}

#[tokio::test]
async fn what_lands_after_the_sweep_is_swept_at_a_later_start() {
    let scratch = Scratch::new();
    let store = scratch.node().await;
    let anna = user(&store, "anna").await;
    let gone = chat(&store, &[&anna], 0).await.id;
    let kept = chat(&store, &[&anna], 0).await.id;
    let batch = vec![named(gone, &anna, "a"), named(kept, &anna, "b")];
    store.append(batch).await.expect("stored");
    let database = scratch.database().await;
    let of = |name| database.collection::<Document>(name);
    let landing = of(MESSAGES).find_one(all_of(gone)).await;
    let landing = landing.expect("an answer").expect("the message");
    assert!(store.delete_chat(gone, None).await.expect("an answer"));
    while store.sweep().await.expect("an answer") {}
    of(MESSAGES).insert_one(landing).await.expect("stored");
    assert!(all(&store, gone).await.is_empty());

    let next = scratch.node().await;
    while next.sweep().await.expect("an answer") {}
    let marks = of(DELETED).count_documents(doc! {}).await;
    assert_eq!(marks.expect("a number"), 1, "it is still watched");
    let long_ago = doc! { "$set": { "at": mongodb::bson::DateTime::from_millis(1) } };
    let aged = of(DELETED).update_one(doc! {}, long_ago).await;
    aged.expect("aged");
    let next = scratch.node().await;
    while next.sweep().await.expect("an answer") {}
    for (name, expected) in [(MESSAGES, 1), (MEMBERS, 1), (DELETED, 0)] {
        let left = of(name).count_documents(doc! {}).await.expect("a number");
        assert_eq!(left, expected, "{name}");
    }
}

#[tokio::test]
async fn two_nodes_give_out_every_number_once() {
    let scratch = Scratch::new();
    let (one, two) = two_nodes(&scratch).await;
    let names: Vec<_> = (0..20)
        .map(|number| format!("user {}", number / 2))
        .collect();
    let making = names.iter().zip([&one, &two].into_iter().cycle());
    let mut made: Vec<_> = join_all(making.map(|(name, store)| user(store, name))).await;
    made.sort_by_key(|user| user.pk);
    made.dedup();
    let pks: Vec<_> = made.iter().map(|user| user.pk).collect();
    assert_eq!(pks, (1..=10).collect::<Vec<_>>());
}
