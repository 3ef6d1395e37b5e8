//! Frames that go out on a WebSocket between those of the library which speaks it: encoded once
//! for all who get them, and neither copied nor queued by the library.
//! It refuses to know sockets, and what the frames say.
//!
//! `socketioxide` copies a message four times for each client and moves it through a queue whose
//! places are larger than most messages: with many clients that is what a delivery costs. So it
//! is given one small event to send, [`PLACE`], for all the frames that wait, and that is found
//! on its way out and the frames are put there. They keep their order among whatever the library
//! sends by itself, and it decides when anything is sent.
//!
//! No client ever gets to see the place: it is used only once the library has written a message
//! on this very connection (so none will go another way, as polling is), and no other event has
//! its name.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

use super::Line;

/// The name of the event in whose place frames go out; its body is the number of a [`Splice`].
pub const PLACE: &str = "polychat:frames";

/// The same as the library writes it, behind the packet's type and namespace.
const WRITTEN: (&[u8], &[u8]) = (br#"["polychat:frames","#, b"]");

/// How many frames wait for one place at most.
const MOST_FRAMES: usize = 256;

/// The same in bytes, not counting the last one.
const MOST_BYTES: usize = 256 * 1024;

/// Up to how many bytes it is cheaper to copy frames together than to write them one by one.
const COPIED: usize = 16 * 1024;

/// How many frames are written at a time.
pub(super) const TOGETHER: usize = 64;

/// The final frame of a text (RFC 6455 §5.2).
const TEXT: u8 = 0x81;

/// A way for frames onto a line, for one who has the library send their places.
pub struct Splice {
    line: Line,
    number: u32,
}

impl Splice {
    pub(super) fn onto(line: Line) -> Self {
        let number = line.0.spliced.lock().open();
        Self { line, number }
    }

    /// Whether the client takes what is written, as far as is known.
    pub fn is_clear(&self) -> bool {
        self.line.is_clear()
    }

    /// Adds a frame behind those that wait. If there is no place for them yet `call` has the
    /// library queue one, with this number in it. `false`: the frame was not added, since much
    /// waits already or there is no place to be had.
    pub fn add(&self, frame: Bytes, call: impl FnOnce(u32) -> bool) -> bool {
        let mut spliced = self.line.0.spliced.lock();
        let Some(ours) = spliced.of(self.number) else {
            return false;
        };
        if ours.frames.len() >= MOST_FRAMES || ours.bytes >= MOST_BYTES {
            return false;
        }
        // What waits is locked: whoever writes the place finds the frame.
        ours.called = ours.called || call(self.number);
        if ours.called {
            ours.bytes += frame.len();
            ours.frames.push(frame);
        }
        ours.called
    }
}

impl Drop for Splice {
    fn drop(&mut self) {
        self.line.0.spliced.lock().end(self.number);
    }
}

/// The frames of one line that wait for their places.
#[derive(Default)]
pub(super) struct Spliced {
    waiting: Vec<Waiting>,
    opened: u32,
}

struct Waiting {
    number: u32,
    frames: Vec<Bytes>,
    bytes: usize,
    /// Whether the library has a place for them in its queue.
    called: bool,
    /// Whether nobody adds anything any more.
    ended: bool,
}

impl Spliced {
    fn open(&mut self) -> u32 {
        self.opened = self.opened.wrapping_add(1);
        self.waiting.push(Waiting {
            number: self.opened,
            frames: Vec::new(),
            bytes: 0,
            called: false,
            ended: false,
        });
        self.opened
    }

    fn of(&mut self, number: u32) -> Option<&mut Waiting> {
        self.waiting.iter_mut().find(|one| one.number == number)
    }

    /// Nobody adds anything under this number any more: what waits still goes out.
    fn end(&mut self, number: u32) {
        if let Some(ours) = self.of(number) {
            ours.ended = true;
        }
        self.forget_ended();
    }

    fn forget_ended(&mut self) {
        self.waiting
            .retain(|one| !one.ended || !one.frames.is_empty());
    }

    /// Takes those of this number: their place has come.
    pub(super) fn take(&mut self, number: u32) -> Vec<Bytes> {
        let Some(waiting) = self.of(number) else {
            return Vec::new();
        };
        (waiting.called, waiting.bytes) = (false, 0);
        let frames = std::mem::take(&mut waiting.frames);
        self.forget_ended();
        frames
    }
}

/// Follows what the library writes from frame to frame.
#[derive(Default)]
pub(super) struct Splicer {
    reading: Reading,
    /// Whether the library has written a message.
    spoken: bool,
    /// What was put in and is not written yet.
    out: Frames,
}

#[derive(Default)]
enum Reading {
    /// It is not known where frames begin.
    #[default]
    Off,
    /// So many bytes remain of the frame that is being written.
    Rest(usize),
}

/// Frames that are to be written in this order.
#[derive(Default)]
pub(super) struct Frames(VecDeque<Bytes>);

/// What comes next of what the library wants written.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// So many bytes of its own.
    Own(usize),
    /// A place for the frames of this number, which takes so many.
    Place(usize, u32),
}

