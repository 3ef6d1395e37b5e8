//! Why a store could not be opened, or a call of it failed.
//! Does not know which store it was.

/// Why a call of a store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It exists already.
    #[error("it exists already")]
    Duplicate,
    /// The stored data contradicts itself or the request.
    #[error("the stored data is corrupt: {0}")]
    Corrupt(String),
    /// The store does not answer, or could not write.
    #[error("the store does not answer: {0}")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Why a store could not be opened, in one sentence for the operator.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct OpenError(pub(super) String);
