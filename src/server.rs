//! The wiring: opens the store and the bus, builds service, relay, hub and gateways, serves,
//! and takes it all down in order.
//! Does not implement behaviour that a client could observe.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use futures_util::future::join_all;
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::auth::{Authenticator, KeyError};
use crate::bus::{Bus, Local};
use crate::config::{AuthMode, Config, CopyOptions, SocketIo};
use crate::copy::{self, Copied, Target};
use crate::gateway::state::GatewayState;
use crate::gateway::tcp::{GuardedListener, TcpHandle};
use crate::gateway::{self, Gateway, MetricsAddress};
use crate::hub::{Hub, OutboxLimits};
use crate::limits;
use crate::model::Clock;
use crate::relay::Relay;
use crate::service::{Limits, Service};
use crate::store::{self, Store};
use crate::telemetry::{LogFormat, Metrics};

/// How long requests that are under way may still take once no message waits for the store.
const SETTLE: Duration = Duration::from_secs(2);

/// The backlog of the listener: after a restart all clients connect at once, and a SYN without room
/// is repeated after a second. The kernel's `net.core.somaxconn` bounds it.
const BACKLOG: u32 = 4096;

/// How long clients may take to read their queued frames at the end.
const DRAIN: Duration = Duration::from_secs(5);

/// Serves until a signal to stop.
///
/// # Errors
/// Why it could not start, in one sentence.
pub async fn run(config: Config) -> anyhow::Result<()> {
    let mode = config.auth_mode()?;
    let origins = config.origins(mode)?;
    let authenticator = authenticator(&config, mode)?;
    let warnings = authenticator.warnings();
    let mut signals = Signals::listen()?;
    let listeners = Listeners::bind(&config)?;
    let store = store::open(&config.store).await?;

    let parts = Parts::assemble(&config, store, authenticator);
    let settings = gateway::Settings {
        zone: config.timezone.clone(),
        frame_bytes: config.max_frame_bytes,
        socketio: match config.socketio {
            SocketIo::Socketioxide => gateway::SocketIo::Socketioxide,
            SocketIo::Native => gateway::SocketIo::Native,
        },
        metrics: listeners.metrics_address(),
    };
    let gateway = Gateway::new(&parts.state, &origins, settings);
    for warning in warnings {
        warn!("{warning}");
    }
    announce(&config, mode, &listeners, &parts.store.describe())?;
    let serving = listeners.serve(&parts, &gateway);

    signals.next().await;
    info!("shutting down");
    let ended = tokio::time::timeout(config.shutdown_timeout, parts.end(&gateway, serving));
    tokio::select! {
        ended = ended => match ended {
            Ok(closed) => closed.context("the store did not close")?,
            Err(_) => bail!("not everything ended within {:?}", config.shutdown_timeout),
        },
        () = signals.next() => bail!("a second signal: ended at once"),
    }
    info!("stopped");
    Ok(())
}

/// Listens, with a large backlog.
fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Checks the combination of options, without using the store.
///
/// # Errors
/// The error, in one sentence.
pub fn check(config: &Config) -> anyhow::Result<()> {
    let mode = config.auth_mode()?;
    config.origins(mode)?;
    authenticator(config, mode)?;
    Ok(())
}

/// Copies one store into another.
///
/// # Errors
/// Why that cannot be, in one sentence.
pub async fn copy(options: &CopyOptions) -> anyhow::Result<Copied> {
    if options.from == options.to {
        bail!("--from and --to are the same store");
    }
    let from = store::open(&options.from).await.context("--from")?;
    let to = store::open(&options.to).await.context("--to")?;
    let target = if options.resume {
        Target::Resumed
    } else {
        Target::Empty
    };
    let copied = copy::copy(&*from, &*to, target).await?;
    to.close().await?;
    from.close().await?;
    Ok(copied)
}

/// Where the server can be reached.
struct Listeners {
    clients: TcpListener,
    /// For the metrics, if they have an address of their own.
    metrics: Option<TcpListener>,
}

impl Listeners {
    fn bind(config: &Config) -> anyhow::Result<Self> {
        let bind = |address| listen(address).with_context(|| format!("cannot listen on {address}"));
        Ok(Self {
            clients: bind(config.listen)?,
            metrics: config.metrics_listen.map(bind).transpose()?,
        })
    }

    fn metrics_address(&self) -> MetricsAddress {
        match self.metrics {
            Some(_) => MetricsAddress::Own,
            None => MetricsAddress::Shared,
        }
    }

    /// Serves until the server stops accepting requests.
    fn serve(self, parts: &Parts, gateway: &Gateway) -> Vec<JoinHandle<std::io::Result<()>>> {
        let router = gateway.router.clone();
        let router = router.into_make_service_with_connect_info::<TcpHandle>();
        let (limits, metrics) = (&parts.state.limits, &parts.state.metrics);
        let clients = GuardedListener::new(self.clients, Arc::clone(limits), metrics.clone());
        let clients = axum::serve(clients, router)
            .with_graceful_shutdown(parts.stop_accepting.clone().cancelled_owned());
        let mut serving = vec![parts.tasks.spawn(clients.into_future())];
        if let Some(listener) = self.metrics {
            let router = Gateway::metrics_router(parts.state.metrics.clone());
            let serving_metrics = axum::serve(listener, router)
                .with_graceful_shutdown(parts.stop_accepting.clone().cancelled_owned());
            serving.push(parts.tasks.spawn(serving_metrics.into_future()));
        }
        serving
    }
}

