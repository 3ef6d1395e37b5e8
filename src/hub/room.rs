//! The subscriptions of one chat, and which message is the next one for them.
//! Does not encode and queue messages.
//!
//! Messages are delivered to all members in step, up to `delivered`. A connection whose user became a
//! member at an earlier seq than that is a latecomer: the notice of the join was overtaken, by a page
//! that the relay read from the store or by the head with which another connection opened the room.
//! Then the deliveries go back to that seq, and the messages up to `delivered` go to latecomers only.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use super::Subscription;
use super::memberships::SeenMembers;
use super::subscription::Entry;
use crate::model::{ChatPk, ConnectionId, EventChatState, Fact, Notice, Seq};

/// The subscriptions of one chat, and how far messages were delivered to them.
#[derive(Default)]
pub(super) struct Room {
    pub(super) members: HashMap<ConnectionId, Arc<Subscription>>,
    /// Connections that watch without being members: they receive everything but messages.
    pub(super) watchers: HashMap<ConnectionId, Arc<Subscription>>,
    /// The seq of the latest message delivered here; `None`: the first seq to deliver is not yet
    /// known.
    delivered: Option<Seq>,
    /// The connections to which earlier messages are still to be delivered.
    late: Option<Latecomers>,
    /// The connections that are delivered nothing up to a seq which the room has not reached: their clients may have
    /// received that from another node.
    ahead: HashMap<ConnectionId, Seq>,
    /// The greatest seq that the bus has named.
    announced: Seq,
    /// In an event's chat: its state as far as the bus has named it.
    pub(super) state: Option<EventChatState>,
    /// Up to which version of its members the subscriptions are right.
    pub(super) seen: SeenMembers,
    /// Its small integer, known once it is watched.
    pub(super) pk: Option<ChatPk>,
}

/// The connections that miss messages which all others were sent.
struct Latecomers {
    /// The seq of the latest message delivered to them.
    delivered: Seq,
    /// Each with the seq after which it misses messages.
    after: HashMap<ConnectionId, Seq>,
}

/// The messages to be delivered now.
pub(super) struct Due<'a> {
    /// First, each to some: those of the latecomers that miss it, or all that are not ahead of it.
    pub(super) some: Vec<(Vec<Arc<Subscription>>, Cow<'a, Notice>)>,
    /// Then to all members.
    pub(super) all: Vec<Cow<'a, Notice>>,
    /// Whether some are missing before others.
    pub(super) missing: bool,
}

impl Room {
    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty() && self.watchers.is_empty()
    }

    /// Whether earlier messages are still to be delivered to some.
    pub(super) fn has_latecomers(&self) -> bool {
        self.late.is_some()
    }

    /// The seq after which the next message is to be delivered; `None`: not known yet.
    pub(super) fn next_after(&self) -> Option<Seq> {
        let late = self.late.as_ref();
        late.map(|late| late.delivered).or(self.delivered)
    }

    /// The seq of the latest message that was delivered to a member, or was before its deliveries.
    pub(super) fn delivered_to(&self, connection: ConnectionId) -> Option<Seq> {
        let late = self.late.as_ref();
        let after = late.and_then(|late| Some(late.after.get(&connection)?.max(&late.delivered)));
        let after = after.or_else(|| self.ahead.get(&connection));
        after.copied().or(self.delivered)
    }

    /// The greatest seq that the bus has named.
    pub(super) fn announced(&self) -> Seq {
        self.announced
    }

    /// Begins the deliveries after this seq; `false`: they have begun.
    pub(super) fn open(&mut self, head: Seq) -> bool {
        let begins = self.delivered.is_none();
        self.delivered.get_or_insert(head);
        begins
    }

    /// Adds a member, whose user became one when the latest message was `joined` ([`Entry`]). Returns the seq after which
    /// messages are delivered to it, if that is known.
    pub(super) fn add(&mut self, member: &Arc<Subscription>, entry: Entry) -> Option<Seq> {
        let Entry { joined, head, .. } = entry;
        let known = self.members.insert(member.id, Arc::clone(member));
        if let Some(late) = self.late.as_mut().filter(|_| known.is_none()) {
            // It may have been one before it left.
            late.after.remove(&member.id);
        }
        let delivered = self.delivered?;
        let overtaken = joined.filter(|joined| known.is_none() && *joined < delivered);
        if let Some(joined) = overtaken {
            let late = self.late.get_or_insert_with(|| Latecomers {
                delivered,
                after: HashMap::new(),
            });
            late.add(member.id, joined);
        }
        let ahead = head.filter(|head| known.is_none() && *head > delivered);
        if let Some(ahead) = ahead {
            self.ahead.insert(member.id, ahead);
        }
        overtaken.or(ahead).or(Some(delivered))
    }

    /// Whether the store has more than was delivered here, as a member knows that was added.
    pub(super) fn has_ahead(&self) -> bool {
        !self.ahead.is_empty()
    }

    /// Those of these messages that are to be delivered now, which from now on they are: each if it is
    /// the next one.
    pub(super) fn advance<'a>(&mut self, messages: &'a [Arc<Notice>]) -> Due<'a> {
        let mut due = Due {
            some: Vec::new(),
            all: Vec::with_capacity(messages.len()),
            missing: false,
        };
        for notice in messages {
            let Fact::MessageSent(message) = &notice.fact else {
                continue;
            };
            let seq = message.seq;
            self.announced = self.announced.max(seq);
            match self.next_after() {
                Some(after) if seq == after + 1 => {
                    let notice = self.refresh(notice);
                    if let Some(late) = &mut self.late {
                        late.delivered = seq;
                        let missing = late.after.iter().filter(|(_, after)| **after < seq);
                        let members = missing.filter_map(|(id, _)| self.members.get(id));
                        due.some.push((members.map(Arc::clone).collect(), notice));
                    } else {
                        self.delivered = Some(seq);
                        if self.ahead.is_empty() {
                            due.all.push(notice);
                        } else {
                            due.some.push((self.not_ahead_of(seq), notice));
                            self.ahead.retain(|_, ahead| *ahead > seq);
                        }
                    }
                    self.late
                        .take_if(|late| Some(late.delivered) >= self.delivered);
                }
                Some(after) => due.missing |= seq > after,
                None => {}
            }
        }
        due
    }

    /// The members to which this message is to be delivered.
    fn not_ahead_of(&self, seq: Seq) -> Vec<Arc<Subscription>> {
        let is_ahead = |id| self.ahead.get(id).is_some_and(|ahead| *ahead >= seq);
        let members = self.members.iter().filter(|(id, _)| !is_ahead(id));
        members.map(|(_, member)| Arc::clone(member)).collect()
    }

    /// The notice with the latest state of an event's chat: notices of sends and of reads
    /// overtake each other, and the last one delivered has to be right.
    pub(super) fn refresh<'a>(&mut self, notice: &'a Notice) -> Cow<'a, Notice> {
        let Some(chat) = notice.fact.event_chat() else {
            return Cow::Borrowed(notice);
        };
        let state = self.state.get_or_insert(chat.state);
        state.merge(chat.state);
        if *state == chat.state {
            return Cow::Borrowed(notice);
        }
        Cow::Owned(notice.with_state(*state))
    }
}

impl Latecomers {
    /// Adds a connection that misses the messages after this seq.
    fn add(&mut self, connection: ConnectionId, after: Seq) {
        if after < self.delivered {
            for known in self.after.values_mut() {
                *known = self.delivered.max(*known);
            }
            self.delivered = after;
        }
        self.after.insert(connection, after);
    }
}
