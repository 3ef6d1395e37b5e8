//! Lists of chats whose queries a removal or a ban overtakes.
//! Does not test what a list holds otherwise: that is in the contract.

use std::time::Duration;

use mongodb::bson::doc;

use super::fault_tests::{FAILPOINT, fail};
use super::replica_set::Scratch;
use crate::model::{Chat, ChatChange, ChatId, NewChat, Policy, Sanction, User};
use crate::store::contract::{Subject, at, new_chat, user};

/// How long a query waits that comes after the first ones.
const WAIT: Duration = Duration::from_millis(150);

/// How many queries a list has at most.
const QUERIES: i32 = 6;

const NEWER: &str = "newer";

/// Both lists of Boris, by a node whose queries after the first `skip` wait.
async fn lists(slow: &Subject, boris: &User) -> Vec<Chat> {
    let page = slow.chats_of(boris.id, None, 100).await.expect("a page");
    let visible = slow.visible_chats(boris.id, at(0), 100).await;
    [page.chats, visible.expect("chats")].concat()
}

async fn rename(store: &Subject, chat: ChatId) {
    let name = Some(NEWER.to_owned());
    let change = ChatChange { name, team: None };
    let changed = store.change_chat(chat, change, at(5), None).await;
    changed.expect("an answer").expect("a chat");
}

/// Lists while `change` and then a new name come after each number of queries.
async fn overtaken(policy: Policy, change: impl AsyncFn(&Subject, &Chat, &User)) {
    let (_alone, scratch) = (FAILPOINT.lock().await, Scratch::new());
    let (slow, other) = (scratch.node_called("slow").await, scratch.node().await);
    let (anna, boris) = (user(&other, "anna").await, user(&other, "boris").await);
    let mut listed = 0;
    for skip in 0..QUERIES {
        let new = NewChat {
            policy,
            ..new_chat(&[&anna, &boris], 1)
        };
        let shared = other.create_chat(new).await.expect("a chat");
        listed += lists(&slow, &boris).await.len();
        let wait = doc! {
            "failCommands": ["find", "aggregate"],
            "blockConnection": true,
            "blockTimeMS": i32::try_from(WAIT.as_millis()).expect("few"),
        };
        fail(&scratch, "slow", doc! { "skip": skip }, wait).await;
        let changes = async {
            tokio::time::sleep(WAIT / 3).await;
            change(&other, &shared, &boris).await;
            rename(&other, shared.id).await;
        };
        let (found, ()) = tokio::join!(lists(&slow, &boris), changes);
        fail(&scratch, "slow", "off", doc! { "failCommands": [] }).await;
        let newer = |chat: &Chat| chat.name.as_deref() == Some(NEWER);
        assert!(!found.iter().any(newer), "after {skip} queries");
    }
    assert!(listed > 0, "he is shown what he may see");
}

#[tokio::test]
async fn a_removed_member_is_not_shown_what_is_newer() {
    overtaken(Policy::Closed, async |store, chat, boris| {
        let removed = store.remove_member(chat.id, boris.id, at(5), None).await;
        assert!(removed.expect("an answer").expect("a chat").0);
    })
    .await;
}

#[tokio::test]
async fn a_banned_user_is_not_shown_what_is_newer_in_an_open_chat() {
    overtaken(Policy::Open, async |store, chat, boris| {
        let ban = Some(Sanction { until: None });
        let banned = store.set_ban(chat.id, boris.id, ban, at(5), None).await;
        banned.expect("an answer").expect("a chat");
    })
    .await;
}
