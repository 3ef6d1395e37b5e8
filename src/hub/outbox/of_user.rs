//! What may wait in all outboxes of one user.
//! Does not know what is in them.

use std::sync::Arc;

use super::state::State;
use super::totals::{Reserved, UserTotal};
use super::{Outbox, OutboxLimits};

/// How many full outboxes may wait for all connections of one user.
const OF_USER: usize = 4;

/// Which part of an outbox is reserved for a long response.
const LONG: usize = 2;

/// Which part of an outbox may wait in any case, however much waits for the user's other
/// connections.
const SPARED: usize = 16;

impl Outbox {
    /// Returns when a long response to its user may be made: while much waits for the connections
    /// of the user, or is reserved for them, it is delayed. `None`: it has no user, or is closed.
    /// Not to be called while another task waits for [`Outbox::has_room`].
    pub async fn reserve(&self) -> Option<Reserved> {
        loop {
            let user = self.open_user()?;
            tokio::select! {
                reserved = user.reserve(self.limits.bytes / LONG, most(&self.limits)) => {
                    return Some(reserved);
                }
                () = self.emptied.notified() => {}
            }
        }
    }

    /// The total of its user, unless it is closed.
    fn open_user(&self) -> Option<Arc<UserTotal>> {
        let state = self.state.lock();
        let user = state.totals.user.clone();
        user.filter(|_| state.closed.is_none())
    }
}

pub(super) fn is_too_much_of_user(state: &State, limits: &OutboxLimits) -> bool {
    state.totals.of_user() > most(limits) && state.bytes() > limits.bytes / SPARED
}

const fn most(limits: &OutboxLimits) -> usize {
    limits.bytes.saturating_mul(OF_USER)
}
