//! Events and their chats in SQLite.
//! Does not know anything about them beyond the contract in `store`.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::chats::{self, touch};
use super::rows::{Millisecond, Texts, taken};
use super::{Sqlite, audit, limits, numbers, users};
use crate::model::{
    Access, AuditRecord, ChatId, ChatPk, Event, EventChange, EventChat, EventChatState,
    EventDetails, EventPk, Fingerprint, History, MemberLimits, Message, NewEvent, NewEventChat,
    Range, UserId, UserPk, Window,
};
use crate::store::{Events, Messages, StoreError};

const COLUMNS: &str = "pk, owner, name, icons, location, starts, ends, created_at, modified_at";

#[async_trait]
impl Events for Sqlite {
    async fn create_event(&self, new: NewEvent) -> Result<Event, StoreError> {
        self.write(move |transaction| insert(transaction, &new))
            .await
    }

    async fn event(&self, pk: EventPk) -> Result<Option<Event>, StoreError> {
        self.read(move |transaction| by_pk(transaction, pk)).await
    }

    async fn event_by_key(&self, name: &str) -> Result<Option<(Event, Fingerprint)>, StoreError> {
        let name = name.to_owned();
        self.read(move |transaction| {
            let mut statement = transaction
                .prepare_cached("SELECT pk, key_content FROM events WHERE key_name = ?1")?;
            let found = statement.query_row([name], |row| Ok((row.get(0)?, row.get(1)?)));
            let Some((pk, content)) = found.optional()? else {
                return Ok(None);
            };
            Ok(by_pk(transaction, pk)?.map(|event| (event, content)))
        })
        .await
    }

