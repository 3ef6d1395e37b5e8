//! The stream under a connection, which obeys its [`Line`].
//! It refuses to know what is written, but for the place of frames that are spliced in.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, Sleep};
use tracing::debug;

use super::splice::{Next, Splicer, TOGETHER};
use super::{ADMITTED, BLOCKED, CUT, FRAMES, HELD, HUNG_UP, Line, SERVED, SERVING, SPOKEN};
use crate::limits::Limits;
use crate::telemetry::Metrics;

/// A client that takes not one byte of what is written to it for so long is cut off.
const STALL: Duration = Duration::from_secs(20);

/// How long a connection on which requests were served may wait for the next one.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// How much is read at once. The libraries above read into buffers of their own, which every
/// connection has and which are small for that: they would ask the system for each piece.
const AT_ONCE: usize = 16 * 1024;

thread_local! {
    /// Where bytes arrive, for all connections of a thread: none holds it across a wait.
    static ARRIVAL: RefCell<Box<[u8]>> = RefCell::new(vec![0; AT_ONCE].into());
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
    /// What was read beyond what was asked for; it comes first.
    ahead: Bytes,
    splicer: Splicer,
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
            ahead: Bytes::new(),
            splicer: Splicer::default(),
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

    /// Reads what is there, and keeps what does not fit.
    fn take_in(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            let stream = Pin::new(&mut self.stream);
            let ahead = ARRIVAL.with_borrow_mut(|arrival| {
                let mut arrived = ReadBuf::new(arrival);
                ready!(stream.poll_read(context, &mut arrived))?;
                let arrived = arrived.filled();
                let (fits, rest) = arrived.split_at(arrived.len().min(buffer.remaining()));
                buffer.put_slice(fits);
                Poll::Ready(io::Result::Ok(Bytes::copy_from_slice(rest)))
            });
            self.ahead = ready!(ahead)?;
        } else {
            let count = self.ahead.len().min(buffer.remaining());
            buffer.put_slice(&self.ahead[..count]);
            self.ahead.advance(count);
            if self.ahead.is_empty() {
                // Whoever is silent keeps no memory.
                self.ahead = Bytes::new();
            }
        }
        Poll::Ready(Ok(()))
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

impl WatchedStream {
    /// Writes what a library that speaks WebSocket wants written, with other frames put where
    /// it left a place for them.
    fn poll_frames(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_spliced(context))?;
        match self.splicer.next(bytes) {
            Next::Own(length) => {
                let own = &bytes[..length];
                let written =
                    self.watch(context, |stream, context| stream.poll_write(context, own));
                let written = ready!(written)?;
                self.splicer.pass(bytes, written);
                if self.splicer.has_spoken() && !self.line.has(SPOKEN) {
                    self.line.raise(SPOKEN);
                }
                Poll::Ready(Ok(written))
            }
            Next::Place(length, number) => {
                self.splicer.put(self.line.0.spliced.lock().take(number));
                // What does not go out now goes before anything else.
                if let Poll::Ready(Err(error)) = self.poll_spliced(context) {
                    return Poll::Ready(Err(error));
                }
                Poll::Ready(Ok(length))
            }
        }
    }

    /// Writes what is left of frames that were spliced in.
    fn poll_spliced(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(frames) = self.splicer.take() {
            let written = {
                let mut slices = [IoSlice::new(&[]); TOGETHER];
                let count = frames.slices(&mut slices);
                let slices = &slices[..count];
                self.watch(context, |stream, context| match slices {
                    [slice] => stream.poll_write(context, slice),
                    slices => stream.poll_write_vectored(context, slices),
                })
            };
            let count = match &written {
                Poll::Ready(Ok(count)) => *count,
                _ => 0,
            };
            self.splicer.put_back(frames, count);
            if ready!(written)? == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
        }
        Poll::Ready(Ok(()))
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
            self.take_in(context, buffer)
        }
    }
}

impl AsyncWrite for WatchedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.splicer.is_on() {
            return self.poll_frames(context, bytes);
        }
        self.watch(context, |stream, context| stream.poll_write(context, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.splicer.is_on() {
            let first = slices.iter().find(|slice| !slice.is_empty());
            return self.poll_frames(context, first.map_or(&[], |slice| slice));
        }
        self.watch(context, |stream, context| {
            stream.poll_write_vectored(context, slices)
        })
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_spliced(context))?;
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        // Whoever flushes has written all that it had: the next byte begins a frame.
        if self.line.has(FRAMES) {
            self.splicer.begin();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
