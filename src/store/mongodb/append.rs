//! Appending: a batch is one ordered insert of many, and the unique index on chat and `seq` decides
//! between nodes. The slower one assigns new `seq`s to the rest and inserts it again. After an
//! insert without an answer its messages are looked for, so that none is stored twice.
//! Does not assign a `seq` without storing its message.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use mongodb::bson::{Bson, Uuid, doc};
use tracing::debug;

use super::Mongo;
use super::batch::{Batch, Outcome};
use super::database::Query;
use super::documents::{CHATS, MESSAGES, all_of};
use super::failure::{corrupt, duplicate_position, is_transient};
use super::heads::{Kind, LockedHeads, Written};
use super::message_document::MessageDocument;
use super::retry::{Backoff, retry, with_deadline};
use crate::model::{
    ChatId, ChatPk, EventChat, Message, PendingMessage, Sent, Seq, Side, User, UserId,
};
use crate::store::StoreError;

/// Why an append gives up: it stops at a message that no query finds.
const INVISIBLE: &str = "an insert conflicts with a message that does not become visible";

/// The outcome of one attempt to insert.
enum Attempt {
    /// All pending messages are stored.
    Done,
    /// So many are stored; the next one violates a unique index.
    Stopped(usize),
    /// Unknown which are stored.
    Unknown(StoreError),
}

impl Mongo {
    /// Appends a batch.
    pub(super) async fn append_batch(
        &self,
        entries: Vec<PendingMessage>,
    ) -> Result<Vec<Option<Sent>>, StoreError> {
        if entries.is_empty() {
            retry(|| self.database.check_read()).await?;
            return Ok(Vec::new());
        }
        with_deadline(self.append_all(entries)).await
    }

    async fn append_all(
        &self,
        entries: Vec<PendingMessage>,
    ) -> Result<Vec<Option<Sent>>, StoreError> {
        let senders: HashSet<_> = entries.iter().map(|entry| entry.sender).collect();
        self.expect_users(&senders).await?;
        let chats = entries.iter().map(|entry| entry.chat).collect();
        let mut heads = self.heads.lock(chats).await;
        self.look_up_heads(&mut heads).await?;
        let pks: HashMap<ChatId, ChatPk> = heads.iter().map(|(id, head)| (id, head.pk)).collect();
        let of_events = heads.iter().filter(|(_, head)| head.kind == Kind::Event);
        let event_chats: Vec<ChatId> = of_events.map(|(id, _)| id).collect();
        let before = retry(|| self.read_event_chats(&event_chats)).await?;
        let mut batch = Batch::new(entries, &heads);
        let of_senders = || self.users_by_id(senders.iter().copied());
        let chats: Vec<ChatId> = pks.keys().copied().collect();
        let inserted = tokio::try_join!(
            retry(of_senders),
            retry(|| self.existing(&chats)),
            self.insert(&mut batch, &mut heads)
        );
        let written = batch.written();
        self.heads.append(&heads, &written).await;
        drop(heads);
        let (users, there, ()) = inserted?;
        let gone = self.take_back(&written, &there).await?;
        let after = retry(|| self.read_event_chats(&event_chats)).await?;
        let result = BatchResult {
            users,
            pks,
            gone,
            before,
            after,
        };
        result.into_sent(batch.into_outcomes())
    }

    /// `Corrupt` if one of them is no user.
    async fn expect_users(&self, users: &HashSet<UserId>) -> Result<(), StoreError> {
        if self.known_users.has_all(users) {
            return Ok(());
        }
        let found = retry(|| self.users_by_id(users.iter().copied())).await?;
        match users.iter().find(|id| !found.contains_key(id)) {
            Some(id) => Err(corrupt(format!("no user {id} to send"))),
            None => Ok(()),
        }
    }

