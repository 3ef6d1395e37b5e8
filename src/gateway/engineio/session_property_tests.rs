//! A session under random sequences of events: the client receives what was sent, in order and
//! once, or the session has ended.
//! Does not know HTTP connections and sockets: polls and the WebSocket are real, over memory.

#[path = "session_property_steps.rs"]
mod steps;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use futures_util::FutureExt;
use http_body_util::BodyExt;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;
use tokio::time::{Duration, advance};

use self::steps::{Sent, Step, step};
use super::*;
use crate::gateway::engineio::fixtures::{Application, Fixture, SETTINGS, settle, spawn};
use crate::gateway::engineio::polling;
use crate::gateway::engineio::refusal::Refusal;
use crate::gateway::websocket::{Connection, Decoder};

/// A WebSocket, seen from the client.
struct WebSocket {
    stream: DuplexStream,
    read: Vec<u8>,
}

/// A session and its client.
struct World {
    fixture: Fixture,
    session: Arc<Session>,
    application: Application,
    poll: Option<JoinHandle<Result<Response, Refusal>>>,
    probing: bool,
    websocket: Option<WebSocket>,
    received: Vec<usize>,
    sent: Vec<String>,
    /// For which reasons it may have ended by now.
    allowed: Vec<CloseReason>,
    seconds: u64,
}

impl World {
    fn new(protocol: ProtocolVersion) -> Self {
        let fixture = Fixture::new(Some(1));
        let (session, application) = fixture.polling(protocol);
        Self {
            fixture,
            session,
            application,
            poll: None,
            probing: false,
            websocket: None,
            received: Vec::new(),
            sent: Vec::new(),
            allowed: Vec::new(),
            seconds: 0,
        }
    }

    fn is_open(&self) -> bool {
        self.session.closed().is_none()
    }

    fn poll_waits(&self) -> bool {
        self.poll.as_ref().is_some_and(|poll| !poll.is_finished())
    }

    async fn apply(&mut self, step: Step) {
        match step {
            Step::Push(count) => (0..count).for_each(|_| {
                self.application.push_number();
            }),
            Step::Poll => self.begin_poll().await,
            Step::AbandonPoll if self.poll_waits() => {
                self.allowed.push(CloseReason::Gone);
                self.poll.take().expect("it waits").abort();
                settle().await;
                assert!(!self.is_open());
            }
            Step::TakeAnswer => self.take_answer().await,
            Step::LoseAnswer if !self.poll_waits() => {
                self.allowed.push(CloseReason::Gone);
                self.poll = None;
            }
            Step::Send(sent) => self.send(sent).await,
            Step::BeginProbe => {
                let may = self.is_open() && !self.probing && self.websocket.is_none();
                assert_eq!(self.session.begin_probe(), may);
                self.probing |= may;
            }
            Step::EndProbe if self.probing => {
                self.probing = false;
                let before = self.session.closed();
                self.session.end_probe();
                settle().await;
                assert_eq!(
                    self.session.closed(),
                    before,
                    "a probe has ended the session"
                );
            }
            Step::FinishProbe if self.probing => self.upgrade().await,
            Step::ReleasePoll if self.probing => {
                self.session.release_poll();
                settle().await;
                assert!(!self.poll_waits());
            }
            Step::Read => self.read().await,
            Step::Wait(seconds) => self.wait(seconds.into()).await,
            other => self.change(other).await,
        }
        settle().await;
        self.check();
    }

    /// Events that the client does not cause, except breaking off.
    async fn change(&mut self, step: Step) {
        match step {
            Step::Break => {
                self.allowed.push(CloseReason::Gone);
                if let Some(websocket) = &mut self.websocket {
                    let _ = websocket.stream.shutdown().await;
                }
            }
            Step::Admit(seconds) => {
                let lifetime = seconds.map(|it| Duration::from_secs(it.into()));
                self.session.admit(lifetime);
            }
            Step::Vacate => self.session.vacate(),
            Step::ApplicationEnds => {
                self.allowed.push(CloseReason::Lagging);
                self.application.end(CloseReason::Lagging);
            }
            Step::Expire => {
                self.allowed.push(CloseReason::Expired);
                self.session.close(CloseReason::Expired);
            }
            Step::ShutDown => {
                self.allowed.push(CloseReason::ShuttingDown);
                self.fixture.closing.cancel();
            }
            // Nothing to do it with.
            _ => {}
        }
    }

