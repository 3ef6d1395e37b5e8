//! Sanctions on databases of older versions, and with documents of unknown shape, and under failures.
//! Does not test well-formed data of this version: that is in the contract.

use mongodb::bson::{Document, doc};

use super::documents::{CHATS, MEMBERS, SCHEMA, USERS};
use super::fault_tests::{FAILPOINT, fail, scene};
use super::kept_rights::KEPT_RIGHTS;
use super::replica_set::Scratch;
use super::sanction_documents::{AUDIT, BANS};
use super::schema::VERSION;
use crate::model::{
    AuditAct, AuditFilter, AuditId, AuditRecord, MemberRights, MemberRole, Sanction,
};
use crate::store::StoreError;
use crate::store::contract::{at, chat, user};

/// Turns a database without any sanction into one of version 2.
async fn make_older(scratch: &Scratch) {
    let database = scratch.database().await;
    for name in [BANS, AUDIT, KEPT_RIGHTS] {
        let collection = database.collection::<Document>(name);
        collection.drop().await.expect("dropped");
    }
    let chats = database.collection::<Document>(CHATS);
    let unset = doc! { "$unset": { "members_version": true } };
    chats.update_many(doc! {}, unset).await.expect("changed");
    // A document without sanctions has none of their fields.
    for (name, field) in [
        (MEMBERS, "role"),
        (MEMBERS, "mute"),
        (USERS, "revoked_before"),
    ] {
        let collection = database.collection::<Document>(name);
        let found = collection.find_one(doc! { field: { "$exists": true } });
        assert_eq!(found.await.expect("an answer"), None, "{field}");
    }
    let schema = database.collection::<Document>(SCHEMA);
    let older = doc! { "$set": { "version": 2_i64 } };
    let older = schema.update_one(doc! { "_id": "version" }, older).await;
    assert_eq!(older.expect("changed").modified_count, 1);
}

#[tokio::test]
async fn a_database_of_version_2_is_brought_up_to_date() {
    let scratch = Scratch::new();
    let older = scratch.node().await;
    let (anna, boris) = (user(&older, "anna").await, user(&older, "boris").await);
    let talk = chat(&older, &[&anna, &boris], 1).await;
    older.close().await.expect("closed");
    make_older(&scratch).await;
    let store = scratch.node().await;
    let database = scratch.database().await;
    let schema = database.collection::<Document>(SCHEMA);
    let version = schema.find_one(doc! { "_id": "version" }).await;
    let version = version.expect("an answer").expect("a version");
    assert_eq!(version.get_i64("version").ok(), Some(VERSION));
    let missing = store.missing_indexes().await.expect("an answer");
    assert!(missing.is_empty(), "{missing:?}");
    let found = store.chat_rights(talk.id).await.expect("an answer");
    let found = found.expect("a chat");
    let member = |user| MemberRights {
        user,
        role: MemberRole::Member,
        mute: None,
    };
    assert_eq!(found.members, [member(anna.id), member(boris.id)]);
    assert_eq!((found.creator, found.version), (Some(anna.id), 0));
    let stored = store.user(boris.id).await.expect("an answer");
    assert_eq!(stored.as_ref(), Some(&boris));
    let ban = Some(Sanction { until: None });
    let banned = store.set_ban(talk.id, boris.id, ban, at(2), None).await;
    let banned = banned.expect("an answer").expect("a chat");
    assert!(banned.removed);
    assert_eq!(banned.chat.members_version, 1);
}

/// Turns a database without any kept rights into one of version 3.
async fn make_version_3(scratch: &Scratch) {
    let database = scratch.database().await;
    let collection = database.collection::<Document>(KEPT_RIGHTS);
    collection.drop().await.expect("dropped");
    let schema = database.collection::<Document>(SCHEMA);
    let older = doc! { "$set": { "version": 3_i64 } };
    let older = schema.update_one(doc! { "_id": "version" }, older).await;
    assert_eq!(older.expect("changed").modified_count, 1);
}

#[tokio::test]
async fn a_database_of_version_3_is_brought_up_to_date() {
    let scratch = Scratch::new();
    let older = scratch.node().await;
    let (anna, boris) = (user(&older, "anna").await, user(&older, "boris").await);
    let talk = chat(&older, &[&anna, &boris], 1).await;
    let mute = Some(Sanction { until: Some(at(9)) });
    let muted = older.set_mute(talk.id, boris.id, mute, None).await;
    muted.expect("an answer").expect("a chat");
    older.close().await.expect("closed");
    make_version_3(&scratch).await;
    let store = scratch.node().await;
    let missing = store.missing_indexes().await.expect("an answer");
    assert!(missing.is_empty(), "{missing:?}");
    let left = store.remove_member(talk.id, boris.id, at(2), None).await;
    assert!(left.expect("an answer").expect("a chat").0);
    let back = store.add_member(talk.id, boris.id, 0, at(3), None).await;
    assert!(back.expect("an answer").expect("a chat").0);
    let found = store.chat_rights(talk.id).await.expect("an answer");
    let found = found.expect("a chat");
    assert_eq!(
        (found.members[1].user, found.members[1].mute),
        (boris.id, mute)
    );
}

