//! A batch on its way into the store: what is still to be inserted, and what became of the rest.
//! It refuses to ask the database anything.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use mongodb::bson::{Bson, DateTime, Uuid};

use super::documents::{MessageDocument, Number};
use super::ends::Held;
use super::fields::date;
use crate::model::{ChatId, Entry, Fingerprint, Seq, UserId};

/// What became of an entry.
#[derive(Debug)]
pub(super) enum Outcome {
    /// Nothing yet.
    Waiting,
    /// There is no such chat.
    NoChat,
    /// It is stored.
    Stored(MessageDocument),
    /// Its sender had stored this one under its name before.
    Repeated(MessageDocument),
    /// The same as an earlier entry of the batch, which has this index.
    Like(usize),
}

/// An entry that is not stored yet.
struct Waiting {
    /// Which entry of the batch it is.
    index: usize,
    /// Its own time; that of its predecessor may be later.
    at: DateTime,
    document: MessageDocument,
}

/// A batch on its way.
pub(super) struct Batch {
    /// What is not stored yet, in order.
    waiting: VecDeque<Waiting>,
    outcomes: Vec<Outcome>,
    /// The ids of what was sent without an answer: it may stand.
    doubtful: HashSet<Uuid>,
}

impl Batch {
    /// A batch of these entries, for the chats that are held.
    pub(super) fn new(entries: Vec<Entry>, held: &Held) -> Self {
        let mut batch = Self {
            waiting: VecDeque::with_capacity(entries.len()),
            outcomes: Vec::with_capacity(entries.len()),
            doubtful: HashSet::new(),
        };
        let mut named = HashMap::new();
        for (index, entry) in entries.into_iter().enumerate() {
            if held.get(&entry.chat).is_none_or(|end| end.is_none()) {
                batch.outcomes.push(Outcome::NoChat);
                continue;
            }
            let client_id = entry.draft.client_id.clone();
            let earlier = client_id.map(|name| {
                let earlier = named.entry((entry.chat, entry.sender, name));
                *earlier.or_insert(index)
            });
            if let Some(earlier) = earlier.filter(|earlier| *earlier != index) {
                batch.outcomes.push(Outcome::Like(earlier));
                continue;
            }
            batch.outcomes.push(Outcome::Waiting);
            batch.waiting.push_back(Waiting {
                index,
                at: date(entry.at),
                document: document(entry),
            });
        }
        batch
    }

    /// How much is still to be inserted.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// What waits was sent, and nobody knows what of it stands.
    pub(super) fn doubt(&mut self) {
        let waiting = self.waiting.iter();
        self.doubtful
            .extend(waiting.map(|waiting| waiting.document.id));
    }

    /// The chats of what waits.
    pub(super) fn chats(&self) -> BTreeSet<ChatId> {
        let chats = self.waiting.iter();
        chats.map(|waiting| waiting.document.chat()).collect()
    }

    /// The first that waits.
    pub(super) fn first(&self) -> Option<&MessageDocument> {
        self.waiting.front().map(|waiting| &waiting.document)
    }

    /// Numbers what waits from the ends of its chats on, and gives it in order.
    pub(super) fn number(&mut self, held: &Held) -> impl Iterator<Item = &MessageDocument> {
        let mut ends = HashMap::new();
        for Waiting { at, document, .. } in &mut self.waiting {
            let chat = document.chat();
            let end = held.get(&chat).and_then(|end| **end);
            let (number, latest_at) = ends
                .entry(chat)
                .or_insert_with(|| end.map_or((0, *at), |end| (end.head, end.latest_at)));
            *number += 1;
            *latest_at = (*at).max(*latest_at);
            document.number.seq = *number;
            document.created_at = *latest_at;
            document.modified_at = *latest_at;
        }
        self.waiting.iter().map(|waiting| &waiting.document)
    }

