//! The lease as a document: its holder, and until when it lasts by the clock of the server, which
//! each update reads in the same step.
//! Does not compare a clock of this machine with one of the server.

use std::time::Duration;

use async_trait::async_trait;
use mongodb::bson::{DateTime, Document, Uuid, doc};
use mongodb::options::ReturnDocument;
use parking_lot::Mutex;
use rustix::time::{ClockId, clock_gettime};
use serde::Deserialize;
use tokio::sync::Notify;
use tokio::time::timeout;
use tracing::warn;

use super::Mongo;
use super::documents::LEASES;
use super::fields::{Readable, decode, time};
use super::retry::retry_until_deadline;
use crate::store::StoreError;
use crate::store::lease::{Holder, LIFETIME, LeaseState, Leasing, Process, RELIANCE};

/// The `_id` of the one lease.
const ID: &str = "store";

/// The lease, as far as this process knows.
pub(super) struct OwnLease {
    /// Names this process in the document.
    holder: Uuid,
    state: Mutex<State>,
    /// Wakes what waits for another state.
    changed: Notify,
}

#[derive(Clone, Copy)]
enum State {
    NotTaken,
    /// Relied on until [`now`] is this.
    Held(Duration),
    /// Another process has taken it.
    Lost,
    Released,
}

impl Default for OwnLease {
    fn default() -> Self {
        Self {
            holder: Uuid::new(),
            state: Mutex::new(State::NotTaken),
            changed: Notify::new(),
        }
    }
}

impl OwnLease {
    fn set(&self, state: State) {
        *self.state.lock() = state;
        self.changed.notify_waiters();
    }

    fn state(&self) -> State {
        *self.state.lock()
    }

    /// Records the outcome of an attempt that began at this moment.
    fn note(&self, lease: &LeaseState, begun: Duration) {
        match lease {
            LeaseState::Own => self.set(State::Held(begun + RELIANCE)),
            LeaseState::Other(_) | LeaseState::Free => self.set(State::Lost),
        }
    }
}

/// The document.
#[derive(Deserialize)]
pub(super) struct LeaseDocument {
    holder: Uuid,
    command: String,
    host: String,
    pid: i64,
    version: String,
    since: DateTime,
    until: DateTime,
}

impl Readable for LeaseDocument {
    const COLLECTION: &'static str = LEASES;
    type Model = (Uuid, Holder);

    fn model(self) -> Result<Self::Model, StoreError> {
        let process = Process {
            command: self.command,
            host: self.host,
            pid: u32::try_from(self.pid).unwrap_or_default(),
            version: self.version,
        };
        let holder = Holder {
            process,
            since: time(self.since)?,
            until: time(self.until)?,
        };
        Ok((self.holder, holder))
    }
}

impl Mongo {
    /// Updates the document in one step, and reads it.
    async fn update_lease(&self, stage: Document, upsert: bool) -> Result<LeaseState, StoreError> {
        let leases = self.database.raw(LEASES);
        let update = leases
            .find_one_and_update(doc! { "_id": ID }, vec![stage])
            .return_document(ReturnDocument::After)
            .upsert(upsert);
        let Some(found) = update.await? else {
            return Ok(LeaseState::Free);
        };
        let (holder, of) = decode::<LeaseDocument>(&found)?;
        if holder == self.lease.holder {
            return Ok(LeaseState::Own);
        }
        Ok(LeaseState::Other(of))
    }
}

#[async_trait]
impl Leasing for Mongo {
    async fn take_lease(&self, process: &Process) -> Result<LeaseState, StoreError> {
        let holder = self.lease.holder;
        // What a process is called must not be read as an expression.
        let own = doc! {
            "_id": ID,
            "holder": holder,
            "command": { "$literal": &process.command },
            "host": { "$literal": &process.host },
            "pid": { "$literal": i64::from(process.pid) },
            "version": { "$literal": &process.version },
            "since": "$$NOW",
            "until": end(),
        };
        // Without a document `$until` is missing, which is less than any time.
        let lapsed = doc! { "$lte": ["$until", "$$NOW"] };
        let again = doc! { "$eq": ["$holder", holder] };
        let free = doc! { "$or": [lapsed, again] };
        let stage = doc! { "$replaceWith": { "$cond": [free, own, "$$ROOT"] } };
        let begun = now();
        let lease = retry_until_deadline(|| async {
            match self.update_lease(stage.clone(), true).await {
                // Another process has inserted the document at the same moment.
                Err(StoreError::Duplicate) => self.update_lease(stage.clone(), true).await,
                lease => lease,
            }
        });
        let lease = lease.await?;
        if lease == LeaseState::Own {
            self.lease.note(&lease, begun);
            // A commit of the former holder may still be on its way.
            if let Err(error) = self.database.end_transactions().await {
                warn!(%error, "transactions of an earlier node cannot be ended");
            }
        }
        Ok(lease)
    }

    async fn renew_lease(&self) -> Result<LeaseState, StoreError> {
        let own = doc! { "$eq": ["$holder", self.lease.holder] };
        let until = doc! { "$cond": [own, end(), "$until"] };
        let stage = doc! { "$set": { "until": until } };
        let begun = now();
        let lease = retry_until_deadline(|| self.update_lease(stage.clone(), false)).await?;
        self.lease.note(&lease, begun);
        Ok(lease)
    }

    async fn release_lease(&self) -> Result<(), StoreError> {
        self.lease.set(State::Released);
        let own = doc! { "_id": ID, "holder": self.lease.holder };
        retry_until_deadline(|| async {
            self.database.raw(LEASES).delete_one(own.clone()).await?;
            Ok(())
        })
        .await
    }

    fn check_lease(&self) -> Result<(), StoreError> {
        let why = match self.lease.state() {
            State::NotTaken => return Ok(()),
            State::Held(until) if now() < until => return Ok(()),
            State::Held(_) => {
                let seconds = RELIANCE.as_secs();
                format!("its lease was not renewed for {seconds} seconds")
            }
            State::Lost => "another process has taken its lease".to_owned(),
            State::Released => "its lease was released".to_owned(),
        };
        Err(StoreError::Unavailable(why.into()))
    }

    async fn await_lease(&self) -> Result<(), StoreError> {
        let waiting = async {
            loop {
                let changed = self.lease.changed.notified();
                match (self.check_lease(), self.lease.state()) {
                    (Err(_), State::Held(_)) => changed.await,
                    (state, _) => return state,
                }
            }
        };
        let state = timeout(RELIANCE, waiting).await;
        state.unwrap_or_else(|_| self.check_lease())
    }
}

/// When a lease ends that is taken or renewed now, by the server's clock.
fn end() -> Document {
    let lifetime = i64::try_from(LIFETIME.as_millis()).unwrap_or(i64::MAX);
    doc! { "$add": ["$$NOW", lifetime] }
}

/// The time since the machine was started, suspended or not.
fn now() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or_default())
}