    async fn begin_poll(&mut self) {
        let overlaps = self.poll_waits();
        if !overlaps {
            self.take_answer().await;
        }
        let second = spawn(polling::get(Arc::clone(&self.session)));
        settle().await;
        if overlaps {
            self.allowed.push(CloseReason::ProtocolError);
            assert!(second.is_finished() && !self.poll_waits() && !self.is_open());
        } else {
            self.poll = Some(second);
        }
    }

    /// Reads the answer to a poll, if there is one.
    async fn take_answer(&mut self) {
        let Some(poll) = self.poll.take_if(|poll| poll.is_finished()) else {
            return;
        };
        let Ok(response) = poll.await.expect("no panic") else {
            return;
        };
        let body = response.into_body().collect().await.expect("a body");
        let mut body = String::from_utf8(body.to_bytes().to_vec()).expect("a text");
        if self.session.protocol() == ProtocolVersion::V4 {
            body.split('\u{1e}').for_each(|it| self.receive(it));
            return;
        }
        while let Some((length, rest)) = body.split_once(':') {
            let (packet, rest) = rest.split_at(length.parse().expect("a length"));
            self.receive(packet);
            body = rest.to_owned();
        }
    }

    fn receive(&mut self, packet: &str) {
        if let Some(number) = packet.strip_prefix('4') {
            self.received.push(number.parse().expect("a number"));
        }
    }

    async fn send(&mut self, sent: Sent) {
        let message = format!("message {}", self.sent.len());
        let packet = match sent {
            Sent::Message => format!("4{message}"),
            Sent::Later => format!("4later {message}"),
            Sent::Heartbeat if self.session.protocol() == ProtocolVersion::V4 => "3".to_owned(),
            Sent::Heartbeat => "2".to_owned(),
            Sent::Close => "1".to_owned(),
            Sent::Garbage => "9".to_owned(),
        };
        match sent {
            Sent::Close => self.allowed.push(CloseReason::Gone),
            Sent::Garbage => self.allowed.push(CloseReason::ProtocolError),
            Sent::Heartbeat => {}
            Sent::Message | Sent::Later => {
                // While the server drains, a body is refused.
                let accepts = self.websocket.is_some() || !self.session.is_draining();
                let sent = (self.is_open() && accepts).then(|| packet[1..].to_owned());
                self.sent.extend(sent);
            }
        }
        if let Some(websocket) = &mut self.websocket {
            let length = u8::try_from(packet.len()).expect("a short one") | 0x80;
            let frame = [&[0x81, length, 0, 0, 0, 0], packet.as_bytes()].concat();
            let _ = websocket.stream.write_all(&frame).now_or_never();
        } else {
            let body = match self.session.protocol() {
                ProtocolVersion::V4 => packet,
                ProtocolVersion::V3 => format!("{}:{packet}", packet.len()),
            };
            let request = Request::new(Body::from(body));
            spawn(polling::post(Arc::clone(&self.session), request));
        }
        settle().await;
        self.application
            .open_gate(usize::from(matches!(sent, Sent::Later)));
    }

    async fn upgrade(&mut self) {
        self.take_answer().await;
        self.probing = false;
        let open = self.is_open();
        assert_eq!(self.session.finish_probe(), open);
        if !open {
            return;
        }
        let (server, client) = tokio::io::duplex(200);
        let decoder = Decoder::new(SETTINGS.max_payload);
        let (carrier, posted) = (Arc::clone(&self.session), self.session.posted());
        let closing = self.session.closing.clone();
        spawn(Connection::new(server, decoder, carrier, posted, closing));
        settle().await;
        assert!(!self.poll_waits());
        self.websocket = Some(WebSocket {
            stream: client,
            read: Vec::new(),
        });
    }

