//! All sessions by their ids.
//! Does not know the state of a session.

use std::collections::HashMap;
use std::sync::Arc;

use engineioxide_core::Sid;
use parking_lot::Mutex;

/// How many sessions may be forgotten before memory is given back.
const FEW: usize = 64;

/// All sessions.
pub(super) struct Registry<Session>(Mutex<HashMap<Sid, Arc<Session>>>);

impl<Session> Registry<Session> {
    /// Without sessions.
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::default()))
    }

    /// Adds a session.
    pub(super) fn add(&self, sid: Sid, session: Arc<Session>) {
        self.0.lock().insert(sid, session);
    }

    /// The session of this id.
    pub(super) fn find(&self, sid: &str) -> Option<Arc<Session>> {
        let sid = sid.parse().ok()?;
        self.0.lock().get(&sid).cloned()
    }

    /// Forgets a session.
    pub(super) fn forget(&self, sid: &Sid) {
        let mut sessions = self.0.lock();
        let forgotten = sessions.remove(sid);
        // Releases memory after many sessions.
        if sessions.capacity() > FEW && sessions.len() * 4 < sessions.capacity() {
            sessions.shrink_to_fit();
        }
        drop(sessions);
        // Not while the table is locked: dropping it may access the table.
        drop(forgotten);
    }

    /// Every session that there is now.
    pub(super) fn all(&self) -> Vec<Arc<Session>> {
        self.0.lock().values().cloned().collect()
    }
}
