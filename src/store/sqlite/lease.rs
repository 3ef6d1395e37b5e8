//! The lease on a file is its lock, taken before the file is opened, as long as its files are in place.
//! Does not store anything: a lock that the kernel holds is never out of date.

use async_trait::async_trait;

use super::Sqlite;
use crate::store::StoreError;
use crate::store::lease::{LeaseState, Leasing, Process};

#[async_trait]
impl Leasing for Sqlite {
    async fn take_lease(&self, _: &Process) -> Result<LeaseState, StoreError> {
        Ok(LeaseState::Own)
    }

    async fn renew_lease(&self) -> Result<LeaseState, StoreError> {
        self.check_files().await.map(|()| LeaseState::Own)
    }

    async fn release_lease(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn check_lease(&self) -> Result<(), StoreError> {
        self.files.as_ref().map_or(Ok(()), |files| files.verdict())
    }

    async fn await_lease(&self) -> Result<(), StoreError> {
        self.check_lease()
    }
}
