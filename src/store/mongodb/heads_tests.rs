//! The cache of heads, with several nodes on one database.
//! Does not repeat the contract, which tests the lists of one node.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use mongodb::bson::{Document, doc};

use super::append_tests::named;
use super::documents::{CHATS, MEMBERS, MESSAGES};
use super::replica_set::Scratch;
use crate::model::{
    Chat, ChatId, EventChat, EventChatState, EventDetails, NewEvent, NewEventChat, NewPk, Seq, User,
};
use crate::store::contract::{Subject, at, chat, entry, user};

async fn heads(store: &Subject, chats: &[ChatId]) -> Vec<Seq> {
    store.heads(chats).await.expect("heads")
}

async fn send(store: &Subject, chat: ChatId, sender: &User, times: i64) {
    let batch = (1..=times).map(|now| entry(chat, sender, "hello", now));
    let sent = store.append(batch.collect()).await.expect("stored");
    assert!(sent.iter().all(Option::is_some), "{sent:?}");
}

async fn event_chat(store: &Subject, owner: &User, guest: &User) -> EventChat {
    let new = NewEvent {
        pk: NewPk::default(),
        owner: owner.id,
        details: EventDetails::default(),
        key: None,
        at: at(0),
        audit: None,
    };
    let event = store.create_event(new).await.expect("an event");
    let new = NewEventChat {
        pk: NewPk::default(),
        external_id: None,
        id: ChatId::new(at(0)),
        event: event.pk,
        guest: guest.id,
        at: at(0),
        audit: None,
    };
    let opened = store.open_event_chat(new).await.expect("an answer");
    opened.expect("an event").1
}

/// How many commands of this name a node sends to this collection during a call.
async fn commands<T>(
    scratch: &Scratch,
    (name, collection): (&str, &str),
    call: impl Future<Output = T>,
) -> (u64, T) {
    let database = scratch.database().await;
    let profile = async |level: i32| {
        let set = database.run_command(doc! { "profile": level }).await;
        set.expect("a profile");
    };
    profile(2).await;
    let answer = call.await;
    profile(0).await;
    let profile = database.collection::<Document>("system.profile");
    let these = doc! { format!("command.{name}"): collection };
    let count = profile.count_documents(these).await.expect("a number");
    profile.drop().await.expect("dropped");
    (count, answer)
}

#[tokio::test]
async fn an_end_that_another_node_has_moved_is_found() {
    let scratch = Scratch::new();
    let (one, two) = (scratch.node().await, scratch.node().await);
    let (anna, boris) = (user(&one, "anna").await, user(&one, "boris").await);
    let event_chat = event_chat(&one, &anna, &boris).await.chat;
    let some = chat(&one, &[&anna], 0).await.id;
    let none = chat(&one, &[&anna], 0).await.id;
    let chats = [some, none, event_chat, ChatId::new(at(0))];
    let mut expected = [0, 0, 0, 0];
    // Neither further, and by one and by more, on this node and on the other.
    for (node, to_some, to_event_chat) in [
        (&two, 3, 0),
        (&two, 1, 1),
        (&one, 2, 1),
        (&one, 0, 7),
        (&two, 70, 0),
        (&two, 0, 0),
    ] {
        send(node, some, &anna, to_some).await;
        send(node, event_chat, &boris, to_event_chat).await;
        expected[0] += to_some;
        expected[2] += to_event_chat;
        for node in [&one, &two] {
            assert_eq!(heads(node, &chats).await, expected);
            let page = node.chats_of(anna.id, None, 9).await.expect("a page");
            let mut listed: Vec<_> = page.chats.iter().map(|chat| (chat.id, chat.head)).collect();
            listed.sort_unstable_by_key(|(chat, _)| chats.iter().position(|known| known == chat));
            let expected = [some, none, event_chat].into_iter().zip(expected);
            assert_eq!(listed, expected.collect::<Vec<_>>());
        }
    }
    let page = one.chats_of(anna.id, None, 1).await.expect("a page");
    let latest: Vec<_> = page.chats.iter().map(|chat| (chat.id, chat.head)).collect();
    assert_eq!(
        latest,
        [(some, 76)],
        "the one with the latest message is first"
    );
}

