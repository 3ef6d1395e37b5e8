//! Each `WebSocket` over TCP: fresh ones, upgrades of sessions that poll, and probes that fail.
//! Does not know other requests: `request_tests` does.

use crate::gateway::engineio::fixtures::client::{Client, serve, until};
use crate::gateway::engineio::fixtures::{Application, Fixture};
use crate::gateway::engineio::state::Carrier;
use crate::telemetry::CloseReason;

/// A session that polls, and the queries of its polls and of its WebSocket.
async fn opened(client: &mut Client, fixture: &Fixture) -> (Application, String, String) {
    let answer = client.get("EIO=4&transport=polling").await;
    let open: serde_json::Value = serde_json::from_str(&answer.body[1..]).expect("JSON");
    let sid = open["sid"].as_str().expect("an id");
    let query = |transport| format!("EIO=4&transport={transport}&sid={sid}");
    (fixture.latest(), query("polling"), query("websocket"))
}

/// Whether a WebSocket is being probed for the session of this query.
fn is_probed(fixture: &Fixture, query: &str) -> bool {
    let (_, sid) = query.split_once("&sid=").expect("an id");
    let session = fixture.server.find(sid).expect("a session");
    let carrier = session.state.lock().carrier;
    matches!(carrier, Carrier::Polling { probed: true, .. })
}

/// Probes a WebSocket, up to the answer.
async fn probed(websocket: &mut Client, query: &str) {
    websocket.upgrade(query).await;
    websocket.send_text("2probe").await;
    assert_eq!(websocket.next_text().await, "3probe");
}

#[tokio::test]
async fn a_session_is_upgraded_and_goes_on() {
    let fixture = Fixture::new(None);
    let address = serve(&fixture).await;
    let mut polling = Client::connect(address).await;
    let mut websocket = Client::connect(address).await;
    let (application, poll, query) = opened(&mut polling, &fixture).await;
    polling.begin("GET", &poll, "").await;
    websocket.upgrade(&query).await;
    application.push("during the probe");
    assert_eq!(polling.answer().await.body, "4during the probe");
    polling.begin("GET", &poll, "").await;
    websocket.send_text("2probe").await;
    assert_eq!(websocket.next_text().await, "3probe");
    // The pending poll is answered, so that the client can stop.
    assert_eq!(polling.answer().await.body, "6");
    application.push("between");
    // Frames right behind the upgrade are not lost.
    let packets = b"\x81\x81\0\0\0\x005\x81\x87\0\0\0\x004echo x";
    websocket.write(packets).await;
    assert_eq!(websocket.next_text().await, "4between");
    assert_eq!(websocket.next_text().await, "4x");
    assert_eq!(application.upgraded(), 1);
    for (method, body) in [("GET", ""), ("POST", "4x")] {
        polling.begin(method, &poll, body).await;
        assert_eq!(polling.answer().await.status, 400, "{method}");
    }
    assert_eq!(application.received(), ["echo x"]);
    assert_eq!(application.closed(), []);
    // The client's close frame is answered with its code.
    websocket.frame(0x88, b"\x03\xE8bye").await;
    let close = websocket.next().await.expect("a close frame");
    assert_eq!(close.0, 0x88);
    assert!(websocket.next().await.is_none());
    assert_eq!(application.closed(), [CloseReason::Gone]);
}

#[tokio::test]
async fn a_probe_that_fails_at_any_step_leaves_the_session_alone() {
    let fixture = Fixture::new(None);
    let address = serve(&fixture).await;
    let mut polling = Client::connect(address).await;
    let (application, poll, query) = opened(&mut polling, &fixture).await;
    let steps: [(&str, &[&str]); 9] = [
        ("it ends at once", &[]),
        ("it ends after the probe", &["2probe"]),
        ("it is closed at once", &["close"]),
        ("it is closed after the probe", &["2probe", "close"]),
        ("it begins with another packet", &["4x"]),
        ("it goes on with another packet", &["2probe", "4x"]),
        ("it is upgraded before it is probed", &["5"]),
        ("it sends bytes", &["binary"]),
        ("it breaks the protocol", &["unmasked"]),
    ];
    for (what, steps) in steps {
        let mut websocket = Client::connect(address).await;
        polling.begin("GET", &poll, "").await;
        websocket.upgrade(&query).await;
        until("it is probed", || is_probed(&fixture, &query)).await;
        for step in steps {
            match *step {
                "close" => websocket.frame(0x88, &[]).await,
                "binary" => websocket.frame(0x82, b"x").await,
                "unmasked" => websocket.write(b"\x81\x01x").await,
                text => websocket.send_text(text).await,
            }
        }
        drop(websocket);
        application.push(what);
        let answer = polling.answer().await;
        if answer.body == "6" {
            // The probe was answered, so the poll may have been, too.
            let answer = polling.get(&poll).await;
            assert_eq!(answer.body, format!("4{what}"));
        } else {
            assert_eq!(answer.body, format!("4{what}"));
        }
        until("the probe ends", || !is_probed(&fixture, &query)).await;
        assert_eq!(application.closed(), [], "{what}");
    }
    let mut websocket = Client::connect(address).await;
    probed(&mut websocket, &query).await;
    websocket.send_text("5").await;
    websocket.send_text("4echo x").await;
    assert_eq!(websocket.next_text().await, "4x");
    assert_eq!(application.received(), ["echo x"]);
}

