//! Whether commands can be served: the lease, the store, the bus, and the end.
//! Does not execute them.

use std::sync::atomic::Ordering;

use super::{Service, store_error};
use crate::model::Error;
use crate::store::StoreError;

impl Service {
    /// Whether commands can be served: queries the store.
    ///
    /// # Errors
    /// `Unavailable`, with the reason.
    pub async fn ready(&self) -> Result<(), Error> {
        self.is_open()?;
        let lease = || self.store.check_lease();
        lease().map_err(|error| no_lease(&error))?;
        let answer = self.store.ping().await;
        // It may have found that the files of the store were moved.
        lease().map_err(|error| no_lease(&error))?;
        answer.map_err(store_error)?;
        if !self.trust.hears_itself() {
            return Err(Error::unavailable("this node is cut off from the others"));
        }
        Ok(())
    }

    /// From now on every command is refused as `Unavailable`; those that have begun continue.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    fn is_open(&self) -> Result<(), Error> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::unavailable("the server is shutting down"));
        }
        Ok(())
    }

    /// Returns once a command may be served: not without the lease, since another process may
    /// change the store then. One that has lapsed is waited for, as is any answer of the store.
    pub(super) async fn serves(&self) -> Result<(), Error> {
        self.is_open()?;
        if self.store.check_lease().is_ok() {
            return Ok(());
        }
        let lease = self.store.await_lease().await;
        lease.map_err(|error| no_lease(&error))
    }
}

/// The error of a command while the lease is not held.
fn no_lease(error: &StoreError) -> Error {
    Error::unavailable(error.to_string())
}
