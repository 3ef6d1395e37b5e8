//! Frames to a client in a namespace: Socket.IO's packet in Engine.IO's message.
//! Does not know the receiver.
//!
//! The same bytes as from `socketioxide`, but encoded once for all receivers.

use std::io::Write;

use super::packet::prefix;
use crate::gateway::websocket::Frame;
use crate::hub::{AckId, Outgoing};

/// The event under which a body without a name goes: Socket.IO's own.
const UNNAMED: &str = "message";

/// This frame in the namespace at `path`.
pub(super) fn encoded(path: &'static str, frame: &Outgoing) -> Frame {
    let body = &frame.body;
    if let Some(AckId(number)) = frame.ack {
        let mut head = Vec::new();
        // Nothing that is written into memory fails.
        let _ = write!(head, "43{}{number}[", prefix(path));
        return Frame::text(&[&head, body.json(), b"]"]);
    }
    let name = frame.name.unwrap_or(UNNAMED);
    Frame::from_encoded(body.framed((path, name), |body| {
        let mut head = Vec::new();
        let _ = write!(head, "42{}[\"{name}\",", prefix(path));
        Frame::text(&[&head, body, b"]"]).into_bytes()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::Body;

    fn payload(frame: &Outgoing, path: &'static str) -> String {
        let frame = encoded(path, frame);
        String::from_utf8(frame.payload().to_vec()).expect("a text")
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
        assert_eq!(one.into_bytes().as_ptr(), other.into_bytes().as_ptr());
    }
}
