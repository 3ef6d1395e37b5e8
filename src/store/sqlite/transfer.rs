//! [`Transfer`] on SQLite: export and import of all records.
//! Does not read or write anything beyond the contract in `store`.

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::rows::{Millisecond, Texts, mute, taken};
use super::{Sqlite, audit, chats, events, kept_rights, messages, numbers, sanctions, users};
use crate::model::{
    AuditId, AuditRecord, Ban, ChatId, ChatPk, EventPk, IdempotencyKey, Message, MessageId, NewPk,
    Seq, User, UserId,
};
use crate::store::transfer::{ChatRecord, EventPart, EventRecord, MemberRecord, Pks, Transfer};
use crate::store::{PAGE_MEMBERS, StoreError};

#[async_trait]
impl Transfer for Sqlite {
    async fn begin_copy(&self) -> Result<(), StoreError> {
        self.write(|transaction| {
            let mark = "INSERT OR REPLACE INTO unfinished_copy (place) VALUES (1)";
            transaction.execute(mark, [])?;
            Ok(())
        })
        .await
    }

    async fn is_unfinished(&self) -> Result<bool, StoreError> {
        self.read(|transaction| Ok(is_unfinished(transaction)?))
            .await
    }

    async fn finish_copy(&self) -> Result<(), StoreError> {
        self.write(|transaction| {
            transaction.execute("DELETE FROM unfinished_copy", [])?;
            // The messages up to these are there.
            transaction.execute("UPDATE members SET since = 0 WHERE since > 0", [])?;
            Ok(())
        })
        .await
    }

    async fn greatest(&self) -> Result<Pks, StoreError> {
        self.read(|transaction| Ok(pks_of(|table| numbers::greatest(transaction, table))?))
            .await
    }

    async fn counters(&self) -> Result<Pks, StoreError> {
        self.read(|transaction| Ok(pks_of(|table| numbers::last(transaction, table))?))
            .await
    }

    async fn event_records(
        &self,
        after: EventPk,
        limit: usize,
    ) -> Result<Vec<EventRecord>, StoreError> {
        self.read(move |transaction| {
            let mut statement = transaction.prepare_cached(
                "SELECT pk, key_name, key_content FROM events WHERE pk > ?1 ORDER BY pk LIMIT ?2",
            )?;
            let rows = statement.query_map(params![after, limit], |row| {
                Ok((row.get::<_, EventPk>(0)?, key(row, 1)?))
            })?;
            let mut records = Vec::new();
            for row in rows {
                let (pk, key) = row?;
                let event = events::by_pk(transaction, pk)?;
                records.extend(event.map(|event| EventRecord { event, key }));
            }
            Ok(records)
        })
        .await
    }

    async fn chat_records(
        &self,
        after: ChatPk,
        limit: usize,
    ) -> Result<Vec<ChatRecord>, StoreError> {
        self.read(move |transaction| {
            let mut statement = transaction.prepare_cached(
                "SELECT pk FROM chats WHERE pk > ?1 AND deleted = 0 ORDER BY pk LIMIT ?2",
            )?;
            let (mut records, mut members) = (Vec::new(), 0);
            for pk in statement.query_map(params![after, limit], |row| row.get(0))? {
                if members > PAGE_MEMBERS {
                    break;
                }
                let record = record(transaction, pk?)?;
                members += record.members.len();
                records.push(record);
            }
            Ok(records)
        })
        .await
    }

    async fn take_counters(&self, counters: Pks) -> Result<(), StoreError> {
        self.write(move |transaction| {
            for (table, last) in [
                (numbers::USERS, counters.user),
                (numbers::CHATS, counters.chat),
                (numbers::EVENTS, counters.event),
            ] {
                numbers::count_to(transaction, table, last)?;
            }
            Ok(())
        })
        .await
    }

    async fn take_users(&self, users: Vec<User>) -> Result<(), StoreError> {
        self.write(move |transaction| {
            let mut take = |user| take_user(transaction, user);
            users.iter().try_for_each(&mut take)
        })
        .await
    }

    async fn take_events(&self, events: Vec<EventRecord>) -> Result<(), StoreError> {
        self.write(move |transaction| {
            let mut take = |event| take_event(transaction, event);
            events.iter().try_for_each(&mut take)
        })
        .await
    }

    async fn take_chats(&self, chats: Vec<ChatRecord>) -> Result<(), StoreError> {
        self.write(move |transaction| {
            let mut take = |chat| take_chat(transaction, chat);
            chats.iter().try_for_each(&mut take)
        })
        .await
    }

