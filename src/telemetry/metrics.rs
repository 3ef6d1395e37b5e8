//! Every metric of the server: its name, its unit, its help text, and how to update it.
//! Not a global: the wiring passes a clone to each module that counts.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry, Unit};
use strum::{EnumCount, IntoEnumIterator, VariantArray};
use tokio::time::Instant;

use super::bus::{Bus, BusFigures, Notices};
use super::histogram::Histogram;
use super::labels::{
    CloseReason, DialectLabel, OfBuild, OfCommand, OfConnection, OfDialect, OfError, OfOperation,
    OfReason, OfScope, OfStoreError,
};
use crate::model::{Command, ErrorKind};

/// The media type of [`Metrics::text`] (OpenMetrics 1.0).
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// All metrics; clones share the same values.
#[derive(Debug, Clone)]
pub struct Metrics(Arc<Families>);

#[derive(Debug)]
struct Families {
    registry: Registry,
    connections: Family<OfConnection, Gauge>,
    opened: Family<OfConnection, Counter>,
    refused_connections: Family<OfReason, Counter>,
    closed: Family<OfReason, Counter>,
    slow_clients_cut: Counter,
    commands: Family<OfCommand, Counter>,
    errors: Family<OfError, Counter>,
    /// Resolved once: a lookup in a family takes its lock, too slow for these rates.
    by_dialect: [DialectMetrics; DialectLabel::COUNT],
    stored: Counter,
    batches: Histogram,
    queue: Gauge,
    outboxes: Gauge,
    store: Histograms<OfOperation>,
    store_errors: Family<OfStoreError, Counter>,
    gap_messages: Counter,
    notices: Notices,
}

/// The metrics of one dialect.
#[derive(Debug)]
pub(super) struct DialectMetrics {
    pub(super) acknowledgement: Histogram,
    pub(super) delivery: Histogram,
    pub(super) deliveries: Counter,
}

/// The messages that were taken out of an outbox together.
#[derive(Debug, Clone, Copy)]
pub struct Taken {
    /// Since when the oldest of them was durable.
    pub oldest: Instant,
    /// How many they are.
    pub messages: u64,
}

/// As long as this lives, a message counts as waiting for the store.
#[derive(Debug)]
pub struct Queued(Gauge);

impl Drop for Queued {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Default for Metrics {
    /// Metrics without the build information, all 0.
    fn default() -> Self {
        Self::new(None)
    }
}

impl Metrics {
    /// Metrics of a server of this version on a store of this kind, and on a bus that has the figures of `bus` whenever
    /// it is called.
    pub fn of_server(
        version: &'static str,
        store: &str,
        bus: impl Fn() -> BusFigures + Send + Sync + 'static,
    ) -> Self {
        let store = store.to_owned();
        Self::new(Some((OfBuild { version, store }, Bus::new(bus))))
    }

    fn new(server: Option<(OfBuild, Bus)>) -> Self {
        let mut registry = Registry::default();
        #[cfg(target_os = "linux")]
        registry.register_collector(Box::new(super::process::Process::starting()));
        let mut names = Names(registry.sub_registry_with_prefix("polychat"));
        if let Some((build, bus)) = server {
            names.server(build, bus);
        }
        let latencies = names.latencies();
        let mut families = Families {
            connections: names.plain("connections", "Open connections"),
            opened: names.plain("connections_opened", "Connections opened"),
            refused_connections: names.plain("connections_refused", "Connections refused"),
            closed: names.plain("connections_closed", "Connections closed"),
            slow_clients_cut: names.plain(
                "slow_clients_cut",
                "Connections closed because their client did not keep up",
            ),
            commands: names.plain("commands", "Commands of clients"),
            errors: names.plain("errors", "Errors sent to clients"),
            by_dialect: latencies,
            stored: names.plain("messages_stored", "Messages stored"),
            batches: names.with_unit(
                "append_batch",
                "Messages stored by one write",
                Unit::Other("messages".into()),
                Histogram::of_messages(),
            ),
            queue: names.plain("append_queue", "Messages waiting for the store"),
            outboxes: names.with_unit(
                "outbox",
                "Bytes queued for all clients, or being written to them",
                Unit::Bytes,
                Gauge::default(),
            ),
            store: names.with_unit(
                "store",
                "Duration of calls of the store, successful or not",
                Unit::Seconds,
                Family::new_with_constructor(Histogram::of_seconds),
            ),
            store_errors: names.plain("store_errors", "Failed calls of the store"),
            gap_messages: names.plain(
                "relay_gap_messages",
                "Messages read from the store for delivery",
            ),
            notices: names.notices(),
            registry: Registry::default(),
        };
        families.begin_at_zero();
        families.registry = registry;
        Self(Arc::new(families))
    }

