//! Group commit of users: many new users at once, one durable write. While one batch is being
//! written the next one gathers, and a lone one waits for no timer.
//! Does not know tokens and rights.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::settlement::Settlement;
use super::store_error;
use super::user_cache::UserCache;
use crate::model::{Error, NewUser, User};
use crate::store::{Store, StoreError};

/// How many may wait for the batch after this one; then callers wait to get in.
const QUEUE: usize = 1024;

/// How many are written in one batch at most.
const BATCH: usize = 256;

/// The queue of users that are new, or whose profile is.
pub(super) struct Newcomers(mpsc::Sender<PendingUser>);

struct PendingUser {
    user: NewUser,
    answer: oneshot::Sender<Result<User, Error>>,
}

/// Writes the queue, batch after batch. A client that disconnects does not interrupt it, so a write
/// is always recorded in [`UserCache`].
pub(super) struct Registrar {
    queue: mpsc::Receiver<PendingUser>,
    store: Arc<dyn Store>,
    user_cache: Arc<UserCache>,
    settlement: Arc<Settlement>,
}

/// A queue, and the task that empties it.
pub(super) fn new(
    store: Arc<dyn Store>,
    user_cache: Arc<UserCache>,
    settlement: Arc<Settlement>,
) -> (Newcomers, Registrar) {
    let (sender, queue) = mpsc::channel(QUEUE);
    let registrar = Registrar {
        queue,
        store,
        user_cache,
        settlement,
    };
    (Newcomers(sender), registrar)
}

impl Newcomers {
    /// The user as the store has it once it was found or created and its profile taken over.
    ///
    /// # Errors
    /// `Unavailable`; `Internal`: the stored data contradicts itself.
    pub(super) async fn write(&self, user: NewUser) -> Result<User, Error> {
        let (answer, answered) = oneshot::channel();
        let closing = || Error::unavailable("the server is shutting down");
        let sent = self.0.send(PendingUser { user, answer }).await;
        sent.map_err(|_| closing())?;
        answered.await.map_err(|_| closing())?
    }
}

impl Registrar {
    /// Runs until `stop`, then writes the rest of the queue.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut waiting = Vec::new();
        loop {
            tokio::select! {
                biased;
                taken = self.queue.recv_many(&mut waiting, BATCH) => match taken {
                    0 => return,
                    _ => self.write(std::mem::take(&mut waiting)).await,
                },
                () = stop.cancelled(), if !self.queue.is_closed() => self.queue.close(),
            }
        }
    }

    async fn write(&self, mut batch: Vec<PendingUser>) {
        // A caller that has given up repeats the request when it reconnects.
        batch.retain(|waiting| !waiting.answer.is_closed());
        if batch.is_empty() {
            return;
        }
        let (users, answers): (Vec<_>, Vec<_>) = batch
            .into_iter()
            .map(|waiting| (waiting.user, waiting.answer))
            .unzip();
        let written = self.store_all(&users).await;
        for (answer, written) in answers.into_iter().zip(written) {
            // The caller may have disconnected.
            let _ = answer.send(written);
        }
    }

    /// The result of the store for each. A failure of one does not affect the others.
    async fn store_all(&self, users: &[NewUser]) -> Vec<Result<User, Error>> {
        match self.store_batch(users).await {
            Ok(written) => written.into_iter().map(Ok).collect(),
            Err(error @ StoreError::Unavailable(_)) => {
                let error = store_error(error);
                users.iter().map(|_| Err(error.clone())).collect()
            }
            Err(_) => {
                let mut answers = Vec::with_capacity(users.len());
                for user in users {
                    let written = self.store_batch(std::slice::from_ref(user)).await;
                    let written = written.map(|mut written| written.pop());
                    let lost = || StoreError::Corrupt("no answer about a user".into());
                    let written = written.and_then(|written| written.ok_or_else(lost));
                    answers.push(written.map_err(store_error));
                }
                answers
            }
        }
    }

    async fn store_batch(&self, users: &[NewUser]) -> Result<Vec<User>, StoreError> {
        let before = |user: &NewUser| self.user_cache.before_writing(&user.external_id, user.id);
        let before: Vec<_> = users.iter().map(before).collect();
        let written = match self.store.find_or_create_users(users.to_vec()).await {
            Ok(written) if written.len() == users.len() => Ok(written),
            Ok(_) => Err(StoreError::Corrupt("another number of users".into())),
            Err(error) => Err(error),
        };
        let Ok(written) = written else {
            for user in users {
                self.user_cache.profile_changed(&user.external_id);
            }
            return written;
        };
        for ((user, new), before) in written.iter().zip(users).zip(&before) {
            self.user_cache.written(user, new.id, before);
            if user.id != new.id {
                self.settlement.user_changed(user).await;
            }
        }
        Ok(written)
    }
}

#[cfg(test)]
#[path = "newcomers_tests.rs"]
mod tests;
