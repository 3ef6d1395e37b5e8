//! Where each chat ends, as far as this node knows: a hint, which the unique index on the
//! numbers corrects; and whose turn it is to append to a chat.
//! It refuses to be asked by anybody who only reads.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use mongodb::bson::{DateTime, Document, doc};
use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;

use super::Mongo;
use super::documents::{Latest, LatestDocument, all_of};
use super::reading::Query;
use super::retry::retry;
use crate::model::{ChatId, ChatPk, Seq};
use crate::store::StoreError;

/// How many chats a node remembers the ends of.
const REMEMBERED: usize = 50_000;

/// The end of one chat; `None`: it has to be asked for.
type Place = Arc<tokio::sync::Mutex<Option<End>>>;

/// The ends of chats, each behind a lock that one append at a time holds: two at once from one
/// node would only be in each other's way.
#[derive(Default)]
pub(super) struct Ends(Mutex<HashMap<ChatId, Place>>);

/// The ends of the chats of one batch, held until it is stored; `None`: there is no such chat.
pub(super) type Held = BTreeMap<ChatId, OwnedMutexGuard<Option<End>>>;

/// Where a chat ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct End {
    /// The chat's small integer.
    pub(super) pk: ChatPk,
    /// What kind of chat it is.
    pub(super) kind: Kind,
    /// The number of its latest message, 0 without one.
    pub(super) head: Seq,
    /// When that was stored.
    pub(super) latest_at: DateTime,
}

/// Whether a chat is an event's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Plain,
    Event,
}

impl Ends {
    /// Waits for the turn in all these chats: always in one order, so that nobody waits for
    /// somebody who waits for it.
    pub(super) async fn hold(&self, chats: BTreeSet<ChatId>) -> Held {
        let mut held = Held::new();
        for chat in chats {
            let place = self.place(chat);
            held.insert(chat, place.lock_owned().await);
        }
        held
    }

    /// Forgets a chat that is gone.
    pub(super) fn forget(&self, chat: ChatId) {
        self.0.lock().remove(&chat);
    }

    fn place(&self, chat: ChatId) -> Place {
        let mut places = self.0.lock();
        if places.len() >= REMEMBERED && !places.contains_key(&chat) {
            // Those that somebody holds stay.
            places.retain(|_, place| Arc::strong_count(place) > 1);
        }
        Arc::clone(places.entry(chat).or_default())
    }
}

impl Mongo {
    /// Asks where those of these chats end of which that is not known.
    pub(super) async fn look_up_ends(&self, held: &mut Held) -> Result<(), StoreError> {
        let unknown = held.iter().filter(|(_, end)| end.is_none());
        let unknown: Vec<_> = unknown.map(|(chat, _)| *chat).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let query = || Query::all(doc! { "_id": { "$in": &unknown } });
        let found = retry(|| self.found_all(query())).await?;
        for found in found {
            let end = End {
                pk: found.chat.pk,
                kind: found.talk.map_or(Kind::Plain, |_| Kind::Event),
                head: found.chat.head,
                latest_at: found.latest_at,
            };
            if let Some(place) = held.get_mut(&found.chat.id) {
                **place = Some(end);
            }
        }
        Ok(())
    }

    /// Asks again where these chats end, since somebody else has appended to them, or may have.
    /// Answers whether one of them has moved.
    pub(super) async fn look_up_again(
        &self,
        held: &mut Held,
        chats: impl IntoIterator<Item = ChatId>,
    ) -> Result<bool, StoreError> {
        let mut moved = false;
        for chat in chats {
            let Some(end) = held.get_mut(&chat).and_then(|place| place.as_mut()) else {
                continue;
            };
            let latest = retry(|| self.latest(chat)).await?;
            let before = end.head;
            (end.head, end.latest_at) = match latest {
                Some(latest) => (latest.seq, latest.created_at),
                None => (0, DateTime::MIN),
            };
            moved |= end.head != before;
        }
        Ok(moved)
    }

    /// The latest message of a chat; `None`: it has none.
    pub(super) async fn latest(&self, chat: ChatId) -> Result<Option<Latest>, StoreError> {
        let latest = self.latest_with(all_of(chat), doc! { "_id": -1 }).await?;
        let head = latest.map_or(0, |latest| latest.seq);
        self.seen.see(chat, head).await;
        Ok(latest)
    }

    /// The first in this order of the messages that match.
    pub(super) async fn latest_with(
        &self,
        filter: Document,
        sort: Document,
    ) -> Result<Option<Latest>, StoreError> {
        let query = Query {
            filter,
            sort,
            limit: 1,
            fields: doc! { "created_at": 1 },
        };
        Ok(self.all::<LatestDocument>(query).await?.pop())
    }
}