    /// The first `count` of what waits are stored as they were numbered.
    pub(super) fn stand(&mut self, count: usize, held: &mut Held) {
        let count = count.min(self.waiting.len());
        for Waiting {
            index, document, ..
        } in self.waiting.drain(..count)
        {
            let place = held.get_mut(&document.chat());
            if let Some(end) = place.and_then(|place| place.as_mut()) {
                end.head = document.number.seq;
                end.latest_at = document.created_at;
            }
            self.outcomes[index] = Outcome::Stored(document);
        }
    }

    /// The keys of what waits and has one.
    pub(super) fn keys(&self) -> Vec<Uuid> {
        let waiting = self.waiting.iter();
        waiting.filter_map(|waiting| waiting.document.key).collect()
    }

    /// The numbers under which what is doubtful was sent. It can stand nowhere else: once a
    /// number is somebody else's it has not been stored there, and whatever came after it in the
    /// same insert has not been stored at all.
    pub(super) fn doubtful_numbers(&self) -> Vec<Bson> {
        let waiting = self.waiting.iter().map(|waiting| &waiting.document);
        let doubtful = waiting.filter(|document| self.doubtful.contains(&document.id));
        doubtful.map(|document| document.number.into()).collect()
    }

    /// These messages are in the store: what waits and is one of them, or has the key of one of
    /// them, no longer does, be it that it was stored without anybody knowing, or that its sender
    /// had used its name before.
    pub(super) fn found(&mut self, found: &[MessageDocument]) {
        let by_id: HashMap<_, _> = found.iter().map(|found| (found.id, found)).collect();
        let keyed = found.iter().filter_map(|found| Some((found.key?, found)));
        let by_key: HashMap<_, _> = keyed.collect();
        let Self {
            waiting,
            outcomes,
            doubtful,
        } = self;
        waiting.retain(
            |Waiting {
                 index, document, ..
             }| {
                let own = by_id.get(&document.id);
                let own = own.filter(|_| doubtful.contains(&document.id));
                let first = document.key.and_then(|key| by_key.get(&key));
                outcomes[*index] = match (own, first) {
                    (Some(own), _) => Outcome::Stored(MessageDocument::clone(own)),
                    (None, Some(first)) => Outcome::Repeated(MessageDocument::clone(first)),
                    (None, None) => return true,
                };
                false
            },
        );
    }

    /// The chats in which this batch stored messages.
    pub(super) fn stored(&self) -> HashSet<ChatId> {
        self.written().into_keys().collect()
    }

    /// What this batch stored, by chat: who wrote it and its numbers, in order.
    pub(super) fn written(&self) -> HashMap<ChatId, Vec<(Uuid, Seq)>> {
        let mut written: HashMap<_, Vec<_>> = HashMap::new();
        for outcome in &self.outcomes {
            if let Outcome::Stored(document) = outcome {
                let chat = written.entry(document.chat()).or_default();
                chat.push((document.sender, document.number.seq));
            }
        }
        written
    }

    /// What became of each entry, in their order.
    pub(super) fn into_outcomes(self) -> Vec<Outcome> {
        self.outcomes
    }
}

/// What stands for a message that its sender has given this name.
pub(super) fn key(chat: ChatId, sender: UserId, client_id: &str) -> Uuid {
    let named = Fingerprint::of(&format!("{chat} {sender} {client_id}"));
    Uuid::from_bytes(*named.as_bytes())
}

/// An entry as it will stand; its number comes later, and its time may move then.
fn document(entry: Entry) -> MessageDocument {
    let client_id = entry.draft.client_id.as_deref();
    MessageDocument {
        number: Number {
            chat: entry.chat.into(),
            seq: 0,
        },
        id: entry.id.into(),
        key: client_id.map(|name| key(entry.chat, entry.sender, name)),
        sender: entry.sender.into(),
        kind: entry.draft.kind,
        text: entry.draft.text,
        photos: entry.draft.photos,
        client_id: entry.draft.client_id,
        read: entry.draft.sent_as_read,
        created_at: date(entry.at),
        modified_at: date(entry.at),
    }
}
