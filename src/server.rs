//! The wiring: opens the store and the bus, builds service, relay, hub and gateways, serves,
//! and takes it all down in order.
//! Does not implement behaviour that a client could observe.

mod banner;
#[cfg(test)]
mod gauges_tests;
mod listeners;
mod offline;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info};

use self::listeners::{Listeners, Sockets};
pub use self::offline::{copy, export, import};
use crate::auth::{Authenticator, KeyError};
use crate::bus::{Bus, Local};
use crate::config::{AuthMode, Config, KeyOptions, SocketIo};
use crate::gateway::state::GatewayState;
use crate::gateway::{self, Gateway};
use crate::hub::{Hub, OutboxLimits};
use crate::lease::{Lease, LeaseError};
use crate::limits::{self, Hosts, Origins};
use crate::model::{Caller, Clock};
use crate::relay::Relay;
use crate::service::{Committer, Limits, Numbering, Service};
use crate::store::transfer::Unfinished;
use crate::store::{self, Store};
use crate::telemetry::Metrics;

/// How long requests that are under way may still take once no message waits for the store.
const SETTLE: Duration = Duration::from_secs(2);

/// How long clients may take to read their queued frames at the end.
const DRAIN: Duration = Duration::from_secs(5);

/// Serves until a signal to stop, or until another process has taken the lease on the store.
///
/// # Errors
/// Why it could not start or had to end, in one sentence.
pub async fn run(config: Config) -> anyhow::Result<()> {
    let Admission {
        mode,
        authenticator,
        origins,
        hosts,
        metrics_hosts,
    } = Admission::of(&config)?;
    let mut signals = Signals::listen()?;
    let sockets = Sockets::bind(&config)?;
    let store = store::connect(&config.store).await?;
    let lease = tokio::select! {
        lease = Lease::take(&store, "serve") => lease?,
        () = signals.next() => return Ok(()),
    };
    let listeners = match open(&*store, sockets).await {
        Ok(listeners) => listeners,
        Err(error) => {
            lease.release().await;
            return Err(error);
        }
    };

    let mut parts = Parts::assemble(&config, store, lease, authenticator);
    let settings = gateway::Settings {
        hosts,
        zone: config.timezone.clone(),
        frame_bytes: config.max_frame_bytes,
        socketio: match config.socketio {
            SocketIo::Socketioxide => gateway::SocketIo::Socketioxide,
            SocketIo::Native => gateway::SocketIo::Native,
        },
        metrics: listeners.metrics_address(),
    };
    let gateway = Gateway::new(&parts.state, &origins, settings);
    let Listeners { clients, metrics } = &listeners;
    let store = parts.store.describe();
    banner::announce(&config, mode, &origins, clients, metrics.as_ref(), &store)?;
    let serving = listeners.serve(&parts, &gateway, metrics_hosts);

    let lost = parts.until(&mut signals).await;
    let limits = Arc::clone(&parts.state.limits);
    let ended = tokio::time::timeout(config.shutdown_timeout, parts.end(&gateway, serving));
    let ended = tokio::select! {
        ended = ended => match ended {
            Ok(closed) => closed.context("the store did not close"),
            Err(_) => Err(anyhow!("not everything ended within {:?}", config.shutdown_timeout)),
        },
        () = signals.next() => Err(anyhow!("a second signal: ended at once")),
    };
    limits.sum_up_refusals();
    match lost {
        Some(lost) => Err(lost.into()),
        None => ended.inspect(|()| info!("stopped")),
    }
}

/// Migrates the store, and listens.
async fn open(store: &dyn Store, sockets: Sockets) -> anyhow::Result<Listeners> {
    store.migrate(Unfinished::Refused).await?;
    sockets.listen()
}

/// Checks the combination of options, without using the store.
///
/// # Errors
/// The error, in one sentence.
pub fn check(config: &Config) -> anyhow::Result<()> {
    Admission::of(config).map(drop)
}

/// Which requests are served, by the options.
struct Admission {
    mode: AuthMode,
    authenticator: Authenticator,
    origins: Origins,
    hosts: Hosts,
    /// On the address of the metrics, which need no token there in any mode.
    metrics_hosts: Hosts,
}

impl Admission {
    fn of(config: &Config) -> anyhow::Result<Self> {
        let mode = config.auth_mode()?;
        let metrics = config.metrics_listen.unwrap_or(config.listen);
        Ok(Self {
            mode,
            origins: config.web.origins(mode)?,
            hosts: config.web.hosts(config.listen, mode)?,
            metrics_hosts: config.web.hosts(metrics, AuthMode::Open)?,
            authenticator: authenticator(config, mode)?,
        })
    }
}

/// The limits of sizes.
fn limits_of(config: &Config) -> Limits {
    Limits {
        message_bytes: config.max_message_bytes,
        members: config.max_members,
        chats: config.limits.max_chats_per_user.value(),
    }
}

/// The service with these options, and its committer.
fn service(
    config: &Config,
    store: &Arc<dyn Store>,
    bus: &Arc<dyn Bus>,
    clock: &Clock,
    metrics: &Metrics,
) -> (Service, Committer) {
    let limits = limits_of(config);
    let (store, bus) = (Arc::clone(store), Arc::clone(bus));
    let (service, committer) = Service::new(store, bus, clock.clone(), limits, metrics.clone());
    let service = service.with_numbering(Numbering {
        from: config.numbers.own_numbers_from,
        external_ids: config.numbers.numeric_external_ids,
    });
    (service, committer)
}

