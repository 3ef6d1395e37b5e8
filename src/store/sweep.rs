//! Removal of what deleted chats left in a store.
//! Does not know what is deleted: each store marks that in the step of the deletion.

use async_trait::async_trait;

use super::StoreError;

/// Empties deleted chats, which no query finds any more.
#[async_trait]
pub trait Sweeping: Send + Sync {
    /// Removes some of the messages of deleted chats: so few that other writes wait for a moment only.
    /// Nothing of a chat that exists is touched. Returns whether there may be more. A process that
    /// was killed in between leaves the rest to the next one.
    async fn sweep(&self) -> Result<bool, StoreError>;
}