#[tokio::test]
async fn a_read_during_appends_returns_all_that_was_stored_before() {
    const MESSAGES_EACH: i64 = 150;
    let scratch = Scratch::new();
    let nodes = [scratch.node().await, scratch.node().await];
    let anna = user(&nodes[0], "anna").await;
    let chats = [
        chat(&nodes[0], &[&anna], 0).await.id,
        chat(&nodes[0], &[&anna], 0).await.id,
    ];
    let stored = Arc::new([AtomicI64::new(0), AtomicI64::new(0)]);
    let write = async |node: &Subject, chat: usize| {
        for _ in 0..MESSAGES_EACH {
            send(node, chats[chat], &anna, 1).await;
            stored[chat].fetch_add(1, Ordering::SeqCst);
        }
    };
    let look = async |node: &Subject| {
        let mut before = vec![0, 0];
        while before != [2 * MESSAGES_EACH, 2 * MESSAGES_EACH] {
            let stored = [0, 1].map(|chat: usize| stored[chat].load(Ordering::SeqCst));
            let seen = heads(node, &chats).await;
            for (index, head) in seen.iter().enumerate() {
                assert!(*head >= before[index].max(stored[index]), "{seen:?}");
            }
            before = seen;
        }
    };
    tokio::join!(
        write(&nodes[0], 0),
        write(&nodes[1], 0),
        write(&nodes[0], 1),
        write(&nodes[1], 1),
        look(&nodes[0]),
        look(&nodes[1]),
    );
}

#[tokio::test]
async fn a_chat_that_another_node_has_deleted_ends_nowhere() {
    let scratch = Scratch::new();
    let (one, two) = (scratch.node().await, scratch.node().await);
    let anna = user(&one, "anna").await;
    let (gone, kept) = (
        chat(&one, &[&anna], 0).await.id,
        chat(&one, &[&anna], 0).await.id,
    );
    for chat in [gone, kept] {
        send(&one, chat, &anna, 2).await;
    }
    assert_eq!(heads(&two, &[gone, kept]).await, [2, 2]);
    assert!(one.delete_chat(gone, None).await.expect("an answer"));
    for node in [&one, &two] {
        assert_eq!(heads(node, &[gone, kept]).await, [0, 2]);
        assert_eq!(
            node.memberships_of(anna.id).await.expect("memberships"),
            [(kept, 0)]
        );
    }
    // Messages are missing in a chat that exists: it is being restored from a copy.
    let database = scratch.database().await;
    let messages = database.collection::<Document>(MESSAGES);
    let last = doc! { "_id.chat": kept, "_id.seq": 2_i64 };
    messages.delete_one(last).await.expect("deleted");
    assert_eq!(heads(&two, &[kept]).await, [1]);
    let all = doc! { "_id.chat": kept };
    messages.delete_many(all).await.expect("deleted");
    assert_eq!(heads(&two, &[kept]).await, [0]);
    assert_eq!(heads(&two, &[kept]).await, [0]);
}

#[tokio::test]
async fn what_was_written_on_any_node_counts_as_read_by_its_writer() {
    let scratch = Scratch::new();
    let (one, two) = (scratch.node().await, scratch.node().await);
    let (anna, boris) = (user(&one, "anna").await, user(&one, "boris").await);
    let event_chat = event_chat(&one, &anna, &boris).await;
    let state = async |node: &Subject| -> EventChatState {
        let found = node.event_chats_of(boris.id, 9).await.expect("chats");
        assert_eq!(found.len(), 1);
        found[0].state
    };
    let (mut head, mut owner_read, mut guest_read) = (0, 0, 0);
    for (node, sender, times) in [
        (&one, &boris, 1),
        (&one, &boris, 2),
        (&two, &boris, 1),
        (&two, &anna, 1),
        (&one, &anna, 3),
        (&two, &boris, 2),
        (&one, &anna, 1),
    ] {
        send(node, event_chat.chat, sender, times).await;
        head += times;
        if sender.id == anna.id {
            owner_read = head;
        } else {
            guest_read = head;
        }
        for node in [&one, &two, &one] {
            let state = state(node).await;
            let actual = (state.head, state.owner_read, state.guest_read);
            assert_eq!(actual, (head, owner_read, guest_read));
        }
    }
    let read = two.advance_read(event_chat.chat, boris.id, head).await;
    assert_eq!(read.expect("an answer"), Some(true));
    assert_eq!(state(&one).await.guest_read, head);
}

