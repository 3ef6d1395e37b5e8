//! The addresses of the server: bound first, so that an occupied one is found at once; listening
//! once the store can be used.
//! Does not know what is served.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::anyhow;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinHandle;

use super::Parts;
use crate::config::Config;
use crate::gateway::tcp::{GuardedListener, TcpHandle};
use crate::gateway::{Gateway, MetricsAddress};
use crate::limits::Hosts;

/// The backlog of the listener: after a restart all clients connect at once, and a SYN without room
/// is repeated after a second. The kernel's `net.core.somaxconn` bounds it.
const BACKLOG: u32 = 4096;

/// Reserves an address.
pub(super) fn bind(address: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Listens, with a large backlog.
fn listen(socket: TcpSocket) -> std::io::Result<TcpListener> {
    socket.listen(BACKLOG)
}

/// The addresses of the server, before anything can connect to them.
pub(super) struct Sockets {
    clients: (SocketAddr, TcpSocket),
    /// For the metrics, if they have an address of their own.
    metrics: Option<(SocketAddr, TcpSocket)>,
}

impl Sockets {
    pub(super) fn bind(config: &Config) -> anyhow::Result<Self> {
        Ok(Self {
            clients: reserve("--listen", config.listen)?,
            metrics: config
                .metrics_listen
                .map(|address| reserve("--metrics-listen", address))
                .transpose()?,
        })
    }

    pub(super) fn listen(self) -> anyhow::Result<Listeners> {
        let listen = |option, (address, socket)| {
            listen(socket).map_err(|error| cannot_listen(option, address, error))
        };
        Ok(Listeners {
            clients: listen("--listen", self.clients)?,
            metrics: self
                .metrics
                .map(|socket| listen("--metrics-listen", socket))
                .transpose()?,
        })
    }
}

/// Reserves the address of an option.
fn reserve(option: &str, address: SocketAddr) -> anyhow::Result<(SocketAddr, TcpSocket)> {
    match bind(address) {
        Ok(socket) => Ok((address, socket)),
        Err(error) => Err(cannot_listen(option, address, error)),
    }
}

fn cannot_listen(option: &str, address: SocketAddr, error: std::io::Error) -> anyhow::Error {
    anyhow!(error).context(format!("{option}: cannot listen on {address}"))
}

/// Where the server can be reached.
pub(super) struct Listeners {
    pub(super) clients: TcpListener,
    /// For the metrics, if they have an address of their own.
    pub(super) metrics: Option<TcpListener>,
}

impl Listeners {
    pub(super) fn metrics_address(&self) -> MetricsAddress {
        match self.metrics {
            Some(_) => MetricsAddress::Own,
            None => MetricsAddress::Shared,
        }
    }

    /// Serves until the server stops accepting requests.
    pub(super) fn serve(
        self,
        parts: &Parts,
        gateway: &Gateway,
        metrics_hosts: Hosts,
    ) -> Vec<JoinHandle<std::io::Result<()>>> {
        let router = gateway.router.clone();
        let router = router.into_make_service_with_connect_info::<TcpHandle>();
        let (limits, metrics) = (&parts.state.limits, &parts.state.metrics);
        let clients = GuardedListener::new(self.clients, Arc::clone(limits), metrics.clone());
        let clients = axum::serve(clients, router)
            .with_graceful_shutdown(parts.stop_accepting.clone().cancelled_owned());
        let mut serving = vec![parts.tasks.spawn(clients.into_future())];
        if let Some(listener) = self.metrics {
            let router = Gateway::metrics_router(parts.state.metrics.clone(), metrics_hosts);
            let serving_metrics = axum::serve(listener, router)
                .with_graceful_shutdown(parts.stop_accepting.clone().cancelled_owned());
            serving.push(parts.tasks.spawn(serving_metrics.into_future()));
        }
        serving
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::future::try_join_all;
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn a_crowd_that_comes_at_once_finds_room_while_nobody_is_taken() {
        let socket = bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        let listener = listen(socket).expect("a listener");
        let address = listener.local_addr().expect("an address");
        let crowd = try_join_all((0..400).map(|_| TcpStream::connect(address)));
        let crowd = tokio::time::timeout(Duration::from_secs(20), crowd).await;
        // Not a matter of speed: a connection beyond the backlog waits until one is accepted.
        assert_eq!(crowd.expect("room").expect("connections").len(), 400);
    }
}
