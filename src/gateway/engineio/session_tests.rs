//! The times, the ends and the bounds of a session.
//! Does not try all orders of events: `session_property_tests` does.

use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use engineioxide_core::ProtocolVersion::{self, V3, V4};
use http_body_util::BodyExt;
use tokio::task::JoinHandle;
use tokio::time::{Duration, Instant, advance};

use super::*;
use crate::gateway::engineio::fixtures::{Application, Fixture, SETTINGS, settle, spawn};
use crate::gateway::engineio::polling;
use crate::gateway::websocket::{Connection, Decoder, Endpoint};

const SECOND: Duration = Duration::from_secs(1);

/// The response to a request: `200 body`, or `400` and so on.
type Answered = JoinHandle<String>;

fn poll(session: &Arc<Session>) -> Answered {
    let session = Arc::clone(session);
    spawn(async move {
        match polling::get(session).await {
            Ok(response) => text(response).await,
            Err(refusal) => text(axum::response::IntoResponse::into_response(refusal)).await,
        }
    })
}

fn post(session: &Arc<Session>, body: &'static str) -> Answered {
    let session = Arc::clone(session);
    spawn(async move {
        let request = Request::new(Body::from(body));
        match polling::post(session, request).await {
            Ok(response) => text(response).await,
            Err(refusal) => text(axum::response::IntoResponse::into_response(refusal)).await,
        }
    })
}

async fn text(response: axum::response::Response) -> String {
    let status = response.status();
    let body = response.into_body().collect().await.expect("a body");
    let body = String::from_utf8(body.to_bytes().to_vec()).expect("a text");
    if status == StatusCode::OK {
        return format!("200 {body}");
    }
    status.as_u16().to_string()
}

/// The answer to a request that has to have one by now.
async fn now(answered: Answered) -> String {
    settle().await;
    assert!(answered.is_finished(), "no answer yet");
    answered.await.expect("an answer")
}

async fn seconds(seconds: u64) {
    // Step by step, as time passes.
    for _ in 0..seconds {
        advance(SECOND).await;
        settle().await;
    }
}

fn admitted(fixture: &Fixture, protocol: ProtocolVersion) -> (Arc<Session>, Application) {
    let (session, application) = fixture.polling(protocol);
    session.admit(None);
    (session, application)
}

#[tokio::test(start_paused = true)]
async fn the_first_ping_comes_after_the_interval_and_no_pong_ends_the_session() {
    let fixture = Fixture::new(None);
    let (session, application) = admitted(&fixture, V4);
    let polled = poll(&session);
    seconds(24).await;
    assert!(!polled.is_finished());
    seconds(1).await;
    assert_eq!(now(polled).await, "200 2");
    seconds(19).await;
    assert_eq!(application.closed(), []);
    seconds(1).await;
    assert_eq!(application.closed(), [CloseReason::Silent]);
    assert_eq!(now(poll(&session)).await, "400");
}

#[tokio::test(start_paused = true)]
async fn a_pong_is_followed_by_the_next_ping() {
    let fixture = Fixture::new(None);
    let (session, application) = admitted(&fixture, V4);
    for _ in 0..5 {
        let polled = poll(&session);
        seconds(25).await;
        assert_eq!(now(polled).await, "200 2");
        assert_eq!(now(post(&session, "3")).await, "200 ok");
    }
    assert_eq!(application.closed(), []);
}

#[tokio::test(start_paused = true)]
async fn a_client_of_protocol_3_pings_within_interval_and_timeout() {
    let fixture = Fixture::new(None);
    let (session, application) = admitted(&fixture, V3);
    for _ in 0..3 {
        seconds(44).await;
        assert_eq!(application.closed(), []);
        assert_eq!(now(post(&session, "1:2")).await, "200 ok");
        assert_eq!(now(poll(&session)).await, "200 1:3");
    }
    seconds(45).await;
    assert_eq!(application.closed(), [CloseReason::Silent]);
}

#[tokio::test(start_paused = true)]
async fn who_was_not_looked_at_for_long_is_judged_by_when_it_was_due() {
    let fixture = Fixture::new(None);
    let (session, _) = fixture.websocket(V4);
    session.admit(None);
    let begun = Instant::now();
    advance(Duration::from_secs(30)).await;
    // The ping was due 5 seconds ago: the pong is due in 15.
    assert_eq!(session.tick(), Ok(begun + Duration::from_secs(45)));
    let (late, _) = fixture.websocket(V4);
    late.admit(None);
    advance(Duration::from_secs(45)).await;
    assert_eq!(late.tick(), Err(CloseReason::Silent));
}

