//! The lease of this process on a store: takes it at the start, renews it while the process runs,
//! releases it at the end.
//! Does not judge whether a lease is alive: the store does.

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use rustix::system::uname;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::store::lease::{Holder, LIFETIME, LeaseState, Process};
use crate::store::{Store, StoreError};

/// How long after one renewal the next one begins: several may fail before the lease lapses.
const BEAT: Duration = Duration::from_secs(1);

/// How long after one attempt to take the lease the next one begins.
const RETRY: Duration = Duration::from_millis(250);

/// How long a lease that is not renewed may delay a start: a little longer than it lasts.
const PATIENCE: Duration = LIFETIME.saturating_add(Duration::from_secs(3));

/// How long the release may take; after that the lease lapses.
const RELEASE: Duration = Duration::from_secs(2);

/// A lease that this process has taken, and renews until it is released.
pub struct Lease {
    store: Arc<dyn Store>,
    tasks: TaskTracker,
    released: CancellationToken,
    lost: oneshot::Receiver<LeaseError>,
}

/// Why a process does not have the lease, in one sentence for the operator.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Another process renews it.
    #[error(
        "the store {store} cannot be used: another polychat is using it ({holder}), and several \
         servers on one store are not supported yet"
    )]
    InUse {
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
    /// The store failed.
    #[error("the store {store} cannot be used: {error}")]
    Store {
        /// The store.
        store: String,
        /// How it failed.
        error: StoreError,
    },
}

impl Lease {
    /// Takes the lease for this process, which runs this subcommand. Waits as long as the process
    /// that holds it may be a killed one.
    ///
    /// # Errors
    /// [`LeaseError::InUse`] as soon as another process renews it; [`LeaseError::Store`].
    pub async fn take(store: &Arc<dyn Store>, command: &str) -> Result<Self, LeaseError> {
        let mut waiting: Option<Waiting> = None;
        loop {
            let holder = match Self::try_take(store, command).await? {
                Ok(lease) => return Ok(lease),
                Err(holder) => holder,
            };
            match &waiting {
                None => {
                    info!("waiting for the lease on {} of {holder}", store.describe());
                    waiting = Some(Waiting::begin(holder));
                }
                Some(waiting) if waiting.is_over(&holder) => {
                    let store = store.describe();
                    return Err(LeaseError::InUse { store, holder });
                }
                Some(_) => {}
            }
            sleep(RETRY).await;
        }
    }

    /// Takes the lease for this process, or answers the one that holds it.
    ///
    /// # Errors
    /// [`LeaseError::Store`].
    pub async fn try_take(
        store: &Arc<dyn Store>,
        command: &str,
    ) -> Result<Result<Self, Holder>, LeaseError> {
        let failed = |error| LeaseError::Store {
            store: store.describe(),
            error,
        };
        match store.take_lease(&this(command)).await.map_err(failed)? {
            LeaseState::Own => Ok(Ok(Self::renewed(store))),
            LeaseState::Other(holder) => Ok(Err(holder)),
            LeaseState::Free => Err(LeaseError::Removed(store.describe())),
        }
    }

    /// Renews the lease from now on.
    fn renewed(store: &Arc<dyn Store>) -> Self {
        let (losing, lost) = oneshot::channel();
        let (tasks, released) = (TaskTracker::new(), CancellationToken::new());
        let (renewed, stop) = (Arc::clone(store), released.clone());
        tasks.spawn(async move {
            tokio::select! {
                error = renew(&*renewed) => {
                    // The process may be ending.
                    let _ = losing.send(error);
                }
                () = stop.cancelled() => {}
            }
        });
        Self {
            store: Arc::clone(store),
            tasks,
            released,
            lost,
        }
    }

    /// Returns once the lease is not this process's any more.
    pub async fn lost(&mut self) -> LeaseError {
        match (&mut self.lost).await {
            Ok(error) => error,
            // It is renewed until it is released, which takes `self`.
            Err(_) => std::future::pending().await,
        }
    }

    /// Releases the lease after the last write. A failure is logged: then the lease lapses.
    pub async fn release(self) {
        self.released.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        match timeout(RELEASE, self.store.release_lease()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(%error, "the lease on the store was not released"),
            Err(_) => warn!("the lease on the store was not released in time"),
        }
    }
}

/// Renews the lease until another process has taken it.
async fn renew(store: &dyn Store) -> LeaseError {
    let mut failing = false;
    loop {
        sleep(BEAT).await;
        match store.renew_lease().await {
            Ok(LeaseState::Own) => {
                if mem::take(&mut failing) {
                    info!("the lease on the store is renewed again");
                }
            }
            Ok(LeaseState::Other(holder)) => {
                let store = store.describe();
                return LeaseError::Taken { store, holder };
            }
            Ok(LeaseState::Free) => return LeaseError::Removed(store.describe()),
            Err(error) => {
                if !mem::replace(&mut failing, true) {
                    warn!(%error, "the lease on the store cannot be renewed");
                }
            }
        }
    }
}

/// The lease of another process, as it was seen first.
struct Waiting {
    first: Holder,
    begun: Instant,
}

impl Waiting {
    fn begin(first: Holder) -> Self {
        Self {
            first,
            begun: Instant::now(),
        }
    }

    /// Whether the lease was renewed or taken by another process since, or does not lapse.
    fn is_over(&self, now: &Holder) -> bool {
        self.first != *now || self.begun.elapsed() > PATIENCE
    }
}

/// This process.
fn this(command: &str) -> Process {
    Process {
        command: command.to_owned(),
        host: uname().nodename().to_string_lossy().into_owned(),
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

#[cfg(test)]
#[path = "lease_tests.rs"]
mod tests;
