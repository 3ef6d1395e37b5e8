//! Messages in SQLite: appending with numbers, reading by ranges.
//! Does not know anything about them beyond the contract in `store`.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::Sqlite;
use super::events;
use super::members;
use super::rows::{Millisecond, Texts};
use super::users;
use crate::model::{
    ChatId, ChatPk, EventChat, EventPk, History, Message, MessagePage, PendingMessage, Range, Sent,
    Seq, Side, User, UserId, UserPk, Window,
};
use crate::store::{Messages, PAGE_BYTES, StoreError};

#[async_trait]
impl Messages for Sqlite {
    async fn append(&self, batch: Vec<PendingMessage>) -> Result<Vec<Option<Sent>>, StoreError> {
        self.write(move |transaction| {
            let mut heads = ChatHeads::default();
            let append = |entry| append_one(transaction, &mut heads, entry);
            let sent = batch.into_iter().map(append).collect::<Result<_, _>>()?;
            heads.save(transaction)?;
            Ok(sent)
        })
        .await
    }

    async fn messages(&self, chat: ChatId, history: History) -> Result<MessagePage, StoreError> {
        self.read(move |transaction| match head_of(transaction, chat)? {
            None => Ok(MessagePage::default()),
            Some(head) => {
                let range = bounds(transaction, &head, history.range)?;
                page(Reader::of(transaction, chat, &head), range, history.window)
            }
        })
        .await
    }
}

/// The head of a chat: its latest seq and time.
struct ChatHead {
    pk: ChatPk,
    head: Seq,
    latest_at: Timestamp,
    /// The chat as one of an event's.
    event_chat: Option<EventChat>,
}

impl ChatHead {
    /// Moves on to the message that `sender` stores now.
    fn advance(&mut self, sender: UserId, at: Timestamp) {
        self.head += 1;
        self.latest_at = self.latest_at.max(at);
        if let Some(chat) = &mut self.event_chat {
            chat.state.head = self.head;
            chat.active_at = chat.active_at.max(self.latest_at);
            match chat.side_of(sender) {
                Some(Side::Owner) => chat.state.owner_read = self.head,
                Some(Side::Guest) => chat.state.guest_read = self.head,
                None => {}
            }
        }
    }
}

/// The heads of the chats that a batch appends to: read once, advanced, written once; and its
/// senders with their read positions.
#[derive(Default)]
struct ChatHeads {
    chats: HashMap<ChatId, Option<ChatHead>>,
    senders: HashMap<UserId, Arc<User>>,
    reads: HashMap<(ChatPk, UserPk), Seq>,
}

impl ChatHeads {
    fn sender(
        &mut self,
        transaction: &Transaction<'_>,
        id: UserId,
    ) -> Result<Arc<User>, StoreError> {
        if let Some(sender) = self.senders.get(&id) {
            return Ok(Arc::clone(sender));
        }
        let found = users::by_id(transaction, id)?;
        let sender = found.map(Arc::new);
        let sender = sender.ok_or_else(|| StoreError::Corrupt(format!("no user {id} to send")))?;
        self.senders.insert(id, Arc::clone(&sender));
        Ok(sender)
    }

    fn of(
        &mut self,
        transaction: &Transaction<'_>,
        chat: ChatId,
    ) -> Result<Option<&mut ChatHead>, StoreError> {
        use std::collections::hash_map::Entry::{Occupied, Vacant};
        Ok(match self.chats.entry(chat) {
            Occupied(known) => known.into_mut().as_mut(),
            Vacant(unknown) => unknown.insert(head_of(transaction, chat)?).as_mut(),
        })
    }

    fn save(&self, transaction: &Transaction<'_>) -> Result<(), StoreError> {
        let mut statement = transaction.prepare_cached(
            "UPDATE chats SET head = ?2, latest_at = ?3, active_at = max(active_at, ?3)
             WHERE pk = ?1 AND head < ?2",
        )?;
        for head in self.chats.values().flatten() {
            statement.execute(params![head.pk, head.head, Millisecond(head.latest_at)])?;
        }
        for ((chat, sender), read) in &self.reads {
            members::advance_by_sending(transaction, *chat, *sender, *read)?;
        }
        Ok(())
    }
}

