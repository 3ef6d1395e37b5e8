//! The end of the server: the signals, the drain, and the order in which the parts end.
//! Does not know how they begin.

use std::time::Duration;

use anyhow::Context;
use futures_util::future::join_all;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tracing::{error, info};

use super::Parts;
use crate::config::Drain;
use crate::gateway::Gateway;
use crate::lease::LeaseError;

/// How long requests that are under way may still take once no message waits for the store.
const SETTLE: Duration = Duration::from_secs(2);

/// How long clients may take to read their queued frames at the end.
const DRAIN: Duration = Duration::from_secs(5);

/// The signal that stops the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// SIGTERM: a supervisor ends the server.
    Terminate,
    /// SIGINT: somebody pressed Ctrl-C.
    Interrupt,
}

/// The signals that stop the server.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(super) fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Returns at the next of either.
    pub(super) async fn next(&mut self) -> Stop {
        tokio::select! {
            _ = self.terminate.recv() => Stop::Terminate,
            _ = self.interrupt.recv() => Stop::Interrupt,
        }
    }
}

impl Parts {
    /// Returns at a signal to stop, or once the lease is lost.
    pub(super) async fn until(&mut self, signals: &mut Signals) -> Result<Stop, LeaseError> {
        tokio::select! {
            stop = signals.next() => {
                info!("shutting down");
                Ok(stop)
            }
            lost = self.lease.lost() => {
                error!("shutting down: {lost}");
                Err(lost)
            }
        }
    }

    /// Stops in this order: readiness, new connections, the connections as `drain` has it, pending
    /// requests and their notices, the connections that are left, the lease, the store.
    ///
    /// # Errors
    /// The lease is lost, before or meanwhile, or the store did not close.
    pub(super) async fn end(
        mut self,
        gateway: &Gateway,
        serving: Vec<JoinHandle<std::io::Result<()>>>,
        stop: Result<Stop, LeaseError>,
        drain: Drain,
    ) -> anyhow::Result<()> {
        gateway.refuse_new_connections();
        let drained = match stop {
            Ok(stop) => self.drain(gateway, stop, drain).await,
            // Another process has had the store alone: nothing can be served.
            Err(lost) => Err(lost),
        };
        gateway.refuse_requests();
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
        let closed = self.store.close().await;
        drained?;
        closed.context("the store did not close")
    }

    /// Serves the connections on for a while, and closes them one after the other.
    ///
    /// # Errors
    /// The lease was lost meanwhile.
    async fn drain(
        &mut self,
        gateway: &Gateway,
        stop: Stop,
        Drain { delay, spread }: Drain,
    ) -> Result<(), LeaseError> {
        let closing = &self.state.closing;
        let drained = async {
            let delay = tokio::time::sleep(delay);
            match stop {
                // Requests without a connection are served, too.
                Stop::Terminate => delay.await,
                Stop::Interrupt => tokio::select! {
                    () = delay => {}
                    () = gateway.drained() => {}
                },
            }
            if !spread.is_zero() {
                tokio::select! {
                    () = closing.spread(spread) => {}
                    () = gateway.drained() => {}
                }
            }
        };
        tokio::select! {
            () = drained => Ok(()),
            lost = self.lease.lost() => {
                error!("the drain ends: {lost}");
                Err(lost)
            }
        }
    }
}
