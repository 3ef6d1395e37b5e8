//! The requests of one connection that have begun and were not answered yet.
//! Does not serve them.

use std::sync::Arc;

use futures_util::stream::FuturesOrdered;
use tokio::time::Instant;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::gateway::dialect::Respond;
use crate::hub::{Entering, Outgoing, Reserved};
use crate::model::{Chat, ChatRef, Command, Error, Message, Reply};

/// What the log line of a request needs.
#[derive(Clone, Copy)]
pub(super) struct Logged {
    /// The request's name; `None`: it is not logged.
    pub(super) name: Option<&'static str>,
    /// When it came in.
    pub(super) read: Instant,
}

/// A request that was served.
pub(super) struct Finished {
    pub(super) respond: Respond,
    pub(super) outcome: Result<Reply, Error>,
    pub(super) logged: Logged,
    pub(super) token: TaskTrackerToken,
    /// Present if the outcome shows this chat: the connection may watch it then.
    pub(super) entering: Option<(Entering, ChatRef)>,
    /// Dropped once the response is in the outbox.
    pub(super) _reserved: Option<Reserved>,
}

/// A response whose turn has not come.
pub(super) struct PendingResponse {
    pub(super) message: Arc<Message>,
    pub(super) frames: Vec<Outgoing>,
    pub(super) latest: Instant,
    pub(super) logged: Logged,
    pub(super) _token: TaskTrackerToken,
}

/// The requests that have begun, in their order.
pub(super) struct Unanswered<F: Future<Output = Finished>> {
    /// The first of them, if it was served.
    pub(super) waiting: Option<Box<PendingResponse>>,
    pub(super) storing: FuturesOrdered<F>,
}

impl<F: Future<Output = Finished>> Unanswered<F> {
    pub(super) fn new() -> Self {
        Self {
            waiting: None,
            storing: FuturesOrdered::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.storing.len() + usize::from(self.waiting.is_some())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The chat that the reply to this request shows, to which the client may subscribe by it.
pub(super) fn shows(command: &Command) -> Option<ChatRef> {
    match command {
        Command::GetRoom { chat, .. } | Command::JoinChat { chat, .. } => Some(chat.clone()),
        _ => None,
    }
}

/// The chat that a reply shows.
pub(super) fn shown(outcome: &Result<Reply, Error>) -> Option<&Chat> {
    match outcome {
        Ok(Reply::Room(room)) => Some(&room.chat),
        Ok(Reply::Joined(joined)) => Some(&joined.chat),
        _ => None,
    }
}
