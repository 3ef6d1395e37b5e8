//! Fixtures for tests of sessions: a server whose sessions send numbered frames to the client and
//! record what they receive.
//! Does not know Socket.IO.

pub mod client;

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use bytes::Bytes;
use engineioxide_core::ProtocolVersion;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use tungstenite::Utf8Bytes;

use super::session::Session;
use super::state::{Carrier, Settings};
use super::{Handler, Opening, Server};
use crate::gateway::closing::Closing;
use crate::gateway::transport::Handled;
use crate::gateway::websocket::{Batch, Frame};
use crate::limits::{LimitSettings, Limits, Proxies};
use crate::telemetry::{CloseReason, Metrics};

/// The times of Node's server, and a small body.
pub const SETTINGS: Settings = Settings {
    ping_interval: Duration::from_secs(25),
    ping_timeout: Duration::from_secs(20),
    handshake: Duration::from_secs(10),
    upgrade: Duration::from_secs(10),
    max_payload: 1000,
};

/// The address of the clients: loopback addresses are not counted.
pub const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

/// The application above one session; clones share it.
#[derive(Clone)]
pub struct Application {
    record: Arc<Mutex<Record>>,
    /// Has a place for each message `later` that may be done.
    gate: Arc<Semaphore>,
}

#[derive(Default)]
struct Record {
    frames: VecDeque<Frame>,
    pushed: usize,
    writer: Option<Waker>,
    ended: Option<CloseReason>,
    draining: bool,
    received: Vec<String>,
    /// How many messages are being handled.
    busy: usize,
    written: usize,
    upgraded: usize,
    closed: Vec<CloseReason>,
    wrong: Vec<&'static str>,
}

impl Application {
    fn new() -> Self {
        Self {
            record: Arc::default(),
            gate: Arc::new(Semaphore::new(0)),
        }
    }

    /// Queues a message to the client, unless the session has ended.
    pub fn push(&self, text: &str) {
        let mut record = self.record.lock();
        if record.ended.is_some() || record.draining || !record.closed.is_empty() {
            return;
        }
        record
            .frames
            .push_back(Frame::text(&[b"4", text.as_bytes()]));
        if let Some(writer) = record.writer.take() {
            drop(record);
            writer.wake();
        }
    }

    /// Queues the next number; returns how many there were.
    pub fn push_number(&self) -> usize {
        let next = {
            let mut record = self.record.lock();
            let open = record.ended.is_none() && !record.draining && record.closed.is_empty();
            record.pushed += usize::from(open);
            record.pushed
        };
        self.push(&next.to_string());
        next
    }

    /// Ends the session like an outbox over its limits.
    pub fn end(&self, why: CloseReason) {
        let mut record = self.record.lock();
        record.ended.get_or_insert(why);
        record.frames.clear();
        if let Some(writer) = record.writer.take() {
            drop(record);
            writer.wake();
        }
    }

    /// Completes so many messages `later`.
    pub fn open_gate(&self, messages: usize) {
        self.gate.add_permits(messages);
    }

    /// How many numbers were queued.
    pub fn pushed(&self) -> usize {
        self.record.lock().pushed
    }

    /// The texts that the client has sent.
    pub fn received(&self) -> Vec<String> {
        self.record.lock().received.clone()
    }

    /// The reasons with which the end was reported.
    pub fn closed(&self) -> Vec<CloseReason> {
        self.record.lock().closed.clone()
    }

    /// How often frames were sent.
    pub fn written(&self) -> usize {
        self.record.lock().written
    }

    /// How often a WebSocket became the carrier.
    pub fn upgraded(&self) -> usize {
        self.record.lock().upgraded
    }

    /// Violations of the contract by the session.
    pub fn wrong(&self) -> Vec<&'static str> {
        self.record.lock().wrong.clone()
    }

    fn receive(&self, message: &str) {
        let mut record = self.record.lock();
        if record.busy > 0 {
            record.wrong.push("a message while another one is handled");
        }
        if !record.closed.is_empty() {
            record.wrong.push("a message after the end");
        }
        record.received.push(message.to_owned());
    }
}

/// Counts a message for as long as it is handled.
struct Busy(Arc<Mutex<Record>>);

impl Busy {
    fn new(application: &Application) -> Self {
        application.record.lock().busy += 1;
        Self(Arc::clone(&application.record))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.lock().busy -= 1;
    }
}

impl Handler for Application {
    fn opened(&self, _: &Arc<Session>) -> Handled {
        Handled::Done
    }

