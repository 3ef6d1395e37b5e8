//! A fuzz target for the frames of clients.
//! Does not run the target: `crate::fuzz` does.

use super::{Decoder, Frame, Message};
use crate::fuzz::Target;

/// A message of at most so many bytes is taken.
const LIMIT: usize = 200;

/// Every target of this module.
pub const TARGETS: [Target; 1] = [WEBSOCKET];

const WEBSOCKET: Target = Target {
    name: "websocket",
    check: |input| {
        let Some((piece, bytes)) = input.split_first() else {
            return;
        };
        let whole = decoded(bytes, usize::MAX);
        assert_eq!(whole, decoded(bytes, usize::from(*piece).max(1)));
        let payloads: usize = whole.0.iter().map(payload).sum();
        assert!(payloads <= bytes.len());
        for message in &whole.0 {
            assert!(payload(message) <= LIMIT);
            if let Message::Text(text) = message {
                let frame = Frame::text(&[text.as_bytes()]);
                assert_eq!(frame.payload(), text.as_bytes());
            }
        }
    },
};

/// The messages in the bytes, so many at once, and whether they break the protocol.
fn decoded(bytes: &[u8], piece: usize) -> (Vec<Message>, bool) {
    let mut decoder = Decoder::new(LIMIT);
    let mut messages = Vec::new();
    for piece in bytes.chunks(piece) {
        decoder.push(piece);
        loop {
            match decoder.next() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(_) => return (messages, true),
            }
        }
    }
    (messages, false)
}

fn payload(message: &Message) -> usize {
    match message {
        Message::Text(text) => text.len(),
        Message::Binary(data) | Message::Ping(data) => data.len(),
        Message::Pong => 0,
        Message::Close(code) => code.map_or(0, |_| 2),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fuzz::run;

    /// A frame, with whatever head and payload.
    fn frame() -> impl Strategy<Value = Vec<u8>> {
        let first = prop_oneof![
            9 => prop::sample::select(vec![0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x88, 0x89, 0x8A]),
            1 => any::<u8>(),
        ];
        let payload = prop_oneof![
            "[a-zé😀]{0,70}".prop_map(String::into_bytes),
            prop::collection::vec(any::<u8>(), 0..130),
            Just(1000_u16.to_be_bytes().to_vec()),
        ];
        // A length in each form, right or wrong.
        let head = (
            prop::option::weighted(0.1, any::<u64>()),
            0_u8..3,
            any::<[u8; 4]>(),
        );
        (first, payload, head).prop_map(|(first, payload, (wrong, form, mask))| {
            let length = wrong.unwrap_or(payload.len() as u64).to_be_bytes();
            let mut frame = vec![first];
            match form {
                0 => frame.push(0x80 | length[7]),
                1 => frame.extend([0x80 | 0x7E, length[6], length[7]]),
                _ => {
                    frame.push(0x80 | 0x7F);
                    frame.extend(length);
                }
            }
            frame.extend(mask);
            let masked = payload.iter().zip(mask.iter().cycle());
            frame.extend(masked.map(|(byte, mask)| byte ^ mask));
            frame
        })
    }

    #[test]
    fn frames_of_clients() {
        let frames = prop::collection::vec(frame(), 0..6);
        let inputs = (any::<u8>(), frames).prop_map(|(piece, frames)| {
            let mut input = vec![piece];
            input.extend(frames.concat());
            input
        });
        run(&WEBSOCKET, &inputs);
    }
}
