//! The raw WebSocket: upgrade, choice of the dialect, frames both ways, ping, close codes.
//! Does not know what a frame says: the dialects do.

mod frame;
mod source;
mod upgrade;

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{FutureExt, SinkExt, StreamExt};
use parking_lot::Mutex;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::task::TaskTracker;
use tracing::{debug, info};

use self::source::RawSource;
use self::upgrade::Upgraded;
use crate::gateway::inbox::{Inbox, Served};
use crate::gateway::line::Line;
use crate::hub::{Closed, Next, Outbox};
use crate::model::Error;
use crate::telemetry::CloseReason;

#[cfg(any(test, fuzzing))]
pub(super) use frame::text;
pub use upgrade::RawServer;
pub(super) use upgrade::refusal;

type Sink = SplitSink<WebSocket, Message>;
type Stream = SplitStream<WebSocket>;

/// How often a client is pinged.
const PING: Duration = Duration::from_secs(25);

/// How long after that it may stay silent.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long a client may take over the end of the connection.
const GOODBYE: Duration = Duration::from_secs(5);

/// How long a client has to hear why its broken frame ends the connection.
const LINGER: Duration = Duration::from_secs(1);

/// After how many frames at the latest it is said that they are delivered: an outbox that is
/// filled all the time is never found empty.
const BURST: usize = 64;

/// Why a connection ends, as its client is told (RFC 6455 §7.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The client ended it, or is not there any more: nothing is said.
    Gone,
    /// The client gives no sign of life: nothing is said either.
    Silent,
    /// A frame is longer than allowed.
    TooLarge,
    /// A text is no UTF-8.
    NoText,
    /// The client broke the protocol otherwise.
    Protocol,
    /// The token has ended.
    Expired,
    /// The client does not keep up.
    Lagging,
    /// The client went on after it was told that it is too fast.
    RateLimited,
    /// The server is going, and others or itself will be back.
    Restarting,
    /// The store did not answer when the connection began.
    Unavailable,
}

impl End {
    const fn frame(self) -> Option<(u16, &'static str)> {
        Some(match self {
            Self::Gone | Self::Silent => return None,
            Self::TooLarge => (1009, "frame too large"),
            Self::NoText => (1007, "not UTF-8"),
            Self::Protocol => (1002, "protocol error"),
            Self::Expired => (1008, "token expired"),
            Self::Lagging => (1013, "lagging"),
            Self::RateLimited => (1008, "rate_limited"),
            Self::Restarting => (1012, "restarting"),
            Self::Unavailable => (1013, "unavailable"),
        })
    }
}

impl From<Closed> for End {
    fn from(closed: Closed) -> Self {
        match closed {
            Closed::Gone => Self::Gone,
            Closed::Lagging => Self::Lagging,
            Closed::RateLimited => Self::RateLimited,
            Closed::ShuttingDown => Self::Restarting,
        }
    }
}

impl From<End> for CloseReason {
    fn from(end: End) -> Self {
        match end {
            End::Gone => Self::Gone,
            End::Silent => Self::Silent,
            End::TooLarge => Self::TooLarge,
            End::NoText => Self::NotUtf8,
            End::Protocol => Self::ProtocolError,
            End::Expired => Self::Expired,
            End::Lagging => Self::Lagging,
            End::RateLimited => Self::RateLimited,
            End::Restarting => Self::ShuttingDown,
            End::Unavailable => Self::Unavailable,
        }
    }
}

/// One raw WebSocket.
struct RawConnection {
    /// Its requests.
    inbox: Inbox,
    /// How long the token is still valid; `None`: for ever.
    lifetime: Option<Duration>,
    /// When the client last sent anything.
    last_seen: Mutex<Instant>,
}

/// Opens the connection behind a WebSocket that has just been upgraded, and serves it in a task
/// of its own: this one, with all that the upgrade and the beginning need, ends while the client
/// stays.
async fn begin(socket: WebSocket, upgraded: Upgraded, line: Line, tasks: TaskTracker) {
    let opened = upgraded.open().await.map(Box::new);
    tasks.spawn(serve(socket.split(), opened, line));
}

/// Serves a connection from its beginning to its end.
async fn serve(
    (mut sink, mut stream): (Sink, Stream),
    opened: Result<Box<RawConnection>, Error>,
    line: Line,
) {
    let end = match opened {
        Ok(raw) => converse(&mut sink, &mut stream, &raw).await,
        Err(error) => {
            info!(%error, "a connection could not begin");
            End::Unavailable
        }
    };
    debug!(?end, "a connection ends");
    let parted = tokio::time::timeout(GOODBYE, part(&mut sink, &mut stream, end)).await;
    if parted.is_err() {
        line.cut();
    }
}

