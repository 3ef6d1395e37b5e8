//! The decoder against the rules of RFC 6455, and against another implementation.
//! Does not read sockets.

use proptest::prelude::*;
use tungstenite::protocol::frame::Frame as PeerFrame;
use tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Error as PeerError, Message as PeerMessage, WebSocket};

use super::*;

const LIMIT: usize = 100_000;

/// A frame of a client.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [1, 2, 3, 4];
    let mut bytes = vec![first];
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(short @ 0..=125), _) => bytes.push(0x80 | short),
        (_, Ok(medium)) => {
            bytes.push(0x80 | 0x7E);
            bytes.extend(medium.to_be_bytes());
        }
        _ => {
            bytes.push(0x80 | 0x7F);
            bytes.extend((payload.len() as u64).to_be_bytes());
        }
    }
    bytes.extend(mask);
    let masked = payload.iter().zip(mask.iter().cycle());
    bytes.extend(masked.map(|(byte, mask)| byte ^ mask));
    bytes
}

/// Everything that the bytes decode to, and why they end, if they do. `piece`: how many bytes
/// arrive at once.
fn decoded(bytes: &[u8], piece: usize) -> (Vec<Message>, Option<Violation>) {
    let mut decoder = Decoder::new(LIMIT);
    let mut messages = Vec::new();
    for piece in bytes.chunks(piece.max(1)) {
        decoder.push(piece);
        loop {
            match decoder.next() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(violation) => return (messages, Some(violation)),
            }
        }
    }
    (messages, None)
}

fn one(bytes: &[u8]) -> Result<Message, Violation> {
    match decoded(bytes, bytes.len()) {
        (mut messages, None) => Ok(messages.remove(0)),
        (_, Some(violation)) => Err(violation),
    }
}

#[test]
fn messages_of_all_lengths_arrive_in_any_pieces() {
    for length in [0, 1, 125, 126, 65_535, 65_536, LIMIT] {
        let text = "x".repeat(length);
        let bytes = [frame(0x81, text.as_bytes()), frame(0x82, text.as_bytes())].concat();
        for piece in [1, 7, 4096, bytes.len()] {
            let expected = vec![
                Message::Text(text.clone().into()),
                Message::Binary(text.clone().into()),
            ];
            assert!(decoded(&bytes, piece) == (expected, None), "{length}");
        }
    }
}

#[test]
fn fragments_are_one_message_and_control_frames_come_between() {
    let bytes = [
        frame(0x01, b"a\xC3"),
        frame(0x89, b"ping"),
        frame(0x00, b"\xA9"),
        frame(0x80, b"b"),
    ];
    let expected = vec![
        Message::Ping("ping".into()),
        Message::Text("a\u{e9}b".into()),
    ];
    assert_eq!(decoded(&bytes.concat(), 1), (expected, None));
}

#[test]
fn what_the_protocol_forbids_ends_the_connection() {
    let mut unmasked = frame(0x81, b"a");
    unmasked[1] = 1;
    let cases = [
        ("a reserved bit", frame(0xC1, b"")),
        ("an unknown opcode", frame(0x83, b"")),
        ("an unknown control opcode", frame(0x8B, b"")),
        ("a fragmented control frame", frame(0x09, b"")),
        ("a long control frame", frame(0x89, &[0; 126])),
        ("no mask", unmasked),
        ("a continuation of nothing", frame(0x80, b"")),
        (
            "a message in a message",
            [frame(0x01, b"a"), frame(0x81, b"b")].concat(),
        ),
        ("a close code of one byte", frame(0x88, b"a")),
        (
            "a reserved close code",
            frame(0x88, &1005_u16.to_be_bytes()),
        ),
    ];
    for (what, bytes) in cases {
        assert_eq!(one(&bytes), Err(Violation::Protocol), "{what}");
    }
    assert_eq!(one(&frame(0x81, b"\xFF")), Err(Violation::NotUtf8));
    assert_eq!(one(&frame(0x88, b"\x03\xE8\xFF")), Err(Violation::NotUtf8));
}

#[test]
fn what_is_too_large_is_refused_at_its_head() {
    let long = frame(0x82, &vec![0; LIMIT + 1]);
    assert_eq!(one(&long[..14]), Err(Violation::TooLarge));
    let parts = [frame(0x02, &vec![0; LIMIT]), frame(0x80, b"a")].concat();
    assert_eq!(decoded(&parts, 4096).1, Some(Violation::TooLarge));
    let mut huge = frame(0x82, &vec![0; 70_000]);
    huge[2..10].copy_from_slice(&u64::MAX.to_be_bytes());
    assert_eq!(one(&huge[..14]), Err(Violation::TooLarge));
}

#[test]
fn nothing_is_held_while_nothing_is_half_read() {
    let mut decoder = Decoder::new(LIMIT);
    decoder.push(&frame(0x81, &[b'x'; 10_000]));
    assert!(matches!(decoder.next(), Ok(Some(Message::Text(_)))));
    assert_eq!(decoder.buffer.capacity(), 0);
}

