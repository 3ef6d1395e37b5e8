//! Reading messages on MongoDB: pages of a chat's history.
//! Does not write any: that is in `append`.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use mongodb::bson::doc;

use super::Mongo;
use super::database::Query;
use super::documents::{ChatDocument, ChatSeq, FoundChat, LatestDocument, MESSAGES, with_seqs};
use super::failure::corrupt;
use super::fields::{decode, time};
use super::message_document::MessageDocument;
use super::retry::retry_until_deadline;
use crate::model::{
    ChatId, ChatPk, EventChat, History, Message, MessagePage, PendingMessage, Range, Sent, Seq,
    Side, UserId, Window,
};
use crate::store::{Messages, PAGE_BYTES, StoreError};

/// How many messages a search for a time samples at each step. More make fewer steps and more
/// work: with 15 a million messages take five steps and 75 times; with 64 it would be four and 256.
const MARKS: Seq = 15;

/// Messages of one chat, oldest first.
struct Part {
    documents: Vec<MessageDocument>,
    /// Whether the range has more messages.
    has_more: bool,
}

#[async_trait]
impl Messages for Mongo {
    async fn append(&self, batch: Vec<PendingMessage>) -> Result<Vec<Option<Sent>>, StoreError> {
        self.append_batch(batch).await
    }

    async fn messages(&self, chat: ChatId, history: History) -> Result<MessagePage, StoreError> {
        retry_until_deadline(|| self.history(chat, history)).await
    }
}

impl Mongo {
    async fn history(&self, id: ChatId, history: History) -> Result<MessagePage, StoreError> {
        let Range { from, to, .. } = history.range;
        let found = match (from, to) {
            (None, None) => {
                let bounds = seqs(history.range);
                let found = self.database.one::<ChatDocument>(doc! { "_id": id });
                let part = self.part(id, bounds, history.window);
                let (found, part) = tokio::try_join!(found, part)?;
                found.zip(Some(part))
            }
            _ => self.timed_part(id, history).await?,
        };
        let Some((found, part)) = found else {
            return Ok(MessagePage::default());
        };
        let chat_pk = found.chat.pk;
        // Boxed: the case of an event's chat would make every page a large future.
        let event_chat = Box::pin(self.carried_event_chat(found, &part, history)).await?;
        let messages = self.with_senders(part.documents, chat_pk, event_chat);
        Ok(MessagePage {
            messages: messages.await?,
            has_more: part.has_more,
        })
    }

    /// A part between two times, which are converted into `seq`s first.
    async fn timed_part(
        &self,
        id: ChatId,
        history: History,
    ) -> Result<Option<(FoundChat, Part)>, StoreError> {
        let Some(found) = self.found_by_id(id).await? else {
            return Ok(None);
        };
        let bounds = self.bounds(&found, history.range).await?;
        let part = self.part(id, bounds, history.window).await?;
        Ok(Some((found, part)))
    }

    /// The event chat that its messages carry. Its head is queried here, since other chats do not
    /// need it, unless this part ends with it.
    async fn carried_event_chat(
        &self,
        found: FoundChat,
        part: &Part,
        history: History,
    ) -> Result<Option<Arc<EventChat>>, StoreError> {
        if found.event_chat.is_none() {
            return Ok(None);
        }
        let to_its_end =
            history.range == Range::default() && matches!(history.window, Window::Last(1..));
        let latest = if to_its_end {
            part.documents.last().map(MessageDocument::latest)
        } else {
            self.latest(found.chat.id).await?
        };
        Ok(self.complete_one(found.with(latest)?).await?.map(Arc::new))
    }

    pub(super) async fn latest_messages(
        &self,
        chat: &Arc<EventChat>,
        limit: usize,
    ) -> Result<Vec<Message>, StoreError> {
        let range = (1, chat.state.head);
        let part = self.part(chat.chat, range, Window::Last(limit)).await?;
        self.with_senders(part.documents, chat.chat_pk, Some(Arc::clone(chat)))
            .await
    }

