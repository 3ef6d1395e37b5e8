//! The process as the kernel sees it, read at the moment of a scrape.
//! Does not know that it is a chat server.

use std::fs;
use std::io;

use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use rustix::param::page_size;
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

use crate::model::Clock;

/// Reads `/proc` and the clocks of the process. Unreadable values are left out.
#[derive(Debug)]
pub(super) struct Process {
    started: Timestamp,
}

/// The process metrics, under the names of all Prometheus client libraries.
struct Statistics {
    processor: f64,
    resident: u64,
    virtually: u64,
    files: u64,
    files_limit: Option<u64>,
}

impl Process {
    /// The process, which starts now.
    pub(super) fn starting() -> Self {
        let started = Clock::system().now();
        Self { started }
    }

    fn started(&self) -> f64 {
        self.started.as_duration().as_secs_f64()
    }
}

impl Statistics {
    #[expect(clippy::cast_precision_loss, reason = "times far from 2^53 seconds")]
    fn read() -> io::Result<Self> {
        let pages = fs::read_to_string("/proc/self/statm")?;
        let mut bytes = pages
            .split_whitespace()
            .map(|pages| Some(pages.parse::<u64>().ok()? * page_size() as u64));
        let mut next = || bytes.next().flatten().ok_or(io::ErrorKind::InvalidData);
        let (virtually, resident) = (next()?, next()?);
        let used = clock_gettime(ClockId::ProcessCPUTime);
        Ok(Self {
            processor: used.tv_sec as f64 + used.tv_nsec as f64 / 1e9,
            resident,
            virtually,
            // Without the one that is open for this.
            files: (fs::read_dir("/proc/self/fd")?.count() as u64).saturating_sub(1),
            files_limit: getrlimit(Resource::Nofile).current,
        })
    }
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        let Ok(statistics) = Statistics::read() else {
            return Ok(());
        };
        let mut encode = |name, help, unit: Option<Unit>, metric: &dyn EncodeMetric| {
            let kind = metric.metric_type();
            metric.encode(encoder.encode_descriptor(name, help, unit.as_ref(), kind)?)
        };
        let (seconds, bytes) = (Some(Unit::Seconds), Some(Unit::Bytes));
        encode(
            "process_start_time",
            "When the process started, in seconds since 1970",
            seconds.clone(),
            &ConstGauge::new(self.started()),
        )?;
        encode(
            "process_cpu",
            "Processor time that the process has used",
            seconds,
            &ConstCounter::new(statistics.processor),
        )?;
        encode(
            "process_resident_memory",
            "Memory of the process that is in RAM",
            bytes.clone(),
            &ConstGauge::new(statistics.resident),
        )?;
        encode(
            "process_virtual_memory",
            "Memory of the process in all",
            bytes,
            &ConstGauge::new(statistics.virtually),
        )?;
        let open = ConstGauge::new(statistics.files);
        encode("process_open_fds", "Open file descriptors", None, &open)?;
        if let Some(limit) = statistics.files_limit {
            let most = ConstGauge::new(limit);
            encode(
                "process_max_fds",
                "The most file descriptors that may be open",
                None,
                &most,
            )?;
        }
        Ok(())
    }
}