#[tokio::test]
async fn kept_rights_that_cannot_be_read_let_nobody_in() {
    let scratch = Scratch::new();
    let store = scratch.node().await;
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let talk = chat(&store, &[&anna], 1).await;
    let database = scratch.database().await;
    let kept = database.collection::<Document>(KEPT_RIGHTS);
    let odd = doc! { "chat": talk.id, "user": boris.id, "mute": "until Friday" };
    kept.insert_one(odd).await.expect("stored");
    match store.add_member(talk.id, boris.id, 0, at(3), None).await {
        Err(StoreError::Corrupt(why)) => assert!(why.contains(KEPT_RIGHTS), "{why}"),
        joined => panic!("{joined:?}"),
    }
    // It is still there, and can be lifted.
    assert!(store.chat_records(0, 9).await.is_err());
    let freed = store.set_mute(talk.id, boris.id, None, None).await;
    assert!(freed.expect("an answer").expect("a chat").0);
    let joined = store.add_member(talk.id, boris.id, 0, at(3), None).await;
    assert!(joined.expect("an answer").expect("a chat").0);
}

#[tokio::test]
async fn a_ban_that_cannot_be_read_lets_nobody_in() {
    let scratch = Scratch::new();
    let store = scratch.node().await;
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let talk = chat(&store, &[&anna, &boris], 1).await;
    let database = scratch.database().await;
    // A member of unknown role is left out: it has no rights.
    let members = database.collection::<Document>(MEMBERS);
    let odd = doc! { "$set": { "role": "king" } };
    members
        .update_one(doc! { "user": boris.id }, odd)
        .await
        .expect("changed");
    let found = store
        .chat_rights(talk.id)
        .await
        .expect("an answer")
        .expect("a chat");
    let there: Vec<_> = found.members.iter().map(|member| member.user).collect();
    assert_eq!(there, [anna.id]);
    // A record of unknown shape spares the others.
    let log = database.collection::<Document>(AUDIT);
    log.insert_one(doc! { "_id": 1 }).await.expect("stored");
    let records = store.audit_records(AuditFilter::default(), None, 9).await;
    assert_eq!(records.expect("records"), []);
    // Without its bans, nobody's rights are known.
    let bans = database.collection::<Document>(BANS);
    let odd = doc! { "chat": talk.id, "user": boris.id, "until": "Friday" };
    bans.insert_one(odd).await.expect("stored");
    let found = store.chat_rights(talk.id).await;
    match found {
        Err(StoreError::Corrupt(why)) => assert!(why.contains(BANS), "{why}"),
        found => panic!("{found:?}"),
    }
}

#[tokio::test]
async fn a_deleted_chat_leaves_no_bans_and_no_kept_rights() {
    let scratch = Scratch::new();
    let store = scratch.node().await;
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let (gone, kept) = (
        chat(&store, &[&anna], 1).await,
        chat(&store, &[&anna], 1).await,
    );
    let ban = Some(Sanction { until: None });
    for chat in [&gone, &kept] {
        let banned = store.set_ban(chat.id, boris.id, ban, at(2), None).await;
        banned.expect("an answer").expect("a chat");
        let muted = store.set_mute(chat.id, boris.id, ban, None).await;
        muted.expect("an answer").expect("a chat");
    }
    assert!(store.delete_chat(gone.id, None).await.expect("an answer"));
    let database = scratch.database().await;
    for name in [BANS, KEPT_RIGHTS] {
        let documents = database.collection::<Document>(name);
        for (chat, expected) in [(gone.id, 0), (kept.id, 1)] {
            let count = documents.count_documents(doc! { "chat": chat }).await;
            assert_eq!(count.expect("an answer"), expected, "{name}");
        }
    }
}

#[tokio::test]
async fn an_act_is_recorded_once_when_its_commit_is_unsure() {
    let (_alone, scratch) = (FAILPOINT.lock().await, Scratch::new());
    let (store, anna, chat) = scene(&scratch, "sanctioning").await;
    let unsure = doc! {
        "failCommands": ["commitTransaction"],
        "writeConcernError": { "code": 64, "errmsg": "waiting for replication timed out" },
    };
    let broken = doc! {
        "failCommands": ["find", "update", "insert", "commitTransaction"],
        "closeConnection": true,
    };
    let mut expected = Vec::new();
    for (now, trouble) in [(1, &unsure), (2, &broken), (3, &unsure), (4, &broken)] {
        let record = AuditRecord {
            id: AuditId::new(at(now)),
            at: at(now),
            actor: None,
            act: AuditAct::MuteUser,
            chat: Some(chat),
            user: Some(anna.id),
            detail: serde_json::Map::default(),
        };
        expected.push(record.clone());
        let mute = Some(Sanction {
            until: Some(at(now)),
        });
        fail(
            &scratch,
            "sanctioning",
            doc! { "times": 3 },
            trouble.clone(),
        )
        .await;
        let muted = store.set_mute(chat, anna.id, mute, Some(record)).await;
        let (changed, after) = muted.expect("an answer").expect("a chat");
        assert_eq!((changed, after.members_version), (true, now));
        fail(&scratch, "sanctioning", "off", doc! { "failCommands": [] }).await;
        let log = store.audit_records(AuditFilter::default(), None, 9).await;
        assert_eq!(log.expect("records"), expected);
    }
}
