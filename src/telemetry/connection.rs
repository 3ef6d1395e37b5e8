//! The metrics of one connection: counted while it is open, however it ends.
//! Does not know the connection behind the labels.

use parking_lot::Mutex;
use tokio::time::Instant;

use super::labels::{CloseReason, DialectLabel, OfConnection, Transport};
use super::metrics::{Metrics, Taken};
use crate::model::{Command, ErrorKind};

/// The metrics of one connection, which counts from [`ConnectionMetrics::begin`] to
/// [`ConnectionMetrics::end`], or until it is dropped.
#[derive(Debug)]
pub struct ConnectionMetrics {
    metrics: Metrics,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    dialect: DialectLabel,
    transport: Transport,
    /// Whether it is counted as open.
    open: bool,
}

impl State {
    fn labels(self) -> OfConnection {
        OfConnection::new(self.dialect, self.transport)
    }
}

impl ConnectionMetrics {
    /// A connection that is not counted yet.
    pub fn new(metrics: Metrics, dialect: DialectLabel, transport: Transport) -> Self {
        let state = State {
            dialect,
            transport,
            open: false,
        };
        Self {
            metrics,
            state: Mutex::new(state),
        }
    }

    /// It is open.
    pub fn begin(&self) {
        let mut state = self.state.lock();
        if !std::mem::replace(&mut state.open, true) {
            self.metrics.connection_opened(&state.labels());
        }
    }

    /// It is closed, for this reason; only the first reason counts.
    pub fn end(&self, reason: CloseReason) {
        let mut state = self.state.lock();
        if std::mem::replace(&mut state.open, false) {
            self.metrics.connection_closed(&state.labels(), reason);
        }
    }

    /// Changes its dialect.
    pub fn set_dialect(&self, dialect: DialectLabel) {
        self.change(|state| state.dialect = dialect);
    }

    /// Changes its transport.
    pub fn set_transport(&self, transport: Transport) {
        self.change(|state| state.transport = transport);
    }

    /// Counts a command.
    pub fn count_command(&self, command: &Command) {
        self.metrics.count_command(self.dialect(), command);
    }

    /// Counts an error that the client gets.
    pub fn refused(&self, kind: ErrorKind) {
        self.metrics.refused(self.dialect(), kind);
    }

    /// A request that was read at this instant has stored a message, and is answered now.
    pub fn acknowledged(&self, read: Instant) {
        let metrics = self.metrics.of(self.dialect());
        metrics.acknowledgement.observe(read.elapsed());
    }

    /// The messages that were taken from the outbox are written to the socket.
    pub fn delivered(&self, taken: Option<Taken>) {
        if let Some(Taken { oldest, messages }) = taken {
            let metrics = self.metrics.of(self.dialect());
            metrics.delivery.observe_many(oldest.elapsed(), messages);
            metrics.deliveries.inc_by(messages);
        }
    }

    fn dialect(&self) -> DialectLabel {
        self.state.lock().dialect
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock();
        let before = *state;
        change(&mut state);
        if state.open && before != *state {
            let (before, after) = (before.labels(), state.labels());
            self.metrics.connection_changed(&before, &after);
        }
    }
}

impl Drop for ConnectionMetrics {
    fn drop(&mut self) {
        self.end(CloseReason::Gone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The metrics of connections, except those that are 0.
    fn samples(metrics: &Metrics) -> Vec<String> {
        let text = metrics.text();
        let lines = text
            .lines()
            .filter(|line| line.starts_with("polychat_connections") && !line.ends_with(" 0"));
        lines.map(str::to_owned).collect()
    }

    #[test]
    fn a_connection_is_counted_until_it_is_dropped() {
        let metrics = Metrics::default();
        let connection =
            ConnectionMetrics::new(metrics.clone(), DialectLabel::Type, Transport::Raw);
        assert!(samples(&metrics).is_empty());
        connection.begin();
        let opened = r#"polychat_connections_opened_total{dialect="type",transport="raw"} 1"#;
        let there = r#"polychat_connections{dialect="type",transport="raw"} 1"#;
        assert_eq!(samples(&metrics), [there, opened]);
        drop(connection);
        let closed = r#"polychat_connections_closed_total{reason="gone"} 1"#;
        assert_eq!(samples(&metrics), [opened, closed]);
    }

    #[test]
    fn the_first_reason_counts_and_only_once() {
        let metrics = Metrics::default();
        let connection =
            ConnectionMetrics::new(metrics.clone(), DialectLabel::Type, Transport::Raw);
        connection.begin();
        connection.end(CloseReason::Lagging);
        connection.end(CloseReason::ShuttingDown);
        drop(connection);
        let closed = r#"polychat_connections_closed_total{reason="lagging"} 1"#;
        assert_eq!(samples(&metrics).last().map(String::as_str), Some(closed));
        let cut = "\npolychat_slow_clients_cut_total 1\n";
        assert!(metrics.text().contains(cut));
    }

    #[test]
    fn who_never_came_never_left() {
        let metrics = Metrics::default();
        let connection =
            ConnectionMetrics::new(metrics.clone(), DialectLabel::Action, Transport::Raw);
        connection.set_dialect(DialectLabel::Type);
        drop(connection);
        assert!(samples(&metrics).is_empty());
    }

    #[test]
    fn a_connection_that_changes_is_counted_once() {
        let metrics = Metrics::default();
        let connection =
            ConnectionMetrics::new(metrics.clone(), DialectLabel::Undecided, Transport::Polling);
        connection.begin();
        connection.set_dialect(DialectLabel::Action);
        connection.set_transport(Transport::WebSocket);
        let there = r#"polychat_connections{dialect="action",transport="websocket"} 1"#;
        let opened =
            r#"polychat_connections_opened_total{dialect="undecided",transport="polling"} 1"#;
        assert_eq!(samples(&metrics), [there, opened]);
    }
}
