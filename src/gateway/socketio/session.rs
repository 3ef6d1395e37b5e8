//! One Engine.IO session: the connections under a socket, and how to slow or end it.
//! It refuses to know what is said in it.
//!
//! `socketioxide` shows a socket's first HTTP request only, and a session that began by
//! polling goes on over another TCP connection after its upgrade. So the requests are watched
//! on their way in: they carry the session's id.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::{ConnectInfo, Query, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use moka::sync::Cache;
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::sync::Notify;

use crate::gateway::line::Line;

/// How long the line of an upgrade is kept for a socket that is only just being made: clients
/// begin both at once.
const EARLY: Duration = Duration::from_secs(30);

/// How many such lines are kept.
const EARLY_LINES: u64 = 10_000;

/// The sessions that have a socket.
pub struct Sessions {
    known: Mutex<HashMap<String, Arc<Session>>>,
    early: Cache<String, Line>,
}

impl Default for Sessions {
    fn default() -> Self {
        let early = Cache::builder().max_capacity(EARLY_LINES);
        Self {
            known: Mutex::default(),
            early: early.time_to_live(EARLY).build(),
        }
    }
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
}

/// What an Engine.IO request says in its query.
#[derive(Deserialize)]
struct Parameters {
    sid: Option<String>,
    transport: Option<String>,
}

impl Sessions {
    /// A new session under this id, whose first request came in on `line` if it was a
    /// WebSocket's.
    pub fn begin(&self, sid: String, line: Option<Line>) -> Arc<Session> {
        let session = Arc::new(Session {
            websocket: Mutex::new(line),
            polled: AtomicBool::new(true),
            poll: Notify::new(),
            ended: AtomicBool::new(false),
        });
        let mut known = self.known.lock();
        if let Some(line) = self.early.remove(&sid) {
            session.upgrade(line);
        }
        known.insert(sid, Arc::clone(&session));
        session
    }

    /// Forgets a session.
    pub fn forget(&self, sid: &str) {
        self.known.lock().remove(sid);
    }

    fn get(&self, sid: &str) -> Option<Arc<Session>> {
        self.known.lock().get(sid).map(Arc::clone)
    }

    /// Notes the line on which a session goes on as a WebSocket.
    fn upgrade(&self, sid: String, line: Line) {
        let known = self.known.lock();
        match known.get(&sid) {
            Some(session) => session.upgrade(line),
            None => self.early.insert(sid, line),
        }
    }
}

impl Session {
    /// Ends the session at once. A WebSocket is cut; a polling client hears at its next
    /// request that there is no such session. Either reconnects by itself.
    pub fn cut(&self) {
        self.ended.store(true, Ordering::Release);
        self.poll.notify_one();
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
            self.poll.notify_one();
        }
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
                while !self.polled.load(Ordering::Acquire) && !self.has_ended() {
                    self.poll.notified().await;
                }
            }
        }
    }

    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    fn upgrade(&self, line: Line) {
        *self.websocket.lock() = Some(line);
        // Whoever waits for a request to come waits for the line from now on.
        self.came();
    }

    fn came(&self) {
        self.polled.store(true, Ordering::Release);
        self.poll.notify_one();
    }
}

/// Watches the Engine.IO requests on their way in.
pub async fn watch(
    State(sessions): State<Arc<Sessions>>,
    request: Request,
    next: Next,
) -> Response {
    let parameters = Query::<Parameters>::try_from_uri(request.uri());
    if let Ok(Query(Parameters {
        sid: Some(sid),
        transport,
    })) = parameters
    {
        let session = sessions.get(&sid);
        if session.as_ref().is_some_and(|session| session.has_ended()) {
            return unknown_session();
        }
        if transport.as_deref() == Some("websocket") {
            if let Some(ConnectInfo(line)) = request.extensions().get::<ConnectInfo<Line>>() {
                sessions.upgrade(sid, line.clone());
            }
        } else if let Some(session) = session
            && request.method() == Method::GET
        {
            session.came();
        }
    }
    next.run(request).await
}

/// What Engine.IO says of a session that it does not know.
fn unknown_session() -> Response {
    let body = r#"{"code":1,"message":"Session ID unknown"}"#;
    let json = [(header::CONTENT_TYPE, "application/json")];
    (StatusCode::BAD_REQUEST, json, body).into_response()
}
