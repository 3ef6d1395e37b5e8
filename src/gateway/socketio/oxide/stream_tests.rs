//! The stream between a session and the library, with both of them.
//! Does not know the meaning of events.

use std::time::Duration;

use engineioxide_core::ProtocolVersion::{V3, V4};
use socketioxide::handler::ConnectHandler;
use socketioxide::service::SocketIoService;
use socketioxide::{SocketIo, extract::SocketRef};
use tokio::io::AsyncReadExt;
use tower::Layer;

use super::*;
use crate::gateway::engineio::fixtures::{Application, Fixture, spawn};
use crate::gateway::socketio::oxide::library;
use crate::gateway::websocket::{Batch, Endpoint};

/// How long anything may take.
const TIME_LIMIT: Duration = Duration::from_secs(10);

struct World {
    fixture: Fixture,
    service: SocketIoService<()>,
    io: SocketIo,
}

impl World {
    fn new() -> Self {
        let (layer, io) = library(1_000_000);
        for path in ["/", "/events"] {
            let admit = async |_: SocketRef| Ok::<_, std::convert::Infallible>(());
            io.ns(path, (async |_: SocketRef| {}).with(admit));
        }
        Self {
            fixture: Fixture::new(None),
            service: layer.layer(()),
            io,
        }
    }

    fn serve(&self, stream: &Arc<Stream>) {
        let mut request = axum::http::Request::new(());
        let uri = "/socket.io/?EIO=4&transport=websocket";
        *request.uri_mut() = axum::http::Uri::from_static(uri);
        let end = LibraryEnd {
            stream: Arc::clone(stream),
            kept: None,
        };
        drop(hyper::service::Service::call(&self.service, (end, request)));
    }

    fn session(&self) -> (Arc<Session>, Application) {
        self.fixture.websocket(V4)
    }
}

/// Returns when the library has let go of the stream.
async fn let_go(stream: Arc<Stream>) {
    let kept = Arc::downgrade(&stream);
    drop(stream);
    let kept = async {
        while kept.strong_count() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(TIME_LIMIT, kept)
        .await
        .expect("no leak");
}

/// The frames sent to the client.
fn sent(session: &Arc<Session>) -> Vec<String> {
    let mut batch = Batch::default();
    Endpoint::fill(&**session, &Context::from_waker(Waker::noop()), &mut batch);
    let frames = batch.into_frames();
    frames
        .map(|frame| String::from_utf8_lossy(frame.payload()).into_owned())
        .collect()
}

#[tokio::test]
async fn a_client_is_connected_and_gets_its_own_id() {
    let world = World::new();
    for path in ["/", "/events"] {
        let (session, application) = world.session();
        let stream = Stream::new(&session, path);
        assert!(!stream.is_open());
        world.serve(&stream);
        stream.is_connected().await;
        assert!(stream.is_open());
        let sent = sent(&session);
        let head = format!("40{}{{\"sid\":\"", prefix(path));
        assert!(sent.len() == 1 && sent[0].starts_with(&head), "{sent:?}");
        stream.close();
        let_go(stream).await;
        assert_eq!(application.closed(), []);
    }
    let (session, _) = world.fixture.websocket(V3);
    let stream = Stream::new(&session, "/");
    world.serve(&stream);
    stream.is_connected().await;
    assert_eq!(sent(&session), ["40"]);
}

#[tokio::test]
async fn a_socket_that_ends_at_once_is_let_go() {
    let world = World::new();
    // Before the library sees it, at once, and at any step of the way.
    for steps in [None].into_iter().chain((0..15).map(Some)) {
        let (session, application) = world.session();
        let stream = Stream::new(&session, "/");
        if steps.is_none() {
            stream.close();
        }
        world.serve(&stream);
        for _ in 0..steps.unwrap_or(0) {
            tokio::task::yield_now().await;
        }
        stream.close();
        // The waiter returns.
        stream.is_connected().await;
        stream.push(Payload::Text("2[\"late\"]"));
        assert!(!stream.is_full());
        let_go(stream).await;
        let sent = sent(&session);
        assert!(
            sent.len() <= usize::from(steps.unwrap_or(0) > 0),
            "{sent:?}"
        );
        assert_eq!(application.closed(), []);
    }
    tokio::time::sleep(Duration::from_millis(10)).await;
    for path in ["/", "/events"] {
        let sockets = world.io.of(path).expect("a namespace").sockets();
        assert_eq!(sockets.len(), 0);
    }
}

#[tokio::test]
async fn what_the_library_cannot_read_ends_the_session() {
    let world = World::new();
    let (session, application) = world.session();
    let stream = Stream::new(&session, "/");
    world.serve(&stream);
    stream.is_connected().await;
    stream.push(Payload::Text("9"));
    let_go(stream).await;
    assert_eq!(application.closed(), [CloseReason::ProtocolError]);
}

#[tokio::test]
async fn a_stream_outlives_its_session_in_peace() {
    let world = World::new();
    let (session, _) = world.session();
    session.close(CloseReason::Gone);
    let stream = Stream::new(&session, "/");
    drop(session);
    world.serve(&stream);
    stream.close();
    let_go(stream).await;
}

#[tokio::test]
async fn a_client_is_not_read_while_the_library_is_behind() {
    let world = World::new();
    let (session, _) = world.session();
    let stream = Stream::new(&session, "/");
    stream.state.lock().phase = Phase::Open;
    stream.push(Payload::Binary(&[0; 1000]));
    assert!(!stream.is_full());
    stream.push(Payload::Binary(&vec![0; FULL_AT]));
    assert!(stream.is_full());
    let mut library = LibraryEnd {
        stream: Arc::clone(&stream),
        kept: None,
    };
    let waiting = Arc::clone(&stream);
    let waiting = spawn(async move { waiting.has_room().await });
    let mut read = vec![0; 1000];
    for _ in 0..2 {
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        library.read_exact(&mut read[..500]).await.expect("bytes");
    }
    library.read_exact(&mut read).await.expect("bytes");
    tokio::time::timeout(TIME_LIMIT, waiting)
        .await
        .expect("room")
        .expect("no panic");
    // An end is room, too.
    stream.push(Payload::Binary(&vec![0; FULL_AT]));
    assert!(stream.is_full());
    let ends = Arc::clone(&stream);
    let waiting = spawn(async move { ends.has_room().await });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    stream.close();
    tokio::time::timeout(TIME_LIMIT, waiting)
        .await
        .expect("room")
        .expect("no panic");
    let mut rest = Vec::new();
    library.read_to_end(&mut rest).await.expect("an end");
    assert!(rest.ends_with(&[0x88, 0x80, 0, 0, 0, 0]));
    assert_eq!(stream.state.lock().inbound.capacity(), 0);
}
