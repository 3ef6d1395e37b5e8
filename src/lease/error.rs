//! Why a process does not have the lease.
//! Does not decide it.

use crate::store::lease::Holder;
use crate::store::{OpenError, StoreError};

/// Why a process does not have the lease, in one sentence for the operator.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Another process has it alone, and renews it.
    #[error(
        "the store {store} cannot be used: another polychat is using it alone ({holder}), and no \
         server can start before that has ended"
    )]
    InUse {
        /// The store.
        store: String,
        /// The other process.
        holder: Holder,
    },
    /// This process needs it alone, and another one renews it.
    #[error(
        "the store {store} cannot be used: another polychat is using it ({holder}), and polychat \
         {command} needs it alone: stop every server on it first"
    )]
    NotAlone {
        /// The store.
        store: String,
        /// The other process.
        holder: Holder,
        /// The subcommand of this one.
        command: String,
    },
    /// The schema has to be migrated, for which this process needs it alone, and another one renews it.
    #[error(
        "the store {store} cannot be used: its schema has to be migrated, and another polychat is \
         using it ({holder}): stop every server on it first"
    )]
    NotMigrated {
        /// The store.
        store: String,
        /// The other process.
        holder: Holder,
    },
    /// Another process has taken it.
    #[error(
        "the lease on the store {store} was not renewed in time, and another polychat has taken it \
         ({holder})"
    )]
    Taken {
        /// The store.
        store: String,
        /// The other process.
        holder: Holder,
    },
    /// Its document is gone, so that any process may have changed the store.
    #[error("the lease on the store {0} was removed")]
    Removed(String),
    /// The store cannot be migrated.
    #[error(transparent)]
    Migration(#[from] OpenError),
    /// The store failed.
    #[error("the store {store} cannot be used: {error}")]
    Store {
        /// The store.
        store: String,
        /// How it failed.
        error: StoreError,
    },
}
