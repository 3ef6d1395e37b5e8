//! What an operator can see: the log, and figures for Prometheus.
//! Does not know what is counted: names and units stand here, numbers are brought.

mod connection;
mod histogram;
mod labels;
mod log;
mod metrics;
#[cfg(target_os = "linux")]
mod process;

pub use connection::ConnectionMetrics;
pub use histogram::Histogram;
pub use labels::{CloseReason, DialectLabel, Transport};
pub use log::{LogFormat, LogLevelError, start};
pub use metrics::{CONTENT_TYPE, Metrics, Queued, Taken};

/// A number that goes up and down; clones are the same.
pub use prometheus_client::metrics::gauge::Gauge;
