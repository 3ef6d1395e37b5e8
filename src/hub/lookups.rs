//! Chats that the store may have created or deleted although its answer was lost: the relay looks them
//! up, and their connections learn of it.
//! Does not read the store.

use std::sync::Arc;

use super::Hub;
use crate::model::{Chat, ChatId, ChatPk, EventChat, Fact, Notice};

/// A change of the store that is uncertain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    /// The chat may have been created.
    Creation,
    /// The chat with this number may have been deleted.
    Deletion(ChatPk),
}

/// A chat as the store has it, and as an event's if it is one; `None`: there is none.
pub type Found = Option<(Chat, Option<EventChat>)>;

impl Hub {
    /// The chat is to be looked up.
    pub fn look_up(&self, chat: ChatId, lookup: Lookup) {
        self.lookups.lock().insert(chat, lookup);
        self.fall_behind(chat);
    }

    /// Whether a chat is still to be looked up.
    pub fn is_uncertain(&self, chat: ChatId) -> bool {
        self.lookups.lock().contains_key(&chat)
    }

    /// The chat was looked up: notifies its connections of what the store has done.
    pub fn looked_up(&self, chat: ChatId, found: Found) {
        let lookup = self.lookups.lock().remove(&chat);
        // The connection of the request was not answered, so it is notified as all others.
        let notice = |fact| Notice {
            origin: None,
            fact,
            durable: None,
        };
        match (lookup, found) {
            (Some(Lookup::Creation), Some((made, of_event))) => {
                self.chat_created(&made, &notice(Fact::ChatCreated(made.clone())));
                if let Some(of_event) = of_event {
                    let opened = Fact::EventChatOpened(Arc::new(of_event));
                    self.broadcast(chat, &notice(opened));
                }
            }
            (Some(Lookup::Deletion(pk)), None) => {
                self.chat_deleted(chat, &notice(Fact::ChatDeleted { chat, pk }));
            }
            (Some(Lookup::Deletion(_)), Some(_)) | (Some(Lookup::Creation), None) | (None, _) => {}
        }
    }
}