    async fn take_messages(&self, messages: Vec<Message>) -> Result<(), StoreError> {
        self.write(move |transaction| {
            let mut take = |message| take_message(transaction, message);
            messages.iter().try_for_each(&mut take)
        })
        .await
    }

    async fn imported(
        &self,
        chat: ChatId,
        original_ids: Vec<String>,
    ) -> Result<Vec<Option<(Seq, MessageId)>>, StoreError> {
        self.read(move |transaction| {
            let mut statement = transaction.prepare_cached(
                "SELECT messages.seq, messages.id FROM messages JOIN chats ON chats.pk = messages.chat
                 WHERE chats.id = ?1 AND original_id = ?2",
            )?;
            let mut found = |original_id: &String| {
                let values = params![chat, original_id];
                let message = statement.query_row(values, |row| Ok((row.get(0)?, row.get(1)?)));
                Ok(message.optional()?)
            };
            original_ids.iter().map(&mut found).collect()
        })
        .await
    }

    async fn next_chat_pks(&self, from: ChatPk, count: usize) -> Result<Vec<ChatPk>, StoreError> {
        self.write(move |transaction| {
            let next = |_| numbers::assign(transaction, numbers::CHATS, NewPk::NextFrom(from));
            (0..count).map(next).collect()
        })
        .await
    }

    async fn latest_audit(&self) -> Result<Option<AuditId>, StoreError> {
        self.read(|transaction| Ok(audit::latest(transaction)?))
            .await
    }

    async fn take_audit(&self, records: Vec<AuditRecord>) -> Result<(), StoreError> {
        self.write(move |transaction| {
            let mut take = |record| audit::record(transaction, Some(record));
            records.iter().try_for_each(&mut take)
        })
        .await
    }
}

/// Whether the database has the mark of an unfinished copy.
pub(super) fn is_unfinished(connection: &Connection) -> rusqlite::Result<bool> {
    connection
        .prepare("SELECT 1 FROM unfinished_copy")?
        .exists([])
}

/// One of each table.
fn pks_of(of: impl Fn(&str) -> rusqlite::Result<i64>) -> rusqlite::Result<Pks> {
    Ok(Pks {
        user: of(numbers::USERS)?,
        chat: of(numbers::CHATS)?,
        event: of(numbers::EVENTS)?,
    })
}

fn key(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<IdempotencyKey>> {
    let name: Option<String> = row.get(first)?;
    name.map(|name| {
        Ok(IdempotencyKey {
            name,
            content: row.get(first + 1)?,
        })
    })
    .transpose()
}

fn record(transaction: &Transaction<'_>, pk: ChatPk) -> Result<ChatRecord, StoreError> {
    let mut statement = transaction.prepare_cached(
        "SELECT chats.id, latest_at, key_name, key_content, users.id, access, access_version
         FROM chats LEFT JOIN users ON users.pk = guest WHERE chats.pk = ?1",
    )?;
    let (id, latest_at, key, of_event) = statement.query_row([pk], |row| {
        let guest: Option<UserId> = row.get(4)?;
        let of_event = guest.map(|guest| {
            Ok::<_, rusqlite::Error>(EventPart {
                guest,
                access: row.get(5)?,
                access_version: row.get(6)?,
            })
        });
        let latest_at: Millisecond = row.get(1)?;
        Ok((
            row.get(0)?,
            latest_at.0,
            key(row, 2)?,
            of_event.transpose()?,
        ))
    })?;
    let chat = chats::by_id(transaction, id)?;
    let chat = chat.ok_or_else(|| StoreError::Corrupt(format!("no chat {id}")))?;
    let mut statement = transaction.prepare_cached(
        "SELECT users.id, place, last_read, role, muted, muted_until FROM members JOIN users ON users.pk = user
         WHERE chat = ?1 ORDER BY place",
    )?;
    let members = statement.query_map([pk], |row| {
        Ok(MemberRecord {
            user: row.get(0)?,
            place: row.get(1)?,
            last_read: row.get(2)?,
            role: row.get(3)?,
            mute: mute(row, 4)?,
        })
    })?;
    Ok(ChatRecord {
        members: members.collect::<Result<_, _>>()?,
        bans: sanctions::bans(transaction, pk)?,
        kept: kept_rights::of_chat(transaction, pk)?,
        chat,
        latest_at,
        key,
        of_event,
    })
}

fn take_user(transaction: &Transaction<'_>, user: &User) -> Result<(), StoreError> {
    let mut statement = transaction.prepare_cached(
        "INSERT INTO users (pk, id, external_id, username, name, avatar, github, image_uuid,
                            created_at, modified_at, revoked_before)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?;
    taken(statement.execute(params![
        user.pk,
        user.id,
        user.external_id,
        user.username,
        user.name,
        user.avatar,
        user.github,
        user.image_uuid,
        Millisecond(user.created_at),
        Millisecond(user.modified_at),
        user.revoked_before.map(Millisecond),
    ]))?;
    Ok(())
}

fn take_event(transaction: &Transaction<'_>, record: &EventRecord) -> Result<(), StoreError> {
    let EventRecord { event, key } = record;
    let mut statement = transaction.prepare_cached(
        "INSERT INTO events (pk, owner, name, icons, location, starts, ends, key_name,
                             key_content, created_at, modified_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?;
    taken(statement.execute(params![
        event.pk,
        event.owner.pk,
        event.details.name,
        Texts(event.details.icons.clone()),
        event.details.location,
        event.details.starts,
        event.details.ends,
        key.as_ref().map(|key| &key.name),
        key.as_ref().map(|key| key.content),
        Millisecond(event.created_at),
        Millisecond(event.modified_at),
    ]))?;
    Ok(())
}

fn take_chat(transaction: &Transaction<'_>, record: &ChatRecord) -> Result<(), StoreError> {
    let ChatRecord { chat, key, .. } = record;
    let part = record.of_event;
    let mut statement = transaction.prepare_cached(
        "INSERT INTO chats (pk, id, name, policy, owner, team, latest_at, created_at, modified_at,
                            active_at, event, guest, access, access_version, key_name,
                            key_content, members_version, external_id)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11,
                 (SELECT pk FROM users WHERE id = ?12), ?13, ?14, ?15, ?16, ?17, ?18)",
    )?;
    taken(statement.execute(params![
        chat.pk,
        chat.id,
        chat.name,
        chat.policy,
        chat.owner,
        chat.team,
        Millisecond(Timestamp::UNIX_EPOCH),
        Millisecond(chat.created_at),
        Millisecond(chat.modified_at),
        Millisecond(chat.active_at),
        chat.event,
        part.map(|part| part.guest),
        part.map(|part| part.access),
        part.map_or(0, |part| part.access_version),
        key.as_ref().map(|key| &key.name),
        key.as_ref().map(|key| key.content),
        chat.members_version,
        chat.external_id,
    ]))?;
    take_members(transaction, record)
}

