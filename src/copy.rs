//! `polychat copy`: everything from one store into another, to be taken up again where it was
//! interrupted, and compared at the end.
//! Does not know the kinds of the two stores.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::time::Duration;

use indicatif::ProgressBar;
use tokio::time::sleep;

use crate::model::{
    AuditFilter, AuditId, AuditRecord, Chat, ChatId, History, Message, MessagePage, Metadata,
    Range, Seq, Window,
};
use crate::progress;
use crate::store::transfer::{self, ChatRecord, Pks};
use crate::store::{OpenError, Store, StoreError};

/// How many users, events, chats and records of the audit log are carried at a time.
const RECORDS: usize = 500;

/// How many messages are carried at a time.
const MESSAGES: usize = 1000;

/// How often a copy goes on after a store did not answer, and after what time: together longer than
/// MongoDB keeps the transaction of a copy that was killed, with which a new one conflicts.
const RETRIES: usize = 40;
const PAUSE: Duration = Duration::from_secs(3);

/// The totals of a copy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Copied {
    /// How many users the stores hold now.
    pub users: usize,
    /// How many events.
    pub events: usize,
    /// How many chats.
    pub chats: usize,
    /// How many messages.
    pub messages: usize,
}

/// Why not everything was copied, in one sentence for the operator.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// A store cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is nothing to copy.
    #[error("the source holds nothing: is that the right place?")]
    Nothing,
    /// The target holds something already.
    #[error(
        "the target is not empty; --resume goes on with a copy that was interrupted, and nothing \
         else can be copied into it"
    )]
    NotEmpty,
    /// The target holds data that is not in the source.
    #[error("{0} differs in the target: copy into an empty one")]
    Differs(String),
}

/// Whether the target may hold a part already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// It has to be empty.
    Empty,
    /// It holds what an interrupted copy left.
    Resumed,
}

/// Copies everything and compares it. No other process may use either store meanwhile. The target has
/// the mark of an unfinished copy until then; one that has data without this mark is compared only.
///
/// # Errors
/// See [`CopyError`]. Copied records stay, and [`Target::Resumed`] continues after them.
pub async fn copy(from: &dyn Store, to: &dyn Store, target: Target) -> Result<Copied, CopyError> {
    if transfer::is_empty(from).await? {
        return Err(CopyError::Nothing);
    }
    if !transfer::is_empty(to).await? {
        if target == Target::Empty {
            return Err(CopyError::NotEmpty);
        }
        if !to.is_unfinished().await? {
            // Complete, or never the target of a copy: nothing is written into it.
            return compare(from, to, progress::bar("comparing", 0, "messages")).await;
        }
    }
    to.begin_copy().await?;
    let mut failures = 0;
    loop {
        match copy_rest(from, to).await {
            Err(CopyError::Store(error @ StoreError::Unavailable(_))) if failures < RETRIES => {
                failures += 1;
                let seconds = PAUSE.as_secs();
                // Standard error may be closed; the exit code has the outcome.
                let _ = writeln!(
                    std::io::stderr(),
                    "polychat: {error}; going on in {seconds} seconds"
                );
                sleep(PAUSE).await;
            }
            copied => return copied,
        }
    }
}

/// Copies what the target does not have yet, compares everything, and removes the mark.
async fn copy_rest(from: &dyn Store, to: &dyn Store) -> Result<Copied, CopyError> {
    let there = to.greatest().await?;
    copy_users(from, to, there).await?;
    copy_events(from, to, there).await?;
    let total = copy_chats(from, to, there).await?;
    copy_messages(from, to, progress::bar("copying", total, "messages")).await?;
    copy_audit(from, to).await?;
    to.take_counters(from.counters().await?).await?;
    let copied = compare(from, to, progress::bar("comparing", total, "messages")).await?;
    to.finish_copy().await?;
    Ok(copied)
}

async fn copy_users(from: &dyn Store, to: &dyn Store, there: Pks) -> Result<(), StoreError> {
    let mut after = there.user;
    loop {
        let users = from.users_after(after, RECORDS).await?;
        let Some(last) = users.last() else {
            return Ok(());
        };
        after = last.pk;
        to.take_users(users).await?;
    }
}

async fn copy_events(from: &dyn Store, to: &dyn Store, there: Pks) -> Result<(), StoreError> {
    let mut after = there.event;
    loop {
        let events = from.event_records(after, RECORDS).await?;
        let Some(last) = events.last() else {
            return Ok(());
        };
        after = last.event.pk;
        to.take_events(events).await?;
    }
}

/// Returns how many messages the source holds.
async fn copy_chats(from: &dyn Store, to: &dyn Store, there: Pks) -> Result<u64, StoreError> {
    let (mut after, mut messages) = (0, 0);
    loop {
        let mut chats = from.chat_records(after, RECORDS).await?;
        let Some(last) = chats.last() else {
            return Ok(messages);
        };
        after = last.chat.pk;
        let heads = chats.iter().map(|record| record.chat.head.unsigned_abs());
        messages += heads.sum::<u64>();
        chats.retain(|record| record.chat.pk > there.chat);
        to.take_chats(chats).await?;
    }
}

