//! The state of the disk: records failed writes, and turns a limit on the size of files into an
//! error instead of the end of the process.
//! Does not know the content of files.

use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::{Connection, ErrorCode};
use tokio::signal::unix::{SignalKind, signal};

use crate::store::StoreError;

/// How many pages have to find room before the disk is believed to have space again: some
/// messages need as many.
const PAGES: usize = 16;

/// Whether the disk took the latest write.
#[derive(Default)]
pub(super) struct Disk {
    failed: AtomicBool,
}

impl Disk {
    /// Records the outcome of a write. A failure for another reason is ignored.
    pub(super) fn note<T>(&self, answer: &Result<T, StoreError>) {
        match answer {
            Ok(_) => self.failed.store(false, Ordering::Relaxed),
            Err(error) if is_of_the_disk(error) => self.failed.store(true, Ordering::Relaxed),
            Err(_) => {}
        }
    }

    /// Rewrites existing data if the latest write failed: so readiness recovers without waiting for
    /// the next real write.
    pub(super) fn try_again(&self, connection: &Connection) -> Result<(), StoreError> {
        if !self.failed.load(Ordering::Relaxed) {
            return Ok(());
        }
        let answer = (0..PAGES)
            .try_for_each(|_| write_a_page(connection))
            .map_err(StoreError::from);
        self.note(&answer);
        answer
    }
}

/// Commits one page to the write-ahead log, which changes nothing.
fn write_a_page(connection: &Connection) -> rusqlite::Result<()> {
    let name = "application_id";
    let id: i32 = connection.pragma_query_value(None, name, |row| row.get(0))?;
    connection.pragma_update(None, name, id)
}

fn is_of_the_disk(error: &StoreError) -> bool {
    let StoreError::Unavailable(source) = error else {
        return false;
    };
    let source = source.downcast_ref::<rusqlite::Error>();
    matches!(
        source.and_then(rusqlite::Error::sqlite_error_code),
        Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure)
    )
}

/// From now on a write beyond `ulimit -f` fails; the signal that comes with it would otherwise
/// end the process.
pub(super) fn outlive_file_limits() -> std::io::Result<()> {
    // The handler stays installed when the channel is dropped.
    signal(SignalKind::from_raw(libc::SIGXFSZ)).map(drop)
}