fn head_of(transaction: &Transaction<'_>, chat: ChatId) -> Result<Option<ChatHead>, StoreError> {
    let mut statement =
        transaction.prepare_cached("SELECT pk, head, latest_at, event FROM chats WHERE id = ?1")?;
    let found = statement.query_row([chat], |row| {
        let event: Option<EventPk> = row.get(3)?;
        let head = ChatHead {
            pk: row.get(0)?,
            head: row.get(1)?,
            latest_at: row.get::<_, Millisecond>(2)?.0,
            event_chat: None,
        };
        Ok((head, event.is_some()))
    });
    let Some((mut head, of_event)) = found.optional()? else {
        return Ok(None);
    };
    if of_event {
        head.event_chat = events::of_chat(transaction, chat)?;
    }
    Ok(Some(head))
}

fn append_one(
    transaction: &Transaction<'_>,
    heads: &mut ChatHeads,
    entry: PendingMessage,
) -> Result<Option<Sent>, StoreError> {
    let sender = heads.sender(transaction, entry.sender)?;
    let Some(head) = heads.of(transaction, entry.chat)? else {
        return Ok(None);
    };
    if let Some(client_id) = &entry.draft.client_id
        && let Some(first) = by_client_id(transaction, entry.chat, head, sender.pk, client_id)?
    {
        return Ok(Some(Sent::Repeated(Arc::new(first))));
    }
    if let Some(original_id) = &entry.draft.original_id
        && let Some(first) = by_original_id(transaction, entry.chat, head, original_id)?
    {
        return Ok(Some(Sent::Repeated(Arc::new(first))));
    }
    if entry.draft.original_id.is_some() && entry.at < head.latest_at {
        return Ok(None);
    }
    head.advance(sender.id, entry.at);
    let message = Message {
        id: entry.id,
        chat: entry.chat,
        chat_pk: head.pk,
        seq: head.head,
        sender,
        kind: entry.draft.kind,
        text: entry.draft.text,
        photos: entry.draft.photos,
        client_id: entry.draft.client_id,
        original_id: entry.draft.original_id,
        metadata: entry.draft.metadata,
        sent_as_read: entry.draft.sent_as_read,
        event_chat: head.event_chat.clone().map(Arc::new),
        created_at: head.latest_at,
        modified_at: head.latest_at,
    };
    insert(transaction, &message)?;
    heads
        .reads
        .insert((message.chat_pk, message.sender.pk), message.seq);
    Ok(Some(Sent::Stored(Arc::new(message))))
}

/// Inserts a message under its seq.
pub(super) fn insert(transaction: &Transaction<'_>, message: &Message) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(
        "INSERT INTO messages (chat, seq, id, sender, kind, text, client_id, read, created_at,
                               modified_at, photos, metadata, original_id)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    )?;
    statement.execute(params![
        message.chat_pk,
        message.seq,
        message.id,
        message.sender.pk,
        message.kind,
        message.text,
        message.client_id,
        message.sent_as_read,
        Millisecond(message.created_at),
        Millisecond(message.modified_at),
        (!message.photos.is_empty()).then(|| Texts(message.photos.clone())),
        message.metadata,
        message.original_id,
    ])?;
    Ok(())
}

const SELECT: &str = "SELECT id, seq, sender, kind, text, client_id, read, created_at,
                             modified_at, photos, metadata, original_id
                      FROM messages";

fn by_client_id(
    transaction: &Transaction<'_>,
    chat: ChatId,
    head: &ChatHead,
    sender: UserPk,
    client_id: &str,
) -> Result<Option<Message>, StoreError> {
    let select = format!("{SELECT} WHERE chat = ?1 AND sender = ?2 AND client_id = ?3");
    let mut statement = transaction.prepare_cached(&select)?;
    let mut reader = Reader::of(transaction, chat, head);
    let found = statement.query_row(params![head.pk, sender, client_id], |row| {
        reader.message(row)
    });
    Ok(found.optional()?)
}

fn by_original_id(
    transaction: &Transaction<'_>,
    chat: ChatId,
    head: &ChatHead,
    original_id: &str,
) -> Result<Option<Message>, StoreError> {
    let select = format!("{SELECT} WHERE chat = ?1 AND original_id = ?2");
    let mut statement = transaction.prepare_cached(&select)?;
    let mut reader = Reader::of(transaction, chat, head);
    let found = statement.query_row(params![head.pk, original_id], |row| reader.message(row));
    Ok(found.optional()?)
}

