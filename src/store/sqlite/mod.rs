//! The store for one machine: a SQLite file in WAL mode, synced at every commit.
//! Does not know any other process: while it is open the file is its own.

mod audit;
pub(in crate::store) mod backup;
#[cfg(test)]
mod backup_fixtures;
mod chats;
mod disk;
mod events;
mod files;
mod kept_rights;
mod lease;
mod limits;
mod lists;
mod lock;
mod members;
mod messages;
mod numbers;
mod part;
pub(in crate::store) mod restore;
mod rows;
mod sanctions;
mod schema;
mod sweep;
mod transfer;
mod users;

use std::fmt::Display;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rusqlite::TransactionBehavior::Immediate;
use rusqlite::{Connection, OpenFlags, Transaction};
use tokio_rusqlite::Connection as Thread;

use self::disk::{Disk, outlive_file_limits};
use self::files::Files;
pub(super) use self::files::is_missing;
use self::lock::{LockError, lock};
use super::settling::Settling;
use super::transfer::Unfinished;
use super::{InUse, OpenError, Seen, Store, StoreError, Totals};
use crate::model::{Clock, NodeId};

/// How many threads read at a time, beside the one that writes.
const READERS: usize = 4;

/// After how many of SQLite's steps a thread that reads lets others run: a fraction of a
/// millisecond.
const STEPS: i32 = 1000;

/// How long a connection waits for a lock on the file that another process holds: a backup may take
/// a moment.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long work may wait for the writing thread. After that it is not begun any more: the caller
/// receives an error, and nothing was or will be written.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(5);

/// The place that stands for a database in memory: gone with the process, for tests.
const MEMORY: &str = ":memory:";

/// One SQLite database: a thread that writes, and threads that read.
pub struct Sqlite {
    place: String,
    node: NodeId,
    writer: Thread,
    /// Empty for a database in memory, which has one connection for everything.
    readers: Vec<Thread>,
    next_reader: AtomicUsize,
    disk: Arc<Disk>,
    /// A database in memory has none.
    files: Option<Arc<Files>>,
    /// Held while the store is open; the system lets go of it when the process ends, however
    /// it ends.
    _lock: Option<File>,
}

impl Sqlite {
    /// Locks and opens the database at `place`, or creates it.
    ///
    /// # Errors
    /// One sentence: the file cannot be used, or another process uses it.
    pub(super) async fn open(place: &str) -> Result<Self, OpenError> {
        match Self::open_or_look(place).await? {
            Ok(opened) => Ok(opened),
            Err(used) => {
                let why = format_args!("another polychat is using it{}", used.in_brackets());
                Err(refuse(place, &why))
            }
        }
    }

    /// The same; of a database that another process uses, what is in it.
    ///
    /// # Errors
    /// One sentence: the file cannot be used.
    pub(super) async fn open_or_look(place: &str) -> Result<Result<Self, InUse>, OpenError> {
        if place == MEMORY {
            let writer = connect(place, prepare_reader).await?;
            return Ok(Ok(Self {
                place: place.to_owned(),
                node: NodeId::new(Clock::system().now()),
                writer,
                readers: Vec::new(),
                next_reader: AtomicUsize::new(0),
                disk: Arc::default(),
                files: None,
                _lock: None,
            }));
        }
        if place.is_empty() {
            return Err(OpenError(
                "the store \"sqlite:\" names no file; write sqlite:PATH".into(),
            ));
        }
        outlive_file_limits().map_err(|error| OpenError(error.to_string()))?;
        let lock = match lock(Path::new(place)) {
            Ok(lock) => lock,
            Err(LockError::Held(process)) => {
                let seen = look(place).await;
                return Ok(Err(InUse {
                    store: format!("sqlite:{place}"),
                    process,
                    seen,
                }));
            }
            Err(LockError::Unusable(why)) => return Err(refuse(place, &why)),
        };
        let writer = connect(place, prepare_writer).await?;
        let at = PathBuf::from(place);
        let opened = move |writer: &mut Connection| Files::opened(writer, &at);
        let files = prepare(place, &writer, opened).await?;
        let mut readers = Vec::with_capacity(READERS);
        for _ in 0..READERS {
            readers.push(connect(place, prepare_reading_thread).await?);
        }
        Ok(Ok(Self {
            place: place.to_owned(),
            node: NodeId::new(Clock::system().now()),
            writer,
            readers,
            next_reader: AtomicUsize::new(0),
            disk: Arc::default(),
            files: Some(Arc::new(files)),
            _lock: Some(lock),
        }))
    }

