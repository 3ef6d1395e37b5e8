//! What is promised of the token with which the metrics are read.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use jiff::Timestamp;
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service as _;

use super::*;
use crate::auth;
use crate::fixtures::{Backend, HOST};
use crate::gateway::closing::Closing;
use crate::hub::{Hub, OutboxLimits};
use crate::limits::Limits;
use crate::model::{Clock, Command, Profile, UserRef};

/// A server with JWTs.
struct Server {
    backend: Backend,
    clock: Clock,
    secret: SecretString,
    router: Router,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Server {
    async fn open() -> Self {
        let clock = Clock::fixed(at(100));
        let (backend, committer) = Backend::open(clock.clone()).await;
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        tasks.spawn(committer.run(stop.clone()));
        let secret = SecretString::from("a secret of thirty-two characters".to_owned());
        let authenticator = Authenticator::jwt(Some(&secret), &[]).expect("a key");
        let state = GatewayState {
            service: Arc::clone(&backend.service),
            hub: Arc::new(Hub::default()),
            authenticator: Arc::new(authenticator),
            clock: clock.clone(),
            outbox: OutboxLimits {
                frames: 1000,
                bytes: 1 << 20,
            },
            limits: Arc::new(Limits::off()),
            closing: Closing::default(),
            metrics: backend.metrics.clone(),
            log_requests: false,
        };
        Self {
            router: guarded(&state),
            backend,
            clock,
            secret,
            stop,
            tasks,
        }
    }

    /// A token that is issued now.
    fn token(&self, user: &str, role: Role) -> String {
        let ttl = Duration::from_hours(1);
        auth::mint(&self.secret, user, role, ttl, self.clock.now()).expect("a token")
    }

    async fn scrape(&self, token: &str) -> StatusCode {
        let request = Request::get(PATH).header("authorization", format!("Bearer {token}"));
        let request = request.body(Body::empty()).expect("a request");
        let response = self.router.clone().call(request).await;
        response.expect("a response").status()
    }

    /// Revokes the tokens of this user that were issued before now.
    async fn revoke(&self, user: &str) {
        let user = self.backend.user(user, Profile::default()).await;
        let revoke = Command::RevokeTokens {
            user: UserRef::Id(user.id),
            before: None,
        };
        let revoked = self.backend.service.execute(&HOST, revoke).await;
        revoked.expect("revoked");
    }

    async fn close(self) {
        self.stop.cancel();
        self.backend.bus.close();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

#[tokio::test]
async fn a_revoked_token_reads_no_metrics() {
    let server = Server::open().await;
    let old = server.token("backend", Role::Service);
    let person = server.token("anna", Role::User);
    assert_eq!(server.scrape(&old).await, StatusCode::OK);
    assert_eq!(server.scrape(&person).await, StatusCode::FORBIDDEN);
    server.clock.set(at(200));
    for user in ["backend", "anna"] {
        server.revoke(user).await;
    }
    for revoked in [&old, &person] {
        assert_eq!(server.scrape(revoked).await, StatusCode::UNAUTHORIZED);
    }
    let new = server.token("backend", Role::Service);
    assert_eq!(server.scrape(&new).await, StatusCode::OK);
    server.close().await;
}

#[tokio::test]
async fn the_metrics_of_a_server_without_its_store_can_be_read() {
    let server = Server::open().await;
    let token = server.token("backend", Role::Service);
    server.backend.store.close().await.expect("closed");
    assert_eq!(server.scrape(&token).await, StatusCode::OK);
    assert_eq!(server.scrape("rubbish").await, StatusCode::UNAUTHORIZED);
    server.close().await;
}
