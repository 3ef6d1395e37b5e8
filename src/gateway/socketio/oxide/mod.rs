//! `socketioxide`, behind a private stream for each socket: it sees a healthy WebSocket of
//! Engine.IO 4 that never polls, upgrades or falls silent, on which one namespace is connected.
//! It connects, numbers sockets, and decodes events with their acknowledgements and attachments.
//! Nothing else knows that library. Does not know the transports of the clients; events to the
//! client do not pass through it.
//!
//! The tests below check the assumptions: that the service takes a stream that is a
//! WebSocket already, with the extensions of its request; that handlers registered in a middleware
//! miss nothing; that an event is passed on as the text that was sent, with the number of its
//! acknowledgement; that a close frame ends its session.

pub(super) mod stream;

use std::convert::Infallible;
use std::sync::{Arc, Weak};
use std::time::Duration;

use axum::http::{Request, Uri};
use bytes::Bytes;
use socketioxide::adapter::LocalAdapter;
use socketioxide::handler::{ConnectHandler, FromConnectParts, FromMessageParts, Value};
use socketioxide::layer::SocketIoLayer;
use socketioxide::service::SocketIoService;
use socketioxide::socket::Socket as LibrarySocket;
use socketioxide::{ParserConfig, SocketIo};
use tower::Layer;
use tungstenite::Utf8Bytes;

use self::stream::{LibraryEnd, Stream};
use super::namespace::NAMESPACES;
use super::packet::EventPacket;
use super::socket::Socket;

/// How much is read from a stream at a time, in bytes; one such buffer per socket.
const READ_BUFFER: usize = 128;

/// As good as never: the heartbeat of clients is not the library's.
const NEVER: Duration = Duration::from_hours(365 * 24);

/// The library.
pub(super) struct Oxide(SocketIoService<()>);

impl Oxide {
    /// The library, with every namespace. `frame_bytes` bounds what a client sends; an event whose
    /// name is replaced may be longer for the library, by half and a few bytes.
    pub(super) fn new(frame_bytes: usize) -> Self {
        let (layer, io) = library(2 * frame_bytes + 16);
        for namespace in &NAMESPACES {
            io.ns(namespace.path, (async |_: Handle| {}).with(register));
        }
        Self(layer.layer(()))
    }

    /// Connects an admitted client, which decodes over this stream: the library answers its
    /// CONNECT.
    pub(super) fn connect(&self, socket: &Arc<Socket>, stream: &Arc<Stream>) {
        let mut request = Request::new(());
        *request.uri_mut() = Uri::from_static("/socket.io/?EIO=4&transport=websocket");
        request.extensions_mut().insert(Arc::downgrade(socket));
        let end = LibraryEnd {
            stream: Arc::clone(stream),
            kept: Some(Arc::clone(socket) as Arc<dyn Send + Sync>),
        };
        // Serves the stream in tasks of its own: the future is ready.
        drop(hyper::service::Service::call(&self.0, (end, request)));
    }
}

/// The library, without namespaces.
fn library(frame_bytes: usize) -> (SocketIoLayer, SocketIo) {
    let parser = ParserConfig::common().max_incoming_binary_buf_size(frame_bytes);
    SocketIo::builder()
        .ping_interval(NEVER)
        .ping_timeout(NEVER)
        .ws_max_message_size(frame_bytes)
        .ws_max_frame_size(frame_bytes)
        .ws_read_buffer_size(READ_BUFFER)
        .with_parser(parser)
        .build_layer()
}

/// Registers the handler of events, before the library answers the CONNECT: events that a client
/// sends after it has read that answer would otherwise be lost.
async fn register(Handle { library, socket }: Handle) -> Result<(), Infallible> {
    library.on_fallback(move |RawEvent { data, ack }| {
        if let Some(socket) = socket.upgrade() {
            let (text, attachments) = match data {
                Value::Str(text, attachments) => (Bytes::from(text), attachments.is_some()),
                // Only another parser returns these.
                Value::Bytes(_) => (Bytes::new(), true),
            };
            socket.event(EventPacket {
                // It is UTF-8 already.
                text: Utf8Bytes::try_from(text).unwrap_or_default(),
                ack,
                attachments,
            });
        }
        // The library runs the returned future as a task, and tasks overtake each other: so it is
        // empty.
        std::future::ready(())
    });
    Ok(())
}

/// The library's socket, and ours.
struct Handle {
    library: Arc<LibrarySocket<LocalAdapter>>,
    socket: Weak<Socket>,
}

impl FromConnectParts<LocalAdapter> for Handle {
    type Error = Infallible;

    fn from_connect_parts(
        library: &Arc<LibrarySocket<LocalAdapter>>,
        _: &Option<Value>,
    ) -> Result<Self, Infallible> {
        let extensions = &library.req_parts().extensions;
        Ok(Self {
            library: Arc::clone(library),
            socket: extensions.get().cloned().unwrap_or_default(),
        })
    }
}

/// An event before anything in it can fail to be decoded: an extractor that fails drops the event
/// in silence.
struct RawEvent {
    data: Value,
    ack: Option<i64>,
}

impl FromMessageParts<LocalAdapter> for RawEvent {
    type Error = Infallible;

    fn from_message_parts(
        _: &Arc<LibrarySocket<LocalAdapter>>,
        data: &mut Value,
        ack: &Option<i64>,
    ) -> Result<Self, Infallible> {
        Ok(Self {
            data: data.clone(),
            ack: *ack,
        })
    }
}

#[cfg(test)]
mod tests;
