//! A frame as the WebSocket carries it: Socket.IO's packet in Engine.IO's message in a text.
//! Does not know where it goes.
//!
//! What `socketioxide` would send itself, but encoded once for all receivers.

use std::io::Write;

use bytes::Bytes;
use tungstenite::protocol::frame::Frame as WebSocketFrame;
use tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::hub::{AckId, Outgoing};

/// Room for what stands around the body of a packet: namespace, name, number.
const AROUND: usize = 64;

/// The event under which a body without a name goes: Socket.IO's own.
pub(super) const UNNAMED: &str = "message";

/// The bytes of this frame in the namespace at `path`.
pub(super) fn encoded(path: &'static str, frame: &Outgoing) -> Bytes {
    let body = &frame.body;
    if let Some(AckId(number)) = frame.ack {
        return text(path, body.json(), |packet, namespace| {
            write!(packet, "43{namespace}{number}[")
        });
    }
    let name = frame.name.unwrap_or(UNNAMED);
    body.framed((path, name), |body| {
        text(path, body, |packet, namespace| {
            write!(packet, "42{namespace}[\"{name}\",")
        })
    })
}

/// A packet that begins as `head` writes it, and ends with the body.
fn text(
    path: &str,
    body: &[u8],
    head: impl FnOnce(&mut Vec<u8>, &str) -> std::io::Result<()>,
) -> Bytes {
    let mut packet = Vec::with_capacity(body.len() + AROUND);
    let namespace = match path {
        "/" => String::new(),
        path => format!("{path},"),
    };
    // Nothing that is written into memory fails.
    let _ = head(&mut packet, &namespace);
    packet.extend_from_slice(body);
    packet.push(b']');
    let frame = WebSocketFrame::message(packet, OpCode::Data(Data::Text), true);
    let mut bytes = Vec::with_capacity(frame.len());
    let _ = frame.format(&mut bytes);
    bytes.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::Body;

    /// The text in a short frame.
    fn payload(frame: &Outgoing, path: &'static str) -> String {
        let bytes = encoded(path, frame);
        assert_eq!(bytes[0], 0x81, "a whole text");
        assert_eq!(usize::from(bytes[1]), bytes.len() - 2);
        String::from_utf8(bytes[2..].to_vec()).expect("a text")
    }

    #[test]
    fn it_is_what_the_protocol_says() {
        let body = || Body::of(&[1]);
        let event = Outgoing::event("new-message", body());
        assert_eq!(payload(&event, "/"), r#"42["new-message",[1]]"#);
        let event = Outgoing::event("chat_updates", body());
        assert_eq!(
            payload(&event, "/events"),
            r#"42/events,["chat_updates",[1]]"#
        );
        assert_eq!(payload(&Outgoing::ack(AckId(7), body()), "/"), "437[[1]]");
        assert_eq!(
            payload(&Outgoing::ack(AckId(0), body()), "/events"),
            "43/events,0[[1]]"
        );
        let bare = Outgoing::bare(body());
        assert_eq!(payload(&bare, "/"), r#"42["message",[1]]"#);
    }

    #[test]
    fn an_event_is_encoded_once() {
        let event = Outgoing::event("new-message", Body::of(&[1]));
        let (one, other) = (encoded("/", &event), encoded("/", &event.clone()));
        assert_eq!(one.as_ptr(), other.as_ptr());
    }
}
