//! Requests over HTTP: refusals, and requests that end a session or not.
//! Does not upgrade: `probe_tests` does.

use super::*;
use crate::gateway::engineio::fixtures::Fixture;
use crate::gateway::engineio::fixtures::client::{Client, HttpResponse, serve, until};

const POLLING: &str = "EIO=4&transport=polling";

/// Opens a session; answers the query of its requests.
async fn opened(client: &mut Client) -> String {
    let answer = client.get(POLLING).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let open: serde_json::Value = serde_json::from_str(&answer.body[1..]).expect("JSON");
    let sid = open["sid"].as_str().expect("an id");
    assert_eq!(open["upgrades"], serde_json::json!(["websocket"]));
    assert_eq!(open["pingInterval"], 25000);
    assert_eq!(open["pingTimeout"], 20000);
    assert_eq!(open["maxPayload"], 1000);
    format!("{POLLING}&sid={sid}")
}

/// Whether the session of this query has a pending poll.
fn poll_waits(fixture: &Fixture, query: &str) -> bool {
    let (_, sid) = query.rsplit_once("&sid=").expect("the id of a session");
    let session = fixture.server.find(sid).expect("a session");
    let carrier = session.state.lock().carrier;
    matches!(carrier, Carrier::Polling { waiting: true, .. })
}

#[track_caller]
fn refused(answer: &HttpResponse, status: u16, code: usize, message: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    let body = format!(r#"{{"code":{code},"message":"{message}"}}"#);
    assert_eq!(answer.body, body);
    assert!(
        answer
            .head
            .contains("\r\ncontent-type: application/json\r\n")
    );
    assert!(answer.head.contains("\r\ncache-control: no-store\r\n"));
    let waits = matches!(status, 429 | 503);
    assert_eq!(answer.head.contains("\r\nretry-after: 1\r\n"), waits);
}

/// Requests that are wrong, and the codes under which they are refused. `session`: the query of
/// a session that there is.
fn wrong_requests(session: &str) -> Vec<(&'static str, String, usize)> {
    let session = session.to_owned();
    let websocket = session.replace("polling", "websocket");
    let version_3 = session.replace("EIO=4", "EIO=3");
    let jsonp = format!("{session}&j=0");
    let unknown = format!("{POLLING}&sid=AAAAAAAAAAAAAAAAAAAAAA");
    let strange = format!("{POLLING}&sid=%00");
    let no_such_websocket = unknown.replace("polling", "websocket");
    vec![
        ("GET", String::new(), 0),
        ("GET", "EIO=4".to_owned(), 0),
        ("GET", "EIO=4&transport=webtransport".to_owned(), 0),
        ("GET", unknown.clone(), 1),
        ("POST", unknown.clone(), 1),
        ("GET", strange.clone(), 1),
        ("GET", no_such_websocket.clone(), 1),
        ("POST", POLLING.to_owned(), 2),
        ("OPTIONS", POLLING.to_owned(), 2),
        ("POST", "EIO=4&transport=websocket".to_owned(), 2),
        ("GET", "EIO=4&transport=websocket".to_owned(), 3),
        ("GET", "EIO=4&transport=polling&j=0".to_owned(), 3),
        ("GET", websocket.clone(), 3),
        ("POST", websocket.clone(), 3),
        ("DELETE", session.clone(), 3),
        ("GET", version_3.clone(), 3),
        ("POST", version_3.clone(), 3),
        ("GET", jsonp.clone(), 3),
        ("POST", jsonp.clone(), 3),
        ("GET", "transport=polling".to_owned(), 5),
        ("GET", "EIO=2&transport=polling".to_owned(), 5),
    ]
}

#[tokio::test]
async fn parameters_may_be_percent_encoded() {
    let fixture = Fixture::new(None);
    let mut client = Client::connect(serve(&fixture).await).await;
    let answer = client.get("E%49O=%34&transport=%70olling").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let session = opened(&mut client).await.replace("sid=", "s%69d=");
    let answer = client.post(&session, "4echo x").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "ok"));
}