/// The tasks behind the gateways.
struct Parts {
    state: GatewayState,
    store: Arc<dyn Store>,
    lease: Lease,
    bus: Arc<dyn Bus>,
    tasks: TaskTracker,
    committing: JoinHandle<()>,
    relaying: JoinHandle<()>,
    /// Cancelled: no message is taken into the queue any more.
    stop_committing: CancellationToken,
    /// Cancelled: no connection is accepted any more.
    stop_accepting: CancellationToken,
}

impl Parts {
    fn assemble(
        config: &Config,
        store: Arc<dyn Store>,
        lease: Lease,
        authenticator: Authenticator,
    ) -> Self {
        let metrics = Metrics::of_server(env!("CARGO_PKG_VERSION"), store::kind(&config.store));
        let store = store::instrumented(store, metrics.clone());
        let bus: Arc<dyn Bus> = Arc::new(Local::default());
        let clock = Clock::system();
        let (service, committer) = service(config, &store, &bus, &clock, &metrics);
        let state = GatewayState {
            service: Arc::new(service),
            hub: Arc::new(Hub::default()),
            authenticator: Arc::new(authenticator),
            clock,
            outbox: OutboxLimits {
                frames: config.max_outbox_messages,
                bytes: config.max_outbox_bytes,
            },
            limits: Arc::new(limits::Limits::new(config.limits.settings())),
            closing: CancellationToken::new(),
            metrics: metrics.clone(),
            log_requests: config.log_requests,
        };
        let relay = Relay {
            bus: Arc::clone(&bus),
            hub: Arc::clone(&state.hub),
            messages: Arc::<dyn Store>::clone(&store),
            chats: Arc::<dyn Store>::clone(&store),
            events: Arc::<dyn Store>::clone(&store),
            outbox: state.outbox,
            metrics,
        };
        let (tasks, stop_committing) = (TaskTracker::new(), CancellationToken::new());
        tasks.spawn(Arc::clone(&state.limits).keep_clean(state.closing.clone()));
        Self {
            committing: tasks.spawn(committer.run(stop_committing.clone())),
            relaying: tasks.spawn(relay.run()),
            state,
            store,
            lease,
            bus,
            tasks,
            stop_committing,
            stop_accepting: CancellationToken::new(),
        }
    }

    /// Returns at a signal to stop, or with the reason once the lease is lost.
    async fn until(&mut self, signals: &mut Signals) -> Option<LeaseError> {
        tokio::select! {
            () = signals.next() => {
                info!("shutting down");
                None
            }
            lost = self.lease.lost() => {
                error!("shutting down: {lost}");
                Some(lost)
            }
        }
    }

    /// Stops in this order: readiness, new connections, pending requests and their notices, the
    /// connections, the lease, the store.
    async fn end(
        self,
        gateway: &Gateway,
        serving: Vec<JoinHandle<std::io::Result<()>>>,
    ) -> Result<(), store::StoreError> {
        gateway.refuse_new_connections();
        self.state.service.close();
        self.stop_committing.cancel();
        let _ = self.committing.await;
        let _ = tokio::time::timeout(SETTLE, gateway.settled()).await;
        self.bus.close();
        let _ = self.relaying.await;
        self.state.closing.cancel();
        let _ = tokio::time::timeout(DRAIN, gateway.drained()).await;
        gateway.close();
        self.stop_accepting.cancel();
        let _ = tokio::time::timeout(DRAIN, join_all(serving)).await;
        self.lease.release().await;
        self.store.close().await
    }
}

/// The caller that a server with these keys takes the token for.
///
/// # Errors
/// What is wrong with it, or with the keys, in one sentence without either.
pub fn check_token(keys: &KeyOptions, token: &str, now: Timestamp) -> anyhow::Result<Caller> {
    let caller = jwt(keys)?.authenticate(Some(token), now);
    let caller = caller.context("the token is refused")?;
    caller.ok_or_else(|| anyhow!("no token was given"))
}

fn authenticator(config: &Config, mode: AuthMode) -> anyhow::Result<Authenticator> {
    match mode {
        AuthMode::Open => Ok(Authenticator::open()),
        AuthMode::Jwt => jwt(&config.keys),
    }
}

fn jwt(keys: &KeyOptions) -> anyhow::Result<Authenticator> {
    let secret = keys.secret()?;
    let files = keys.files()?;
    let built = Authenticator::jwt(secret.as_ref(), &files);
    built.map_err(|error| match error {
        KeyError::NoKey => anyhow!(
            "--auth jwt needs --jwt-secret, --jwt-secret-file or --jwt-keys (it is the \
                     default where others can reach the address)"
        ),
        KeyError::File { number, fault } => {
            let path = keys.jwt_keys.get(number - 1);
            let path = path.map(|path| path.display().to_string());
            anyhow!("--jwt-keys {} {fault}", path.unwrap_or_default())
        }
        KeyError::EmptySecret | KeyError::ShortSecret => anyhow!(error),
    })
}

/// The signals that stop the server.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Returns at the next of either.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
