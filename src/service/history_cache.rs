//! Caches the latest history of chats for seconds: when many clients reconnect at once, the store
//! is read once for each part of a chat and not once for each client.
//! Does not know the readers, and keeps an entry for a few seconds only.

use std::sync::Arc;
use std::time::Duration;

use moka::Entry;
use moka::future::Cache;
use moka::ops::compute::Op;

use super::store_error;
use crate::model::{ChatId, Error, History, Message, Range, Seq, Window};
use crate::store::Store;

/// The seqs of a block: 1 to 256, 257 to 512, and so on.
const SPAN: Seq = 256;

/// The capacity, in bytes.
const CAPACITY: u64 = 32 * 1024 * 1024;

/// The lifetime of a block: a message never changes, but its sender's profile may.
const LIFE: Duration = Duration::from_secs(5);

/// Reads ranges of messages, block by block.
pub(super) struct HistoryCache {
    store: Arc<dyn Store>,
    /// By chat and index of the block.
    known: Cache<(ChatId, Seq), Arc<Block>>,
}

/// The messages of a block when it was read.
struct Block {
    /// From the first seq of the block on, without a gap.
    messages: Vec<Arc<Message>>,
    /// The sum of [`Message::kept_bytes`].
    weight: usize,
    extent: Extent,
}

/// Whether a block was read in full.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// Up to the end of the block, or of the chat.
    Complete,
    /// Up to the size limit of one page of the store.
    Truncated,
}

impl Block {
    fn reaches(&self, until: Seq) -> bool {
        let latest = self.messages.last().map_or(0, |message| message.seq);
        self.extent == Extent::Truncated || latest >= until
    }
}

impl HistoryCache {
    /// An empty cache over this store.
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        let weigh = |_: &_, block: &Arc<Block>| u32::try_from(block.weight).unwrap_or(u32::MAX);
        let known = Cache::builder()
            .max_capacity(CAPACITY)
            .time_to_live(LIFE)
            .weigher(weigh)
            .build();
        Self { store, known }
    }

    /// The messages of a chat after `after`, up to `until`, without a gap; fewer where their
    /// texts exceed `bytes`, but then at least one.
    pub(super) async fn run(
        &self,
        chat: ChatId,
        after: Seq,
        until: Seq,
        bytes: usize,
    ) -> Result<Vec<Arc<Message>>, Error> {
        let (mut run, mut weight) = (Vec::new(), 0);
        let mut latest = after;
        while latest < until {
            let part = self.part(chat, latest, until).await?;
            if part.is_empty() {
                // The chat is being deleted.
                break;
            }
            for message in part {
                if weight > 0 && weight + message.weight() > bytes {
                    return Ok(run);
                }
                weight += message.weight();
                latest = message.seq;
                run.push(message);
            }
        }
        Ok(run)
    }

    /// One message of a chat, if it is there.
    pub(super) async fn one(&self, chat: ChatId, seq: Seq) -> Result<Option<Arc<Message>>, Error> {
        let before = (seq - 1) / SPAN;
        if let Some(block) = self.known.get(&(chat, before)).await
            && let Ok(index) = usize::try_from(seq - 1 - before * SPAN)
            && let Some(message) = block.messages.get(index)
        {
            return Ok(Some(Arc::clone(message)));
        }
        let (mut messages, _) = self.read(chat, seq - 1, seq).await?;
        Ok(messages.pop())
    }

    /// The first of these messages, as many as stand together; none: there are none.
    async fn part(&self, chat: ChatId, after: Seq, until: Seq) -> Result<Vec<Arc<Message>>, Error> {
        let (before, skip) = (after / SPAN, after % SPAN);
        let until = until.min((before + 1) * SPAN);
        let block = self.block(chat, before, until).await?;
        let messages = block.messages.iter();
        let messages = messages.skip(usize::try_from(skip).unwrap_or(usize::MAX));
        let part: Vec<_> = messages
            .take_while(|message| message.seq <= until)
            .map(Arc::clone)
            .collect();
        if part.is_empty() && block.extent == Extent::Truncated {
            // Blocks of that size are rare and not cached: each caller reads its own.
            return Ok(self.read(chat, after, until).await?.0);
        }
        Ok(part)
    }

    /// A block, which reaches `until` if the store does: from the cache, or read now, once for all
    /// concurrent callers.
    async fn block(&self, chat: ChatId, before: Seq, until: Seq) -> Result<Arc<Block>, Error> {
        let key = (chat, before);
        if let Some(block) = self.known.get(&key).await
            && block.reaches(until)
        {
            return Ok(block);
        }
        let read = |known: Option<Entry<_, Arc<Block>>>| async move {
            if known.is_some_and(|known| known.value().reaches(until)) {
                return Ok(Op::Nop);
            }
            let (messages, extent) = self.read(chat, before * SPAN, (before + 1) * SPAN).await?;
            let weight = messages.iter().map(|message| message.kept_bytes()).sum();
            Ok(Op::Put(Arc::new(Block {
                messages,
                weight,
                extent,
            })))
        };
        let read = self.known.entry(key).and_try_compute_with(read).await?;
        read.into_entry()
            .map(Entry::into_value)
            .ok_or_else(|| Error::unavailable("the history could not be read"))
    }

    async fn read(
        &self,
        chat: ChatId,
        after: Seq,
        until: Seq,
    ) -> Result<(Vec<Arc<Message>>, Extent), Error> {
        let history = History {
            range: Range {
                after: Some(after),
                before: Some(until + 1),
                ..Range::default()
            },
            window: Window::First(usize::try_from(SPAN).unwrap_or(usize::MAX)),
        };
        let page = self.store.messages(chat, history).await;
        let page = page.map_err(store_error)?;
        let extent = if page.has_more {
            Extent::Truncated
        } else {
            Extent::Complete
        };
        Ok((page.messages.into_iter().map(Arc::new).collect(), extent))
    }
}
