//! [`Sweeping`] on MongoDB: removes members, bans, kept rights and messages of deleted chats. They are
//! unreachable already, since every query about a chat starts at the chat's document.
//! Does not touch anything of a chat that exists.

use async_trait::async_trait;
use mongodb::ClientSession;
use mongodb::bson::{Document, Uuid, doc};
use serde::Deserialize;
use tracing::warn;

use super::Mongo;
use super::database::Database;
use super::documents::{ChatSeq, DELETED, MEMBERS, MESSAGES, all_of, with_seqs};
use super::fields::parse;
use super::kept_rights::KEPT_RIGHTS;
use super::retry::retry_until_deadline;
use super::sanction_documents::BANS;
use crate::model::{ChatId, Seq};
use crate::store::StoreError;
use crate::store::sweep::Sweeping;

/// How many messages are removed at a time.
const PIECE: Seq = 500;

/// How long after a deletion an insert that was in flight may still be applied, in milliseconds. A
/// mark older than this is removed once it has been swept again.
const LANDED: i64 = 3_600_000;

#[async_trait]
impl Sweeping for Mongo {
    async fn sweep(&self) -> Result<bool, StoreError> {
        retry_until_deadline(|| self.database.sweep_piece()).await
    }
}

impl Database {
    /// Marks these chats for sweeping, in the transaction that deletes them.
    pub(super) async fn mark_deleted(
        &self,
        chats: &[ChatId],
        session: &mut ClientSession,
    ) -> Result<(), StoreError> {
        let deleted = self.collection::<Document>(DELETED);
        for chat in chats {
            let now = doc! { "$currentDate": { "at": true } };
            let mark = deleted.update_one(doc! { "_id": *chat }, now).upsert(true);
            mark.session(&mut *session).await?;
        }
        Ok(())
    }

    /// Removes the memberships and bans of chats that have just been deleted: the chats of a user are
    /// counted by its memberships. A failure is logged, and leaves it to the sweep.
    pub(super) async fn remove_members_or_leave(&self, chats: &[ChatId]) {
        let chats = doc! { "$in": chats };
        let removed = retry_until_deadline(|| self.remove_members(doc! { "chat": chats.clone() }));
        if let Err(error) = removed.await {
            warn!(%error, "the members of deleted chats could not be removed yet");
        }
    }

    async fn remove_members(&self, filter: Document) -> Result<(), StoreError> {
        for name in [MEMBERS, BANS, KEPT_RIGHTS] {
            self.raw(name).delete_many(filter.clone()).await?;
        }
        Ok(())
    }

    /// Lets all deleted chats be swept again: inserts may have landed since. A failure is logged, and
    /// leaves that to the next start.
    pub(super) async fn sweep_again(&self) {
        let again = retry_until_deadline(|| async {
            let deleted = self.collection::<Document>(DELETED);
            let again = doc! { "$unset": { "swept": "" } };
            deleted.update_many(doc! { "swept": true }, again).await?;
            Ok(())
        });
        if let Err(error) = again.await {
            warn!(%error, "the data of deleted chats could not be looked for again");
        }
    }

    async fn sweep_piece(&self) -> Result<bool, StoreError> {
        let deleted = self.raw(DELETED);
        let unswept = doc! { "swept": { "$ne": true } };
        let Some(mark) = deleted.find_one(unswept).await? else {
            return Ok(false);
        };
        let Mark { chat } = parse(&mark)?;
        let messages = self.raw(MESSAGES);
        let first = messages.find_one(all_of(chat)).sort(doc! { "_id": 1 });
        let first = first.projection(doc! { "_id": 1 }).await?;
        if let Some(first) = first {
            let FoundMessage { id } = parse(&first)?;
            let piece = with_seqs(chat, 0..=id.seq.saturating_add(PIECE - 1));
            messages.delete_many(piece).await?;
            return Ok(true);
        }
        self.remove_members(doc! { "chat": chat }).await?;
        let landed = doc! { "$lt": ["$at", { "$subtract": ["$$NOW", LANDED] }] };
        let landed = deleted.delete_one(doc! { "_id": chat, "$expr": landed });
        if landed.await?.deleted_count == 0 {
            let swept = doc! { "$set": { "swept": true } };
            deleted.update_one(doc! { "_id": chat }, swept).await?;
        }
        Ok(true)
    }
}

/// A chat that was deleted.
#[derive(Deserialize)]
struct Mark {
    #[serde(rename = "_id")]
    chat: Uuid,
}

#[derive(Deserialize)]
struct FoundMessage {
    #[serde(rename = "_id")]
    id: ChatSeq,
}