impl Splicer {
    /// The next byte begins a frame, and from here on all is frames.
    pub(super) fn begin(&mut self) {
        if matches!(self.reading, Reading::Off) {
            self.reading = Reading::Rest(0);
        }
    }

    pub(super) fn is_on(&self) -> bool {
        matches!(self.reading, Reading::Rest(_))
    }

    pub(super) fn has_spoken(&self) -> bool {
        self.spoken
    }

    /// How much of `bytes`, which follow what was passed, may be written as it is.
    pub(super) fn next(&mut self, bytes: &[u8]) -> Next {
        let Reading::Rest(rest) = self.reading else {
            return Next::Own(bytes.len());
        };
        let mut from = rest;
        while let Some(frame) = bytes.get(from..).and_then(Frame::at) {
            self.spoken |= frame.is_message;
            match (from, frame.place) {
                (0, Some(number)) => return Next::Place(frame.length, number),
                (_, Some(_)) => return Next::Own(from),
                (_, None) => from += frame.length,
            }
        }
        Next::Own(bytes.len())
    }

    /// Notes that of `bytes` so many were written as they are.
    pub(super) fn pass(&mut self, bytes: &[u8], written: usize) {
        let Reading::Rest(rest) = self.reading else {
            return;
        };
        let mut until = rest;
        while until < written {
            let Some(length) = bytes.get(until..).and_then(length) else {
                // A frame whose head is written in pieces, which the library never does: there
                // is no following it any more.
                self.reading = Reading::Off;
                return;
            };
            until += length;
        }
        self.reading = Reading::Rest(until - written);
    }

    /// These go out next.
    pub(super) fn put(&mut self, frames: Vec<Bytes>) {
        let bytes: usize = frames.iter().map(Bytes::len).sum();
        if frames.len() > 1 && bytes <= COPIED {
            self.out.0.push_back(frames.concat().into());
        } else {
            self.out.0.extend(frames);
        }
    }

    /// What is to be written before anything else, to be put back.
    pub(super) fn take(&mut self) -> Option<Frames> {
        let some = !self.out.0.is_empty();
        some.then(|| std::mem::take(&mut self.out))
    }

    /// Puts back what is left when so many bytes were written.
    pub(super) fn put_back(&mut self, mut frames: Frames, mut written: usize) {
        while let Some(first) = frames.0.front_mut()
            && written > 0
        {
            let part = written.min(first.len());
            first.advance(part);
            written -= part;
            if first.is_empty() {
                frames.0.pop_front();
            }
        }
        if !frames.0.is_empty() {
            self.out = frames;
        }
    }
}

impl Frames {
    /// Fills in as many as there is room for; answers how many those are.
    pub(super) fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let pairs = slices.iter_mut().zip(&self.0);
        pairs
            .map(|(slice, frame)| *slice = IoSlice::new(frame))
            .count()
    }
}

/// A whole frame that the library has written.
struct Frame {
    /// With its head, in bytes.
    length: usize,
    is_message: bool,
    /// The number of those whose place it is.
    place: Option<u32>,
}

impl Frame {
    /// The frame at the beginning of `bytes`; `None`: it goes beyond their end.
    fn at(bytes: &[u8]) -> Option<Self> {
        let length = length(bytes)?;
        let frame = bytes.get(..length)?;
        let text = if frame[0] == TEXT {
            &frame[head(frame)?.0..]
        } else {
            &[]
        };
        Some(Self {
            length,
            is_message: text.first() == Some(&b'4'),
            place: place(text),
        })
    }
}

/// The number in an event of the name, without acknowledgement, in whatever namespace.
fn place(text: &[u8]) -> Option<u32> {
    let packet = text.strip_prefix(b"42")?;
    let data = match packet.first()? {
        b'/' => packet.splitn(2, |byte| *byte == b',').nth(1)?,
        _ => packet,
    };
    let (before, after) = WRITTEN;
    let number = data.strip_prefix(before)?.strip_suffix(after)?;
    let digits = number.iter().all(u8::is_ascii_digit);
    str::from_utf8(number).ok().filter(|_| digits)?.parse().ok()
}

/// The length of the frame that begins here, with its head.
fn length(bytes: &[u8]) -> Option<usize> {
    let (head, payload) = head(bytes)?;
    head.checked_add(payload)
}

/// The lengths of a frame's head and of its payload. What a server sends is not masked.
fn head(bytes: &[u8]) -> Option<(usize, usize)> {
    match *bytes.get(1)? {
        126 => {
            let length = bytes.get(2..4)?.try_into().ok()?;
            Some((4, usize::from(u16::from_be_bytes(length))))
        }
        127 => {
            let length = bytes.get(2..10)?.try_into().ok()?;
            Some((10, usize::try_from(u64::from_be_bytes(length)).ok()?))
        }
        length => Some((2, usize::from(length))),
    }
}

#[cfg(test)]
#[path = "splice_tests.rs"]
mod tests;
