//! What a deleted chat leaves behind: members and messages that nobody can see any more, since
//! all that is asked about a chat begins with the chat.
//! It refuses to touch anything of a chat that is there.

use mongodb::ClientSession;
use mongodb::bson::{Document, doc};
use tracing::warn;

use super::Mongo;
use super::documents::{DELETED, MEMBERS, MESSAGES};
use super::failure::patiently;
use crate::model::ChatId;
use crate::store::StoreError;

impl Mongo {
    /// Notes, in the step that deletes them, that these chats are to be swept.
    pub(super) async fn mark_deleted(
        &self,
        chats: &[ChatId],
        session: &mut ClientSession,
    ) -> Result<(), StoreError> {
        if chats.is_empty() {
            return Ok(());
        }
        let marks = chats.iter().map(|chat| doc! { "_id": *chat });
        let deleted = self.database.collection::<Document>(DELETED);
        deleted.insert_many(marks).session(session).await?;
        Ok(())
    }

    /// Sweeps what deleted chats have left, or leaves it to the next one who does.
    pub(super) async fn sweep_or_leave(&self) {
        if let Err(error) = patiently(|| self.sweep()).await {
            warn!(%error, "what deleted chats have left is still to be swept");
        }
    }

    async fn sweep(&self) -> Result<(), StoreError> {
        let deleted = self.database.collection::<Document>(DELETED);
        let mut marks = deleted.find(doc! {}).await?;
        while marks.advance().await? {
            let mark = marks.deserialize_current()?;
            let Some(id) = mark.get("_id") else { continue };
            for part in [MEMBERS, MESSAGES] {
                self.raw(part).delete_many(doc! { "chat": id }).await?;
            }
            deleted.delete_one(doc! { "_id": id }).await?;
        }
        Ok(())
    }
}
