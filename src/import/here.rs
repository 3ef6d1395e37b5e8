//! Imports into a store of this process: the service without any gateway.
//! Does not open the store.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Target;
use crate::bus::{Bus, News};
use crate::model::{
    Command, Error, ErrorKind, Identity, ImportRecord, ImportRefusal, Imported, Reply, Rights,
};
use crate::service::{Committer, Service};

/// The host application as the caller.
const HOST: Identity = Identity {
    user: None,
    rights: Rights::Service,
    connection: None,
    request: None,
};

/// How many notices are dropped at a time.
const NOTICES: usize = 1024;

/// A service that is used by this process alone.
pub struct Here {
    service: Service,
    bus: Arc<dyn Bus>,
    stop: CancellationToken,
    tasks: TaskTracker,
    committing: JoinHandle<()>,
}

impl Here {
    /// Runs the committer of this service. Nobody hears what it publishes.
    pub fn new(service: Service, committer: Committer, bus: Arc<dyn Bus>) -> Self {
        let stop = CancellationToken::new();
        let published = Arc::clone(&bus);
        let tasks = TaskTracker::new();
        tasks.spawn(async move { while !matches!(published.next(NOTICES).await, News::Closed) {} });
        tasks.close();
        Self {
            service,
            bus,
            committing: tasks.spawn(committer.run(stop.clone())),
            tasks,
            stop,
        }
    }

    /// Writes what is queued, and ends.
    pub async fn end(self) {
        self.service.close();
        self.stop.cancel();
        // The outcome of each record was answered already.
        let _ = self.committing.await;
        self.bus.close();
        self.tasks.wait().await;
    }
}

#[async_trait]
impl Target for Here {
    async fn send(
        &self,
        records: Vec<ImportRecord>,
    ) -> Result<Vec<Result<Imported, ImportRefusal>>, Error> {
        match self
            .service
            .execute(&HOST, Command::Import(records))
            .await?
        {
            Reply::Imported(outcomes) => Ok(outcomes),
            _ => Err(Error::new(ErrorKind::Internal, "another reply")),
        }
    }
}
