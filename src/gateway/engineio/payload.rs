//! The bodies of polls, both ways.
//! Does not know sessions.
//!
//! `engineioxide_core` decodes what clients post, but for the texts of protocol 3: at a length
//! that ends within a surrogate pair its decoder (0.2.3) runs for ever. Its encoder is not used: it
//! takes packets, and the frames are encoded already. All frames are texts, since no dialect sends
//! anything else.

use std::io::Write;

use axum::http::HeaderValue;
use bytes::Bytes;
use engineioxide_core::{Packet, ProtocolVersion, Str, payload};
use futures_util::future::Either;
use futures_util::{Stream, StreamExt, stream};
use http_body_util::Full;

use crate::gateway::websocket::Frame;
use crate::telemetry::CloseReason;

/// The kind of a body.
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

/// The packets in a body of this kind, up to the first one that is none.
pub(super) fn decode(
    protocol: ProtocolVersion,
    kind: Option<&HeaderValue>,
    body: Bytes,
) -> impl Stream<Item = Result<Packet, CloseReason>> {
    let binary = kind.is_some_and(|kind| kind == "application/octet-stream");
    if protocol == ProtocolVersion::V3 && !binary {
        let mut rest = Some(body);
        let packets = std::iter::from_fn(move || {
            let body = rest.take().filter(|body| !body.is_empty())?;
            let next = next_counted(&body);
            rest = next.as_ref().ok().map(|(_, after)| body.slice(*after..));
            Some(next.map(|(packet, _)| packet))
        });
        return Either::Left(stream::iter(packets));
    }
    let limit = u64::try_from(body.len()).unwrap_or(u64::MAX);
    let packets = payload::decoder(Full::new(body), kind, protocol, limit);
    Either::Right(packets.map(|packet| packet.map_err(|_| CloseReason::ProtocolError)))
}

/// The first packet behind its length, in the units of JavaScript's strings, and where the next
/// one begins.
fn next_counted(body: &[u8]) -> Result<(Packet, usize), CloseReason> {
    const DIGITS: usize = 10;
    let broken = CloseReason::ProtocolError;
    let head = body.iter().take(DIGITS + 1);
    let colon = head.clone().position(|it| *it == b':').ok_or(broken)?;
    let length = str::from_utf8(&body[..colon])
        .ok()
        .and_then(|it| it.parse().ok());
    let length: usize = length.ok_or(broken)?;
    let text = &body[colon + 1..];
    // A character takes three bytes a unit at most.
    let most = text.len().min(length.saturating_mul(3));
    let text = match str::from_utf8(&text[..most]) {
        Ok(text) => text,
        Err(error) => str::from_utf8(&text[..error.valid_up_to()]).map_err(|_| broken)?,
    };
    let (mut units, mut end) = (0, 0);
    for character in text.chars() {
        if units >= length {
            break;
        }
        units += character.len_utf16();
        end += character.len_utf8();
    }
    if units != length {
        return Err(broken);
    }
    let packet = Packet::parse(ProtocolVersion::V3, Str::copy_from_slice(&text[..end]));
    Ok((packet.map_err(|_| broken)?, colon + 1 + end))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

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

    fn decoded(body: &str) -> Vec<Result<Packet, CloseReason>> {
        let body = Bytes::from(body.to_owned());
        let packets = decode(ProtocolVersion::V3, None, body).collect();
        packets.now_or_never().expect("nothing to wait for")
    }

    #[test]
    fn texts_of_protocol_3_are_decoded_by_their_lengths() {
        let message = |text: &'static str| Ok(Packet::Message(text.into()));
        let broken = || Err(CloseReason::ProtocolError);
        let cases = [
            ("", vec![]),
            ("4:4é😀1:2", vec![message("é😀"), Ok(Packet::Ping)]),
            ("2:4:2:44", vec![message(":"), message("4")]),
            (
                "6:b4AQID",
                vec![Ok(Packet::BinaryV3(Bytes::from_static(&[1, 2, 3])))],
            ),
            // A length that cuts a surrogate pair in two.
            ("2:4😀x", vec![broken()]),
            ("1:😀abc", vec![broken()]),
            ("2:4a3:4", vec![message("a"), broken()]),
            ("0:", vec![broken()]),
            ("5", vec![broken()]),
            ("-1:4", vec![broken()]),
            ("18446744073709551616:4", vec![broken()]),
            ("9999999999:4", vec![broken()]),
            ("1:94:4abc", vec![broken()]),
        ];
        for (body, packets) in cases {
            assert_eq!(decoded(body), packets, "{body}");
        }
    }

    #[test]
    fn protocol_3_counts_as_javascript_does() {
        assert_eq!(encoded(ProtocolVersion::V3, &["4é😀", "6"]), "4:4é😀1:6");
    }
}
