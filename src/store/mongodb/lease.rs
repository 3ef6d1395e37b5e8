//! The lease as this process has it: taken, relied on, lapsed, lost.
//! Does not compare a clock of this machine with one of the server.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::TryStreamExt;
use mongodb::bson::{Document, RawDocumentBuf};
use mongodb::options::ReturnDocument;
use parking_lot::Mutex;
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::Notify;
use tokio::time::timeout;
use tracing::{info, warn};

use super::Mongo;
use super::documents::LEASES;
use super::failure::is_transient;
use super::lease_document::{self as document, Entry, Lease, Moment};
use super::retry::retry_until_deadline;
use crate::model::NodeId;
use crate::store::StoreError;
use crate::store::lease::{Held, Holder, LeaseState, Leasing, Mode, Process, RELIANCE};

/// How long the end of the transactions of others may delay a renewal, so that several renewals fit into
/// [`RELIANCE`]. After that the next one continues with it.
const ENDING: Duration = Duration::from_secs(2);

/// The lease, as far as this process knows.
pub(super) struct OwnLease {
    /// Names this process in the document.
    node: NodeId,
    state: Mutex<State>,
    /// As it was taken.
    taken: Mutex<Option<Taken>>,
    /// Wakes what waits for another state.
    changed: Notify,
    /// Whether there may be transactions of holders that have lapsed: at the start, and after an update without an
    /// answer, which may have dropped one.
    unsettled: AtomicBool,
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

/// With what it is renewed.
#[derive(Clone)]
struct Taken {
    process: Process,
    mode: Mode,
    /// When this process was let in: later than before if its lease has lapsed meanwhile.
    at: Moment,
    era: Moment,
}

/// The answer to an update.
struct Answer {
    /// `None`: there is no document.
    lease: Option<Lease>,
    unsettled: bool,
}

impl OwnLease {
    pub(super) fn new(node: NodeId) -> Self {
        Self {
            node,
            state: Mutex::new(State::NotTaken),
            taken: Mutex::default(),
            changed: Notify::new(),
            unsettled: AtomicBool::new(true),
        }
    }

    fn set(&self, state: State) {
        *self.state.lock() = state;
        self.changed.notify_waiters();
    }

    fn state(&self) -> State {
        *self.state.lock()
    }

    /// The entry of this process, if it holds the lease, in this mode where one is given.
    fn own<'a>(&self, lease: &'a Lease, mode: Option<Mode>) -> Option<&'a Entry> {
        let mut holders = lease.holders.iter();
        holders.find(|entry| {
            entry.node == self.node && mode.is_none_or(|mode| entry.holder.mode == mode)
        })
    }

    /// Records that this process holds the lease since an attempt that began at this moment.
    fn hold(&self, process: &Process, own: &Entry, lease: &Lease, begun: Duration) -> Held {
        let taken = Taken {
            process: process.clone(),
            mode: own.holder.mode,
            at: own.moment(),
            era: lease.era.as_ref().unwrap_or(own).moment(),
        };
        let before = self.taken.lock().replace(taken);
        self.set(State::Held(begun + RELIANCE));
        let shared = |entry: &&Entry| entry.holder.mode == Mode::Shared;
        let nodes = lease.holders.iter().filter(shared);
        let mut nodes: Vec<_> = nodes.map(|entry| entry.node).collect();
        nodes.sort_unstable();
        Held {
            nodes,
            lapsed: before.is_some_and(|before| before.at != own.moment()),
        }
    }
}

impl Mongo {
    /// Updates the document in one step, and reads it.
    async fn update_lease(&self, stages: &[Document], upsert: bool) -> Result<Answer, StoreError> {
        let unsettled = self.lease.unsettled.swap(true, Ordering::Relaxed);
        let leases = self.database.raw(LEASES);
        let update = leases
            .find_one_and_update(document::filter(), stages.to_vec())
            .return_document(ReturnDocument::After)
            .upsert(upsert);
        let found: Option<RawDocumentBuf> = update.await?;
        let lease = found.map(|found| Lease::read(&found)).transpose()?;
        Ok(Answer { lease, unsettled })
    }

