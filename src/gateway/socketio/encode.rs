//! A frame as the WebSocket carries it: Socket.IO's packet in Engine.IO's message in a text.
//! It refuses to know where it goes.
//!
//! What `socketioxide` would send itself, but encoded once for all who get it.

use std::io::Write;

use bytes::Bytes;
use serde_json::value::RawValue;
use tungstenite::protocol::frame::Frame as WebSocketFrame;
use tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::gateway::dialect::Frame;

/// Room for what stands around the body of a packet: namespace, name, number.
const AROUND: usize = 64;

/// The bytes of this frame in the namespace at `path`; `None`: Socket.IO has none for it.
pub(super) fn encoded(path: &str, frame: &Frame) -> Option<Bytes> {
    match frame {
        Frame::Event(name, body) => Some(body.packet(name, |body| event(path, name, body))),
        Frame::Ack(number, body) => Some(text(path, body, |packet, namespace| {
            write!(packet, "43{namespace}{number}[{body}]", body = body.get())
        })),
        Frame::Text(_) => None,
    }
}

fn event(path: &str, name: &str, body: &RawValue) -> Bytes {
    let name = serde_json::Value::from(name);
    text(path, body, |packet, namespace| {
        write!(packet, "42{namespace}[{name},{body}]", body = body.get())
    })
}

fn text(
    path: &str,
    body: &RawValue,
    write: impl FnOnce(&mut Vec<u8>, &str) -> std::io::Result<()>,
) -> Bytes {
    let mut packet = Vec::with_capacity(body.get().len() + AROUND);
    let namespace = match path {
        "/" => String::new(),
        path => format!("{path},"),
    };
    // Nothing that is written into memory fails.
    let _ = write(&mut packet, &namespace);
    let frame = WebSocketFrame::message(packet, OpCode::Data(Data::Text), true);
    let mut bytes = Vec::with_capacity(frame.len());
    let _ = frame.format(&mut bytes);
    bytes.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::dialect::Json;

    /// The text in a short frame.
    fn payload(frame: &Frame, path: &str) -> String {
        let bytes = encoded(path, frame).expect("a frame of Socket.IO");
        assert_eq!(bytes[0], 0x81, "a whole text");
        assert_eq!(usize::from(bytes[1]), bytes.len() - 2);
        String::from_utf8(bytes[2..].to_vec()).expect("a text")
    }

    #[test]
    fn it_is_what_the_protocol_says() {
        let body = || Json::of(&[1]);
        let event = Frame::Event("new-message", body());
        assert_eq!(payload(&event, "/"), r#"42["new-message",[1]]"#);
        let event = Frame::Event("chat_updates", body());
        assert_eq!(
            payload(&event, "/events"),
            r#"42/events,["chat_updates",[1]]"#
        );
        assert_eq!(payload(&Frame::Ack(7, body()), "/"), "437[[1]]");
        assert_eq!(
            payload(&Frame::Ack(0, body()), "/events"),
            "43/events,0[[1]]"
        );
        assert!(encoded("/", &Frame::Text("{}".into())).is_none());
    }

    #[test]
    fn an_event_is_encoded_once() {
        let event = Frame::Event("new-message", Json::of(&[1]));
        let (one, other) = (encoded("/", &event), encoded("/", &event.clone()));
        assert_eq!(
            one.map(|bytes| bytes.as_ptr()),
            other.map(|bytes| bytes.as_ptr())
        );
    }
}
