//! What the driver's errors mean, which of them pass, and how long that is waited for.
//! It refuses to know what was being asked.

use std::time::Duration;

use mongodb::error::{Error, ErrorKind, WriteFailure};
use tokio::time::{Instant, sleep, timeout};

use crate::store::StoreError;

/// How long one call may take, with all its tries: as long as a new primary takes to be chosen,
/// and as long as whoever waits for the answer is ready to wait.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// The pause after the first try, which doubles with each further one.
const PAUSE: Duration = Duration::from_millis(5);

/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// The server's code for a key that is there already.
const DUPLICATE_KEY: i32 = 11_000;

/// The codes with which a server says that it is going, coming, or no primary (any more).
const PASSING: [i32; 14] = [
    6, 7, 89, 91, 134, 189, 262, 9001, 10_058, 10_107, 11_600, 11_602, 13_435, 13_436,
];

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        if duplicate_key(&error) {
            Self::Duplicate
        } else {
            Self::Unavailable(Box::new(error))
        }
    }
}

/// What is stored cannot be, for this reason.
pub(super) fn corrupt(why: impl Into<String>) -> StoreError {
    StoreError::Corrupt(why.into())
}

/// The store could not do it in time.
pub(super) fn too_late() -> StoreError {
    let seconds = PATIENCE.as_secs();
    StoreError::Unavailable(format!("MongoDB has not answered within {seconds} seconds").into())
}

/// Runs `attempt` until it is done, while what stops it is of the kind that passes: no longer
/// than [`PATIENCE`]. What it does must be harmless when it is done twice.
pub(super) async fn patiently<T, F>(attempt: impl Fn() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    within_patience(again_and_again(attempt)).await
}

/// The same for a part of something that is given up as a whole.
pub(super) async fn again_and_again<T, F>(attempt: impl Fn() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let mut pauses = Pauses::begin();
    loop {
        match attempt().await {
            Err(error) if passes(&error) => pauses.pause(error).await?,
            done => return done,
        }
    }
}

/// Gives `work` up once [`PATIENCE`] is over.
pub(super) async fn within_patience<T>(
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    timeout(PATIENCE, work)
        .await
        .unwrap_or_else(|_| Err(too_late()))
}

/// The pauses between tries: longer and longer, and no more of them once [`PATIENCE`] is over.
pub(super) struct Pauses {
    begun: Instant,
    next: Duration,
}

impl Pauses {
    pub(super) fn begin() -> Self {
        Self {
            begun: Instant::now(),
            next: PAUSE,
        }
    }

    /// Waits a little; `error`, the reason for that, comes back when there is no time left.
    pub(super) async fn pause(&mut self, error: StoreError) -> Result<(), StoreError> {
        if self.begun.elapsed() + self.next >= PATIENCE {
            return Err(error);
        }
        sleep(self.next).await;
        self.next = (self.next * 2).min(LONGEST_PAUSE);
        Ok(())
    }
}

/// Whether another try may go better.
pub(super) fn passes(error: &StoreError) -> bool {
    let StoreError::Unavailable(cause) = error else {
        return false;
    };
    cause.downcast_ref::<Error>().is_some_and(may_pass)
}

fn may_pass(error: &Error) -> bool {
    if ["RetryableWriteError", "TransientTransactionError"]
        .iter()
        .any(|label| error.contains_label(label))
    {
        return true;
    }
    match &*error.kind {
        // A write concern error: it is written, but perhaps not on enough members. And not
        // `ServerSelection`: the driver has waited for a server already.
        ErrorKind::Io(_)
        | ErrorKind::ConnectionPoolCleared { .. }
        | ErrorKind::Write(WriteFailure::WriteConcernError(_)) => true,
        ErrorKind::InsertMany(failed) => {
            failed.write_concern_error.is_some()
                || failed
                    .write_errors
                    .iter()
                    .flatten()
                    .any(|error| is_passing(error.code))
        }
        ErrorKind::Command(command) => is_passing(command.code),
        ErrorKind::Write(WriteFailure::WriteError(error)) => is_passing(error.code),
        _ => false,
    }
}

fn is_passing(code: i32) -> bool {
    PASSING.contains(&code)
}

fn duplicate_key(error: &Error) -> bool {
    match &*error.kind {
        ErrorKind::Command(command) => command.code == DUPLICATE_KEY,
        ErrorKind::Write(WriteFailure::WriteError(error)) => error.code == DUPLICATE_KEY,
        ErrorKind::InsertMany(failed) => {
            let mut errors = failed.write_errors.iter().flatten();
            errors.any(|error| error.code == DUPLICATE_KEY)
        }
        _ => false,
    }
}

/// Where an ordered insert of many stopped, and at which unique index.
pub(super) struct Stop {
    /// How many documents before it stand.
    pub(super) stand: usize,
    /// The name of the index.
    pub(super) index: String,
}

/// Where this insert stopped for a key that was there already; `None`: it failed otherwise, and
/// what stands of it is not known.
pub(super) fn stop(error: &Error) -> Option<Stop> {
    let ErrorKind::InsertMany(failed) = &*error.kind else {
        return None;
    };
    if failed.write_concern_error.is_some() {
        return None;
    }
    let first = failed.write_errors.as_ref()?.first()?;
    if first.code != DUPLICATE_KEY {
        return None;
    }
    // Only the text names the index: "… index: NAME dup key: { … }". What follows holds what
    // people wrote, so the first occurrence counts.
    let (_, rest) = first.message.split_once(" index: ")?;
    let (index, _) = rest.split_once(' ')?;
    Some(Stop {
        stand: first.index,
        index: index.to_owned(),
    })
}
