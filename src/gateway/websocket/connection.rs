//! The task of one WebSocket: reads, writes, keeps the timers, closes. Written by hand, so that a
//! silent client costs a few fields and no buffer.
//! Does not know the content of messages: an [`Endpoint`] does.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tungstenite::Utf8Bytes;

use super::{Batch, Decoder, Frame, Message};
use crate::gateway::transport::{Handled, Work, close_frame};
use crate::telemetry::CloseReason;

/// How much is read at once.
const READ: usize = 16 * 1024;

/// How long a client may take to close its connection.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

thread_local! {
    /// Where bytes arrive, for all connections of a thread: none holds it across a wait.
    static READ_BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ].into());
}

/// The messages of a WebSocket. Waking the given context polls the connection again.
pub trait Endpoint: Send + Sync + 'static {
    /// Handles a text.
    ///
    /// # Errors
    /// The connection ends.
    fn text(self: &Arc<Self>, text: Utf8Bytes) -> Result<Handled, CloseReason>;

    /// Handles bytes.
    ///
    /// # Errors
    /// The connection ends.
    fn binary(self: &Arc<Self>, data: Bytes) -> Result<Handled, CloseReason>;

    /// Puts frames that wait for the client into `batch`, until it is full. Returns why the
    /// connection ends, once nothing is left to be sent before that.
    fn fill(&self, context: &Context<'_>, batch: &mut Batch) -> Option<CloseReason>;

    /// The client has to read before more is written. Returns why the connection ends, if it
    /// does so without waiting for the client.
    fn await_client(&self, context: &Context<'_>) -> Option<CloseReason>;

    /// The frames taken last are written.
    fn written(&self);

    /// The client sent something, of whatever kind.
    fn seen(&self);

    /// Runs the timers that are due, and returns when to be called again.
    ///
    /// # Errors
    /// The connection ends.
    fn tick(&self) -> Result<Instant, CloseReason>;

    /// The server shuts down: the connection ends once queued frames are sent.
    fn shut_down(&self);

    /// The connection ends. Called once, or more often; only the first reason counts.
    fn end(&self, why: CloseReason);
}

/// One WebSocket, from the opening handshake to its end: to be spawned.
pub struct Connection<S, E: Endpoint> {
    stream: S,
    decoder: Decoder,
    endpoint: Arc<E>,
    /// Set to when [`Endpoint::tick`] wants to be called.
    timer: Pin<Box<Sleep>>,
    /// Ready when the server shuts down; `None` afterwards.
    closing: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    /// The pending work of the latest message.
    work: Option<Work>,
    batch: Batch,
    /// The answer to the latest ping: older ones need none (RFC 6455 §5.5.3).
    pong: Option<Bytes>,
    /// Set once the close frame is being sent.
    awaited_end: Option<Awaited>,
}

/// The input that is awaited after the close frame was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaited {
    /// Nothing: the client's close frame came first.
    Answered,
    /// The client's close frame.
    Close,
    /// The end of the stream: the client's input cannot be decoded any more.
    Eof,
}

impl<S: AsyncRead + AsyncWrite + Unpin, E: Endpoint> Connection<S, E> {
    /// A connection on which `decoder` may have something already. `work`: to be done before the
    /// client's first message is handled.
    pub fn new(
        stream: S,
        decoder: Decoder,
        endpoint: Arc<E>,
        work: Option<Work>,
        closing: CancellationToken,
    ) -> Self {
        Self {
            stream,
            decoder,
            endpoint,
            timer: Box::pin(sleep_until(Instant::now())),
            closing: Some(Box::pin(closing.cancelled_owned())),
            work,
            batch: Batch::default(),
            pong: None,
            awaited_end: None,
        }
    }

