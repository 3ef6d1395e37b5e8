//! Lists of chats in SQLite, and how a chat stands in its row.
//! Does not change anything.

use jiff::Timestamp;
use rusqlite::{Row, Transaction, params};

use super::rows::Millisecond;
use crate::model::{Chat, ChatCursor, ChatPage, ChatPk, UserId, VisibleCursor, VisiblePage};
use crate::store::{PAGE_MEMBERS, StoreError};

/// The columns of [`chat`].
pub(super) const COLUMNS: &str = "chats.id, chats.pk, chats.name, policy, owner, team, head, \
                       chats.created_at, chats.modified_at, active_at, event, members_version, \
                       chats.external_id";

/// The chats of which a user is a member.
const OWN: &str = "FROM members JOIN chats ON chats.pk = members.chat
         WHERE user = (SELECT pk FROM users WHERE id = ?1) AND members.chat < ?2
         ORDER BY members.chat DESC LIMIT ?3";

/// The open chats of which a user is no member, and that it is not banned from.
const OTHERS: &str = "FROM chats
         WHERE policy = 'open' AND pk < ?2
           AND NOT EXISTS (
                   SELECT 1 FROM members
                   WHERE chat = chats.pk AND user = (SELECT pk FROM users WHERE id = ?1))
           AND NOT EXISTS (
                   SELECT 1 FROM bans
                   WHERE chat = chats.pk AND user = (SELECT pk FROM users WHERE id = ?1)
                     AND coalesce(until > ?4, true))
         ORDER BY pk DESC LIMIT ?3";

/// See [`crate::store::Chats::visible_chats`].
pub(super) fn visible(
    transaction: &Transaction<'_>,
    user: UserId,
    at: Timestamp,
    before: Option<VisibleCursor>,
    limit: usize,
) -> Result<VisiblePage, StoreError> {
    // One more than requested shows whether there is a next page.
    let wanted = limit.saturating_add(1);
    let (mut found, others) = match before {
        Some(VisibleCursor { own: false, pk }) => (Vec::new(), pk),
        before => {
            let before = before.map_or(ChatPk::MAX, |cursor| cursor.pk);
            let mut statement = transaction.prepare_cached(&select(OWN))?;
            let own = statement.query_map(params![user, before, wanted], chat)?;
            (own.collect::<Result<Vec<_>, _>>()?, ChatPk::MAX)
        }
    };
    let own = found.len();
    if own < wanted {
        let mut statement = transaction.prepare_cached(&select(OTHERS))?;
        let values = params![user, others, wanted - own, Millisecond(at)];
        for other in statement.query_map(values, chat)? {
            found.push(other?);
        }
    }
    let count = found.len();
    let chats = collect(transaction, found.into_iter().take(limit).map(Ok))?;
    let next = chats.last().filter(|_| chats.len() < count);
    let next = next.map(|chat| VisibleCursor {
        own: chats.len() <= own,
        pk: chat.pk,
    });
    Ok(VisiblePage { chats, next })
}

fn select(from: &str) -> String {
    format!("SELECT {COLUMNS} {from}")
}

/// These chats with their members, until those are more than [`PAGE_MEMBERS`].
pub(super) fn collect(
    transaction: &Transaction<'_>,
    rows: impl Iterator<Item = rusqlite::Result<Chat>>,
) -> Result<Vec<Chat>, StoreError> {
    let (mut chats, mut members) = (Vec::new(), 0);
    for row in rows {
        if members > PAGE_MEMBERS {
            break;
        }
        let chat = with_members(transaction, row?)?;
        members += chat.members.len();
        chats.push(chat);
    }
    Ok(chats)
}

/// See [`crate::store::Chats::chats_of`].
pub(super) fn page(
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
    // One more than requested shows whether there is a next page.
    let rows = statement.query_map(params![user, active_at, pk, limit.saturating_add(1)], chat)?;
    let rows: Vec<_> = rows.collect();
    let found = rows.len();
    let chats = collect(transaction, rows.into_iter().take(limit))?;
    let more = chats.len() < found;
    let next = chats.last().filter(|_| more).map(|chat| ChatCursor {
        active_at: chat.active_at,
        pk: chat.pk,
    });
    Ok(ChatPage { chats, next })
}

/// A chat as its row has it: without its members.
pub(super) fn chat(row: &Row<'_>) -> rusqlite::Result<Chat> {
    Ok(Chat {
        id: row.get(0)?,
        pk: row.get(1)?,
        name: row.get(2)?,
        policy: row.get(3)?,
        members: Vec::new(),
        owner: row.get(4)?,
        team: row.get(5)?,
        head: row.get(6)?,
        created_at: row.get::<_, Millisecond>(7)?.0,
        modified_at: row.get::<_, Millisecond>(8)?.0,
        active_at: row.get::<_, Millisecond>(9)?.0,
        event: row.get(10)?,
        members_version: row.get(11)?,
        external_id: row.get(12)?,
    })
}

/// The chat with its members.
pub(super) fn with_members(
    transaction: &Transaction<'_>,
    mut chat: Chat,
) -> Result<Chat, StoreError> {
    let mut statement = transaction.prepare_cached(
        "SELECT users.id FROM members JOIN users ON users.pk = members.user
         WHERE chat = ?1 ORDER BY place",
    )?;
    let members = statement.query_map([chat.pk], |row| row.get(0))?;
    chat.members = members.collect::<Result<_, _>>()?;
    Ok(chat)
}

#[cfg(test)]
#[path = "lists_tests.rs"]
mod tests;
