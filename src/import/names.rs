//! The names of the chats in a file.
//! Does not keep anything else of them.

use std::collections::HashMap;

use crate::model::{ChatRef, ImportedChat};

/// The names of chats, each with a small number; names of one chat have the same one in the end.
#[derive(Default)]
pub(super) struct Names {
    numbers: HashMap<ChatRef, u32>,
    /// The number of each that counts instead.
    same: Vec<u32>,
    /// Whether a line describes it.
    described: Vec<bool>,
}

impl Names {
    /// The number of a name.
    pub(super) fn number(&mut self, chat: &ChatRef) -> u32 {
        if let Some(number) = self.numbers.get(chat) {
            return self.root(*number);
        }
        let number = u32::try_from(self.same.len()).unwrap_or(u32::MAX);
        self.numbers.insert(chat.clone(), number);
        self.same.push(number);
        self.described.push(false);
        number
    }

    /// The number that counts.
    pub(super) fn root(&self, mut number: u32) -> u32 {
        while let Some(same) = self.same.get(index(number))
            && *same != number
        {
            number = *same;
        }
        number
    }

    /// The number of a chat that is known.
    pub(super) fn known(&self, chat: &ChatRef) -> Option<u32> {
        let number = self.numbers.get(chat)?;
        Some(self.root(*number))
    }

    /// How many numbers there are.
    pub(super) fn len(&self) -> usize {
        self.same.len()
    }

    /// The names of the chats that no line describes.
    pub(super) fn undescribed(&self) -> Vec<String> {
        let missing = self.numbers.iter();
        let missing = missing.filter(|(_, number)| !self.described[index(self.root(**number))]);
        let mut missing: Vec<_> = missing.map(|(name, _)| name.to_string()).collect();
        missing.sort();
        missing
    }

    /// The number of a chat with all of its names.
    pub(super) fn describe(&mut self, chat: &ImportedChat) -> Option<u32> {
        let external = chat.external_id.as_deref().map(Into::into);
        let names = [
            chat.id.map(ChatRef::Id),
            external.map(ChatRef::External),
            chat.pk.map(ChatRef::Pk),
        ];
        let numbers = names.iter().flatten();
        let numbers: Vec<_> = numbers.map(|name| self.number(name)).collect();
        let first = *numbers.first()?;
        for number in numbers {
            self.same[index(number)] = first;
        }
        self.described[index(first)] = true;
        Some(first)
    }
}

pub(super) fn index(number: u32) -> usize {
    number as usize
}