    async fn events_after(
        &self,
        owner: Option<UserId>,
        after: EventPk,
        limit: usize,
    ) -> Result<Vec<Event>, StoreError> {
        self.read(move |transaction| {
            let of_owner = "owner = (SELECT pk FROM users WHERE id = ?3) AND";
            let condition = if owner.is_some() {
                of_owner
            } else {
                "?3 IS NULL AND"
            };
            let select = format!(
                "SELECT {COLUMNS} FROM events WHERE {condition} pk > ?1 ORDER BY pk LIMIT ?2"
            );
            let mut statement = transaction.prepare_cached(&select)?;
            let rows =
                statement.query_map(params![after, limit, owner], |row| event(transaction, row))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn change_event(
        &self,
        pk: EventPk,
        change: EventChange,
        at: Timestamp,
        audit: Option<AuditRecord>,
    ) -> Result<Option<Event>, StoreError> {
        self.write(move |transaction| {
            let Some(event) = by_pk(transaction, pk)? else {
                return Ok(None);
            };
            let details = change.apply(event.details.clone());
            update(transaction, pk, &details, at)?;
            if details != event.details {
                audit::record(transaction, audit.as_ref())?;
            }
            by_pk(transaction, pk)
        })
        .await
    }

    async fn delete_event(
        &self,
        pk: EventPk,
        audit: Option<AuditRecord>,
    ) -> Result<Option<Vec<(ChatId, ChatPk)>>, StoreError> {
        self.write(move |transaction| {
            let chats = chats_of(transaction, pk)?;
            for (chat, _) in &chats {
                chats::delete(transaction, *chat)?;
            }
            let mut statement = transaction.prepare_cached("DELETE FROM events WHERE pk = ?1")?;
            if statement.execute([pk])? == 0 {
                return Ok(None);
            }
            audit::record(transaction, audit.as_ref())?;
            Ok(Some(chats))
        })
        .await
    }

    async fn chats_of_event(&self, pk: EventPk) -> Result<Vec<(ChatId, ChatPk)>, StoreError> {
        self.read(move |transaction| chats_of(transaction, pk))
            .await
    }

    async fn open_event_chat_within(
        &self,
        new: NewEventChat,
        limits: MemberLimits,
    ) -> Result<Option<(bool, EventChat)>, StoreError> {
        self.write(move |transaction| open(transaction, &new, limits))
            .await
    }

    async fn change_access(
        &self,
        chat: ChatId,
        from: &[Access],
        to: Access,
        at: Timestamp,
        audit: Option<AuditRecord>,
    ) -> Result<Option<(bool, EventChat)>, StoreError> {
        let from = from.to_vec();
        self.write(move |transaction| {
            let Some(found) = of_chat(transaction, chat)? else {
                return Ok(None);
            };
            let before = found.state.access;
            if before == to || !from.contains(&before) {
                return Ok(Some((false, found)));
            }
            let mut statement = transaction.prepare_cached(
                "UPDATE chats SET access = ?2, access_version = access_version + 1 WHERE id = ?1",
            )?;
            statement.execute(params![chat, to])?;
            touch(transaction, chat, at)?;
            audit::record(transaction, audit.as_ref())?;
            Ok(of_chat(transaction, chat)?.map(|chat| (true, chat)))
        })
        .await
    }

    async fn event_chat(&self, chat: ChatId) -> Result<Option<EventChat>, StoreError> {
        self.read(move |transaction| of_chat(transaction, chat))
            .await
    }

    async fn event_chats_of(
        &self,
        user: UserId,
        limit: usize,
    ) -> Result<Vec<EventChat>, StoreError> {
        self.read(move |transaction| {
            let mut statement = transaction.prepare_cached(
                "SELECT chats.id FROM users
                 JOIN members ON members.user = users.pk JOIN chats ON chats.pk = members.chat
                 WHERE users.id = ?1 AND event IS NOT NULL
                 ORDER BY active_at DESC, chats.pk DESC LIMIT ?2",
            )?;
            let mut chats = Vec::new();
            for chat in statement.query_map(params![user, limit], |row| row.get(0))? {
                chats.extend(of_chat(transaction, chat?)?);
            }
            Ok(chats)
        })
        .await
    }

    async fn latest_in(&self, chat: &EventChat, limit: usize) -> Result<Vec<Message>, StoreError> {
        let history = History {
            range: Range {
                before: Some(chat.state.head + 1),
                ..Range::default()
            },
            window: Window::Last(limit),
        };
        Ok(self.messages(chat.chat, history).await?.messages)
    }
}

fn insert(transaction: &Transaction<'_>, new: &NewEvent) -> Result<Event, StoreError> {
    let Some(owner) = users::by_id(transaction, new.owner)? else {
        return Err(StoreError::Corrupt(format!(
            "no user {} to own it",
            new.owner
        )));
    };
    let pk = numbers::assign(transaction, numbers::EVENTS, new.pk)?;
    let mut statement = transaction.prepare_cached(
        "INSERT INTO events (pk, owner, name, icons, location, starts, ends, key_name, key_content,
                             created_at, modified_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10)",
    )?;
    let EventDetails {
        name,
        icons,
        location,
        starts,
        ends,
    } = &new.details;
    let key = new.key.as_ref();
    taken(statement.execute(params![
        pk,
        owner.pk,
        name,
        Texts(icons.clone()),
        location,
        starts,
        ends,
        key.map(|key| &key.name),
        key.map(|key| key.content),
        Millisecond(new.at),
    ]))?;
    let record = new.audit.as_ref().map(|record| record.of_event(pk));
    audit::record(transaction, record.as_ref())?;
    let created = by_pk(transaction, pk)?;
    created.ok_or_else(|| StoreError::Corrupt("no event once created".into()))
}

fn update(
    transaction: &Transaction<'_>,
    pk: EventPk,
    details: &EventDetails,
    at: Timestamp,
) -> Result<(), StoreError> {
    let mut statement = transaction.prepare_cached(
        "UPDATE events SET name = ?2, icons = ?3, location = ?4, starts = ?5, ends = ?6,
                           modified_at = max(modified_at, ?7)
         WHERE pk = ?1",
    )?;
    let EventDetails {
        name,
        icons,
        location,
        starts,
        ends,
    } = details;
    let icons = Texts(icons.clone());
    statement.execute(params![
        pk,
        name,
        icons,
        location,
        starts,
        ends,
        Millisecond(at)
    ])?;
    Ok(())
}

fn open(
    transaction: &Transaction<'_>,
    new: &NewEventChat,
    limits: MemberLimits,
) -> Result<Option<(bool, EventChat)>, StoreError> {
    let Some(event) = by_pk(transaction, new.event)? else {
        return Ok(None);
    };
    let guest = users::by_id(transaction, new.guest)?;
    let missing = || StoreError::Corrupt(format!("no user {} to open it", new.guest));
    let guest = guest.ok_or_else(missing)?;
    let mut statement =
        transaction.prepare_cached("SELECT id FROM chats WHERE event = ?1 AND guest = ?2")?;
    let known = statement.query_row([event.pk, guest.pk], |row| row.get(0));
    if let Some(chat) = known.optional()? {
        return Ok(of_chat(transaction, chat)?.map(|chat| (false, chat)));
    }
    let chat = numbers::assign(transaction, numbers::CHATS, new.pk)?;
    let mut statement = transaction.prepare_cached(
        "INSERT INTO chats (pk, id, external_id, policy, owner, event, guest, access, created_at,
                            modified_at, active_at)
         VALUES (?1, ?2, ?3, 'closed', ?4, ?5, ?6, 'unasked', ?7, ?7, ?7)",
    )?;
    taken(statement.execute(params![
        chat,
        new.id,
        new.external_id,
        event.owner.pk,
        event.pk,
        guest.pk,
        Millisecond(new.at),
    ]))?;
    let mut statement = transaction
        .prepare_cached("INSERT INTO members (chat, place, user) VALUES (?1, ?2, ?3)")?;
    for (place, member) in [event.owner.pk, guest.pk].into_iter().enumerate() {
        statement.execute(params![chat, place, member])?;
    }
    limits::judge(transaction, [guest.id, event.owner.id], limits)?;
    audit::record(transaction, new.audit.as_ref())?;
    Ok(of_chat(transaction, new.id)?.map(|chat| (true, chat)))
}

/// The chats of this event.
fn chats_of(
    transaction: &Transaction<'_>,
    pk: EventPk,
) -> Result<Vec<(ChatId, ChatPk)>, StoreError> {
    let mut statement =
        transaction.prepare_cached("SELECT id, pk FROM chats WHERE event = ?1 ORDER BY pk")?;
    let chats = statement.query_map([pk], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(chats.collect::<Result<_, _>>()?)
}

/// The event with this number; `None`: there is none.
pub(super) fn by_pk(
    transaction: &Transaction<'_>,
    pk: EventPk,
) -> Result<Option<Event>, StoreError> {
    let select = format!("SELECT {COLUMNS} FROM events WHERE pk = ?1");
    let mut statement = transaction.prepare_cached(&select)?;
    let found = statement.query_row([pk], |row| event(transaction, row));
    Ok(found.optional()?)
}

fn event(transaction: &Transaction<'_>, row: &Row<'_>) -> rusqlite::Result<Event> {
    Ok(Event {
        pk: row.get(0)?,
        owner: Arc::new(users::by_pk(transaction, row.get(1)?)?),
        details: EventDetails {
            name: row.get(2)?,
            icons: row.get::<_, Texts>(3)?.0,
            location: row.get(4)?,
            starts: row.get(5)?,
            ends: row.get(6)?,
        },
        created_at: row.get::<_, Millisecond>(7)?.0,
        modified_at: row.get::<_, Millisecond>(8)?.0,
    })
}

/// The columns of an event's chat.
struct EventChatRow {
    pk: ChatPk,
    event: EventPk,
    guest: UserPk,
    state: EventChatState,
    active_at: Timestamp,
}

/// The chat of this id as one of an event's; `None`: it is none.
pub(super) fn of_chat(
    transaction: &Transaction<'_>,
    chat: ChatId,
) -> Result<Option<EventChat>, StoreError> {
    let mut statement = transaction.prepare_cached(
        "SELECT pk, event, guest, head, access, access_version, active_at FROM chats
         WHERE id = ?1 AND event IS NOT NULL",
    )?;
    let found = statement.query_row([chat], |row| {
        Ok(EventChatRow {
            pk: row.get(0)?,
            event: row.get(1)?,
            guest: row.get(2)?,
            state: EventChatState {
                head: row.get(3)?,
                owner_read: 0,
                guest_read: 0,
                access: row.get(4)?,
                access_version: row.get(5)?,
            },
            active_at: row.get::<_, Millisecond>(6)?.0,
        })
    });
    let Some(found) = found.optional()? else {
        return Ok(None);
    };
    let event = by_pk(transaction, found.event)?;
    let event = event.ok_or_else(|| StoreError::Corrupt(format!("no event of chat {chat}")))?;
    let mut statement = transaction
        .prepare_cached("SELECT last_read FROM members WHERE user = ?2 AND chat = ?1")?;
    let mut read = |user: UserPk| {
        let read = statement.query_row([found.pk, user], |row| row.get(0));
        read.optional().map(Option::unwrap_or_default)
    };
    Ok(Some(EventChat {
        chat,
        chat_pk: found.pk,
        state: EventChatState {
            owner_read: read(event.owner.pk)?,
            guest_read: read(found.guest)?,
            ..found.state
        },
        guest: Arc::new(users::by_pk(transaction, found.guest)?),
        event: Arc::new(event),
        active_at: found.active_at,
    }))
}
