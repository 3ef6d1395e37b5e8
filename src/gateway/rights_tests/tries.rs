//! Executes a request in one of the ways there are, and reads the outcome out of the response.
//! Does not know operations.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request as HttpRequest;
use jiff::tz::TimeZone;
use serde_json::Value;
use tower::Service as _;

use super::matrix::{Cell, Operation, Role};
use super::requests::{self, Request, Via};
use super::scene::{Scene, World};
use crate::gateway::dialect::event_name::EventNameSession;
use crate::gateway::dialect::fixtures::{frame, packet, respond, texts};
use crate::gateway::dialect::{ALL, Acks, Decoded, DialectSession, Incoming, Push, SessionOptions};
use crate::gateway::rest;
use crate::hub::AckId;
use crate::model::{Error, ErrorKind, Identity, Reply, UserId};

/// The outcome of this operation by this user; `None`: there is no such request.
pub(super) async fn attempt(
    world: &World,
    scene: &Scene,
    operation: Operation,
    role: Role,
    actor: UserId,
    via: Via,
) -> Option<Cell> {
    let request = requests::request(world, scene, operation, role, actor, via)?;
    // The sender is the user; the service makes the request.
    let caller = match operation {
        Operation::SendFor => Role::Service,
        _ => role,
    };
    let user = match caller {
        Role::Service => world.of(Role::Service),
        _ => actor,
    };
    let identity = world.identity(caller, user);
    Some(match request {
        Request::Command(command) => {
            let reply = world.service().execute(&identity, command).await;
            match reply {
                Ok(Reply::Synced(synced)) if synced == [None] => Cell::NotFound,
                Ok(Reply::Rooms(page)) => {
                    listed(page.rooms.iter().any(|room| room.chat.id == scene.chat))
                }
                reply => cell(reply.err().as_ref()),
            }
        }
        Request::Frame(text) => {
            let session = session(world, &identity, via);
            let response = exchange(world, &session, &identity, incoming(&text, via)).await;
            match response["data"].as_array() {
                Some(rooms) if operation == Operation::Listed => {
                    listed(rooms.iter().any(|room| room["pk"] == scene.pk))
                }
                _ => outcome(&response),
            }
        }
        Request::Rest { method, path, body } => {
            let (router, token) = match caller {
                Role::Service => (&world.jwt_rest, &*world.service_token),
                _ => (&world.open_rest, world.token(user)),
            };
            let answer = answer(router, token, method, &path, body).await;
            match (operation, &answer["chats"]) {
                (Operation::ListedAmongAll, Value::Array(chats)) => {
                    listed(chats.iter().any(|chat| chat["pk"] == scene.pk))
                }
                _ => problem(&answer),
            }
        }
    })
}

/// The response of a session to a frame, as JSON; null: silence, which is success in one dialect.
pub(super) async fn exchange(
    world: &World,
    session: &Arc<dyn DialectSession>,
    identity: &Identity,
    incoming: Incoming,
) -> Value {
    let decoded = Arc::clone(session).decode(&incoming);
    let Decoded::Request(command, then) = decoded else {
        panic!("no request: {}", incoming.text)
    };
    let reply = world.service().execute(identity, command).await;
    let sent = texts(&respond(then, reply));
    match &*sent {
        [] => Value::Null,
        [sent] => serde_json::from_str(sent).expect("JSON"),
        _ => panic!("many responses to {}: {sent:?}", incoming.text),
    }
}

/// A session of this user.
pub(super) fn session(world: &World, identity: &Identity, via: Via) -> Arc<dyn DialectSession> {
    let path = match via {
        Via::Action => "/ws/chat/room",
        Via::Type => "/ws/chats",
        _ => return Arc::new(EventNameSession::new(identity.connection)),
    };
    raw_session(world, identity, path)
}

