//! Events decoded by the server itself, for one client in a namespace: a silent client takes almost
//! no memory.
//! Does not know sessions, nor the meaning of events.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use engineioxide_core::Sid;
use parking_lot::Mutex;
use tungstenite::Utf8Bytes;

use super::packet::{EventPacket, Packet, connected};
use crate::gateway::engineio::Session;

/// The state of one client.
#[derive(Default)]
pub(super) struct Native {
    /// Whether its CONNECT was answered.
    open: AtomicBool,
    /// The event of which attachments are missing.
    partial: Mutex<Option<Box<Partial>>>,
}

struct Partial {
    event: EventPacket,
    missing: usize,
}

impl Native {
    /// Answers its CONNECT, before anything else is sent to it.
    pub(super) fn connect(&self, session: &Session, namespace: &'static str) {
        let data = format!(r#"{{"sid":"{}"}}"#, Sid::new());
        session.send([connected(session.protocol(), namespace, &data)]);
        self.open.store(true, Ordering::Release);
        session.wake();
    }

    /// Whether its CONNECT was answered.
    pub(super) fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    /// Decodes an event, whose [`Packet::list`] is `list`; `None`: its attachments come next.
    pub(super) fn event(
        &self,
        packet: &Packet<'_>,
        list: (&str, &str),
        text: &Utf8Bytes,
    ) -> Option<EventPacket> {
        let (number, list) = list;
        let whole: &Bytes = text.as_ref();
        // It stands at the end.
        let list = whole.slice(whole.len().saturating_sub(list.len())..);
        let event = EventPacket {
            // It is UTF-8 already.
            text: Utf8Bytes::try_from(list).unwrap_or_default(),
            ack: number.parse().ok(),
            attachments: packet.attachments > 0,
        };
        if !event.attachments {
            return Some(event);
        }
        let missing = packet.attachments;
        *self.partial.lock() = Some(Box::new(Partial { event, missing }));
        None
    }

    /// An attachment has come. Returns the event once it was the last one.
    pub(super) fn attachment(&self) -> Option<EventPacket> {
        let mut partial = self.partial.lock();
        let missing = &mut partial.as_mut()?.missing;
        *missing -= 1;
        if *missing > 0 {
            return None;
        }
        partial.take().map(|partial| partial.event)
    }
}

#[cfg(test)]
#[path = "native_tests.rs"]
mod tests;
