//! The lease of this process on a store: takes it at the start, renews it while the process runs,
//! releases it at the end.
//! Does not judge whether a lease is alive: the store does.

mod error;

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use rustix::system::uname;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

pub use self::error::LeaseError;
use crate::model::NodeId;
use crate::store::lease::{Held, Holder, LIFETIME, LeaseState, Mode, Process};
use crate::store::transfer::Unfinished;
use crate::store::{OpenError, Store, StoreError};

/// How long after one renewal the next one begins: several may fail before the lease lapses.
const BEAT: Duration = Duration::from_secs(1);

/// How long after one attempt to take the lease the next one begins.
const RETRY: Duration = Duration::from_millis(250);

/// How long a lease that is not renewed, or a migration, may delay a start: a little longer than the lease lasts.
const PATIENCE: Duration = LIFETIME.saturating_add(Duration::from_secs(3));

/// How long the release may take; after that the lease lapses.
const RELEASE: Duration = Duration::from_secs(2);

/// A server, as its lease names it.
const SERVER: &str = "serve";

/// The same while it has the lease alone: it shares it soon, unlike any other that has it alone.
const MIGRATING: &str = "serve (migrating)";

/// A lease that this process has taken, and renews until it is released.
pub struct Lease {
    store: Arc<dyn Store>,
    mode: Mode,
    nodes: Arc<watch::Sender<Nodes>>,
    tasks: TaskTracker,
    released: CancellationToken,
    lost: oneshot::Receiver<LeaseError>,
}

/// The nodes that share the lease, as the latest renewal has found them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nodes {
    /// Their ids in order, that of this one among them if it serves.
    pub live: Vec<NodeId>,
    /// How many times this node's lease has lapsed and was taken again: each time what it caches may be out of date.
    pub lapses: u64,
}

/// For what a process takes the lease.
#[derive(Clone, Copy)]
enum Purpose<'a> {
    /// To serve.
    Serve,
    /// To run this subcommand.
    Command(&'a str),
}

impl<'a> Purpose<'a> {
    /// What is taken for it now.
    async fn wanted(self, store: &dyn Store) -> Result<(&'a str, Mode), OpenError> {
        Ok(match self {
            Self::Command(command) => (command, Mode::Exclusive),
            Self::Serve if store.is_current().await? => (SERVER, Mode::Shared),
            Self::Serve => (MIGRATING, Mode::Exclusive),
        })
    }

    fn refused(self, store: &dyn Store, mode: Mode, holder: Holder) -> LeaseError {
        let store = store.describe();
        match (self, mode) {
            (Self::Command(command), _) => LeaseError::NotAlone {
                store,
                holder,
                command: command.to_owned(),
            },
            (Self::Serve, Mode::Exclusive) => LeaseError::NotMigrated { store, holder },
            (Self::Serve, Mode::Shared) => LeaseError::InUse { store, holder },
        }
    }
}

impl Lease {
    /// Takes the lease for a server: with other nodes, or alone if the schema has to be migrated. In either
    /// case [`Lease::migrate`] comes next. Waits as long as a process that is in the way may be a killed one, or
    /// migrates.
    ///
    /// # Errors
    /// [`LeaseError::InUse`] or [`LeaseError::NotMigrated`] as soon as a process in the way renews it;
    /// [`LeaseError::Migration`]; [`LeaseError::Store`].
    pub async fn share(store: &Arc<dyn Store>) -> Result<Self, LeaseError> {
        Self::wait(store, Purpose::Serve).await
    }

    /// Takes the lease for this process alone, which runs this subcommand. Waits as in [`Lease::share`].
    ///
    /// # Errors
    /// [`LeaseError::NotAlone`] as soon as another process renews it; [`LeaseError::Store`].
    pub async fn take(store: &Arc<dyn Store>, command: &str) -> Result<Self, LeaseError> {
        Self::wait(store, Purpose::Command(command)).await
    }

    async fn wait(store: &Arc<dyn Store>, purpose: Purpose<'_>) -> Result<Self, LeaseError> {
        let mut waiting: Option<Waiting> = None;
        loop {
            let (command, mode) = purpose.wanted(&**store).await?;
            let holder = match Self::attempt(store, command, mode).await? {
                Ok(lease) => return Ok(lease),
                Err(holder) => holder,
            };
            match &mut waiting {
                None => {
                    info!("waiting for the lease on {} of {holder}", store.describe());
                    waiting = Some(Waiting::begin(holder));
                }
                Some(waiting) => {
                    if waiting.is_over(&holder) {
                        return Err(purpose.refused(&**store, mode, holder));
                    }
                }
            }
            sleep(RETRY).await;
        }
    }

    /// Takes the lease for this process alone, or answers the others that hold it: one at least.
    ///
    /// # Errors
    /// [`LeaseError::Store`].
    pub async fn try_take(
        store: &Arc<dyn Store>,
        command: &str,
    ) -> Result<Result<Self, Vec<Holder>>, LeaseError> {
        let holder = match Self::attempt(store, command, Mode::Exclusive).await? {
            Ok(lease) => return Ok(Ok(lease)),
            Err(holder) => holder,
        };
        let holders = store.lease_holders().await;
        let holders = holders.map_err(|error| failed(&**store, error))?;
        // They may have released it since.
        Ok(Err(if holders.is_empty() {
            vec![holder]
        } else {
            holders
        }))
    }

