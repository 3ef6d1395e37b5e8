//! The requests of a session that polls: GET takes frames, POST brings packets.
//! Does not know the content of packets.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use engineioxide_core::ProtocolVersion;
use futures_util::StreamExt;
use http_body::SizeHint;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::carrier::{NoPoll, Polled};
use super::payload::{TEXT, decode, encode};
use super::refusal::Refusal;
use super::session::Session;
use crate::gateway::transport::Handled;
use crate::gateway::websocket::Frame;
use crate::telemetry::CloseReason;

/// The packet of an empty poll.
const NOOP: &[u8] = b"6";

/// The packet that ends the session. Some clients never reconnect after it: so it is sent only
/// after a violation of the protocol.
const CLOSE: &[u8] = b"1";

/// Runs `abandon` if it is dropped before its time: a poll or a body that the client gives up is
/// not sent again, so the session would continue with a gap.
struct Guard<'a> {
    session: &'a Session,
    abandon: Option<fn(&Session)>,
}

impl<'a> Guard<'a> {
    fn new(session: &'a Session, abandon: fn(&Session)) -> Self {
        let abandon = Some(abandon);
        Self { session, abandon }
    }

    fn disarm(mut self) {
        self.abandon = None;
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if let Some(abandon) = self.abandon {
            abandon(self.session);
        }
    }
}

/// In which pieces the HTTP server takes the body of a response: it takes the next one once it
/// has written most of those before.
const PIECE: usize = 64 * 1024;

/// The body of an answered poll. Dropped before the HTTP server has taken all of it, it ends the
/// session.
struct PollBody {
    left: Bytes,
    session: Arc<Session>,
}

impl http_body::Body for PollBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        if self.left.is_empty() {
            return Poll::Ready(None);
        }
        let length = self.left.len().min(PIECE);
        let piece = self.left.split_to(length);
        if self.left.is_empty() {
            self.session.handler.written();
        }
        Poll::Ready(Some(Ok(http_body::Frame::data(piece))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left.len() as u64)
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }
}

impl Drop for PollBody {
    fn drop(&mut self) {
        if !self.left.is_empty() {
            self.session.close(CloseReason::Gone);
        }
    }
}

/// The response to a poll, with these frames.
pub(super) fn response(session: &Arc<Session>, frames: &[Frame]) -> Response {
    let answer = PollBody {
        left: encode(session.protocol(), frames).into(),
        session: Arc::clone(session),
    };
    ([(header::CONTENT_TYPE, TEXT)], Body::new(answer)).into_response()
}

/// A response to a poll whose session has ended.
fn last_response(session: &Session, packet: &[u8]) -> Response {
    let body = encode(session.protocol(), &[Frame::text(&[packet])]);
    ([(header::CONTENT_TYPE, TEXT)], body).into_response()
}

/// Answers a poll as soon as there is something to be sent.
pub(super) async fn get(session: Arc<Session>) -> Result<Response, Refusal> {
    let late = match session.begin_poll() {
        Ok(late) => late,
        Err(NoPoll::Overlap | NoPoll::Overtaken) => return Err(Refusal::Request),
        Err(NoPoll::Closed(why)) => return Err(ended(why)),
    };
    let guard = Guard::new(&session, Session::abandon_poll);
    let polled = std::future::poll_fn(|context| Poll::Ready(ready!(session.poll_answer(context))));
    let polled = polled.await;
    guard.disarm();
    match polled {
        Polled::Frames(batch) if batch.is_empty() => {
            Ok(response(&session, &[Frame::text(&[NOOP])]))
        }
        Polled::Frames(batch) => {
            let frames: Vec<_> = batch.into_frames().collect();
            Ok(response(&session, &frames))
        }
        // A client that upgrades has no poll left, except one that was late for the upgrade.
        Polled::Overtaken if late => Err(Refusal::Request),
        Polled::Overtaken | Polled::Closed(CloseReason::Gone) => Ok(last_response(&session, NOOP)),
        Polled::Closed(
            CloseReason::ProtocolError
            | CloseReason::NotUtf8
            | CloseReason::TooLarge
            | CloseReason::Refused,
        ) => Ok(last_response(&session, CLOSE)),
        Polled::Closed(why) => Err(ended(why)),
    }
}

/// The response to a client after its session has ended for this reason: it begins a new one.
fn ended(why: CloseReason) -> Refusal {
    match why {
        CloseReason::ShuttingDown | CloseReason::Unavailable => Refusal::Unavailable,
        _ => Refusal::Session,
    }
}

/// Handles the packets in the body of a request.
pub(super) async fn post(session: Arc<Session>, request: Request) -> Result<Response, Refusal> {
    if session.is_draining() {
        return Err(Refusal::Unavailable);
    }
    let limit = session.settings.max_payload;
    let Ok(_one_of_two) = session.bodies.try_acquire() else {
        return Err(Refusal::TooMany);
    };
    let guard = Guard::new(&session, |session| session.close(CloseReason::Gone));
    let kind = request.headers().get(header::CONTENT_TYPE).cloned();
    let handled = match body(request, limit).await {
        Ok(body) => handle(&session, body, kind.as_ref()).await,
        Err(why) => Err(why),
    };
    guard.disarm();
    match handled {
        Ok(()) => Ok(([(header::CONTENT_TYPE, "text/html")], "ok").into_response()),
        Err(why) => {
            session.close(why);
            match why {
                // The client has ended it.
                CloseReason::Gone => {
                    Ok(([(header::CONTENT_TYPE, "text/html")], "ok").into_response())
                }
                CloseReason::TooLarge => Err(Refusal::TooLarge),
                CloseReason::ShuttingDown | CloseReason::Unavailable => Err(Refusal::Unavailable),
                _ => Err(Refusal::Request),
            }
        }
    }
}

/// The whole body of a request.
async fn body(request: Request, limit: usize) -> Result<Bytes, CloseReason> {
    let body = Limited::new(request.into_body(), limit).collect().await;
    match body {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(CloseReason::TooLarge),
        Err(_) => Err(CloseReason::ProtocolError),
    }
}

/// Handles packets one after the other, after those of the bodies before.
async fn handle(
    session: &Arc<Session>,
    body: Bytes,
    kind: Option<&HeaderValue>,
) -> Result<(), CloseReason> {
    let protocol = session.protocol();
    if protocol == ProtocolVersion::V4
        && kind.is_some_and(|kind| kind == "application/octet-stream")
    {
        return Err(CloseReason::ProtocolError);
    }
    let turn = session.turn.acquire().await;
    let _turn = turn.map_err(|_| CloseReason::Gone)?;
    let mut packets = std::pin::pin!(decode(protocol, kind, body));
    while let Some(packet) = packets.next().await {
        if let Handled::Later(work) = session.packet(packet?)? {
            work.await?;
        }
    }
    Ok(())
}

/// The response to a request that is none of a session's.
pub(super) async fn not_found() -> Response {
    let hint = "polychat does not serve the Socket.IO client: install the npm package \
                socket.io-client, or load it from a CDN\n";
    (StatusCode::NOT_FOUND, hint).into_response()
}
