//! The log, and the metrics for Prometheus.
//! Does not measure: it defines names and units, and other modules report values.

mod bus;
mod connection;
mod escape;
mod histogram;
mod labels;
mod log;
mod metrics;
#[cfg(target_os = "linux")]
mod process;

pub use bus::BusFigures;
pub use connection::ConnectionMetrics;
pub use histogram::Histogram;
pub use labels::{CloseReason, DialectLabel, Transport};
pub use log::{LEVEL_VARIABLE, LogFormat, LogLevel, LogLevelError, level, start};
pub use metrics::{CONTENT_TYPE, Metrics, Queued, Taken};

/// A number that goes up and down; clones are the same.
pub use prometheus_client::metrics::gauge::Gauge;
