//! All sessions, and how they begin and end.
//! Does not know the content of packets.

use std::sync::Arc;

use engineioxide_core::{OpenPacket, Packet, ProtocolVersion, TransportType};
use tokio::time::sleep_until;
use tokio_util::task::TaskTracker;

use super::registry::Registry;
use super::session::{Handler, Opening, Session};
use super::state::{Carrier, Settings};
use crate::gateway::closing::Closing;
use crate::gateway::transport::Handled;
use crate::gateway::websocket::Frame;
use crate::limits::Limits;
use crate::model::Error;
use crate::telemetry::{CloseReason, Metrics};

/// Creates the handler of a new session.
pub type Begin = Box<dyn Fn(Opening) -> Box<dyn Handler> + Send + Sync>;

/// All sessions.
pub struct Server {
    pub(super) settings: Arc<Settings>,
    pub(super) limits: Arc<Limits>,
    pub(super) metrics: Metrics,
    /// The tasks of all sessions.
    pub(super) tasks: TaskTracker,
    /// When sessions end at shutdown.
    closing: Closing,
    begin: Begin,
    sessions: Arc<Registry<Session>>,
}

impl Server {
    /// A server without sessions; `begin` creates the handler of each. Tasks run in `tasks`, and
    /// sessions end once their tokens of `closing` are cancelled and their queues are sent.
    pub fn new(
        settings: Settings,
        limits: Arc<Limits>,
        metrics: Metrics,
        tasks: TaskTracker,
        closing: Closing,
        begin: Begin,
    ) -> Arc<Self> {
        Arc::new(Self {
            settings: Arc::new(settings),
            limits,
            metrics,
            tasks,
            closing,
            begin,
            sessions: Registry::new(),
        })
    }

    /// Begins a session.
    ///
    /// # Errors
    /// `RateLimited`: there are as many as may be.
    pub(super) fn begin(
        self: &Arc<Self>,
        protocol: ProtocolVersion,
        opening: Opening,
        carrier: Carrier,
    ) -> Result<Arc<Session>, Error> {
        let slots = self.limits.session(opening.client);
        let slots = slots.inspect_err(|error| self.metrics.turned_away(error.kind.code()))?;
        let (settings, sessions) = (&self.settings, &self.sessions);
        let handler = (self.begin)(opening);
        let closing = self.closing.token();
        let session = Session::new(
            settings, sessions, protocol, handler, carrier, slots, closing,
        );
        sessions.add(session.sid, Arc::clone(&session));
        Ok(session)
    }

    /// The packet that opens the session.
    pub(super) fn open_packet(&self, session: &Session) -> Frame {
        let upgrades = if session.is_websocket() {
            Vec::new()
        } else {
            vec![TransportType::Websocket]
        };
        let packet = Packet::Open(OpenPacket {
            sid: session.sid,
            upgrades: upgrades.into(),
            ping_interval: self.settings.ping_interval,
            ping_timeout: self.settings.ping_timeout,
            max_payload: self.settings.max_payload as u64,
        });
        Frame::text(&[String::from(packet).as_bytes()])
    }

    /// The session of this id, if it has not ended.
    pub(super) fn find(&self, sid: &str) -> Option<Arc<Session>> {
        let session = self.sessions.find(sid)?;
        // It may be overdue before its timer has run.
        match session.tick() {
            Ok(_) => Some(session),
            Err(why) => {
                session.close(why);
                None
            }
        }
    }

    /// Ends all sessions at once.
    pub fn close(&self) {
        for session in self.sessions.all() {
            session.close(CloseReason::ShuttingDown);
        }
    }

    /// Runs the timers of a session that polls, until a WebSocket carries it or it ends.
    pub(super) fn watch(&self, session: &Arc<Session>) {
        let (session, closing) = (Arc::clone(session), session.closing.clone());
        self.tasks.spawn(async move {
            let mut closing = Some(Box::pin(closing.cancelled_owned()));
            let mut timer = std::pin::pin!(sleep_until(tokio::time::Instant::now()));
            std::future::poll_fn(|context| {
                if let Some(cancelled) = &mut closing
                    && cancelled.as_mut().poll(context).is_ready()
                {
                    closing = None;
                    session.shut_down();
                }
                loop {
                    let Some(at) = session.watch(context) else {
                        return std::task::Poll::Ready(());
                    };
                    if timer.deadline() != at {
                        timer.as_mut().reset(at);
                    }
                    if timer.as_mut().poll(context).is_pending() {
                        return std::task::Poll::Pending;
                    }
                }
            })
            .await;
        });
    }

    /// Runs the opening of a session, before any body that its client posts.
    pub(super) fn run_first(&self, session: &Arc<Session>, handled: Handled) {
        let Handled::Later(work) = handled else {
            return;
        };
        // No other task knows the session yet.
        let Ok(turn) = session.turn.try_acquire() else {
            return;
        };
        turn.forget();
        let session = Arc::clone(session);
        self.tasks.spawn(async move {
            if let Err(why) = work.await {
                session.close(why);
            }
            session.turn.add_permits(1);
        });
    }
}
