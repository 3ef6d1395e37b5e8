//! The messages that a client missed of many chats at once, within a budget.
//! Does not know connections: the command contains how far a client has to catch up.
//!
//! Many clients that reconnect at once request the same messages of the same chats. So nothing here
//! is read once per client and chat: member lists are cached, messages come from blocks that are
//! cached for a moment, and the heads of all chats that have to be looked up are read at once.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::try_join_all;

use super::access::{self, Actor};
use super::{Service, store_error};
use crate::model::{
    ChatId, ChatRef, Error, Identity, KnownUpTo, Message, Missed, PageBudget, Reply, Seq, UserId,
};

/// The most chats in one request.
const CHATS: usize = 1000;

/// How many histories are read at once for one request.
const AT_ONCE: usize = 8;

impl Service {
    /// The messages of these chats after those that the client knows, in the order given; `None`: no
    /// such chat, or not for the caller. A chat that does not have the message that the client knows
    /// begins at its first one. `until` and `budget` as in [`Command::Sync`].
    ///
    /// # Errors
    /// `TooLarge`: too many chats. `Forbidden`: another user's. `Unavailable`.
    ///
    /// [`Command::Sync`]: crate::model::Command::Sync
    pub(super) async fn sync(
        &self,
        identity: &Identity,
        user: Option<UserId>,
        chats: Vec<(ChatRef, KnownUpTo)>,
        until: &HashMap<ChatId, Seq>,
        budget: PageBudget,
    ) -> Result<Reply, Error> {
        if chats.len() > CHATS {
            return Err(Error::too_large("chats", format_args!("{CHATS} of them")));
        }
        let actor = access::actor(identity, user)?;
        let named: Vec<_> = chats.iter().map(|(chat, _)| *chat).collect();
        let seen = self.seen(actor, &named).await?;
        let known: Vec<_> = chats.iter().map(|(_, known)| *known).collect();
        let ends = self.ends(&seen, &known, until).await?;
        let gaps = self.gaps(&ends, &known).await?;
        let mut missed = self.fill(gaps, budget).await?;
        // A removal may have come before the messages were read.
        let named = named.iter().zip(&seen);
        let named: Vec<_> = named
            .filter_map(|(chat, seen)| seen.map(|_| *chat))
            .collect();
        let still = self.seen(actor, &named).await?;
        for (missed, seen) in missed
            .iter_mut()
            .filter(|missed| missed.is_some())
            .zip(still)
        {
            *missed = missed.take().filter(|_| seen.is_some());
        }
        Ok(Reply::Synced(missed))
    }

    /// Those of these chats that the actor may look at. Those that are not known are read together.
    pub(super) async fn seen(
        &self,
        actor: Actor,
        chats: &[ChatRef],
    ) -> Result<Vec<Option<ChatId>>, Error> {
        let ids = self.ids_of(chats).await?;
        let known: Vec<_> = ids.iter().flatten().copied().collect();
        let mut members = self.memberships.of_all(&known).await?.into_iter();
        let looks = chats.iter().zip(ids).map(|(chat, id)| {
            let id = id?;
            let members = members.next().flatten()?;
            // One chat from which the user is banned must not hide the others.
            self.sees(actor, *chat, &members).is_ok().then_some(id)
        });
        Ok(looks.collect())
    }

    /// Up to which seq each chat is read. The head of a chat is read unless it is known to be no
    /// less than what the client knows.
    async fn ends(
        &self,
        seen: &[Option<ChatId>],
        known: &[KnownUpTo],
        until: &HashMap<ChatId, Seq>,
    ) -> Result<Vec<Option<End>>, Error> {
        let chats = seen.iter().zip(known);
        let mut ends: Vec<_> = chats
            .map(|(chat, known)| {
                let chat = (*chat)?;
                let until = until.get(&chat).copied();
                let head = until.filter(|until| known.seq <= *until);
                Some(End { chat, until, head })
            })
            .collect();
        let open = ends.iter().flatten().filter(|end| end.head.is_none());
        let open: Vec<_> = open.map(|end| end.chat).collect();
        if !open.is_empty() {
            let found = self.store.heads(&open).await.map_err(store_error)?;
            let waiting = ends.iter_mut().flatten();
            let waiting = waiting.filter(|end| end.head.is_none());
            for (end, found) in waiting.zip(found) {
                end.head = Some(found);
            }
        }
        Ok(ends)
    }

