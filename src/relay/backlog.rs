//! The notices of chats that cannot be delivered to at once, in the order of the bus and within
//! bounds. Messages beyond them are dropped and marked as missing: the store has them.
//! Does not know why a chat is delayed and when it continues.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tokio::time::Instant;

use super::incomplete::Incomplete;
use super::{TOGETHER, message_of};
use crate::model::{ChatId, Notice, Seq};

/// How many notices may queue.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bound {
    /// Of one chat.
    pub(super) chat: usize,
    /// Of all chats together.
    pub(super) all: usize,
}

/// Of messages. Beyond it they are dropped, and read from the store later.
pub(super) const MESSAGES: Bound = Bound {
    chat: 512,
    all: 8192,
};

/// Of other notices, which the store cannot give back. Beyond it their chat is not waited for.
pub(super) const OTHERS: Bound = Bound {
    chat: 128,
    all: 4096,
};

/// A backlog for each delayed chat.
#[derive(Default)]
pub(super) struct Backlogs {
    chats: HashMap<ChatId, Backlog>,
    /// The number of notices in all of them.
    held: Count,
}

/// The queue of a delayed chat, the next first.
#[derive(Default)]
struct Backlog {
    queue: VecDeque<Pending>,
    held: Count,
    /// Until when the next delivery waits for crowded outboxes; `None`: it has not waited yet.
    deadline: Option<Instant>,
}

#[derive(Default)]
struct Count {
    messages: usize,
    others: usize,
}

/// An item of the queue.
enum Pending {
    Message(Arc<Notice>),
    Other(Arc<Notice>),
    Incomplete(Incomplete),
    Missing(Missing),
}

/// The next delivery of a delayed chat.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NextDelivery {
    /// Messages, at most [`TOGETHER`].
    Messages(Vec<Arc<Notice>>),
    /// Another notice about the chat.
    Other(Arc<Notice>),
    /// A notice of another node, to be completed first.
    Incomplete(Incomplete),
    /// Messages to be read from the store first.
    Missing(Missing),
}

/// A range of messages that only the store has. It begins after the latest delivered one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Missing {
    /// It ends with this message; `None`: with the latest one in the store.
    pub(super) last: Option<Arc<Notice>>,
}