/// A session of this user on a raw WebSocket.
pub(super) fn raw_session(
    world: &World,
    identity: &Identity,
    path: &str,
) -> Arc<dyn DialectSession> {
    let mut dialects = ALL.iter();
    let dialect = dialects.find(|dialect| dialect.paths.contains(&path));
    (dialect.expect("a dialect").begin)(SessionOptions {
        connection: identity.connection.expect("a connection"),
        user: identity.user.expect("a user"),
        clock: world.clock.clone(),
        zone: TimeZone::UTC,
        acks: Acks::Always,
        push: Push::On,
    })
}

fn incoming(text: &str, via: Via) -> Incoming {
    match via {
        Via::EventName => packet(text, Some(AckId(1))),
        _ => frame(text),
    }
}

/// The outcome in a response of any dialect.
pub(super) fn outcome(response: &Value) -> Cell {
    // Of `sync`, each chat has its own.
    for chats in ["/chats", "/data/chats"] {
        if let Some(Value::Object(chats)) = response.pointer(chats)
            && let Some(error) = chats.values().find_map(|chat| chat.get("error"))
        {
            return refused(error["code"].as_str().expect("a code"), false);
        }
    }
    if let Some(status) = response.get("response_status") {
        let errors = response["errors"].to_string();
        return by_status(status, errors.contains("retry_after_ms"));
    }
    let bodies = [response.get("error"), response.get("data"), Some(response)];
    let mut bodies = bodies.into_iter().flatten();
    let refusal = bodies.find(|body| body.get("code").is_some());
    refusal.map_or(Cell::Yes, |body| {
        let code = body["code"].as_str().expect("a code");
        refused(code, body.get("retry_after_ms").is_some())
    })
}

fn by_status(status: &Value, waits: bool) -> Cell {
    match status.as_u64() {
        Some(200 | 201 | 204) => Cell::Yes,
        Some(403) => refused("forbidden", waits),
        Some(404) => Cell::NotFound,
        other => panic!("{other:?}"),
    }
}

fn refused(code: &str, waits: bool) -> Cell {
    match (code, waits) {
        ("forbidden", false) => Cell::Forbidden,
        ("forbidden", true) => Cell::Wait,
        ("not_found", _) => Cell::NotFound,
        other => panic!("{other:?}"),
    }
}

/// The outcome of a list in which the chat is, or is not.
const fn listed(is_there: bool) -> Cell {
    if is_there { Cell::Yes } else { Cell::NotFound }
}

/// The outcome of a command.
pub(super) fn cell(error: Option<&Error>) -> Cell {
    let Some(error) = error else { return Cell::Yes };
    match error.kind {
        ErrorKind::Forbidden | ErrorKind::NotFound => {
            refused(error.kind.code(), error.retry_after_ms == Some(60_000))
        }
        _ => panic!("{error}"),
    }
}

/// The outcome of a call of the REST API.
pub(super) async fn call(
    router: &Router,
    token: &str,
    method: &str,
    path: &str,
    body: Option<Value>,
) -> Cell {
    problem(&answer(router, token, method, path, body).await)
}

/// The body of the answer to a call of the REST API; null: success.
async fn answer(
    router: &Router,
    token: &str,
    method: &str,
    path: &str,
    body: Option<Value>,
) -> Value {
    let request = HttpRequest::builder()
        .method(method)
        .uri(format!("{}{path}", rest::ROOT))
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json");
    let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
    let request = request.body(body).expect("a request");
    let response = router.clone().call(request).await.expect("a response");
    let bytes = to_bytes(response.into_body(), 1 << 20)
        .await
        .expect("a body");
    if bytes.is_empty() {
        return Value::Null;
    }
    serde_json::from_slice(&bytes).expect("JSON")
}

/// The outcome in a body of the REST API.
fn problem(answer: &Value) -> Cell {
    match answer["code"].as_str() {
        None => Cell::Yes,
        Some(code @ ("forbidden" | "not_found")) => {
            refused(code, answer.get("retry_after_ms").is_some())
        }
        Some(_) => panic!("{answer}"),
    }
}
