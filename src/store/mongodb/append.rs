//! Appending: a batch is one ordered insert of many, and the unique index on the numbers of a
//! chat decides between nodes. Whoever was slower numbers the rest anew and sends it again.
//! What is not known to stand is looked for where it was sent to, and never stored twice.
//! It refuses to give out a number that is not stored.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use mongodb::bson::{Bson, Uuid, doc};
use tracing::debug;

use super::Mongo;
use super::batch::{Batch, Outcome};
use super::documents::{CHATS, MESSAGES, MessageDocument, all_of};
use super::ends::{Held, Kind};
use super::failure::{corrupt, duplicate_position, is_transient};
use super::messages::message;
use super::reading::Query;
use super::retry::{Backoff, retry, with_deadline};
use crate::model::{ChatId, ChatPk, Entry, EventChat, Message, Sent, Seq, Side, User, UserId};
use crate::store::StoreError;

/// Why an append gives up: it stops at a message that no query finds.
const INVISIBLE: &str = "an insert conflicts with a message that does not become visible";

/// What one attempt to insert came to.
enum Attempt {
    /// Everything stands.
    Done,
    /// So many are stored; the next one violates a unique index.
    Stopped(usize),
    /// Nobody knows what stands.
    Unknown(StoreError),
}

impl Mongo {
    /// Appends a batch.
    pub(super) async fn append_batch(
        &self,
        entries: Vec<Entry>,
    ) -> Result<Vec<Option<Sent>>, StoreError> {
        if entries.is_empty() {
            retry(|| self.ask()).await?;
            return Ok(Vec::new());
        }
        with_deadline(self.append_all(entries)).await
    }

