//! The bus as it is at the moment of a scrape, and the counts of what it brought from other nodes.
//! Does not know a bus: the wiring passes how its figures are read.

use std::fmt;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

use super::labels::OfScope;

/// What stands for owing everything.
const EVERYTHING: i64 = -1;

/// How a bus is, and what it has counted.
#[derive(Debug, Clone, Copy)]
pub struct BusFigures {
    /// How many nodes are heard, this one included.
    pub nodes: usize,
    /// How long a batch of this node takes there and back.
    pub lag: Duration,
    /// How many chats are owed to the others; `None`: everything is.
    pub owed: Option<usize>,
    /// How many notices were sent to the others.
    pub published: u64,
    /// How often batches of another node were missing.
    pub gaps: u64,
}

/// Counted as the notices of other nodes come.
#[derive(Debug)]
pub(super) struct Notices {
    pub(super) received: Counter,
    pub(super) relevant: Counter,
    pub(super) resyncs: Family<OfScope, Counter>,
}

/// Reads the figures of the bus.
pub(super) struct Bus(Box<dyn Fn() -> BusFigures + Send + Sync>);

impl Bus {
    pub(super) fn new(read: impl Fn() -> BusFigures + Send + Sync + 'static) -> Self {
        Self(Box::new(read))
    }
}

impl fmt::Debug for Bus {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0().fmt(out)
    }
}

impl Collector for Bus {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let figures = self.0();
        let mut encode = |name, help, unit: Option<Unit>, metric: &dyn EncodeMetric| {
            let kind = metric.metric_type();
            metric.encode(encoder.encode_descriptor(name, help, unit.as_ref(), kind)?)
        };
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        encode(
            "nodes",
            "Nodes that are heard, this one included",
            None,
            &ConstGauge::new(number(figures.nodes)),
        )?;
        encode(
            "bus_lag",
            "Time that a batch of this node takes to the bus and back",
            Some(Unit::Seconds),
            &ConstGauge::new(figures.lag.as_secs_f64()),
        )?;
        encode(
            "bus_owed",
            "Chats of which other nodes are yet to be told that they missed something; -1 for all",
            None,
            &ConstGauge::new(figures.owed.map_or(EVERYTHING, number)),
        )?;
        encode(
            "bus_published",
            "Notices sent to the other nodes",
            None,
            &ConstCounter::new(figures.published),
        )?;
        encode(
            "bus_gaps",
            "Times that batches of another node were missing",
            None,
            &ConstCounter::new(figures.gaps),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Metrics;

    #[test]
    fn a_scrape_has_the_figures_of_that_moment() {
        let owed = std::sync::Mutex::new([None, Some(3)].into_iter());
        let metrics = Metrics::of_server("1.2.3", "mongodb", move || BusFigures {
            nodes: 2,
            lag: Duration::from_millis(1500),
            owed: owed.lock().expect("not poisoned").next().expect("a scrape"),
            published: 7,
            gaps: 1,
        });
        metrics.received_notice(true);
        metrics.received_notice(false);
        metrics.resync("chats");
        let text = metrics.text();
        for line in [
            "polychat_nodes 2",
            "polychat_bus_lag_seconds 1.5",
            "polychat_bus_owed -1",
            "polychat_bus_published_total 7",
            "polychat_bus_gaps_total 1",
            "polychat_bus_received_total 2",
            "polychat_bus_relevant_total 1",
            "polychat_resyncs_total{scope=\"chats\"} 1",
            "polychat_resyncs_total{scope=\"everything\"} 0",
        ] {
            assert!(text.lines().any(|it| it == line), "{line}:\n{text}");
        }
        let text = metrics.text();
        assert!(text.contains("\npolychat_bus_owed 3\n"), "{text}");
    }
}