    /// Takes the lease, or answers a process in the way.
    async fn attempt(
        store: &Arc<dyn Store>,
        command: &str,
        mode: Mode,
    ) -> Result<Result<Self, Holder>, LeaseError> {
        let taken = store.take_lease(&this(command), mode).await;
        match taken.map_err(|error| failed(&**store, error))? {
            LeaseState::Own(held) => Ok(Ok(Self::renewed(store, mode, held))),
            LeaseState::Other(holder) => Ok(Err(holder)),
            LeaseState::Free => Err(LeaseError::Removed(store.describe())),
        }
    }

    /// Renews the lease from now on.
    fn renewed(store: &Arc<dyn Store>, mode: Mode, held: Held) -> Self {
        let (losing, lost) = oneshot::channel();
        let (tasks, released) = (TaskTracker::new(), CancellationToken::new());
        let nodes = Arc::new(watch::Sender::new(Nodes {
            live: held.nodes,
            lapses: 0,
        }));
        let renewal = Renewal {
            store: Arc::clone(store),
            nodes: Arc::clone(&nodes),
            released: released.clone(),
        };
        tasks.spawn(async move {
            if let Some(error) = renewal.run().await {
                // The process may be ending.
                let _ = losing.send(error);
            }
        });
        Self {
            store: Arc::clone(store),
            mode,
            nodes,
            tasks,
            released,
            lost,
        }
    }

    /// Migrates the store, and shares the lease from then on.
    ///
    /// # Errors
    /// [`LeaseError::Migration`]; or the lease was lost meanwhile.
    pub async fn migrate(&mut self) -> Result<(), LeaseError> {
        self.store.migrate(Unfinished::Refused).await?;
        if self.mode == Mode::Shared {
            return Ok(());
        }
        let store = &*self.store;
        let shared = store.take_lease(&this(SERVER), Mode::Shared).await;
        match shared.map_err(|error| failed(store, error))? {
            LeaseState::Own(held) => note(&self.nodes, held),
            LeaseState::Other(holder) => {
                let store = store.describe();
                return Err(LeaseError::Taken { store, holder });
            }
            LeaseState::Free => return Err(LeaseError::Removed(store.describe())),
        }
        self.mode = Mode::Shared;
        Ok(())
    }

    /// The nodes that share the lease, and each change of them.
    pub fn nodes(&self) -> watch::Receiver<Nodes> {
        self.nodes.subscribe()
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
        let released = async {
            // A renewal that arrives after the release would take the lease again.
            self.tasks.wait().await;
            self.store.release_lease().await
        };
        match timeout(RELEASE, released).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(%error, "the lease on the store was not released"),
            Err(_) => warn!("the lease on the store was not released in time"),
        }
    }
}

fn failed(store: &dyn Store, error: StoreError) -> LeaseError {
    LeaseError::Store {
        store: store.describe(),
        error,
    }
}

/// Passes on what a renewal has found, if that is another than before.
fn note(nodes: &watch::Sender<Nodes>, held: Held) {
    nodes.send_if_modified(|nodes| {
        let is_other = held.lapsed || nodes.live != held.nodes;
        nodes.live = held.nodes;
        nodes.lapses += u64::from(held.lapsed);
        is_other
    });
}

/// The task that renews a lease.
struct Renewal {
    store: Arc<dyn Store>,
    nodes: Arc<watch::Sender<Nodes>>,
    released: CancellationToken,
}

impl Renewal {
    /// Renews the lease until another process has taken it; `None`: it was released.
    async fn run(self) -> Option<LeaseError> {
        let mut failing = false;
        loop {
            tokio::select! {
                () = sleep(BEAT) => {}
                () = self.released.cancelled() => return None,
            }
            match self.store.renew_lease().await {
                Ok(LeaseState::Own(held)) => {
                    if mem::take(&mut failing) {
                        info!("the lease on the store is renewed again");
                    }
                    if held.lapsed {
                        warn!("the lease on the store had lapsed, and is taken again");
                    }
                    note(&self.nodes, held);
                }
                Ok(LeaseState::Other(holder)) => {
                    let store = self.store.describe();
                    return Some(LeaseError::Taken { store, holder });
                }
                Ok(LeaseState::Free) => return Some(LeaseError::Removed(self.store.describe())),
                Err(error) => {
                    if !mem::replace(&mut failing, true) {
                        warn!(%error, "the lease on the store cannot be renewed");
                    }
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

    /// Whether a lease in the way was renewed or taken since by a process that keeps it, or does not lapse.
    fn is_over(&mut self, now: &Holder) -> bool {
        let migrates = |holder: &Holder| holder.process.command == MIGRATING;
        if self.begun.elapsed() > PATIENCE {
            return true;
        }
        if migrates(&self.first) || migrates(now) {
            // Once it has migrated this process may need the lease in another mode.
            self.first = now.clone();
            return false;
        }
        now.until > self.first.until
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
