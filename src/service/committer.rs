//! The work of the service between requests, in one task.
//! Does not do any of it: each part does.

use std::sync::Arc;

use futures_util::future::join4;
use tokio_util::sync::CancellationToken;

use super::member_lists::MemberLists;
use super::sweeper::Sweeper;
use super::{append, newcomers};

/// Writes the queued messages and new users, publishes member lists, and empties deleted chats.
pub struct Committer {
    pub(super) messages: append::Committer,
    pub(super) users: newcomers::Registrar,
    pub(super) member_lists: Arc<MemberLists>,
    pub(super) sweeper: Arc<Sweeper>,
}

impl Committer {
    /// Runs until `stop`, then writes and publishes the rest of the queues.
    pub async fn run(self, stop: CancellationToken) {
        join4(
            self.messages.run(stop.clone()),
            self.users.run(stop.clone()),
            self.member_lists.run(stop.clone()),
            self.sweeper.run(stop),
        )
        .await;
    }
}