    /// What is missing of each chat.
    async fn gaps(
        &self,
        ends: &[Option<End>],
        known: &[KnownUpTo],
    ) -> Result<Vec<Option<Gap>>, Error> {
        let mut gaps = Vec::with_capacity(ends.len());
        let chats: Vec<_> = ends.iter().zip(known).collect();
        for group in chats.chunks(AT_ONCE) {
            let group = group.iter().map(|(end, known)| async {
                match end {
                    Some(end) => self.gap(*end, **known).await.map(Some),
                    None => Ok(None),
                }
            });
            gaps.extend(try_join_all(group).await?);
        }
        Ok(gaps)
    }

    async fn gap(&self, end: End, known: KnownUpTo) -> Result<Gap, Error> {
        let latest = end.head.unwrap_or(0);
        let is_there = match known.id {
            _ if known.seq > latest => false,
            None => true,
            Some(_) if known.seq == 0 => false,
            Some(id) => {
                let message = self.history_cache.one(end.chat, known.seq).await?;
                message.is_some_and(|message| id.is_of(&message))
            }
        };
        Ok(Gap {
            chat: end.chat,
            after: if is_there { known.seq } else { 0 },
            head: end.until.unwrap_or(latest),
            reset: !is_there,
        })
    }

    /// Shares the budget out among the gaps, first come, first served. Seqs have no gaps, so the
    /// number of messages is known before any is read.
    async fn fill(
        &self,
        gaps: Vec<Option<Gap>>,
        budget: PageBudget,
    ) -> Result<Vec<Option<Missed>>, Error> {
        let mut left = Remaining::of(budget);
        let wanted = gaps.into_iter().map(|gap| {
            let gap = gap?;
            let until = gap.after.saturating_add(left.reserve(&gap));
            Some((gap, until))
        });
        let wanted: Vec<_> = wanted.collect();
        let mut missed = Vec::with_capacity(wanted.len());
        for group in wanted.chunks(AT_ONCE) {
            let bytes = left.bytes;
            let runs = group.iter().map(|wanted| async move {
                match wanted {
                    Some((gap, until)) if bytes > 0 => {
                        self.history_cache
                            .run(gap.chat, gap.after, *until, bytes)
                            .await
                    }
                    _ => Ok(Vec::new()),
                }
            });
            let runs = try_join_all(runs).await?;
            for (wanted, run) in group.iter().zip(runs) {
                missed.push(wanted.map(|(gap, _)| gap.filled(left.cut(run))));
            }
        }
        Ok(missed)
    }
}

/// Up to which seq a chat is read.
#[derive(Debug, Clone, Copy)]
struct End {
    chat: ChatId,
    /// Later messages are delivered live.
    until: Option<Seq>,
    /// The latest message, or an earlier one that is not before the one that the client knows.
    head: Option<Seq>,
}

/// A chat of which something may be missing: everything after one number up to another.
#[derive(Debug, Clone, Copy)]
struct Gap {
    chat: ChatId,
    after: Seq,
    head: Seq,
    reset: bool,
}

impl Gap {
    fn filled(self, messages: Vec<Arc<Message>>) -> Missed {
        let latest = messages.last().map_or(self.after, |message| message.seq);
        Missed {
            chat: self.chat,
            messages,
            head: self.head,
            has_more: latest < self.head,
            reset: self.reset,
        }
    }
}

/// The rest of a budget.
struct Remaining {
    of_chat: Seq,
    messages: Seq,
    bytes: usize,
    untouched: bool,
}

impl Remaining {
    fn of(budget: PageBudget) -> Self {
        Self {
            of_chat: budget.of_chat,
            messages: budget.messages,
            bytes: budget.bytes,
            untouched: true,
        }
    }

    /// How many messages of a gap may be sent: so many fewer are left.
    fn reserve(&mut self, gap: &Gap) -> Seq {
        let missing = gap.head.saturating_sub(gap.after).max(0);
        let granted = missing.min(self.of_chat).min(self.messages);
        self.messages -= granted;
        granted
    }

    /// The beginning of a run whose texts fit in; the very first message does in any case, so that
    /// repeated requests reach the end.
    fn cut(&mut self, mut run: Vec<Arc<Message>>) -> Vec<Arc<Message>> {
        let mut fitting = 0;
        for message in &run {
            let length = message.weight();
            if length > self.bytes && !self.untouched {
                break;
            }
            self.untouched = false;
            self.bytes = self.bytes.saturating_sub(length);
            fitting += 1;
        }
        run.truncate(fitting);
        run
    }
}

#[cfg(test)]
#[path = "sync_tests.rs"]
mod tests;
