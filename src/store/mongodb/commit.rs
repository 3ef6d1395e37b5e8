//! Commits. Each runs in a task of its own, which finds out the outcome even if the caller has
//! given up: a commit that was sent may arrive at any later time.
//! Does not know what is committed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use mongodb::ClientSession;
use mongodb::error::Error;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::Mongo;
use super::retry::Backoff;
use crate::store::StoreError;
use crate::store::settling::Settling;

/// How long the first attempt may take; each further one twice as long. An attempt that takes
/// longer is repeated over another connection: to commit again has no effect.
const FIRST_ATTEMPT: Duration = Duration::from_secs(2);

/// How long a commit is repeated: somewhat longer than a server keeps a transaction that is not
/// committed, by default.
const LIFETIME: Duration = Duration::from_secs(90);

/// The commits of a database.
#[derive(Default)]
pub(super) struct Commits {
    tasks: TaskTracker,
    /// How many have no outcome yet, and no caller any more.
    abandoned: AtomicUsize,
    settled: Notify,
}

/// Which came first: the outcome, or the end of the caller.
#[derive(Default)]
enum Stage {
    #[default]
    Running,
    Abandoned,
    Done,
}

/// One commit, from both sides.
struct Commit {
    stage: Mutex<Stage>,
    commits: Arc<Commits>,
}

#[async_trait]
impl Settling for Mongo {
    async fn settled(&self) {
        self.database.commits.settled().await;
    }
}

impl Commits {
    /// Commits the transaction of this session, and returns the session for the next transaction.
    /// Once begun it goes on without its caller.
    pub(super) async fn commit(
        self: &Arc<Self>,
        mut session: ClientSession,
    ) -> (ClientSession, Result<(), StoreError>) {
        let commit = Arc::new(Commit {
            stage: Mutex::default(),
            commits: Arc::clone(self),
        });
        let caller = Caller(Arc::clone(&commit));
        let task = self.tasks.spawn(async move {
            let outcome = outcome(&mut session).await;
            commit.done();
            (session, outcome)
        });
        let done = task.await;
        drop(caller);
        match done {
            Ok(done) => done,
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }

    /// Returns once no commit is without an outcome and without a caller.
    async fn settled(&self) {
        loop {
            let settled = self.settled.notified();
            if self.abandoned.load(Ordering::Acquire) == 0 {
                return;
            }
            settled.await;
        }
    }
}

impl Commit {
    fn done(&self) {
        let before = std::mem::replace(&mut *self.stage.lock(), Stage::Done);
        if matches!(before, Stage::Abandoned) {
            self.commits.abandoned.fetch_sub(1, Ordering::AcqRel);
            self.commits.settled.notify_waiters();
        }
    }
}

/// The caller of a commit.
struct Caller(Arc<Commit>);

impl Drop for Caller {
    fn drop(&mut self) {
        let mut stage = self.0.stage.lock();
        if matches!(*stage, Stage::Running) {
            *stage = Stage::Abandoned;
            self.0.commits.abandoned.fetch_add(1, Ordering::AcqRel);
        }
    }
}

/// Commits, and repeats the commit while its outcome is unknown.
async fn outcome(session: &mut ClientSession) -> Result<(), StoreError> {
    let started = Instant::now();
    let mut pause = Backoff::start();
    let mut longest = FIRST_ATTEMPT;
    loop {
        let unknown = match timeout(longest, session.commit_transaction()).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) if !is_unknown(&error) => return Err(error.into()),
            Ok(Err(error)) => error.into(),
            Err(_) => StoreError::Unavailable("a commit was not answered".into()),
        };
        if started.elapsed() > LIFETIME {
            warn!(error = %unknown, "the outcome of a commit is unknown");
            return Err(unknown);
        }
        longest = (longest * 2).min(LIFETIME);
        sleep(pause.next()).await;
    }
}

fn is_unknown(error: &Error) -> bool {
    error.contains_label("UnknownTransactionCommitResult")
}