#[tokio::test]
async fn a_probe_beside_another_carrier_is_refused() {
    let fixture = Fixture::new(None);
    let address = serve(&fixture).await;
    let mut polling = Client::connect(address).await;
    let mut websocket = Client::connect(address).await;
    let (application, _, query) = opened(&mut polling, &fixture).await;
    probed(&mut websocket, &query).await;
    for upgraded in [false, true] {
        if upgraded {
            websocket.send_text("5").await;
            until("it is upgraded", || application.upgraded() == 1).await;
        }
        let mut second = Client::connect(address).await;
        second.upgrade(&query).await;
        let close = second.next().await;
        assert_eq!(close, Some((0x88, "\u{3}\u{fffd}".to_owned())), "1008");
        assert!(second.next().await.is_none());
    }
    websocket.send_text("4echo x").await;
    assert_eq!(websocket.next_text().await, "4x");
    assert_eq!(application.closed(), []);
}

#[tokio::test]
async fn a_probe_ends_with_its_session() {
    let fixture = Fixture::new(None);
    let address = serve(&fixture).await;
    let mut polling = Client::connect(address).await;
    let mut websocket = Client::connect(address).await;
    let (application, poll, query) = opened(&mut polling, &fixture).await;
    probed(&mut websocket, &query).await;
    assert_eq!(polling.post(&poll, "1").await.body, "ok");
    assert_eq!(application.closed(), [CloseReason::Gone]);
    let close = websocket.next().await.expect("a close frame");
    assert_eq!(close, (0x88, "\u{3}\u{fffd}".to_owned()), "1000");
    assert!(websocket.next().await.is_none());
}

#[tokio::test]
async fn a_fresh_websocket_opens_a_session() {
    let fixture = Fixture::new(Some(1));
    let mut client = Client::connect(serve(&fixture).await).await;
    client.upgrade("EIO=4&transport=websocket").await;
    let open = client.next_text().await;
    assert!(open.starts_with("0{"), "{open}");
    assert!(open.contains(r#""upgrades":[]"#), "{open}");
    client.send_text("4echo x").await;
    assert_eq!(client.next_text().await, "4x");
    client.frame(0x89, b"ping").await;
    assert_eq!(client.next().await, Some((0x8A, "ping".to_owned())));
    let application = fixture.latest();
    drop(client);
    until("it ends", || application.closed() == [CloseReason::Gone]).await;
    assert!(fixture.has_room());
}

#[tokio::test]
async fn a_handshake_that_is_none_opens_nothing() {
    let fixture = Fixture::new(Some(1));
    let mut client = Client::connect(serve(&fixture).await).await;
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let version = "Sec-WebSocket-Version: 13\r\n";
    for (headers, versioned) in [
        (key.to_owned(), true),
        (format!("{key}Sec-WebSocket-Version: 8\r\n"), true),
        (version.to_owned(), false),
        (format!("{version}Sec-WebSocket-Key: dGg=\r\n"), false),
        (format!("{version}{key}{key}"), false),
    ] {
        client
            .begin_upgrade("EIO=4&transport=websocket", &headers)
            .await;
        let answer = client.answer().await;
        assert_eq!(answer.status, 400, "{headers}");
        let named = answer.head.contains("\r\nsec-websocket-version: 13\r\n");
        assert_eq!(named, versioned, "{headers}");
        assert!(fixture.has_room(), "{headers}");
    }
    // Two lines of one header are one list.
    let headers = format!("{version}{key}Connection: keep-alive\r\n");
    client
        .begin_upgrade("EIO=4&transport=websocket", &headers)
        .await;
    assert_eq!(client.answer().await.status, 101);
}
