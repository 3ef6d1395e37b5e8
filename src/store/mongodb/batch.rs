//! A batch on its way into the store: what is still to be inserted, and what became of the rest.
//! It refuses to ask the database anything.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use mongodb::bson::{DateTime, Uuid};

use super::documents::MessageDocument;
use super::ends::Held;
use super::fields::date;
use crate::model::{ChatId, Entry, Fingerprint, MessageId, UserId};

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
        chats.map(|waiting| waiting.document.chat.into()).collect()
    }

    /// The chat of the first that waits.
    pub(super) fn first_chat(&self) -> Option<ChatId> {
        let first = self.waiting.front();
        first.map(|waiting| waiting.document.chat.into())
    }

    /// Numbers what waits from the ends of its chats on, and gives it in order.
    pub(super) fn number(&mut self, held: &Held) -> impl Iterator<Item = &MessageDocument> {
        let mut ends = HashMap::new();
        for Waiting { at, document, .. } in &mut self.waiting {
            let chat = ChatId::from(document.chat);
            let end = held.get(&chat).and_then(|end| **end);
            let (number, latest_at) = ends
                .entry(chat)
                .or_insert_with(|| end.map_or((0, *at), |end| (end.head, end.latest_at)));
            *number += 1;
            *latest_at = (*at).max(*latest_at);
            document.seq = *number;
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
            let place = held.get_mut(&document.chat.into());
            if let Some(end) = place.and_then(|place| place.as_mut()) {
                end.head = document.seq;
                end.latest_at = document.created_at;
            }
            self.outcomes[index] = Outcome::Stored(document);
        }
    }

    /// The keys of what waits.
    pub(super) fn keys(&self) -> Vec<Uuid> {
        let waiting = self.waiting.iter();
        waiting.map(|waiting| waiting.document.key).collect()
    }

    /// These messages are in the store: what waits under their keys no longer does, be it that it
    /// was stored without anybody knowing, or that its sender had used its name before.
    pub(super) fn found(&mut self, found: &[MessageDocument]) {
        let by_key: HashMap<_, _> = found.iter().map(|found| (found.key, found)).collect();
        let Self {
            waiting,
            outcomes,
            doubtful,
        } = self;
        waiting.retain(
            |Waiting {
                 index, document, ..
             }| {
                let Some(found) = by_key.get(&document.key) else {
                    return true;
                };
                let found = MessageDocument::clone(found);
                outcomes[*index] = if doubtful.contains(&found.id) && found.id == document.id {
                    Outcome::Stored(found)
                } else {
                    Outcome::Repeated(found)
                };
                false
            },
        );
    }

    /// The keys of the messages that this batch stored, by chat.
    pub(super) fn stored(&self) -> HashMap<ChatId, Vec<Uuid>> {
        let mut stored: HashMap<_, Vec<_>> = HashMap::new();
        for outcome in &self.outcomes {
            if let Outcome::Stored(document) = outcome {
                stored
                    .entry(document.chat.into())
                    .or_default()
                    .push(document.key);
            }
        }
        stored
    }

    /// What became of each entry, in their order.
    pub(super) fn into_outcomes(self) -> Vec<Outcome> {
        self.outcomes
    }
}

/// What makes a message this one and no other.
pub(super) fn key(id: MessageId, chat: ChatId, sender: UserId, client_id: Option<&str>) -> Uuid {
    match client_id {
        Some(client_id) => {
            let named = Fingerprint::of(&format!("{chat} {sender} {client_id}"));
            Uuid::from_bytes(*named.as_bytes())
        }
        None => id.into(),
    }
}

/// An entry as it will stand; its number comes later, and its time may move then.
fn document(entry: Entry) -> MessageDocument {
    MessageDocument {
        key: key(
            entry.id,
            entry.chat,
            entry.sender,
            entry.draft.client_id.as_deref(),
        ),
        id: entry.id.into(),
        chat: entry.chat.into(),
        seq: 0,
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
