//! Autobahn's cases for RFC 6455 on both kinds of WebSocket: a server of the real parts, on a real
//! port, whose endpoints echo.
//! Does not know the cases, nor the expected verdicts: [`verdicts`] does.

mod verdicts;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tungstenite::Utf8Bytes;

use self::verdicts::{Framing, check};
use super::{Batch, Connection, Decoder, Endpoint, Frame, Upgrade};
use crate::gateway::closing::Closing;
use crate::gateway::engineio::{Handler, Server, Session, Settings};
use crate::gateway::request_guard::{self, Guard};
use crate::gateway::tcp::{GuardedListener, TcpHandle};
use crate::gateway::transport::Handled;
use crate::limits::Limits;
use crate::telemetry::{CloseReason, Metrics};

/// The longest message of a case, with the byte that Engine.IO has before it.
const LONGEST: usize = 16 * 1024 * 1024 + 1;

/// Longer than any case takes.
const LONG: Duration = Duration::from_hours(1);

/// The messages to be sent back.
#[derive(Default)]
struct Echoes(Mutex<VecDeque<Frame>>);

impl Echoes {
    fn push(&self, frame: Frame) -> Handled {
        self.0.lock().push_back(frame);
        Handled::Done
    }

    fn fill(&self, batch: &mut Batch) {
        let mut frames = self.0.lock();
        while !batch.is_full()
            && let Some(frame) = frames.pop_front()
        {
            batch.push(frame);
        }
    }
}

/// A raw WebSocket that echoes.
#[derive(Default)]
struct Raw(Echoes);

impl Endpoint for Raw {
    fn text(self: &Arc<Self>, text: Utf8Bytes) -> Result<Handled, CloseReason> {
        Ok(self.0.push(Frame::text(&[text.as_bytes()])))
    }

    fn binary(self: &Arc<Self>, data: Bytes) -> Result<Handled, CloseReason> {
        Ok(self.0.push(Frame::binary(&data)))
    }

    fn fill(&self, _: &Context<'_>, batch: &mut Batch) -> Option<CloseReason> {
        self.0.fill(batch);
        None
    }

    fn await_client(&self, _: &Context<'_>) -> Option<CloseReason> {
        None
    }

    fn written(&self) {}

    fn seen(&self) {}

    fn tick(&self) -> Result<Instant, CloseReason> {
        Ok(Instant::now() + LONG)
    }

    fn shut_down(&self) {}

    fn end(&self, _: CloseReason) {}
}

/// Echoes each message of a session.
#[derive(Default)]
struct Messages(Echoes);

impl Handler for Messages {
    fn opened(&self, session: &Arc<Session>) -> Handled {
        session.admit(None);
        Handled::Done
    }

    fn text(&self, _: &Arc<Session>, text: Utf8Bytes) -> Result<Handled, CloseReason> {
        Ok(self.0.push(Frame::text(&[b"4", text.as_bytes()])))
    }

    fn binary(&self, _: &Arc<Session>, data: Bytes) -> Result<Handled, CloseReason> {
        Ok(self.0.push(Frame::binary(&data)))
    }

    fn fill(&self, _: &Context<'_>, batch: &mut Batch) -> Option<CloseReason> {
        self.0.fill(batch);
        None
    }

    fn has_frames(&self) -> bool {
        !self.0.0.lock().is_empty()
    }

    fn await_client(&self, _: &Context<'_>) -> Option<CloseReason> {
        None
    }

    fn written(&self) {}

    fn upgraded(&self) {}

    fn shut_down(&self) {}

    fn closed(&self, _: CloseReason) {}
}

/// Upgrades as the raw dialects do.
async fn upgrade(ConnectInfo(handle): ConnectInfo<TcpHandle>, request: Request) -> Response {
    let upgrade = match Upgrade::of(&mut request.into_parts().0) {
        Ok(upgrade) => upgrade,
        Err(bad) => return bad.into_response(),
    };
    handle.admit();
    let (response, stream) = upgrade.accept();
    TaskTracker::new().spawn(async move {
        let Some((stream, read)) = stream.await else {
            return;
        };
        let mut decoder = Decoder::new(LONGEST);
        decoder.push(&read);
        let endpoint = Arc::<Raw>::default();
        Connection::new(stream, decoder, endpoint, None, CancellationToken::new()).await;
    });
    response
}

/// Sessions of Engine.IO.
fn engineio(guard: Guard) -> Arc<Server> {
    let settings = Settings {
        ping_interval: LONG,
        ping_timeout: LONG,
        handshake: LONG,
        upgrade: LONG,
        max_payload: LONGEST,
    };
    let Guard { limits, metrics } = guard;
    let (tasks, closing) = (TaskTracker::new(), Closing::default());
    let begin = Box::new(|_| Box::<Messages>::default() as Box<dyn Handler>);
    Server::new(settings, limits, metrics, tasks, closing, begin)
}

/// Serves both; returns the address.
async fn serve() -> SocketAddr {
    let guard = Guard {
        limits: Arc::new(Limits::off()),
        metrics: Metrics::default(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (limits, metrics) = (Arc::clone(&guard.limits), guard.metrics.clone());
    let listener = GuardedListener::new(listener, limits, metrics);
    let router = Router::new()
        .route("/ws/chats/", any(upgrade))
        .merge(engineio(guard.clone()).router("/socket.io/"))
        .layer(from_fn_with_state(guard, request_guard::guard));
    let service = router.into_make_service_with_connect_info::<TcpHandle>();
    TaskTracker::new().spawn(async { axum::serve(listener, service).await });
    address
}

#[tokio::test]
async fn raw_websockets_do_what_autobahn_demands() {
    check(Framing::Plain, serve().await).await;
}

#[tokio::test]
async fn websockets_of_engineio_do_what_autobahn_demands() {
    check(Framing::EngineIo, serve().await).await;
}
