//! The interface of a connection to the hub: encodes notices for its client.
//! Does not know dialects: each implements [`Subscriber`] for its sessions.

use std::sync::Arc;

use super::{Body, Outgoing};
use crate::model::{ChatId, Notice};

/// One connection: its dialect, and the subscriptions of its client.
pub trait Subscriber: Send + Sync {
    /// Encodes `notice` for this client and passes the frames, none to several, to `sink`. Runs
    /// under the lock of the chat's room, so it must not block. Bodies that many clients get
    /// alike are taken from `shared`.
    fn encode(&self, notice: &Notice, shared: &mut SharedEncoding, sink: &mut dyn FnMut(Outgoing));

    /// Whether the client receives the messages of this chat, or knows them as its own. Once
    /// true it stays true; messages delivered before that count as skipped.
    fn is_subscribed(&self, chat: ChatId) -> bool {
        let _ = chat;
        true
    }

    /// The place of the answers to the client's own messages among the deliveries of this chat.
    fn answer_place(&self, chat: ChatId) -> AnswerPlace {
        let _ = chat;
        AnswerPlace::Apart
    }
}

/// Where the answer to a client's own message stands among the messages that are delivered to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerPlace {
    /// Anywhere: it is no part of the stream of messages.
    Apart,
    /// Anywhere as yet: the client may subscribe to the messages of the chat before this one is
    /// delivered.
    NotYet,
    /// In place of the message, which is not delivered where it came from.
    Instead,
    /// Beside the message, which is delivered where it came from, too.
    Beside,
}

/// The bodies of one notice, each encoded once for all subscribers.
#[derive(Default)]
pub struct SharedEncoding(Vec<(&'static str, Arc<Body>)>);

impl SharedEncoding {
    /// The body under `key`, encoded by `encode` at the first call. A key names a dialect and a
    /// purpose.
    pub fn body(&mut self, key: &'static str, encode: impl FnOnce() -> Arc<Body>) -> Arc<Body> {
        if let Some((_, body)) = self.0.iter().find(|(known, _)| *known == key) {
            return Arc::clone(body);
        }
        let body = encode();
        self.0.push((key, Arc::clone(&body)));
        body
    }
}
