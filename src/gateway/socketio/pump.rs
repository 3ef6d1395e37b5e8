//! From a connection's outbox into its socket, no faster than the client reads.
//! It refuses to know what the frames say.
//!
//! `socketioxide` has one queue per connection, counted in packets: when it is full, packets
//! are dropped and a healthy client whose ping is due is disconnected. So it is never filled:
//! frames wait in the outbox, counted in bytes, and go over in bursts while the client takes
//! them.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use socketioxide::adapter::LocalAdapter;
use socketioxide::extract::AckSender;
use socketioxide::handler::{FromMessageParts, Value};
use socketioxide::socket::Socket;
use socketioxide::{SendError, SocketError};
use tracing::info;

use super::conversation::Conversation;
use crate::gateway::dialect::Frame;
use crate::hub::{Closed, Next};
use crate::telemetry::Ending;

/// How many frames go over before it is looked whether the client takes them.
const BURST_FRAMES: usize = 64;

/// The same in bytes.
const BURST_BYTES: usize = 64 * 1024;

/// How long to wait when the socket's own queue is full after all.
const FULL: Duration = Duration::from_millis(5);

/// Feeds the socket until the connection ends, at the latest after `lifetime`. Ends the
/// session where the end is the server's doing.
pub async fn run(
    socket: Arc<Socket<LocalAdapter>>,
    conversation: Arc<Conversation>,
    lifetime: Option<Duration>,
) {
    let connection = &conversation.connection;
    let expired = async {
        match lifetime {
            Some(lifetime) => Box::pin(tokio::time::sleep(lifetime)).await,
            None => std::future::pending().await,
        }
    };
    let feeding = feed(&socket, &conversation);
    let mut feeding = std::pin::pin!(feeding);
    let closed = tokio::select! {
        closed = &mut feeding => closed,
        () = expired => {
            info!(sid = %socket.id, "the token has expired: hanging up");
            connection.end(Closed::Gone, Ending::Expired);
            conversation.session.hang_up();
            Closed::Gone
        }
        () = connection.server_closing() => {
            connection.close(Closed::ShuttingDown);
            feeding.await
        }
    };
    if matches!(closed, Closed::Lagging | Closed::RateLimited) {
        info!(sid = %socket.id, why = ?closed, "cutting the client off");
        conversation.session.cut();
    }
    connection.close(closed);
}

/// Feeds the socket until the outbox is closed; answers why it was.
async fn feed(socket: &Arc<Socket<LocalAdapter>>, conversation: &Conversation) -> Closed {
    let outbox = conversation.connection.outbox();
    loop {
        if let Some(why) = client_takes_more(conversation).await {
            return why;
        }
        match burst(socket, conversation).await {
            Fed::Burst => {
                conversation.session.handed_over();
                let connection = &conversation.connection;
                connection.presence().delivered(outbox.written());
                tokio::task::yield_now().await;
            }
            Fed::Nothing => outbox.filled().await,
            Fed::Closed(why) => return why,
        }
    }
}

/// Returns when the client takes more, or why it never will.
async fn client_takes_more(conversation: &Conversation) -> Option<Closed> {
    let outbox = conversation.connection.outbox();
    let takes_more = conversation.session.takes_more();
    let mut takes_more = std::pin::pin!(takes_more);
    if (&mut takes_more).now_or_never().is_some() {
        return None;
    }
    let _awaiting = outbox.await_client();
    loop {
        tokio::select! {
            biased;
            () = &mut takes_more => return None,
            () = outbox.filled() => match outbox.closed() {
                Some(why @ (Closed::Gone | Closed::Lagging | Closed::RateLimited)) => {
                    return Some(why);
                }
                Some(Closed::ShuttingDown) | None => {}
            },
        }
    }
}

/// What became of an attempt to feed the socket.
enum Fed {
    Burst,
    Nothing,
    Closed(Closed),
}

async fn burst(socket: &Arc<Socket<LocalAdapter>>, conversation: &Conversation) -> Fed {
    let outbox = conversation.connection.outbox();
    let (mut frames, mut bytes) = (0, 0);
    while frames < BURST_FRAMES && bytes < BURST_BYTES {
        let frame = match outbox.take() {
            Next::Frame(frame) => frame,
            Next::Empty | Next::Closed(_) if frames > 0 => break,
            Next::Empty => return Fed::Nothing,
            Next::Closed(why) => return Fed::Closed(why),
        };
        match emit(socket, &frame) {
            Ok(()) => {
                frames += 1;
                bytes += frame.weight();
            }
            Err(SendError::Socket(SocketError::InternalChannelFull)) => {
                outbox.put_back(frame);
                tokio::time::sleep(FULL).await;
                break;
            }
            Err(_) => return Fed::Closed(Closed::Gone),
        }
    }
    Fed::Burst
}

fn emit(socket: &Arc<Socket<LocalAdapter>>, frame: &Frame) -> Result<(), SendError> {
    match frame {
        Frame::Event(name, body) => socket.emit(name, &**body),
        Frame::Ack(number, body) => {
            // The extractor is the library's only way to an acknowledgement, and it can be
            // asked again: one that did not get through is not lost.
            let mut nothing = Value::Bytes(bytes::Bytes::new());
            match AckSender::from_message_parts(socket, &mut nothing, &Some(*number)) {
                Ok(ack) => ack.send(&**body),
                Err(never) => match never {},
            }
        }
        // No dialect of Socket.IO makes such a frame.
        Frame::Text(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How large the state of a task is that begins with this function.
    fn size<A, B, C, F>(_: impl Fn(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_silent_socket_costs_little_more_than_the_library_takes_for_it() {
        assert!(size(run) <= 768, "{} bytes", size(run));
    }
}
