//! `polychat import`: checks a file of JSON lines, puts its records in order, and sends them to a store or to a
//! running server.
//! Does not decide what of it is new: the service does.

mod check;
mod file;
mod here;
mod names;
mod remote;
mod report;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::time::sleep;

use self::check::Checked;
use self::report::Map;
use crate::model::{Error, ErrorKind, ImportRecord, ImportRefusal, Imported};
use crate::progress;
use crate::service::{Limits, check_import};

pub use here::Here;
pub use remote::{Remote, RemoteError};
pub use report::{Counts, Report};

/// How many records are sent at a time at most.
const RECORDS: usize = 500;

/// How many bytes of the file are sent at a time at most, unless one record is longer.
const BYTES: u64 = 256 * 1024;

/// How often a target that does not answer is tried again, and after what time.
const RETRIES: usize = 40;
const PAUSE: Duration = Duration::from_secs(3);

/// What to do.
#[derive(Debug, Clone)]
pub struct Task {
    /// The file; `-` for standard input.
    pub file: PathBuf,
    /// Where to write the old and the new names.
    pub map: Option<PathBuf>,
    /// Whether chats that are there already get the members that they lack.
    pub add_members: bool,
}

/// Why not everything was imported, in one sentence.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file cannot be read.
    #[error("{}: {error}", file.display())]
    File {
        /// Its path.
        file: PathBuf,
        /// The reason.
        error: io::Error,
    },
    /// Some of its lines cannot be read.
    #[error("{0} lines are wrong, and nothing was imported")]
    Wrong(usize),
    /// The target does not take records.
    #[error("{0}")]
    Target(String),
}

/// What takes records.
#[async_trait]
pub trait Target: Send + Sync {
    /// Moves in records; the outcome of each, in their order.
    ///
    /// # Errors
    /// `Unavailable`: it may be tried again. All others end the import.
    async fn send(
        &self,
        records: Vec<ImportRecord>,
    ) -> Result<Vec<Result<Imported, ImportRefusal>>, Error>;
}

/// Checks a file, also against the limits of a server, and sends nothing. `wrong` is called for each line at fault, with its number and the reason.
///
/// # Errors
/// See [`ImportError`].
pub fn check(
    file: &Path,
    limits: Limits,
    now: Timestamp,
    wrong: &mut (dyn FnMut(u32, &str) + Send),
) -> Result<Report, ImportError> {
    let fits = |record: &ImportRecord| check_import(record, limits, now);
    let checked = Checked::read(file, &fits, wrong)?;
    Ok(checked.into_report())
}

/// A file in which no line is wrong.
pub struct Source(Checked);

impl Source {
    /// Reads a file. `wrong` is called for each line at fault, with its number and the reason.
    ///
    /// # Errors
    /// See [`ImportError`].
    pub fn read(
        file: &Path,
        wrong: &mut (dyn FnMut(u32, &str) + Send),
    ) -> Result<Self, ImportError> {
        // Records that do not fit are named when they are refused.
        let checked = Checked::read(file, &|_| Ok(()), wrong)?;
        match checked.report.wrong {
            0 => Ok(Self(checked)),
            count => Err(ImportError::Wrong(count)),
        }
    }
}

/// Sends the records of a file. `wrong` is called for each one that is refused, with the number of its line and the reason.
///
/// # Errors
/// See [`ImportError`]. The records that were sent stay: the same import continues after them.
pub async fn import(
    Source(mut checked): Source,
    task: &Task,
    target: &dyn Target,
    wrong: &mut (dyn FnMut(u32, &str) + Send),
) -> Result<Report, ImportError> {
    let mut sending = Sending {
        target,
        has_answered: false,
    };
    let mut map = Map::create(task.map.as_deref(), &task.file)?;
    let total = u64::try_from(checked.places.len()).unwrap_or(u64::MAX);
    let progress = progress::bar("importing", total, "lines");
    let mut from = 0;
    while let Some(mut batch) = checked.batch(from, RECORDS, BYTES)? {
        from += batch.len();
        if task.add_members {
            add_members(&mut batch);
        }
        let records = batch.iter().map(|(_, record)| record.clone()).collect();
        let outcomes = sending.send(records).await?;
        for ((line, record), outcome) in batch.iter().zip(&outcomes) {
            match outcome {
                Ok(imported) => {
                    checked.report.done(record, imported);
                    map.write(record, imported)?;
                }
                Err(refusal) => {
                    checked.report.refused += 1;
                    progress.suspend(|| wrong(*line, &refusal.message));
                }
            }
        }
        progress.inc(u64::try_from(batch.len()).unwrap_or(0));
    }
    progress.finish();
    map.finish()?;
    Ok(checked.into_report())
}

fn add_members(batch: &mut [(u32, ImportRecord)]) {
    for (_, record) in batch {
        if let ImportRecord::Chat(chat) = record {
            chat.add_members = true;
        }
    }
}

/// A target, and whether it has answered.
struct Sending<'a> {
    target: &'a dyn Target,
    has_answered: bool,
}

impl Sending<'_> {
    /// Sends records; those of a batch that is too long in parts, and one that is too long is refused.
    async fn send(
        &mut self,
        records: Vec<ImportRecord>,
    ) -> Result<Vec<Result<Imported, ImportRefusal>>, ImportError> {
        let mut left = vec![records];
        let mut outcomes = Vec::new();
        while let Some(mut records) = left.pop() {
            match self.attempt(&records).await {
                Ok(done) => outcomes.extend(done),
                Err(error) if error.kind != ErrorKind::TooLarge => {
                    return Err(ImportError::Target(error.message));
                }
                Err(error) if records.len() == 1 => outcomes.push(Err(error.into())),
                Err(_) => {
                    let second = records.split_off(records.len() / 2);
                    left.extend([second, records]);
                }
            }
        }
        Ok(outcomes)
    }

    /// Sends records, again while a target that has answered before does not: what it has taken already is
    /// found then.
    async fn attempt(
        &mut self,
        records: &[ImportRecord],
    ) -> Result<Vec<Result<Imported, ImportRefusal>>, Error> {
        let mut failures = 0;
        loop {
            let error = match self.target.send(records.to_vec()).await {
                Ok(outcomes) if outcomes.len() == records.len() => {
                    self.has_answered = true;
                    return Ok(outcomes);
                }
                Ok(_) => Error::new(ErrorKind::Internal, "another number of outcomes"),
                Err(error) => error,
            };
            let again = match error.kind {
                ErrorKind::Unavailable => self.has_answered,
                ErrorKind::RateLimited => true,
                _ => false,
            };
            if !again || failures == RETRIES {
                return Err(error);
            }
            if failures == 0 && error.kind == ErrorKind::Unavailable {
                let seconds = RETRIES * usize::try_from(PAUSE.as_secs()).unwrap_or(0);
                // Standard error may be closed; the exit code has the outcome.
                let _ = writeln!(
                    io::stderr(),
                    "polychat: {}; trying again for {seconds} seconds",
                    error.message
                );
            }
            failures += 1;
            let wait = error.retry_after_ms.map_or(PAUSE, Duration::from_millis);
            sleep(wait.min(PAUSE)).await;
        }
    }
}