    /// Runs `work` in a transaction of its own on the writing thread: all of it, or on an
    /// error nothing. It answers within [`QUEUE_TIMEOUT`] and [`BUSY_TIMEOUT`] together, beside
    /// the time that the disk takes. It commits only if the files are in place, and succeeds only
    /// if they still are afterwards: a commit may take seconds.
    async fn write<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let queued_at = Instant::now();
        let (disk, files) = (Arc::clone(&self.disk), self.files.clone());
        let done = self.writer.call(move |connection| {
            if queued_at.elapsed() > QUEUE_TIMEOUT {
                return Err(StoreError::Unavailable("others were waiting, too".into()));
            }
            let answer = in_transaction(connection, |transaction| {
                let answer = work(transaction)?;
                check(files.as_deref(), transaction)?;
                Ok(answer)
            });
            disk.note(&answer);
            let answer = answer?;
            check(files.as_deref(), connection)?;
            Ok(answer)
        });
        done.await.map_err(settle)
    }

    /// Checks that the files are in place.
    async fn check_files(&self) -> Result<(), StoreError> {
        let Some(files) = self.files.clone() else {
            return Ok(());
        };
        let done = self.writer.call(move |connection| files.check(connection));
        done.await.map_err(settle)
    }

    /// Runs `work` on one of the reading threads, on one unchanging view of the data.
    async fn read<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let next = self.next_reader.fetch_add(1, Ordering::Relaxed);
        let thread = match self.readers.len() {
            0 => &self.writer,
            count => &self.readers[next % count],
        };
        let done = thread.call(move |connection| work(&connection.transaction()?));
        done.await.map_err(settle)
    }
}

#[async_trait]
impl Settling for Sqlite {
    /// What was answered `Unavailable` was not begun, or was rolled back.
    async fn settled(&self) {}
}

#[async_trait]
impl Store for Sqlite {
    async fn is_current(&self) -> Result<bool, OpenError> {
        prepare(&self.place, &self.writer, |file| schema::is_current(file)).await
    }

    async fn migrate(&self, unfinished: Unfinished) -> Result<(), OpenError> {
        let migrate = move |connection: &mut _| schema::migrate(connection, unfinished);
        prepare(&self.place, &self.writer, migrate).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        // Without waiting: repeated readiness requests must not delay writes.
        let (disk, files) = (Arc::clone(&self.disk), self.files.clone());
        let writing = self.writer.call(move |connection| {
            connection.busy_timeout(Duration::ZERO)?;
            let begun = connection.transaction_with_behavior(Immediate);
            let answer = begun
                .map_err(StoreError::from)
                .and_then(|begun| read_row(&begun))
                .and_then(|()| check(files.as_deref(), connection))
                .and_then(|()| disk.try_again(connection));
            connection.busy_timeout(BUSY_TIMEOUT)?;
            answer
        });
        writing.await.map_err(settle)?;
        self.read(read_row).await
    }

    async fn missing_indexes(&self) -> Result<Vec<String>, StoreError> {
        self.read(|transaction| schema::missing_indexes(transaction))
            .await
    }

    async fn totals(&self) -> Result<Totals, StoreError> {
        self.read(|transaction| schema::totals(transaction)).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        for reader in &self.readers {
            close(reader).await?;
        }
        // Last, since the last connection to close folds the WAL into the file.
        close(&self.writer).await
    }

    fn describe(&self) -> String {
        format!("sqlite:{}", self.place)
    }
}

fn in_transaction<T>(
    connection: &mut Connection,
    work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let transaction = connection.transaction_with_behavior(Immediate)?;
    let answer = work(&transaction)?;
    transaction.commit()?;
    Ok(answer)
}

