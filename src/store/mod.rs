//! The seam to what remembers: traits per noun, summed into [`Store`], and [`open`].
//! It refuses to know rights, notices, tokens and the time: all that arrives as values.
//!
//! The doc comment of each method is its contract; `contract/` tests every sentence of it on
//! every store.

mod sqlite;

#[cfg(test)]
mod contract;

use std::sync::Arc;

use async_trait::async_trait;

use crate::model::{
    Chat, ChatCursor, ChatId, ChatPage, Entry, History, MessagePage, NewChat, NewUser, Sent, Seq,
    User, UserId,
};

/// All that a store can do. Durable when it returns: a power cut afterwards loses nothing.
#[async_trait]
pub trait Store: Users + Chats + Messages {
    /// Returns once the store has answered a question that touches what it stores, on the way
    /// that writes take and on the way that reads take.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Finishes what is under way and closes. Later calls answer `Unavailable`.
    async fn close(&self) -> Result<(), StoreError>;

    /// The store in a few words for people, without a password.
    fn describe(&self) -> String;
}

/// Users.
#[async_trait]
pub trait Users: Send + Sync {
    /// The user of this external id: created with the next `pk` if there is none, with the
    /// profile taken over in either case. Atomic: of two calls at once with one external id,
    /// both answer the same user.
    async fn find_or_create_user(&self, user: NewUser) -> Result<User, StoreError>;

    /// The user of this id; `None`: there is none.
    async fn user(&self, id: UserId) -> Result<Option<User>, StoreError>;

    /// Those of `ids` that belong to no user, in the order given.
    async fn unknown_users(&self, ids: &[UserId]) -> Result<Vec<UserId>, StoreError>;
}

/// Chats and who takes part in them.
#[async_trait]
pub trait Chats: Send + Sync {
    /// Creates a chat with the next `pk`, no messages, and its members in the order given.
    /// Atomic: all or nothing. `Duplicate`: the id is taken. `Corrupt`: a member is no user
    /// (ask [`Users::unknown_users`] first).
    async fn create_chat(&self, chat: NewChat) -> Result<Chat, StoreError>;

    /// The chat of this id; `None`: there is none.
    async fn chat(&self, id: ChatId) -> Result<Option<Chat>, StoreError>;

    /// At most `limit` chats of this user, the most recently active first, those after
    /// `before` in that order. It may take fewer where the members add up to more than
    /// [`PAGE_MEMBERS`], but never none. A user that is in no chat, or none at all, has an
    /// empty page.
    async fn chats_of(
        &self,
        user: UserId,
        before: Option<ChatCursor>,
        limit: usize,
    ) -> Result<ChatPage, StoreError>;

    /// Every chat of this user with the number of its latest message, 0 without one.
    async fn seats_of(&self, user: UserId) -> Result<Vec<(ChatId, Seq)>, StoreError>;
}

/// Messages.
#[async_trait]
pub trait Messages: Send + Sync {
    /// Numbers, deduplicates and stores a batch in one atomic step, in the order given.
    ///
    /// - Each chat's numbers go on without a hole from its latest message.
    /// - `created_at` is the entry's time, or the predecessor's where that is later.
    /// - An entry whose sender has stored its `client_id` in that chat before, in this batch
    ///   or earlier, stores nothing and answers the first message.
    /// - The chat's `active_at` moves to its latest message, its `modified_at` does not.
    /// - The answers stand in the order of the entries; `None`: there is no such chat (the
    ///   others are stored all the same).
    /// - On an error nothing of the batch is stored.
    async fn append(&self, batch: Vec<Entry>) -> Result<Vec<Option<Sent>>, StoreError>;

    /// The part of a chat's history that was asked for, oldest first; `has_more` says whether
    /// the range holds messages that were not taken. It may take fewer than the window allows
    /// where the texts add up to more than [`PAGE_BYTES`], but never none. A chat that does
    /// not exist has an empty history.
    async fn messages(&self, chat: ChatId, history: History) -> Result<MessagePage, StoreError>;
}

/// A page of history ends early once its texts are longer than this, in bytes: an answer has
/// to fit into memory and into the outbox of the one who asked.
pub const PAGE_BYTES: usize = 8 * 1024 * 1024;

/// A page of chats ends early once they have more members than this, for the same reason.
pub const PAGE_MEMBERS: usize = 200_000;

/// Why a store did not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It exists already.
    #[error("it exists already")]
    Duplicate,
    /// What is stored contradicts itself or what was asked.
    #[error("the store holds something that cannot be: {0}")]
    Corrupt(String),
    /// The store does not answer, or could not write.
    #[error("the store does not answer: {0}")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Why a store could not be opened, in one sentence for the operator.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct OpenError(String);

/// Opens the store that `url` names: `sqlite:PATH` or `sqlite::memory:`.
///
/// # Errors
/// A sentence that says what is wrong with the URL or with what stands there.
pub async fn open(url: &str) -> Result<Arc<dyn Store>, OpenError> {
    match url.split_once(':') {
        Some(("sqlite", place)) => Ok(Arc::new(sqlite::Sqlite::open(place).await?)),
        _ => Err(OpenError(format!(
            "the store \"{}\" is of no known kind; write sqlite:PATH or sqlite::memory:",
            // What stands behind the scheme may hold a password.
            url.split_once(':').map_or(url, |(scheme, _)| scheme)
        ))),
    }
}
