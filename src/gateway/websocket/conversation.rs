//! The requests of one raw WebSocket, begun and answered in the order in which they came in.
//! It refuses to know what they say: the dialect does.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::Message;
use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use tracing::info;
use tungstenite::error::{CapacityError, Error as WebSocketError, ProtocolError};

use super::{End, Stream};
use crate::gateway::connection::Connection;
use crate::gateway::dialect::{Answer, Frame, Heard, Talk};
use crate::model::{Command, Error, ErrorKind, Reply};

/// How many messages of one connection may be on their way into the store at once.
const SENDING: usize = 256;

/// One raw WebSocket's requests.
pub(super) struct Conversation {
    /// Who is speaking.
    pub(super) connection: Connection,
    /// What is spoken.
    pub(super) talk: Arc<dyn Talk>,
    /// How long the token is still good; `None`: for ever.
    pub(super) lifetime: Option<Duration>,
    /// When the client last gave a sign of life.
    pub(super) heard: Mutex<Instant>,
    /// Counts the requests that wait for the store, so that shutdown can wait for them.
    pub(super) requests: TaskTracker,
}

impl Conversation {
    /// Reads frames until there are no more; answers why. Messages wait for the store
    /// together; everything else waits for the messages before it.
    pub(super) async fn read(&self, stream: &mut Stream) -> End {
        let mut sending = FuturesOrdered::new();
        loop {
            let full = sending.len() >= SENDING;
            let frame = tokio::select! {
                biased;
                Some((answer, result, read, _token)) = sending.next() => {
                    self.answer(answer, result, read);
                    continue;
                }
                frame = stream.next(), if !full => frame,
            };
            let read = Instant::now();
            *self.heard.lock() = read;
            let counted = match frame {
                Some(Ok(_)) => self.connection.count_frame(),
                _ => Ok(()),
            };
            if self.connection.is_rate_limited() {
                return End::RateLimited;
            }
            let heard = match frame {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                Some(Ok(Message::Close(_))) | None => return End::Gone,
                Some(Err(error)) => return ended_by(&error),
                Some(Ok(frame)) => {
                    self.connection.outbox().has_room().await;
                    self.hear(&frame, counted)
                }
            };
            // On the shared path this frame may have decided it.
            self.connection.presence().speaks(self.talk.spoken());
            if let Err(error) = self.connection.greet().await {
                info!(%error, "a conversation could not begin");
                return End::Unavailable;
            }
            let sends = matches!(heard, Heard::Ask(Command::SendMessage { .. }, _));
            if !sends {
                while let Some((answer, result, read, _token)) = sending.next().await {
                    self.answer(answer, result, read);
                }
            }
            match heard {
                Heard::Refuse(kind, frames) => {
                    self.connection.presence().refused(kind);
                    self.put(frames);
                }
                Heard::Ask(command, answer) => {
                    let token = self.requests.token();
                    // Boxed: what a request needs is there only while it is served.
                    match Box::pin(self.connection.begin(command)).await {
                        begun if sends => {
                            sending.push_back(async move { (answer, begun.await, read, token) });
                        }
                        begun => self.answer(answer, begun.await, read),
                    }
                }
            }
        }
    }

    /// What a frame asks for, unless there were too many before it.
    fn hear(&self, frame: &Message, counted: Result<(), Error>) -> Heard {
        let text = frame.to_text().unwrap_or_default();
        match (counted, frame) {
            (Err(error), _) => Heard::Refuse(error.kind, vec![self.talk.refuse(text, &error)]),
            (Ok(()), Message::Text(text)) => Arc::clone(&self.talk).hear(text),
            (Ok(()), _) => Heard::Refuse(ErrorKind::Invalid, vec![self.talk.refuse_binary()]),
        }
    }

    fn answer(&self, answer: Answer, result: Result<Reply, Error>, read: Instant) {
        let chat = match &result {
            Ok(Reply::Room(room)) => Some(room.chat.id),
            Ok(Reply::Joined(joined)) => Some(joined.room.chat.id),
            _ => None,
        };
        let outcome = result.as_ref().map(|reply| matches!(reply, Reply::Sent(_)));
        let outcome = outcome.map_err(|error| error.kind);
        let quiet = self.talk.quiet();
        self.put(answer(result));
        drop(quiet);
        let presence = self.connection.presence();
        match outcome {
            Ok(true) => presence.acknowledged(read),
            Ok(false) => {}
            Err(kind) => presence.refused(kind),
        }
        if let Some(chat) = chat.filter(|chat| self.talk.watches(*chat)) {
            self.connection.watch(chat);
        }
    }

    fn put(&self, frames: Vec<Frame>) {
        for frame in frames {
            // A connection that takes no more answers is being closed, and whoever closes it
            // has said why.
            let _ = self.connection.outbox().answer(frame);
        }
    }
}

/// What a failure to read means for the connection.
fn ended_by(error: &axum::Error) -> End {
    let cause = error.source().and_then(|cause| cause.downcast_ref());
    match cause {
        Some(WebSocketError::Capacity(CapacityError::MessageTooLong { .. })) => End::TooLarge,
        Some(WebSocketError::Utf8(_)) => End::NoText,
        // Who falls silent in the middle of it has broken no rule.
        Some(WebSocketError::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => End::Gone,
        Some(WebSocketError::Protocol(_)) => End::Protocol,
        _ => End::Gone,
    }
}