    /// Reads everything that the WebSocket has.
    async fn read(&mut self) {
        let Some(mut websocket) = self.websocket.take() else {
            return;
        };
        let mut buffer = [0; 64];
        while let Some(Ok(1..)) = websocket
            .stream
            .read(&mut buffer)
            .now_or_never()
            .inspect(|it| {
                let read = *it.as_ref().unwrap_or(&0);
                websocket.read.extend_from_slice(&buffer[..read]);
            })
        {
            settle().await;
        }
        while let [_, length @ ..] = &websocket.read[..]
            && let Some(length) = length.first().copied().map(usize::from)
            && websocket.read.len() >= 2 + length
        {
            let frame: Vec<u8> = websocket.read.drain(..2 + length).collect();
            if frame[0] == 0x81 {
                self.receive(str::from_utf8(&frame[2..]).expect("a text"));
            }
        }
        self.websocket = Some(websocket);
    }

    async fn wait(&mut self, seconds: u64) {
        for _ in 0..seconds {
            advance(Duration::from_secs(1)).await;
            settle().await;
        }
        self.seconds += seconds;
        self.allowed.push(CloseReason::Expired);
        if self.seconds >= 10 {
            self.allowed.push(CloseReason::NotAdmitted);
        }
        if self.seconds >= 45 {
            self.allowed.push(CloseReason::Silent);
        }
    }

    /// The invariants.
    fn check(&self) {
        let numbers: Vec<_> = (1..=self.received.len()).collect();
        assert_eq!(self.received, numbers);
        assert!(self.received.len() <= self.application.pushed());
        let received = self.application.received();
        assert_eq!(received, self.sent[..received.len()]);
        assert_eq!(self.application.wrong(), Vec::<&str>::new());
        let closed = self.application.closed();
        assert_eq!(closed.first().copied(), self.session.closed());
        assert!(closed.len() <= 1);
        for why in closed {
            assert!(self.allowed.contains(&why), "{why:?}");
        }
        // The places are held until the end.
        assert_eq!(self.fixture.has_room(), !self.is_open());
        if self.poll_waits() {
            assert!(!self.application.has_frames(), "a poll was not woken");
            assert!(self.is_open() && self.websocket.is_none());
        }
    }

    /// The client reads on: it gets everything, unless the session has ended.
    async fn finish(mut self) {
        for _ in 0..=self.application.pushed() / 10 {
            if self.websocket.is_some() {
                self.read().await;
            } else {
                self.take_answer().await;
                if self.poll.is_none() {
                    self.begin_poll().await;
                }
                self.take_answer().await;
            }
            settle().await;
            self.check();
        }
        let drains = self.allowed.contains(&CloseReason::ShuttingDown);
        let drained = self.session.closed() == Some(CloseReason::ShuttingDown);
        if self.is_open() || drained {
            assert_eq!(self.received.len(), self.application.pushed());
            assert_eq!(self.application.received(), self.sent);
        }
        assert!(!(drains && self.is_open()), "it does not end");
        self.session.close(CloseReason::Gone);
        self.allowed.push(CloseReason::Gone);
        settle().await;
        self.take_answer().await;
        self.check();
        let session = Arc::downgrade(&self.session);
        drop(self);
        settle().await;
        assert!(session.upgrade().is_none(), "a session is kept");
    }
}

proptest! {
    #[test]
    fn what_is_sent_arrives_in_order_and_once_or_the_session_has_ended(
        steps in prop::collection::vec(step(), 40),
        newer in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let protocol = if newer { ProtocolVersion::V4 } else { ProtocolVersion::V3 };
            let mut world = World::new(protocol);
            for step in steps {
                world.apply(step).await;
            }
            world.finish().await;
        });
    }
}
