//! The indexes and the schema version.
//! Does not open a database of a newer version, whose documents may have another meaning.

use futures_util::future::try_join_all;
use mongodb::bson::{Document, doc};
use mongodb::error::{Error, ErrorKind};
use mongodb::options::IndexOptions;
use mongodb::{Database, IndexModel};

use super::connection::sentence;
use super::documents::{CHATS, COUNTERS, DELETED, EVENTS, MEMBERS, MESSAGES, SCHEMA, USERS};
use super::kept_rights::KEPT_RIGHTS;
use super::sanction_documents::{AUDIT, BANS};
use crate::store::transfer::Unfinished;
use crate::store::{OpenError, StoreError};

/// The newest version. Version 3 has roles, mutes, bans and revoked tokens, version 4 what is kept of
/// them for users that are no members, and the mark of a copy: an older polychat would not apply
/// these. Version 5 has integer ids that the host application chooses, which an older one would give out again, its
/// names of chats, and the metadata of messages; version 6 the original ids of imported ones. A document of an older version is one of the newest without any.
pub(super) const VERSION: i64 = 6;

/// The oldest one that can still be read: none before it was ever released.
const OLDEST: i64 = 2;

/// The version of the database; `None`: it is empty.
///
/// # Errors
/// One sentence: it cannot be read by this program.
pub(super) async fn version(database: &Database) -> Result<Option<i64>, OpenError> {
    let refuse = |error: Error| OpenError(sentence(&error));
    let schema = database.collection::<Document>(SCHEMA);
    let found = schema.find_one(doc! { "_id": "version" }).await;
    let Some(found) = found.map_err(refuse)? else {
        return Ok(None);
    };
    let version = found.get_i64("version");
    let version = version.map_err(|error| OpenError(format!("its schema version: {error}")))?;
    if version > VERSION {
        return Err(OpenError(format!(
            "it has schema version {version}, written by a newer polychat; \
             this one knows up to {VERSION}"
        )));
    }
    if version < OLDEST {
        return Err(OpenError(format!(
            "it has schema version {version} of a polychat that was never released; copy it \
             to a SQLite file with that one (polychat copy), and from there into a new \
             database with this one"
        )));
    }
    Ok(Some(version))
}

/// The server's error codes for a collection that does not exist, and for one that does.
const NAMESPACE_NOT_FOUND: i32 = 26;
const NAMESPACE_EXISTS: i32 = 48;

/// The document that marks an unfinished copy.
pub(super) fn copy_mark() -> Document {
    doc! { "_id": "copy" }
}

/// Brings a database to the newest version and to all its indexes.
pub(super) async fn migrate(database: &Database, unfinished: Unfinished) -> Result<(), OpenError> {
    let refuse = |error: Error| OpenError(sentence(&error));
    let schema = database.collection::<Document>(SCHEMA);
    let found = version(database).await?;
    let mark = schema.find_one(copy_mark()).await.map_err(refuse)?;
    unfinished.check(mark.is_some())?;
    let made = indexes().map(|(name, indexes)| async move {
        let collection = database.collection::<Document>(name);
        collection.create_indexes(indexes).await
    });
    try_join_all(made).await.map_err(refuse)?;
    // The version is written last.
    if found.is_some() {
        let older = doc! { "_id": "version", "version": { "$lt": VERSION } };
        let newest = doc! { "$set": { "version": VERSION } };
        schema.update_one(older, newest).await.map_err(refuse)?;
        return Ok(());
    }
    // A transaction must find its collections.
    for name in [COUNTERS, DELETED] {
        if let Err(error) = database.create_collection(name).await
            && !has_code(&error, NAMESPACE_EXISTS)
        {
            return Err(refuse(error));
        }
    }
    let version = doc! { "$setOnInsert": { "version": VERSION } };
    let stored = schema
        .update_one(doc! { "_id": "version" }, version)
        .upsert(true)
        .await;
    match stored.map_err(StoreError::from) {
        // Another node was faster.
        Ok(_) | Err(StoreError::Duplicate) => Ok(()),
        Err(error) => Err(OpenError(error.to_string())),
    }
}

