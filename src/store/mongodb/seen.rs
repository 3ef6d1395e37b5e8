//! Where each chat was last seen to end, and how far those who wrote there had come by then.
//! Both hold until its next message, so that one question for the number seen and the one after
//! it says for many chats at once whether they still do.
//! It refuses to be believed without that question: another node may have appended since.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use moka::future::Cache;
use mongodb::bson::{Bson, Document, Uuid, doc};
use serde::Deserialize;

use super::Mongo;
use super::batch::Batch;
use super::documents::{CHATS, Latest, LatestDocument, MESSAGES, Number};
use super::fields::Readable;
use super::reading::Query;
use crate::model::{ChatId, Seq};
use crate::store::StoreError;

/// Of how many chats the ends are remembered. The question for all of them still fits into one
/// command: it has two keys of 55 bytes for each.
const REMEMBERED: u64 = 50_000;

/// The number of the latest message of each of some senders.
pub(super) type Own = Vec<(Uuid, Seq)>;

/// The ends of chats as this node has seen them.
#[derive(Debug, Clone)]
pub(super) struct SeenEnds(Cache<ChatId, Seen>);

/// A chat as it was while this was its latest message.
#[derive(Debug, Clone)]
struct Seen {
    /// The number of that message, 0 without one.
    head: Seq,
    /// What its members had written last by then, or later; `None`: nobody has asked.
    own: Option<Arc<Own>>,
}

impl Default for SeenEnds {
    fn default() -> Self {
        Self(Cache::new(REMEMBERED))
    }
}

impl SeenEnds {
    /// Takes note that a chat ends there.
    pub(super) async fn see(&self, chat: ChatId, head: Seq) {
        let known = self.0.get(&chat).await;
        if known.is_none_or(|seen| seen.head != head) {
            self.0.insert(chat, Seen { head, own: None }).await;
        }
    }

    /// Takes note of what the members had written last, asked once the chat was seen to end
    /// there. Not if its latest message is none of theirs: that answer is older.
    pub(super) async fn see_own(&self, chat: ChatId, head: Seq, own: Own) {
        let latest = own.iter().map(|(_, seq)| *seq).max();
        if latest.unwrap_or(0) >= head {
            let own = Some(Arc::new(own));
            self.0.insert(chat, Seen { head, own }).await;
        }
    }

    /// What the members have written last, of a chat that ends there now.
    pub(super) async fn own(&self, chat: ChatId, head: Seq) -> Option<Arc<Own>> {
        let seen = self.0.get(&chat).await;
        seen.filter(|seen| seen.head == head)?.own
    }

    /// Takes note of what this node has appended.
    pub(super) async fn append(&self, batch: &Batch) {
        for (chat, written) in batch.written() {
            let seen = self.0.get(&chat).await;
            self.0.insert(chat, Seen::after(seen, &written)).await;
        }
    }

    async fn head(&self, chat: ChatId) -> Option<Seq> {
        Some(self.0.get(&chat).await?.head)
    }
}

impl Seen {
    /// The chat after these messages: who wrote them, and their numbers, in order. What is known
    /// of the members goes on only if nobody else has written in between.
    fn after(before: Option<Self>, written: &[(Uuid, Seq)]) -> Self {
        let own = before.and_then(|before| {
            let mut own = Own::clone(before.own?.as_ref());
            let expected = before.head + 1..;
            for ((sender, seq), expected) in written.iter().zip(expected) {
                if *seq != expected {
                    return None;
                }
                match own.iter_mut().find(|(member, _)| member == sender) {
                    Some((_, latest)) => *latest = (*latest).max(*seq),
                    None => own.push((*sender, *seq)),
                }
            }
            Some(Arc::new(own))
        });
        let head = written.iter().map(|(_, seq)| *seq).max().unwrap_or(0);
        Self { head, own }
    }
}

