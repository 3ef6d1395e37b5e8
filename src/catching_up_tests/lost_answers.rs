//! Chats that the store has created or deleted although its answer was lost: every connected member
//! learns of it.
//! Does not know any transport.

use std::time::Duration;

use super::connecting::{assert_received, connect, connect_with};
use super::node::Node;
use super::removals::answer_lost;
use super::*;
use crate::fixtures::HOST;
use crate::hub::Lookup;
use crate::model::{ChatChoice, Draft, EventDetails, EventPk, UserId};

/// The next frame about this chat. Notices of the node's other chats may still be on the way.
async fn next(connection: &Connection, chat: ChatId) -> String {
    let chat = chat.to_string();
    loop {
        let next = tokio::time::timeout(Duration::from_secs(10), connection.outbox().next());
        let frame = next.await.expect("in time").expect("open");
        if frame.body.as_str().starts_with(&chat) {
            return frame.body.as_str().to_owned();
        }
    }
}

/// The chat of this user that the node does not know yet.
async fn new_chat(node: &Node, user: UserId) -> ChatId {
    let chats = node.store.memberships_of(user).await.expect("chats");
    let mut chats = chats.into_iter().map(|(chat, _)| chat);
    let new = chats.find(|chat| !node.chats.contains(chat));
    new.expect("it is stored")
}

async fn execute(node: &Node, command: Command) -> Reply {
    let done = node.state.service.execute(&HOST, command).await;
    done.expect("the host may")
}

/// An event of Boris.
async fn event(node: &Node) -> EventPk {
    let create = Command::CreateEvent {
        pk: None,
        owner: node.boris.into(),
        details: EventDetails {
            name: "Picnic".to_owned(),
            ..EventDetails::default()
        },
        key: None,
    };
    match execute(node, create).await {
        Reply::Event(event) => event.pk,
        other => panic!("{other:?}"),
    }
}

fn open(node: &Node, event: EventPk) -> Command {
    Command::OpenEventChat {
        chosen: ChatChoice::default(),
        user: Some(node.anna),
        event,
    }
}

#[tokio::test]
async fn a_deleted_chat_is_gone_for_its_members() {
    let node = Node::open().await;
    let chat = node.chats[0];
    let pk = node
        .store
        .chat(chat)
        .await
        .expect("read")
        .expect("a chat")
        .pk;
    let annas = connect_with(&node, node.anna, Delivery::OfChats).await;
    let deletion = Command::DeleteChat {
        chat: ChatRef::Id(chat),
    };
    answer_lost(&node, "delete_chat", deletion).await;
    let mut received = next(&annas, chat).await;
    // The notice of its creation may have been on the way when the connection began.
    if received == format!("{chat} created") {
        received = next(&annas, chat).await;
    }
    assert_eq!(received, format!("{chat} deleted {pk}"));
    drop(annas);
    node.close().await;
}

#[tokio::test]
async fn a_chat_that_was_not_deleted_stays() {
    let mut node = Node::open().await;
    let (anna, chat) = (node.anna, node.chats[0]);
    let annas = connect(&node, anna).await;
    node.leave_messages(chat, 1).await;
    node.state.hub.look_up(chat, Lookup::Deletion(1));
    node.send(0, 1).await;
    assert_received(&mut node, &annas, chat, &[1, 2]).await;
    assert!(!node.state.hub.is_uncertain(chat));
    drop(annas);
    node.close().await;
}

#[tokio::test]
async fn the_chats_of_a_deleted_event_are_gone_for_both_sides() {
    let node = Node::open().await;
    let event = event(&node).await;
    let Reply::EventChat(opened) = execute(&node, open(&node, event)).await else {
        panic!("no chat")
    };
    let (chat, pk) = (opened.chat.chat, opened.chat.chat_pk);
    let annas = connect_with(&node, node.anna, Delivery::OfChats).await;
    let boris = connect_with(&node, node.boris, Delivery::OfChats).await;
    answer_lost(&node, "delete_event", Command::DeleteEvent { event }).await;
    for connection in [&annas, &boris] {
        let mut received = next(connection, chat).await;
        // Its first notices may have been on the way when the connection began.
        while ["created", "opened"]
            .map(|it| format!("{chat} {it}"))
            .contains(&received)
        {
            received = next(connection, chat).await;
        }
        assert_eq!(received, format!("{chat} deleted {pk}"));
    }
    drop((annas, boris));
    node.close().await;
}

#[tokio::test]
async fn an_opened_event_chat_is_there_for_both_sides() {
    // The first is the change itself, the other is read for its notice.
    for operation in ["open_event_chat", "chat"] {
        let node = Node::open().await;
        let event = event(&node).await;
        let annas = connect_with(&node, node.anna, Delivery::OfChats).await;
        let boris = connect_with(&node, node.boris, Delivery::OfChats).await;
        answer_lost(&node, operation, open(&node, event)).await;
        let chat = new_chat(&node, node.anna).await;
        assert_eq!(next(&annas, chat).await, format!("{chat} created"));
        assert_eq!(next(&annas, chat).await, format!("{chat} opened"));
        assert_eq!(next(&boris, chat).await, format!("{chat} created"));
        assert_eq!(next(&boris, chat).await, format!("{chat} opened"));
        // The request again opens no other, and notifies nobody.
        let Reply::EventChat(again) = execute(&node, open(&node, event)).await else {
            panic!("no chat")
        };
        assert_eq!((again.changed, again.chat.chat), (false, chat));
        let message = Command::SendMessage {
            user: Some(node.anna.into()),
            chat: ChatRef::Id(chat),
            draft: Draft::text("hello"),
        };
        execute(&node, message).await;
        for connection in [&annas, &boris] {
            assert_eq!(next(connection, chat).await, format!("{chat} 1"));
        }
        drop((annas, boris));
        node.close().await;
    }
}

#[tokio::test]
async fn a_created_chat_is_there_for_its_members() {
    let node = Node::open().await;
    let annas = connect_with(&node, node.anna, Delivery::OfChats).await;
    let create = Command::CreateChat {
        chosen: ChatChoice::default(),
        name: None,
        members: vec![node.anna.into(), node.boris.into()],
        key: None,
    };
    answer_lost(&node, "create_chat", create).await;
    let chat = new_chat(&node, node.anna).await;
    assert_eq!(next(&annas, chat).await, format!("{chat} created"));
    drop(annas);
    node.close().await;
}