/// The indexes that should be there and are not.
pub(super) async fn missing_indexes(database: &Database) -> Result<Vec<String>, StoreError> {
    let mut missing = Vec::new();
    for (name, indexes) in indexes() {
        let collection = database.collection::<Document>(name);
        let there = match collection.list_index_names().await {
            Err(error) if has_code(&error, NAMESPACE_NOT_FOUND) => Vec::new(),
            there => there?,
        };
        let names = indexes.into_iter().filter_map(|index| index.options?.name);
        let lacking = names.filter(|index| !there.contains(index));
        missing.extend(lacking.map(|index| format!("{name}.{index}")));
    }
    Ok(missing)
}

fn has_code(error: &Error, code: i32) -> bool {
    matches!(&*error.kind, ErrorKind::Command(command) if command.code == code)
}

/// Every index that is not on an `_id`, by collection.
fn indexes() -> impl Iterator<Item = (&'static str, Vec<IndexModel>)> {
    chat_indexes().into_iter().chain(sanction_indexes())
}

/// Those of users, chats and events.
fn chat_indexes() -> [(&'static str, Vec<IndexModel>); 5] {
    [
        (
            USERS,
            vec![
                unique("external_id", doc! { "external_id": 1 }),
                unique("pk", doc! { "pk": 1 }),
            ],
        ),
        (
            CHATS,
            vec![
                unique("pk", doc! { "pk": 1 }),
                plain("policy_pk", doc! { "policy": 1, "pk": 1 }),
                plain("owner", doc! { "owner": 1 }),
                partial("key", doc! { "key.name": 1 }, "key.name"),
                partial("external_id", doc! { "external_id": 1 }, "external_id"),
                partial(
                    "event_guest",
                    doc! { "event.pk": 1, "event.guest": 1 },
                    "event.pk",
                ),
                sparse("event_owner", doc! { "event.owner": 1 }),
                sparse("guest", doc! { "event.guest": 1 }),
            ],
        ),
        (
            MEMBERS,
            vec![
                unique("chat_user", doc! { "chat": 1, "user": 1 }),
                plain("user", doc! { "user": 1, "chat": 1 }),
            ],
        ),
        (
            MESSAGES,
            vec![
                plain(
                    "chat_sender_seq",
                    doc! { "_id.chat": 1, "sender": 1, "_id.seq": 1 },
                ),
                // Deduplicates, see [`super::documents::MessageDocument::key`].
                partial("key", doc! { "key": 1 }, "key"),
            ],
        ),
        (
            EVENTS,
            vec![
                plain("owner_pk", doc! { "owner": 1, "_id": 1 }),
                partial("key", doc! { "key.name": 1 }, "key.name"),
            ],
        ),
    ]
}

/// Those of bans, kept rights and the audit log.
fn sanction_indexes() -> [(&'static str, Vec<IndexModel>); 3] {
    [
        (
            KEPT_RIGHTS,
            vec![unique("chat_user", doc! { "chat": 1, "user": 1 })],
        ),
        (
            BANS,
            vec![
                unique("chat_user", doc! { "chat": 1, "user": 1 }),
                plain("user", doc! { "user": 1 }),
            ],
        ),
        (
            AUDIT,
            vec![
                plain("chat", doc! { "chat": 1, "_id": 1 }),
                plain("user", doc! { "user": 1, "_id": 1 }),
            ],
        ),
    ]
}

fn plain(name: &str, keys: Document) -> IndexModel {
    with(keys, IndexOptions::builder().name(name.to_owned()).build())
}

fn unique(name: &str, keys: Document) -> IndexModel {
    let options = IndexOptions::builder().name(name.to_owned()).unique(true);
    with(keys, options.build())
}

/// Unique among the documents that have this field.
fn partial(name: &str, keys: Document, field: &str) -> IndexModel {
    let options = IndexOptions::builder()
        .name(name.to_owned())
        .unique(true)
        .partial_filter_expression(doc! { field: { "$exists": true } });
    with(keys, options.build())
}

/// Of the documents that have this field.
fn sparse(name: &str, keys: Document) -> IndexModel {
    let options = IndexOptions::builder().name(name.to_owned()).sparse(true);
    with(keys, options.build())
}

fn with(keys: Document, options: IndexOptions) -> IndexModel {
    IndexModel::builder().keys(keys).options(options).build()
}
