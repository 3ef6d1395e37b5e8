//! From the bytes of a client to messages (RFC 6455 §5).
//! Does not read them. Holds no buffer while nothing is half read.

use bytes::{Buf, Bytes, BytesMut};
use tungstenite::Utf8Bytes;

use crate::telemetry::CloseReason;

/// The longest payload of a control frame (RFC 6455 §5.5).
const CONTROL: usize = 125;

/// From how many bytes on a frame shares its memory with no other.
const LARGE: usize = 16 * 1024;

/// A message or a control frame of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A text.
    Text(Utf8Bytes),
    /// Bytes.
    Binary(Bytes),
    /// To be answered with a pong of the same payload.
    Ping(Bytes),
    /// The answer to a ping.
    Pong,
    /// The client ends the connection, with the code that it gave.
    Close(Option<u16>),
}

/// Why a connection has to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Violation {
    /// A frame that the protocol does not allow.
    Protocol,
    /// A text is not UTF-8.
    NotUtf8,
    /// A message is longer than allowed.
    TooLarge,
}

impl From<Violation> for CloseReason {
    fn from(violation: Violation) -> Self {
        match violation {
            Violation::Protocol => Self::ProtocolError,
            Violation::NotUtf8 => Self::NotUtf8,
            Violation::TooLarge => Self::TooLarge,
        }
    }
}

/// Decodes the frames of one client.
#[derive(Debug)]
pub struct Decoder {
    limit: usize,
    buffer: BytesMut,
    /// A message of which more fragments follow.
    partial: Option<Partial>,
}

#[derive(Debug)]
struct Partial {
    kind: Kind,
    payload: BytesMut,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Binary,
}

/// The header of a frame.
struct Head {
    last: bool,
    opcode: u8,
    mask: [u8; 4],
    /// Of the head itself, in bytes.
    length: usize,
    /// Of the payload, in bytes.
    payload: usize,
}

impl Decoder {
    /// A decoder of messages of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            buffer: BytesMut::new(),
            partial: None,
        }
    }

    /// Adds what was read from the client.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next message, if all of it was read; control frames between the fragments of a
    /// message come first.
    ///
    /// # Errors
    /// The connection has to end. Nothing more is decoded.
    pub fn next(&mut self) -> Result<Option<Message>, Violation> {
        loop {
            let Some(head) = self.head()? else {
                return Ok(None);
            };
            let whole = head.length.saturating_add(head.payload);
            if self.buffer.len() < whole {
                // Memory is taken as bytes arrive, not as a head announces them.
                return Ok(None);
            }
            let mut payload = self.buffer.split_to(whole);
            if whole > LARGE && !self.buffer.is_empty() {
                // The rest would keep the memory of a large frame alive.
                self.buffer = BytesMut::from(&self.buffer[..]);
            }
            payload.advance(head.length);
            unmask(&mut payload, head.mask);
            if self.buffer.is_empty() {
                // Most clients are idle most of the time.
                self.buffer = BytesMut::new();
            }
            if let Some(message) = self.frame(&head, payload)? {
                return Ok(Some(message));
            }
        }
    }

    /// A whole frame; `None`: a fragment that is not the last one.
    fn frame(&mut self, head: &Head, payload: BytesMut) -> Result<Option<Message>, Violation> {
        let kind = match head.opcode {
            0x0 => return self.continuation(head.last, &payload),
            0x1 => Kind::Text,
            0x2 => Kind::Binary,
            0x8 => return close(&payload).map(Some),
            0x9 => return Ok(Some(Message::Ping(payload.freeze()))),
            0xA => return Ok(Some(Message::Pong)),
            _ => return Err(Violation::Protocol),
        };
        if self.partial.is_some() {
            return Err(Violation::Protocol);
        }
        if head.last {
            return kind.message(payload).map(Some);
        }
        self.partial = Some(Partial { kind, payload });
        Ok(None)
    }

    fn continuation(&mut self, last: bool, payload: &[u8]) -> Result<Option<Message>, Violation> {
        let Some(mut partial) = self.partial.take() else {
            return Err(Violation::Protocol);
        };
        partial.payload.extend_from_slice(payload);
        if last {
            return partial.kind.message(partial.payload).map(Some);
        }
        self.partial = Some(partial);
        Ok(None)
    }

    /// The head at the beginning of the buffer, if all of it was read.
    fn head(&self) -> Result<Option<Head>, Violation> {
        let [first, second, rest @ ..] = &self.buffer[..] else {
            return Ok(None);
        };
        let (last, opcode, short) = (first & 0x80 != 0, first & 0x0F, usize::from(second & 0x7F));
        let control = opcode & 0x8 != 0;
        // No extension is negotiated, and clients mask (§5.1, §5.2).
        if first & 0x70 != 0 || second & 0x80 == 0 || (control && (!last || short > CONTROL)) {
            return Err(Violation::Protocol);
        }
        let extended = match short {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        if rest.len() < extended + 4 {
            return Ok(None);
        }
        let (number, rest) = rest.split_at(extended);
        let length = number
            .iter()
            .fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
        let payload = match extended {
            0 => short,
            _ => usize::try_from(length).map_err(|_| Violation::TooLarge)?,
        };
        let before = self.partial.as_ref().map_or(0, |it| it.payload.len());
        if !control && payload.saturating_add(before) > self.limit {
            return Err(Violation::TooLarge);
        }
        Ok(Some(Head {
            last,
            opcode,
            mask: [rest[0], rest[1], rest[2], rest[3]],
            length: 2 + extended + 4,
            payload,
        }))
    }
}

impl Kind {
    fn message(self, payload: BytesMut) -> Result<Message, Violation> {
        match self {
            Self::Binary => Ok(Message::Binary(payload.freeze())),
            Self::Text => Utf8Bytes::try_from(payload.freeze())
                .map(Message::Text)
                .map_err(|_| Violation::NotUtf8),
        }
    }
}

/// A close frame, whose code and reason have rules of their own (§5.5.1, §7.4).
fn close(payload: &[u8]) -> Result<Message, Violation> {
    match payload {
        [] => Ok(Message::Close(None)),
        [_] => Err(Violation::Protocol),
        [high, low, reason @ ..] => {
            if str::from_utf8(reason).is_err() {
                return Err(Violation::NotUtf8);
            }
            match u16::from_be_bytes([*high, *low]) {
                code @ (1000..=1003 | 1007..=1014 | 3000..=4999) => Ok(Message::Close(Some(code))),
                _ => Err(Violation::Protocol),
            }
        }
    }
}

/// Applies a mask, eight bytes at a time.
fn unmask(payload: &mut [u8], [a, b, c, d]: [u8; 4]) {
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = payload.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip([a, b, c, d].into_iter().cycle()) {
        *byte ^= mask;
    }
}

#[cfg(test)]
#[path = "decoder_tests.rs"]
mod tests;
