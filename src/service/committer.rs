//! The work of the service between requests, in one task.
//! Does not do any of it: each part does.

use std::sync::Arc;

use futures_util::future::join5;
use tokio_util::sync::CancellationToken;

use super::member_lists::MemberLists;
use super::settlement::Settlement;
use super::sweeper::Sweeper;
use super::{append, newcomers};

/// Writes the queued messages and new users, publishes member lists, empties deleted chats, and looks up
/// changes that the store did not answer.
pub struct Committer {
    pub(super) messages: append::Committer,
    pub(super) users: newcomers::Registrar,
    pub(super) member_lists: Arc<MemberLists>,
    pub(super) sweeper: Arc<Sweeper>,
    pub(super) settlement: Arc<Settlement>,
}

impl Committer {
    /// Runs until `stop`, then writes and publishes the rest of the queues.
    pub async fn run(self, stop: CancellationToken) {
        join5(
            self.messages.run(stop.clone()),
            self.users.run(stop.clone()),
            self.member_lists.run(stop.clone()),
            self.sweeper.run(stop.clone()),
            self.settlement.run(stop),
        )
        .await;
    }
}
