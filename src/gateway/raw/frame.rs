//! The frame of a raw WebSocket: the body alone, or an event in its envelope.
//! Does not know the content.

use crate::gateway::websocket::Frame;
use crate::hub::Outgoing;

/// Distinguishes the framing of a raw WebSocket from those of the namespaces of Socket.IO.
const RAW: &str = "raw";

/// The frame with the body, or with `{"event": name, "data": body}` if it has a name, and with the
/// `request_id` that it answers. A raw WebSocket has no acknowledgements.
pub(super) fn encoded(frame: &Outgoing) -> Frame {
    let body = &frame.body;
    let name = frame.name.unwrap_or_default();
    if let Some(request_id) = &frame.request_id {
        // For this client alone.
        return Frame::text(&[
            br#"{"event":""#,
            name.as_bytes(),
            br#"","data":"#,
            body.json(),
            br#","request_id":"#,
            request_id.as_bytes(),
            b"}",
        ]);
    }
    Frame::from_encoded(body.framed((RAW, name), |body| {
        let frame = if name.is_empty() {
            Frame::text(&[body])
        } else {
            Frame::text(&[
                br#"{"event":""#,
                name.as_bytes(),
                br#"","data":"#,
                body,
                b"}",
            ])
        };
        frame.into_bytes()
    }))
}

/// The text of the frame.
#[cfg(any(test, fuzzing))]
pub(in crate::gateway) fn text(frame: &Outgoing) -> String {
    String::from_utf8_lossy(encoded(frame).payload()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::Body;

    #[test]
    fn a_name_stands_beside_the_body() {
        let body = || Body::of(&[1]);
        assert_eq!(text(&Outgoing::bare(body())), "[1]");
        let event = Outgoing::event("history", body());
        assert_eq!(text(&event), r#"{"event":"history","data":[1]}"#);
        let answer = event.with_request_id(Some(r#" {"a": 1}"#.into()));
        let expected = r#"{"event":"history","data":[1],"request_id": {"a": 1}}"#;
        assert_eq!(text(&answer), expected);
    }

    #[test]
    fn a_body_is_framed_once_for_all() {
        let frame = Outgoing::bare(Body::of(&[1]));
        let (one, other) = (encoded(&frame), encoded(&frame.clone()));
        assert_eq!(one.into_bytes().as_ptr(), other.into_bytes().as_ptr());
    }
}
