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
    ChatId, ChatRef, Error, Identity, Message, Missed, PageBudget, Reply, Seq, UserRef,
};

/// The most chats in one request.
const CHATS: usize = 1000;

/// How many histories are read at once for one request.
const AT_ONCE: usize = 8;

impl Service {
    /// The messages of these chats after the seqs given, in the order given; `None`: no such
    /// chat, or not for the caller. `until` and `budget` as in [`Command::Sync`].
    ///
    /// # Errors
    /// `TooLarge`: too many chats. `Forbidden`: another user's. `Unavailable`.
    ///
    /// [`Command::Sync`]: crate::model::Command::Sync
    pub(super) async fn sync(
        &self,
        identity: &Identity,
        user: Option<UserRef>,
        chats: Vec<(ChatRef, Seq)>,
        until: &HashMap<ChatId, Seq>,
        budget: PageBudget,
    ) -> Result<Reply, Error> {
        if chats.len() > CHATS {
            return Err(Error::too_large("chats", format_args!("{CHATS} of them")));
        }
        let user = self.named_user(user).await?;
        let actor = access::actor(identity, user)?;
        let named: Vec<_> = chats.iter().map(|(chat, _)| chat.clone()).collect();
        let seen = self.seen(actor, &named).await?;
        let heads = self.heads(&seen, until).await?;
        let gaps = heads.iter().zip(&chats).map(|(head, (_, after))| {
            head.map(|(chat, head)| Gap {
                chat,
                after: *after,
                head,
            })
        });
        let mut missed = self.fill(gaps.collect(), budget).await?;
        // A removal may have come before the messages were read.
        let named = named.iter().zip(&seen);
        let named: Vec<_> = named
            .filter_map(|(chat, seen)| seen.map(|_| chat.clone()))
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
            self.sees(actor, chat, &members).is_ok().then_some(id)
        });
        Ok(looks.collect())
    }

    /// Up to which seq each chat is read.
    async fn heads(
        &self,
        seen: &[Option<ChatId>],
        until: &HashMap<ChatId, Seq>,
    ) -> Result<Vec<Option<(ChatId, Seq)>>, Error> {
        let mut heads: Vec<_> = seen
            .iter()
            .map(|chat| chat.map(|chat| (chat, until.get(&chat).copied())))
            .collect();
        let open = heads.iter().flatten().filter(|(_, head)| head.is_none());
        let open: Vec<_> = open.map(|(chat, _)| chat.clone()).collect();
        if !open.is_empty() {
            let found = self.store.heads(&open).await.map_err(store_error)?;
            let waiting = heads
                .iter_mut()
                .flatten()
                .filter(|(_, head)| head.is_none());
            for ((_, head), found) in waiting.zip(found) {
                *head = Some(found);
            }
        }
        let heads = heads.into_iter();
        Ok(heads
            .map(|head| head.map(|(chat, head)| (chat, head.unwrap_or(0))))
            .collect())
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

/// A chat of which something may be missing: everything after one number up to another.
#[derive(Debug, Clone, Copy)]
struct Gap {
    chat: ChatId,
    after: Seq,
    head: Seq,
}

impl Gap {
    fn filled(self, messages: Vec<Arc<Message>>) -> Missed {
        let latest = messages.last().map_or(self.after, |message| message.seq);
        Missed {
            chat: self.chat,
            messages,
            head: self.head,
            has_more: latest < self.head,
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