/// Reads and sends until either ends.
async fn converse(sink: &mut Sink, stream: &mut Stream, raw: &RawConnection) -> End {
    let lifetime = async {
        match raw.lifetime {
            Some(lifetime) => Box::pin(tokio::time::sleep(lifetime)).await,
            None => std::future::pending().await,
        }
    };
    let end = tokio::select! {
        end = read(stream, raw) => end,
        end = send(sink, raw) => end,
        () = lifetime => End::Expired,
    };
    let closed = match end {
        End::Lagging => Closed::Lagging,
        _ => Closed::Gone,
    };
    raw.inbox.connection.end(closed, end.into());
    end
}

async fn read(stream: &mut Stream, raw: &RawConnection) -> End {
    match raw.inbox.serve(&mut RawSource { stream, raw }).await {
        Served::Ended(end) => end,
        Served::Unavailable(error) => {
            info!(%error, "a session could not begin");
            End::Unavailable
        }
    }
}

/// Says why, and waits until the client has heard it: a connection that is dropped before
/// that takes the word back.
async fn part(sink: &mut Sink, stream: &mut Stream, end: End) {
    let Some((code, reason)) = end.frame() else {
        // The answer to the client's own goodbye may still wait to be written.
        let _ = sink.flush().await;
        return;
    };
    let frame = CloseFrame {
        code,
        reason: reason.into(),
    };
    if sink.send(Message::Close(Some(frame))).await.is_ok() {
        while let Some(Ok(_)) = stream.next().await {}
        if matches!(end, End::TooLarge | End::NoText | End::Protocol) {
            // What follows the broken frame is never read, and a connection that is closed
            // with something unread is reset: that would overtake the word just sent.
            tokio::time::sleep(LINGER).await;
        }
    }
}

/// Sends what waits in the outbox, and a ping now and then.
async fn send(sink: &mut Sink, raw: &RawConnection) -> End {
    let connection = &raw.inbox.connection;
    let outbox = connection.outbox();
    let mut ping = interval_at(Instant::now() + PING, PING);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut closing = std::pin::pin!(connection.server_closing());
    // Everything that waits goes out with one flush.
    let mut flushed = true;
    let mut fed = 0_usize;
    let delivered = || connection.metrics().delivered(outbox.written());
    loop {
        match outbox.take() {
            Next::Frame(frame) => {
                let message = Message::Text(frame::text(&frame));
                let taken = unless_lagging(outbox, sink.feed(message)).await;
                if let Err(end) = taken {
                    return end;
                }
                flushed = false;
                fed += 1;
                if fed.is_multiple_of(BURST) {
                    delivered();
                }
            }
            Next::Closed(why) => {
                if sink.flush().await.is_ok() {
                    delivered();
                }
                return why.into();
            }
            // While a write waited, what woke it may have been news: so the outbox is looked
            // into once more before it is waited for.
            Next::Empty if !flushed => {
                if let Err(end) = unless_lagging(outbox, sink.flush()).await {
                    return end;
                }
                delivered();
                flushed = true;
            }
            Next::Empty => tokio::select! {
                () = outbox.filled() => {}
                () = &mut closing, if outbox.closed().is_none() => {
                    connection.close(Closed::ShuttingDown);
                }
                _ = ping.tick() => {
                    if raw.last_seen.lock().elapsed() > PING + PATIENCE {
                        return End::Silent;
                    }
                    let sent = sink.feed(Message::Ping(Bytes::new()));
                    if let Err(end) = unless_lagging(outbox, sent).await {
                        return end;
                    }
                    flushed = false;
                }
            },
        }
    }
}

/// Writes, unless the outbox is closed meanwhile: a client that does not read keeps a write
/// waiting for ever.
async fn unless_lagging(
    outbox: &Outbox,
    write: impl Future<Output = Result<(), axum::Error>>,
) -> Result<(), End> {
    let mut write = std::pin::pin!(write);
    if let Some(written) = (&mut write).now_or_never() {
        return written.map_err(|_| End::Gone);
    }
    let _awaiting = outbox.await_client();
    loop {
        tokio::select! {
            biased;
            written = &mut write => return written.map_err(|_| End::Gone),
            () = outbox.filled() => match outbox.closed() {
                Some(why @ (Closed::Lagging | Closed::RateLimited | Closed::Gone)) => {
                    return Err(why.into());
                }
                Some(Closed::ShuttingDown) | None => {}
            },
        }
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
    fn a_silent_client_costs_little_more_than_its_buffers() {
        // What a request needs stands in a box of its own, as long as the request is served.
        assert!(size(serve) <= 2048, "{} bytes", size(serve));
    }
}
