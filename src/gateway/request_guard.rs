//! Checks each HTTP request on its way in: that it names one host, for which client a proxy sends
//! it, and that its body arrives in time.
//! Does not know the resources behind it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, Sleep};
use tracing::debug;

use super::tcp::TcpHandle;
use super::{raw, rest};
use crate::limits::Limits;
use crate::telemetry::Metrics;

/// How fast a body has to arrive on average, in bytes a second, after the handshake timeout.
const SLOWEST: u64 = 1024;

/// The state of the guard.
#[derive(Clone)]
pub struct Guard {
    /// How many connections a client may have.
    pub limits: Arc<Limits>,
    /// Counts refusals.
    pub metrics: Metrics,
}

/// Serves a request within the limits of its TCP connection.
pub async fn guard(
    State(Guard { limits, metrics }): State<Guard>,
    request: Request,
    next: Next,
) -> Response {
    if !names_one_host(&request) {
        return (StatusCode::BAD_REQUEST, "one Host header is needed\n").into_response();
    }
    let handle = request.extensions().get::<ConnectInfo<TcpHandle>>();
    let Some(ConnectInfo(handle)) = handle.cloned() else {
        return next.run(request).await;
    };
    let serving = handle.serve();
    let client = limits.forwarded(handle.peer(), request.headers());
    let slot = match client.map(|client| limits.connection_from(client)) {
        None => None,
        Some(Ok(slot)) => slot,
        Some(Err(error)) => {
            metrics.turned_away(error.kind.code());
            if rest::is_api(request.uri().path()) {
                return rest::refusal(error);
            }
            return raw::refusal(&error);
        }
    };
    let handshake = limits.handshake();
    let request = request.map(|body| {
        if body.is_end_stream() {
            body
        } else {
            Body::new(TimedBody::new(body, handle.clone(), handshake))
        }
    });
    let response = next.run(request).await;
    match response.status() {
        // It is this client's alone from now on.
        StatusCode::SWITCHING_PROTOCOLS if client.is_some() => handle.occupy(slot),
        // Not authenticated yet; the WebSocket authenticates its client itself.
        StatusCode::SWITCHING_PROTOCOLS
        | StatusCode::UNAUTHORIZED
        | StatusCode::TOO_MANY_REQUESTS => {}
        _ => handle.served(),
    }
    drop(serving);
    response
}

/// Whether the request has what RFC 9112 §3.2 demands of HTTP/1.1.
fn names_one_host(request: &Request) -> bool {
    let hosts = request.headers().get_all(header::HOST).iter().count();
    hosts == 1 || (hosts == 0 && request.version() != Version::HTTP_11)
}

/// A body that has to arrive in time: within the handshake timeout, and a second more for each
/// [`SLOWEST`] bytes. A time limit between two pieces, for which there are crates, would let a
/// client send for ever, byte by byte.
struct TimedBody {
    body: Body,
    handle: TcpHandle,
    until: Instant,
    received: u64,
    /// Runs while nothing comes.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl TimedBody {
    fn new(body: Body, handle: TcpHandle, handshake: Duration) -> Self {
        Self {
            body,
            handle,
            until: Instant::now() + handshake,
            received: 0,
            waiting: None,
        }
    }
}

impl HttpBody for TimedBody {
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
        debug!(peer = %self.handle.peer(), "a request's body did not arrive in time");
        // The reader of the body responds; nothing more is read after that.
        self.handle.close_read();
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
