//! Changes that overtake the opening of a connection, while the store's answer is held back or
//! nothing has to be queried: a removed member receives nothing, a new one misses nothing.
//! Does not know any transport.

use futures_util::future::join;

use super::node::Node;
use super::*;
use crate::fixtures::HOST;
use crate::gateway::state::Admitted;
use crate::model::{Profile, UserId};

/// A connection of this user, with delivery enabled.
pub(super) async fn connect(node: &Node, user: UserId) -> Connection {
    connect_with(node, user, Delivery::Enabled).await
}

/// The same with notices of chats.
pub(super) async fn connect_with(node: &Node, user: UserId, delivery: Delivery) -> Connection {
    connect_admitted(node, own(user).into(), delivery).await
}

/// A verified user.
pub(super) fn own(user: UserId) -> Identity {
    Identity {
        user: Some(user),
        rights: Rights::Own,
        connection: None,
        request: None,
    }
}

/// A connection of a client that was admitted.
pub(super) async fn connect_admitted(
    node: &Node,
    admitted: Admitted,
    delivery: Delivery,
) -> Connection {
    let dialect = Arc::new(TestDialect::default());
    *dialect.delivery.lock() = delivery;
    let state = node.state.clone();
    let connection = Connection::open(state, admitted, None, dialect, Transport::WebSocket);
    connection.await.expect("a connection")
}

async fn host(node: &Node, command: Command) {
    let done = node.state.service.execute(&HOST, command).await;
    done.expect("the host may");
}

pub(super) async fn remove(node: &Node, chat: ChatId, user: UserId) {
    let chat = ChatRef::Id(chat);
    host(node, Command::RemoveMember { chat, user }).await;
}

pub(super) async fn add(node: &Node, chat: ChatId, user: UserId) {
    let (chat, users) = (ChatRef::Id(chat), vec![user]);
    host(node, Command::AddMembers { chat, users }).await;
}

/// Asserts that these seqs of this chat arrive, and no others before a last message in another
/// chat.
pub(super) async fn assert_received(
    node: &mut Node,
    connection: &Connection,
    chat: ChatId,
    expected: &[Seq],
) {
    let last = node.chats.len() - 1;
    node.send(last, 1).await;
    let end = format!("{} ", node.chats[last]);
    let (mut numbers, mut ended) = (Vec::new(), false);
    while !ended || numbers.len() < expected.len() {
        let frame = connection.outbox().next().await.expect("open");
        let text = frame.body.as_str();
        if text.starts_with(&end) {
            ended = true;
            continue;
        }
        let number = text.strip_prefix(&format!("{chat} ")).expect("this chat");
        numbers.push(number.parse::<Seq>().expect("a number"));
    }
    assert_eq!(numbers, expected);
}

