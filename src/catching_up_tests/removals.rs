//! Removals that overtake a request: whatever the store was answering when the removal was
//! acknowledged, the removed member receives nothing of the chat afterwards.
//! Does not know any transport.

use futures_util::future::join;

use super::connecting::{add, assert_received, connect, remove, synced};
use super::node::Node;
use super::*;
use crate::fixtures::HOST;
use crate::model::{
    ChatChoice, Draft, ErrorKind, Fingerprint, History, IdempotencyKey, MemberRole, Positions,
    Range, UserId, Window,
};

/// What Anna may request of a closed chat, each of which reads what was stored. A change of the chat
/// is in order with removals.
fn reads(chat: ChatId) -> [Command; 2] {
    let chat = ChatRef::Id(chat);
    [
        Command::ListMessages {
            user: None,
            chat: chat.clone(),
            history: History {
                range: Range::default(),
                window: Window::Last(10),
            },
            positions: Positions::Included,
        },
        Command::GetRoom { chat, messages: 10 },
    ]
}

fn message(user: Option<UserId>, chat: ChatId) -> Command {
    Command::SendMessage {
        user: user.map(Into::into),
        chat: ChatRef::Id(chat),
        draft: Draft::text("hello"),
    }
}

/// Runs a request while the first result of `operation` is held back until `overtaking` is done.
async fn overtaken<T>(
    node: &Node,
    operation: &'static str,
    request: impl Future<Output = T>,
    overtaking: impl Future<Output = ()>,
) -> T {
    let held = node.gate.hold(operation);
    let overtaking = async {
        held.answered().await;
        overtaking.await;
        held.release();
    };
    join(request, overtaking).await.0
}

#[tokio::test]
async fn a_read_that_a_removal_overtakes_is_refused() {
    // A result that is held back is followed by a further read or is the last one.
    let operations: [&[&str]; 2] = [&["messages"], &["chat", "users", "messages"]];
    for (index, operations) in operations.into_iter().enumerate() {
        for operation in operations {
            let mut node = Node::open().await;
            let (anna, chat) = (node.anna, node.chats[0]);
            // The member list is cached.
            node.send(0, 1).await;
            let connection = connect(&node, anna).await;
            let request = connection.begin(reads(chat)[index].clone());
            let overtaking = async {
                remove(&node, chat, anna).await;
                let sent = node
                    .state
                    .service
                    .execute(&HOST, message(Some(node.boris), chat));
                sent.await.expect("stored");
            };
            let begun = Box::pin(overtaken(&node, operation, request, overtaking)).await;
            let refused = begun.await.expect_err("the caller is no member");
            assert_eq!(refused.kind, ErrorKind::NotFound, "{operation} {index}");
            assert!(refused.to_string().contains(&chat.to_string()), "{refused}");
            drop(connection);
            node.close().await;
        }
    }
}

#[tokio::test]
async fn a_sync_that_a_removal_overtakes_leaves_the_chat_out() {
    let mut node = Node::open().await;
    let (anna, chat) = (node.anna, node.chats[0]);
    node.send(0, 2).await;
    let connection = connect(&node, anna).await;
    let request = synced(&connection, chat);
    let overtaking = remove(&node, chat, anna);
    let answer = Box::pin(overtaken(&node, "messages", request, overtaking)).await;
    assert_eq!(answer, None);
    drop(connection);
    node.close().await;
}

#[tokio::test]
async fn a_message_that_a_removal_overtakes_is_not_stored() {
    let mut node = Node::open().await;
    let (anna, chat) = (node.anna, node.chats[0]);
    let connection = connect(&node, anna).await;
    // Anna's message is judged and waits for the batch before it, and so does her removal.
    let begun = async {
        let boris = node
            .state
            .service
            .begin(&HOST, message(Some(node.boris), chat));
        let boris = boris.await;
        let (sent, annas) = join(boris, async {
            tokio::task::yield_now().await;
            let annas = connection.begin(message(None, chat)).await;
            join(annas, remove(&node, chat, anna)).await.0
        })
        .await;
        sent.expect("stored");
        annas
    };
    let annas = Box::pin(overtaken(&node, "append", begun, tokio::task::yield_now())).await;
    *node.heads.get_mut(&chat).expect("a chat") += 1;
    if let Ok(stored) = &annas {
        // Then it was stored before the removal, and is the last of hers.
        assert!(matches!(stored, Reply::Sent(_)));
    }
    let again = connection.begin(message(None, chat)).await.await;
    assert_eq!(again.expect_err("no member").kind, ErrorKind::NotFound);
    assert_received(&mut node, &connection, chat, &[1]).await;
    drop(connection);
    node.close().await;
}