    /// Inserts the pending messages, until there are none.
    async fn insert(&self, batch: &mut Batch, heads: &mut LockedHeads) -> Result<(), StoreError> {
        let mut backoff = Backoff::start();
        let mut stopped_at = None;
        while batch.pending() > 0 {
            if batch.has_late(heads) {
                // Perhaps they repeat messages that are stored.
                let repeated = self.stored_messages("key", batch.keys()).await?;
                batch.resolve(&repeated, heads);
                batch.refuse_late(heads);
                continue;
            }
            let (pending, chats) = (batch.pending(), batch.chats());
            match self.attempt(batch, heads).await? {
                Attempt::Done => batch.mark_stored(usize::MAX, heads),
                Attempt::Stopped(count) => {
                    debug!(count, "an insert has violated a unique index");
                    batch.mark_stored(count, heads);
                    let moved = self.unblock(batch, heads, &mut stopped_at).await?;
                    if batch.pending() == pending && !moved {
                        // The message it conflicts with is not on a majority yet.
                        let error = StoreError::Unavailable(INVISIBLE.into());
                        backoff.wait(error).await?;
                    } else {
                        backoff = Backoff::start();
                    }
                }
                Attempt::Unknown(error) => {
                    batch.mark_uncertain();
                    backoff.wait(error).await?;
                    self.refresh_heads(heads, chats).await?;
                    let stored = self.stored_messages("key", batch.keys()).await?;
                    batch.resolve(&stored, heads);
                    self.resolve_uncertain(batch, heads).await?;
                }
            }
        }
        Ok(())
    }

    async fn attempt(&self, batch: &mut Batch, heads: &LockedHeads) -> Result<Attempt, StoreError> {
        let messages = self.database.collection::<MessageDocument>(MESSAGES);
        let Err(error) = messages.insert_many(batch.assign_seqs(heads)).await else {
            return Ok(Attempt::Done);
        };
        if let Some(position) = duplicate_position(&error) {
            return Ok(Attempt::Stopped(position));
        }
        let error = StoreError::Unavailable(Box::new(error));
        if is_transient(&error) {
            Ok(Attempt::Unknown(error))
        } else {
            Err(error)
        }
    }

    /// Resolves the first pending message, which has violated a unique index: it gets another
    /// `seq`, or is the repetition of a stored one. Returns whether the head of its chat has moved.
    ///
    /// The driver does not report the index, so the values are queried. Mostly the head has reached
    /// the `seq`, which explains it. Otherwise, and whenever the same message is stopped a second
    /// time, the key is looked for as well: then in parallel, since each moment between the query
    /// for the head and the next insert is one for other nodes to append in.
    async fn unblock(
        &self,
        batch: &mut Batch,
        heads: &mut LockedHeads,
        stopped_at: &mut Option<Uuid>,
    ) -> Result<bool, StoreError> {
        let Some(first) = batch.first() else {
            return Ok(false);
        };
        let (chat, seq, has_key) = (first.chat(), first.chat_seq.seq, first.key.is_some());
        let again = *stopped_at == Some(first.id);
        *stopped_at = (!again).then_some(first.id);
        let keys = if has_key && again {
            batch.keys()
        } else {
            Vec::new()
        };
        let (moved, repeated) = tokio::try_join!(
            self.refresh_heads(heads, [chat]),
            self.stored_messages("key", keys)
        )?;
        batch.resolve(&repeated, heads);
        let is_seq_taken = heads.get(chat).is_some_and(|head| head.seq >= seq);
        if has_key && !again && !is_seq_taken {
            let repeated = self.stored_messages("key", batch.keys()).await?;
            batch.resolve(&repeated, heads);
        }
        self.resolve_uncertain(batch, heads).await?;
        Ok(moved)
    }

    /// Looks for the uncertain messages under the `_id`s with which they were sent. After the heads
    /// were queried: one that is stored later than this is above them, where the next insert
    /// conflicts with it.
    async fn resolve_uncertain(
        &self,
        batch: &mut Batch,
        heads: &mut LockedHeads,
    ) -> Result<(), StoreError> {
        let found = self.stored_messages("_id", batch.uncertain_ids()).await?;
        batch.resolve(&found, heads);
        Ok(())
    }

    /// The stored messages that have one of these values.
    async fn stored_messages(
        &self,
        field: &str,
        values: Vec<Bson>,
    ) -> Result<Vec<MessageDocument>, StoreError> {
        if values.is_empty() {
            return Ok(Vec::new());
        }
        let query = || Query::all(doc! { field: { "$in": &values } });
        retry(|| self.database.all::<MessageDocument>(query())).await
    }

    /// Deletes the messages that were stored in chats deleted before, and returns those chats. A
    /// chat that is deleted later takes its messages with it.
    async fn take_back(
        &self,
        written: &Written,
        there: &HashSet<ChatId>,
    ) -> Result<HashSet<ChatId>, StoreError> {
        let stored = written.keys().copied();
        let gone: HashSet<_> = stored.filter(|id| !there.contains(id)).collect();
        for chat in &gone {
            self.heads.forget(*chat).await;
            retry(|| async {
                let messages = self.database.raw(MESSAGES);
                messages.delete_many(all_of(*chat)).await?;
                Ok(())
            })
            .await?;
        }
        Ok(gone)
    }

