//! The promises of an inbox about its answers, over the service and the hub as the server runs
//! them.

use std::time::Duration;

use jiff::tz::TimeZone;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::auth::Authenticator;
use crate::fixtures::{Backend, identity};
use crate::gateway::closing::Closing;
use crate::gateway::dialect::fixtures::frame;
use crate::gateway::dialect::{ALL, Acks, Push, SessionOptions};
use crate::gateway::state::GatewayState;
use crate::hub::{Hub, OutboxLimits};
use crate::limits::Limits;
use crate::model::{ChatRef, Clock, ConnectionId, Profile, Seq, User, unpair};
use crate::telemetry::{CloseReason, Transport};

/// How many messages each connection sends.
const EACH: usize = 100;

const CHAT: i64 = 1;

/// A server without transports.
struct Server {
    backend: Backend,
    state: GatewayState,
    tasks: TaskTracker,
}

impl Server {
    async fn open() -> Self {
        let clock = Clock::system();
        let (backend, committer) = Backend::open(clock.clone()).await;
        let state = GatewayState {
            service: Arc::clone(&backend.service),
            hub: Arc::new(Hub::default()),
            authenticator: Arc::new(Authenticator::open()),
            clock,
            outbox: OutboxLimits {
                frames: 10_000,
                bytes: 1 << 24,
            },
            limits: Arc::new(Limits::off()),
            closing: Closing::default(),
            metrics: backend.metrics.clone(),
            log_requests: false,
        };
        let tasks = TaskTracker::new();
        tasks.spawn(committer.run(CancellationToken::new()));
        Self {
            backend,
            state,
            tasks,
        }
    }

    /// Delivers the messages of the bus, as the relay does where nothing delays it.
    fn deliver(&self) {
        let (bus, hub) = (Arc::clone(&self.backend.bus), Arc::clone(&self.state.hub));
        self.tasks.spawn(async move {
            loop {
                for notice in bus.next(8).await.local() {
                    hub.deliver(notice.fact.chat().expect("a chat"), &[notice]);
                }
            }
        });
    }

    async fn user(&self, name: &str) -> Arc<User> {
        self.backend.user(name, Profile::default()).await
    }

    /// An open chat of these users, the first one there is.
    async fn chat_of(&self, users: &[&User]) {
        for (turn, user) in users.iter().enumerate() {
            let caller = identity(user.id, ConnectionId::new(self.state.clock.now()));
            let service = &self.state.service;
            if turn == 0 {
                let create = Command::CreateRoom {
                    name: None,
                    team: None,
                };
                service.execute(&caller, create).await.expect("a chat");
            }
            let join = Command::JoinChat {
                chat: ChatRef::Pk(CHAT),
                read: None,
            };
            service.execute(&caller, join).await.expect("a member");
        }
    }

    /// A connection of this user in the type dialect.
    async fn connect(&self, user: &User) -> Arc<Inbox> {
        let connection = ConnectionId::new(self.state.clock.now());
        let dialect = ALL
            .iter()
            .find(|dialect| dialect.paths.contains(&"/ws/chats"));
        let session = (dialect.expect("the type dialect").begin)(SessionOptions {
            connection,
            user: user.id,
            clock: self.state.clock.clone(),
            zone: TimeZone::UTC,
            acks: Acks::Silent,
            push: Push::On,
        });
        let identity = identity(user.id, connection);
        let (state, same) = (self.state.clone(), Arc::clone(&session));
        let opened = Connection::open(state, identity, None, same, Transport::WebSocket);
        let connection = opened.await.expect("a connection");
        Inbox::new(connection, session, self.tasks.clone())
    }
}

/// Sends so many messages without a pause.
async fn send(inbox: &Arc<Inbox>, count: usize) {
    for id in 0..count {
        inbox.push(frame(&format!(
            r#"{{"type":"newMessage","data":{{"chat":{CHAT},"text":"{id}"}},"request_id":{id}}}"#
        )));
        inbox.has_room().await;
    }
}

