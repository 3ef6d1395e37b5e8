//! The TCP connections, watched: each can be cut, hung up, held back and asked whether the
//! other side takes what is written; and one that gets nowhere ends.
//! It refuses to know what is spoken on them.
//!
//! `socketioxide` gives no hold on the connection under a socket: a client that stops reading
//! keeps its task, its rooms and its file descriptor for ever, `disconnect()` fails on just
//! that client, and nothing says how full its queue is. So the streams are wrapped below the
//! HTTP server, and everything above finds its [`Line`] in the request.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep};
use tracing::debug;

use super::limits::{Entry, Limits, Slot};
use crate::telemetry::Metrics;

/// A client that takes not one byte of what is written to it for so long is cut off.
const STALL: Duration = Duration::from_secs(20);

/// How long a connection on which requests were served may wait for the next one.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Neither side can go on: reading and writing fail.
const CUT: u8 = 1;
/// Reading finds the end; what is being written still goes out.
const HUNG_UP: u8 = 2;
/// Nothing is read for the time being.
const HELD: u8 = 4;
/// The last write found no room.
const BLOCKED: u8 = 8;
/// A request is being served: the client waits for us.
const SERVING: u8 = 16;
/// A request was served.
const SERVED: u8 = 32;
/// Somebody was admitted who stays.
const ADMITTED: u8 = 64;

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
    entry: Mutex<Entry>,
    flags: AtomicU8,
    reader: AtomicWaker,
    writer: AtomicWaker,
    unblocked: Notify,
}

/// As long as this lives the client is not kept to any time.
pub struct Serving(Line);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.lower(SERVING);
    }
}

impl Line {
    fn new(peer: IpAddr, entry: Entry) -> Self {
        Self(Arc::new(Shared {
            peer,
            entry: Mutex::new(entry),
            flags: AtomicU8::default(),
            reader: AtomicWaker::default(),
            writer: AtomicWaker::default(),
            unblocked: Notify::default(),
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

    fn has(&self, flag: u8) -> bool {
        self.0.flags.load(Ordering::Acquire) & flag != 0
    }

    fn raise(&self, flag: u8) {
        self.0.flags.fetch_or(flag, Ordering::AcqRel);
    }

    /// Says whether it was raised.
    fn lower(&self, flag: u8) -> bool {
        self.0.flags.fetch_and(!flag, Ordering::AcqRel) & flag != 0
    }
}

/// Accepts TCP connections and wraps each.
pub struct Watched {
    listener: TcpListener,
    limits: Arc<Limits>,
    metrics: Metrics,
}

impl Watched {
    /// Accepts those that the limits allow; others are closed at once.
    pub fn new(listener: TcpListener, limits: Arc<Limits>, metrics: Metrics) -> Self {
        Self {
            listener,
            limits,
            metrics,
        }
    }
}

impl Listener for Watched {
    type Io = WatchedStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (WatchedStream, SocketAddr) {
        loop {
            let (stream, address) = Listener::accept(&mut self.listener).await;
            let entry = match self.limits.entry(address.ip()) {
                Ok(entry) => entry,
                Err(error) => {
                    self.metrics.turned_away(error.kind.code());
                    debug!(%address, %error, "a connection was not accepted");
                    continue;
                }
            };
            // Frames are small and wanted at once. A stream that refuses has ended already.
            let _ = stream.set_nodelay(true);
            let line = Line::new(address.ip(), entry);
            let patience = self.limits.handshake();
            return (WatchedStream::new(stream, line, patience), address);
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Connected<IncomingStream<'_, Watched>> for Line {
    fn connect_info(stream: IncomingStream<'_, Watched>) -> Self {
        stream.io().line.clone()
    }
}

/// A TCP stream that obeys its [`Line`].
pub struct WatchedStream {
    stream: TcpStream,
    line: Line,
    /// Runs while a write finds no room.
    stall: Option<Pin<Box<Sleep>>>,
    /// Until when somebody has to be admitted, or a request served.
    handshake: Instant,
    /// Runs while the client is kept to a time.
    waiting: Option<Pin<Box<Sleep>>>,
}

/// Other holds on the line may live on; what it counted for ends here.
impl Drop for WatchedStream {
    fn drop(&mut self) {
        std::mem::take(&mut *self.line.0.entry.lock());
    }
}

impl WatchedStream {
    fn new(stream: TcpStream, line: Line, handshake: Duration) -> Self {
        Self {
            stream,
            line,
            stall: None,
            handshake: Instant::now() + handshake,
            waiting: None,
        }
    }

    /// Whether the client has taken too long over its next request, however busily it sends
    /// one. Asked whenever something is to be read, so the timer wakes whoever reads.
    fn is_overdue(&mut self, context: &mut Context<'_>) -> bool {
        if self.line.has(SERVING | ADMITTED) {
            self.waiting = None;
            return false;
        }
        let handshake = self.handshake;
        let until = if self.line.has(SERVED) {
            Instant::now() + KEEP_ALIVE
        } else {
            handshake
        };
        let waiting = &mut self.waiting;
        let waiting = waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        waiting.as_mut().poll(context).is_ready()
    }

    /// What every write does besides writing: obey the line, and watch for room.
    fn watch(
        &mut self,
        context: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut TcpStream>, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if self.line.has(CUT) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        if let Poll::Ready(written) = write(Pin::new(&mut self.stream), context) {
            self.stall = None;
            // Idleness begins when the answer is written. The timer stays, lest nobody wake who
            // is reading already.
            if let Some(waiting) = &mut self.waiting
                && self.line.has(SERVED)
            {
                waiting.as_mut().reset(Instant::now() + KEEP_ALIVE);
            }
            if self.line.lower(BLOCKED) {
                self.line.0.unblocked.notify_waiters();
            }
            return Poll::Ready(written);
        }
        self.line.raise(BLOCKED);
        // Only who waits is to be woken: a waker keeps its whole task in memory, and the one
        // that wrote the answer to an upgrade has ended. Who cuts in between is seen below.
        self.line.0.writer.register(context.waker());
        if self.line.has(CUT) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let stall = self
            .stall
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + STALL)));
        ready!(stall.as_mut().poll(context));
        self.line.cut();
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for WatchedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.line.0.reader.register(context.waker());
        if self.line.has(CUT) {
            Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()))
        } else if self.line.has(HUNG_UP) {
            Poll::Ready(Ok(()))
        } else if self.is_overdue(context) {
            debug!(peer = %self.line.peer(), "a connection got nowhere in time");
            self.line.cut();
            Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
        } else if self.line.has(HELD) {
            Poll::Pending
        } else {
            Pin::new(&mut self.stream).poll_read(context, buffer)
        }
    }
}

impl AsyncWrite for WatchedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.watch(context, |stream, context| stream.poll_write(context, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.watch(context, |stream, context| {
            stream.poll_write_vectored(context, slices)
        })
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
#[path = "line_tests.rs"]
mod tests;
