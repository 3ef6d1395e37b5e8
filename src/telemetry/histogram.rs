//! A histogram of fixed buckets that is counted into without a lock: that of
//! `prometheus-client` takes one each time, and deliveries are too many for that.
//! Does not know the quantity that is measured.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};

/// How many micros there are in a unit.
const MICROS: u64 = 1_000_000;

/// The same as a divisor.
const UNIT: f64 = 1e6;

/// The upper bounds of the buckets for times, in seconds.
const SECONDS: [f64; 16] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0,
];

/// The same for numbers of messages.
const MESSAGES: [f64; 11] = [
    1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0,
];

/// How often values fell between which bounds; clones count into the same.
///
/// A scrape reads one number after another while other threads count: the sum may include
/// values that the buckets do not have yet. The count is always that of the buckets.
#[derive(Debug, Clone)]
pub struct Histogram(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    bounds: &'static [f64],
    /// One for each bound, and one for what is above all of them.
    buckets: Box<[AtomicU64]>,
    /// In micros, so that it can be added to without a lock.
    sum: AtomicU64,
}

impl Histogram {
    /// Of times, from a tenth of a millisecond to ten seconds.
    pub fn of_seconds() -> Self {
        Self::new(&SECONDS)
    }

    /// Of numbers of messages.
    pub fn of_messages() -> Self {
        Self::new(&MESSAGES)
    }

    fn new(bounds: &'static [f64]) -> Self {
        let buckets = std::iter::repeat_with(AtomicU64::default).take(bounds.len() + 1);
        Self(Arc::new(Inner {
            bounds,
            buckets: buckets.collect(),
            sum: AtomicU64::new(0),
        }))
    }

    /// Counts a time.
    pub fn observe(&self, time: Duration) {
        self.observe_many(time, 1);
    }

    /// Counts something that took this long so many times over.
    pub fn observe_many(&self, time: Duration, times: u64) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.count(time.as_secs_f64(), micros, times);
    }

    /// Counts a number of messages.
    pub fn observe_number(&self, number: u32) {
        self.count(f64::from(number), u64::from(number) * MICROS, 1);
    }

    fn count(&self, value: f64, micros: u64, times: u64) {
        let inner = &self.0;
        let bucket = inner.bounds.partition_point(|bound| *bound < value);
        inner.buckets[bucket].fetch_add(times, Ordering::Relaxed);
        let sum = micros.saturating_mul(times);
        inner.sum.fetch_add(sum, Ordering::Relaxed);
    }
}

impl TypedMetric for Histogram {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for Histogram {
    fn encode(&self, mut encoder: MetricEncoder) -> Result<(), std::fmt::Error> {
        let inner = &self.0;
        let bounds = inner.bounds.iter().copied().chain([f64::INFINITY]);
        let counts = inner
            .buckets
            .iter()
            .map(|bucket| bucket.load(Ordering::Relaxed));
        let buckets: Vec<_> = bounds.zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        #[expect(
            clippy::cast_precision_loss,
            reason = "a sum of years may be off by a microsecond"
        )]
        let sum = inner.sum.load(Ordering::Relaxed) as f64 / UNIT;
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text;
    use prometheus_client::registry::Registry;

    use super::*;

    fn lines(histogram: &Histogram) -> Vec<String> {
        let mut registry = Registry::default();
        registry.register("h", "H", histogram.clone());
        let mut encoded = String::new();
        text::encode(&mut encoded, &registry).expect("a text takes everything");
        encoded.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_value_on_a_bound_is_below_it() {
        let histogram = Histogram::of_seconds();
        histogram.observe(Duration::from_millis(1));
        histogram.observe(Duration::from_micros(1001));
        let lines = lines(&histogram);
        assert!(lines.contains(&r#"h_bucket{le="0.0005"} 0"#.to_owned()));
        assert!(lines.contains(&r#"h_bucket{le="0.001"} 1"#.to_owned()));
        assert!(lines.contains(&r#"h_bucket{le="0.0025"} 2"#.to_owned()));
        assert!(lines.contains(&r#"h_bucket{le="+Inf"} 2"#.to_owned()));
        assert!(lines.contains(&"h_count 2".to_owned()));
        assert!(lines.contains(&"h_sum 0.002001".to_owned()));
    }

    #[test]
    fn what_is_above_all_bounds_is_counted_too() {
        let histogram = Histogram::of_messages();
        histogram.observe_number(5000);
        let lines = lines(&histogram);
        assert!(lines.contains(&r#"h_bucket{le="1024.0"} 0"#.to_owned()));
        assert!(lines.contains(&r#"h_bucket{le="+Inf"} 1"#.to_owned()));
        assert!(lines.contains(&"h_sum 5000.0".to_owned()));
    }

    #[test]
    fn one_value_may_count_many_times() {
        let histogram = Histogram::of_seconds();
        histogram.observe_many(Duration::from_secs(2), 3);
        let lines = lines(&histogram);
        assert!(lines.contains(&"h_count 3".to_owned()));
        assert!(lines.contains(&"h_sum 6.0".to_owned()));
    }
}
