//! Decodes the events of one client in a namespace: one of two sides with the same contract, which
//! `session_tests` checks for both.
//! Does not know sessions, nor the meaning of events.

use std::sync::Arc;

use tungstenite::Utf8Bytes;

use super::native::Native;
use super::oxide::stream::{Payload, Stream};
use super::packet::{EventPacket, Packet};

/// The decoder of one client.
pub(super) enum Decoder {
    /// `socketioxide`, behind this stream.
    Oxide(Arc<Stream>),
    /// The server itself.
    Native(Native),
}

impl Decoder {
    /// Takes an event, whose [`Packet::list`] is `list`. Returns it if it is decoded at once; if
    /// not the socket is given it later.
    pub(super) fn event(
        &self,
        packet: &Packet<'_>,
        list: (&str, &str),
        text: &Utf8Bytes,
    ) -> Option<EventPacket> {
        match self {
            Self::Oxide(stream) => {
                stream.push(Payload::Text(&packet.for_library(list, text)));
                None
            }
            Self::Native(native) => native.event(packet, list, text),
        }
    }

    /// Takes an attachment of the event before, of which nothing is kept, since no dialect takes
    /// any. Returns as [`Decoder::event`].
    pub(super) fn attachment(&self) -> Option<EventPacket> {
        match self {
            Self::Oxide(stream) => {
                stream.push(Payload::Binary(&[]));
                None
            }
            Self::Native(native) => native.attachment(),
        }
    }

    /// Whether so much waits to be decoded that the client is not read from.
    pub(super) fn is_full(&self) -> bool {
        match self {
            Self::Oxide(stream) => stream.is_full(),
            Self::Native(_) => false,
        }
    }

    /// Returns when more is taken. For one waiter.
    pub(super) async fn has_room(&self) {
        if let Self::Oxide(stream) = self {
            stream.has_room().await;
        }
    }

    /// Whether the client's CONNECT was answered: nothing is sent to it before.
    pub(super) fn is_open(&self) -> bool {
        match self {
            Self::Oxide(stream) => stream.is_open(),
            Self::Native(native) => native.is_open(),
        }
    }

    /// The client has left.
    pub(super) fn close(&self) {
        if let Self::Oxide(stream) = self {
            stream.close();
        }
    }
}
