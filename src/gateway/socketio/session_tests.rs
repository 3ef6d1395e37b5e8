//! The contract of both sides: the namespaces of one session, the order of a client's packets, and
//! the responses.
//! Does not know transports.

use std::net::Ipv4Addr;
use std::task::Waker;
use std::time::Duration;

use engineioxide_core::ProtocolVersion::{V3, V4};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::auth::Authenticator;
use crate::fixtures::Backend;
use crate::gateway::SocketIo;
use crate::gateway::closing::Closing;
use crate::gateway::engineio::fixtures::{Application, Fixture, spawn};
use crate::gateway::websocket::Endpoint;
use crate::hub::{Hub, OutboxLimits};
use crate::limits::Limits;
use crate::model::Clock;

/// The longest frame of a client.
const FRAME_BYTES: usize = 100_000;

/// Instantiates each promise for both sides.
macro_rules! promises {
    ($($(#[$about:meta])* async fn $name:ident($side:ident: SocketIo) $body:block)+) => {
        $($(#[$about])* async fn $name($side: SocketIo) $body)+

        mod socketioxide {
            $(#[tokio::test] async fn $name() { super::$name(super::SocketIo::Socketioxide).await; })+
        }

        mod native {
            $(#[tokio::test] async fn $name() { super::$name(super::SocketIo::Native).await; })+
        }
    };
}

/// A session of the real kind below one that only records its end.
struct World {
    session: Arc<Session>,
    application: Application,
    handler: SocketIoSession,
    committing: tokio::task::JoinHandle<()>,
}

impl World {
    async fn new(choice: SocketIo, protocol: ProtocolVersion) -> Self {
        let clock = Clock::system();
        let (backend, committer) = Backend::open(clock.clone()).await;
        let state = GatewayState {
            service: Arc::clone(&backend.service),
            hub: Arc::new(Hub::default()),
            authenticator: Arc::new(Authenticator::open()),
            clock,
            outbox: OutboxLimits {
                frames: 100,
                bytes: 100_000,
            },
            limits: Arc::new(Limits::off()),
            closing: Closing::default(),
            metrics: backend.metrics.clone(),
            log_requests: false,
        };
        let environment = Arc::new(Environment {
            state,
            tasks: Tasks::default(),
            side: Side::new(choice, FRAME_BYTES),
        });
        let opening = Opening {
            query: String::new(),
            token: None,
            client: Ipv4Addr::LOCALHOST.into(),
        };
        let (session, application) = Fixture::new(None).websocket(protocol);
        let committing = spawn(async move {
            committer.run(CancellationToken::new()).await;
        });
        Self {
            session,
            application,
            handler: SocketIoSession::new(environment, opening),
            committing,
        }
    }

    /// Handles a message; an error ends the session, as it does on a transport.
    async fn send(&self, text: &str) -> Result<(), CloseReason> {
        match self.handler.text(&self.session, text.into())? {
            Handled::Done => Ok(()),
            Handled::Later(work) => work.await,
        }
    }

    /// The frames sent to the client by now.
    fn sent(&self) -> Vec<String> {
        let context = Context::from_waker(Waker::noop());
        let mut batch = Batch::default();
        Endpoint::fill(&*self.session, &context, &mut batch);
        self.handler.fill(&context, &mut batch);
        let frames = batch.into_frames();
        frames
            .map(|frame| String::from_utf8_lossy(frame.payload()).into_owned())
            .collect()
    }

    /// The next packet that the client is sent.
    async fn next(&self) -> String {
        for _ in 0..2000 {
            let mut sent = self.sent();
            if !sent.is_empty() {
                assert_eq!(sent.len(), 1, "{sent:?}");
                return sent.remove(0);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("nothing is sent");
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.handler.closed(CloseReason::Gone);
        self.committing.abort();
    }
}

promises! {
    async fn a_namespace_is_left_and_entered_again_at_once(side: SocketIo) {
        let world = World::new(side, V4).await;
        let mut ids = Vec::new();
        for _ in 0..20 {
            world.send("0").await.expect("connected");
            let answer = world.next().await;
            let answer = answer.strip_prefix("40").expect("an answer").to_owned();
            assert!(!ids.contains(&answer));
            ids.push(answer);
            world
                .send(r#"27["list-chats",{"user":{"pk":1}}]"#)
                .await
                .expect("an event");
            let answer = world.next().await;
            assert!(answer.starts_with("437["), "{answer}");
            world.send("1").await.expect("left");
        }
        // A packet sent before it has read the refusal is no violation, and has no receiver.
        world.send(r#"28["list-chats",{}]"#).await.expect("nothing");
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(world.sent(), Vec::<String>::new());
    }

    async fn who_connects_twice_is_connected_once(side: SocketIo) {
        let world = World::new(side, V4).await;
        world.send("0").await.expect("connected");
        assert!(world.next().await.starts_with("40{"));
        world.send("0").await.expect("nothing");
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(world.sent(), Vec::<String>::new());
    }

    async fn refusals_are_counted(side: SocketIo) {
        let world = World::new(side, V3).await;
        for _ in 1..REFUSALS {
            world.send("0/nowhere,").await.expect("refused");
            assert_eq!(
                world.next().await,
                r#"44/nowhere,{"message":"Invalid namespace"}"#
            );
        }
        // Another one than the last is refused as well: open mode knows no user.
        let refused = world.send("0/events,").await;
        assert_eq!(refused, Err(CloseReason::Refused));
        assert_eq!(world.next().await, r#"44/events,"unauthenticated""#);
    }

    async fn what_breaks_the_protocol_ends_the_session(side: SocketIo) {
        for packets in [
            &[r#"2["a"]"#][..],
            &["1"],
            &["1/events,"],
            &["9"],
            &[""],
            &["0", "2[]"],
            &["0", r#"27["list-chats",{}"#],
            &["0", r#"27["list-chats",{}]x"#],
            &[
                "0",
                r#"51-["a",{"_placeholder":true,"num":0}]"#,
                r#"2["a"]"#,
            ],
            &["0", r#"517-["a"]"#],
        ] {
            let world = World::new(side, V4).await;
            let (last, before) = packets.split_last().expect("one at least");
            for packet in before {
                world.send(packet).await.expect(packet);
            }
            let broken = world.send(last).await;
            assert_eq!(broken, Err(CloseReason::ProtocolError), "{packets:?}");
        }
        let world = World::new(side, V4).await;
        let bytes = world.handler.binary(&world.session, Bytes::from("x"));
        assert_eq!(bytes.err(), Some(CloseReason::ProtocolError));
    }

    async fn attachments_are_taken_one_by_one_and_answered(side: SocketIo) {
        let world = World::new(side, V4).await;
        world.send("0").await.expect("connected");
        world.next().await;
        let event = r#"52-3["new-message",{"_placeholder":true,"num":0}]"#;
        world.send(event).await.expect("an event");
        // Each may be as long as a frame.
        for _ in 0..2 {
            let data = Bytes::from(vec![0; FRAME_BYTES]);
            assert!(world.handler.binary(&world.session, data).is_ok());
        }
        let answer = world.next().await;
        assert!(answer.starts_with(r#"433[{"error""#), "{answer}");
        let bytes = world.handler.binary(&world.session, Bytes::from("x"));
        assert!(bytes.is_err());
    }

    async fn the_longest_event_is_answered_whatever_its_name(side: SocketIo) {
        let world = World::new(side, V4).await;
        world.send("0").await.expect("connected");
        assert!(world.next().await.starts_with("40{"));
        let escapes = r"\".repeat(40_000);
        for start in ["27[".to_owned(), format!(r#"27["{escapes}","#)] {
            // With the `4` of Engine.IO it is as long as a frame may be.
            let filler = "5".repeat(FRAME_BYTES - 1 - start.len() - 1);
            let event = format!("{start}{filler}]");
            assert_eq!(event.len() + 1, FRAME_BYTES);
            world.send(&event).await.expect("an event");
            let answer = world.next().await;
            assert!(answer.starts_with("437["), "{answer}");
        }
    }

    async fn nobody_connects_while_the_server_shuts_down(side: SocketIo) {
        let world = World::new(side, V4).await;
        world.handler.shut_down();
        assert_eq!(world.send("0").await, Err(CloseReason::ShuttingDown));
        assert_eq!(world.sent(), Vec::<String>::new());
        assert_eq!(world.application.closed(), []);
    }

    async fn nobody_is_connected_after_the_end(side: SocketIo) {
        let world = World::new(side, V4).await;
        let Ok(Handled::Later(work)) = world.handler.text(&world.session, "0".into()) else {
            panic!("it is decided later");
        };
        world.handler.closed(CloseReason::Expired);
        assert_eq!(work.await, Ok(()));
        assert_eq!(world.sent(), Vec::<String>::new());
        assert!(world.handler.0.table.lock().sockets.is_empty());
    }
}
