//! Comparing this node's rooms with the store, for notices of other nodes that were lost: some rooms each second, and all
//! of them after a break of the bus, with the chats of all connected users.
//! Does not repair what it finds: the dispatcher does.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};

use super::waits::Source;
use crate::model::{ChatId, UserId};
use crate::store::StoreError;

/// How often some rooms are compared.
const TICK: Duration = Duration::from_secs(1);

/// Within how many ticks each room is compared once.
const ROUND: usize = 30;

/// How many chats are queried at a time.
const PAGE: usize = 1000;

/// How many users' chats are read at the same time.
const READS: usize = 8;

/// For how long at most a comparison after a break is put off, so that not all nodes query the store at once.
const JITTER_MS: u64 = 500;

/// How far the clocks of nodes may differ, with the time that a notice takes.
const SLACK: Duration = Duration::from_secs(10);

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// A part of the rooms.
    Some,
    /// All rooms.
    Rooms,
    /// All rooms, the chats of all connected users, and what changed in chats other than messages since then.
    Everything(Timestamp),
}

/// What differs from the store.
#[derive(Debug, Default)]
pub(super) struct Differences {
    /// The store has more messages of these.
    pub(super) behind: Vec<ChatId>,
    /// Their members have changed, or they are gone, or connected users are not in them.
    pub(super) doubtful: Vec<ChatId>,
    /// They may have another name, or are events' chats whose state may have changed.
    pub(super) changed: Vec<(ChatId, Changed)>,
    /// Of these connected users tokens are revoked that were issued before a time.
    pub(super) revoked: Vec<(UserId, Timestamp)>,
}

/// What of a chat may have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Changed {
    Name,
    State,
}

/// What is next.
pub(super) enum Step {
    /// A comparison may begin.
    Tick,
    /// One has ended.
    Compared(Result<Differences, StoreError>),
}

/// The comparisons, one at a time.
pub(super) struct Comparisons {
    ticks: Interval,
    /// The rooms of this round that are still to be compared.
    round: Vec<ChatId>,
    /// How many rooms are compared at each tick of it.
    share: usize,
    running: Option<(Extent, BoxFuture<'static, Result<Differences, StoreError>>)>,
    /// Whether everything is to be compared next, and since when.
    wanted: Option<Timestamp>,
}

impl Comparisons {
    pub(super) fn new() -> Self {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            ticks,
            round: Vec::new(),
            share: 0,
            running: None,
            wanted: None,
        }
    }

    /// Everything is to be compared: changes may have been missed since then.
    pub(super) fn want_everything(&mut self, since: Timestamp, source: Source) {
        let since = since - SLACK;
        self.wanted = Some(self.wanted.map_or(since, |wanted| wanted.min(since)));
        self.begin_wanted(source);
    }

    /// Begins a comparison at a tick, unless one is under way.
    pub(super) fn begin(&mut self, extent: Extent, source: Source) {
        if self.running.is_some() {
            return;
        }
        let rooms = match extent {
            Extent::Some => self.part(&source),
            Extent::Rooms | Extent::Everything(_) => source.hub.chats(),
        };
        if !rooms.is_empty() {
            self.running = Some((extent, Box::pin(compare(source, rooms, Vec::new(), None))));
        }
    }

    /// Begins what a failure, or another comparison, has put off.
    pub(super) fn begin_wanted(&mut self, source: Source) {
        if self.running.is_some() {
            return;
        }
        if let Some(since) = self.wanted.take() {
            let comparison = async move {
                sleep(jitter()).await;
                let (rooms, users) = (source.hub.chats(), source.hub.connected_users());
                compare(source, rooms, users, Some(since)).await
            };
            self.running = Some((Extent::Everything(since), Box::pin(comparison)));
        }
    }

    /// The next tick, or the outcome of the comparison that is under way. One that failed after a break is begun again
    /// at the next tick. Nothing is lost if this is not waited for.
    pub(super) async fn next(&mut self) -> Step {
        let Some((extent, running)) = &mut self.running else {
            self.ticks.tick().await;
            return Step::Tick;
        };
        let (extent, outcome) = tokio::select! {
            outcome = running => (*extent, outcome),
            _ = self.ticks.tick() => return Step::Tick,
        };
        self.running = None;
        if let (Extent::Everything(since), Err(_)) = (extent, &outcome) {
            self.wanted = Some(self.wanted.map_or(since, |wanted| wanted.min(since)));
        }
        Step::Compared(outcome)
    }

    /// The next part of the rooms.
    fn part(&mut self, source: &Source) -> Vec<ChatId> {
        if self.round.is_empty() {
            self.round = source.hub.chats();
            self.share = self.round.len().div_ceil(ROUND);
        }
        let rest = self.round.len().saturating_sub(self.share);
        self.round.split_off(rest)
    }
}

/// A delay by which the nodes differ.
fn jitter() -> Duration {
    Duration::from_millis(RandomState::new().hash_one(()) % JITTER_MS)
}

async fn compare(
    source: Source,
    rooms: Vec<ChatId>,
    users: Vec<UserId>,
    since: Option<Timestamp>,
) -> Result<Differences, StoreError> {
    let mut differences = Differences::default();
    for chats in rooms.chunks(PAGE) {
        compare_rooms(&source, chats, since, &mut differences).await?;
    }
    for users in users.chunks(PAGE) {
        let revoked = source.remote.revoked(users).await;
        differences.revoked.extend(revoked?);
    }
    let mut missing = stream::iter(users)
        .map(|user| missing(&source, user))
        .buffer_unordered(READS);
    while let Some(chats) = missing.next().await {
        differences.doubtful.extend(chats?);
    }
    differences.doubtful.sort_unstable();
    differences.doubtful.dedup();
    Ok(differences)
}

async fn compare_rooms(
    source: &Source,
    chats: &[ChatId],
    since: Option<Timestamp>,
    differences: &mut Differences,
) -> Result<(), StoreError> {
    let marks = source.chats.marks(chats).await?;
    let heads = source.chats.heads(chats).await?;
    for ((chat, mark), head) in chats.iter().zip(marks).zip(heads) {
        let Some(mark) = mark else {
            differences.doubtful.push(*chat);
            continue;
        };
        if !source.hub.has_seen_members(*chat, mark.members_version) {
            differences.doubtful.push(*chat);
        }
        if source
            .hub
            .next_after(*chat)
            .is_some_and(|after| after < head)
        {
            differences.behind.push(*chat);
        }
        let Some(since) = since else { continue };
        if mark.of_event {
            differences.changed.push((*chat, Changed::State));
        } else if mark.modified_at >= since && source.hub.is_watched(*chat) {
            differences.changed.push((*chat, Changed::Name));
        }
    }
    Ok(())
}

/// The chats of a user that a connection of it is not in.
async fn missing(source: &Source, user: UserId) -> Result<Vec<ChatId>, StoreError> {
    let chats = source.chats.memberships_of(user).await?;
    let chats: Vec<_> = chats.into_iter().map(|(chat, _)| chat).collect();
    Ok(source.hub.missing(user, &chats))
}