/// The response to a request for all missed messages, and its last seq.
pub(super) async fn synced(connection: &Connection, chat: ChatId) -> Option<(usize, Seq)> {
    let sync = Command::Sync {
        user: None,
        chats: vec![(ChatRef::Id(chat), 0.into())],
        until: HashMap::new(),
        budget: PageBudget::RESPONSE,
    };
    match connection.begin(sync).await.await.expect("an answer") {
        Reply::Synced(mut synced) => {
            let missed = synced.pop().flatten()?;
            Some((missed.messages.len(), missed.head))
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn who_is_removed_while_it_connects_receives_nothing() {
    for operation in ["memberships_of", "heads"] {
        let mut node = Node::open().await;
        let (anna, chat) = (node.anna, node.chats[0]);
        let held = node.gate.hold(operation);
        let overtaking = async {
            held.answered().await;
            remove(&node, chat, anna).await;
            held.release();
        };
        let (connection, ()) = join(connect(&node, anna), overtaking).await;
        node.send(0, 3).await;
        assert_received(&mut node, &connection, chat, &[]).await;
        assert_eq!(synced(&connection, chat).await, None);
        drop(connection);
        node.close().await;
    }
}

#[tokio::test]
async fn who_was_removed_is_not_known_as_a_member() {
    let mut node = Node::open().await;
    let (anna, chat) = (node.anna, node.chats[0]);
    drop(connect(&node, anna).await);
    remove(&node, chat, anna).await;
    let connection = connect(&node, anna).await;
    node.send(0, 3).await;
    assert_received(&mut node, &connection, chat, &[]).await;
    drop(connection);
    add(&node, chat, anna).await;
    let connection = connect(&node, anna).await;
    node.send(0, 2).await;
    assert_received(&mut node, &connection, chat, &[4, 5]).await;
    drop(connection);
    node.close().await;
}

#[tokio::test]
async fn who_is_added_while_it_connects_misses_nothing() {
    for operation in ["memberships_of", "heads"] {
        let mut node = Node::open().await;
        let (anna, chat) = (node.anna, node.chats[0]);
        remove(&node, chat, anna).await;
        node.send(0, 2).await;
        let held = node.gate.hold(operation);
        let overtaking = async {
            held.answered().await;
            add(&node, chat, anna).await;
            held.release();
        };
        let (connection, ()) = join(connect(&node, anna), overtaking).await;
        node.send(0, 2).await;
        assert_received(&mut node, &connection, chat, &[3, 4]).await;
        drop(connection);
        node.close().await;
    }
}

#[tokio::test]
async fn a_chat_that_is_deleted_while_a_member_connects_is_no_obstacle() {
    for operation in ["memberships_of", "heads"] {
        let mut node = Node::open().await;
        let (anna, chat) = (node.anna, node.chats[0]);
        let held = node.gate.hold(operation);
        let overtaking = async {
            held.answered().await;
            let chat = ChatRef::Id(chat);
            host(&node, Command::DeleteChat { chat }).await;
            held.release();
        };
        let (connection, ()) = join(connect(&node, anna), overtaking).await;
        assert_eq!(synced(&connection, chat).await, None, "{operation}");
        assert_received(&mut node, &connection, chat, &[]).await;
        drop(connection);
        node.close().await;
    }
}

#[tokio::test]
async fn messages_while_the_heads_are_read_come_once() {
    let mut node = Node::open().await;
    let (anna, chat, state) = (node.anna, node.chats[0], node.state.clone());
    // An earlier server has stored these: this one has to query the head of the chat.
    node.leave_messages(chat, 2).await;
    let held = node.gate.hold("heads");
    let connecting = async {
        let dialect = Arc::new(TestDialect::default());
        *dialect.delivery.lock() = Delivery::Enabled;
        let identity = Identity {
            user: Some(anna),
            rights: Rights::Own,
            connection: None,
            request: None,
        };
        let state = node.state.clone();
        Connection::open(state, identity, None, dialect, Transport::WebSocket).await
    };
    let sending = async {
        held.answered().await;
        let send = Command::SendMessage {
            user: Some(anna),
            chat: ChatRef::Id(chat),
            draft: crate::model::Draft::text("hello"),
        };
        state.service.execute(&HOST, send).await.expect("stored");
        held.release();
    };
    let (connection, ()) = join(connecting, sending).await;
    let connection = connection.expect("a connection");
    assert_received(&mut node, &connection, chat, &[3]).await;
    assert_eq!(synced(&connection, chat).await, Some((2, 2)));
    drop(connection);
    node.close().await;
}

#[tokio::test]
async fn messages_while_nobody_is_connected_are_known_when_somebody_connects() {
    let mut node = Node::open().await;
    let (anna, chat) = (node.anna, node.chats[0]);
    for round in 1..4 {
        node.send(0, 5).await;
        let calls = node.calls();
        let connection = connect(&node, anna).await;
        // The first time the chats of the user are not known, nor how far the silent ones are.
        let expected = if round == 1 { 2 } else { 0 };
        assert_eq!(node.calls() - calls, expected);
        let latest = 5 * round;
        let count = usize::try_from(latest).expect("few");
        assert_eq!(synced(&connection, chat).await, Some((count, latest)));
        assert_received(&mut node, &connection, chat, &[]).await;
    }
    node.close().await;
}

#[tokio::test]
async fn a_new_profile_is_seen_at_once() {
    let node = Node::open().await;
    let name = |name: &str| Profile {
        name: Some(name.into()),
        ..Profile::default()
    };
    for profile_name in ["Anna", "Ann", "Anna"] {
        let caller = crate::model::Caller {
            external_id: "anna".into(),
            role: crate::model::Role::User,
            profile: name(profile_name),
            issued_at: None,
            expires_at: None,
        };
        for _ in 0..2 {
            let identified = node
                .state
                .service
                .identify(Some(caller.clone()), Rights::Own);
            let (_, user) = identified.await.expect("a user");
            assert_eq!(user, Some(node.anna));
        }
        let user = crate::model::UserRef::Id(node.anna);
        let get = Command::GetUser { user };
        match node.state.service.execute(&HOST, get).await {
            Ok(Reply::User(user)) => assert_eq!(user.name, profile_name),
            other => panic!("{other:?}"),
        }
        let update = Command::UpdateUser {
            user,
            profile: name("Ann"),
        };
        host(&node, update).await;
    }
    node.close().await;
}