/// The tasks behind the gateways.
struct Parts {
    state: GatewayState,
    store: Arc<dyn Store>,
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
    fn assemble(config: &Config, store: Arc<dyn Store>, authenticator: Authenticator) -> Self {
        let metrics = Metrics::of_server(env!("CARGO_PKG_VERSION"), store::kind(&config.store));
        let store = store::instrumented(store, metrics.clone());
        let bus: Arc<dyn Bus> = Arc::new(Local::default());
        let limits = Limits {
            message_bytes: config.max_message_bytes,
            members: config.max_members,
            chats: config.limits.max_chats_per_user.value(),
        };
        let clock = Clock::system();
        let (service, committer) = Service::new(
            Arc::clone(&store),
            Arc::clone(&bus),
            clock.clone(),
            limits,
            metrics.clone(),
        );
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
        };
        let relay = Relay {
            bus: Arc::clone(&bus),
            hub: Arc::clone(&state.hub),
            messages: Arc::<dyn Store>::clone(&store),
            chats: Arc::<dyn Store>::clone(&store),
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
            bus,
            tasks,
            stop_committing,
            stop_accepting: CancellationToken::new(),
        }
    }

    /// Stops in this order: readiness, new connections, pending requests and their notices, the
    /// connections, the store.
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
        self.store.close().await
    }
}

fn authenticator(config: &Config, mode: AuthMode) -> anyhow::Result<Authenticator> {
    match mode {
        AuthMode::Open => Ok(Authenticator::open()),
        AuthMode::Jwt => {
            let secret = config.keys.secret()?;
            let files = config.keys.files()?;
            let built = Authenticator::jwt(secret.as_ref(), &files);
            built.map_err(|error| match error {
                KeyError::NoKey => anyhow!(
                    "--auth jwt needs --jwt-secret, --jwt-secret-file or --jwt-keys (it is the \
                     default where others can reach the address)"
                ),
                KeyError::File { number, fault } => {
                    let path = config.keys.jwt_keys.get(number - 1);
                    let path = path.map(|path| path.display().to_string());
                    anyhow!("--jwt-keys {} {fault}", path.unwrap_or_default())
                }
                KeyError::EmptySecret => anyhow!(error),
            })
        }
    }
}

/// Prints the address of the server and first steps: for people as text, for machines as a log
/// line.
fn announce(
    config: &Config,
    mode: AuthMode,
    listeners: &Listeners,
    store: &str,
) -> anyhow::Result<()> {
    let address = listeners.clients.local_addr()?;
    let metrics = listeners.metrics.as_ref().map(TcpListener::local_addr);
    let metrics = metrics.transpose()?;
    let metrics = metrics.map(|address| format!("http://{address}/metrics"));
    let auth = match mode {
        AuthMode::Open => "open",
        AuthMode::Jwt => "jwt",
    };
    if config.log_format == LogFormat::Json {
        info!(%address, store, auth, metrics, "listening on http://{address}");
        if mode == AuthMode::Open {
            warn!("open authentication: anyone who can connect may act as any user");
        }
        return Ok(());
    }
    let version = env!("CARGO_PKG_VERSION");
    let mut text = format!(
        "polychat {version} listening on http://{address}\n  store  {store}\n  auth   {auth}\n"
    );
    if let Some(metrics) = metrics {
        let _ = writeln!(text, "  metrics {metrics}");
    }
    if mode == AuthMode::Open {
        text.push_str(
            "  WARNING: anyone who can connect may act as any user; for production: --auth jwt\n",
        );
    }
    text.push_str(match mode {
        AuthMode::Open => "Try it:  npm install socket.io-client, then\n",
        AuthMode::Jwt => {
            "Try it:  polychat token --user anna --jwt-secret ... prints a token for \
             auth: {token}\n"
        }
    });
    if mode == AuthMode::Open {
        let port = address.port();
        let _ = writeln!(
            text,
            "  node -e 'const s = require(\"socket.io-client\")(\"http://127.0.0.1:{port}\"); \
             s.emit(\"create-user\", {{user: {{externalUserId: \"anna\"}}}}, console.log)'"
        );
    }
    text.push_str("Stop with Ctrl-C. Every option: polychat --help\n");
    // Standard output may be closed.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(())
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

#[cfg(test)]
mod tests {
    use futures_util::future::try_join_all;
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn a_crowd_that_comes_at_once_finds_room_while_nobody_is_taken() {
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let crowd = try_join_all((0..400).map(|_| TcpStream::connect(address)));
        let crowd = tokio::time::timeout(Duration::from_secs(20), crowd).await;
        // Not a matter of speed: a connection beyond the backlog waits until one is accepted.
        assert_eq!(crowd.expect("room").expect("connections").len(), 400);
    }
}
