//! The listener and the streams that it accepts, each with time limits for reading and writing.
//! Does not know the bytes that pass through.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, Sleep};
use tracing::debug;

use super::{ADMITTED, READ_CLOSED, SERVED, SERVING, TcpHandle};
use crate::limits::Limits;
use crate::telemetry::Metrics;

/// A client that does not take one byte for so long is disconnected.
const STALL: Duration = Duration::from_secs(20);

/// How long a connection on which requests were served may wait for the next one.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Accepts TCP connections and wraps each.
pub struct GuardedListener {
    listener: TcpListener,
    limits: Arc<Limits>,
    metrics: Metrics,
}

impl GuardedListener {
    /// Accepts those that the limits allow; others are closed at once.
    pub fn new(listener: TcpListener, limits: Arc<Limits>, metrics: Metrics) -> Self {
        Self {
            listener,
            limits,
            metrics,
        }
    }
}

impl Listener for GuardedListener {
    type Io = GuardedStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (GuardedStream, SocketAddr) {
        loop {
            let (stream, address) = Listener::accept(&mut self.listener).await;
            let slots = match self.limits.connection(address.ip()) {
                Ok(slots) => slots,
                Err(error) => {
                    self.metrics.turned_away(error.kind.code());
                    debug!(%address, %error, "a connection was not accepted");
                    continue;
                }
            };
            // Frames are small and wanted at once. A stream that refuses has ended already.
            let _ = stream.set_nodelay(true);
            let handle = TcpHandle::new(address.ip(), slots);
            let handshake = self.limits.handshake();
            return (GuardedStream::new(stream, handle, handshake), address);
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Connected<IncomingStream<'_, GuardedListener>> for TcpHandle {
    fn connect_info(stream: IncomingStream<'_, GuardedListener>) -> Self {
        stream.io().handle.clone()
    }
}

/// A TCP stream with time limits, controlled by its [`TcpHandle`].
pub struct GuardedStream {
    stream: TcpStream,
    handle: TcpHandle,
    /// Runs while a write finds no room.
    stall: Option<Pin<Box<Sleep>>>,
    /// Until when a request has to be served.
    handshake: Instant,
    /// Runs while the client has a time limit.
    waiting: Option<Pin<Box<Sleep>>>,
}

/// Other handles may live on; the connection's slots are released here.
impl Drop for GuardedStream {
    fn drop(&mut self) {
        std::mem::take(&mut *self.handle.0.slots.lock());
    }
}

impl GuardedStream {
    fn new(stream: TcpStream, handle: TcpHandle, handshake: Duration) -> Self {
        Self {
            stream,
            handle,
            stall: None,
            handshake: Instant::now() + handshake,
            waiting: None,
        }
    }

    /// Whether the client has taken too long over its next request, even if it keeps sending.
    /// Called before each read, so that the timer wakes the reader.
    fn is_overdue(&mut self, context: &mut Context<'_>) -> bool {
        if self.handle.has(SERVING | ADMITTED) {
            self.waiting = None;
            return false;
        }
        let until = if self.handle.has(SERVED) {
            Instant::now() + KEEP_ALIVE
        } else {
            self.handshake
        };
        let waiting = &mut self.waiting;
        let waiting = waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        waiting.as_mut().poll(context).is_ready()
    }

    /// Writes, and watches for room.
    fn guard_write(
        &mut self,
        context: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut TcpStream>, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(written) = write(Pin::new(&mut self.stream), context) {
            self.stall = None;
            // Idleness begins when the response is written. The timer stays, since the reader may
            // be waiting for it already.
            if let Some(waiting) = &mut self.waiting
                && self.handle.has(SERVED)
            {
                waiting.as_mut().reset(Instant::now() + KEEP_ALIVE);
            }
            return Poll::Ready(written);
        }
        let stall = self
            .stall
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + STALL)));
        ready!(stall.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for GuardedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.handle.has(ADMITTED) {
            self.handle.0.reader.register(context.waker());
        }
        if self.handle.has(READ_CLOSED) {
            Poll::Ready(Ok(()))
        } else if self.is_overdue(context) {
            debug!(peer = %self.handle.peer(), "a connection made no progress in time");
            Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
        } else {
            Pin::new(&mut self.stream).poll_read(context, buffer)
        }
    }
}

impl AsyncWrite for GuardedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.guard_write(context, |stream, context| stream.poll_write(context, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.guard_write(context, |stream, context| {
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
#[path = "stream_tests.rs"]
mod tests;
