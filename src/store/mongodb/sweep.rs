//! Removal of members, bans, kept rights and messages of deleted chats. They are unreachable already, since every
//! query about a chat starts at the chat's document.
//! Does not touch anything of a chat that exists.

use mongodb::ClientSession;
use mongodb::bson::{Document, Uuid, doc};
use serde::Deserialize;
use tracing::warn;

use super::database::Database;
use super::documents::{DELETED, MEMBERS, MESSAGES, all_of};
use super::fields::parse;
use super::kept_rights::KEPT_RIGHTS;
use super::retry::retry_until_deadline;
use super::sanction_documents::BANS;
use crate::model::ChatId;
use crate::store::StoreError;

/// How long after a deletion an insert that was in flight may still be applied, in milliseconds. A
/// mark older than this is removed once it has been swept again.
const LANDED: i64 = 3_600_000;

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

    /// Sweeps the data of deleted chats. A failure is logged, and leaves it to the next sweep.
    pub(super) async fn sweep_or_leave(&self, which: Sweep<'_>) {
        let chats = match which {
            Sweep::All => doc! {},
            Sweep::These(chats) => doc! { "_id": { "$in": chats } },
        };
        if let Err(error) = retry_until_deadline(|| self.sweep(chats.clone())).await {
            warn!(%error, "the data of deleted chats could not be removed yet");
        }
    }

    async fn sweep(&self, chats: Document) -> Result<(), StoreError> {
        let deleted = self.raw(DELETED);
        let mut marks = deleted.find(chats).await?;
        while marks.advance().await? {
            let Mark { chat } = parse(marks.current())?;
            let members = self.raw(MEMBERS);
            members.delete_many(doc! { "chat": chat }).await?;
            for name in [BANS, KEPT_RIGHTS] {
                self.raw(name).delete_many(doc! { "chat": chat }).await?;
            }
            self.raw(MESSAGES).delete_many(all_of(chat)).await?;
            let landed = doc! { "$lt": ["$at", { "$subtract": ["$$NOW", LANDED] }] };
            let landed = doc! { "_id": chat, "$expr": landed };
            deleted.delete_one(landed).await?;
        }
        Ok(())
    }
}

/// A chat that was deleted.
#[derive(Deserialize)]
struct Mark {
    #[serde(rename = "_id")]
    chat: Uuid,
}

/// The deleted chat.
pub(super) enum Sweep<'a> {
    /// Those of every chat that is marked.
    All,
    /// Those of these chats, which have just been deleted.
    These(&'a [ChatId]),
}