fn take_members(transaction: &Transaction<'_>, record: &ChatRecord) -> Result<(), StoreError> {
    let chat = record.chat.pk;
    let mut statement = transaction.prepare_cached(
        "INSERT INTO members (chat, place, user, last_read, role, muted, muted_until, since)
         SELECT ?1, ?2, pk, ?4, ?5, ?6, ?7, ?8 FROM users WHERE id = ?3",
    )?;
    for member in &record.members {
        let MemberRecord {
            user,
            place,
            last_read,
            role,
            mute,
        } = member;
        let until = mute.and_then(|mute| mute.until).map(Millisecond);
        let muted = mute.is_some();
        // The position is known, whatever the member has sent before it.
        let since = record.chat.head;
        let values = params![chat, place, user, last_read, role, muted, until, since];
        if statement.execute(values)? != 1 {
            return Err(StoreError::Corrupt(format!("no user {user} to take part")));
        }
    }
    let mut statement = transaction.prepare_cached(
        "INSERT INTO bans (chat, user, until) SELECT ?1, pk, ?3 FROM users WHERE id = ?2",
    )?;
    for Ban { user, sanction } in &record.bans {
        let until = sanction.until.map(Millisecond);
        if statement.execute(params![chat, user, until])? != 1 {
            return Err(StoreError::Corrupt(format!("no user {user} to be banned")));
        }
    }
    for kept in &record.kept {
        let Some(user) = users::by_id(transaction, kept.user)? else {
            let missing = format!("no user {} to be sanctioned", kept.user);
            return Err(StoreError::Corrupt(missing));
        };
        kept_rights::put(transaction, chat, user.pk, *kept)?;
    }
    Ok(())
}

fn take_message(transaction: &Transaction<'_>, message: &Message) -> Result<(), StoreError> {
    let mut statement = transaction.prepare_cached(
        "UPDATE chats SET head = ?2, latest_at = max(latest_at, ?3) WHERE pk = ?1 AND head = ?2 - 1",
    )?;
    let at = Millisecond(message.created_at);
    if statement.execute(params![message.chat_pk, message.seq, at])? != 1 {
        let (seq, chat) = (message.seq, message.chat);
        let gap = format!("message {seq} does not follow upon the others of chat {chat}");
        return Err(StoreError::Corrupt(gap));
    }
    taken(messages::insert(transaction, message))
}
