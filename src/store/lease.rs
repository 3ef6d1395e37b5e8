//! The lease of a store: held by the one process that may change what the store holds, since every
//! process caches rights and heads as if no other changed them.
//! Does not know what a process does without it, and waits for nothing.

use std::fmt::{Display, Formatter, Result as Written};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::StoreError;

/// How long a lease lasts after it was taken or renewed, by the clock of the database server.
pub const LIFETIME: Duration = Duration::from_secs(6);

/// How long its holder relies on it, by a clock of its machine that is never set and runs on while
/// the machine is suspended, from the moment at which it began to take or renew it: as long as any
/// call of a store may take. It ends earlier than the lease, so that clocks of the database's
/// servers which differ by less than a second do no harm.
pub const RELIANCE: Duration = Duration::from_secs(5);

/// Takes, renews and releases the lease.
///
/// SQLite locks its file when it is opened, and the kernel releases that lock with the process: the
/// process has the lease as long as it has the store open, and the files are where it opened them. A
/// process that opens that place later would find other files, and lock those.
#[async_trait]
pub trait Leasing: Send + Sync {
    /// Takes the lease for this process if no other holds it: it was never taken, was released, or
    /// has lapsed, [`LIFETIME`] after its last renewal. Atomic: of several at once one takes it. The
    /// holder may take it again. Answers [`LeaseState::Own`], or the process that holds it.
    async fn take_lease(&self, process: &Process) -> Result<LeaseState, StoreError>;

    /// Renews the lease, unless another process has taken it meanwhile. One that has lapsed is
    /// renewed, too: nobody else has held it.
    async fn renew_lease(&self) -> Result<LeaseState, StoreError>;

    /// Releases the lease if this process still holds it: another may take it at once.
    async fn release_lease(&self) -> Result<(), StoreError>;

    /// `Unavailable` with the reason if this process has taken the lease and may not hold it any
    /// more: it was not renewed for [`RELIANCE`], is another's, or was released; of a file: the
    /// latest renewal, write or ping has found one of its files moved, deleted or replaced. Queries
    /// nothing.
    fn check_lease(&self) -> Result<(), StoreError>;

    /// Returns as soon as [`Leasing::check_lease`] succeeds. With its error at once if the lease is
    /// another's or was released, or a file is gone; after [`RELIANCE`] if it was not renewed until
    /// then.
    async fn await_lease(&self) -> Result<(), StoreError>;
}

/// The state of a lease after an attempt to take or renew it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaseState {
    /// This process holds it.
    Own,
    /// Another process holds it, or held it last.
    Other(Holder),
    /// Nobody holds it.
    Free,
}

/// A process that uses a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// The subcommand.
    pub command: String,
    /// The name of its host.
    pub host: String,
    /// Its id there.
    pub pid: u32,
    /// Its version of polychat.
    pub version: String,
}

/// A process that has taken the lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The process.
    pub process: Process,
    /// When it took it, by the clock of the database server.
    pub since: Timestamp,
    /// When its lease lapses, by that clock: another time after each renewal.
    pub until: Timestamp,
}

impl Display for Holder {
    fn fmt(&self, out: &mut Formatter<'_>) -> Written {
        let Process {
            command,
            host,
            pid,
            version,
        } = &self.process;
        let since = self.since.as_second();
        let since = Timestamp::from_second(since).unwrap_or(self.since);
        write!(
            out,
            "polychat {command} on {host}, process {pid}, version {version}, since {since}"
        )
    }
}