impl Mongo {
    /// The latest message of each of these chats; those without one are not there.
    pub(super) async fn latest_of(
        &self,
        chats: &[ChatId],
    ) -> Result<HashMap<ChatId, Latest>, StoreError> {
        let mut seen = HashMap::with_capacity(chats.len());
        for chat in chats {
            if let Some(head) = self.seen.head(*chat).await {
                seen.insert(*chat, head);
            }
        }
        let mut latest = self.still_latest(&seen).await?;
        let moved = |chat: &&ChatId| match seen.get(*chat) {
            Some(0) => latest.contains_key(*chat),
            Some(head) => latest.get(*chat).is_none_or(|latest| latest.seq != *head),
            None => true,
        };
        let moved: HashSet<ChatId> = chats.iter().filter(moved).copied().collect();
        latest.retain(|chat, _| !moved.contains(chat));
        latest.extend(self.looked_up(moved).await?);
        Ok(latest)
    }

    /// Of each of these chats the later one of two messages: the one of this number, and the
    /// one after it.
    async fn still_latest(
        &self,
        seen: &HashMap<ChatId, Seq>,
    ) -> Result<HashMap<ChatId, Latest>, StoreError> {
        let mut there: HashMap<ChatId, Latest> = HashMap::with_capacity(seen.len());
        if seen.is_empty() {
            return Ok(there);
        }
        let numbers = seen.iter().flat_map(|(chat, head)| {
            let number = |seq| Number {
                chat: (*chat).into(),
                seq,
            };
            [number(*head), number(head + 1)]
        });
        let numbers: Vec<Bson> = numbers.map(Bson::from).collect();
        let query = Query {
            fields: doc! { "created_at": 1 },
            ..Query::all(doc! { "_id": { "$in": numbers } })
        };
        for found in self.readable::<LatestDocument>(query).await? {
            let later = there.entry(found.chat).or_insert(found);
            if found.seq > later.seq {
                *later = found;
            }
        }
        Ok(there)
    }

    /// The same for chats of which nothing is known that still holds.
    async fn looked_up(
        &self,
        chats: HashSet<ChatId>,
    ) -> Result<HashMap<ChatId, Latest>, StoreError> {
        if chats.is_empty() {
            return Ok(HashMap::new());
        }
        let chats: Vec<_> = chats.into_iter().collect();
        let stages = [
            doc! { "$match": { "_id": { "$in": chats } } },
            doc! { "$project": { "_id": 1 } },
            with_latest(),
        ];
        let mut ends = HashMap::new();
        for found in self.aggregated::<HeadDocument>(stages).await? {
            let (chat, latest) = (found.chat.into(), found.latest());
            let head = latest.map_or(0, |latest| latest.seq);
            self.seen.see(chat, head).await;
            ends.extend(latest.map(|latest| (chat, latest)));
        }
        Ok(ends)
    }
}

/// A chat and its latest message, which a query puts together.
#[derive(Debug, Clone, Deserialize)]
struct HeadDocument {
    #[serde(rename = "_id")]
    chat: Uuid,
    latest: Vec<LatestDocument>,
}

impl HeadDocument {
    /// `None`: it has no message.
    fn latest(&self) -> Option<Latest> {
        self.latest.first().map(|latest| latest.latest())
    }
}

impl Readable for HeadDocument {
    const COLLECTION: &'static str = CHATS;
    type Model = Self;

    fn model(self) -> Result<Self, StoreError> {
        Ok(self)
    }
}

/// Adds its latest message to a chat. Each chat costs a plan of its own.
fn with_latest() -> Document {
    let number = |seq: Seq| doc! { "chat": "$_id", "seq": seq };
    doc! { "$lookup": {
        "from": MESSAGES,
        "let": { "first": number(0), "last": number(Seq::MAX) },
        "pipeline": [
            { "$match": { "$expr": { "$and": [
                { "$gte": ["$_id", "$$first"] },
                { "$lte": ["$_id", "$$last"] },
            ] } } },
            { "$sort": { "_id": -1 } },
            { "$limit": 1 },
            { "$project": { "created_at": 1 } },
        ],
        "as": "latest",
    } }
}
