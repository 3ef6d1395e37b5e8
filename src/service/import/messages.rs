//! Messages that are moved in with their authors and times, and read positions.
//! Does not write them: the committer does, between those that are sent meanwhile.

use std::collections::HashMap;

use jiff::Timestamp;
use tokio::sync::oneshot;

use super::users::Users;
use super::{Outcome, found, made};
use crate::model::{
    Chat, ChatId, ChatRef, Error, ErrorKind, History, Imported, ImportedMessage, ImportedNames,
    ImportedRead, Message, MessageId, PendingMessage, Range, ReadUpTo, Sent, Seq, Window,
};
use crate::service::messages::check as check_draft;
use crate::service::{Limits, Service, store_error};

/// The longest original id, in characters.
const ORIGINAL_ID_CHARS: usize = 256;

/// A chat while messages of one request are moved into it.
struct Progress {
    chat: Chat,
    /// The number of the latest message that is stored or queued.
    head: Seq,
    /// Its time.
    latest_at: Timestamp,
    /// The original ids of the request that the chat has already, once that was of interest.
    known: Option<HashMap<String, (Seq, MessageId)>>,
}

/// The chats of one request: each is read once, whatever its names are.
#[derive(Default)]
struct Chats {
    ids: HashMap<ChatRef, ChatId>,
    progress: HashMap<ChatId, Progress>,
}

/// A message of the request.
enum Step {
    Done(Outcome),
    Queued {
        chat: ChatId,
        /// The number that it has to get, if it was exported.
        seq: Option<Seq>,
        answer: oneshot::Receiver<Result<Sent, Error>>,
    },
}

impl Service {
    /// Moves in messages, in the order given.
    pub(super) async fn import_messages(
        &self,
        users: &mut Users<'_>,
        messages: Vec<ImportedMessage>,
    ) -> Vec<Outcome> {
        let mut chats = Chats::default();
        let mut steps = Vec::with_capacity(messages.len());
        let originals = messages.iter();
        let originals = originals.filter_map(|message| message.draft.original_id.clone());
        let originals: Vec<_> = originals.collect();
        for message in messages {
            let step = match self.chat_of(&mut chats, &message.chat).await {
                Ok(progress) => self.step(users, progress, &originals, message).await,
                Err(error) => Err(error),
            };
            steps.push(step.unwrap_or_else(|error| Step::Done(Err(error))));
        }
        let mut outcomes = Vec::with_capacity(steps.len());
        for step in steps {
            outcomes.push(match step {
                Step::Done(outcome) => outcome,
                Step::Queued { chat, seq, answer } => match answer.await {
                    Ok(sent) => self.outcome(chat, seq, sent).await,
                    Err(_) => Err(Error::unavailable("the server is shutting down")),
                },
            });
        }
        outcomes
    }

    /// The outcome of a message that was queued.
    async fn outcome(&self, chat: ChatId, seq: Option<Seq>, sent: Result<Sent, Error>) -> Outcome {
        match sent {
            Ok(sent) if seq.is_some_and(|seq| seq != sent.message().seq) => {
                let stored = sent.message().seq;
                let why = format!("seq: somebody wrote meanwhile, and it is stored as {stored}");
                Err(Error::new(ErrorKind::Conflict, why))
            }
            Ok(sent) => Ok(outcome_of(&sent)),
            Err(error) if error.kind == ErrorKind::NotFound => {
                match self.store.chat(chat).await.map_err(store_error)? {
                    Some(_) => Err(later("a message that was sent meanwhile")),
                    None => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// The chat that a message names.
    async fn chat_of<'a>(
        &self,
        chats: &'a mut Chats,
        named: &ChatRef,
    ) -> Result<&'a mut Progress, Error> {
        use std::collections::hash_map::Entry::{Occupied, Vacant};
        let id = match chats.ids.get(named) {
            Some(id) => *id,
            None => self.imported_chat(named).await?.id,
        };
        chats.ids.insert(named.clone(), id);
        match chats.progress.entry(id) {
            Occupied(known) => Ok(known.into_mut()),
            Vacant(unknown) => Ok(unknown.insert(self.progress(&ChatRef::Id(id)).await?)),
        }
    }

    async fn progress(&self, chat: &ChatRef) -> Result<Progress, Error> {
        let chat = self.imported_chat(chat).await?;
        let latest = self.one(&chat, Range::default()).await?;
        Ok(Progress {
            head: latest.as_ref().map_or(0, |latest| latest.seq),
            latest_at: latest.map_or(Timestamp::MIN, |latest| latest.created_at),
            known: None,
            chat,
        })
    }

    /// The last message of a range.
    async fn one(&self, chat: &Chat, range: Range) -> Result<Option<Message>, Error> {
        let window = Window::Last(1);
        let page = self
            .store
            .messages(chat.id, History { range, window })
            .await;
        Ok(page.map_err(store_error)?.messages.pop())
    }

    async fn step(
        &self,
        users: &mut Users<'_>,
        progress: &mut Progress,
        originals: &[String],
        message: ImportedMessage,
    ) -> Result<Step, Error> {
        if let Some((id, seq)) = message.exported
            && seq <= progress.head
        {
            return self
                .exported_before(progress, id, seq)
                .await
                .map(Step::Done);
        }
        if let Some((_, seq)) = message.exported
            && seq != progress.head + 1
        {
            let why = format!("the chat has {} messages", progress.head);
            return Err(Error::invalid("seq", &why));
        }
        if message.created_at < progress.latest_at {
            let known = self.known(progress, originals).await?;
            let original_id = message.draft.original_id.as_ref();
            let there = original_id.and_then(|id| known.get(id)).copied();
            if let Some((seq, id)) = there {
                return Ok(Step::Done(Ok(found(names(&progress.chat, id, seq)))));
            }
            let (head, at) = (progress.head, progress.latest_at);
            return Err(later(&format!("message {head} ({at:.3})")));
        }
        let sender = users.id(&message.sender).await?;
        let at = message.created_at;
        let entry = PendingMessage {
            id: message
                .exported
                .map_or_else(|| MessageId::new(at), |(id, _)| id),
            chat: progress.chat.id,
            sender,
            origin: None,
            draft: message.draft,
            at,
        };
        let answer = self.append.enqueue(entry, None).await?;
        progress.head += 1;
        progress.latest_at = at;
        Ok(Step::Queued {
            chat: progress.chat.id,
            seq: message.exported.map(|(_, seq)| seq),
            answer,
        })
    }

    /// A message from an export whose number the chat has already.
    async fn exported_before(
        &self,
        progress: &Progress,
        id: MessageId,
        seq: Seq,
    ) -> Result<Outcome, Error> {
        let range = Range {
            after: Some(seq - 1),
            before: Some(seq + 1),
            ..Range::default()
        };
        let there = self.one(&progress.chat, range).await?;
        Ok(match there {
            Some(there) if there.id == id => Ok(found(names(&progress.chat, id, seq))),
            Some(_) => Err(Error::new(
                ErrorKind::Conflict,
                "seq: another message has this number",
            )),
            // It is queued.
            None => Err(Error::invalid("seq", "is given twice")),
        })
    }

    /// Those of these original ids that the chat has.
    async fn known<'a>(
        &self,
        progress: &'a mut Progress,
        originals: &[String],
    ) -> Result<&'a HashMap<String, (Seq, MessageId)>, Error> {
        let known = if let Some(known) = progress.known.take() {
            known
        } else {
            let ids = originals.to_vec();
            let found = self.store.imported(progress.chat.id, ids.clone()).await;
            let known = ids.into_iter().zip(found.map_err(store_error)?);
            known.filter_map(|(id, found)| Some((id, found?))).collect()
        };
        Ok(progress.known.insert(known))
    }

