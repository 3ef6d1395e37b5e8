//! Reading messages in MongoDB: the part of a history that was asked for.
//! It refuses to write any; that is in `append`.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use mongodb::bson::doc;

use super::Mongo;
use super::documents::{FoundChat, LatestDocument, MESSAGES, MessageDocument, Number, numbered};
use super::failure::{corrupt, patiently};
use super::fields::{decode, time};
use super::reading::Query;
use crate::model::{
    ChatId, ChatPk, Entry, EventChat, History, Message, MessagePage, Range, Sent, Seq, Side, User,
    UserId, Window,
};
use crate::store::{Messages, PAGE_BYTES, StoreError};

/// Into how many parts a search for a time divides a chat at each step.
const PARTS: Seq = 64;

#[async_trait]
impl Messages for Mongo {
    async fn append(&self, batch: Vec<Entry>) -> Result<Vec<Option<Sent>>, StoreError> {
        self.append_batch(batch).await
    }

    async fn messages(&self, chat: ChatId, history: History) -> Result<MessagePage, StoreError> {
        patiently(|| self.history(chat, history)).await
    }
}

impl Mongo {
    async fn history(&self, id: ChatId, history: History) -> Result<MessagePage, StoreError> {
        let Some(found) = self.found_by_id(id).await? else {
            return Ok(MessagePage::default());
        };
        let (first, last) = self.bounds(&found, history.range).await?;
        let talk = async {
            Ok(match &found.talk {
                Some(_) => self.talk_of(found.clone()).await?.map(Arc::new),
                None => None,
            })
        };
        let documents = self.documents(id, (first, last), history.window);
        let (documents, event_chat) = tokio::try_join!(documents, talk)?;
        let messages = self.with_senders(documents, found.chat.pk, event_chat);
        let messages = messages.await?;
        let taken = Seq::try_from(messages.len()).unwrap_or(Seq::MAX);
        // Numbers have no holes, so they say how many the range holds.
        let has_more = taken < last.saturating_sub(first).saturating_add(1);
        Ok(MessagePage { messages, has_more })
    }

    pub(super) async fn latest_messages(
        &self,
        chat: &Arc<EventChat>,
        limit: usize,
    ) -> Result<Vec<Message>, StoreError> {
        let range = (1, chat.standing.head);
        let documents = self.documents(chat.chat, range, Window::Last(limit));
        self.with_senders(documents.await?, chat.chat_pk, Some(Arc::clone(chat)))
            .await
    }

    /// These messages of one chat. In an event's chat both who write there are known already.
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
            messages.push(message(document, chat_pk, sender, event_chat.clone())?);
        }
        Ok(messages)
    }

    /// The messages of a range that a window shows, oldest first.
    async fn documents(
        &self,
        chat: ChatId,
        (first, last): (Seq, Seq),
        window: Window,
    ) -> Result<Vec<MessageDocument>, StoreError> {
        if first > last || window.limit() == 0 {
            return Ok(Vec::new());
        }
        let order = match window {
            Window::First(_) => 1,
            Window::Last(_) => -1,
        };
        let query = Query {
            filter: numbered(chat, first..=last),
            sort: doc! { "_id": order },
            limit: window.limit(),
            ..Query::default()
        };
        let mut found = self.find::<MessageDocument>(query).await?;
        let (mut documents, mut bytes) = (Vec::new(), 0);
        while bytes < PAGE_BYTES && found.advance().await? {
            let document = decode::<MessageDocument>(found.current())?;
            bytes += document.text.len();
            documents.push(document);
        }
        if matches!(window, Window::Last(_)) {
            documents.reverse();
        }
        Ok(documents)
    }

    /// The first and the last number of a range. Times become numbers here, since inside a chat
    /// both grow together (PROTOCOL §1.5).
    async fn bounds(&self, found: &FoundChat, range: Range) -> Result<(Seq, Seq), StoreError> {
        let chat = &found.chat;
        let mut first = range.after.map_or(1, |after| after.saturating_add(1));
        let before = range.before;
        let mut last = before.map_or(chat.head, |before| before.saturating_sub(1));
        if let Some(from) = range.from {
            let late = self.first_stored(chat.id, chat.head, |at| at >= from);
            first = first.max(late.await?);
        }
        if let Some(to) = range.to {
            let late = self.first_stored(chat.id, chat.head, |at| at > to);
            last = last.min(late.await? - 1);
        }
        Ok((first.max(1), last.min(chat.head)))
    }

    /// The number of the first message whose time is `late` enough, one past the head without
    /// one: each step asks for the times of some and goes on between two of them, so that four
    /// steps are enough for a million messages.
    async fn first_stored(
        &self,
        chat: ChatId,
        head: Seq,
        late: impl Fn(Timestamp) -> bool,
    ) -> Result<Seq, StoreError> {
        let (mut low, mut high) = (1, head + 1);
        while low < high {
            let stride = ((high - low) / PARTS).max(1);
            let marks = (0..PARTS).map(|part| low + part * stride);
            let marks = marks.filter(|mark| *mark < high);
            let number = |seq| Number {
                chat: chat.into(),
                seq,
            };
            let marks: Vec<_> = marks.map(number).collect();
            let query = Query {
                filter: doc! { "_id": { "$in": marks } },
                sort: doc! { "_id": 1 },
                fields: doc! { "created_at": 1 },
                ..Query::default()
            };
            let before = (low, high);
            for message in self.all::<LatestDocument>(query).await? {
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

/// A message from its document.
pub(super) fn message(
    document: MessageDocument,
    chat_pk: ChatPk,
    sender: Arc<User>,
    event_chat: Option<Arc<EventChat>>,
) -> Result<Message, StoreError> {
    Ok(Message {
        id: document.id.into(),
        chat: document.chat(),
        chat_pk,
        seq: document.number.seq,
        sender,
        kind: document.kind,
        text: document.text,
        photos: document.photos,
        client_id: document.client_id,
        sent_as_read: document.read,
        event_chat,
        created_at: time(document.created_at)?,
        modified_at: time(document.modified_at)?,
    })
}
