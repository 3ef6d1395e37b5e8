//! What a loss of notices affects: chats, as long as they are few, else everything.
//! Does not know which node has lost them.

use std::collections::HashSet;

use crate::bus::Scope;
use crate::model::ChatId;

/// How many chats are counted one by one.
const MOST_CHATS: usize = 10_000;

/// What is affected; at first nothing is.
#[derive(Debug, Default)]
pub(super) struct Affected {
    everything: bool,
    chats: HashSet<ChatId>,
}

impl Affected {
    /// Adds a chat; `None`: everything.
    pub(super) fn add(&mut self, chat: Option<ChatId>) {
        match chat {
            _ if self.everything => {}
            Some(chat) if self.chats.len() < MOST_CHATS || self.chats.contains(&chat) => {
                self.chats.insert(chat);
            }
            Some(_) | None => self.add_everything(),
        }
    }

    /// Adds everything.
    pub(super) fn add_everything(&mut self) {
        self.everything = true;
        self.chats = HashSet::new();
    }

    /// Adds all that `other` has.
    pub(super) fn merge(&mut self, other: Self) {
        if other.everything {
            self.add_everything();
        }
        for chat in other.chats {
            self.add(Some(chat));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.everything && self.chats.is_empty()
    }

    /// How many chats; `None`: everything.
    pub(super) fn count(&self) -> Option<usize> {
        (!self.everything).then_some(self.chats.len())
    }

    /// Takes out as many as `limit`; `None` stands for everything.
    pub(super) fn take(&mut self, limit: usize) -> Vec<Option<ChatId>> {
        if std::mem::take(&mut self.everything) {
            return vec![None];
        }
        let taken: Vec<_> = self.chats.iter().copied().take(limit).collect();
        for chat in &taken {
            self.chats.remove(chat);
        }
        taken.into_iter().map(Some).collect()
    }
}

impl From<Affected> for Scope {
    fn from(affected: Affected) -> Self {
        if affected.everything {
            Self::Everything
        } else {
            Self::Chats(affected.chats.into_iter().collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chat(number: usize) -> ChatId {
        let number = u128::try_from(number).expect("small");
        ChatId::from_bytes(number.to_be_bytes())
    }

    #[test]
    fn more_chats_than_are_counted_are_everything() {
        let mut affected = Affected::default();
        for number in 0..MOST_CHATS {
            affected.add(Some(chat(number)));
        }
        affected.add(Some(chat(0)));
        assert_eq!(affected.count(), Some(MOST_CHATS));
        affected.add(Some(chat(MOST_CHATS)));
        assert_eq!(affected.count(), None);
        affected.add(Some(chat(1)));
        assert_eq!(affected.take(5), [None]);
        assert!(affected.is_empty());
    }

    #[test]
    fn what_is_taken_is_taken_once() {
        let mut affected = Affected::default();
        let mut other = Affected::default();
        for number in 0..3 {
            affected.add(Some(chat(number)));
            other.add(Some(chat(number + 2)));
        }
        affected.merge(other);
        let mut taken = affected.take(3);
        taken.extend(affected.take(3));
        taken.sort_unstable();
        assert_eq!(
            taken,
            (0..5).map(|number| Some(chat(number))).collect::<Vec<_>>()
        );
        assert!(affected.is_empty());
    }
}
