//! A batch while it is appended: the messages still to be inserted, and the outcomes of the rest.
//! Does not query the database.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use mongodb::bson::{Bson, DateTime, Uuid};

use super::fields::date;
use super::heads::{LockedHeads, Written};
use super::message_document::MessageDocument;
use crate::model::{ChatId, PendingMessage};

/// The outcome of an entry.
#[derive(Debug)]
pub(super) enum Outcome {
    /// Not inserted yet.
    Pending,
    /// There is no such chat, or it has a later message than the imported one.
    NoChat,
    /// It is stored.
    Stored(MessageDocument),
    /// Its sender had stored this message with the same `client_id` before.
    Repeated(MessageDocument),
    /// It repeats the entry of the batch with this index.
    SameAs(usize),
}

/// An entry that is not stored yet.
struct PendingEntry {
    /// Its index in the batch.
    index: usize,
    /// The entry's own time; that of its predecessor may be later.
    at: DateTime,
    document: MessageDocument,
}

impl PendingEntry {
    /// Whether it was imported, and is earlier than the one before it in its chat. `latest`: the times of
    /// those before it, by chat.
    fn is_late(&self, heads: &LockedHeads, latest: &mut HashMap<ChatId, DateTime>) -> bool {
        let chat = self.document.chat();
        let latest = latest.entry(chat).or_insert_with(|| {
            let head = heads.get(chat).filter(|head| head.seq > 0);
            head.map_or(DateTime::MIN, |head| head.latest_at)
        });
        if self.document.is_imported() && self.at < *latest {
            return true;
        }
        *latest = self.at.max(*latest);
        false
    }
}

/// A batch while it is appended.
pub(super) struct Batch {
    /// The entries that are not stored yet, in order.
    pending: VecDeque<PendingEntry>,
    outcomes: Vec<Outcome>,
    /// The ids of messages whose insert was not answered: they may be stored.
    uncertain: HashSet<Uuid>,
}

impl Batch {
    /// A batch of these entries for the locked chats.
    pub(super) fn new(entries: Vec<PendingMessage>, heads: &LockedHeads) -> Self {
        let mut batch = Self {
            pending: VecDeque::with_capacity(entries.len()),
            outcomes: Vec::with_capacity(entries.len()),
            uncertain: HashSet::new(),
        };
        let mut named = HashMap::new();
        for (index, entry) in entries.into_iter().enumerate() {
            if heads.get(entry.chat).is_none() {
                batch.outcomes.push(Outcome::NoChat);
                continue;
            }
            let at = date(entry.at);
            let document = MessageDocument::from(entry);
            let earlier = document.key.map(|key| *named.entry(key).or_insert(index));
            if let Some(earlier) = earlier.filter(|earlier| *earlier != index) {
                batch.outcomes.push(Outcome::SameAs(earlier));
                continue;
            }
            batch.outcomes.push(Outcome::Pending);
            batch.pending.push_back(PendingEntry {
                index,
                at,
                document,
            });
        }
        batch
    }

    /// How many entries are still to be inserted.
    pub(super) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// The insert of the pending entries was not answered: each may be stored.
    pub(super) fn mark_uncertain(&mut self) {
        let pending = self.pending.iter();
        self.uncertain
            .extend(pending.map(|entry| entry.document.id));
    }

    /// The chats of the pending entries.
    pub(super) fn chats(&self) -> BTreeSet<ChatId> {
        let chats = self.pending.iter();
        chats.map(|entry| entry.document.chat()).collect()
    }

    /// The first pending message.
    pub(super) fn first(&self) -> Option<&MessageDocument> {
        self.pending.front().map(|entry| &entry.document)
    }

