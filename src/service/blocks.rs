//! The latest history of chats, kept for a moment: when a crowd comes back at once, the store
//! is read once for each part of a chat and not once for each client.
//! It refuses to know who asks, and keeps nothing that a reader could not see for long.

use std::sync::Arc;
use std::time::Duration;

use moka::Entry;
use moka::future::Cache;
use moka::ops::compute::Op;

use super::store_error;
use crate::model::{ChatId, Error, History, Message, Range, Seq, Window};
use crate::store::Store;

/// How many numbers a block spans: 1 to 256, 257 to 512, and so on.
const SPAN: Seq = 256;

/// How much is kept in all, in bytes.
const CAPACITY: u64 = 32 * 1024 * 1024;

/// How long a block is good: a message stands, but its sender's profile may change.
const LIFE: Duration = Duration::from_secs(5);

/// Reads runs of messages, block by block.
pub(super) struct Blocks {
    store: Arc<dyn Store>,
    /// By chat and by how many blocks stand before it.
    known: Cache<(ChatId, Seq), Arc<Block>>,
}

/// What the store had of a block when it was read.
struct Block {
    /// From the first number of the block on, without a hole.
    messages: Vec<Arc<Message>>,
    /// The sum of [`Message::kept_bytes`].
    weight: usize,
    end: End,
}

/// Where the messages of a block end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// With the block, or with what the store had.
    Whole,
    /// Where their texts grew too long for one page of the store.
    Cut,
}

impl Block {
    fn reaches(&self, until: Seq) -> bool {
        let latest = self.messages.last().map_or(0, |message| message.seq);
        self.end == End::Cut || latest >= until
    }
}

impl Blocks {
    /// Nothing is known yet of what this store has.
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        let weigh = |_: &_, block: &Arc<Block>| u32::try_from(block.weight).unwrap_or(u32::MAX);
        let known = Cache::builder()
            .max_capacity(CAPACITY)
            .time_to_live(LIFE)
            .weigher(weigh)
            .build();
        Self { store, known }
    }

    /// The messages of a chat after `after`, up to `until`, without a hole; fewer where their
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
        if part.is_empty() && block.end == End::Cut {
            // So long are few: each reader reads its own.
            return Ok(self.read(chat, after, until).await?.0);
        }
        Ok(part)
    }

    /// A block, which reaches `until` if the store does: what is kept, or what is read now, by
    /// one for all who want it.
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
            let (messages, end) = self.read(chat, before * SPAN, (before + 1) * SPAN).await?;
            let weight = messages.iter().map(|message| message.kept_bytes()).sum();
            Ok(Op::Put(Arc::new(Block {
                messages,
                weight,
                end,
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
    ) -> Result<(Vec<Arc<Message>>, End), Error> {
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
        let end = if page.has_more { End::Cut } else { End::Whole };
        Ok((page.messages.into_iter().map(Arc::new).collect(), end))
    }
}
