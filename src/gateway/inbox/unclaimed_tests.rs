//! Connections in open mode without a token: which requests wait for the first `create-user`, and
//! for how long.

use serde_json::json;

use super::*;
use crate::gateway::dialect::event_name::EventNameSession;
use crate::gateway::dialect::fixtures::packet;
use crate::hub::AckId;
use crate::model::{ChatId, Identity, Rights};
use crate::telemetry::CloseReason;

/// How long something takes that nothing delays.
const SOON: Duration = Duration::from_secs(20);

/// A client without a token.
struct Nobody {
    server: Server,
    inbox: Arc<Inbox>,
    /// The tasks of the inbox.
    requests: TaskTracker,
    /// A chat with Anna, and its id.
    chat: ChatId,
}

impl Nobody {
    async fn connect() -> Self {
        let server = Server::open().await;
        let anna = server.user("anna").await;
        server.chat_of(&[&anna]).await;
        let chats = server.backend.store.chats_after(0, 1).await;
        let chat = chats.expect("read")[0].id;
        let connection = ConnectionId::new(server.state.clock.now());
        let session: Arc<dyn DialectSession> = Arc::new(EventNameSession::new(Some(connection)));
        let identity = Identity {
            request: None,
            user: None,
            rights: Rights::Open,
            connection: Some(connection),
        };
        let (state, same) = (server.state.clone(), Arc::clone(&session));
        let opened = Connection::open(state, identity, None, same, Transport::WebSocket);
        let requests = TaskTracker::new();
        let inbox = Inbox::new(opened.await.expect("open"), session, requests.clone());
        Self {
            server,
            inbox,
            requests,
            chat,
        }
    }

    fn request(&self, ack: i64, name: &str, body: &Value) {
        let text = json!([name, body]).to_string();
        self.inbox.push(packet(&text, Some(AckId(ack))));
    }

    fn send(&self, ack: i64, text: &str) {
        self.request(ack, "new-message", &json!({"room": self.chat, "msg": text}));
    }

    fn say_who(&self, ack: i64) {
        let user = json!({"user": {"externalUserId": "anna"}});
        self.request(ack, "create-user", &user);
    }

    /// The next acknowledgements: the number of the request, and the code of the error.
    async fn answers(&self, count: usize) -> Vec<(i64, Option<String>)> {
        let mut answers = Vec::new();
        while answers.len() < count {
            let next = self.inbox.connection.outbox().next();
            let frame = tokio::time::timeout(SOON, next).await;
            let frame = frame.expect("in time").expect("open");
            let body: Value = serde_json::from_str(frame.body.as_str()).expect("JSON");
            if let Some(AckId(ack)) = frame.ack {
                let code = body["error"]["code"].as_str();
                answers.push((ack, code.map(str::to_owned)));
            }
        }
        answers
    }

    async fn stored(&self) -> Seq {
        let chats = self.server.backend.store.chats_after(0, 1).await;
        chats.expect("read")[0].head
    }
}

fn refused(ack: i64) -> (i64, Option<String>) {
    (ack, Some("unauthenticated".into()))
}

#[tokio::test]
async fn requests_that_need_a_user_wait_for_the_first_one_and_others_do_not() {
    let nobody = Nobody::connect().await;
    nobody.send(1, "one");
    nobody.request(2, "list-chats", &json!({}));
    nobody.request(3, "list-messages", &json!({"chat": {"id": nobody.chat}}));
    nobody.request(4, "create-chat", &json!({}));
    nobody.send(5, "two");
    let at_once = nobody.answers(2).await;
    assert_eq!(at_once, [(3, None), (4, Some("invalid".into()))]);
    nobody.say_who(6);
    nobody.send(7, "three");
    let answers = nobody.answers(5).await;
    assert_eq!(answers, [6, 1, 2, 5, 7].map(|ack| (ack, None)));
    assert_eq!(nobody.stored().await, 3);
}