    /// Moves a read position forward.
    pub(super) async fn import_read(&self, users: &mut Users<'_>, read: ImportedRead) -> Outcome {
        let chat = self.imported_chat(&read.chat).await?;
        let user = users.id(&read.user).await?;
        let seq = match read.up_to {
            ReadUpTo::Seq(seq) => seq,
            ReadUpTo::At(at) => {
                let range = Range {
                    to: Some(at),
                    ..Range::default()
                };
                self.one(&chat, range).await?.map_or(0, |latest| latest.seq)
            }
            ReadUpTo::Original(id) => {
                let there = self.store.imported(chat.id, vec![id]).await;
                let there = there.map_err(store_error)?.into_iter().next().flatten();
                let missing = || Error::not_found("message with this original_id");
                there.ok_or_else(missing)?.0
            }
        };
        let moved = self.store.advance_read(chat.id, user, seq).await;
        let is_new = moved.map_err(store_error)?.ok_or_else(|| {
            let why = format!("user: {} is no member of the chat", read.user);
            Error::new(ErrorKind::NotFound, why)
        })?;
        let names = ImportedNames::Nothing;
        Ok(Imported { is_new, names })
    }
}

/// Checks a message alone.
///
/// # Errors
/// `Invalid`, `TooLarge`.
pub(super) fn check(
    message: &ImportedMessage,
    limits: Limits,
    now: Timestamp,
) -> Result<(), Error> {
    check_draft(&message.draft, limits)?;
    check_names(message)?;
    if message.created_at > now {
        return Err(Error::invalid("created_at", "lies in the future"));
    }
    if message.created_at < Timestamp::UNIX_EPOCH {
        return Err(Error::invalid("created_at", "lies before 1970"));
    }
    Ok(())
}

/// A message needs a name by which a second import finds it, and only one.
fn check_names(message: &ImportedMessage) -> Result<(), Error> {
    let invalid = |why| Err(Error::invalid("original_id", why));
    match (&message.draft.original_id, &message.draft.client_id) {
        (Some(_), Some(_)) => invalid("stands beside a client_id: a message has one of them"),
        (None, _) if message.exported.is_none() => {
            invalid("is missing: without it a second import would double the message")
        }
        (Some(id), _) if !(1..=ORIGINAL_ID_CHARS).contains(&id.chars().count()) => {
            invalid("must have 1 to 256 characters")
        }
        _ => Ok(()),
    }
}

/// The error of a message that is earlier than this one of its chat.
fn later(than: &str) -> Error {
    let why = format!(
        "created_at: is earlier than {than} of the chat, and messages stand in the order of time"
    );
    Error::new(ErrorKind::Conflict, why)
}

fn outcome_of(sent: &Sent) -> Imported {
    let message = sent.message();
    let names = ImportedNames::Message {
        chat: message.chat,
        chat_pk: message.chat_pk,
        id: message.id,
        seq: message.seq,
    };
    match sent {
        Sent::Stored(_) => made(names),
        Sent::Repeated(_) => found(names),
    }
}

fn names(chat: &Chat, id: MessageId, seq: Seq) -> ImportedNames {
    ImportedNames::Message {
        chat: chat.id,
        chat_pk: chat.pk,
        id,
        seq,
    }
}
