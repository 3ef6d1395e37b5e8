//! The lease on a file is its lock, taken before the file is opened, as long as its files are in place.
//! Does not store anything: a lock that the kernel holds is never out of date.

use async_trait::async_trait;

use super::Sqlite;
use crate::model::NodeId;
use crate::store::StoreError;
use crate::store::lease::{Held, Holder, LeaseState, Leasing, Mode, Process};

impl Sqlite {
    /// The lease, which this process has as long as it has the file open.
    fn held(&self) -> LeaseState {
        LeaseState::Own(Held {
            nodes: vec![self.node],
            lapsed: false,
        })
    }
}

#[async_trait]
impl Leasing for Sqlite {
    fn node(&self) -> NodeId {
        self.node
    }

    async fn take_lease(&self, _: &Process, _: Mode) -> Result<LeaseState, StoreError> {
        Ok(self.held())
    }

    async fn renew_lease(&self) -> Result<LeaseState, StoreError> {
        self.check_files().await.map(|()| self.held())
    }

    async fn release_lease(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn lease_holders(&self) -> Result<Vec<Holder>, StoreError> {
        Ok(Vec::new())
    }

    fn check_lease(&self) -> Result<(), StoreError> {
        self.files.as_ref().map_or(Ok(()), |files| files.verdict())
    }

    async fn await_lease(&self) -> Result<(), StoreError> {
        self.check_lease()
    }
}