    /// Assigns the `seq`s after the heads of their chats to the pending messages, and returns
    /// those in order.
    pub(super) fn assign_seqs(
        &mut self,
        heads: &LockedHeads,
    ) -> impl Iterator<Item = &MessageDocument> {
        let mut latest = HashMap::new();
        for PendingEntry { at, document, .. } in &mut self.pending {
            let chat = document.chat();
            let (seq, latest_at) = latest.entry(chat).or_insert_with(|| {
                let head = heads.get(chat);
                head.map_or((0, *at), |head| (head.seq, head.latest_at))
            });
            *seq += 1;
            *latest_at = (*at).max(*latest_at);
            document.chat_seq.seq = *seq;
            document.created_at = *latest_at;
            document.modified_at = *latest_at;
        }
        self.pending.iter().map(|entry| &entry.document)
    }

    /// Whether a pending message was imported, and is earlier than the one before it.
    pub(super) fn has_late(&self, heads: &LockedHeads) -> bool {
        let mut pending = self.pending.iter();
        // Mostly none was, and this is on the path of every message.
        if !pending.clone().any(|entry| entry.document.is_imported()) {
            return false;
        }
        let mut latest = HashMap::new();
        pending.any(|entry| entry.is_late(heads, &mut latest))
    }

    /// Completes those: they keep their times.
    pub(super) fn refuse_late(&mut self, heads: &LockedHeads) {
        let mut latest = HashMap::new();
        let Self {
            pending, outcomes, ..
        } = self;
        pending.retain(|entry| {
            let is_late = entry.is_late(heads, &mut latest);
            if is_late {
                outcomes[entry.index] = Outcome::NoChat;
            }
            !is_late
        });
    }

    /// The first `count` pending messages are stored with the `seq`s assigned last.
    pub(super) fn mark_stored(&mut self, count: usize, heads: &mut LockedHeads) {
        let count = count.min(self.pending.len());
        for PendingEntry {
            index, document, ..
        } in self.pending.drain(..count)
        {
            heads.advance(document.latest());
            self.outcomes[index] = Outcome::Stored(document);
        }
    }

    /// The keys of the pending messages that have one.
    pub(super) fn keys(&self) -> Vec<Bson> {
        let keys = self.pending.iter().filter_map(|entry| entry.document.key);
        keys.map(Bson::from).collect()
    }

    /// The `_id`s with which the uncertain messages were sent last. They can be stored under no
    /// others: an `_id` taken by another message has rejected this one, and an ordered insert
    /// stops there.
    pub(super) fn uncertain_ids(&self) -> Vec<Bson> {
        let pending = self.pending.iter().map(|entry| &entry.document);
        let uncertain = pending.filter(|document| self.uncertain.contains(&document.id));
        uncertain.map(|document| document.chat_seq.into()).collect()
    }

    /// Completes the pending entries that are among these stored messages, since their insert was
    /// not answered, or that repeat the key of one of them.
    pub(super) fn resolve(&mut self, found: &[MessageDocument], heads: &mut LockedHeads) {
        let by_id: HashMap<_, _> = found.iter().map(|found| (found.id, found)).collect();
        let keyed = found.iter().filter_map(|found| Some((found.key?, found)));
        let by_key: HashMap<_, _> = keyed.collect();
        let Self {
            pending,
            outcomes,
            uncertain,
        } = self;
        pending.retain(
            |PendingEntry {
                 index, document, ..
             }| {
                let own = by_id.get(&document.id);
                let own = own.filter(|_| uncertain.contains(&document.id));
                let first = document.key.and_then(|key| by_key.get(&key));
                outcomes[*index] = match (own, first) {
                    (Some(own), _) => {
                        heads.advance(own.latest());
                        Outcome::Stored(MessageDocument::clone(own))
                    }
                    (None, Some(first)) => Outcome::Repeated(MessageDocument::clone(first)),
                    (None, None) => return true,
                };
                false
            },
        );
    }

    /// The messages that this batch has stored.
    pub(super) fn written(&self) -> Written {
        let mut written = Written::new();
        for outcome in &self.outcomes {
            if let Outcome::Stored(document) = outcome {
                let messages = written.entry(document.chat()).or_default();
                messages.push((document.sender, document.chat_seq.seq));
            }
        }
        written
    }

    /// The outcome of each entry, in their order.
    pub(super) fn into_outcomes(self) -> Vec<Outcome> {
        self.outcomes
    }
}