/// The messages that wait to be sent to a client: the seq, and the id of the request that it
/// answers.
fn taken(inbox: &Inbox) -> Vec<(Seq, Option<u64>)> {
    let mut taken = Vec::new();
    while let Some(frame) = inbox.connection.outbox().try_next() {
        let frame: Value = serde_json::from_str(frame.body.as_str()).expect("JSON");
        if frame["type"] == "messageCreated" {
            let id = frame["data"]["id"].as_i64().and_then(unpair);
            let (_, seq) = id.expect("an id");
            taken.push((seq, frame["request_id"].as_u64()));
        }
    }
    taken
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn answers_stand_at_their_place_among_what_others_send() {
    let server = Server::open().await;
    server.deliver();
    let (anna, boris) = (server.user("anna").await, server.user("boris").await);
    server.chat_of(&[&anna, &boris]).await;
    let mut inboxes = Vec::new();
    for user in [&anna, &boris, &anna, &boris] {
        inboxes.push(server.connect(user).await);
    }
    futures_util::future::join_all(inboxes.iter().map(|inbox| send(inbox, EACH))).await;
    let total = inboxes.len() * EACH;
    for inbox in &inboxes {
        let mut received = taken(inbox);
        let all = async {
            while received.len() < total {
                tokio::time::sleep(Duration::from_millis(1)).await;
                received.extend(taken(inbox));
            }
        };
        let patience = Duration::from_secs(20);
        tokio::time::timeout(patience, all)
            .await
            .expect("everything");
        let seqs: Vec<_> = received.iter().map(|(seq, _)| *seq).collect();
        let expected: Vec<_> = (1..).take(total).collect();
        assert_eq!(seqs, expected);
        let answers: Vec<_> = received.iter().filter_map(|(_, id)| *id).collect();
        let expected: Vec<_> = (0..).take(EACH).collect();
        assert_eq!(answers, expected);
    }
}

#[tokio::test]
async fn an_answer_is_not_lost_where_nothing_is_delivered() {
    let server = Server::open().await;
    let (anna, boris) = (server.user("anna").await, server.user("boris").await);
    server.chat_of(&[&anna, &boris]).await;
    let (first, second) = (server.connect(&anna).await, server.connect(&boris).await);
    // Nothing stands before the first message, and the first before the second.
    send(&first, 1).await;
    let mut answer = Vec::new();
    while answer.is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
        answer = taken(&first);
    }
    assert_eq!(answer, [(1, Some(0))]);
    send(&second, 1).await;
    let head = || async {
        let chats = server.backend.store.chats_after(0, 1).await;
        chats.expect("read")[0].head
    };
    while head().await < 2 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(taken(&second), []);
    tokio::time::pause();
    tokio::time::sleep(2 * TURN).await;
    assert_eq!(taken(&second), [(2, Some(0))]);
}

#[tokio::test]
async fn at_shutdown_received_requests_are_answered_before_the_connection_ends() {
    let server = Server::open().await;
    server.deliver();
    let anna = server.user("anna").await;
    server.chat_of(&[&anna]).await;
    let (idle, busy) = (server.connect(&anna).await, server.connect(&anna).await);
    idle.shut_down();
    let ended = |inbox: &Inbox| inbox.connection.outbox().closed();
    assert_eq!(ended(&idle), Some(CloseReason::ShuttingDown));
    // The task that serves them has not run.
    send(&busy, 3).await;
    busy.shut_down();
    assert_eq!(ended(&busy), None);
    send(&busy, 1).await;
    let mut frames: Vec<Value> = Vec::new();
    while ended(&busy).is_none() {
        tokio::time::sleep(Duration::from_millis(1)).await;
        while let Some(frame) = busy.connection.outbox().try_next() {
            frames.push(serde_json::from_str(frame.body.as_str()).expect("JSON"));
        }
    }
    assert_eq!(ended(&busy), Some(CloseReason::ShuttingDown));
    let answers = frames.iter().filter(|frame| !frame["request_id"].is_null());
    let answers = answers.map(|frame| (frame["request_id"].as_u64(), frame["code"].as_str()));
    let stored = (0..3).map(|id| (Some(id), None));
    let refused = [(Some(0), Some("unavailable"))];
    let expected: Vec<_> = stored.chain(refused).collect();
    assert_eq!(answers.collect::<Vec<_>>(), expected, "{frames:#?}");
}

#[path = "inbox/unclaimed_tests.rs"]
mod unclaimed_tests;
