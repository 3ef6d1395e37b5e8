//! The TCP connections, watched: each can be cut, hung up, held back and asked whether the
//! other side takes what is written; and one that gets nowhere ends.
//! It refuses to know what is spoken on them.
//!
//! `socketioxide` gives no hold on the connection under a socket: a client that stops reading
//! keeps its task, its rooms and its file descriptor for ever, `disconnect()` fails on just
//! that client, and nothing says how full its queue is. So the streams are wrapped below the
//! HTTP server, and everything above finds its [`Line`] in the request.

mod splice;
mod stream;

use std::net::IpAddr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Weak};

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::sync::Notify;

use self::splice::Spliced;
use crate::limits::{ConnectionSlots, Slot};

pub use splice::{PLACE, Splice};
pub use stream::Watched;

/// Neither side can go on: reading and writing fail.
const CUT: u16 = 1;
/// Reading finds the end; what is being written still goes out.
const HUNG_UP: u16 = 2;
/// Nothing is read for the time being.
const HELD: u16 = 4;
/// The last write found no room.
const BLOCKED: u16 = 8;
/// A request is being served: the client waits for us.
const SERVING: u16 = 16;
/// A request was served.
const SERVED: u16 = 32;
/// Somebody was admitted who stays.
const ADMITTED: u16 = 64;
/// A library writes the frames of a WebSocket, and no other bytes.
const FRAMES: u16 = 128;
/// It has written a message: all that follow will come this way.
const SPOKEN: u16 = 256;

/// A hold on one TCP connection; clones hold the same.
#[derive(Clone)]
pub struct Line(Arc<Shared>);

/// A hold that ends with the connection.
#[derive(Clone)]
pub struct WeakLine(Weak<Shared>);

impl WeakLine {
    /// The line, as long as its connection is there.
    pub fn line(&self) -> Option<Line> {
        self.0.upgrade().map(Line)
    }
}

struct Shared {
    peer: IpAddr,
    /// What it counts for, until it ends.
    entry: Mutex<ConnectionSlots>,
    flags: AtomicU16,
    reader: AtomicWaker,
    writer: AtomicWaker,
    unblocked: Notify,
    /// The frames that go out between those of a library.
    spliced: Mutex<Spliced>,
}

/// As long as this lives the client is not kept to any time.
pub struct Serving(Line);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.lower(SERVING);
    }
}

impl Line {
    fn new(peer: IpAddr, entry: ConnectionSlots) -> Self {
        Self(Arc::new(Shared {
            peer,
            entry: Mutex::new(entry),
            flags: AtomicU16::default(),
            reader: AtomicWaker::default(),
            writer: AtomicWaker::default(),
            unblocked: Notify::default(),
            spliced: Mutex::default(),
        }))
    }

    /// The other end of the TCP connection: a client, or a proxy.
    pub fn peer(&self) -> IpAddr {
        self.0.peer
    }

    /// Notes that a request was read and is being served, until what this returns is dropped.
    pub fn serve(&self) -> Serving {
        self.raise(SERVING);
        Serving(self.clone())
    }

    /// Notes that a request was served: from now on the connection ends only when it is idle
    /// for long.
    pub fn served(&self) {
        self.raise(SERVED);
        self.0.entry.lock().stranger = None;
    }

    /// Notes that it belongs to somebody who was admitted: it may stay, and be silent, for as
    /// long as whoever speaks on it likes.
    pub fn admit(&self) {
        self.raise(ADMITTED);
        self.0.entry.lock().stranger = None;
    }

    /// Counts as a connection from there, until it ends: a proxy has made it for somebody.
    pub fn occupy(&self, address: Option<Slot<IpAddr>>) {
        self.0.entry.lock().address = address;
    }

    /// A hold that does not outlive the connection.
    pub fn weak(&self) -> WeakLine {
        WeakLine(Arc::downgrade(&self.0))
    }

    /// Ends the connection now, whatever its state.
    pub fn cut(&self) {
        self.raise(CUT);
        self.0.reader.wake();
        self.0.writer.wake();
        self.0.unblocked.notify_waiters();
    }

    /// Ends the connection as if the client had: what has been written still goes out.
    pub fn hang_up(&self) {
        self.raise(HUNG_UP);
        self.0.reader.wake();
    }

    /// Reads nothing more until [`Line::release`], so that the client's own sending stalls.
    pub fn hold(&self) {
        self.raise(HELD);
    }

    /// Goes on reading.
    pub fn release(&self) {
        if self.lower(HELD) {
            self.0.reader.wake();
        }
    }

    /// Whether the client takes what is written, as far as is known.
    pub fn is_clear(&self) -> bool {
        !self.has(BLOCKED | CUT | HUNG_UP)
    }

    /// Returns once the client takes what is written, or the line is cut.
    pub async fn unblocked(&self) {
        loop {
            let mut unblocked = std::pin::pin!(self.0.unblocked.notified());
            // From here on no wake-up is missed, so the flags may be looked at.
            unblocked.as_mut().enable();
            if !self.has(BLOCKED) || self.has(CUT) {
                return;
            }
            unblocked.await;
        }
    }

    /// Notes that from now on nothing but frames of a WebSocket is written by a library, whose
    /// messages are those of Engine.IO. Answers whether there may be a [`Splice`] by now.
    pub fn splices(&self) -> bool {
        if !self.has(FRAMES) {
            self.raise(FRAMES);
        }
        self.has(SPOKEN)
    }

    /// A way for frames onto it, beside those of the library.
    pub fn splice(&self) -> Splice {
        Splice::onto(self.clone())
    }

    fn has(&self, flag: u16) -> bool {
        self.0.flags.load(Ordering::Acquire) & flag != 0
    }

    fn raise(&self, flag: u16) {
        self.0.flags.fetch_or(flag, Ordering::AcqRel);
    }

    /// Says whether it was raised.
    fn lower(&self, flag: u16) -> bool {
        self.0.flags.fetch_and(!flag, Ordering::AcqRel) & flag != 0
    }
}
