//! Each HTTP request on its way in: for whom a proxy brings it, that its connection is busy with
//! it, and that its body arrives in time.
//! It refuses to know what is asked.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, Sleep};
use tracing::debug;

use super::line::Line;
use super::state::GatewayState;
use super::{rest, websocket};

/// How fast a body has to come on the average, in bytes a second, once the time for the
/// handshake is over.
const SLOWEST: u64 = 1024;

/// Serves a request, and keeps its line informed.
pub async fn receive(State(state): State<GatewayState>, request: Request, next: Next) -> Response {
    let line = request.extensions().get::<ConnectInfo<Line>>();
    let Some(ConnectInfo(line)) = line.cloned() else {
        return next.run(request).await;
    };
    let serving = line.serve();
    let client = state.limits.forwarded(line.peer(), request.headers());
    let place = match client.map(|client| state.limits.connection_from(client)) {
        None => None,
        Some(Ok(place)) => place,
        Some(Err(error)) => {
            state.metrics.turned_away(error.kind.code());
            if rest::is_api(request.uri().path()) {
                return rest::refusal(error);
            }
            return websocket::refusal(&error);
        }
    };
    let patience = state.limits.handshake();
    let request = request.map(|body| {
        if body.is_end_stream() {
            body
        } else {
            Body::new(Arriving::new(body, line.clone(), patience))
        }
    });
    let response = next.run(request).await;
    match response.status() {
        // It is the client's alone from now on.
        StatusCode::SWITCHING_PROTOCOLS if client.is_some() => line.occupy(place),
        // Nobody was admitted yet; whoever will be on a WebSocket says so.
        StatusCode::SWITCHING_PROTOCOLS
        | StatusCode::UNAUTHORIZED
        | StatusCode::TOO_MANY_REQUESTS => {}
        _ => line.served(),
    }
    drop(serving);
    response
}

/// A body that has to arrive in time: within the time for the handshake, and a second more for
/// each [`SLOWEST`] bytes. A time limit between two pieces, which is what there are crates for,
/// would let a client send for ever, byte by byte.
struct Arriving {
    body: Body,
    line: Line,
    until: Instant,
    received: u64,
    /// Runs while nothing comes.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Arriving {
    fn new(body: Body, line: Line, patience: Duration) -> Self {
        Self {
            body,
            line,
            until: Instant::now() + patience,
            received: 0,
            waiting: None,
        }
    }
}

impl HttpBody for Arriving {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            self.waiting = None;
            if let Some(Ok(frame)) = &frame {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                self.received += u64::try_from(bytes).unwrap_or(u64::MAX);
            }
            return Poll::Ready(frame);
        }
        let until = self.until + Duration::from_secs(self.received / SLOWEST);
        let waiting = &mut self.waiting;
        let waiting = waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        if waiting.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        debug!(peer = %self.line.peer(), "a request's body did not arrive in time");
        // Whoever reads the body answers; nothing more is read after that.
        self.line.hang_up();
        let late = std::io::Error::from(std::io::ErrorKind::TimedOut);
        Poll::Ready(Some(Err(axum::Error::new(late))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