#[test]
fn a_small_message_does_not_keep_the_memory_of_a_large_one() {
    let large = frame(0x82, &vec![0; LIMIT]);
    let end = large.len() - 10_000;
    let mut decoder = Decoder::new(LIMIT);
    decoder.push(&large[..end]);
    assert_eq!(decoder.next(), Ok(None));
    decoder.push(&[&large[end..], &frame(0x81, b"small")].concat());
    let Ok(Some(Message::Binary(large))) = decoder.next() else {
        panic!("not the large one");
    };
    let Ok(Some(Message::Text(small))) = decoder.next() else {
        panic!("not the small one");
    };
    let memory = large.as_ptr_range();
    let head = 6;
    assert_ne!(small.as_ptr(), memory.end.wrapping_add(head));
}

/// The messages that tungstenite decodes from the same bytes.
fn by_peer(bytes: Vec<u8>) -> (Vec<Message>, bool) {
    struct Bytes(std::io::Cursor<Vec<u8>>);
    impl std::io::Read for Bytes {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            match self.0.read(buffer)? {
                0 => Err(std::io::ErrorKind::WouldBlock.into()),
                read => Ok(read),
            }
        }
    }
    impl std::io::Write for Bytes {
        fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
            Ok(buffer.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let config = WebSocketConfig::default()
        .max_message_size(Some(LIMIT))
        .max_frame_size(Some(LIMIT));
    let bytes = Bytes(std::io::Cursor::new(bytes));
    let mut socket = WebSocket::from_raw_socket(bytes, Role::Server, Some(config));
    let mut messages = Vec::new();
    loop {
        messages.push(match socket.read() {
            Ok(PeerMessage::Text(text)) => Message::Text(text),
            Ok(PeerMessage::Binary(data)) => Message::Binary(data),
            Ok(PeerMessage::Ping(data)) => Message::Ping(data),
            Ok(PeerMessage::Pong(_)) => Message::Pong,
            Ok(PeerMessage::Close(close)) => {
                messages.push(Message::Close(close.map(|close| close.code.into())));
                return (messages, true);
            }
            Ok(PeerMessage::Frame(_)) => continue,
            Err(PeerError::Io(_)) => return (messages, true),
            Err(_) => return (messages, false),
        });
    }
}

/// A frame as a client may send it, valid or not.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![
        8 => prop::sample::select(vec![0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x89, 0x8A]),
        1 => any::<u8>(),
    ];
    let payload = prop_oneof![
        "[a-zé😀]{0,200}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..140),
    ];
    (first, payload).prop_map(|(first, payload)| frame(first, &payload))
}

/// Whether the frames end in the middle of a text.
fn ends_in_a_text(frames: &[Vec<u8>]) -> bool {
    let mut decoder = Decoder::new(LIMIT);
    decoder.push(&frames.concat());
    while let Ok(Some(_)) = decoder.next() {}
    decoder
        .partial
        .is_some_and(|partial| partial.kind == Kind::Text)
}

proptest! {
    #[test]
    fn another_implementation_decodes_the_same(
        frames in prop::collection::vec(any_frame(), 1..8),
        piece in 1_usize..400,
    ) {
        let bytes = frames.concat();
        let (mut messages, violation) = decoded(&bytes, piece);
        // Bytes after a close frame are not read.
        let close = messages.iter().position(|it| matches!(it, Message::Close(_)));
        messages.truncate(close.map_or(messages.len(), |close| close + 1));
        let (expected, valid) = by_peer(bytes);
        if valid {
            prop_assert_eq!(messages, expected);
            prop_assert!(violation.is_none() || close.is_some());
        } else {
            // The peer looks at each fragment of a text, this decoder at the whole text: so there
            // may be control frames between.
            let later = messages.split_off(expected.len().min(messages.len()));
            prop_assert_eq!(messages, expected);
            prop_assert!(later.iter().all(|it| !matches!(it, Message::Text(_) | Message::Binary(_))));
            prop_assert!(violation.is_some() || close.is_some() || ends_in_a_text(&frames));
        }
    }

    #[test]
    fn arbitrary_bytes_are_decoded_alike_in_any_pieces(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        piece in 1_usize..40,
    ) {
        prop_assert_eq!(decoded(&bytes, piece), decoded(&bytes, bytes.len()));
    }
}

#[test]
fn a_frame_of_a_peer_is_decoded() {
    let mut peer = PeerFrame::message("hello", OpCode::Data(Data::Text), true);
    peer.header_mut().mask = Some([9, 8, 7, 6]);
    let mut bytes = Vec::new();
    peer.format(&mut bytes).expect("memory");
    assert_eq!(one(&bytes), Ok(Message::Text("hello".into())));
    let code = u16::from(CloseCode::Again);
    assert_eq!(
        one(&frame(0x88, &code.to_be_bytes())),
        Ok(Message::Close(Some(code)))
    );
}
