//! The two sides that may decode the events of clients: `socketioxide`, and the server itself.
//! Does not decode the events of one client: `decoder` does.

use std::sync::Arc;

use super::decoder::Decoder;
use super::native::Native;
use super::oxide::Oxide;
use super::oxide::stream::Stream;
use super::socket::Socket;
use crate::gateway::engineio::Session;

/// The decoder of Socket.IO events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SocketIo {
    /// The crate of that name.
    Socketioxide,
    /// The server itself, which holds much less for a client that is silent.
    Native,
}

/// The same, ready for clients.
pub(super) enum Side {
    /// `socketioxide`.
    Oxide(Oxide),
    /// The server itself.
    Native,
}

impl Side {
    /// A side; `frame_bytes` bounds a packet.
    pub(super) fn new(choice: SocketIo, frame_bytes: usize) -> Self {
        match choice {
            SocketIo::Socketioxide => Self::Oxide(Oxide::new(frame_bytes)),
            SocketIo::Native => Self::Native,
        }
    }

    /// The decoder of a client that is about to connect.
    pub(super) fn decoder(&self, session: &Arc<Session>, namespace: &'static str) -> Decoder {
        match self {
            Self::Oxide(_) => Decoder::Oxide(Stream::new(session, namespace)),
            Self::Native => Decoder::Native(Native::default()),
        }
    }

    /// Answers the CONNECT of a client with such a decoder. Returns when the client is connected,
    /// or has left.
    pub(super) async fn connect(&self, session: &Session, socket: &Arc<Socket>) {
        match (&socket.decoder, self) {
            (Decoder::Oxide(stream), Self::Oxide(oxide)) => {
                oxide.connect(socket, stream);
                stream.is_connected().await;
            }
            (Decoder::Native(native), _) => native.connect(session, socket.namespace),
            (Decoder::Oxide(_), Self::Native) => {}
        }
    }
}
