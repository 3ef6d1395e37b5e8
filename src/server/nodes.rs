//! This node among those that use the store: its lease, its bus, and what the lease shows of the others.
//! Does not know what a bus carries.

use std::sync::Arc;

use anyhow::Context;
use secrecy::ExposeSecret;
use tokio::time::sleep;
use tokio_util::task::TaskTracker;
use tracing::info;

use crate::bus::{self, Bus, Local, Medium, News, RELIANCE};
use crate::config::{BusKind, Config};
use crate::lease::Lease;
use crate::model::{Clock, NodeId};
use crate::store::Store;
use crate::telemetry::BusFigures;

/// How this node takes part.
pub(super) struct Node {
    pub(super) lease: Lease,
    pub(super) bus: Arc<dyn Bus>,
}

/// Opens the bus of this node. Beside other nodes that takes as long as they may take to learn of this one: from then
/// on none of them uses what it has cached without hearing this one.
///
/// # Errors
/// Why it cannot be used, in one sentence.
pub(super) async fn open(
    config: &Config,
    store: &dyn Store,
    lease: &Lease,
    clock: &Clock,
) -> anyhow::Result<Arc<dyn Bus>> {
    let kind = config.bus()?;
    let place = store.describe();
    let Some(medium) = medium(&kind, &config.store, &place) else {
        return Ok(Arc::new(Local::default()));
    };
    let bus = bus::open(medium, store.node(), clock.clone());
    let bus = bus.await.context("--bus")?;
    let nodes = lease.nodes().borrow().live.clone();
    bus.expect(&nodes);
    if nodes.len() > 1 {
        info!(nodes = nodes.len(), "joining the other nodes");
        sleep(RELIANCE).await;
    }
    Ok(bus)
}

/// What carries the notices of a bus of this kind; `None`: nothing has to. `place` describes the store.
fn medium<'a>(kind: &'a BusKind, store: &'a str, place: &'a str) -> Option<Medium<'a>> {
    match kind {
        BusKind::Local => None,
        BusKind::Mongodb => Some(Medium::Mongodb(store)),
        BusKind::Redis(url) => Some(Medium::Redis {
            url: url.expose_secret(),
            database: place.rsplit('/').next().unwrap_or(place),
        }),
    }
}

/// Opens the bus as one node more, which hears itself, and closes it again. `place` describes the store. Returns a line
/// about it.
///
/// # Errors
/// Why it cannot be used, in one sentence.
pub async fn check_bus(config: &Config, place: &str) -> anyhow::Result<String> {
    let kind = config.bus()?;
    let Some(medium) = medium(&kind, &config.store, place) else {
        return Ok(format!("bus      {kind}"));
    };
    let clock = Clock::system();
    let bus = bus::open(medium, NodeId::new(clock.now()), clock).await;
    let bus = bus.context("--bus")?;
    bus.close();
    // Until the others have been sent that this node ends.
    while !matches!(bus.next(usize::MAX).await, News::Closed) {}
    Ok(format!("bus      ok: {kind}"))
}

impl Node {
    /// How the figures of the bus are read.
    pub(super) fn figures(&self) -> impl Fn() -> BusFigures + use<> {
        let bus = Arc::clone(&self.bus);
        move || {
            let health = bus.health();
            BusFigures {
                nodes: health.nodes,
                lag: health.lag,
                owed: health.owed,
                published: health.published,
                gaps: health.gaps,
            }
        }
    }

    /// Lets the bus know of each change of the nodes, until the lease is released.
    pub(super) fn follow(&self, tasks: &TaskTracker) {
        let (mut nodes, bus) = (self.lease.nodes(), Arc::clone(&self.bus));
        tasks.spawn(async move {
            loop {
                let live = nodes.borrow_and_update().live.clone();
                bus.expect(&live);
                if nodes.changed().await.is_err() {
                    return;
                }
            }
        });
    }
}
