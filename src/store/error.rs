//! Why a store could not be opened, or a call of it failed.
//! Does not know which store it was.

use crate::model::UserId;

/// Why a call of a store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It exists already.
    #[error("it exists already")]
    Duplicate,
    /// Another one has the chosen integer id.
    #[error("the chosen integer id is another one's")]
    PkTaken,
    /// A limit does not allow it.
    #[error("{0}")]
    Full(Full),
    /// The stored data contradicts itself or the request.
    #[error("the stored data is corrupt: {0}")]
    Corrupt(String),
    /// The store does not answer, or could not write.
    #[error("the store does not answer: {0}")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The limit that an addition would exceed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// The members of the chat.
    #[error("the chat has as many members as it may have")]
    Chat,
    /// The chats of this user.
    #[error("the user {0} has as many chats as it may have")]
    User(UserId),
}

/// Why a store could not be opened, in one sentence for the operator.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct OpenError(pub(super) String);
