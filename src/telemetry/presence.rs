//! One connection in the figures: counted while it is there, whatever way it ends.
//! It refuses to know what a connection is.

use parking_lot::Mutex;
use tokio::time::Instant;

use super::labels::{Ending, OfConnection, Spoken, Transport};
use super::metrics::{Metrics, Taken};
use crate::model::{Command, ErrorKind};

/// A connection that is counted from [`Presence::begin`] to [`Presence::end`], or to its drop.
#[derive(Debug)]
pub struct Presence {
    metrics: Metrics,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    spoken: Spoken,
    transport: Transport,
    /// Whether it is counted as being there.
    there: bool,
}

impl State {
    fn labels(self) -> OfConnection {
        OfConnection::new(self.spoken, self.transport)
    }
}

impl Presence {
    /// A connection that is not counted yet.
    pub fn new(metrics: Metrics, spoken: Spoken, transport: Transport) -> Self {
        let state = State {
            spoken,
            transport,
            there: false,
        };
        Self {
            metrics,
            state: Mutex::new(state),
        }
    }

    /// It is there.
    pub fn begin(&self) {
        let mut state = self.state.lock();
        if !std::mem::replace(&mut state.there, true) {
            self.metrics.connection_opened(&state.labels());
        }
    }

    /// It is not there any more, for this reason; only the first one counts.
    pub fn end(&self, ending: Ending) {
        let mut state = self.state.lock();
        if std::mem::replace(&mut state.there, false) {
            self.metrics.connection_closed(&state.labels(), ending);
        }
    }

    /// From now on this is spoken.
    pub fn speaks(&self, spoken: Spoken) {
        self.change(|state| state.spoken = spoken);
    }

    /// From now on it goes over this transport.
    pub fn goes_over(&self, transport: Transport) {
        self.change(|state| state.transport = transport);
    }

    /// A client asks for this.
    pub fn asked(&self, command: &Command) {
        self.metrics.asked(self.spoken(), command);
    }

    /// A client is told of an error.
    pub fn refused(&self, kind: ErrorKind) {
        self.metrics.refused(self.spoken(), kind);
    }

    /// What was read at this moment has sent a message, and is answered now.
    pub fn acknowledged(&self, read: Instant) {
        let figures = self.metrics.of(self.spoken());
        figures.acknowledgement.observe(read.elapsed());
    }

    /// What was taken out of the outbox is on its way to the client.
    pub fn delivered(&self, taken: Option<Taken>) {
        if let Some(Taken { oldest, messages }) = taken {
            let figures = self.metrics.of(self.spoken());
            figures.delivery.observe_many(oldest.elapsed(), messages);
            figures.deliveries.inc_by(messages);
        }
    }

    fn spoken(&self) -> Spoken {
        self.state.lock().spoken
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock();
        let before = state.labels();
        change(&mut state);
        let after = state.labels();
        if state.there && before != after {
            self.metrics.connection_changed(&before, &after);
        }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.end(Ending::Gone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the figures say of connections, except what is 0.
    fn said(metrics: &Metrics) -> Vec<String> {
        let text = metrics.text();
        let lines = text
            .lines()
            .filter(|line| line.starts_with("polychat_connections") && !line.ends_with(" 0"));
        lines.map(str::to_owned).collect()
    }

    #[test]
    fn a_connection_is_counted_until_it_is_dropped() {
        let metrics = Metrics::default();
        let presence = Presence::new(metrics.clone(), Spoken::Type, Transport::Raw);
        assert!(said(&metrics).is_empty());
        presence.begin();
        let opened = r#"polychat_connections_opened_total{dialect="type",transport="raw"} 1"#;
        let there = r#"polychat_connections{dialect="type",transport="raw"} 1"#;
        assert_eq!(said(&metrics), [there, opened]);
        drop(presence);
        let closed = r#"polychat_connections_closed_total{reason="gone"} 1"#;
        assert_eq!(said(&metrics), [opened, closed]);
    }

    #[test]
    fn the_first_reason_counts_and_only_once() {
        let metrics = Metrics::default();
        let presence = Presence::new(metrics.clone(), Spoken::Type, Transport::Raw);
        presence.begin();
        presence.end(Ending::Lagging);
        presence.end(Ending::ShuttingDown);
        drop(presence);
        let closed = r#"polychat_connections_closed_total{reason="lagging"} 1"#;
        assert_eq!(said(&metrics).last().map(String::as_str), Some(closed));
        let cut = "\npolychat_slow_clients_cut_total 1\n";
        assert!(metrics.text().contains(cut));
    }

    #[test]
    fn who_never_came_never_left() {
        let metrics = Metrics::default();
        let presence = Presence::new(metrics.clone(), Spoken::Action, Transport::Raw);
        presence.speaks(Spoken::Type);
        drop(presence);
        assert!(said(&metrics).is_empty());
    }

    #[test]
    fn a_connection_that_changes_is_counted_once() {
        let metrics = Metrics::default();
        let presence = Presence::new(metrics.clone(), Spoken::Undecided, Transport::Polling);
        presence.begin();
        presence.speaks(Spoken::Action);
        presence.goes_over(Transport::WebSocket);
        let there = r#"polychat_connections{dialect="action",transport="websocket"} 1"#;
        let opened =
            r#"polychat_connections_opened_total{dialect="undecided",transport="polling"} 1"#;
        assert_eq!(said(&metrics), [there, opened]);
    }
}
