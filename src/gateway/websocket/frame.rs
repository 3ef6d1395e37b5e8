//! The text frame of a raw WebSocket: the body alone, or an event in its envelope.
//! Does not know what it says.

use axum::extract::ws::Utf8Bytes;

use crate::hub::Outgoing;

/// The text of this frame: the body, or `{"event": name, "data": body}` if it has a name. A raw
/// WebSocket has no acknowledgements, and no request on it asks for one.
pub(in crate::gateway) fn text(frame: &Outgoing) -> Utf8Bytes {
    let body = &frame.body;
    match frame.name {
        // It is JSON, so it is UTF-8.
        None => Utf8Bytes::try_from(body.json().clone()).unwrap_or_default(),
        Some(name) => format!(r#"{{"event":"{name}","data":{}}}"#, body.as_str()).into(),
    }
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
    }
}