/// The bound of other notices is reached.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Backlogs {
    /// Whether no chat is delayed.
    pub(super) fn is_empty(&self) -> bool {
        self.chats.is_empty()
    }

    /// The delayed chats.
    pub(super) fn chats(&self) -> Vec<ChatId> {
        self.chats.keys().copied().collect()
    }

    /// Whether this chat is delayed.
    pub(super) fn contains(&self, chat: ChatId) -> bool {
        self.chats.contains_key(&chat)
    }

    /// The chat is no longer delayed. Its queue is dropped.
    pub(super) fn remove(&mut self, chat: ChatId) {
        while self.pop(chat).is_some() {}
        self.chats.remove(&chat);
    }

    /// Until when the next delivery of this delayed chat waits: until `deadline`, unless it
    /// waits already.
    pub(super) fn wait_until(&mut self, chat: ChatId, deadline: Instant) -> Instant {
        let backlog = self.chats.entry(chat).or_default();
        *backlog.deadline.get_or_insert(deadline)
    }

    /// Whether the next delivery of this chat has waited as long as it may.
    pub(super) fn is_overdue(&self, chat: ChatId) -> bool {
        let deadline = self.chats.get(&chat).and_then(|backlog| backlog.deadline);
        deadline.is_some_and(|deadline| deadline <= Instant::now())
    }

    /// Messages of this chat were delivered: the next delivery has a deadline of its own.
    pub(super) fn delivered(&mut self, chat: ChatId) {
        if let Some(backlog) = self.chats.get_mut(&chat) {
            backlog.deadline = None;
        }
    }

    /// Queues a message of a delayed chat, or marks it as missing where the bound is reached.
    pub(super) fn push_message(&mut self, chat: ChatId, message: &Arc<Notice>) {
        let room = self.room(chat);
        let backlog = self.chats.entry(chat).or_default();
        if room > 0 {
            let message = Arc::clone(message);
            backlog.queue.push_back(Pending::Message(message));
            self.held.messages += 1;
            backlog.held.messages += 1;
        } else if let Some(Pending::Missing(missing)) = backlog.queue.back_mut() {
            missing.extend(message);
        } else {
            let missing = Missing::up_to(message);
            backlog.queue.push_back(Pending::Missing(missing));
        }
    }

    /// Queues a notice of a delayed chat that is no message.
    ///
    /// # Errors
    /// When the bound is reached.
    pub(super) fn push_other(&mut self, chat: ChatId, notice: &Arc<Notice>) -> Result<(), Full> {
        let backlog = self.chats.entry(chat).or_default();
        if backlog.held.others >= OTHERS.chat || self.held.others >= OTHERS.all {
            return Err(Full);
        }
        backlog.queue.push_back(Pending::Other(Arc::clone(notice)));
        backlog.held.others += 1;
        self.held.others += 1;
        Ok(())
    }

    /// Queues a notice of another node about a delayed chat, unless one is queued already that will be completed with the
    /// same.
    ///
    /// # Errors
    /// When the bound is reached.
    pub(super) fn push_incomplete(
        &mut self,
        chat: ChatId,
        incomplete: Incomplete,
    ) -> Result<(), Full> {
        let backlog = self.chats.entry(chat).or_default();
        let includes = |next: &Pending| matches!(next, Pending::Incomplete(next) if next.includes(&incomplete));
        if backlog.queue.iter().any(includes) {
            return Ok(());
        }
        if backlog.held.others >= OTHERS.chat || self.held.others >= OTHERS.all {
            return Err(Full);
        }
        backlog.queue.push_back(Pending::Incomplete(incomplete));
        backlog.held.others += 1;
        self.held.others += 1;
        Ok(())
    }

    /// Delays a chat.
    pub(super) fn delay(&mut self, chat: ChatId) {
        self.chats.entry(chat).or_default();
    }

    /// Delays a chat, if it is not delayed already, and queues messages before everything else
    /// there; those for which there is no room are marked as missing.
    pub(super) fn put_back(&mut self, chat: ChatId, messages: &[Arc<Notice>]) {
        let (kept, dropped) = messages.split_at(self.room(chat).min(messages.len()));
        // The bus may have shuffled them.
        if let Some(last) = dropped.iter().max_by_key(|message| seq_of(message)) {
            self.put_back_missing(chat, Missing::up_to(last));
        }
        let backlog = self.chats.entry(chat).or_default();
        for message in kept.iter().rev() {
            let message = Arc::clone(message);
            backlog.queue.push_front(Pending::Message(message));
        }
        backlog.held.messages += kept.len();
        self.held.messages += kept.len();
    }

    /// Delays a chat, if it is not delayed already, and marks messages as missing before
    /// everything else there.
    pub(super) fn put_back_missing(&mut self, chat: ChatId, missing: Missing) {
        let queue = &mut self.chats.entry(chat).or_default().queue;
        let to_the_end =
            |next: &Pending| matches!(next, Pending::Missing(next) if next.last.is_none());
        if !queue.front().is_some_and(to_the_end) {
            queue.push_front(Pending::Missing(missing));
        }
    }

    /// Takes out the next step of a delayed chat; `None`: there is none.
    pub(super) fn pop(&mut self, chat: ChatId) -> Option<NextDelivery> {
        let backlog = self.chats.get_mut(&chat)?;
        match backlog.queue.pop_front()? {
            Pending::Message(message) => {
                let mut messages = vec![message];
                let is_message = |next: &mut Pending| matches!(next, Pending::Message(_));
                while messages.len() < TOGETHER
                    && let Some(Pending::Message(message)) = backlog.queue.pop_front_if(is_message)
                {
                    messages.push(message);
                }
                backlog.held.messages -= messages.len();
                self.held.messages -= messages.len();
                Some(NextDelivery::Messages(messages))
            }
            Pending::Other(notice) => {
                backlog.held.others -= 1;
                self.held.others -= 1;
                Some(NextDelivery::Other(notice))
            }
            Pending::Incomplete(incomplete) => {
                backlog.held.others -= 1;
                self.held.others -= 1;
                Some(NextDelivery::Incomplete(incomplete))
            }
            Pending::Missing(missing) => Some(NextDelivery::Missing(missing)),
        }
    }

    /// How many more messages of this chat may queue.
    fn room(&self, chat: ChatId) -> usize {
        let held = self.chats.get(&chat).map_or(0, |chat| chat.held.messages);
        let all = MESSAGES.all.saturating_sub(self.held.messages);
        all.min(MESSAGES.chat.saturating_sub(held))
    }
}

impl Missing {
    fn up_to(last: &Arc<Notice>) -> Self {
        Self {
            last: Some(Arc::clone(last)),
        }
    }

    /// The seq that it ends with; `None`: that of the latest message in the store.
    pub(super) fn until(&self) -> Option<Seq> {
        self.last.as_deref().and_then(seq_of)
    }