#[tokio::test]
async fn a_request_over_the_number_that_may_wait_is_refused_at_once() {
    let nobody = Nobody::connect().await;
    for ack in 1..=257 {
        nobody.send(ack, "x");
    }
    assert_eq!(nobody.answers(1).await, [refused(257)]);
    nobody.say_who(300);
    let expected: Vec<_> = std::iter::once(300).chain(1..=256).collect();
    let answers = nobody.answers(257).await;
    let answers: Vec<_> = answers.into_iter().map(|(ack, _)| ack).collect();
    assert_eq!(answers, expected);
    assert_eq!(nobody.stored().await, 256);
}

#[tokio::test]
async fn no_more_than_a_mebibyte_waits() {
    let nobody = Nobody::connect().await;
    let text = "x".repeat(300 * 1024);
    for ack in 1..=4 {
        nobody.send(ack, &text);
    }
    // A small one still has room.
    nobody.send(5, "x");
    assert_eq!(nobody.answers(1).await, [refused(4)]);
    nobody.say_who(6);
    let too_long = |ack| (ack, Some("too_large".into()));
    let answers = nobody.answers(5).await;
    assert_eq!(
        answers,
        [(6, None), too_long(1), too_long(2), too_long(3), (5, None)]
    );
}

#[tokio::test]
async fn after_five_seconds_each_is_refused() {
    let nobody = Nobody::connect().await;
    let begun = Instant::now();
    nobody.send(1, "one");
    nobody.request(2, "list-chats", &json!({}));
    tokio::task::yield_now().await;
    tokio::time::pause();
    let answers = nobody.answers(2).await;
    assert_eq!(answers, [refused(1), refused(2)]);
    let waited = begun.elapsed();
    assert!(waited >= Duration::from_secs(5), "{waited:?}");
    assert!(waited < Duration::from_secs(6), "{waited:?}");
    tokio::time::resume();
    nobody.say_who(3);
    nobody.send(4, "two");
    assert_eq!(nobody.answers(2).await, [(3, None), (4, None)]);
    assert_eq!(nobody.stored().await, 1);
}

#[tokio::test]
async fn they_end_with_the_connection() {
    let nobody = Nobody::connect().await;
    nobody.send(1, "one");
    tokio::task::yield_now().await;
    nobody.inbox.connection.end(CloseReason::Gone);
    let begun = Instant::now();
    while !nobody.requests.is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(4), "they still wait");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(nobody.stored().await, 0);
}

#[tokio::test]
async fn at_shutdown_they_are_refused() {
    let nobody = Nobody::connect().await;
    nobody.send(1, "one");
    tokio::task::yield_now().await;
    nobody.server.state.service.close();
    nobody.requests.close();
    let waited = tokio::time::timeout(Duration::from_secs(2), nobody.requests.wait());
    waited.await.expect("settled");
    let answers = nobody.answers(1).await;
    assert_eq!(answers, [(1, Some("unavailable".into()))]);
}

#[tokio::test]
async fn a_user_that_is_looked_up_is_not_the_user_of_the_connection() {
    let nobody = Nobody::connect().await;
    let anna = json!({"user": {"externalUserId": "anna"}});
    nobody.request(1, "get-user", &anna);
    nobody.request(2, "whoami", &json!({}));
    assert_eq!(nobody.answers(1).await, [(1, None)]);
    assert_eq!(nobody.inbox.connection.user(), None);
    nobody.say_who(3);
    assert_eq!(nobody.answers(2).await, [(3, None), (2, None)]);
    let anna = nobody.inbox.connection.user();
    assert!(anna.is_some());
    let boris = json!({"user": {"externalUserId": "boris"}});
    nobody.request(4, "create-user", &boris);
    assert_eq!(nobody.answers(1).await, [(4, None)]);
    assert_eq!(nobody.inbox.connection.user(), anna);
}
