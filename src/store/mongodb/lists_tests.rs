//! Lists of chats whose queries a removal or a ban overtakes.
//! Does not test what a list holds otherwise: that is in the contract.

use std::time::Duration;

use mongodb::bson::{Document, Uuid, doc};

use super::database::Query;
use super::fault_tests::{FAILPOINT, fail};
use super::lists::{other_chats, own_chats};
use super::replica_set::Scratch;
use crate::model::{Chat, ChatChange, ChatId, NewChat, Policy, Sanction, User};
use crate::store::contract::{Subject, at, new_chat, user};

/// How long a query waits that comes after the first ones.
const WAIT: Duration = Duration::from_millis(150);

/// How many queries a list has at most.
const QUERIES: i32 = 8;

const NEWER: &str = "newer";

/// Both lists of Boris, by a node whose queries after the first `skip` wait.
async fn lists(slow: &Subject, boris: &User) -> Vec<Chat> {
    let page = slow.chats_of(boris.id, None, 100).await.expect("a page");
    let visible = slow.visible_chats(boris.id, at(0), None, 100).await;
    [page.chats, visible.expect("a page").chats].concat()
}

async fn rename(store: &Subject, chat: ChatId) {
    let name = Some(NEWER.to_owned());
    let change = ChatChange {
        policy: None,
        name,
        team: None,
    };
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

/// What the server did for a query: the stages of its plan, and how many documents it has read.
async fn explained(database: &mongodb::Database, query: &Query) -> (String, i64) {
    let find = doc! {
        "find": "chats",
        "filter": query.filter.clone(),
        "sort": query.sort.clone(),
        "limit": query.server_limit(),
        "hint": query.index.expect("an index"),
    };
    let explain = doc! { "explain": find, "verbosity": "executionStats" };
    let answer = database.run_command(explain).await.expect("a plan");
    let plan = answer.get_document("queryPlanner").expect("a plan");
    let plan = plan
        .get_document("winningPlan")
        .expect("a plan")
        .to_string();
    let counts = answer.get_document("executionStats").expect("counts");
    let read = counts.get("totalDocsExamined").expect("a count");
    let read = read.as_i32().map(i64::from).or(read.as_i64());
    (plan, read.expect("a number"))
}

#[tokio::test]
async fn no_list_reads_every_chat() {
    let scratch = Scratch::new();
    let (store, database) = (scratch.node().await, scratch.database().await);
    let anna = user(&store, "anna").await;
    let mut own = Vec::new();
    for number in 0..4 {
        let new = NewChat {
            policy: Policy::Open,
            ..new_chat(&[&anna], number)
        };
        own.push(store.create_chat(new).await.expect("a chat").id.into());
    }
    let like = database.collection::<Document>("chats");
    let like = like
        .find_one(doc! {})
        .await
        .expect("an answer")
        .expect("a chat");
    let closed = (0..3000_i64).map(|number| {
        let mut chat = like.clone();
        chat.insert("_id", Uuid::new());
        chat.insert("pk", 1000 + number);
        chat.insert("policy", if number % 500 == 0 { "open" } else { "closed" });
        chat
    });
    let chats = database.collection::<Document>("chats");
    chats.insert_many(closed).await.expect("chats");
    for (query, index, most) in [
        (own_chats(own.clone(), i64::MAX, 3), "_id_", 4),
        (other_chats(own, i64::MAX, 3), "policy_pk", 3),
    ] {
        let (plan, read) = explained(&database, &query).await;
        assert!(plan.contains(index) && !plan.contains("COLLSCAN"), "{plan}");
        assert!(read <= most, "{read} documents by {plan}");
    }
    let visible = store.visible_chats(anna.id, at(0), None, 6).await;
    let visible = visible.expect("a page").chats;
    let pks: Vec<_> = visible.iter().map(|chat| chat.pk).collect();
    assert_eq!(pks, [4, 3, 2, 1, 3500, 3000]);
}