    /// All of them as OpenMetrics text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a string does not fail.
        let _ = text::encode(&mut text, &self.0.registry);
        text
    }

    /// Counts a connection that was refused for this reason.
    pub fn turned_away(&self, why: &'static str) {
        self.0.refused_connections.get_or_create(&reason(why)).inc();
    }

    /// Counts a command of a client.
    pub fn count_command(&self, dialect: DialectLabel, command: &Command) {
        let labels = OfCommand {
            dialect: dialect.name(),
            command: command.into(),
        };
        self.0.commands.get_or_create(&labels).inc();
    }

    /// Counts an error that a client receives.
    pub fn refused(&self, dialect: DialectLabel, kind: ErrorKind) {
        let labels = OfError {
            dialect: dialect.name(),
            code: kind.code(),
        };
        self.0.errors.get_or_create(&labels).inc();
    }

    /// A request that was read at this instant has stored a message, and is answered now.
    pub fn acknowledged(&self, dialect: DialectLabel, read: Instant) {
        self.of(dialect).acknowledgement.observe(read.elapsed());
    }

    /// The bytes in all outboxes; each outbox updates it.
    pub fn outboxes(&self) -> Gauge {
        self.0.outboxes.clone()
    }

    /// A message waits for the store, until what this returns is dropped.
    pub fn queued(&self) -> Queued {
        self.0.queue.inc();
        Queued(self.0.queue.clone())
    }

    /// So many messages go into the store by one write.
    pub fn batch(&self, messages: usize) {
        let messages = u32::try_from(messages).unwrap_or(u32::MAX);
        self.0.batches.observe_number(messages);
    }

    /// A message was stored that was not there before.
    pub fn stored(&self) {
        self.0.stored.inc();
    }

    /// So many messages were read from the store that the bus had not delivered.
    pub fn filled_holes(&self, messages: usize) {
        self.0.gap_messages.inc_by(messages as u64);
    }

    /// A notice of another node has come; `concerns`: it may concern a connection of this one.
    pub fn received_notice(&self, concerns: bool) {
        self.0.notices.received.inc();
        if concerns {
            self.0.notices.relevant.inc();
        }
    }

    /// Notices of other nodes may be lost: so much is compared with the store.
    pub fn resync(&self, scope: &'static str) {
        self.0
            .notices
            .resyncs
            .get_or_create(&OfScope { scope })
            .inc();
    }

    /// A call of the store has ended after this time.
    pub fn store_called(&self, operation: &'static str, time: Duration) {
        let labels = OfOperation { operation };
        self.0.store.get_or_create(&labels).observe(time);
    }

    /// A call of the store has failed.
    pub fn store_failed(&self, operation: &'static str, kind: &'static str) {
        let labels = OfStoreError { operation, kind };
        self.0.store_errors.get_or_create(&labels).inc();
    }

    pub(super) fn of(&self, dialect: DialectLabel) -> &DialectMetrics {
        &self.0.by_dialect[dialect as usize]
    }

    pub(super) fn connection_opened(&self, labels: &OfConnection) {
        self.0.connections.get_or_create(labels).inc();
        self.0.opened.get_or_create(labels).inc();
    }

