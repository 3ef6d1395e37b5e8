//! The service as the server runs it, over a SQLite store in memory, for tests and fuzz targets:
//! store, bus, service and committer, without gateway and hub.
//! Does not know dialects and transports.

use std::sync::Arc;

use futures_util::FutureExt;
use jiff::Timestamp;
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

use crate::bus::{Bus, Local, News};
use crate::model::{
    Clock, Command, ConnectionId, Error, Identity, Notice, Profile, Reply, Rights, User, UserId,
};
use crate::service::{Committer, Limits, Service};
use crate::store::{self, Store};
use crate::telemetry::Metrics;

#[cfg(test)]
pub(crate) use crate::store::Scratch;

const LIMITS: Limits = Limits {
    message_bytes: 64 * 1024,
    members: 1000,
    chats: None,
};

/// How many notices the local bus holds.
const NOTICES: usize = 4096;

/// The host application as the caller.
pub const HOST: Identity = Identity {
    user: None,
    rights: Rights::Service,
    connection: None,
    request: None,
};

/// This user on this connection.
pub const fn identity(user: UserId, connection: ConnectionId) -> Identity {
    Identity {
        user: Some(user),
        rights: Rights::Own,
        connection: Some(connection),
        request: None,
    }
}

/// A service with its parts.
pub struct Backend {
    /// An empty store in memory at first.
    pub store: Arc<dyn Store>,
    /// The bus on which the service publishes; it has no reader yet.
    pub bus: Arc<dyn Bus>,
    /// The service.
    pub service: Arc<Service>,
    /// Its metrics.
    pub metrics: Metrics,
}

impl Backend {
    /// A service over an empty store, and its committer, which has to be run.
    ///
    /// # Panics
    /// The store cannot be opened.
    pub async fn open(clock: Clock) -> (Self, Committer) {
        let store = store::open("sqlite::memory:").await.expect("a store");
        Self::over(store, Metrics::default(), clock)
    }

    /// The same over this store.
    pub fn over(store: Arc<dyn Store>, metrics: Metrics, clock: Clock) -> (Self, Committer) {
        Self::on(Arc::new(Local::default()), store, metrics, clock)
    }

    /// The same on this bus.
    pub fn on(
        bus: Arc<dyn Bus>,
        store: Arc<dyn Store>,
        metrics: Metrics,
        clock: Clock,
    ) -> (Self, Committer) {
        let (service, committer) = Service::new(
            Arc::clone(&store),
            Arc::clone(&bus),
            clock,
            LIMITS,
            metrics.clone(),
        );
        let backend = Self {
            store,
            bus,
            service: Arc::new(service),
            metrics,
        };
        (backend, committer)
    }

    /// The user of this external id, created if there is none.
    ///
    /// # Panics
    /// The service refuses.
    #[cfg(test)]
    pub async fn user(&self, external_id: &str, profile: Profile) -> Arc<User> {
        let create = Command::CreateUser {
            pk: None,
            external_id: Some(external_id.to_owned()),
            profile,
        };
        match self.service.execute(&HOST, create).await {
            Ok(Reply::User(user)) => Arc::new(user),
            other => panic!("{other:?}"),
        }
    }
}

/// A [`Backend`] with a fixed clock and a runtime of its own, for code that does not wait.
pub struct BlockingBackend {
    clock: Clock,
    backend: Backend,
    runtime: Runtime,
}

impl BlockingBackend {
    /// A service over an empty store, whose clock stands at `at`.
    ///
    /// # Panics
    /// There is no runtime or no store.
    pub fn open(at: Timestamp) -> Self {
        let runtime = Builder::new_current_thread().enable_time().build();
        let runtime = runtime.expect("a runtime");
        let clock = Clock::fixed(at);
        let (backend, committer) = runtime.block_on(Backend::open(clock.clone()));
        // It runs while something is awaited, and ends with the runtime.
        runtime.spawn(committer.run(CancellationToken::new()));
        Self {
            clock,
            backend,
            runtime,
        }
    }

    /// Moves the clock.
    #[cfg(test)]
    pub fn set_time(&self, at: Timestamp) {
        self.clock.set(at);
    }

    /// The service itself.
    #[cfg(test)]
    pub fn service(&self) -> Arc<Service> {
        Arc::clone(&self.backend.service)
    }

    /// Waits for what uses the service.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// Executes a command.
    ///
    /// # Errors
    /// Those of [`Service::execute`].
    pub fn execute(&self, identity: &Identity, command: Command) -> Result<Reply, Error> {
        self.block_on(self.backend.service.execute(identity, command))
    }

    /// The notices that were published since they were last taken.
    pub fn notices(&self) -> Vec<Arc<Notice>> {
        let next = async { self.backend.bus.next(NOTICES).now_or_never() };
        self.block_on(next).map(News::local).unwrap_or_default()
    }

    /// The user of this external id, created if there is none.
    #[cfg(test)]
    pub fn user(&self, external_id: &str, profile: Profile) -> Arc<User> {
        self.block_on(self.backend.user(external_id, profile))
    }

    /// Writes records that the service would not: with given ids, past events.
    pub fn store<T>(&self, write: impl AsyncFnOnce(&dyn Store) -> T) -> T {
        self.block_on(write(&*self.backend.store))
    }
}
