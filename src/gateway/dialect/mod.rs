//! The seam to what clients speak: from frames to commands, from replies and notices to frames.
//! It refuses to do anything else: no input, no output, no waiting. A dialect of the raw
//! WebSocket is a file here and a line in [`ALL`].

mod by_action;
pub mod by_event;
mod by_type;
pub mod cursors;
pub mod fields;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod json;
pub mod moments;
pub mod plain;
pub mod sought;
mod undecided;

use std::sync::Arc;

use axum::extract::ws::Utf8Bytes;
use jiff::tz::TimeZone;
use parking_lot::MutexGuard;
use serde_json::Value;

use crate::model::{ChatId, Clock, Command, ConnectionId, Error, ErrorKind, Notice, Reply, UserId};
use crate::telemetry::Spoken;

pub use json::Json;
pub use undecided::Undecided;

/// What one connection makes of what happens: its dialect, and what it has subscribed to.
pub trait Listener: Send + Sync {
    /// Says of `notice` what its client is to hear, nothing to several frames. Runs while the
    /// chat's deliveries wait: it must not block. What many connections say alike is taken
    /// from `encoded`.
    fn tell(&self, notice: &Notice, encoded: &mut Encoded, say: &mut dyn FnMut(Frame));

    /// Whether messages of this chat are passed on to the client, or are known to it as its own,
    /// from now on; they stay so. What came before that it has not heard.
    fn hears(&self, chat: ChatId) -> bool {
        let _ = chat;
        true
    }

    /// While this is held nothing is told: for a dialect in which an answer must not be
    /// overtaken by news that is later than what it says.
    fn quiet(&self) -> Option<MutexGuard<'_, ()>> {
        None
    }

    /// What has to be asked before the client is told anything at all; `None`: nothing, or it
    /// was answered.
    fn opening(&self) -> Option<Command> {
        None
    }

    /// Takes the answer to [`Listener::opening`], and says what the client is told first. What
    /// happens meanwhile is told after that.
    fn opened(&self, reply: Reply, say: &mut dyn FnMut(Frame)) {
        let _ = (reply, say);
    }
}

/// One connection's side of a dialect of the raw WebSocket.
pub trait Talk: Listener {
    /// Reads a text frame.
    fn hear(self: Arc<Self>, text: &str) -> Heard;

    /// The answer to a text frame that is refused for this reason whatever it says: it is
    /// read only to find what the client knows its answer by.
    fn refuse(&self, text: &str, error: &Error) -> Frame;

    /// The answer to a frame that is no text.
    fn refuse_binary(&self) -> Frame;

    /// What is spoken, as far as is known by now.
    fn spoken(&self) -> Spoken;

    /// Whether the client wants to hear what changes in this chat even while its user is no
    /// member. Asked after a request about the chat was answered.
    fn watches(&self, chat: ChatId) -> bool {
        let _ = chat;
        false
    }
}

/// What a frame asks for.
pub enum Heard {
    /// A command, and what makes the answer of its outcome.
    Ask(Command, Answer),
    /// Nothing of the service: these frames say what is wrong.
    Refuse(ErrorKind, Vec<Frame>),
}

/// Makes the frames that answer a command, and notes what follows for its connection.
pub type Answer = Box<dyn FnOnce(Result<Reply, Error>) -> Vec<Frame> + Send>;

/// What a dialect is told of a connection when it begins.
#[derive(Clone)]
pub struct Setting {
    /// Which connection.
    pub connection: ConnectionId,
    /// Whose it is.
    pub user: UserId,
    /// Says what day it is.
    pub clock: Clock,
    /// The server's time zone.
    pub zone: TimeZone,
    /// `?ack=1`: requests that succeed in silence are answered, too.
    pub acks: Acks,
    /// `?push=0`: nothing is sent unasked.
    pub push: Push,
}

/// Whether requests that succeed in silence are answered, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acks {
    /// As the original dialect has it.
    Silent,
    /// Every request is answered.
    Always,
}

/// Whether a client is sent what it did not ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Push {
    /// It is.
    On,
    /// It waits for answers only.
    Off,
}

/// A dialect of the raw WebSocket.
pub struct Dialect {
    /// The paths that speak it, without the trailing slash.
    pub paths: &'static [&'static str],
    /// Whether the first frame on a path that all dialects share is of this one.
    pub recognises: fn(&Value) -> bool,
    /// Begins a conversation.
    pub begin: fn(Setting) -> Arc<dyn Talk>,
}

/// Every dialect of the raw WebSocket.
pub static ALL: [Dialect; 3] = [by_action::DIALECT, by_type::DIALECT, by_event::DIALECT];

/// Something for one client, encoded; a clone shares the text.
#[derive(Debug, Clone)]
pub enum Frame {
    /// A Socket.IO event of this name, with its body.
    Event(&'static str, Arc<Json>),
    /// The acknowledgement that a Socket.IO client asked for under this number.
    Ack(i64, Arc<Json>),
    /// A text frame of a raw WebSocket.
    Text(Utf8Bytes),
}

impl Frame {
    /// About how many bytes it takes on the wire and in a queue.
    pub fn weight(&self) -> usize {
        const ENVELOPE: usize = 64;
        ENVELOPE
            + match self {
                Self::Event(_, body) | Self::Ack(_, body) => body.get().len(),
                Self::Text(text) => text.len(),
            }
    }
}

/// One notice as it was encoded so far, once per dialect and purpose.
#[derive(Default)]
pub struct Encoded(Vec<(&'static str, Option<Frame>)>);

impl Encoded {
    /// The frame under `key`, made by `encode` the first time that it is asked for.
    pub fn once(
        &mut self,
        key: &'static str,
        encode: impl FnOnce() -> Option<Frame>,
    ) -> Option<Frame> {
        if let Some((_, frame)) = self.0.iter().find(|(known, _)| *known == key) {
            return frame.clone();
        }
        let frame = encode();
        self.0.push((key, frame.clone()));
        frame
    }
}
