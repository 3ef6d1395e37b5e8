//! The frames of a raw WebSocket as requests.
//! Does not know what they say.

use std::error::Error as _;

use axum::extract::ws::{Message, Utf8Bytes};
use futures_util::StreamExt;
use tokio::time::Instant;
use tungstenite::error::{CapacityError, Error as WebSocketError, ProtocolError};

use super::{End, RawConnection, Stream};
use crate::gateway::dialect::{Framing, Incoming};
use crate::gateway::inbox::Source;

/// The frames of one raw WebSocket.
pub(super) struct RawSource<'a> {
    pub(super) stream: &'a mut Stream,
    pub(super) raw: &'a RawConnection,
}

impl Source for RawSource<'_> {
    type End = End;

    async fn next(&mut self, _: bool) -> Result<Incoming, End> {
        let connection = &self.raw.inbox.connection;
        loop {
            let frame = self.stream.next().await;
            let read = Instant::now();
            *self.raw.last_seen.lock() = read;
            let counted = match frame {
                Some(Ok(_)) => connection.count_frame(),
                _ => Ok(()),
            };
            if connection.is_rate_limited() {
                return Err(End::RateLimited);
            }
            let (text, admitted) = match frame {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                Some(Ok(Message::Close(_))) | None => return Err(End::Gone),
                Some(Err(error)) => return Err(ended_by(&error)),
                Some(Ok(Message::Text(text))) => (text, counted),
                // Over a limit, its text is still what the refusal is matched by.
                Some(Ok(Message::Binary(bytes))) if counted.is_err() => {
                    (Utf8Bytes::try_from(bytes).unwrap_or_default(), counted)
                }
                Some(Ok(Message::Binary(_))) => {
                    let not_text = self.raw.inbox.session().not_text();
                    (Utf8Bytes::default(), Err(not_text))
                }
            };
            return Ok(Incoming {
                text,
                framing: Framing::Envelope,
                ack: None,
                admitted,
                attachments: false,
                read,
            });
        }
    }
}

/// What a failure to read means for the connection.
fn ended_by(error: &axum::Error) -> End {
    let cause = error.source().and_then(|cause| cause.downcast_ref());
    match cause {
        Some(WebSocketError::Capacity(CapacityError::MessageTooLong { .. })) => End::TooLarge,
        Some(WebSocketError::Utf8(_)) => End::NoText,
        // A client that falls silent in the middle of a frame has broken no rule.
        Some(WebSocketError::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => End::Gone,
        Some(WebSocketError::Protocol(_)) => End::Protocol,
        _ => End::Gone,
    }
}
