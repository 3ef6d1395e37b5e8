//! The lease of a store: held by the processes that may change what the store holds. Servers share it, each of
//! them a node; a command has it alone.
//! Does not know what a process does without it, and waits for nothing.

use std::fmt::{Display, Formatter, Result as Written};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::StoreError;
use crate::model::NodeId;

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
/// process has the lease alone, in whichever mode, as long as it has the store open, and the files are where it
/// opened them. A process that opens that place later would find other files, and lock those.
#[async_trait]
pub trait Leasing: Send + Sync {
    /// The id of this process as a holder of the lease: that of the node if it is a server.
    fn node(&self) -> NodeId;

    /// Takes the lease for this process unless another one is in the way: that of a process that has it alone, or
    /// in [`Mode::Exclusive`] that of any. None is in the way once it was released or has lapsed, [`LIFETIME`] after its
    /// last renewal. Atomic: of several at once that exclude each other one takes it. A holder may take it again, in
    /// the other mode too. Answers [`LeaseState::Own`], or a process that is in the way.
    async fn take_lease(&self, process: &Process, mode: Mode) -> Result<LeaseState, StoreError>;

    /// Renews the lease, which was taken before. One that has lapsed is taken again, and [`Held::lapsed`] is
    /// set, unless a process that excludes this one has held it meanwhile.
    async fn renew_lease(&self) -> Result<LeaseState, StoreError>;

    /// Releases the lease if this process still holds it: another may take it at once.
    async fn release_lease(&self) -> Result<(), StoreError>;

    /// The processes that hold it now, without this one.
    async fn lease_holders(&self) -> Result<Vec<Holder>, StoreError>;

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

/// With whom a process uses a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// With other nodes.
    Shared,
    /// Alone.
    Exclusive,
}

/// The state of a lease after an attempt to take or renew it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaseState {
    /// This process holds it.
    Own(Held),
    /// Another process is in the way, or was.
    Other(Holder),
    /// Nobody holds it: its document is gone.
    Free,
}

/// The lease of this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The nodes that hold it in [`Mode::Shared`], in the order of their ids. This one is among them if it does.
    pub nodes: Vec<NodeId>,
    /// Whether it had lapsed since the attempt before: what this process caches may be out of date, and its open
    /// transactions may have been ended.
    pub lapsed: bool,
}

impl LeaseState {
    /// Whether this process holds it.
    pub const fn is_own(&self) -> bool {
        matches!(self, Self::Own(_))
    }
}

/// A process that uses a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// The subcommand, and what it is doing if that matters to others.
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
    /// How it holds it.
    pub mode: Mode,
    /// Since when it holds it without a lapse, by the clock of the database server.
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
