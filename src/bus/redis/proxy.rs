//! A proxy before a redis-server, which can freeze its connections, lead elsewhere, and speak TLS.
//! Does not know what passes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

/// A proxy that runs as long as this.
pub(super) struct Proxy {
    port: u16,
    target: Arc<AtomicU16>,
    frozen: watch::Sender<()>,
    _accepting: AbortOnDropHandle<()>,
}

impl Proxy {
    /// Leads to this port; clients speak TLS with it if there is an acceptor.
    pub(super) fn start(target: u16, tls: Option<TlsAcceptor>) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a socket");
        let listener = TcpListener::from_std(listener).expect("a runtime");
        let port = listener.local_addr().expect("an address").port();
        let target = Arc::new(AtomicU16::new(target));
        let frozen = watch::Sender::new(());
        let (leads_to, is_frozen) = (Arc::clone(&target), frozen.subscribe());
        let accepting = TaskTracker::new().spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (client, _) = listener.accept().await.expect("a connection");
                let port = leads_to.load(Ordering::SeqCst);
                let mut is_frozen = is_frozen.clone();
                is_frozen.mark_unchanged();
                let tls = tls.clone();
                connections.spawn(async move {
                    match tls {
                        None => forward(client, port, is_frozen).await,
                        Some(tls) => {
                            // A client that refuses the certificate ends the connection.
                            if let Ok(client) = tls.accept(client).await {
                                forward(client, port, is_frozen).await;
                            }
                        }
                    }
                });
            }
        });
        Self {
            port,
            target,
            frozen,
            _accepting: AbortOnDropHandle::new(accepting),
        }
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Leads connections that come from now on to another port.
    pub(super) fn lead_to(&self, port: u16) {
        self.target.store(port, Ordering::SeqCst);
    }

    /// Keeps the present connections open, but forwards nothing more on them.
    pub(super) fn freeze(&self) {
        self.frozen.send_replace(());
    }
}

/// Forwards both ways until one side ends.
async fn forward(
    mut client: impl AsyncRead + AsyncWrite + Unpin,
    port: u16,
    mut is_frozen: watch::Receiver<()>,
) {
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await else {
        return;
    };
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => {}
        _ = is_frozen.changed() => std::future::pending().await,
    }
}
