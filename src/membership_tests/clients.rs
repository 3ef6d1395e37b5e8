//! Clients of all dialects: real connections with real sessions, whose frames are recorded.
//! Does not decide what they request.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use parking_lot::MutexGuard;
use serde_json::{Map, Value};

use super::ledger::Ledger;
use super::node::Node;
use super::record::{ChatNo, ConnectionNo, UserNo};
use crate::gateway::connection::Connection;
use crate::gateway::dialect::event_name::EventNameSession;
use crate::gateway::dialect::{
    ALL, Acks, Decoded, DialectSession, Incoming, Push, SessionOptions, Since,
};
use crate::gateway::inbox::Inbox;
use crate::hub::{AnswerPlace, Outgoing, SharedEncoding, Subscriber};
use crate::model::{
    ChatId, Command, ConnectionId, Error, Identity, Notice, Reply, Rights, Seq, UserId,
};
use crate::telemetry::{CloseReason, DialectLabel, Transport};

/// A session that records the notices that are encoded for its client.
struct Witness {
    session: Arc<dyn DialectSession>,
    ledger: Arc<Ledger>,
    number: ConnectionNo,
}

impl Subscriber for Witness {
    fn encode(&self, notice: &Notice, shared: &mut SharedEncoding, sink: &mut dyn FnMut(Outgoing)) {
        let mut is_sent = false;
        self.session.encode(notice, shared, &mut |frame| {
            is_sent = true;
            sink(frame);
        });
        if is_sent {
            self.ledger.witnessed(self.number, notice);
        }
    }

    fn is_subscribed(&self, chat: ChatId) -> bool {
        self.session.is_subscribed(chat)
    }

    fn answer_place(&self, chat: ChatId) -> AnswerPlace {
        self.session.answer_place(chat)
    }
}

impl DialectSession for Witness {
    fn label(&self) -> DialectLabel {
        self.session.label()
    }

    fn decode(self: Arc<Self>, incoming: &Incoming) -> Decoded {
        Arc::clone(&self.session).decode(incoming)
    }

    fn request_name(&self, incoming: &Incoming) -> &'static str {
        self.session.request_name(incoming)
    }

    fn refuse(&self, incoming: &Incoming, error: &Error) -> Vec<Outgoing> {
        self.session.refuse(incoming, error)
    }

    fn opening(&self) -> Option<Command> {
        self.session.opening()
    }

    fn opened(&self, reply: Reply, sink: &mut dyn FnMut(Outgoing)) {
        self.session.opened(reply, sink);
    }

    fn delivery_lock(&self) -> Option<MutexGuard<'_, ()>> {
        self.session.delivery_lock()
    }

    fn watches(&self, chat: ChatId) -> bool {
        self.session.watches(chat)
    }

    fn since(&self, auth: &Value) -> Result<Option<Since>, Error> {
        self.session.since(auth)
    }
}

fn identity(user: UserId, dialect: DialectLabel, connection: ConnectionId) -> Identity {
    Identity {
        user: Some(user),
        // Only these clients can act as another user.
        rights: match dialect {
            DialectLabel::EventName => Rights::Open,
            _ => Rights::Own,
        },
        connection: Some(connection),
        request: None,
    }
}

/// A connected client.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) inbox: Arc<Inbox>,
    pub(super) number: ConnectionNo,
    pub(super) dialect: DialectLabel,
}

impl Client {
    /// Connects a user. `since`: the chats of which the missed messages are requested, by their
    /// ids.
    pub(super) async fn connect(
        node: &Node,
        ledger: &Arc<Ledger>,
        dialect: DialectLabel,
        user: UserNo,
        since: BTreeMap<ChatNo, (ChatId, Seq)>,
    ) -> Option<Self> {
        let number = ledger.connect(dialect, user);
        let connection = ConnectionId::new(node.state.clock.now());
        let options = SessionOptions {
            connection,
            user: node.users[user],
            clock: node.state.clock.clone(),
            zone: TimeZone::UTC,
            acks: Acks::Always,
            push: Push::On,
        };
        let session: Arc<dyn DialectSession> = match dialect {
            DialectLabel::Action => (ALL[0].begin)(options),
            DialectLabel::Type => (ALL[1].begin)(options),
            DialectLabel::Marketplace => (ALL[2].begin)(options),
            _ => Arc::new(EventNameSession::new(Some(connection))),
        };
        assert_eq!(session.label(), dialect);
        let session: Arc<dyn DialectSession> = Arc::new(Witness {
            session,
            ledger: Arc::clone(ledger),
            number,
        });
        let identity = identity(node.users[user], dialect, connection);
        let state = node.state.clone();
        let opened = Connection::open(
            state,
            identity,
            None,
            Arc::clone(&session),
            Transport::WebSocket,
        );
        let opened = match opened.await {
            Ok(connection) => replay(connection, &session, ledger, number, since).await,
            Err(error) => Err(error),
        };
        let Ok(connection) = opened else {
            ledger.closed(number);
            return None;
        };
        ledger.opened(number);
        let client = Self {
            inbox: Inbox::new(connection, session, node.requests.clone()),
            number,
            dialect,
        };
        let (reader, ledger) = (client.clone(), Arc::clone(ledger));
        node.spawn(async move {
            while let Ok(frame) = reader.inbox.connection.outbox().next().await {
                ledger.received(number, &frame);
            }
            ledger.closed(number);
        });
        Some(client)
    }

    /// Ends the connection.
    pub(super) fn disconnect(&self, ledger: &Ledger) {
        ledger.closed(self.number);
        self.inbox.connection.end(CloseReason::Gone);
    }
}

/// Sends the missed messages first.
async fn replay(
    connection: Connection,
    session: &Arc<dyn DialectSession>,
    ledger: &Ledger,
    number: ConnectionNo,
    since: BTreeMap<ChatNo, (ChatId, Seq)>,
) -> Result<Connection, Error> {
    let named = since
        .values()
        .map(|(id, seq)| (id.to_string(), (*seq).into()));
    let named: Map<String, Value> = named.collect();
    let auth = serde_json::json!({ "since": named });
    if let Some(positions) = session.since(&auth)? {
        let seqs = since.into_iter().map(|(chat, (_, seq))| (chat, seq));
        ledger.replays(number, seqs.collect());
        connection.begin_after(positions).await?;
    }
    Ok(connection)
}
