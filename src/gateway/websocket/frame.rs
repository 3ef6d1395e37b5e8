//! A frame of the server, encoded once for all receivers.
//! Does not know the content of messages.

use bytes::Bytes;

/// One whole frame of a server, unmasked; a clone shares it. Polling sends its payload, too: so a
/// message to many clients is encoded once for all transports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame(Bytes);

impl Frame {
    /// A text, given in parts.
    pub fn text(parts: &[&[u8]]) -> Self {
        Self::build(0x1, parts)
    }

    /// Bytes. Nothing that polychat serves sends any: for tests that echo.
    #[cfg(test)]
    pub fn binary(data: &[u8]) -> Self {
        Self::build(0x2, &[data])
    }

    /// A ping without a payload.
    pub fn ping() -> Self {
        Self::build(0x9, &[])
    }

    /// The answer to a ping with this payload.
    pub fn pong(payload: &[u8]) -> Self {
        Self::build(0xA, &[payload])
    }

    /// The end of the connection.
    pub fn close(code: Option<u16>, reason: &str) -> Self {
        match code {
            Some(code) => Self::build(0x8, &[&code.to_be_bytes(), reason.as_bytes()]),
            None => Self::build(0x8, &[]),
        }
    }

    /// A frame that [`Frame::into_bytes`] gave out.
    pub fn from_encoded(bytes: Bytes) -> Self {
        Self(bytes)
    }

    fn build(opcode: u8, parts: &[&[u8]]) -> Self {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let mut bytes = Vec::with_capacity(10 + length);
        bytes.push(0x80 | opcode);
        match (u8::try_from(length), u16::try_from(length)) {
            (Ok(short @ 0..=125), _) => bytes.push(short),
            (_, Ok(medium)) => {
                bytes.push(126);
                bytes.extend_from_slice(&medium.to_be_bytes());
            }
            _ => {
                bytes.push(127);
                bytes.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
        for part in parts {
            bytes.extend_from_slice(part);
        }
        Self(bytes.into())
    }

    /// The frame as a WebSocket sends it.
    pub fn into_bytes(self) -> Bytes {
        self.0
    }

    /// The payload.
    pub fn payload(&self) -> &[u8] {
        let head = match self.0.get(1) {
            Some(126) => 4,
            Some(127) => 10,
            _ => 2,
        };
        self.0.get(head..).unwrap_or_default()
    }

    /// How long it is, with its head.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_stands_in_the_shortest_form() {
        for (length, head) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            let payload = vec![7; length];
            let frame = Frame::text(&[&payload]);
            assert_eq!(frame.len(), head + length, "{length}");
            assert_eq!(frame.payload(), payload);
        }
    }

    #[test]
    fn a_text_is_made_of_its_parts() {
        let frame = Frame::text(&[b"42", b"[1]"]);
        assert_eq!(&frame.clone().into_bytes()[..], b"\x81\x0542[1]");
        assert_eq!(frame.payload(), b"42[1]");
    }

    #[test]
    fn control_frames_are_what_the_protocol_says() {
        assert_eq!(&Frame::ping().into_bytes()[..], b"\x89\x00");
        assert_eq!(&Frame::pong(b"ab").into_bytes()[..], b"\x8A\x02ab");
        let close = Frame::close(Some(1013), "lagging");
        assert_eq!(&close.into_bytes()[..], b"\x88\x09\x03\xF5lagging");
        assert_eq!(&Frame::close(None, "").into_bytes()[..], b"\x88\x00");
    }
}