#[tokio::test]
async fn messages_read_for_delivery_after_a_removal_are_not_delivered() {
    // The first page is read for a gap; what it has was stored after the removal, of which the
    // relay learns later.
    let mut node = Node::open().await;
    let (anna, chat) = (node.anna, node.chats[0]);
    let connection = connect(&node, anna).await;
    let others = connect(&node, node.boris).await;
    node.leave_messages(chat, 2).await;
    node.store
        .remove_member(chat, anna, node.state.clock.now(), None)
        .await
        .expect("removed");
    node.leave_messages(chat, 3).await;
    node.state.hub.fall_behind(chat);
    assert_received(&mut node, &others, chat, &[1, 2, 3, 4, 5]).await;
    assert_received(&mut node, &connection, chat, &[]).await;
    drop((connection, others));
    node.close().await;
}

/// Runs a request of the host whose answer from the store is lost.
pub(super) async fn answer_lost(node: &Node, operation: &'static str, request: Command) {
    node.gate.lose(operation);
    let lost = node.state.service.execute(&HOST, request).await;
    let error = lost.expect_err("the answer was lost");
    assert_eq!(error.kind, ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_removal_whose_answer_was_lost_ends_the_deliveries() {
    // The first is the change itself, the other is read for its notice.
    for operation in ["remove_member", "user"] {
        let mut node = Node::open().await;
        let (anna, chat) = (node.anna, node.chats[0]);
        let connection = connect(&node, anna).await;
        let named = ChatRef::Id(chat);
        let removal = Command::RemoveMember {
            chat: named.clone(),
            user: anna,
        };
        answer_lost(&node, operation, removal).await;
        // The notice of a later change does not conceal it.
        let (user, role) = (node.boris, MemberRole::Moderator);
        let later = Command::SetRole {
            chat: named,
            user: user.into(),
            role,
        };
        node.state.service.execute(&HOST, later).await.expect("set");
        let version = node.store.members_version(chat).await.expect("read");
        let version = version.expect("a chat");
        let compared = async {
            while !node.state.hub.has_seen_members(chat, version) {
                tokio::task::yield_now().await;
            }
        };
        let most = std::time::Duration::from_secs(10);
        tokio::time::timeout(most, compared)
            .await
            .expect("compared");
        node.send(0, 1).await;
        assert_received(&mut node, &connection, chat, &[]).await;
        drop(connection);
        node.close().await;
    }
}

#[tokio::test]
async fn a_request_that_is_repeated_because_its_answer_was_lost_subscribes_the_members() {
    let mut node = Node::open().await;
    let (anna, chat) = (node.anna, node.chats[0]);
    remove(&node, chat, anna).await;
    let connection = connect(&node, anna).await;
    let addition = Command::AddMembers {
        chat: ChatRef::Id(chat),
        users: vec![anna.into()],
    };
    answer_lost(&node, "add_member", addition).await;
    node.send(0, 1).await;
    add(&node, chat, anna).await;
    node.send(0, 1).await;
    assert_received(&mut node, &connection, chat, &[2]).await;

    let creation = || Command::CreateChat {
        chosen: ChatChoice::default(),
        name: None,
        members: vec![anna.into(), node.boris.into()],
        key: Some(IdempotencyKey {
            name: "once".to_owned(),
            content: Fingerprint::of("a chat"),
        }),
    };
    answer_lost(&node, "create_chat", creation()).await;
    let made = node.state.service.execute(&HOST, creation()).await;
    let Ok(Reply::Chat(made)) = made else {
        panic!("{made:?}")
    };
    node.chats.insert(0, made.id);
    node.heads.insert(made.id, 0);
    node.send(0, 1).await;
    assert_received(&mut node, &connection, made.id, &[1]).await;
    drop(connection);
    node.close().await;
}

#[tokio::test]
async fn a_chat_is_not_announced_to_a_member_that_was_removed_before() {
    let mut node = Node::open().await;
    let anna = node.anna;
    let connection = connect(&node, anna).await;
    // Created by the store's answer, which is held back: others know of it by then.
    let create = Command::CreateChat {
        chosen: ChatChoice::default(),
        name: None,
        members: vec![anna.into(), node.boris.into()],
        key: None,
    };
    let created = async { node.state.service.execute(&HOST, create).await };
    let removing = tokio::sync::Notify::new();
    let overtaking = async {
        let found = node.store.memberships_of(anna).await.expect("chats");
        let mut chats = found.into_iter().map(|(chat, _)| chat);
        let new = chats.find(|chat| !node.chats.contains(chat));
        let new = new.expect("it is stored");
        removing.notify_one();
        new
    };
    let held = node.gate.hold("create_chat");
    let remover = async {
        held.answered().await;
        let new = overtaking.await;
        let removal = remove(&node, new, anna);
        let release = async {
            removing.notified().await;
            held.release();
        };
        join(removal, release).await;
        new
    };
    let (created, new) = join(created, remover).await;
    created.expect("created");
    node.chats.insert(0, new);
    node.heads.insert(new, 0);
    node.send(0, 2).await;
    assert_received(&mut node, &connection, new, &[]).await;
    add(&node, new, anna).await;
    node.send(0, 1).await;
    assert_received(&mut node, &connection, new, &[3]).await;
    drop(connection);
    node.close().await;
}
