//! The bodies of polls. Those that clients post are decoded by `engineioxide_core`.
//! Does not know sessions.
//!
//! That crate's encoder is not used: it takes packets, and the frames are encoded already. All of
//! them are texts, since no dialect sends anything else.

use std::io::Write;

use axum::http::HeaderValue;
use engineioxide_core::ProtocolVersion;

use crate::gateway::websocket::Frame;

/// What a body is.
pub(super) const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=UTF-8");

/// The body with these frames.
pub(super) fn encode<'a>(
    protocol: ProtocolVersion,
    frames: impl IntoIterator<Item = &'a Frame>,
) -> Vec<u8> {
    match protocol {
        ProtocolVersion::V4 => separated(frames),
        ProtocolVersion::V3 => counted(frames),
    }
}

/// Protocol 4: packets with a separator between them.
fn separated<'a>(frames: impl IntoIterator<Item = &'a Frame>) -> Vec<u8> {
    const SEPARATOR: u8 = 0x1E;
    let mut body = Vec::new();
    for frame in frames {
        if !body.is_empty() {
            body.push(SEPARATOR);
        }
        body.extend_from_slice(frame.payload());
    }
    body
}

/// Protocol 3: packets behind their lengths, in the units of JavaScript's strings.
fn counted<'a>(frames: impl IntoIterator<Item = &'a Frame>) -> Vec<u8> {
    let mut body = Vec::new();
    for frame in frames {
        // It is UTF-8 already.
        let text = String::from_utf8_lossy(frame.payload());
        let length: usize = text.chars().map(char::len_utf16).sum();
        // Nothing that is written into memory fails.
        let _ = write!(body, "{length}:{text}");
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(protocol: ProtocolVersion, packets: &[&str]) -> String {
        let frames = packets.iter().map(|text| Frame::text(&[text.as_bytes()]));
        let frames: Vec<_> = frames.collect();
        String::from_utf8(encode(protocol, &frames)).expect("a text")
    }

    #[test]
    fn protocol_4_separates_packets() {
        assert_eq!(encoded(ProtocolVersion::V4, &["4é", "2"]), "4é\u{1e}2");
        assert_eq!(encoded(ProtocolVersion::V4, &["6"]), "6");
    }

    #[test]
    fn protocol_3_counts_as_javascript_does() {
        assert_eq!(encoded(ProtocolVersion::V3, &["4é😀", "6"]), "4:4é😀1:6");
    }
}
