//! Frames on their way to a client, written with as few calls of the system as possible.
//! Does not know connections and what they send.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::AsyncWrite;

use super::Frame;

/// How many frames are taken from an endpoint at once, and written with one call of the system.
pub(super) const BATCH_FRAMES: usize = 64;

/// The same in bytes, not counting the last frame.
const BATCH_BYTES: usize = 256 * 1024;

/// How many bytes are written at once before other connections get their turn.
const TURN: usize = 64 * 1024;

/// Up to how many bytes it is cheaper to copy frames together than to write them one by one.
pub(super) const COPIED: usize = 16 * 1024;

/// Frames on their way to a client.
#[derive(Default)]
pub struct Batch {
    frames: VecDeque<Bytes>,
    bytes: usize,
    /// How much of the first frame is written.
    written: usize,
}

impl Batch {
    /// Adds a frame.
    pub fn push(&mut self, frame: Frame) {
        self.bytes += frame.len();
        self.frames.push_back(frame.into_bytes());
    }

    /// Whether it has enough.
    pub fn is_full(&self) -> bool {
        self.frames.len() >= BATCH_FRAMES || self.bytes >= BATCH_BYTES
    }

    /// Whether it has nothing.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Its frames, for a transport that does not write them itself.
    pub fn into_frames(self) -> impl ExactSizeIterator<Item = Frame> {
        self.frames.into_iter().map(Frame::from_encoded)
    }

    /// Drops frames that are not half written.
    pub(super) fn clear(&mut self) {
        self.frames.truncate(usize::from(self.written > 0));
    }

    /// Writes it. Returns whether all of it is written; otherwise other connections are due first.
    pub(super) fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<bool>> {
        self.join();
        let mut left = TURN;
        while let Some(first) = self.frames.front() {
            let stream = Pin::new(&mut *stream);
            if left == 0 {
                return Poll::Ready(Ok(false));
            }
            let written = if self.frames.len() == 1 {
                stream.poll_write(context, part(first, self.written, left))
            } else {
                let mut slices = [IoSlice::new(&[]); BATCH_FRAMES];
                let (mut count, mut begun, mut room) = (0, self.written, left);
                for (slice, frame) in slices.iter_mut().zip(&self.frames) {
                    let part = part(frame, begun, room);
                    *slice = IoSlice::new(part);
                    (count, begun, room) = (count + 1, 0, room - part.len());
                    if room == 0 {
                        break;
                    }
                }
                stream.poll_write_vectored(context, &slices[..count])
            };
            let written = ready!(written)?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(written);
            left -= written;
        }
        *self = Self::default();
        Poll::Ready(Ok(true))
    }

    /// Copies short frames together: one `send` is cheaper than one `writev`.
    fn join(&mut self) {
        if self.frames.len() < 2 || self.bytes > COPIED || self.written > 0 {
            return;
        }
        let mut joined = Vec::with_capacity(self.bytes);
        for frame in self.frames.drain(..) {
            joined.extend_from_slice(&frame);
        }
        self.frames.push_back(joined.into());
    }

    fn advance(&mut self, bytes: usize) {
        self.written += bytes;
        while let Some(first) = self.frames.front()
            && self.written >= first.len()
        {
            self.written -= first.len();
            self.frames.pop_front();
        }
    }
}

/// At most so many bytes of a frame of which some are written.
fn part(frame: &[u8], begun: usize, most: usize) -> &[u8] {
    let rest = &frame[begun..];
    &rest[..rest.len().min(most)]
}

#[cfg(test)]
#[path = "batch_tests.rs"]
mod tests;