    /// Those of these chats that exist.
    pub(super) async fn existing(&self, chats: &[ChatId]) -> Result<HashSet<ChatId>, StoreError> {
        let documents = self.database.raw(CHATS);
        let found = documents.find(doc! { "_id": { "$in": chats } });
        let mut found = found.projection(doc! { "_id": 1 }).await?;
        let mut there = HashSet::new();
        while found.advance().await? {
            let id = found.current().get_binary("_id").ok();
            let id = id.and_then(|id| <[u8; 16]>::try_from(id.bytes).ok());
            there.extend(id.map(ChatId::from_bytes));
        }
        Ok(there)
    }
}

/// The parts of the results of a batch.
struct BatchResult {
    users: HashMap<UserId, Arc<User>>,
    pks: HashMap<ChatId, ChatPk>,
    /// Chats that were deleted before the insert.
    gone: HashSet<ChatId>,
    /// The event chats before the batch, and after it.
    before: HashMap<ChatId, EventChat>,
    after: HashMap<ChatId, EventChat>,
}

impl BatchResult {
    fn into_sent(self, outcomes: Vec<Outcome>) -> Result<Vec<Option<Sent>>, StoreError> {
        let event_chats = self.event_chats(&outcomes);
        let mut results: Vec<Option<Sent>> = Vec::with_capacity(outcomes.len());
        for (outcome, event_chat) in outcomes.into_iter().zip(event_chats) {
            let result = match outcome {
                Outcome::Pending => return Err(corrupt("an entry was neither stored nor not")),
                Outcome::NoChat => None,
                Outcome::SameAs(earlier) => {
                    let first = results.get(earlier).and_then(Option::as_ref);
                    first.map(|sent| Sent::Repeated(Arc::clone(sent.message())))
                }
                Outcome::Stored(document) => {
                    let message = self.message(document, event_chat)?;
                    message.map(|message| Sent::Stored(Arc::new(message)))
                }
                Outcome::Repeated(document) => {
                    let now = self.after.get(&document.chat());
                    let message = self.message(document, now.cloned().map(Arc::new))?;
                    message.map(|message| Sent::Repeated(Arc::new(message)))
                }
            };
            results.push(result);
        }
        Ok(results)
    }

    fn message(
        &self,
        document: MessageDocument,
        event_chat: Option<Arc<EventChat>>,
    ) -> Result<Option<Message>, StoreError> {
        let chat = document.chat();
        let Some(pk) = self.pks.get(&chat).filter(|_| !self.gone.contains(&chat)) else {
            return Ok(None);
        };
        let sender = self.users.get(&document.sender.into());
        let sender = sender.ok_or_else(|| corrupt("a sender that is no user"))?;
        let message = document.into_message(*pk, Arc::clone(sender), event_chat);
        message.map(Some)
    }

    /// The event chat that each message carries: its state right after the message. Derived from
    /// the state before the batch, unless there were other changes in between: then it is the
    /// state after the batch.
    fn event_chats(&self, outcomes: &[Outcome]) -> Vec<Option<Arc<EventChat>>> {
        let mut chats = self.before.clone();
        let mut states = Vec::with_capacity(outcomes.len());
        for outcome in outcomes {
            let Outcome::Stored(document) = outcome else {
                states.push(None);
                continue;
            };
            let chat = chats.get_mut(&document.chat());
            states.push(chat.map(|chat| {
                advance(chat, document);
                chat.clone()
            }));
        }
        let now = |mut chat: EventChat| {
            if let Some(after) = self.after.get(&chat.chat) {
                let expected = chats.get(&chat.chat).map(|chat| chat.state);
                if expected != Some(after.state) {
                    chat.state.merge(after.state);
                    chat.active_at = chat.active_at.max(after.active_at);
                }
                chat.event = Arc::clone(&after.event);
                chat.guest = Arc::clone(&after.guest);
            }
            Arc::new(chat)
        };
        states.into_iter().map(|chat| chat.map(now)).collect()
    }
}

/// Advances the state of an event chat to this message.
fn advance(chat: &mut EventChat, document: &MessageDocument) {
    let read: &mut Seq = match chat.side_of(document.sender.into()) {
        Some(Side::Owner) => &mut chat.state.owner_read,
        Some(Side::Guest) => &mut chat.state.guest_read,
        None => &mut 0,
    };
    *read = document.chat_seq.seq;
    chat.state.head = document.chat_seq.seq;
    if let Ok(at) = super::fields::time(document.created_at) {
        chat.active_at = chat.active_at.max(at);
    }
}
