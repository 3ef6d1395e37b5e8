//! Fixtures for tests of sessions: requests as a raw WebSocket receives them, frames as it sends
//! them.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Decoded, DialectSession, Framing, Incoming, Respond};
use crate::gateway::raw::text;
use crate::hub::{AckId, Outgoing, SharedEncoding, Subscriber};
use crate::model::{Error, Notice, Reply};

/// A text frame of a raw WebSocket.
pub fn frame(text: &str) -> Incoming {
    incoming(text, Framing::Envelope, None)
}

/// A packet of Socket.IO.
pub fn packet(text: &str, ack: Option<AckId>) -> Incoming {
    incoming(text, Framing::Packet, ack)
}

fn incoming(text: &str, framing: Framing, ack: Option<AckId>) -> Incoming {
    Incoming {
        text: text.into(),
        framing,
        ack,
        admitted: Ok(()),
        attachments: false,
        read: Instant::now(),
    }
}

/// The result of decoding a text frame.
pub fn decode(session: &Arc<dyn DialectSession>, text: &str) -> Decoded {
    Arc::clone(session).decode(&frame(text))
}

/// The response once the service has replied; the messages of no chat are delivered live.
pub fn respond(respond: Respond, outcome: Result<Reply, Error>) -> Vec<Outgoing> {
    respond(outcome, &|_| false)
}

/// The frames that a subscriber encodes for a notice.
pub fn encode(
    subscriber: &(impl Subscriber + ?Sized),
    notice: &Notice,
    shared: &mut SharedEncoding,
) -> Vec<Outgoing> {
    let mut frames = Vec::new();
    subscriber.encode(notice, shared, &mut |frame| frames.push(frame));
    frames
}

/// The frames as a raw WebSocket sends them.
pub fn texts(frames: &[Outgoing]) -> Vec<String> {
    frames.iter().map(text).collect()
}
