//! A stream in memory that the library takes for the TCP connection of a WebSocket: frames of a
//! client into it, frames of a server out of it (RFC 6455 §5.2).
//! Does not know the meaning of events.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};

use bytes::{Buf, BufMut, BytesMut};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

use crate::gateway::engineio::Session;
use crate::gateway::socketio::packet::{connected, prefix};
use crate::telemetry::CloseReason;

/// How many bytes the library may leave unread before the client is not read from.
const FULL_AT: usize = 64 * 1024;

const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;

/// A frame of a client in a namespace.
#[derive(Clone, Copy)]
pub(in crate::gateway::socketio) enum Payload<'a> {
    /// A packet.
    Text(&'a str),
    /// An attachment.
    Binary(&'a [u8]),
}

/// The private stream of one socket, seen from here.
pub(in crate::gateway::socketio) struct Stream {
    /// The session that the socket is on.
    session: Weak<Session>,
    /// The path of its namespace.
    namespace: &'static str,
    state: Mutex<State>,
    /// Wakes the waiter for the library.
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// Frames that the library has not read.
    inbound: BytesMut,
    /// Wakes the library.
    reader: Option<Waker>,
    /// The bytes that the library has written, up to the first whole frame.
    outbound: BytesMut,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Phase {
    /// The library has not answered the CONNECT.
    #[default]
    Connecting,
    /// It has: the client is connected.
    Open,
    /// The socket has ended. `answered`: the library was notified. An end before the answer waits
    /// for it, since the library would keep a socket that it connects after its end.
    Closed {
        /// Whether the library has answered the CONNECT.
        answered: bool,
    },
}

impl Stream {
    /// A stream that the library has not seen yet, with the CONNECT in it: a socket that ends
    /// before the library sees it is connected and closed there like any other.
    pub(in crate::gateway::socketio) fn new(
        session: &Arc<Session>,
        namespace: &'static str,
    ) -> Arc<Self> {
        let mut state = State::default();
        state.push(TEXT, &[b"40", prefix(namespace).as_bytes()]);
        Arc::new(Self {
            session: Arc::downgrade(session),
            namespace,
            state: Mutex::new(state),
            changed: Notify::new(),
        })
    }

    /// Passes something on to the library.
    pub(in crate::gateway::socketio) fn push(&self, payload: Payload<'_>) {
        let mut state = self.state.lock();
        if matches!(state.phase, Phase::Closed { .. }) {
            return;
        }
        match payload {
            Payload::Text(text) => state.push(TEXT, &[b"4", text.as_bytes()]),
            Payload::Binary(data) => state.push(BINARY, &[data]),
        }
    }

    /// Whether the library has so much to read that it is given no more.
    pub(in crate::gateway::socketio) fn is_full(&self) -> bool {
        let state = self.state.lock();
        state.inbound.len() >= FULL_AT && state.phase == Phase::Open
    }

    /// Returns when the library takes more. For one waiter.
    pub(in crate::gateway::socketio) async fn has_room(&self) {
        while self.is_full() {
            self.changed.notified().await;
        }
    }

    /// Whether the library has connected the client.
    pub(in crate::gateway::socketio) fn is_open(&self) -> bool {
        self.state.lock().phase == Phase::Open
    }

    /// Returns when the library has connected the client, or the socket has ended. For one waiter.
    pub(in crate::gateway::socketio) async fn is_connected(&self) {
        let connecting = || self.state.lock().phase == Phase::Connecting;
        while connecting() {
            self.changed.notified().await;
        }
    }

    /// For the library the client has closed.
    pub(in crate::gateway::socketio) fn close(&self) {
        let mut state = self.state.lock();
        match state.phase {
            Phase::Connecting => state.phase = Phase::Closed { answered: false },
            Phase::Open => state.close(),
            Phase::Closed { .. } => return,
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Takes bytes that the library writes, in any pieces.
    fn written(&self, bytes: &[u8]) {
        self.state.lock().outbound.extend_from_slice(bytes);
        loop {
            let frame = {
                let mut state = self.state.lock();
                let frame = state.next_frame();
                if state.outbound.is_empty() {
                    state.outbound = BytesMut::new();
                }
                frame
            };
            let Some((opcode, payload)) = frame else {
                return;
            };
            match payload.first() {
                // Its heartbeat is answered here.
                Some(b'2') if opcode == TEXT => self.state.lock().push(TEXT, &[b"3"]),
                Some(b'4') if opcode == TEXT => self.answered(&payload),
                // OPEN and CLOSE are the transport's.
                _ => {}
            }
        }
    }

    /// The library's answer to the CONNECT. It sends no other packets.
    fn answered(&self, packet: &[u8]) {
        {
            let mut state = self.state.lock();
            match state.phase {
                Phase::Closed { answered: false } => return state.close(),
                Phase::Connecting if packet.starts_with(b"40") => {}
                _ => return,
            }
        }
        if let Some(session) = self.session.upgrade() {
            let data = packet.get(2 + prefix(self.namespace).len()..);
            let data = str::from_utf8(data.unwrap_or_default()).unwrap_or_default();
            // First the answer, then everything else.
            session.send([connected(session.protocol(), self.namespace, data)]);
            {
                let mut state = self.state.lock();
                match state.phase {
                    Phase::Connecting => state.phase = Phase::Open,
                    Phase::Closed { answered: false } => state.close(),
                    _ => {}
                }
            }
            session.wake();
        }
        self.changed.notify_one();
    }
}

impl State {
    /// A frame of a client. It is masked with zeros: the payload is not changed.
    fn push(&mut self, opcode: u8, parts: &[&[u8]]) {
        const FINAL: u8 = 0x80;
        const MASKED: u8 = 0x80;
        let length: usize = parts.iter().map(|part| part.len()).sum();
        self.inbound.reserve(length + 14);
        self.inbound.put_u8(FINAL | opcode);
        match (u8::try_from(length), u16::try_from(length)) {
            (Ok(short @ 0..=125), _) => self.inbound.put_u8(MASKED | short),
            (_, Ok(medium)) => {
                self.inbound.put_u8(MASKED | 0x7E);
                self.inbound.put_u16(medium);
            }
            _ => {
                self.inbound.put_u8(MASKED | 0x7F);
                self.inbound.put_u64(length as u64);
            }
        }
        self.inbound.put_u32(0);
        for part in parts {
            self.inbound.put_slice(part);
        }
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    fn close(&mut self) {
        self.push(CLOSE, &[]);
        self.phase = Phase::Closed { answered: true };
    }

    /// The next whole frame of the library, without its head.
    fn next_frame(&mut self) -> Option<(u8, BytesMut)> {
        let (opcode, short) = (*self.outbound.first()? & 0x0F, *self.outbound.get(1)?);
        let (head, length) = match short {
            126 => {
                let length = self.outbound.get(2..4)?.try_into().ok()?;
                (4, usize::from(u16::from_be_bytes(length)))
            }
            127 => {
                let length = self.outbound.get(2..10)?.try_into().ok()?;
                (10, usize::try_from(u64::from_be_bytes(length)).ok()?)
            }
            short => (2, usize::from(short)),
        };
        if self.outbound.len() < head + length {
            return None;
        }
        self.outbound.advance(head);
        Some((opcode, self.outbound.split_to(length)))
    }
}

/// The stream, seen from the library. `kept` receives its events: it lives until the library has
/// read everything that was sent before the end.
pub(super) struct LibraryEnd {
    pub(super) stream: Arc<Stream>,
    #[expect(dead_code, reason = "held, not read")]
    pub(super) kept: Option<Arc<dyn Send + Sync>>,
}

impl AsyncRead for LibraryEnd {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.stream.state.lock();
        if state.inbound.is_empty() {
            if state.phase == (Phase::Closed { answered: true }) {
                return Poll::Ready(Ok(()));
            }
            state.reader = Some(context.waker().clone());
            return Poll::Pending;
        }
        let full = state.inbound.len() >= FULL_AT;
        let count = state.inbound.len().min(buffer.remaining());
        buffer.put_slice(&state.inbound[..count]);
        state.inbound.advance(count);
        let room = full && state.inbound.len() < FULL_AT;
        if state.inbound.is_empty() {
            // A silent client keeps no buffer.
            state.inbound = BytesMut::new();
        }
        drop(state);
        if room {
            self.stream.changed.notify_one();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for LibraryEnd {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream.written(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The library ends a stream when it cannot decode what the client sends.
impl Drop for LibraryEnd {
    fn drop(&mut self) {
        let ended = matches!(self.stream.state.lock().phase, Phase::Closed { .. });
        if let Some(session) = self.stream.session.upgrade().filter(|_| !ended) {
            session.close(CloseReason::ProtocolError);
        }
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