    /// `echo …` is answered with the rest, `later …` waits for the gate, `refuse` ends the session.
    fn text(&self, session: &Arc<Session>, text: Utf8Bytes) -> Result<Handled, CloseReason> {
        self.receive(&text);
        if let Some(echo) = text.strip_prefix("echo ") {
            self.push(echo);
        }
        match text.as_str() {
            "refuse" => Err(CloseReason::Refused),
            "admit" => {
                session.admit(None);
                Ok(Handled::Done)
            }
            later if later.starts_with("later") => {
                let (busy, gate) = (Busy::new(self), Arc::clone(&self.gate));
                Ok(Handled::Later(Box::pin(async move {
                    let place = gate.acquire().await;
                    place.map_err(|_| CloseReason::Gone)?.forget();
                    drop(busy);
                    Ok(())
                })))
            }
            _ => Ok(Handled::Done),
        }
    }

    fn binary(&self, _: &Arc<Session>, data: Bytes) -> Result<Handled, CloseReason> {
        self.receive(&format!("binary {data:?}"));
        Ok(Handled::Done)
    }

    fn fill(&self, context: &Context<'_>, batch: &mut Batch) -> Option<CloseReason> {
        let mut record = self.record.lock();
        while !batch.is_full() {
            let Some(frame) = record.frames.pop_front() else {
                record.writer = Some(context.waker().clone());
                let drained = record.draining.then_some(CloseReason::ShuttingDown);
                return record.ended.or(drained);
            };
            batch.push(frame);
        }
        None
    }

    fn has_frames(&self) -> bool {
        !self.record.lock().frames.is_empty()
    }

    fn await_client(&self, context: &Context<'_>) -> Option<CloseReason> {
        let mut record = self.record.lock();
        record.writer = Some(context.waker().clone());
        record.ended
    }

    fn written(&self) {
        self.record.lock().written += 1;
    }

    fn upgraded(&self) {
        self.record.lock().upgraded += 1;
    }

    fn shut_down(&self) {
        self.record.lock().draining = true;
    }

    fn closed(&self, why: CloseReason) {
        self.record.lock().closed.push(why);
    }
}

/// A server, and the applications above its sessions.
pub struct Fixture {
    pub server: Arc<Server>,
    pub limits: Arc<Limits>,
    pub closing: Closing,
    applications: Arc<Mutex<Vec<Application>>>,
}

impl Fixture {
    /// A server with these limits on the sessions from one address and on unauthenticated sessions;
    /// `None`: no limits.
    pub fn new(most: Option<usize>) -> Self {
        let limits = Arc::new(Limits::new(LimitSettings {
            messages: None,
            frames: None,
            connections_per_user: None,
            connections_per_address: most,
            unauthenticated: most,
            handshake: SETTINGS.handshake,
            proxies: Proxies::default(),
        }));
        let closing = Closing::default();
        let applications = Arc::<Mutex<Vec<Application>>>::default();
        let opened = Arc::clone(&applications);
        let begin = move |_: Opening| {
            let application = Application::new();
            opened.lock().push(application.clone());
            Box::new(application) as Box<dyn Handler>
        };
        let server = Server::new(
            SETTINGS,
            Arc::clone(&limits),
            Metrics::default(),
            TaskTracker::new(),
            closing.clone(),
            Box::new(begin),
        );
        Self {
            server,
            limits,
            closing,
            applications,
        }
    }

    /// A session that polls, with its watcher.
    pub fn polling(&self, protocol: ProtocolVersion) -> (Arc<Session>, Application) {
        let (session, application) = self.begin(protocol, Carrier::POLLING);
        self.server.watch(&session);
        (session, application)
    }

    /// A session that a WebSocket carries from its beginning.
    pub fn websocket(&self, protocol: ProtocolVersion) -> (Arc<Session>, Application) {
        self.begin(protocol, Carrier::WebSocket)
    }

    fn begin(&self, protocol: ProtocolVersion, carrier: Carrier) -> (Arc<Session>, Application) {
        let opening = Opening {
            query: String::new(),
            token: None,
            client: CLIENT,
        };
        let session = self.server.begin(protocol, opening, carrier);
        (session.expect("a place"), self.latest())
    }

    /// The application above the latest session.
    pub fn latest(&self) -> Application {
        self.applications.lock().last().expect("a session").clone()
    }

    /// Whether there is a free slot for the address of the clients, and for unauthenticated ones.
    pub fn has_room(&self) -> bool {
        self.limits.session(CLIENT).is_ok()
    }
}

/// Runs a task.
pub fn spawn<F>(future: F) -> tokio::task::JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    TaskTracker::new().spawn(future)
}

/// Lets all tasks run that can.
pub async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}