async fn copy_messages(
    from: &dyn Store,
    to: &dyn Store,
    progress: ProgressBar,
) -> Result<(), CopyError> {
    let mut after = 0;
    loop {
        let chats = from.chat_records(after, RECORDS).await?;
        let Some(last) = chats.last() else {
            progress.finish();
            return Ok(());
        };
        after = last.chat.pk;
        for ChatRecord { chat, .. } in chats {
            let there = to.chat(chat.id).await?;
            let there = there.ok_or_else(|| differs(&chat))?;
            if there.head > chat.head {
                return Err(differs(&chat));
            }
            progress.inc(there.head.unsigned_abs());
            copy_chat(from, to, &chat, there.head, &progress).await?;
        }
    }
}

async fn copy_chat(
    from: &dyn Store,
    to: &dyn Store,
    chat: &Chat,
    mut there: Seq,
    progress: &ProgressBar,
) -> Result<(), CopyError> {
    while there < chat.head {
        let page = page(from, chat.id, there).await?;
        let last = page.messages.last().ok_or_else(|| differs(chat))?;
        progress.inc((last.seq - there).unsigned_abs());
        there = last.seq;
        to.take_messages(page.messages).await?;
    }
    Ok(())
}

async fn copy_audit(from: &dyn Store, to: &dyn Store) -> Result<(), StoreError> {
    let mut after = to.latest_audit().await?;
    loop {
        let records = audit(from, after).await?;
        let Some(last) = records.last() else {
            return Ok(());
        };
        after = Some(last.id);
        to.take_audit(records).await?;
    }
}

/// Counts and compares everything, messages by a checksum per chat.
async fn compare(
    from: &dyn Store,
    to: &dyn Store,
    progress: ProgressBar,
) -> Result<Copied, CopyError> {
    let mut copied = Copied::default();
    if from.counters().await? != to.counters().await? {
        return Err(CopyError::Differs("the numbering".into()));
    }
    let mut after = 0;
    loop {
        let users = from.users_after(after, RECORDS).await?;
        if users != to.users_after(after, RECORDS).await? {
            return Err(CopyError::Differs(format!("a user after {after}")));
        }
        let Some(last) = users.last() else { break };
        after = last.pk;
        copied.users += users.len();
    }
    let mut after = 0;
    loop {
        let events = from.event_records(after, RECORDS).await?;
        if events != to.event_records(after, RECORDS).await? {
            return Err(CopyError::Differs(format!("an event after {after}")));
        }
        let Some(last) = events.last() else { break };
        after = last.event.pk;
        copied.events += events.len();
    }
    let mut after = 0;
    loop {
        let chats = from.chat_records(after, RECORDS).await?;
        if chats != to.chat_records(after, RECORDS).await? {
            return Err(CopyError::Differs(format!("a chat after {after}")));
        }
        let Some(last) = chats.last() else { break };
        after = last.chat.pk;
        copied.chats += chats.len();
        for ChatRecord { chat, .. } in &chats {
            let (sum, count) = checksum(from, chat.id).await?;
            if (sum, count) != checksum(to, chat.id).await? {
                return Err(differs(chat));
            }
            copied.messages += count;
            progress.inc(chat.head.unsigned_abs());
        }
    }
    progress.finish();
    compare_audit(from, to).await?;
    Ok(copied)
}

async fn compare_audit(from: &dyn Store, to: &dyn Store) -> Result<(), CopyError> {
    let mut after = None;
    loop {
        let records = audit(from, after).await?;
        if records != audit(to, after).await? {
            return Err(CopyError::Differs("the audit log".into()));
        }
        let Some(last) = records.last() else {
            return Ok(());
        };
        after = Some(last.id);
    }
}

/// A checksum of all messages of a chat, and their number.
async fn checksum(store: &dyn Store, chat: ChatId) -> Result<(u64, usize), StoreError> {
    let mut hasher = DefaultHasher::new();
    let (mut after, mut count) = (0, 0);
    loop {
        let page = page(store, chat, after).await?;
        let Some(last) = page.messages.last() else {
            return Ok((hasher.finish(), count));
        };
        after = last.seq;
        count += page.messages.len();
        for message in &page.messages {
            hash(message, &mut hasher);
        }
    }
}

fn hash(message: &Message, hasher: &mut DefaultHasher) {
    let Message {
        id,
        chat,
        chat_pk,
        seq,
        sender,
        kind,
        text,
        photos,
        client_id,
        original_id,
        metadata,
        sent_as_read,
        // The state belongs to the chat, which is compared as a whole.
        event_chat: _,
        created_at,
        modified_at,
    } = message;
    (id, chat, chat_pk, seq, sender.pk, kind, text, photos).hash(hasher);
    (
        client_id,
        original_id,
        sent_as_read,
        created_at,
        modified_at,
    )
        .hash(hasher);
    metadata.as_ref().map(Metadata::json).hash(hasher);
}

async fn audit(store: &dyn Store, after: Option<AuditId>) -> Result<Vec<AuditRecord>, StoreError> {
    let all = AuditFilter::default();
    store.audit_records(all, after, RECORDS).await
}

async fn page(store: &dyn Store, chat: ChatId, after: Seq) -> Result<MessagePage, StoreError> {
    let history = History {
        range: Range {
            after: Some(after),
            ..Range::default()
        },
        window: Window::First(MESSAGES),
    };
    store.messages(chat, history).await
}

fn differs(chat: &Chat) -> CopyError {
    CopyError::Differs(format!("chat {}", chat.id))
}

#[cfg(test)]
#[path = "copy_tests.rs"]
mod tests;
