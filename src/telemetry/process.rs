//! The process as the kernel sees it, read at the moment of a scrape.
//! Does not know that it is a chat server.

use procfs::process::{LimitValue, Process as Entry};
use procfs::{ProcResult, WithCurrentSystemInfo};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

/// Reads `/proc`. Unreadable values are left out.
#[derive(Debug)]
pub(super) struct Process;

/// The process metrics, under the names of all Prometheus client libraries.
struct Statistics {
    started: f64,
    processor: f64,
    resident: u64,
    virtually: u64,
    files: u64,
    files_limit: Option<u64>,
}

impl Statistics {
    #[expect(clippy::cast_precision_loss, reason = "times far from 2^53 ticks")]
    fn read() -> ProcResult<Self> {
        let process = Entry::myself()?;
        let stat = process.stat()?;
        let per_second = procfs::ticks_per_second() as f64;
        let limit = process.limits()?.max_open_files.soft_limit;
        Ok(Self {
            started: procfs::boot_time_secs()? as f64 + stat.starttime as f64 / per_second,
            processor: (stat.utime + stat.stime) as f64 / per_second,
            resident: stat.rss_bytes().get(),
            virtually: stat.vsize,
            files: process.fd_count()? as u64,
            files_limit: match limit {
                LimitValue::Value(limit) => Some(limit),
                LimitValue::Unlimited => None,
            },
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
            &ConstGauge::new(statistics.started),
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
