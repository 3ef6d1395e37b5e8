//! What an operator can see: the log, and figures for Prometheus.
//! It refuses to know what is counted: names and units stand here, numbers are brought.

mod histogram;
mod labels;
mod log;
mod metrics;
mod presence;
#[cfg(target_os = "linux")]
mod process;

pub use histogram::Histogram;
pub use labels::{Ending, Spoken, Transport};
pub use log::start;
pub use metrics::{CONTENT_TYPE, Metrics, Queued, Taken};
pub use presence::Presence;

/// A number that goes up and down; clones are the same.
pub use prometheus_client::metrics::gauge::Gauge;
