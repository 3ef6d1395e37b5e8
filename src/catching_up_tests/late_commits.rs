//! Changes that MongoDB commits after they were answered `unavailable`, since a commit was delayed on
//! its way: what they are about is compared with the store once more.
//! Does not know any transport.

use std::time::Duration;

use tokio::time::sleep;

use super::connecting::{assert_received, connect, connect_admitted, own};
use super::node::Node;
use super::*;
use crate::fixtures::HOST;
use crate::gateway::state::Admitted;
use crate::model::{ErrorKind, History, Issue, Positions, Range, UserId, UserRef, Window};
use crate::store::Scratch;

/// The server begins this many commits of a node only after 6 seconds: two, and the caller is answered
/// before the third attempt.
const COMMITS: i32 = 2;

/// Executes a command, the commit of which is late.
async fn execute_late(node: &Node, scratch: &Scratch, name: &str, command: Command) {
    let _alone = scratch
        .delay_commits(name, COMMITS, Duration::from_secs(6))
        .await;
    let refused = node.state.service.execute(&HOST, command).await;
    assert_eq!(refused.expect_err("late").kind, ErrorKind::Unavailable);
}

async fn reads(node: &Node, user: UserId, chat: ChatId) -> bool {
    let list = Command::ListMessages {
        user: None,
        chat: ChatRef::Id(chat),
        history: History {
            range: Range::default(),
            window: Window::Last(10),
        },
        positions: Positions::Omitted,
    };
    node.state.service.execute(&own(user), list).await.is_ok()
}

/// Returns once this is so.
async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    for _ in 0..200 {
        if is_so().await {
            return;
        }
        sleep(Duration::from_millis(100)).await;
    }
    panic!("it did not become so in 20 seconds");
}

#[tokio::test]
async fn a_removal_that_is_committed_late_is_effective() {
    let scratch = Scratch::new();
    let mut node = Node::over(scratch.node_called("late-removal").await).await;
    let (anna, chat) = (node.anna, node.chats[0]);
    let annas = connect(&node, anna).await;
    let remove = Command::RemoveMember {
        chat: ChatRef::Id(chat),
        user: anna,
    };
    execute_late(&node, &scratch, "late-removal", remove).await;
    // The members are cached now, as they were.
    assert!(reads(&node, anna, chat).await);
    until(async || !reads(&node, anna, chat).await).await;
    node.send(0, 1).await;
    assert_received(&mut node, &annas, chat, &[]).await;
    drop(annas);
    node.close().await;
}

#[tokio::test]
async fn a_revocation_that_is_committed_late_ends_connections() {
    let scratch = Scratch::new();
    let node = Node::over(scratch.node_called("late-revocation").await).await;
    let issue = Issue {
        user: node.anna,
        at: None,
    };
    let admitted = Admitted {
        token: Some((issue, node.state.service.revocations())),
        ..Admitted::from(own(node.anna))
    };
    let annas = connect_admitted(&node, admitted, Delivery::Enabled).await;
    let revoke = Command::RevokeTokens {
        user: UserRef::Id(node.anna),
        before: None,
    };
    execute_late(&node, &scratch, "late-revocation", revoke).await;
    assert!(annas.outbox().closed().is_none());
    until(async || annas.outbox().closed().is_some()).await;
    drop(annas);
    node.close().await;
}
