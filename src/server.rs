//! The wiring: opens the store and the bus, builds service, relay, hub and gateways, serves,
//! and takes it all down in order.
//! Does not implement behaviour that a client could observe.

mod banner;
mod checks;
#[cfg(test)]
mod gauges_tests;
mod listeners;
mod nodes;
mod offline;
mod shutdown;

use std::sync::Arc;

use anyhow::{Context, anyhow};
use jiff::Timestamp;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::info;

pub use self::checks::{check, check_ports};
use self::listeners::{Listeners, Sockets};
use self::nodes::Node;
pub use self::nodes::check_bus;
pub use self::offline::{copy, export, import};
use self::shutdown::{Signals, Stop};
use crate::auth::{Authenticator, KeyError};
use crate::bus::Bus;
use crate::config::{AuthMode, Config, Drain, KeyOptions, SocketIo};
use crate::gateway::closing::Closing;
use crate::gateway::state::GatewayState;
use crate::gateway::{self, Gateway};
use crate::hub::{Hub, OutboxLimits};
use crate::lease::Lease;
use crate::limits::{self, Hosts, Origins};
use crate::model::{Caller, Clock};
use crate::relay::Relay;
use crate::service::{Committer, Limits, Numbering, Service};
use crate::store::{self, Store};
use crate::telemetry::Metrics;

/// Serves until a signal to stop, or until the lease on the store is lost to a process that needs it alone.
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
        drain,
    } = Admission::of(&config)?;
    let mut signals = Signals::listen()?;
    let sockets = Sockets::bind(&config)?;
    let store = store::connect(&config.store).await.context("--store")?;
    let mut lease = tokio::select! {
        lease = Lease::share(&store) => lease?,
        _ = signals.next() => return Ok(()),
    };
    let clock = Clock::system();
    let opened = async {
        lease.migrate().await?;
        let bus = nodes::open(&config, &*store, &lease, &clock).await?;
        anyhow::Ok((sockets.listen()?, bus))
    };
    let (listeners, bus) = match opened.await {
        Ok(opened) => opened,
        Err(error) => {
            lease.release().await;
            return Err(error);
        }
    };

    let mut parts = Parts::assemble(&config, store, Node { lease, bus }, authenticator, clock);
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
    let stop = parts.until(&mut signals).await;
    let limits = Arc::clone(&parts.state.limits);
    let drain = match stop {
        Ok(Stop::Terminate) => drain,
        Ok(Stop::Interrupt) | Err(_) => config.shutdown.given(),
    };
    let timeout = config.shutdown.shutdown_timeout;
    let ended = tokio::time::timeout(timeout, parts.end(&gateway, serving, stop, drain));
    let ended = tokio::select! {
        ended = ended => ended.unwrap_or_else(|_| Err(anyhow!("not everything ended within {timeout:?}"))),
        _ = signals.next() => Err(anyhow!("a second signal: ended at once")),
    };
    limits.sum_up_refusals();
    ended.inspect(|()| info!("stopped"))
}

/// Which requests are served, by the options.
struct Admission {
    mode: AuthMode,
    authenticator: Authenticator,
    origins: Origins,
    hosts: Hosts,
    /// On the address of the metrics, which need no token there in any mode.
    metrics_hosts: Hosts,
    /// How the connections end at SIGTERM.
    drain: Drain,
}

impl Admission {
    fn of(config: &Config) -> anyhow::Result<Self> {
        let mode = config.auth_mode()?;
        let metrics = config.metrics_listen.unwrap_or(config.listen);
        config.check_addresses()?;
        Ok(Self {
            mode,
            origins: config.web.origins(mode)?,
            hosts: config.web.hosts(config.listen, mode)?,
            metrics_hosts: config.web.hosts(metrics, AuthMode::Open)?,
            authenticator: authenticator(config, mode)?,
            drain: config.shutdown.drain(store::is_shared(&config.store))?,
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
        node: Node,
        authenticator: Authenticator,
        clock: Clock,
    ) -> Self {
        let bus = Arc::clone(&node.bus);
        let (version, kind) = (env!("CARGO_PKG_VERSION"), store::kind(&config.store));
        let metrics = Metrics::of_server(version, kind, node.figures());
        let store = store::instrumented(store, metrics.clone());
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
            closing: Closing::default(),
            metrics: metrics.clone(),
            log_requests: config.log_requests,
        };
        let relay = Relay {
            bus: Arc::clone(&bus),
            hub: Arc::clone(&state.hub),
            messages: Arc::<dyn Store>::clone(&store),
            chats: Arc::<dyn Store>::clone(&store),
            events: Arc::<dyn Store>::clone(&store),
            remote: state.service.remote(),
            clock: state.clock.clone(),
            outbox: state.outbox,
            metrics,
        };
        let (tasks, stop_committing) = (TaskTracker::new(), CancellationToken::new());
        tasks.spawn(Arc::clone(&state.limits).keep_clean(state.closing.all()));
        node.follow(&tasks);
        Self {
            committing: tasks.spawn(committer.run(stop_committing.clone())),
            relaying: tasks.spawn(relay.run()),
            state,
            store,
            lease: node.lease,
            bus,
            tasks,
            stop_committing,
            stop_accepting: CancellationToken::new(),
        }
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
        KeyError::EmptySecret | KeyError::ShortSecret => {
            anyhow!(error).context(if keys.jwt_secret.is_some() {
                "--jwt-secret"
            } else {
                "--jwt-secret-file"
            })
        }
    })
}
