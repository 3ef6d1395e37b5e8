//! Queries for the latest messages of chats: the heads that `heads` caches.
//! Does not trust a cached head without verifying it.

use std::collections::{HashMap, HashSet};

use futures_util::future::try_join_all;
use mongodb::bson::{Bson, DateTime, Document, Uuid, doc};
use serde::Deserialize;

use super::Mongo;
use super::database::Query;
use super::documents::{CHATS, ChatSeq, Latest, LatestDocument, MESSAGES, all_of};
use super::fields::Readable;
use super::heads::{ChatHead, Kind, LockedHeads};
use super::retry::retry;
use crate::model::{ChatId, Seq};
use crate::store::StoreError;

/// Up to how many chats are queried directly. A cached head would save nothing: to verify it is a
/// query, too, and a chat that has moved takes a second one.
const FEW: usize = 2;

impl Mongo {
    /// Looks up those locked chats whose heads are not cached.
    pub(super) async fn look_up_heads(&self, locked: &mut LockedHeads) -> Result<(), StoreError> {
        let unknown = locked.unknown();
        if unknown.is_empty() {
            return Ok(());
        }
        let query = || Query::all(doc! { "_id": { "$in": &unknown } });
        for found in retry(|| self.found_all(query())).await? {
            let head = ChatHead {
                pk: found.chat.pk,
                kind: found.event_chat.map_or(Kind::Plain, |_| Kind::Event),
                seq: found.chat.head,
                latest_at: found.latest_at,
            };
            self.heads.look_up(found.chat.id, head).await;
            locked.set(found.chat.id, head);
        }
        Ok(())
    }

    /// Queries the heads of these locked chats again, since another node has appended to them, or
    /// may have. Returns whether one of them has moved.
    pub(super) async fn refresh_heads(
        &self,
        locked: &mut LockedHeads,
        chats: impl IntoIterator<Item = ChatId>,
    ) -> Result<bool, StoreError> {
        let mut moved = false;
        for chat in chats {
            let Some(head) = locked.get_mut(chat) else {
                continue;
            };
            let latest = retry(|| self.latest_message(chat)).await?;
            let before = head.seq;
            // No append of this node is ahead of the query: it would wait for the lock.
            self.heads.observe(chat, latest, Some(before)).await;
            (head.seq, head.latest_at) = match latest {
                Some(latest) => (latest.seq, latest.created_at),
                None => (0, DateTime::MIN),
            };
            moved |= head.seq != before;
        }
        Ok(moved)
    }

    /// The latest message of a chat; `None`: it has none.
    pub(super) async fn latest(&self, chat: ChatId) -> Result<Option<Latest>, StoreError> {
        let latest = self.latest_message(chat).await?;
        self.heads.observe(chat, latest, None).await;
        Ok(latest)
    }

    async fn latest_message(&self, chat: ChatId) -> Result<Option<Latest>, StoreError> {
        self.latest_with(all_of(chat), doc! { "_id": -1 }).await
    }

    /// The first in this order of the messages that match.
    pub(super) async fn latest_with(
        &self,
        filter: Document,
        sort: Document,
    ) -> Result<Option<Latest>, StoreError> {
        let query = first(filter, sort);
        Ok(self.database.all::<LatestDocument>(query).await?.pop())
    }

    /// The latest message of each of these chats, which exist; those without one are left out.
    pub(super) async fn latest_of(
        &self,
        chats: &[ChatId],
    ) -> Result<HashMap<ChatId, Latest>, StoreError> {
        if chats.len() <= FEW {
            return self.latest_of_few(chats).await;
        }
        let cached = self.heads.seqs(chats).await;
        let mut latest = self.verified(&cached).await?;
        let moved = |chat: &&ChatId| match cached.get(*chat) {
            Some(0) => latest.contains_key(*chat),
            Some(seq) => latest.get(*chat).is_none_or(|latest| latest.seq != *seq),
            None => true,
        };
        let moved: HashSet<ChatId> = chats.iter().filter(moved).copied().collect();
        latest.retain(|chat, _| !moved.contains(chat));
        latest.extend(self.looked_up(moved, &cached).await?);
        Ok(latest)
    }

    /// The same by a query for each chat.
    async fn latest_of_few(&self, chats: &[ChatId]) -> Result<HashMap<ChatId, Latest>, StoreError> {
        let queries = chats.iter().map(|chat| async move {
            let query = first(all_of(*chat), doc! { "_id": -1 });
            let latest = self.database.readable::<LatestDocument>(query).await?.pop();
            self.heads.observe(*chat, latest, None).await;
            Ok::<_, StoreError>(latest)
        });
        let latest = try_join_all(queries).await?.into_iter().flatten();
        Ok(latest.map(|latest| (latest.chat, latest)).collect())
    }

    /// Of each of these chats the later one of two messages: the one with this `seq`, and the one
    /// after it.
    async fn verified(
        &self,
        cached: &HashMap<ChatId, Seq>,
    ) -> Result<HashMap<ChatId, Latest>, StoreError> {
        let mut latest: HashMap<ChatId, Latest> = HashMap::with_capacity(cached.len());
        if cached.is_empty() {
            return Ok(latest);
        }
        let ids = cached.iter().flat_map(|(chat, head)| {
            let id = |seq| ChatSeq {
                chat: (*chat).into(),
                seq,
            };
            [id(*head), id(head + 1)]
        });
        let ids: Vec<Bson> = ids.map(Bson::from).collect();
        let query = Query {
            fields: doc! { "created_at": 1 },
            ..Query::all(doc! { "_id": { "$in": ids } })
        };
        for found in self.database.readable::<LatestDocument>(query).await? {
            let later = latest.entry(found.chat).or_insert(found);
            if found.seq > later.seq {
                *later = found;
            }
        }
        Ok(latest)
    }

    /// The latest messages of chats whose heads are not cached, or have moved.
    async fn looked_up(
        &self,
        chats: HashSet<ChatId>,
        disproved: &HashMap<ChatId, Seq>,
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
        let mut heads = HashMap::new();
        for found in self.database.aggregated::<HeadDocument>(stages).await? {
            let (chat, latest) = (found.chat.into(), found.latest());
            let disproved = disproved.get(&chat).copied();
            self.heads.observe(chat, latest, disproved).await;
            heads.extend(latest.map(|latest| (chat, latest)));
        }
        Ok(heads)
    }
}

/// The query for the `seq` and the time of the first message in this order.
fn first(filter: Document, sort: Document) -> Query {
    Query {
        filter,
        sort,
        limit: 1,
        fields: doc! { "created_at": 1 },
        index: None,
    }
}

/// A chat with its latest message, as an aggregation returns it.
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

/// Adds its latest message to a chat. The server plans a query of its own for each chat.
fn with_latest() -> Document {
    let id = |seq: Seq| doc! { "chat": "$_id", "seq": seq };
    doc! { "$lookup": {
        "from": MESSAGES,
        "let": { "first": id(0), "last": id(Seq::MAX) },
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