    /// Ends the transactions of holders that have lapsed, if there may be any. A commit of one may still be on its
    /// way.
    async fn settle(&self, lease: &Lease, unsettled: bool) {
        for lapsed in &lease.lapsed {
            info!("the lease of {} has lapsed", lapsed.holder);
        }
        let mut ended = true;
        if unsettled || !lease.lapsed.is_empty() {
            let live: Vec<_> = lease.holders.iter().map(|entry| entry.node).collect();
            match timeout(ENDING, self.database.end_transactions(&live)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    warn!(%error, "transactions of an earlier node cannot be ended");
                    ended = !is_transient(&error);
                }
                Err(_) => ended = false,
            }
        }
        self.lease.unsettled.store(!ended, Ordering::Relaxed);
    }
}

#[async_trait]
impl Leasing for Mongo {
    fn node(&self) -> NodeId {
        self.lease.node
    }

    async fn take_lease(&self, process: &Process, mode: Mode) -> Result<LeaseState, StoreError> {
        let taking = document::take(self.lease.node, process, mode);
        let begun = now();
        let answer = retry_until_deadline(|| async {
            match self.update_lease(&taking, true).await {
                // Another process has inserted the document at the same moment.
                Err(StoreError::Duplicate) => self.update_lease(&taking, true).await,
                answer => answer,
            }
        });
        let Answer { lease, unsettled } = answer.await?;
        let Some(lease) = lease else {
            return Ok(LeaseState::Free);
        };
        let Some(own) = self.lease.own(&lease, Some(mode)) else {
            // Nothing was changed.
            self.lease.unsettled.store(unsettled, Ordering::Relaxed);
            let other = lease.in_the_way(self.lease.node, mode);
            return Ok(other.map_or(LeaseState::Free, LeaseState::Other));
        };
        let held = self.lease.hold(process, own, &lease, begun);
        self.settle(&lease, unsettled).await;
        Ok(LeaseState::Own(held))
    }

    async fn renew_lease(&self) -> Result<LeaseState, StoreError> {
        let Some(taken) = self.lease.taken.lock().clone() else {
            return Ok(LeaseState::Free);
        };
        let Taken {
            process, mode, era, ..
        } = taken;
        let renewing = document::renew(self.lease.node, &process, mode, era);
        let begun = now();
        let answer = retry_until_deadline(|| self.update_lease(&renewing, false));
        let Answer { lease, unsettled } = answer.await?;
        let Some(lease) = lease else {
            self.lease.set(State::Lost);
            return Ok(LeaseState::Free);
        };
        let Some(own) = self.lease.own(&lease, None) else {
            self.lease.set(State::Lost);
            let other = lease.in_the_way(self.lease.node, mode);
            return Ok(other.map_or(LeaseState::Free, LeaseState::Other));
        };
        let held = self.lease.hold(&process, own, &lease, begun);
        self.settle(&lease, unsettled).await;
        Ok(LeaseState::Own(held))
    }

    async fn release_lease(&self) -> Result<(), StoreError> {
        self.lease.set(State::Released);
        *self.lease.taken.lock() = None;
        let (of_own, releasing) = document::release(self.lease.node);
        retry_until_deadline(|| async {
            let leases = self.database.raw(LEASES);
            leases.update_one(of_own.clone(), releasing.clone()).await?;
            Ok(())
        })
        .await
    }

    async fn lease_holders(&self) -> Result<Vec<Holder>, StoreError> {
        let stages = document::others(self.lease.node);
        let found = retry_until_deadline(|| async {
            let leases = self.database.raw(LEASES);
            let found = leases.aggregate(stages.clone()).with_type();
            let found: Vec<RawDocumentBuf> = found.await?.try_collect().await?;
            Ok(found)
        });
        let leases = found.await?;
        let leases = leases.iter().map(|found| Lease::read(found));
        let leases = leases.collect::<Result<Vec<_>, _>>()?;
        let holders = leases.into_iter().flat_map(|lease| lease.holders);
        Ok(holders.map(|entry| entry.holder).collect())
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

/// The time since the machine was started, suspended or not.
fn now() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or_default())
}
