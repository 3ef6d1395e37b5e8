//! Chats and their members in SQLite.
//! It refuses to know anything about them beyond the contract in `store`.

use async_trait::async_trait;
use rusqlite::{ErrorCode, OptionalExtension, Row, Transaction, params};

use super::Sqlite;
use super::rows::Millisecond;
use crate::model::{Chat, ChatCursor, ChatId, ChatPage, ChatPk, NewChat, Seq, UserId};
use crate::store::{Chats, PAGE_MEMBERS, StoreError};

const COLUMNS: &str =
    "chats.id, chats.pk, chats.name, policy, head, chats.created_at, chats.modified_at, active_at";

#[async_trait]
impl Chats for Sqlite {
    async fn create_chat(&self, new: NewChat) -> Result<Chat, StoreError> {
        self.write(move |transaction| insert(transaction, new))
            .await
    }

    async fn chat(&self, id: ChatId) -> Result<Option<Chat>, StoreError> {
        self.read(move |transaction| {
            let select = format!("SELECT {COLUMNS} FROM chats WHERE id = ?1");
            let mut statement = transaction.prepare_cached(&select)?;
            let found = statement.query_row([id], chat).optional()?;
            found
                .map(|chat| with_members(transaction, chat))
                .transpose()
        })
        .await
    }

    async fn chats_of(
        &self,
        user: UserId,
        before: Option<ChatCursor>,
        limit: usize,
    ) -> Result<ChatPage, StoreError> {
        self.read(move |transaction| page(transaction, user, before, limit))
            .await
    }

    async fn seats_of(&self, user: UserId) -> Result<Vec<(ChatId, Seq)>, StoreError> {
        self.read(move |transaction| {
            let mut statement = transaction.prepare_cached(
                "SELECT chats.id, head FROM users
                 JOIN members ON members.user = users.pk JOIN chats ON chats.pk = members.chat
                 WHERE users.id = ?1",
            )?;
            let seats = statement.query_map([user], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(seats.collect::<Result<_, _>>()?)
        })
        .await
    }
}

fn insert(transaction: &Transaction<'_>, new: NewChat) -> Result<Chat, StoreError> {
    let mut statement = transaction.prepare_cached(
        "INSERT INTO chats (id, name, policy, created_at, modified_at, active_at)
         VALUES (?1, ?2, ?3, ?4, ?4, ?4)",
    )?;
    let inserted = statement.insert(params![new.id, new.name, new.policy, Millisecond(new.at)]);
    let pk = match inserted {
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
            return Err(StoreError::Duplicate);
        }
        inserted => inserted?,
    };
    let mut statement = transaction.prepare_cached(
        "INSERT INTO members (chat, place, user) SELECT ?1, ?2, pk FROM users WHERE id = ?3",
    )?;
    for (place, member) in new.members.iter().enumerate() {
        if statement.execute(params![pk, place, member])? != 1 {
            return Err(StoreError::Corrupt(format!("no user {member} to add")));
        }
    }
    Ok(Chat {
        id: new.id,
        pk,
        name: new.name,
        policy: new.policy,
        members: new.members,
        head: 0,
        created_at: new.at,
        modified_at: new.at,
        active_at: new.at,
    })
}

fn page(
    transaction: &Transaction<'_>,
    user: UserId,
    before: Option<ChatCursor>,
    limit: usize,
) -> Result<ChatPage, StoreError> {
    let (active_at, pk) = before.map_or((i64::MAX, ChatPk::MAX), |cursor| {
        (cursor.active_at.as_millisecond(), cursor.pk)
    });
    let select = format!(
        "SELECT {COLUMNS} FROM users
         JOIN members ON members.user = users.pk JOIN chats ON chats.pk = members.chat
         WHERE users.id = ?1 AND (active_at, chats.pk) < (?2, ?3)
         ORDER BY active_at DESC, chats.pk DESC LIMIT ?4"
    );
    let mut statement = transaction.prepare_cached(&select)?;
    // One more than asked for says whether there is a next page.
    let rows = statement.query_map(params![user, active_at, pk, limit.saturating_add(1)], chat)?;
    let (mut chats, mut members, mut more) = (Vec::new(), 0, false);
    for row in rows {
        more = chats.len() == limit || members > PAGE_MEMBERS;
        if more {
            break;
        }
        let chat = with_members(transaction, row?)?;
        members += chat.members.len();
        chats.push(chat);
    }
    let next = chats.last().filter(|_| more).map(|chat| ChatCursor {
        active_at: chat.active_at,
        pk: chat.pk,
    });
    Ok(ChatPage { chats, next })
}

/// A chat as its row has it: without its members.
fn chat(row: &Row<'_>) -> rusqlite::Result<Chat> {
    Ok(Chat {
        id: row.get(0)?,
        pk: row.get(1)?,
        name: row.get(2)?,
        policy: row.get(3)?,
        members: Vec::new(),
        head: row.get(4)?,
        created_at: row.get::<_, Millisecond>(5)?.0,
        modified_at: row.get::<_, Millisecond>(6)?.0,
        active_at: row.get::<_, Millisecond>(7)?.0,
    })
}

fn with_members(transaction: &Transaction<'_>, mut chat: Chat) -> Result<Chat, StoreError> {
    let mut statement = transaction.prepare_cached(
        "SELECT users.id FROM members JOIN users ON users.pk = members.user
         WHERE chat = ?1 ORDER BY place",
    )?;
    let members = statement.query_map([chat.pk], |row| row.get(0))?;
    chat.members = members.collect::<Result<_, _>>()?;
    Ok(chat)
}
