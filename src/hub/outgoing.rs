//! A frame for one client, independent of the transport that will frame it.
//! Does not know transports and dialects.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde::Serialize;

/// The number under which a Socket.IO client waits for an acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AckId(pub i64);

/// One frame for one client; a clone shares the body. The transport adds what its framing
/// needs: the packet of Socket.IO, the envelope of a raw WebSocket.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// The name of the event, for dialects that have one beside the body; `None`: the body is
    /// all that the client is sent.
    pub name: Option<&'static str>,
    /// Set if this is the acknowledgement of a request, which has no name on the wire.
    pub ack: Option<AckId>,
    /// The `request_id` of the request that it answers, as the client wrote it, where the transport
    /// puts it beside the body.
    pub request_id: Option<Arc<str>>,
    /// The JSON.
    pub body: Arc<Body>,
}

impl Outgoing {
    /// An event of this name.
    pub fn event(name: &'static str, body: Arc<Body>) -> Self {
        Self {
            name: Some(name),
            ack: None,
            request_id: None,
            body,
        }
    }

    /// The acknowledgement of a request.
    pub fn ack(ack: AckId, body: Arc<Body>) -> Self {
        Self {
            name: None,
            ack: Some(ack),
            request_id: None,
            body,
        }
    }

    /// A frame that consists of its body.
    pub fn bare(body: Arc<Body>) -> Self {
        Self {
            name: None,
            ack: None,
            request_id: None,
            body,
        }
    }

    /// The same frame with the `request_id` of the request that it answers.
    #[must_use]
    pub fn with_request_id(self, request_id: Option<Arc<str>>) -> Self {
        Self { request_id, ..self }
    }

    /// About how many bytes it takes on the wire and in an outbox.
    pub fn weight(&self) -> usize {
        const ENVELOPE: usize = 64;
        let request_id = self.request_id.as_ref().map_or(0, |id| id.len());
        ENVELOPE + request_id + self.body.json.len()
    }
}

/// A JSON value that was encoded once, for any number of clients.
#[derive(Debug)]
pub struct Body {
    /// Always UTF-8.
    json: Bytes,
    framed: OnceLock<(FramingKey, Bytes)>,
}

/// The key of a framing of a body: its destination (a namespace, a transport) and the name of the
/// frame.
pub type FramingKey = (&'static str, &'static str);

impl Body {
    /// Encodes `value`. The structs of the dialects hold strings, numbers and lists, for which
    /// encoding cannot fail.
    pub fn of(value: &(impl Serialize + ?Sized)) -> Arc<Self> {
        Self::from_json(serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned()))
    }

    /// A body that is encoded already.
    pub fn from_json(json: String) -> Arc<Self> {
        Arc::new(Self {
            json: json.into(),
            framed: OnceLock::new(),
        })
    }

    /// The encoded JSON; a clone shares it.
    pub fn json(&self) -> &Bytes {
        &self.json
    }

    /// The encoded JSON as a text.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.json).unwrap_or_default()
    }

    /// The body as a transport frames it. The framing of the first request is made once and kept
    /// for all further receivers.
    pub fn framed(&self, key: FramingKey, frame: impl Fn(&[u8]) -> Bytes) -> Bytes {
        let (known, framed) = self.framed.get_or_init(|| (key, frame(&self.json)));
        if *known == key {
            framed.clone()
        } else {
            frame(&self.json)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_body_is_framed_once_for_the_first_key_and_anew_for_others() {
        let body = Body::of(&[1, 2]);
        let count = Cell::new(0);
        let frame = |json: &[u8]| {
            count.set(count.get() + 1);
            Bytes::copy_from_slice(json)
        };
        assert_eq!(body.framed(("/", "one"), frame), "[1,2]");
        assert_eq!(body.framed(("/", "one"), frame), "[1,2]");
        assert_eq!(count.get(), 1);
        let other = |_: &[u8]| Bytes::from_static(b"other");
        assert_eq!(body.framed(("/", "another"), other), "other");
        assert_eq!(body.framed(("/events", "one"), other), "other");
        assert_eq!(body.framed(("/", "one"), frame), "[1,2]");
    }
}
