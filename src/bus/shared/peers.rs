//! The other nodes as far as they are heard, and this node's own batches until they come back.
//! Does not know what is in a batch.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::bus::RELIANCE;
use crate::model::NodeId;

/// How long after the latest batch of another node this one still reckons with it, and how long it listens at
/// first, before it takes itself to be alone.
const ALONE: Duration = Duration::from_secs(10);

/// How long a node may be silent until it is forgotten.
const FORGET: Duration = Duration::from_secs(12);

/// How many of its own batches a node remembers that have not come back.
const REMEMBERED: usize = 4096;

/// What is known of the nodes.
pub(super) struct Peers {
    own: NodeId,
    state: Mutex<State>,
}

struct State {
    heard: HashMap<NodeId, Peer>,
    /// The nodes that are expected, without this one.
    expected: Vec<NodeId>,
    /// When another one was heard last; at first: when this began.
    last: Instant,
    /// The numbers of this node's batches, and when each was sent.
    under_way: VecDeque<(u64, Instant)>,
    lag: Duration,
    /// How often batches of another one were missing.
    gaps: u64,
}

struct Peer {
    /// The number of its latest batch; `None`: any may be next.
    n: Option<u64>,
    heard: Instant,
    /// A resync has followed its silence.
    silent: bool,
}

/// What the number of a batch shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Arrival {
    /// The node was not known.
    pub(super) is_new: bool,
    /// It is not the batch that was next: others may have been lost.
    pub(super) has_gap: bool,
}

impl Peers {
    pub(super) fn new(own: NodeId, now: Instant) -> Self {
        let state = State {
            heard: HashMap::new(),
            expected: Vec::new(),
            last: now,
            under_way: VecDeque::new(),
            lag: Duration::ZERO,
            gaps: 0,
        };
        let state = Mutex::new(state);
        Self { own, state }
    }

    /// A batch of this node will be sent.
    pub(super) fn sending(&self, n: u64, now: Instant) {
        let mut state = self.state.lock();
        if state.under_way.len() >= REMEMBERED {
            state.under_way.pop_front();
        }
        state.under_way.push_back((n, now));
    }

    /// A batch of this node has come back; answers when it was sent.
    pub(super) fn own_heard(&self, n: u64, now: Instant) -> Option<Instant> {
        let mut state = self.state.lock();
        let mut sent = None;
        while let Some((next, at)) = state.under_way.front().copied()
            && next <= n
        {
            sent = (next == n).then_some(at);
            state.under_way.pop_front();
        }
        if let Some(sent) = sent {
            state.lag = now.saturating_duration_since(sent);
        }
        sent
    }

    /// A batch of another node has come.
    pub(super) fn heard(&self, node: NodeId, n: u64, now: Instant) -> Arrival {
        let mut state = self.state.lock();
        state.last = now;
        let Some(peer) = state.heard.get_mut(&node) else {
            let peer = Peer {
                n: Some(n),
                heard: now,
                silent: false,
            };
            state.heard.insert(node, peer);
            let has_gap = n > 1;
            state.gaps += u64::from(has_gap);
            return Arrival {
                is_new: true,
                has_gap,
            };
        };
        let latest = peer.n.unwrap_or(n.saturating_sub(1));
        let has_gap = n != latest.saturating_add(1);
        peer.n = Some(n.max(latest));
        (peer.heard, peer.silent) = (now, false);
        state.gaps += u64::from(has_gap);
        Arrival {
            is_new: false,
            has_gap,
        }
    }

    /// The link was opened anew, and a resync follows: it makes up for what is missing before each node's next batch,
    /// too.
    pub(super) fn reopened(&self) {
        for peer in self.state.lock().heard.values_mut() {
            peer.n = None;
        }
    }

    /// A node has said that it ends.
    pub(super) fn forget(&self, node: NodeId) {
        self.state.lock().heard.remove(&node);
    }

    /// Whether something may have been lost since a node is silent: so once after [`RELIANCE`], and once when it is
    /// forgotten.
    pub(super) fn has_silent(&self, now: Instant) -> bool {
        let mut state = self.state.lock();
        let mut found = false;
        state.heard.retain(|_, peer| {
            let silence = now.saturating_duration_since(peer.heard);
            if silence > RELIANCE && !std::mem::replace(&mut peer.silent, true) {
                found = true;
            }
            let known = silence <= FORGET;
            found |= !known;
            known
        });
        found
    }

    /// The nodes that use the store.
    pub(super) fn expect(&self, nodes: &[NodeId]) {
        let others = nodes.iter().filter(|node| **node != self.own);
        self.state.lock().expected = others.copied().collect();
    }

    /// Whether each node that is expected was heard a short while ago.
    pub(super) fn all_heard(&self, now: Instant) -> bool {
        let state = self.state.lock();
        let mut expected = state.expected.iter();
        expected.all(|node| {
            let peer = state.heard.get(node);
            peer.is_some_and(|peer| peer.is_heard(now))
        })
    }

    /// Calls `set` with whether there is no other node: none is expected, none was heard for a while, and this node
    /// has heard itself, so that it would have heard another. No other call of this runs meanwhile.
    pub(super) fn judge_alone(&self, hears_itself: bool, now: Instant, set: impl FnOnce(bool)) {
        let state = self.state.lock();
        let quiet = now.saturating_duration_since(state.last) > ALONE;
        set(hears_itself && quiet && state.expected.is_empty());
    }

    /// How many nodes there are, this one included: those that are heard or, if these are more, expected.
    pub(super) fn count(&self) -> usize {
        let state = self.state.lock();
        1 + state.heard.len().max(state.expected.len())
    }

    /// How many others are heard.
    pub(super) fn heard_now(&self, now: Instant) -> usize {
        let state = self.state.lock();
        let heard = state.heard.values().filter(|peer| peer.is_heard(now));
        heard.count()
    }

    /// How long the latest batch took there and back, or for how long the oldest one has not come back.
    pub(super) fn lag(&self, now: Instant) -> Duration {
        let state = self.state.lock();
        let oldest = state.under_way.front();
        let waiting = oldest.map(|(_, sent)| now.saturating_duration_since(*sent));
        state.lag.max(waiting.unwrap_or_default())
    }

    /// How often batches of another one were missing before one that came.
    pub(super) fn gaps(&self) -> u64 {
        self.state.lock().gaps
    }
}

impl Peer {
    fn is_heard(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.heard) < RELIANCE
    }
}

#[cfg(test)]
#[path = "peers_tests.rs"]
mod tests;
