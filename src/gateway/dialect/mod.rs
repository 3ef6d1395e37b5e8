//! The seam to the protocols of the clients: from requests to commands, from replies and notices
//! to frames.
//! Does no I/O and does not wait. A dialect is a folder here (`requests`, `responses`, `session`)
//! and its place in a transport: an entry of [`ALL`], a namespace of Socket.IO, or both.

mod action;
mod autodetect;
pub mod cursors;
mod decode;
pub mod event_name;
#[cfg(any(test, fuzzing))]
pub mod fixtures;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod incoming;
pub mod marketplace;
pub mod metadata;
pub mod surrogates;
pub mod sync;
pub mod timestamps;
mod type_data;
pub mod untrusted_json;
pub mod whole;

use std::sync::Arc;

use jiff::tz::TimeZone;
use parking_lot::MutexGuard;
use serde_json::Value;

use crate::hub::{Outgoing, Subscriber};
use crate::model::{
    ChatId, ChatRef, Clock, Command, ConnectionId, Error, ErrorKind, KnownUpTo, Message, Reply,
    RequestNumber, UserId,
};
use crate::telemetry::DialectLabel;

pub use autodetect::Autodetect;
pub use incoming::{Framing, Incoming, RequestRef};

/// One connection's session in its dialect, whatever transport it uses.
pub trait DialectSession: Subscriber {
    /// The dialect, as metrics and logs name it.
    fn label(&self) -> DialectLabel;

    /// Decodes a request.
    fn decode(self: Arc<Self>, incoming: &Incoming) -> Decoded;

    /// The number of the request that was decoded last, if the session has to find it in the notices
    /// that it brings about.
    fn request_number(&self) -> Option<RequestNumber> {
        None
    }

    /// The name of a request for the log, or [`UNKNOWN`]: never a text of the client. It is decoded
    /// once more for that.
    ///
    /// [`UNKNOWN`]: super::request_log::UNKNOWN
    fn request_name(&self, incoming: &Incoming) -> &'static str;

    /// Encodes an error that applies whatever the content of the request. Decodes only the part
    /// that the client needs to match the response.
    fn refuse(&self, incoming: &Incoming, error: &Error) -> Vec<Outgoing>;

    /// The error about a raw WebSocket frame that is no text.
    fn not_text(&self) -> Error {
        Error::invalid("frame", "must be text")
    }

    /// The command whose reply the client is sent first; `None`: nothing, or it was sent. Notices
    /// queue until then.
    fn opening(&self) -> Option<Command> {
        None
    }

    /// Takes the reply to [`DialectSession::opening`] and passes the client's first frames to
    /// `sink`, then those of queued notices.
    fn opened(&self, reply: Reply, sink: &mut dyn FnMut(Outgoing)) {
        let _ = (reply, sink);
    }

    /// While this is held no notice is encoded: for a dialect in which a response must not be
    /// overtaken by news that is later than the state in it.
    fn delivery_lock(&self) -> Option<MutexGuard<'_, ()>> {
        None
    }

    /// Whether the client wants to be notified of changes of this chat even while its user is no
    /// member. Called after the response to a request about the chat.
    fn watches(&self, chat: ChatId) -> bool {
        let _ = chat;
        false
    }

    /// Applies the options of a connection besides its token: the object `auth` of Socket.IO, or
    /// the parameters of the query as one object. Called for each of them, before anything else.
    fn handshake(&self, options: &Value) {
        let _ = options;
    }

    /// The positions that a client declares when it connects; `None`: it declares none.
    ///
    /// # Errors
    /// `Invalid`, with the field at fault.
    fn since(&self, auth: &Value) -> Result<Option<Since>, Error> {
        let _ = auth;
        Ok(None)
    }
}

/// The result of decoding a request.
pub enum Decoded {
    /// A command, and what encodes the response to it.
    Request(Command, Respond),
    /// No valid request: the frames with the error.
    Refused(ErrorKind, Vec<Outgoing>),
}

/// Encodes the response to a command and updates the session. Its second argument
/// returns whether a message is, or was, delivered live to this connection.
pub type Respond =
    Box<dyn FnOnce(Result<Reply, Error>, &dyn Fn(&Message) -> bool) -> Vec<Outgoing> + Send>;

/// Encodes the missed messages of a connecting client.
pub type RespondFirst = Box<dyn FnOnce(&Reply) -> Vec<Outgoing> + Send>;

/// The positions of a connecting client, and the encoder of its missed messages.
pub struct Since {
    /// The chats, each with the latest message that the client knows.
    pub chats: Vec<(ChatRef, KnownUpTo)>,
    /// Encodes the reply.
    pub respond: RespondFirst,
}

/// The properties of a connection that a session needs.
#[derive(Clone)]
pub struct SessionOptions {
    /// Which connection.
    pub connection: ConnectionId,
    /// Its user.
    pub user: UserId,
    /// The server's clock.
    pub clock: Clock,
    /// The server's time zone.
    pub zone: TimeZone,
    /// `?ack=1`: requests that succeed silently are answered, too.
    pub acks: Acks,
    /// `?push=0`: no notices.
    pub push: Push,
}

/// Whether requests that succeed silently are answered, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acks {
    /// As the original server does.
    Silent,
    /// Every request is answered.
    Always,
}

/// Whether a client is sent notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Push {
    /// It is.
    On,
    /// It gets responses only.
    Off,
}

/// A dialect of the raw WebSocket.
pub struct Dialect {
    /// Its paths, without the trailing slash.
    pub paths: &'static [&'static str],
    /// Whether the first frame on the path that all dialects share is of this one.
    pub recognises: fn(&Value) -> bool,
    /// Begins a session.
    pub begin: fn(SessionOptions) -> Arc<dyn DialectSession>,
}

/// Every dialect of the raw WebSocket.
pub static ALL: [Dialect; 3] = [action::DIALECT, type_data::DIALECT, marketplace::DIALECT];
