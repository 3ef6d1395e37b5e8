//! Every figure of the server: its name, its unit, what it says, and how to count it.
//! It refuses to be global: whoever counts was handed its clone by the wiring.

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

use super::histogram::Histogram;
use super::labels::{
    CloseReason, DialectLabel, OfBuild, OfCommand, OfConnection, OfDialect, OfError, OfOperation,
    OfReason, OfStoreError,
};
use crate::model::{Command, ErrorKind};

/// What [`Metrics::text`] is (OpenMetrics 1.0).
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// All figures; clones count into the same.
#[derive(Debug, Clone)]
pub struct Metrics(Arc<Figures>);

#[derive(Debug)]
struct Figures {
    registry: Registry,
    connections: Family<OfConnection, Gauge>,
    opened: Family<OfConnection, Counter>,
    turned_away: Family<OfReason, Counter>,
    closed: Family<OfReason, Counter>,
    slow_clients_cut: Counter,
    commands: Family<OfCommand, Counter>,
    errors: Family<OfError, Counter>,
    /// What is counted so often that a look into a family, under its lock, would be too much.
    by_dialect: [OfOne; DialectLabel::COUNT],
    stored: Counter,
    batches: Histogram,
    queue: Gauge,
    outboxes: Gauge,
    store: Histograms<OfOperation>,
    store_errors: Family<OfStoreError, Counter>,
    holes_filled: Counter,
}

/// The figures of one dialect.
#[derive(Debug)]
pub(super) struct OfOne {
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
    /// Figures of a server that has done nothing, and does not say what it is.
    fn default() -> Self {
        Self::new(None)
    }
}

impl Metrics {
    /// Figures of a server of this version on a store of this kind.
    pub fn of_server(version: &'static str, store: &str) -> Self {
        let store = store.to_owned();
        Self::new(Some(OfBuild { version, store }))
    }

    fn new(build: Option<OfBuild>) -> Self {
        let mut registry = Registry::default();
        #[cfg(target_os = "linux")]
        registry.register_collector(Box::new(super::process::Process));
        let mut names = Names(registry.sub_registry_with_prefix("polychat"));
        if let Some(build) = build {
            let build = Info::new(build);
            names.0.register("build", "What this is", build);
        }
        let latencies = names.latencies();
        let mut figures = Figures {
            connections: names.plain("connections", "Connections that are open"),
            opened: names.plain("connections_opened", "Connections that were opened"),
            turned_away: names.plain("connections_refused", "Connections that were refused"),
            closed: names.plain("connections_closed", "Connections that have ended"),
            slow_clients_cut: names.plain(
                "slow_clients_cut",
                "Connections that were cut off because their client did not keep up",
            ),
            commands: names.plain("commands", "What clients asked for"),
            errors: names.plain("errors", "Errors that clients were told of"),
            by_dialect: latencies,
            stored: names.plain("messages_stored", "Messages that were stored"),
            batches: names.with_unit(
                "append_batch",
                "How many messages were stored by one write",
                Unit::Other("messages".into()),
                Histogram::of_messages(),
            ),
            queue: names.plain("append_queue", "Messages that wait for the store"),
            outboxes: names.with_unit(
                "outbox",
                "What waits to be sent to all clients",
                Unit::Bytes,
                Gauge::default(),
            ),
            store: names.with_unit(
                "store",
                "How long calls of the store took, whatever came of them",
                Unit::Seconds,
                Family::new_with_constructor(Histogram::of_seconds),
            ),
            store_errors: names.plain("store_errors", "Calls of the store that failed"),
            holes_filled: names.plain(
                "relay_holes_filled",
                "Messages that were read from the store for delivery",
            ),
            registry: Registry::default(),
        };
        figures.begin_at_zero();
        figures.registry = registry;
        Self(Arc::new(figures))
    }

    /// All of them as OpenMetrics text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // A text takes everything.
        let _ = text::encode(&mut text, &self.0.registry);
        text
    }

    /// A client was not let in, for this reason.
    pub fn turned_away(&self, why: &'static str) {
        self.0.turned_away.get_or_create(&reason(why)).inc();
    }

    /// A client asks for this.
    pub fn asked(&self, spoken: DialectLabel, command: &Command) {
        let labels = OfCommand {
            dialect: spoken.name(),
            command: command.into(),
        };
        self.0.commands.get_or_create(&labels).inc();
    }

    /// A client is told of an error.
    pub fn refused(&self, spoken: DialectLabel, kind: ErrorKind) {
        let labels = OfError {
            dialect: spoken.name(),
            code: kind.code(),
        };
        self.0.errors.get_or_create(&labels).inc();
    }

    /// What was read at this moment has sent a message, and is answered now.
    pub fn acknowledged(&self, spoken: DialectLabel, read: Instant) {
        self.of(spoken).acknowledgement.observe(read.elapsed());
    }

    /// What waits for all clients, in bytes: whoever keeps an outbox counts.
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

    /// So many messages were read from the store since the bus had not brought them.
    pub fn filled_holes(&self, messages: usize) {
        self.0.holes_filled.inc_by(messages as u64);
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

    pub(super) fn of(&self, spoken: DialectLabel) -> &OfOne {
        &self.0.by_dialect[spoken as usize]
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

impl Figures {
    /// What an alert may wait for stands there from the start: an increase from nothing is none
    /// to Prometheus.
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
            drop(self.turned_away.get_or_create(&reason(why)));
        }
        for ending in CloseReason::iter() {
            drop(self.closed.get_or_create(&reason(ending.into())));
        }
        for spoken in DialectLabel::VARIANTS {
            for kind in [ErrorKind::Internal, ErrorKind::Unavailable] {
                let (dialect, code) = (spoken.name(), kind.code());
                drop(self.errors.get_or_create(&OfError { dialect, code }));
            }
        }
        let (operation, kind) = ("append", "unavailable");
        let failed = OfStoreError { operation, kind };
        drop(self.store_errors.get_or_create(&failed));
    }
}

fn reason(reason: &'static str) -> OfReason {
    OfReason { reason }
}

/// Where figures get their names.
struct Names<'a>(&'a mut Registry);

impl Names<'_> {
    fn plain<M: Metric + Clone + Default>(&mut self, name: &str, says: &str) -> M {
        let metric = M::default();
        self.0.register(name, says, metric.clone());
        metric
    }

    fn with_unit<M: Metric + Clone>(&mut self, name: &str, says: &str, unit: Unit, metric: M) -> M {
        self.0.register_with_unit(name, says, unit, metric.clone());
        metric
    }

    fn latencies(&mut self) -> [OfOne; DialectLabel::COUNT] {
        let histograms =
            || -> Histograms<OfDialect> { Family::new_with_constructor(Histogram::of_seconds) };
        let acknowledgement = self.with_unit(
            "acknowledgement",
            "From reading a frame that sends a message to its answer lying in the outbox",
            Unit::Seconds,
            histograms(),
        );
        let delivery = self.with_unit(
            "delivery",
            "From a message being durable to it being written to a client; the messages of one \
             write count as its oldest",
            Unit::Seconds,
            histograms(),
        );
        let deliveries: Family<OfDialect, Counter> =
            self.plain("deliveries", "Messages that were written to a client");
        std::array::from_fn(|index| {
            let dialect = DialectLabel::VARIANTS[index].name();
            OfOne {
                acknowledgement: acknowledgement.get_or_create_owned(&OfDialect { dialect }),
                delivery: delivery.get_or_create_owned(&OfDialect { dialect }),
                deliveries: deliveries.get_or_create_owned(&OfDialect { dialect }),
            }
        })
    }
}