#[tokio::test]
async fn what_is_refused_is_refused_as_by_nodes_server() {
    let messages = [
        "Transport unknown",
        "Session ID unknown",
        "Bad handshake method",
        "Bad request",
        "Forbidden",
        "Unsupported protocol version",
    ];
    let fixture = Fixture::new(None);
    let mut client = Client::connect(serve(&fixture).await).await;
    let session = opened(&mut client).await;
    for (method, query, code) in wrong_requests(&session) {
        client.begin(method, &query, "").await;
        refused(&client.answer().await, 400, code, messages[code]);
    }
    // None of that has touched the session.
    let answer = client.post(&session, "4echo x").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "ok"));
    let answer = client.get(&session).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "4x"));
    assert!(answer.head.contains("\r\ncache-control: no-store\r\n"));
    assert!(
        answer
            .head
            .contains("\r\ncontent-type: text/plain; charset=utf-8\r\n")
    );
}

#[tokio::test]
async fn who_comes_when_there_are_too_many_is_asked_to_wait() {
    let fixture = Fixture::new(Some(1));
    let mut client = Client::connect(serve(&fixture).await).await;
    let session = opened(&mut client).await;
    refused(&client.get(POLLING).await, 429, 4, "Forbidden");
    assert_eq!(client.post(&session, "1").await.body, "ok");
    opened(&mut client).await;
}

#[tokio::test]
async fn a_poll_is_refused_when_the_server_shuts_down() {
    let fixture = Fixture::new(None);
    let mut client = Client::connect(serve(&fixture).await).await;
    let session = opened(&mut client).await;
    client.begin("GET", &session, "").await;
    until("it waits", || poll_waits(&fixture, &session)).await;
    fixture.closing.cancel();
    refused(&client.answer().await, 503, 4, "Forbidden");
}

