//! From a connection's outbox into its socket, no faster than the client reads.
//! Does not know what the frames say.
//!
//! `socketioxide` has one queue per connection, counted in packets: when it is full, packets
//! are dropped and a healthy client whose ping is due is disconnected. So it is never filled:
//! frames wait in the outbox, counted in bytes, and go over in bursts while the client takes
//! them. On a WebSocket the library is only told where they go: see `gateway/line/splice.rs`.
//! There a frame that finds nothing waiting before it does not wait for anybody either.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::FutureExt;
use serde_json::value::RawValue;
use socketioxide::adapter::LocalAdapter;
use socketioxide::extract::AckSender;
use socketioxide::handler::{FromMessageParts, Value};
use socketioxide::socket::Socket;
use socketioxide::{SendError, TransportType};
use tokio::time::Instant;
use tracing::info;

use super::encode::{UNNAMED, encoded};
use super::queue::EventQueue;
use super::session::Session;
use crate::gateway::line::{PLACE, Splice};
use crate::hub::{AckId, Closed, DirectSink, Next, Outbox, Outgoing};
use crate::telemetry::{CloseReason, ConnectionMetrics, Taken};

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
    queue: Arc<EventQueue>,
    lifetime: Option<Duration>,
) {
    let connection = queue.connection();
    let expired = async {
        match lifetime {
            Some(lifetime) => Box::pin(tokio::time::sleep(lifetime)).await,
            None => std::future::pending().await,
        }
    };
    let way = Arc::new(Way::new(&socket, &queue));
    let direct: Arc<dyn DirectSink> = Arc::clone(&way) as _;
    let _attached = connection.outbox().attach(direct);
    let feeding = feed(&way, &queue);
    let mut feeding = std::pin::pin!(feeding);
    let closed = tokio::select! {
        closed = &mut feeding => closed,
        () = expired => {
            info!(sid = %socket.id, "the token has expired: hanging up");
            connection.end(Closed::Gone, CloseReason::Expired);
            queue.session.hang_up();
            Closed::Gone
        }
        () = connection.server_closing() => {
            connection.close(Closed::ShuttingDown);
            feeding.await
        }
    };
    if matches!(closed, Closed::Lagging | Closed::RateLimited) {
        info!(sid = %socket.id, why = ?closed, "cutting the client off");
        queue.session.cut();
    }
    connection.close(closed);
}

/// Feeds the socket until the outbox is closed; answers why it was.
async fn feed(way: &Way, queue: &EventQueue) -> Closed {
    let connection = queue.connection();
    loop {
        if let Some(why) = client_takes_more(queue).await {
            return why;
        }
        way.look();
        let fed = burst(way, connection.outbox());
        way.metrics.delivered(connection.outbox().written());
        match fed {
            Fed::All => connection.outbox().filled().await,
            Fed::Burst => {
                way.session.handed_over();
                tokio::task::yield_now().await;
            }
            Fed::Full => tokio::time::sleep(FULL).await,
            Fed::Closed(why) => return why,
        }
    }
}

/// Returns when the client takes more, or why it never will.
async fn client_takes_more(queue: &EventQueue) -> Option<Closed> {
    let outbox = queue.connection().outbox();
    let takes_more = queue.session.takes_more();
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
    /// Nothing waits.
    All,
    /// It has got something.
    Burst,
    /// It takes nothing just now.
    Full,
    Closed(Closed),
}

fn burst(way: &Way, outbox: &Outbox) -> Fed {
    let (mut frames, mut bytes) = (0, 0);
    while frames < BURST_FRAMES && bytes < BURST_BYTES {
        let frame = match outbox.take() {
            Next::Frame(frame) => frame,
            Next::Empty | Next::Closed(_) if frames > 0 => break,
            Next::Empty => return Fed::All,
            Next::Closed(why) => return Fed::Closed(why),
        };
        if !way.pass(&frame) {
            if !way.socket.connected() {
                return Fed::Closed(Closed::Gone);
            }
            outbox.put_back(frame);
            return if frames > 0 { Fed::Burst } else { Fed::Full };
        }
        frames += 1;
        bytes += frame.weight();
    }
    Fed::Burst
}

/// The way to the client: through the library, or past it.
struct Way {
    namespace: &'static str,
    socket: Arc<Socket<LocalAdapter>>,
    session: Arc<Session>,
    metrics: Arc<ConnectionMetrics>,
    /// Once it is known that the library writes nothing but a WebSocket.
    past: OnceLock<Splice>,
}

impl Way {
    fn new(socket: &Arc<Socket<LocalAdapter>>, queue: &EventQueue) -> Self {
        Self {
            namespace: queue.namespace,
            socket: Arc::clone(socket),
            session: Arc::clone(&queue.session),
            metrics: Arc::clone(queue.connection().metrics()),
            past: OnceLock::new(),
        }
    }

    /// Looks whether it leads past the library by now.
    fn look(&self) {
        if self.past.get().is_none()
            && self.socket.transport_type() == TransportType::Websocket
            && let Some(line) = self.session.websocket()
            && line.splices()
        {
            self.past.get_or_init(|| line.splice());
        }
    }

    /// Hands the frame on; `false`: it takes nothing just now, or never again.
    fn pass(&self, frame: &Outgoing) -> bool {
        let Some(splice) = self.past.get() else {
            return emit(&self.socket, frame).is_ok();
        };
        splice.add(encoded(self.namespace, frame), |number| {
            self.socket.emit(PLACE, &number).is_ok()
        })
    }
}

impl DirectSink for Way {
    fn try_send(&self, frame: &Outgoing) -> bool {
        self.past.get().is_some_and(Splice::is_clear) && self.pass(frame)
    }

    fn delivered(&self, durable: Instant) {
        self.metrics.delivered(Some(Taken {
            oldest: durable,
            messages: 1,
        }));
    }
}

fn emit(socket: &Arc<Socket<LocalAdapter>>, frame: &Outgoing) -> Result<(), SendError> {
    // It was encoded here, so it is JSON.
    let body: &RawValue = serde_json::from_str(frame.body.as_str()).unwrap_or(RawValue::NULL);
    let Some(AckId(number)) = frame.ack else {
        return socket.emit(frame.name.unwrap_or(UNNAMED), body);
    };
    // The extractor is the library's only way to an acknowledgement, and it can be asked again:
    // one that did not get through is not lost.
    let mut nothing = Value::Bytes(bytes::Bytes::new());
    match AckSender::from_message_parts(socket, &mut nothing, &Some(number)) {
        Ok(ack) => ack.send(body),
        Err(never) => match never {},
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