#[tokio::test]
async fn what_was_seen_once_is_not_looked_up_chat_by_chat_again() {
    let scratch = Scratch::new();
    let (one, two) = (scratch.node().await, scratch.node().await);
    let (anna, boris) = (user(&one, "anna").await, user(&one, "boris").await);
    let mut chats: Vec<Chat> = Vec::new();
    for now in 0..5 {
        chats.push(chat(&one, &[&anna, &boris], now).await);
    }
    let event_chat = event_chat(&one, &anna, &boris).await.chat;
    for chat in [chats[0].id, chats[1].id, event_chat] {
        send(&one, chat, &anna, 2).await;
    }
    let looked_up = async |node: &Subject| {
        let page = node.chats_of(anna.id, None, 9);
        let (heads, page) = commands(&scratch, ("aggregate", CHATS), page).await;
        let call = node.event_chats_of(anna.id, 9);
        let (reads, event_chats) = commands(&scratch, ("aggregate", MEMBERS), call).await;
        assert_eq!(page.expect("a page").chats.len(), 6);
        assert_eq!(event_chats.expect("chats").len(), 1);
        (heads, reads)
    };
    assert_eq!(looked_up(&two).await, (1, 1), "nothing is known yet");
    assert_eq!(looked_up(&two).await, (0, 0), "everything is");
    send(&two, event_chat, &boris, 3).await;
    let named = named(chats[2].id, &boris, "once");
    two.append(vec![named]).await.expect("stored");
    assert_eq!(looked_up(&two).await, (0, 0), "it has moved without a read");
    send(&one, event_chat, &boris, 1).await;
    assert_eq!(
        looked_up(&two).await,
        (1, 1),
        "the other node has moved one"
    );
    assert_eq!(looked_up(&two).await, (0, 0));
}

#[tokio::test]
async fn one_chat_or_two_take_one_query_each_wherever_they_end() {
    let scratch = Scratch::new();
    let (one, two) = (scratch.node().await, scratch.node().await);
    let anna = user(&one, "anna").await;
    let mut chats = Vec::new();
    for now in 0..3 {
        chats.push(chat(&one, &[&anna], now).await.id);
    }
    for (times, head) in [(0, 0), (2, 2), (0, 2), (1, 3)] {
        send(&two, chats[0], &anna, times).await;
        send(&two, chats[1], &anna, times).await;
        for count in [1, 2] {
            let call = heads(&one, &chats[..count]);
            let (queries, found) = commands(&scratch, ("find", MESSAGES), call).await;
            assert_eq!(found, vec![head; count]);
            assert_eq!(queries, count as u64);
        }
    }
    // More than two are verified together.
    heads(&one, &chats).await;
    let call = heads(&one, &chats);
    let (queries, found) = commands(&scratch, ("find", MESSAGES), call).await;
    assert_eq!((queries, found), (1, vec![3, 3, 0]));
}

#[tokio::test]
async fn after_messages_are_gone_a_node_that_has_read_them_leaves_no_hole() {
    let scratch = Scratch::new();
    let (one, two) = (scratch.node().await, scratch.node().await);
    let anna = user(&one, "anna").await;
    let mut chats = Vec::new();
    for now in 0..3 {
        chats.push(chat(&one, &[&anna], now).await.id);
        send(&one, chats[chats.len() - 1], &anna, 3).await;
    }
    assert_eq!(heads(&two, &chats).await, [3, 3, 3]);
    let database = scratch.database().await;
    let messages = database.collection::<Document>(MESSAGES);
    let last = doc! { "_id.seq": { "$gt": 1_i64 } };
    messages.delete_many(last).await.expect("deleted");
    // One that only one node has read, and others that both find gone.
    send(&two, chats[0], &anna, 1).await;
    assert_eq!(heads(&two, &chats).await, [2, 1, 1]);
    assert_eq!(heads(&one, &chats).await, [2, 1, 1]);
    for node in [&one, &two] {
        for chat in &chats {
            send(node, *chat, &anna, 1).await;
        }
    }
    assert_eq!(heads(&one, &chats).await, [4, 3, 3]);
    for (chat, head) in chats.iter().zip([4, 3, 3]) {
        let stored = super::append_tests::all(&one, *chat).await;
        let stored = super::append_tests::seqs(&stored);
        assert_eq!(stored, (1..=head).collect::<Vec<_>>());
    }
}