    /// Serves the connection as far as it goes without waiting.
    ///
    /// # Errors
    /// It ends.
    fn serve(&mut self, context: &mut Context<'_>) -> Result<(), CloseReason> {
        if let Some(closing) = &mut self.closing
            && closing.as_mut().poll(context).is_ready()
        {
            self.closing = None;
            self.endpoint.shut_down();
        }
        self.keep_time(context)?;
        loop {
            self.write(context)?;
            if let Some(work) = &mut self.work {
                match work.as_mut().poll(context) {
                    Poll::Ready(done) => done?,
                    Poll::Pending => return Ok(()),
                }
                self.work = None;
            }
            if let Some(message) = self.decoder.next()? {
                self.handle(message)?;
                continue;
            }
            match self.read(context) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(1..)) => self.endpoint.seen(),
                Poll::Ready(_) => return Err(CloseReason::Gone),
            }
        }
    }

    /// Runs the timers that are due.
    fn keep_time(&mut self, context: &mut Context<'_>) -> Result<(), CloseReason> {
        loop {
            let at = self.endpoint.tick()?;
            if self.timer.deadline() != at {
                self.timer.as_mut().reset(at);
            }
            if self.timer.as_mut().poll(context).is_pending() {
                return Ok(());
            }
        }
    }

    /// Writes queued frames, as far as the client reads them.
    fn write(&mut self, context: &mut Context<'_>) -> Result<(), CloseReason> {
        loop {
            if self.batch.is_empty() {
                if let Some(payload) = self.pong.take() {
                    self.batch.push(Frame::pong(&payload));
                }
                let ended = self.endpoint.fill(context, &mut self.batch);
                if self.batch.is_empty() {
                    return ended.map_or(Ok(()), Err);
                }
            }
            match self.batch.poll_write(&mut self.stream, context) {
                Poll::Ready(Ok(true)) => self.endpoint.written(),
                Poll::Ready(Ok(false)) => {
                    context.waker().wake_by_ref();
                    return Ok(());
                }
                Poll::Ready(Err(_)) => return Err(CloseReason::Gone),
                Poll::Pending => return self.endpoint.await_client(context).map_or(Ok(()), Err),
            }
        }
    }

    fn handle(&mut self, message: Message) -> Result<(), CloseReason> {
        let handled = match message {
            Message::Text(text) => self.endpoint.text(text)?,
            Message::Binary(data) => self.endpoint.binary(data)?,
            Message::Ping(payload) => {
                self.pong = Some(payload);
                Handled::Done
            }
            Message::Pong => Handled::Done,
            Message::Close(code) => {
                self.batch.clear();
                self.batch.push(Frame::close(code, ""));
                self.awaited_end = Some(Awaited::Answered);
                return Err(CloseReason::Gone);
            }
        };
        if let Handled::Later(work) = handled {
            self.work = Some(work);
        }
        Ok(())
    }

    /// Reads available bytes into the decoder; returns how many.
    fn read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        READ_BUFFER.with_borrow_mut(|buffer| {
            let mut arrived = ReadBuf::new(buffer);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut arrived))?;
            self.decoder.push(arrived.filled());
            Poll::Ready(Ok(arrived.filled().len()))
        })
    }

    /// Begins the closing handshake: nothing that the client still sends is handled.
    fn begin_close(&mut self, why: CloseReason) {
        self.endpoint.end(why);
        (self.work, self.closing) = (None, None);
        if let Some((code, reason)) = close_frame(why) {
            self.batch.clear();
            self.batch.push(Frame::close(Some(code), reason));
        }
        let awaited = match why {
            CloseReason::ProtocolError | CloseReason::NotUtf8 | CloseReason::TooLarge => {
                Awaited::Eof
            }
            _ => Awaited::Close,
        };
        self.awaited_end.get_or_insert(awaited);
        self.timer.as_mut().reset(Instant::now() + CLOSE_TIMEOUT);
    }

    /// Sends the close frame, and waits until the client has read it: a connection that is dropped
    /// with unread input is reset, which would overtake the last frames.
    fn finish_close(&mut self, awaited: Awaited, context: &mut Context<'_>) -> Poll<()> {
        if self.timer.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        let written = loop {
            match ready!(self.batch.poll_write(&mut self.stream, context)) {
                Ok(false) => {}
                written => break written,
            }
        };
        if written.is_err() || ready!(Pin::new(&mut self.stream).poll_shutdown(context)).is_err() {
            return Poll::Ready(());
        }
        loop {
            match awaited {
                Awaited::Answered => return Poll::Ready(()),
                Awaited::Close => loop {
                    match self.decoder.next() {
                        Ok(Some(Message::Close(_))) | Err(_) => return Poll::Ready(()),
                        Ok(Some(_)) => {}
                        Ok(None) => break,
                    }
                },
                Awaited::Eof => self.decoder = Decoder::new(0),
            }
            if !matches!(ready!(self.read(context)), Ok(1..)) {
                return Poll::Ready(());
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin, E: Endpoint> Future for Connection<S, E> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if let Some(awaited) = self.awaited_end {
            return self.finish_close(awaited, context);
        }
        match self.serve(context) {
            Ok(()) => Poll::Pending,
            Err(why) => {
                self.begin_close(why);
                self.poll(context)
            }
        }
    }
}

impl<S, E: Endpoint> Drop for Connection<S, E> {
    fn drop(&mut self) {
        self.endpoint.end(CloseReason::Gone);
    }
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