    pub(super) fn connection_changed(&self, before: &OfConnection, after: &OfConnection) {
        self.0.connections.get_or_create(before).dec();
        self.0.connections.get_or_create(after).inc();
    }

    pub(super) fn connection_closed(&self, labels: &OfConnection, ending: CloseReason) {
        self.0.connections.get_or_create(labels).dec();
        self.0.closed.get_or_create(&reason(ending.into())).inc();
        if ending == CloseReason::Lagging {
            self.0.slow_clients_cut.inc();
        }
    }
}

impl Families {
    /// Creates the series of alerts with the value 0: Prometheus sees no increase in a new series.
    fn begin_at_zero(&self) {
        for labels in OfConnection::all() {
            drop(self.connections.get_or_create(&labels));
            drop(self.opened.get_or_create(&labels));
        }
        for why in [
            "unauthenticated",
            "unavailable",
            "rate_limited",
            "origin",
            "shutting_down",
        ] {
            drop(self.refused_connections.get_or_create(&reason(why)));
        }
        for ending in CloseReason::iter() {
            drop(self.closed.get_or_create(&reason(ending.into())));
        }
        for dialect in DialectLabel::VARIANTS {
            for kind in [ErrorKind::Internal, ErrorKind::Unavailable] {
                let (dialect, code) = (dialect.name(), kind.code());
                drop(self.errors.get_or_create(&OfError { dialect, code }));
            }
        }
        let (operation, kind) = ("append", "unavailable");
        let failed = OfStoreError { operation, kind };
        drop(self.store_errors.get_or_create(&failed));
        for scope in ["everything", "chats"] {
            drop(self.notices.resyncs.get_or_create(&OfScope { scope }));
        }
    }
}

fn reason(reason: &'static str) -> OfReason {
    OfReason { reason }
}

/// Registers metrics under their names.
struct Names<'a>(&'a mut Registry);

impl Names<'_> {
    fn plain<M: Metric + Clone + Default>(&mut self, name: &str, help: &str) -> M {
        let metric = M::default();
        self.0.register(name, help, metric.clone());
        metric
    }

    fn with_unit<M: Metric + Clone>(&mut self, name: &str, help: &str, unit: Unit, metric: M) -> M {
        self.0.register_with_unit(name, help, unit, metric.clone());
        metric
    }

    fn server(&mut self, build: OfBuild, bus: Bus) {
        let help = "The version of the server and the kind of its store";
        self.0.register("build", help, Info::new(build));
        self.0.register_collector(Box::new(bus));
    }

    fn notices(&mut self) -> Notices {
        Notices {
            received: self.plain("bus_received", "Notices of other nodes received"),
            relevant: self.plain(
                "bus_relevant",
                "Notices of other nodes that may concern a connection of this one",
            ),
            resyncs: self.plain(
                "resyncs",
                "Comparisons with the store because notices of other nodes may be lost",
            ),
        }
    }

    fn latencies(&mut self) -> [DialectMetrics; DialectLabel::COUNT] {
        let histograms =
            || -> Histograms<OfDialect> { Family::new_with_constructor(Histogram::of_seconds) };
        let acknowledgement = self.with_unit(
            "acknowledgement",
            "Time from reading a frame that sends a message to queueing its response",
            Unit::Seconds,
            histograms(),
        );
        let delivery = self.with_unit(
            "delivery",
            "Time from a message being durable to its write to a client; the messages of one write \
             count as its oldest",
            Unit::Seconds,
            histograms(),
        );
        let deliveries: Family<OfDialect, Counter> =
            self.plain("deliveries", "Messages written to clients");
        std::array::from_fn(|index| {
            let dialect = DialectLabel::VARIANTS[index].name();
            DialectMetrics {
                acknowledgement: acknowledgement.get_or_create_owned(&OfDialect { dialect }),
                delivery: delivery.get_or_create_owned(&OfDialect { dialect }),
                deliveries: deliveries.get_or_create_owned(&OfDialect { dialect }),
            }
        })
    }
}
