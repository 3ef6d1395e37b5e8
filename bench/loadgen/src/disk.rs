//! Owns disk-ceiling: how long a disk takes to make sure of a few pages, again and again, as the log of a database
//! does. Does not know any database: none that syncs each message can be faster on the same disk.

use crate::net::now;
use crate::num::whole;
use crate::report::{self, hist};
use crate::run::{Outcome, RunArgs};
use clap::Args;
use serde_json::{Value, json};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

/// How far the log goes before it begins anew, as SQLite's does after a thousand pages.
const LOG: u64 = 4 << 20;

#[derive(Args, Clone, Debug)]
pub struct DiskArgs {
    /// Where to write; it must be on the disk that is meant
    #[arg(long, default_value = ".")]
    pub folder: std::path::PathBuf,
    /// Writes per second, each with a sync; what comes due during a sync shares the next. The time of a write counts
    /// from when it was due to when it was synced
    #[arg(long, default_value_t = 500.0)]
    pub rate: f64,
    /// Bytes before each sync
    #[arg(long, default_value_t = 16384)]
    pub bytes: usize,
    #[arg(long, default_value_t = 2.0)]
    pub warmup: f64,
    #[arg(long, default_value_t = 10.0)]
    pub secs: f64,
    #[command(flatten)]
    pub run: RunArgs,
}

pub fn run(a: &DiskArgs) -> Outcome {
    let path = a.folder.join("loadgen-disk");
    let measured = syncs(a, &path);
    let _ = std::fs::remove_file(&path);
    let latency = measured.map_err(|e| format!("{}: {e}", path.display()))?;
    Ok((
        json!({
            "scenario": "disk-ceiling", "label": a.run.label,
            "params": {"rate": a.rate, "bytes": a.bytes},
            "result": {"sync_latency_ms": latency},
        }),
        true,
    ))
}

fn syncs(a: &DiskArgs, path: &std::path::Path) -> std::io::Result<Value> {
    let file = File::create(path)?;
    let bytes = vec![0x5a; a.bytes];
    // Written once before: a log that has been used grows no more.
    for at in (0..LOG).step_by(bytes.len()) {
        file.write_all_at(&bytes, at)?;
    }
    file.sync_all()?;
    let (mut latency, mut at) = (hist(), 0);
    let (begin, gap) = (now(), whole(1e9 / a.rate));
    let due = |write: u64| begin + write * gap;
    let (mut done, count) = (0, whole((a.warmup + a.secs) * a.rate));
    while done < count {
        std::thread::sleep(Duration::from_nanos(due(done).saturating_sub(now())));
        let first = done;
        done = count.min((now() - begin) / gap + 1);
        file.write_all_at(&bytes, at)?;
        file.sync_data()?;
        at = (at + a.bytes as u64) % LOG;
        let synced = now();
        let measured = |write: &u64| (write * gap) as f64 >= a.warmup * 1e9;
        for write in (first..done).filter(measured) {
            latency.add(synced - due(write));
        }
    }
    Ok(report::percentiles(&latency))
}
