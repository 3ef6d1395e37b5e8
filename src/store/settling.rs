//! Changes whose outcome a store could not tell in time.
//! Does not know what they change.

use async_trait::async_trait;

/// Finds out what became of changes that were answered `Unavailable` although the store may still
/// make them.
#[async_trait]
pub trait Settling: Send + Sync {
    /// Returns once no such change is under way any more: each that was answered before this call
    /// was made, or never will be. After a minute and a half without an answer it is given up.
    async fn settled(&self);
}