#[tokio::test(start_paused = true)]
async fn a_session_ends_on_which_nobody_is_admitted_in_time() {
    let fixture = Fixture::new(None);
    let (session, application) = fixture.polling(V4);
    let polled = poll(&session);
    seconds(9).await;
    assert!(!polled.is_finished());
    seconds(1).await;
    assert_eq!(now(polled).await, "400");
    assert_eq!(application.closed(), [CloseReason::NotAdmitted]);

    let (session, application) = fixture.polling(V4);
    session.admit(None);
    seconds(20).await;
    session.vacate();
    seconds(9).await;
    assert_eq!(application.closed(), []);
    seconds(1).await;
    assert_eq!(application.closed(), [CloseReason::NotAdmitted]);
    drop(session);
}

#[tokio::test(start_paused = true)]
async fn the_token_that_ends_first_ends_the_session() {
    let fixture = Fixture::new(None);
    let (session, application) = fixture.polling(V4);
    for lifetime in [None, Some(7), Some(3), Some(5), None] {
        session.admit(lifetime.map(Duration::from_secs));
    }
    let polled = poll(&session);
    seconds(2).await;
    assert!(!polled.is_finished());
    seconds(1).await;
    assert_eq!(now(polled).await, "400");
    assert_eq!(application.closed(), [CloseReason::Expired]);
    assert_eq!(now(post(&session, "4late")).await, "400");
    assert_eq!(application.received(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_with_another_token_is_judged_by_that_one() {
    let fixture = Fixture::new(None);
    let (session, application) = fixture.polling(V4);
    session.admit(Some(3 * SECOND));
    session.vacate();
    session.admit(Some(8 * SECOND));
    seconds(7).await;
    assert_eq!(application.closed(), []);
    seconds(1).await;
    assert_eq!(application.closed(), [CloseReason::Expired]);
}

#[tokio::test(start_paused = true)]
async fn a_websocket_learns_at_once_how_long_it_may_live() {
    let fixture = Fixture::new(None);
    let (session, application) = fixture.websocket(V4);
    let (server, _client) = tokio::io::duplex(1000);
    let decoder = Decoder::new(SETTINGS.max_payload);
    let closing = session.closing.clone();
    let carrier = Arc::clone(&session);
    let connection = spawn(Connection::new(server, decoder, carrier, None, closing));
    settle().await;
    // From elsewhere: nothing wakes the connection but this.
    session.admit(Some(3 * SECOND));
    seconds(3).await;
    assert_eq!(application.closed(), [CloseReason::Expired]);
    seconds(5).await;
    assert!(connection.is_finished());
}

#[tokio::test(start_paused = true)]
async fn packets_that_nobody_reads_are_bounded() {
    let fixture = Fixture::new(None);
    let (session, application) = admitted(&fixture, V4);
    let packet = Frame::text(&[&[b'x'; 1000]]);
    for _ in 0..65 {
        session.send([packet.clone()]);
    }
    assert_eq!(application.closed(), []);
    session.send([packet.clone()]);
    assert_eq!(application.closed(), [CloseReason::Lagging]);
    assert_eq!(session.state.lock().control.bytes, 0);
}

#[tokio::test(start_paused = true)]
async fn a_poll_from_before_the_probe_is_answered_with_a_noop() {
    let fixture = Fixture::new(None);
    let (session, application) = admitted(&fixture, V4);
    let polled = poll(&session);
    settle().await;
    assert!(session.begin_probe());
    assert!(session.finish_probe());
    assert_eq!(now(polled).await, "200 6");
    assert_eq!(application.upgraded(), 1);
    assert_eq!(application.closed(), []);
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_begins_during_a_probe_and_is_overtaken_is_refused() {
    let fixture = Fixture::new(None);
    let (session, application) = admitted(&fixture, V4);
    assert!(session.begin_probe());
    assert!(!session.begin_probe(), "there is one");
    let polled = poll(&session);
    settle().await;
    assert!(session.finish_probe());
    assert_eq!(now(polled).await, "400");
    assert_eq!(now(poll(&session)).await, "400");
    assert_eq!(application.closed(), []);
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_is_dropped_after_it_was_overtaken_does_not_end_the_session() {
    let fixture = Fixture::new(None);
    let (session, application) = admitted(&fixture, V4);
    let polled = poll(&session);
    settle().await;
    assert!(session.begin_probe() && session.finish_probe());
    // Before it can be answered.
    polled.abort();
    settle().await;
    assert_eq!(application.closed(), []);
}

#[tokio::test(start_paused = true)]
async fn a_released_poll_is_answered_and_polls_go_on_after_the_probe() {
    let fixture = Fixture::new(None);
    let (session, application) = admitted(&fixture, V4);
    let polled = poll(&session);
    settle().await;
    session.begin_probe();
    settle().await;
    assert!(!polled.is_finished(), "it waits for data during a probe");
    session.release_poll();
    assert_eq!(now(polled).await, "200 6");
    session.release_poll();
    session.end_probe();
    let polled = poll(&session);
    settle().await;
    assert!(!polled.is_finished(), "there was no poll to release");
    application.push("x");
    assert_eq!(now(polled).await, "200 4x");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_shuts_down_sends_what_waits() {
    // With a poll and without, with frames and without.
    for (polls, frames) in [(false, false), (false, true), (true, false), (true, true)] {
        let fixture = Fixture::new(None);
        let (session, application) = admitted(&fixture, V4);
        let polled = polls.then(|| poll(&session));
        settle().await;
        if frames {
            application.push("x");
        }
        fixture.closing.cancel();
        let expected = if frames { "200 4x" } else { "503" };
        if let Some(polled) = polled {
            assert_eq!(now(polled).await, expected);
        } else if frames {
            seconds(5).await;
            assert_eq!(application.closed(), [], "something waits");
            assert_eq!(now(poll(&session)).await, expected);
        }
        settle().await;
        assert_eq!(application.closed(), [CloseReason::ShuttingDown]);
        assert!(fixture.server.find(session.sid.as_str()).is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_admitted_is_no_reason_to_stay_when_the_server_shuts_down() {
    let fixture = Fixture::new(None);
    let (session, application) = fixture.polling(V4);
    session.send([Frame::text(&[b"44"])]);
    fixture.closing.cancel();
    settle().await;
    assert_eq!(application.closed(), [], "a packet waits");
    assert_eq!(now(poll(&session)).await, "200 44");
    assert_eq!(application.closed(), [CloseReason::ShuttingDown]);
    let (_, late) = fixture.polling(V4);
    settle().await;
    assert_eq!(late.closed(), [CloseReason::ShuttingDown]);
}

#[tokio::test(start_paused = true)]
async fn a_websocket_handles_messages_after_those_that_were_posted() {
    let fixture = Fixture::new(None);
    let (session, application) = admitted(&fixture, V4);
    let posted = post(&session, "4later posted\u{1e}4posted");
    settle().await;
    assert!(session.begin_probe() && session.finish_probe());
    let (server, _client) = tokio::io::duplex(1000);
    let mut decoder = Decoder::new(SETTINGS.max_payload);
    decoder.push(b"\x81\x86\0\0\0\x004after");
    let (closing, work) = (session.closing.clone(), session.posted());
    let carrier = Arc::clone(&session);
    spawn(Connection::new(server, decoder, carrier, work, closing));
    settle().await;
    assert_eq!(application.received(), ["later posted"]);
    application.open_gate(1);
    assert_eq!(now(posted).await, "200 ok");
    assert_eq!(application.received(), ["later posted", "posted", "after"]);
    assert_eq!(application.wrong(), Vec::<&str>::new());
    assert!(session.posted().is_none());
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_decoded_or_is_refused_ends_the_session() {
    for (body, status, why) in [
        ("9", "400", CloseReason::ProtocolError),
        ("2", "400", CloseReason::ProtocolError),
        ("4refuse", "400", CloseReason::Refused),
        ("1", "200 ok", CloseReason::Gone),
    ] {
        let fixture = Fixture::new(None);
        let (session, application) = admitted(&fixture, V4);
        let polled = poll(&session);
        settle().await;
        assert_eq!(now(post(&session, body)).await, status, "{body}");
        let last = if why == CloseReason::Gone {
            "200 6"
        } else {
            "200 1"
        };
        assert_eq!(now(polled).await, last, "{body}");
        assert_eq!(application.closed(), [why]);
    }
}

#[tokio::test(start_paused = true)]
async fn no_task_is_kept_that_has_done_its_work() {
    let fixture = Fixture::new(None);
    let (session, application) = admitted(&fixture, V4);
    application.push("x");
    assert_eq!(now(poll(&session)).await, "200 4x");
    assert!(session.state.lock().writer.is_none());
    assert!(session.state.lock().watcher.is_some());
    assert!(session.begin_probe() && session.finish_probe());
    settle().await;
    assert!(session.state.lock().watcher.is_none());
    let weak = Arc::downgrade(&session);
    Endpoint::end(&*session, CloseReason::Gone);
    drop(session);
    assert!(weak.upgrade().is_none());
}
