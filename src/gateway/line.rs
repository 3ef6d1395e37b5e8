//! The TCP connections, watched: each can be cut, hung up, held back and asked whether the
//! other side takes what is written.
//! It refuses to know what is spoken on them.
//!
//! `socketioxide` gives no hold on the connection under a socket: a client that stops reading
//! keeps its task, its rooms and its file descriptor for ever, `disconnect()` fails on just
//! that client, and nothing says how full its queue is. So the streams are wrapped below the
//! HTTP server, and everything above finds its [`Line`] in the request.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use futures_util::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep};

/// A client that takes not one byte of what is written to it for so long is cut off.
const STALL: Duration = Duration::from_secs(20);

/// Neither side can go on: reading and writing fail.
const CUT: u8 = 1;
/// Reading finds the end; what is being written still goes out.
const HUNG_UP: u8 = 2;
/// Nothing is read for the time being.
const HELD: u8 = 4;
/// The last write found no room.
const BLOCKED: u8 = 8;

/// A hold on one TCP connection; clones hold the same.
#[derive(Clone, Default)]
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

#[derive(Default)]
struct Shared {
    flags: AtomicU8,
    reader: AtomicWaker,
    writer: AtomicWaker,
    unblocked: Notify,
}

impl Line {
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
pub struct Watched(pub TcpListener);

impl Listener for Watched {
    type Io = WatchedStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (WatchedStream, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.0).await;
        // Frames are small and wanted at once. A stream that refuses has ended already.
        let _ = stream.set_nodelay(true);
        (WatchedStream::new(stream), address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
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
}

impl WatchedStream {
    fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            line: Line::default(),
            stall: None,
        }
    }

    /// What every write does besides writing: obey the line, and watch for room.
    fn watch(
        &mut self,
        context: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut TcpStream>, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        self.line.0.writer.register(context.waker());
        if self.line.has(CUT) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        if let Poll::Ready(written) = write(Pin::new(&mut self.stream), context) {
            self.stall = None;
            if self.line.lower(BLOCKED) {
                self.line.0.unblocked.notify_waiters();
            }
            return Poll::Ready(written);
        }
        self.line.raise(BLOCKED);
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
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn pair() -> (WatchedStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let client = TcpStream::connect(address).await.expect("a client");
        let (watched, _) = Watched(listener).accept().await;
        (watched, client)
    }

    /// Writes until there is no more room.
    async fn fill(stream: &mut WatchedStream) {
        let bytes = vec![0; 1 << 20];
        let full = async { while stream.write_all(&bytes).await.is_ok() {} };
        let quiet = Duration::from_millis(300);
        assert!(tokio::time::timeout(quiet, full).await.is_err());
    }

    #[tokio::test]
    async fn a_cut_ends_a_write_that_nobody_reads() {
        let (mut server, _client) = pair().await;
        fill(&mut server).await;
        assert!(server.line.has(BLOCKED));
        let (line, bytes) = (server.line.clone(), vec![0; 1 << 20]);
        let writing = tokio::join!(server.write_all(&bytes), async { line.cut() });
        assert!(writing.0.is_err());
        line.unblocked().await;
    }

    #[tokio::test]
    async fn a_line_is_unblocked_when_the_client_reads_again() {
        let (mut server, mut client) = pair().await;
        fill(&mut server).await;
        let line = server.line.clone();
        let mut bytes = vec![0; 1 << 20];
        let reading = async { while client.read(&mut bytes).await.is_ok_and(|read| read > 0) {} };
        let more = vec![0; 1 << 20];
        let writing = server.write_all(&more);
        tokio::select! {
            written = writing => written.expect("the client reads"),
            () = reading => panic!("the line was cut"),
        }
        line.unblocked().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_cut_off_in_the_end() {
        let (mut server, _client) = pair().await;
        let bytes = vec![0; 1 << 20];
        let mut written = Ok(());
        while written.is_ok() {
            written = server.write_all(&bytes).await;
        }
        assert_eq!(
            written.map_err(|error| error.kind()),
            Err(io::ErrorKind::TimedOut)
        );
        assert!(server.line.has(CUT));
    }

    #[tokio::test]
    async fn a_held_line_reads_nothing_until_released() {
        let (mut server, mut client) = pair().await;
        let line = server.line.clone();
        line.hold();
        client.write_all(b"x").await.expect("room");
        let mut byte = [0];
        let quiet = Duration::from_millis(100);
        assert!(
            tokio::time::timeout(quiet, server.read(&mut byte))
                .await
                .is_err()
        );
        let reading = tokio::join!(server.read(&mut byte), async { line.release() });
        assert_eq!(reading.0.expect("released"), 1);
    }

    #[tokio::test]
    async fn after_hanging_up_reading_ends_and_writing_goes_on() {
        let (mut server, mut client) = pair().await;
        server.line.hang_up();
        let mut byte = [0];
        assert_eq!(server.read(&mut byte).await.expect("the end"), 0);
        server.write_all(b"x").await.expect("writing goes on");
        assert_eq!(client.read(&mut byte).await.expect("a byte"), 1);
    }
}
