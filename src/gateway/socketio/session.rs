//! One Engine.IO session: the connections under a socket, and how to slow or end it.
//! Does not know what is said in it.
//!
//! `socketioxide` shows a socket's first HTTP request only, and a session that began by
//! polling goes on over another TCP connection after its upgrade. So the requests are watched
//! on their way in: they carry the session's id.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use axum::extract::{ConnectInfo, Query, Request, State};
use axum::http::{Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::sync::Notify;

use super::head;
use crate::gateway::line::{Line, WeakLine};
use crate::telemetry::{ConnectionMetrics, Transport};

/// The sessions that have sockets, and the lines of all that were upgraded.
#[derive(Default)]
pub struct Sessions(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// With how many sockets, one for each namespace, use it.
    sessions: HashMap<String, (Arc<Session>, usize)>,
    /// A client begins its upgrade and its socket at once, and may begin another socket on
    /// the same connection later: so this is kept beside the sockets.
    upgraded: HashMap<String, WeakLine>,
    /// How many of those there may be before the dead ones are looked for.
    sweep_at: usize,
}

/// One Engine.IO session.
pub struct Session {
    /// The line of the WebSocket, once there is one. A polling session has none: its requests
    /// may come through a proxy, on lines that others use, too.
    websocket: Mutex<Option<Line>>,
    /// Polling only: whether a request has come since the last burst of frames.
    polled: AtomicBool,
    poll: Notify,
    ended: AtomicBool,
    /// Those of its sockets that count as polling.
    polling: Mutex<Vec<Weak<ConnectionMetrics>>>,
}

/// What an Engine.IO request says in its query.
#[derive(Deserialize)]
struct Parameters {
    sid: Option<String>,
    transport: Option<String>,
}

impl Parameters {
    fn is_websocket(&self) -> bool {
        self.transport.as_deref() == Some("websocket")
    }
}

impl Sessions {
    /// The session under this id, for one more socket on it. `line` is the one of its first
    /// request if that was a WebSocket's.
    pub fn begin(&self, sid: String, line: Option<Line>) -> Arc<Session> {
        let mut known = self.0.lock();
        if let Some((session, sockets)) = known.sessions.get_mut(&sid) {
            *sockets += 1;
            return Arc::clone(session);
        }
        let upgraded = known.upgraded.get(&sid).and_then(WeakLine::line);
        let session = Arc::new(Session {
            websocket: Mutex::new(upgraded.or(line)),
            polled: AtomicBool::new(true),
            poll: Notify::new(),
            ended: AtomicBool::new(false),
            polling: Mutex::default(),
        });
        known.sessions.insert(sid, (Arc::clone(&session), 1));
        session
    }

    /// Whether the session under this id has gone over to a WebSocket.
    pub fn was_upgraded(&self, sid: &str) -> bool {
        let known = self.0.lock();
        known.upgraded.get(sid).and_then(WeakLine::line).is_some()
    }

    /// Forgets a socket, and with the last one its session.
    pub fn forget(&self, sid: &str) {
        let mut known = self.0.lock();
        if let Some((_, sockets)) = known.sessions.get_mut(sid) {
            *sockets -= 1;
            if *sockets == 0 {
                known.sessions.remove(sid);
            }
        }
    }

    fn get(&self, sid: &str) -> Option<Arc<Session>> {
        let known = self.0.lock();
        known
            .sessions
            .get(sid)
            .map(|(session, _)| Arc::clone(session))
    }

    /// Notes the line on which a session goes on as a WebSocket.
    fn upgrade(&self, sid: &str, line: Line) {
        const FEW: usize = 64;
        let mut known = self.0.lock();
        if known.upgraded.len() >= known.sweep_at {
            known.upgraded.retain(|_, line| line.line().is_some());
            known.sweep_at = (known.upgraded.len() * 2).max(FEW);
        }
        known.upgraded.insert(sid.to_owned(), line.weak());
        if let Some((session, _)) = known.sessions.get(sid) {
            session.upgrade(line);
        }
    }
}

impl Session {
    /// Ends the session at once. A WebSocket is cut; a polling client hears at its next
    /// request that there is no such session. Either reconnects by itself.
    pub fn cut(&self) {
        self.ended.store(true, Ordering::Release);
        self.poll.notify_waiters();
        if let Some(line) = &*self.websocket.lock() {
            line.cut();
        }
    }

    /// The same, but a WebSocket still sends what it was given.
    pub fn hang_up(&self) {
        if let Some(line) = &*self.websocket.lock() {
            line.hang_up();
        } else {
            self.ended.store(true, Ordering::Release);
            self.poll.notify_waiters();
        }
    }

    /// The line of the WebSocket, if it has one by now.
    pub fn websocket(&self) -> Option<Line> {
        self.websocket.lock().clone()
    }

    /// Stops reading what the client sends, where that holds up nobody else.
    pub fn hold(&self) {
        if let Some(line) = &*self.websocket.lock() {
            line.hold();
        }
    }

    /// Reads on.
    pub fn release(&self) {
        if let Some(line) = &*self.websocket.lock() {
            line.release();
        }
    }

    /// Keeps the figures right about what this socket goes over.
    pub fn carries(&self, socket: &Arc<ConnectionMetrics>) {
        let mut polling = self.polling.lock();
        polling.retain(|socket| socket.strong_count() > 0);
        polling.push(Arc::downgrade(socket));
        drop(polling);
        if self.websocket.lock().is_some() {
            self.went_over();
        }
    }

    fn went_over(&self) {
        for socket in std::mem::take(&mut *self.polling.lock()) {
            if let Some(socket) = socket.upgrade() {
                socket.goes_over(Transport::WebSocket);
            }
        }
    }

    /// Notes that a burst of frames was handed over for the client.
    pub fn handed_over(&self) {
        self.polled.store(false, Ordering::Release);
    }

    /// Returns when the client takes more: the WebSocket's line has room, or the polling
    /// client has come for the burst before.
    pub async fn takes_more(&self) {
        let line = self.websocket.lock().clone();
        match line {
            Some(line) => line.unblocked().await,
            None => {
                loop {
                    let mut polled = std::pin::pin!(self.poll.notified());
                    // From here on no wake-up is missed, so the flags may be looked at.
                    polled.as_mut().enable();
                    if self.polled.load(Ordering::Acquire) || self.has_ended() {
                        return;
                    }
                    polled.await;
                }
            }
        }
    }

    /// Notes that somebody was admitted on it.
    pub fn admitted(&self) {
        if let Some(line) = &*self.websocket.lock() {
            line.admit();
        }
    }

    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    fn upgrade(&self, line: Line) {
        line.admit();
        *self.websocket.lock() = Some(line);
        self.went_over();
        // Whoever waits for a request to come waits for the line from now on.
        self.came();
    }

    fn came(&self) {
        self.polled.store(true, Ordering::Release);
        self.poll.notify_waiters();
    }
}

/// Whether a request is one that opens a WebSocket.
pub fn is_websocket(uri: &Uri) -> bool {
    let parameters = Query::<Parameters>::try_from_uri(uri);
    parameters.is_ok_and(|Query(parameters)| parameters.is_websocket())
}

/// Watches the Engine.IO requests on their way in.
pub async fn watch(
    State(sessions): State<Arc<Sessions>>,
    request: Request,
    next: Next,
) -> Response {
    let parameters = Query::<Parameters>::try_from_uri(request.uri());
    if let Ok(Query(parameters)) = parameters
        && let Some(sid) = &parameters.sid
    {
        let session = sessions.get(sid);
        if session.as_ref().is_some_and(|session| session.has_ended()) {
            return unknown_session();
        }
        if parameters.is_websocket() {
            if let Some(ConnectInfo(line)) = request.extensions().get::<ConnectInfo<Line>>() {
                sessions.upgrade(sid, line.clone());
            }
        } else if let Some(session) = session
            && request.method() == Method::GET
        {
            session.came();
        }
    }
    if keeps_head(&request) {
        return next.run(head::slim(request)).await;
    }
    next.run(request).await
}

/// Whether the library keeps the head of this request: it opens a session, or a WebSocket.
fn keeps_head(request: &Request) -> bool {
    let parameters = Query::<Parameters>::try_from_uri(request.uri());
    let goes_on = parameters.is_ok_and(|Query(it)| it.sid.is_some() && !it.is_websocket());
    request.method() == Method::GET && request.uri().path().starts_with("/socket.io") && !goes_on
}

/// What Engine.IO says of a session that it does not know.
fn unknown_session() -> Response {
    let body = r#"{"code":1,"message":"Session ID unknown"}"#;
    let json = [(header::CONTENT_TYPE, "application/json")];
    (StatusCode::BAD_REQUEST, json, body).into_response()
}