    fn extend(&mut self, message: &Arc<Notice>) {
        if self.last.is_some() && seq_of(message) > self.until() {
            self.last = Some(Arc::clone(message));
        }
    }
}

fn seq_of(notice: &Notice) -> Option<Seq> {
    message_of(notice).map(|message| message.seq)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::tests::{absent_chat, changed, message};

    /// The steps of a chat: the seq of each message, a word for other notices, and missing ranges
    /// with their end.
    fn steps(backlogs: &mut Backlogs, chat: ChatId) -> Vec<String> {
        let mut steps = Vec::new();
        while let Some(step) = backlogs.pop(chat) {
            match step {
                NextDelivery::Messages(messages) => {
                    let seqs = messages.iter().filter_map(|message| seq_of(message));
                    steps.extend(seqs.map(|seq| seq.to_string()));
                }
                NextDelivery::Other(_) => steps.push("other".into()),
                NextDelivery::Incomplete(_) => steps.push("incomplete".into()),
                NextDelivery::Missing(missing) => {
                    steps.push(format!("missing to {:?}", missing.until()));
                }
            }
        }
        steps
    }

    fn push(backlogs: &mut Backlogs, chat: ChatId, seqs: impl IntoIterator<Item = Seq>) {
        for seq in seqs {
            backlogs.push_message(chat, &message(chat, seq));
        }
    }

    fn bound(bound: usize) -> Seq {
        Seq::try_from(bound).expect("a small number")
    }

    #[test]
    fn messages_beyond_the_bound_are_missing_in_their_place() {
        let (mut backlogs, chat) = (Backlogs::default(), absent_chat());
        let (id, full) = (chat.id, bound(MESSAGES.chat));
        push(&mut backlogs, id, 1..=full);
        // Shuffled by the bus.
        push(&mut backlogs, id, [full + 2, full + 1]);
        backlogs.push_other(id, &changed(&chat)).expect("room");
        push(&mut backlogs, id, full + 3..full + 10);
        let mut expected: Vec<_> = (1..=full).map(|seq| seq.to_string()).collect();
        expected.push(format!("missing to {:?}", Some(full + 2)));
        expected.push("other".into());
        expected.push(format!("missing to {:?}", Some(full + 9)));
        assert_eq!(steps(&mut backlogs, id), expected);
        push(&mut backlogs, id, [full + 10]);
        assert_eq!(steps(&mut backlogs, id), [(full + 10).to_string()]);
    }

    #[test]
    fn all_chats_together_have_a_bound() {
        let mut backlogs = Backlogs::default();
        let chats = MESSAGES.all / MESSAGES.chat;
        let mut full: Vec<_> = (0..chats).map(|_| absent_chat().id).collect();
        for chat in &full {
            push(&mut backlogs, *chat, 1..=bound(MESSAGES.chat));
        }
        let late = absent_chat().id;
        push(&mut backlogs, late, 1..=3);
        backlogs.put_back(late, &[message(late, 9), message(late, 8)]);
        let expected = ["missing to Some(9)", "missing to Some(3)"];
        assert_eq!(steps(&mut backlogs, late), expected);
        backlogs.remove(full.pop().expect("a chat"));
        push(&mut backlogs, late, [10]);
        assert_eq!(steps(&mut backlogs, late), ["10"]);
    }

    #[test]
    fn of_other_notices_those_beyond_the_bound_are_refused() {
        let (mut backlogs, chat) = (Backlogs::default(), absent_chat());
        for _ in 0..OTHERS.chat {
            backlogs.push_other(chat.id, &changed(&chat)).expect("room");
        }
        assert_eq!(backlogs.push_other(chat.id, &changed(&chat)), Err(Full));
        let elsewhere = absent_chat();
        let refused = backlogs.push_other(elsewhere.id, &changed(&elsewhere));
        assert_eq!(refused, Ok(()));
    }

    #[test]
    fn what_is_put_back_comes_first() {
        let (mut backlogs, chat) = (Backlogs::default(), absent_chat().id);
        push(&mut backlogs, chat, [4]);
        let to_the_end = Missing::default();
        backlogs.put_back_missing(chat, to_the_end.clone());
        backlogs.put_back_missing(chat, to_the_end);
        backlogs.put_back(chat, &[message(chat, 1), message(chat, 2)]);
        let expected = ["1", "2", "missing to None", "4"];
        assert_eq!(steps(&mut backlogs, chat), expected);
    }
}