/// Checks that the files are in place, if there are any.
fn check(files: Option<&Files>, connection: &Connection) -> Result<(), StoreError> {
    files.map_or(Ok(()), |files| files.check(connection))
}

/// Reads a stored row.
fn read_row(transaction: &Transaction<'_>) -> Result<(), StoreError> {
    let count = "SELECT count(*) FROM (SELECT 1 FROM chats LIMIT 1)";
    transaction.query_row(count, [], |_| Ok(()))?;
    Ok(())
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::Error as E;
        match error {
            E::FromSqlConversionFailure(..)
            | E::IntegralValueOutOfRange(..)
            | E::InvalidColumnType(..)
            | E::QueryReturnedNoRows => Self::Corrupt(error.to_string()),
            error => Self::Unavailable(Box::new(error)),
        }
    }
}

/// Maps an error: that of the work, or that the thread is gone.
fn settle(error: tokio_rusqlite::Error<StoreError>) -> StoreError {
    match error {
        tokio_rusqlite::Error::Error(error) => error,
        tokio_rusqlite::Error::Close((_, error)) => error.into(),
        _ => StoreError::Unavailable("the database is closed".into()),
    }
}

async fn close(thread: &Thread) -> Result<(), StoreError> {
    let closed = thread.clone().close().await;
    closed.map_err(|error| StoreError::Unavailable(Box::new(error)))
}

/// Starts a thread with a connection to `place` that `work` has set up.
async fn connect(
    place: &str,
    work: fn(&mut Connection) -> Result<(), OpenError>,
) -> Result<Thread, OpenError> {
    let thread = Thread::open(place)
        .await
        .map_err(|error| refuse(place, &error))?;
    prepare(place, &thread, work).await?;
    Ok(thread)
}

/// What is in a database that another process uses. Changes nothing.
async fn look(place: &str) -> Result<Seen, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let thread = Thread::open_with_flags(place, flags).await;
    let thread = thread.map_err(|error| refuse(place, &error))?;
    let seen = prepare(place, &thread, |connection| {
        connection.busy_timeout(BUSY_TIMEOUT)?;
        let transaction = connection.transaction()?;
        let seen = schema::totals(&transaction).and_then(|totals| {
            let missing_indexes = schema::missing_indexes(&transaction)?;
            Ok(Seen {
                totals,
                missing_indexes,
            })
        });
        seen.map_err(|error| OpenError(error.to_string()))
    });
    let seen = seen.await;
    let closed = close(&thread).await;
    closed.map_err(|error| refuse(place, &error))?;
    seen
}

/// Runs `work` on a thread before the store is used.
async fn prepare<T: Send + 'static>(
    place: &str,
    thread: &Thread,
    work: impl FnOnce(&mut Connection) -> Result<T, OpenError> + Send + 'static,
) -> Result<T, OpenError> {
    thread.call(work).await.map_err(|error| match error {
        tokio_rusqlite::Error::Error(OpenError(why)) => refuse(place, &why),
        error => refuse(place, &error),
    })
}

/// The error of a store that cannot be opened, in one sentence.
fn refuse(place: &str, why: &dyn Display) -> OpenError {
    OpenError(format!("the store sqlite:{place} cannot be used: {why}"))
}

fn prepare_writer(connection: &mut Connection) -> Result<(), OpenError> {
    prepare_reader(connection)?;
    schema::refuse_others(connection)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // Every commit reaches the disk before it is acknowledged.
    connection.pragma_update(None, "synchronous", "FULL")?;
    Ok(())
}

fn prepare_reader(connection: &mut Connection) -> Result<(), OpenError> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.pragma_update(None, "foreign_keys", true)?;
    Ok(())
}

/// Its thread gives way to those that write and that serve connections: a long list must not delay
/// messages by the time that the system lets a thread run.
fn prepare_reading_thread(connection: &mut Connection) -> Result<(), OpenError> {
    prepare_reader(connection)?;
    let give_way = || {
        std::thread::yield_now();
        false
    };
    connection.progress_handler(STEPS, Some(give_way))?;
    Ok(())
}
