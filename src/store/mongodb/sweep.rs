//! What a deleted chat leaves behind: members and messages that nobody can see any more, since
//! all that is asked about a chat begins with the chat.
//! It refuses to touch anything of a chat that is there.

use mongodb::ClientSession;
use mongodb::bson::{Document, Uuid, doc};
use serde::Deserialize;
use tracing::warn;

use super::Mongo;
use super::documents::{DELETED, MEMBERS, MESSAGES, all_of};
use super::failure::patiently;
use crate::model::ChatId;
use crate::store::StoreError;

/// What was being stored when its chat was deleted may land after the first sweep, but not so much
/// later: by then the mark has been swept under once more and can go. In milliseconds.
const LANDED: i64 = 3_600_000;

impl Mongo {
    /// Notes, in the step that deletes them, that these chats are to be swept.
    pub(super) async fn mark_deleted(
        &self,
        chats: &[ChatId],
        session: &mut ClientSession,
    ) -> Result<(), StoreError> {
        let deleted = self.database.collection::<Document>(DELETED);
        for chat in chats {
            let now = doc! { "$currentDate": { "at": true } };
            let mark = deleted.update_one(doc! { "_id": *chat }, now).upsert(true);
            mark.session(&mut *session).await?;
        }
        Ok(())
    }

    /// Sweeps what deleted chats have left, or leaves it to the next one who does.
    pub(super) async fn sweep_or_leave(&self, which: Sweep<'_>) {
        let chats = match which {
            Sweep::All => doc! {},
            Sweep::These(chats) => doc! { "_id": { "$in": chats } },
        };
        if let Err(error) = patiently(|| self.sweep(chats.clone())).await {
            warn!(%error, "what deleted chats have left is still to be swept");
        }
    }

    async fn sweep(&self, chats: Document) -> Result<(), StoreError> {
        let deleted = self.database.collection::<Mark>(DELETED);
        let mut marks = deleted.find(chats).await?;
        while marks.advance().await? {
            let Mark { chat } = marks.deserialize_current()?;
            let members = self.raw(MEMBERS);
            members.delete_many(doc! { "chat": chat }).await?;
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

/// Whose remains are swept.
pub(super) enum Sweep<'a> {
    /// Those of every chat that is marked.
    All,
    /// Those of these chats, which have just been deleted.
    These(&'a [ChatId]),
}