/// The first and the last seq of a range. Times become seqs here, since inside a chat
/// both grow together.
fn bounds(
    transaction: &Transaction<'_>,
    head: &ChatHead,
    range: Range,
) -> Result<(Seq, Seq), StoreError> {
    let mut first = range.after.map_or(1, |after| after.saturating_add(1));
    let mut last = range
        .before
        .map_or(head.head, |before| before.saturating_sub(1));
    if let Some(from) = range.from {
        first = first.max(first_stored(transaction, head, |at| at >= from)?);
    }
    if let Some(to) = range.to {
        last = last.min(first_stored(transaction, head, |at| at > to)? - 1);
    }
    Ok((first.max(1), last.min(head.head)))
}

/// The number of the first message whose time is `late` enough, one past the head without
/// one: found by halving, twenty steps for a million messages.
fn first_stored(
    transaction: &Transaction<'_>,
    head: &ChatHead,
    late: impl Fn(Timestamp) -> bool,
) -> Result<Seq, StoreError> {
    let mut statement = transaction
        .prepare_cached("SELECT created_at FROM messages WHERE chat = ?1 AND seq = ?2")?;
    let (mut low, mut high) = (1, head.head + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        let at: Millisecond = statement.query_row(params![head.pk, middle], |row| row.get(0))?;
        if late(at.0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Ok(low)
}

fn page(
    mut reader: Reader<'_>,
    (first, last): (Seq, Seq),
    window: Window,
) -> Result<MessagePage, StoreError> {
    let order = match window {
        Window::First(_) => "ASC",
        Window::Last(_) => "DESC",
    };
    let select =
        format!("{SELECT} WHERE chat = ?1 AND seq BETWEEN ?2 AND ?3 ORDER BY seq {order} LIMIT ?4");
    let mut statement = reader.transaction.prepare_cached(&select)?;
    let mut rows = statement.query(params![reader.pk, first, last, window.limit()])?;
    let mut messages = Vec::new();
    let mut bytes = 0;
    while bytes < PAGE_BYTES
        && let Some(row) = rows.next()?
    {
        let message = reader.message(row)?;
        bytes += message.weight();
        messages.push(message);
    }
    let taken = Seq::try_from(messages.len()).unwrap_or(Seq::MAX);
    if matches!(window, Window::Last(_)) {
        messages.reverse();
    }
    // Seqs have no gaps, so their difference is the number of messages.
    let has_more = taken < last - first + 1;
    Ok(MessagePage { messages, has_more })
}

/// Reads rows of one chat, and each of their senders once.
struct Reader<'a> {
    transaction: &'a Transaction<'a>,
    chat: ChatId,
    pk: ChatPk,
    event_chat: Option<Arc<EventChat>>,
    senders: HashMap<UserPk, Arc<User>>,
}

impl<'a> Reader<'a> {
    fn of(transaction: &'a Transaction<'a>, chat: ChatId, head: &ChatHead) -> Self {
        Self {
            transaction,
            chat,
            pk: head.pk,
            event_chat: head.event_chat.clone().map(Arc::new),
            senders: HashMap::new(),
        }
    }

    fn message(&mut self, row: &Row<'_>) -> rusqlite::Result<Message> {
        Ok(Message {
            id: row.get(0)?,
            chat: self.chat,
            chat_pk: self.pk,
            seq: row.get(1)?,
            sender: self.sender(row.get(2)?)?,
            kind: row.get(3)?,
            text: row.get(4)?,
            client_id: row.get(5)?,
            sent_as_read: row.get(6)?,
            photos: row
                .get::<_, Option<Texts>>(9)?
                .map_or_else(Vec::new, |photos| photos.0),
            metadata: row.get(10)?,
            original_id: row.get(11)?,
            event_chat: self.event_chat.clone(),
            created_at: row.get::<_, Millisecond>(7)?.0,
            modified_at: row.get::<_, Millisecond>(8)?.0,
        })
    }

    fn sender(&mut self, pk: UserPk) -> rusqlite::Result<Arc<User>> {
        if let Some(sender) = self.senders.get(&pk) {
            return Ok(Arc::clone(sender));
        }
        let sender = Arc::new(users::by_pk(self.transaction, pk)?);
        self.senders.insert(pk, Arc::clone(&sender));
        Ok(sender)
    }
}
