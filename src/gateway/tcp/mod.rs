//! Wraps accepted TCP connections: limits, and time limits for clients that get nowhere.
//! Does not know the protocol on a connection.

mod stream;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;

use crate::limits::{ConnectionSlots, Slot};

pub use stream::{GuardedListener, GuardedStream};

/// Reads return the end; pending writes are still sent.
const READ_CLOSED: u8 = 1;
/// A request is being served: the client waits for the server.
const SERVING: u8 = 2;
/// A request was served.
const SERVED: u8 = 4;
/// An upgraded protocol has its own timers.
const ADMITTED: u8 = 8;

/// A handle to one TCP connection; clones share it.
#[derive(Clone)]
pub struct TcpHandle(Arc<Shared>);

struct Shared {
    peer: IpAddr,
    /// The reserved slots, until it ends.
    slots: Mutex<ConnectionSlots>,
    flags: AtomicU8,
    reader: AtomicWaker,
}

/// While this lives, the client has no time limit.
pub struct Serving(TcpHandle);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.lower(SERVING);
    }
}

impl TcpHandle {
    fn new(peer: IpAddr, slots: ConnectionSlots) -> Self {
        Self(Arc::new(Shared {
            peer,
            slots: Mutex::new(slots),
            flags: AtomicU8::default(),
            reader: AtomicWaker::default(),
        }))
    }

    /// The other end of the TCP connection: a client, or a proxy.
    pub fn peer(&self) -> IpAddr {
        self.0.peer
    }

    /// Records that a request was read and is being served, until the guard is dropped.
    pub fn serve(&self) -> Serving {
        self.raise(SERVING);
        Serving(self.clone())
    }

    /// Records that a request was served: from now on the connection ends only when it is idle
    /// for long.
    pub fn served(&self) {
        self.raise(SERVED);
        self.0.slots.lock().unauthenticated = None;
    }

    /// Records that whatever runs on it from now on keeps its own time, and its own count of
    /// unauthenticated clients.
    pub fn admit(&self) {
        self.raise(ADMITTED);
        self.0.slots.lock().unauthenticated = None;
        // A waker holds its task in memory, and the one that reads requests ends at an upgrade.
        drop(self.0.reader.take());
    }

    /// Counts as a connection from there, until it ends: a proxy has made it for that client.
    pub fn occupy(&self, address: Option<Slot<IpAddr>>) {
        self.0.slots.lock().address = address;
    }

    /// Ends the connection as if the client had: pending writes are still sent.
    pub fn close_read(&self) {
        self.raise(READ_CLOSED);
        self.0.reader.wake();
    }

    fn has(&self, flag: u8) -> bool {
        self.0.flags.load(Ordering::Acquire) & flag != 0
    }

    fn raise(&self, flag: u8) {
        self.0.flags.fetch_or(flag, Ordering::AcqRel);
    }

    fn lower(&self, flag: u8) {
        self.0.flags.fetch_and(!flag, Ordering::AcqRel);
    }
}
