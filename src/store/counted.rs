//! A store that counts what is asked of the one behind it: for the promises of how often that
//! happens.
//! It refuses to answer anything itself.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use parking_lot::Mutex;

use super::archive::{Archive, ChatRecord, EventRecord, Greatest};
use super::{Chats, Events, Members, Messages, Store, StoreError, Users};
use crate::model::{
    Access, Chat, ChatChange, ChatCursor, ChatId, ChatPage, ChatPk, Entry, Event, EventChange,
    EventChat, EventPk, Fingerprint, History, Message, MessagePage, NewChat, NewEvent,
    NewEventChat, NewUser, Profile, Reads, Sent, Seq, User, UserId, UserPk,
};

/// A real store, and how often each of its methods was called.
pub struct Counted {
    store: Arc<dyn Store>,
    calls: Mutex<HashMap<&'static str, usize>>,
}

impl Counted {
    /// Counts from now on.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            calls: Mutex::default(),
        }
    }

    /// What was called since this was last asked.
    pub fn take(&self) -> HashMap<&'static str, usize> {
        std::mem::take(&mut *self.calls.lock())
    }
}

/// Passes on every method of every trait.
macro_rules! passed_on {
    ($($noun:ident {
        $(fn $name:ident(&self $(, $argument:ident: $type:ty)*) -> $answer:ty;)+
    })+) => {
        $(#[async_trait]
        impl $noun for Counted {
            $(async fn $name(&self $(, $argument: $type)*) -> Result<$answer, StoreError> {
                *self.calls.lock().entry(stringify!($name)).or_default() += 1;
                self.store.$name($($argument),*).await
            })+
        })+
    };
}

passed_on! {
    Users {
        fn find_or_create_user(&self, user: NewUser) -> User;
        fn user(&self, id: UserId) -> Option<User>;
        fn user_by_pk(&self, pk: UserPk) -> Option<User>;
        fn update_user(&self, id: UserId, profile: Profile, at: Timestamp) -> Option<User>;
        fn users_after(&self, after: UserPk, limit: usize) -> Vec<User>;
        fn users(&self, ids: &[UserId]) -> Vec<Arc<User>>;
        fn unknown_users(&self, ids: &[UserId]) -> Vec<UserId>;
    }
    Chats {
        fn create_chat(&self, chat: NewChat) -> Chat;
        fn chat_by_key(&self, name: &str) -> Option<(Chat, Fingerprint)>;
        fn chat(&self, id: ChatId) -> Option<Chat>;
        fn chat_id(&self, pk: ChatPk) -> Option<ChatId>;
        fn chats_after(&self, after: ChatPk, limit: usize) -> Vec<Chat>;
        fn visible_chats(&self, user: UserId, limit: usize) -> Vec<Chat>;
        fn change_chat(&self, id: ChatId, change: ChatChange, at: Timestamp) -> Option<Chat>;
        fn delete_chat(&self, id: ChatId) -> bool;
        fn chats_of(&self, user: UserId, before: Option<ChatCursor>, limit: usize) -> ChatPage;
        fn seats_of(&self, user: UserId) -> Vec<(ChatId, Seq)>;
        fn heads(&self, chats: &[ChatId]) -> Vec<Seq>;
    }
    Members {
        fn add_member(&self, chat: ChatId, user: UserId, read: Seq, at: Timestamp) -> Option<(bool, Chat)>;
        fn remove_member(&self, chat: ChatId, user: UserId, at: Timestamp) -> Option<(bool, Chat)>;
        fn advance_read(&self, chat: ChatId, user: UserId, read: Seq) -> Option<bool>;
        fn reads(&self, chat: ChatId) -> Reads;
    }
    Messages {
        fn append(&self, batch: Vec<Entry>) -> Vec<Option<Sent>>;
        fn messages(&self, chat: ChatId, history: History) -> MessagePage;
    }
    Events {
        fn create_event(&self, event: NewEvent) -> Event;
        fn event(&self, pk: EventPk) -> Option<Event>;
        fn event_by_key(&self, name: &str) -> Option<(Event, Fingerprint)>;
        fn events_after(&self, owner: Option<UserId>, after: EventPk, limit: usize) -> Vec<Event>;
        fn change_event(&self, pk: EventPk, change: EventChange, at: Timestamp) -> Option<Event>;
        fn delete_event(&self, pk: EventPk) -> Option<Vec<(ChatId, ChatPk)>>;
        fn open_event_chat(&self, chat: NewEventChat) -> Option<(bool, EventChat)>;
        fn change_access(&self, chat: ChatId, from: &[Access], to: Access, at: Timestamp) -> Option<(bool, EventChat)>;
        fn event_chat(&self, chat: ChatId) -> Option<EventChat>;
        fn event_chats_of(&self, user: UserId, limit: usize) -> Vec<EventChat>;
    }
    Archive {
        fn greatest(&self) -> Greatest;
        fn event_records(&self, after: EventPk, limit: usize) -> Vec<EventRecord>;
        fn chat_records(&self, after: ChatPk, limit: usize) -> Vec<ChatRecord>;
        fn take_greatest(&self, greatest: Greatest) -> ();
        fn take_users(&self, users: Vec<User>) -> ();
        fn take_events(&self, events: Vec<EventRecord>) -> ();
        fn take_chats(&self, chats: Vec<ChatRecord>) -> ();
        fn take_messages(&self, messages: Vec<Message>) -> ();
    }
}

#[async_trait]
impl Store for Counted {
    async fn ping(&self) -> Result<(), StoreError> {
        self.store.ping().await
    }

    async fn missing_indexes(&self) -> Result<Vec<String>, StoreError> {
        self.store.missing_indexes().await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.store.close().await
    }

    fn describe(&self) -> String {
        self.store.describe()
    }
}