#[tokio::test]
async fn the_client_is_not_served() {
    let fixture = Fixture::new(None);
    let mut client = Client::connect(serve(&fixture).await).await;
    client
        .write(b"GET /socket.io/socket.io.js HTTP/1.1\r\nHost: polychat\r\n\r\n")
        .await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 404);
    assert!(answer.body.contains("socket.io-client"), "{answer:?}");
    for path in ["/socket.io", "/socket.io/"] {
        let request = format!("GET {path}?{POLLING} HTTP/1.1\r\nHost: polychat\r\n\r\n");
        client.write(request.as_bytes()).await;
        assert_eq!(client.answer().await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn a_body_over_the_limit_ends_the_session() {
    let fixture = Fixture::new(None);
    let address = serve(&fixture).await;
    let mut client = Client::connect(address).await;
    let session = opened(&mut client).await;
    let fits = format!("4{}", "x".repeat(999));
    assert_eq!(client.post(&session, &fits).await.status, 200);
    let answer = client.post(&session, &format!("{fits}x")).await;
    refused(&answer, 413, 3, "Bad request");
    assert_eq!(fixture.latest().closed(), [CloseReason::TooLarge]);
    assert_eq!(fixture.latest().received().len(), 1);
    let mut client = Client::connect(address).await;
    let answer = client.post(&session, "4x").await;
    refused(&answer, 400, 1, "Session ID unknown");
}

#[tokio::test]
async fn one_body_is_handled_and_one_waits_and_a_third_is_refused() {
    let fixture = Fixture::new(None);
    let address = serve(&fixture).await;
    let mut first = Client::connect(address).await;
    let mut second = Client::connect(address).await;
    let mut third = Client::connect(address).await;
    let session = opened(&mut first).await;
    let application = fixture.latest();
    first.begin("POST", &session, "4later 1").await;
    until("it is handled", || application.received().len() == 1).await;
    second.begin("POST", &session, "4later 2").await;
    // Until the second is there as well.
    let mut refusals = 0;
    for _ in 0..1000 {
        let answer = third.post(&session, "").await;
        if answer.status == 429 {
            refused(&answer, 429, 4, "Forbidden");
            refusals += 1;
            break;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(refusals, 1);
    assert_eq!(application.received(), ["later 1"]);
    application.open_gate(2);
    assert_eq!(first.answer().await.body, "ok");
    assert_eq!(second.answer().await.body, "ok");
    assert_eq!(application.received(), ["later 1", "later 2"]);
    assert_eq!(third.post(&session, "43").await.body, "ok");
    assert_eq!(application.closed(), []);
    assert_eq!(application.wrong(), Vec::<&str>::new());
}

#[tokio::test]
async fn a_poll_that_the_client_gives_up_ends_the_session() {
    let fixture = Fixture::new(None);
    let address = serve(&fixture).await;
    let mut client = Client::connect(address).await;
    let session = opened(&mut client).await;
    let application = fixture.latest();
    client.begin("GET", &session, "").await;
    until("it waits", || poll_waits(&fixture, &session)).await;
    drop(client);
    until("it ends", || application.closed() == [CloseReason::Gone]).await;
    let mut client = Client::connect(address).await;
    refused(&client.get(&session).await, 400, 1, "Session ID unknown");
}

#[tokio::test]
async fn two_polls_at_once_end_the_session() {
    let fixture = Fixture::new(None);
    let address = serve(&fixture).await;
    let mut first = Client::connect(address).await;
    let mut second = Client::connect(address).await;
    let session = opened(&mut first).await;
    first.begin("GET", &session, "").await;
    second.begin("GET", &session, "").await;
    let answers = [first.answer().await, second.answer().await];
    let (won, lost) = if answers[0].status == 200 {
        (0, 1)
    } else {
        (1, 0)
    };
    assert_eq!(answers[won].body, "1");
    refused(&answers[lost], 400, 3, "Bad request");
    assert_eq!(fixture.latest().closed(), [CloseReason::ProtocolError]);
}

#[tokio::test]
async fn a_body_that_the_client_gives_up_ends_the_session() {
    let fixture = Fixture::new(None);
    let address = serve(&fixture).await;
    for whole in [false, true] {
        let mut client = Client::connect(address).await;
        let session = opened(&mut client).await;
        let application = fixture.latest();
        if whole {
            client.begin("POST", &session, "4later").await;
            until("it is handled", || application.received().len() == 1).await;
        } else {
            let head = format!(
                "POST /socket.io/?{session} HTTP/1.1\r\nHost: polychat\r\nContent-Length: 9\r\n\r\n4x"
            );
            client.write(head.as_bytes()).await;
        }
        drop(client);
        until("it ends", || application.closed().len() == 1).await;
        let received = usize::from(whole);
        assert_eq!(application.received().len(), received);
    }
}

#[tokio::test]
async fn an_answer_that_nobody_takes_ends_the_session() {
    let fixture = Fixture::new(None);
    let (session, application) = fixture.polling(ProtocolVersion::V4);
    application.push("x");
    let answer = polling::get(Arc::clone(&session)).await;
    assert_eq!(application.closed(), []);
    assert_eq!(application.written(), 0);
    drop(answer);
    assert_eq!(application.closed(), [CloseReason::Gone]);
}

#[tokio::test]
async fn requests_of_two_sessions_share_a_connection() {
    const ROUNDS: usize = 50;
    let fixture = Fixture::new(None);
    let mut client = Client::connect(serve(&fixture).await).await;
    let sessions = [opened(&mut client).await, opened(&mut client).await];
    // All of them at once.
    for round in 0..ROUNDS {
        for session in &sessions {
            let message = format!("4echo {round}");
            client.begin("POST", session, &message).await;
            client.begin("GET", session, "").await;
        }
    }
    for round in 0..ROUNDS {
        for _ in &sessions {
            assert_eq!(client.answer().await.body, "ok");
            assert_eq!(client.answer().await.body, format!("4{round}"));
        }
    }
    // The end of one does not touch the other.
    assert_eq!(client.post(&sessions[0], "1").await.body, "ok");
    assert_eq!(client.post(&sessions[1], "4echo x").await.body, "ok");
    assert_eq!(client.get(&sessions[1]).await.body, "4x");
    refused(
        &client.get(&sessions[0]).await,
        400,
        1,
        "Session ID unknown",
    );
}
