//! A fuzz target for the bodies that clients post.
//! Does not run the target: `crate::fuzz` does.

use axum::http::HeaderValue;
use bytes::Bytes;
use engineioxide_core::{Packet, ProtocolVersion, Str};
use futures_util::{FutureExt, StreamExt};

use super::payload::{decode, encode};
use crate::fuzz::Target;
use crate::gateway::websocket::Frame;

/// Every target of this module.
pub const TARGETS: [Target; 1] = [POLLING];

const POLLING: Target = Target {
    name: "polling",
    check: |input| {
        let binary = HeaderValue::from_static("application/octet-stream");
        for (protocol, kind) in [
            (ProtocolVersion::V4, None),
            (ProtocolVersion::V3, None),
            (ProtocolVersion::V3, Some(&binary)),
        ] {
            let packets = decoded(input, protocol, kind);
            // The content of the packets came in the body.
            let bytes: usize = packets.iter().map(bytes).sum();
            assert!(bytes <= input.len());
            if kind.is_none() {
                hold_encoded(&packets, protocol);
            }
        }
    },
};

/// The packets before the first one that is none.
fn decoded(body: &[u8], protocol: ProtocolVersion, kind: Option<&HeaderValue>) -> Vec<Packet> {
    let packets = decode(protocol, kind, Bytes::copy_from_slice(body));
    let packets = packets.take_while(|it| std::future::ready(it.is_ok()));
    let packets = packets
        .filter_map(|it| std::future::ready(it.ok()))
        .collect();
    packets.now_or_never().expect("the whole body is there")
}

fn bytes(packet: &Packet) -> usize {
    match packet {
        Packet::Message(text) => text.len(),
        Packet::Binary(data) | Packet::BinaryV3(data) => data.len(),
        _ => 1,
    }
}

/// Messages are decoded to what they were encoded from.
fn hold_encoded(packets: &[Packet], protocol: ProtocolVersion) {
    let messages: Vec<_> = packets
        .iter()
        .filter_map(|packet| match packet {
            Packet::Message(text) if !text.contains('\u{1e}') => Some(text.as_bytes()),
            _ => None,
        })
        .collect();
    let frames: Vec<_> = messages.iter().map(|it| Frame::text(&[b"4", it])).collect();
    let again = decoded(&encode(protocol, &frames), protocol, None);
    let again: Vec<_> = again.into_iter().map(Packet::into_message).collect();
    let again: Vec<_> = again.iter().map(Str::as_bytes).collect();
    assert_eq!(again, messages);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzz::mutator::{bytes, text};
    use crate::fuzz::run;

    #[test]
    fn bodies_of_polling_clients() {
        let inputs = text(&[
            "42[\"a\"]\u{1e}2\u{1e}bAQID",
            "4:4ü😀1:26:b4AQID",
            "\u{0}\u{1}\u{ff}2\u{1}\u{4}\u{ff}\u{4}abc",
            "2:4😀x",
            "2:4",
            "18446744073709551616:4",
            "b4====",
        ]);
        run(&POLLING, &bytes(inputs));
    }
}
