//! The labels of metrics: of low cardinality, and never the id of a user.
//! Does not know the metrics that have them.

use prometheus_client::encoding::EncodeLabelSet;
use strum::{EnumCount, EnumIter, IntoStaticStr, VariantArray};

/// The dialect of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumCount, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum DialectLabel {
    /// The event-name dialect.
    EventName,
    /// The action dialect.
    Action,
    /// The type dialect.
    Type,
    /// The marketplace dialect, on either transport.
    Marketplace,
    /// Nothing yet: the first frame will decide.
    Undecided,
    /// The API for the host application's backend; it has requests, but no connections.
    Rest,
}

impl DialectLabel {
    /// Its name in logs and metrics.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// The transport of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum Transport {
    /// The WebSocket of Socket.IO.
    WebSocket,
    /// The polling requests of Socket.IO, until it goes over to a WebSocket.
    Polling,
    /// A raw WebSocket.
    Raw,
}

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum CloseReason {
    /// The client left, or the network failed.
    Gone,
    /// The client sent nothing for too long.
    Silent,
    /// The client did not keep up.
    Lagging,
    /// The client continued after it was refused for being too fast.
    RateLimited,
    /// The server was shutting down.
    ShuttingDown,
    /// The token ended.
    Expired,
    /// The host application has disconnected the user.
    Disconnected,
    /// A frame was longer than allowed.
    TooLarge,
    /// A text was no UTF-8.
    NotUtf8,
    /// The client broke the protocol of its transport.
    ProtocolError,
    /// The client did not authenticate within the handshake timeout.
    NotAdmitted,
    /// The client was refused too often.
    Refused,
    /// The store did not answer when a session began.
    Unavailable,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfConnection {
    pub(super) dialect: &'static str,
    pub(super) transport: &'static str,
}

impl OfConnection {
    pub(super) fn new(dialect: DialectLabel, transport: Transport) -> Self {
        Self {
            dialect: dialect.name(),
            transport: transport.into(),
        }
    }

    /// All that there can be.
    pub(super) fn all() -> [Self; 8] {
        [
            (DialectLabel::EventName, Transport::WebSocket),
            (DialectLabel::EventName, Transport::Polling),
            (DialectLabel::Marketplace, Transport::WebSocket),
            (DialectLabel::Marketplace, Transport::Polling),
            (DialectLabel::Marketplace, Transport::Raw),
            (DialectLabel::Action, Transport::Raw),
            (DialectLabel::Type, Transport::Raw),
            (DialectLabel::Undecided, Transport::Raw),
        ]
        .map(|(dialect, transport)| Self::new(dialect, transport))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfDialect {
    pub(super) dialect: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfCommand {
    pub(super) dialect: &'static str,
    pub(super) command: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfError {
    pub(super) dialect: &'static str,
    pub(super) code: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfReason {
    pub(super) reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfOperation {
    pub(super) operation: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfStoreError {
    pub(super) operation: &'static str,
    pub(super) kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfScope {
    pub(super) scope: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfBuild {
    pub(super) version: &'static str,
    pub(super) store: String,
}