    async fn append_all(&self, entries: Vec<Entry>) -> Result<Vec<Option<Sent>>, StoreError> {
        let senders: HashSet<_> = entries.iter().map(|entry| entry.sender).collect();
        self.expect_users(&senders).await?;
        let chats = entries.iter().map(|entry| entry.chat).collect();
        let mut held = self.ends.hold(chats).await;
        self.look_up_ends(&mut held).await?;
        let pks: HashMap<ChatId, ChatPk> = known(&held, |end| Some(end.pk)).collect();
        let talks: Vec<ChatId> = known(&held, |end| (end.kind == Kind::Event).then_some(()))
            .map(|(id, ())| id)
            .collect();
        let before = retry(|| self.talks(&talks)).await?;
        let mut batch = Batch::new(entries, &held);
        let of_senders = || self.users_by_id(senders.iter().copied());
        let chats: Vec<ChatId> = pks.keys().copied().collect();
        let (users, there, ()) = tokio::try_join!(
            retry(of_senders),
            retry(|| self.existing(&chats)),
            self.insert(&mut batch, &mut held)
        )?;
        self.seen.append(&batch).await;
        drop(held);
        let gone = self.take_back(&batch, &there).await?;
        let after = retry(|| self.talks(&talks)).await?;
        let answers = Answers {
            users,
            pks,
            gone,
            before,
            after,
        };
        answers.of(batch.into_outcomes())
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

    /// Inserts what waits, until nothing does.
    async fn insert(&self, batch: &mut Batch, held: &mut Held) -> Result<(), StoreError> {
        let mut backoff = Backoff::start();
        let mut stopped_at = None;
        while batch.waiting() > 0 {
            let (waiting, chats) = (batch.waiting(), batch.chats());
            match self.attempt(batch, held).await? {
                Attempt::Done => batch.stand(usize::MAX, held),
                Attempt::Stopped(count) => {
                    debug!(count, "an insert has violated a unique index");
                    batch.stand(count, held);
                    let moved = self.unblock(batch, held, &mut stopped_at).await?;
                    if batch.waiting() == waiting && !moved {
                        // The message it conflicts with is not on a majority yet.
                        let error = StoreError::Unavailable(INVISIBLE.into());
                        backoff.wait(error).await?;
                    } else {
                        backoff = Backoff::start();
                    }
                }
                Attempt::Unknown(error) => {
                    batch.doubt();
                    backoff.wait(error).await?;
                    self.look_up_again(held, chats).await?;
                    self.resolve(batch, batch.keys()).await?;
                }
            }
        }
        Ok(())
    }

    async fn attempt(&self, batch: &mut Batch, held: &Held) -> Result<Attempt, StoreError> {
        let messages = self.database.collection::<MessageDocument>(MESSAGES);
        let Err(error) = messages.insert_many(batch.number(held)).await else {
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

    /// Lets the first waiting message, which has violated a unique index, go on: it gets another
    /// `seq`, or is the repetition of a stored one. Returns whether the head of its chat has moved.
    ///
    /// Which index that was, the driver does not tell, so the values are looked for. Mostly the
    /// head has reached the `seq`, which explains it. Otherwise, or if the same message is stopped
    /// a second time, the key is looked for as well.
    async fn unblock(
        &self,
        batch: &mut Batch,
        held: &mut Held,
        stopped_at: &mut Option<Uuid>,
    ) -> Result<bool, StoreError> {
        let Some(first) = batch.first() else {
            return Ok(false);
        };
        let (chat, seq, has_key) = (first.chat(), first.number.seq, first.key.is_some());
        let again = *stopped_at == Some(first.id);
        *stopped_at = Some(first.id);
        let moved = self.look_up_again(held, [chat]).await?;
        let end = held.get(&chat).and_then(|end| **end);
        let is_seq_taken = end.is_some_and(|end| end.head >= seq);
        let keys = if has_key && (again || !is_seq_taken) {
            batch.keys()
        } else {
            Vec::new()
        };
        self.resolve(batch, keys).await?;
        Ok(moved)
    }

    /// Looks for stored messages with these keys, and for the uncertain ones under the `_id`s with
    /// which they were sent. After the ends were queried: an uncertain message that is stored
    /// later than this is above them, where the next insert conflicts with it.
    async fn resolve(&self, batch: &mut Batch, keys: Vec<Uuid>) -> Result<(), StoreError> {
        let wanted = [
            ("key", keys.into_iter().map(Bson::from).collect()),
            ("_id", batch.doubtful_numbers()),
        ];
        for (field, values) in wanted {
            let values: Vec<Bson> = values;
            if !values.is_empty() {
                let query = || Query::all(doc! { field: { "$in": &values } });
                let found = retry(|| self.all::<MessageDocument>(query()));
                batch.found(&found.await?);
            }
        }
        Ok(())
    }

    /// Takes the messages back that were stored in chats which were gone by then, and answers
    /// those chats. One that goes later takes its messages with it.
    async fn take_back(
        &self,
        batch: &Batch,
        there: &HashSet<ChatId>,
    ) -> Result<HashSet<ChatId>, StoreError> {
        let stored = batch.stored().into_iter();
        let gone: HashSet<_> = stored.filter(|id| !there.contains(id)).collect();
        for chat in &gone {
            self.ends.forget(*chat);
            retry(|| async {
                let messages = self.raw(MESSAGES);
                messages.delete_many(all_of(*chat)).await?;
                Ok(())
            })
            .await?;
        }
        Ok(gone)
    }

    /// Those of these chats that are there.
    pub(super) async fn existing(&self, chats: &[ChatId]) -> Result<HashSet<ChatId>, StoreError> {
        let documents = self.raw(CHATS);
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

/// What is known of these chats: those that are not there are left out.
fn known<'a, T: 'a>(
    held: &'a Held,
    what: impl Fn(super::ends::End) -> Option<T> + 'a,
) -> impl Iterator<Item = (ChatId, T)> + 'a {
    let there = held.iter().filter_map(|(id, end)| Some((*id, (**end)?)));
    there.filter_map(move |(id, end)| Some((id, what(end)?)))
}

/// What the answers to a batch are made of.
struct Answers {
    users: HashMap<UserId, Arc<User>>,
    pks: HashMap<ChatId, ChatPk>,
    /// Chats that were deleted meanwhile.
    gone: HashSet<ChatId>,
    /// Events' chats as they stood before the batch, and after it.
    before: HashMap<ChatId, EventChat>,
    after: HashMap<ChatId, EventChat>,
}

impl Answers {
    fn of(self, outcomes: Vec<Outcome>) -> Result<Vec<Option<Sent>>, StoreError> {
        let told = self.told(&outcomes);
        let mut answers: Vec<Option<Sent>> = Vec::with_capacity(outcomes.len());
        for (outcome, told) in outcomes.into_iter().zip(told) {
            let answer = match outcome {
                Outcome::Waiting => return Err(corrupt("an entry was neither stored nor not")),
                Outcome::NoChat => None,
                Outcome::Like(earlier) => {
                    let first = answers.get(earlier).and_then(Option::as_ref);
                    first.map(|sent| Sent::Repeated(Arc::clone(sent.message())))
                }
                Outcome::Stored(document) => {
                    let message = self.message(document, told)?;
                    message.map(|message| Sent::Stored(Arc::new(message)))
                }
                Outcome::Repeated(document) => {
                    let now = self.after.get(&document.chat());
                    let message = self.message(document, now.cloned().map(Arc::new))?;
                    message.map(|message| Sent::Repeated(Arc::new(message)))
                }
            };
            answers.push(answer);
        }
        Ok(answers)
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
        let sender = sender.ok_or_else(|| corrupt("a sender who is no user"))?;
        message(document, *pk, Arc::clone(sender), event_chat).map(Some)
    }

    /// What each message tells of its event's chat: how things stand right after it. That follows
    /// from how they stood before the batch, unless somebody else came in between: then it tells
    /// how they stand now.
    fn told(&self, outcomes: &[Outcome]) -> Vec<Option<Arc<EventChat>>> {
        let mut chats = self.before.clone();
        let mut told = Vec::with_capacity(outcomes.len());
        for outcome in outcomes {
            let Outcome::Stored(document) = outcome else {
                told.push(None);
                continue;
            };
            let chat = chats.get_mut(&document.chat());
            told.push(chat.map(|chat| {
                advance(chat, document);
                chat.clone()
            }));
        }
        let now = |mut chat: EventChat| {
            if let Some(after) = self.after.get(&chat.chat) {
                let expected = chats.get(&chat.chat).map(|chat| chat.standing);
                if expected != Some(after.standing) {
                    chat.standing.merge(after.standing);
                    chat.active_at = chat.active_at.max(after.active_at);
                }
                chat.event = Arc::clone(&after.event);
                chat.guest = Arc::clone(&after.guest);
            }
            Arc::new(chat)
        };
        told.into_iter().map(|chat| chat.map(now)).collect()
    }
}

/// Moves a chat on to this message.
fn advance(chat: &mut EventChat, document: &MessageDocument) {
    let read: &mut Seq = match chat.side_of(document.sender.into()) {
        Some(Side::Owner) => &mut chat.standing.owner_read,
        Some(Side::Guest) => &mut chat.standing.guest_read,
        None => &mut 0,
    };
    *read = document.number.seq;
    chat.standing.head = document.number.seq;
    if let Ok(at) = super::fields::time(document.created_at) {
        chat.active_at = chat.active_at.max(at);
    }
}