    /// These messages of one chat. In an event's chat both senders are known already.
    async fn with_senders(
        &self,
        documents: Vec<MessageDocument>,
        chat_pk: ChatPk,
        event_chat: Option<Arc<EventChat>>,
    ) -> Result<Vec<Message>, StoreError> {
        let both = event_chat.iter().flat_map(|chat| {
            let both = [chat.user(Side::Owner), chat.user(Side::Guest)];
            both.map(|user| (user.id, Arc::clone(user)))
        });
        let mut senders: HashMap<UserId, _> = both.collect();
        let named: HashSet<UserId> = documents.iter().map(|found| found.sender.into()).collect();
        let unknown = named.into_iter().filter(|id| !senders.contains_key(id));
        let unknown: Vec<_> = unknown.collect();
        senders.extend(self.users_by_id(unknown.into_iter()).await?);
        let mut messages = Vec::with_capacity(documents.len());
        for document in documents {
            let sender = senders.get(&document.sender.into()).map(Arc::clone);
            let sender = sender.ok_or_else(|| {
                let id = document.id;
                corrupt(format!("the message {id} in {MESSAGES}: no such sender"))
            })?;
            messages.push(document.into_message(chat_pk, sender, event_chat.clone())?);
        }
        Ok(messages)
    }

    /// The messages of a range that a window shows.
    async fn part(
        &self,
        chat: ChatId,
        (first, last): (Seq, Seq),
        window: Window,
    ) -> Result<Part, StoreError> {
        let (mut documents, mut has_more) = (Vec::new(), false);
        if first <= last {
            let order = match window {
                Window::First(_) => 1,
                Window::Last(_) => -1,
            };
            let query = Query {
                filter: with_seqs(chat, first..=last),
                sort: doc! { "_id": order },
                // One more than requested shows whether there is more.
                limit: window.limit().saturating_add(1),
                ..Query::default()
            };
            let mut found = self.database.find::<MessageDocument>(query).await?;
            let mut bytes = 0;
            while found.advance().await? {
                has_more = documents.len() == window.limit() || bytes >= PAGE_BYTES;
                if has_more {
                    break;
                }
                let document = decode::<MessageDocument>(found.current())?;
                bytes += document.weight();
                documents.push(document);
            }
        }
        if matches!(window, Window::Last(_)) {
            documents.reverse();
        }
        Ok(Part {
            documents,
            has_more,
        })
    }

    /// The first and the last `seq` of a range. Times are converted into `seq`s, since both ascend
    /// together within a chat.
    async fn bounds(&self, found: &FoundChat, range: Range) -> Result<(Seq, Seq), StoreError> {
        let (first, last) = seqs(range);
        let from = async {
            match range.from {
                Some(from) => self.first_stored(found, |at| at >= from).await,
                None => Ok(1),
            }
        };
        let to = async {
            match range.to {
                Some(to) => Ok(self.first_stored(found, |at| at > to).await? - 1),
                None => Ok(found.chat.head),
            }
        };
        let (from, to) = tokio::try_join!(from, to)?;
        Ok((first.max(from), last.min(to)))
    }

    /// The `seq` of the first message whose time is `late` enough, one past the head without one:
    /// each step samples messages at even distances, and continues between two of them.
    async fn first_stored(
        &self,
        found: &FoundChat,
        late: impl Fn(Timestamp) -> bool,
    ) -> Result<Seq, StoreError> {
        let (chat, head) = (found.chat.id, found.chat.head);
        let (mut low, mut high) = (1, head + 1);
        if head == 0 || !late(time(found.latest_at)?) {
            return Ok(high);
        }
        while low < high {
            let marks: BTreeSet<Seq> = (1..=MARKS)
                .map(|mark| low + mark * (high - low) / (MARKS + 1))
                .collect();
            let id = |seq| ChatSeq {
                chat: chat.into(),
                seq,
            };
            let marks: Vec<_> = marks.into_iter().map(id).collect();
            let query = Query {
                filter: doc! { "_id": { "$in": marks } },
                sort: doc! { "_id": 1 },
                fields: doc! { "created_at": 1 },
                ..Query::default()
            };
            let before = (low, high);
            for message in self.database.all::<LatestDocument>(query).await? {
                if late(time(message.created_at)?) {
                    high = message.seq;
                    break;
                }
                low = message.seq + 1;
            }
            if (low, high) == before {
                // The chat is being deleted.
                return Ok(head + 1);
            }
        }
        Ok(low)
    }
}

/// The first and the last `seq` that a range names.
fn seqs(range: Range) -> (Seq, Seq) {
    let first = range.after.map_or(1, |after| after.saturating_add(1));
    let last = range
        .before
        .map_or(Seq::MAX, |before| before.saturating_sub(1));
    (first.max(1), last)
}
