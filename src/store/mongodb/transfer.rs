//! [`Transfer`] on MongoDB: export and import of all records.
//! Does not skip unreadable documents: a copy without them would be incomplete.

use std::collections::HashMap;

use async_trait::async_trait;
use jiff::Timestamp;
use mongodb::bson::{Document, Uuid, doc};

use super::Mongo;
use super::database::Query;
use super::documents::{
    CHATS, ChatDocument, EVENTS, EventPartDocument, FoundChat, KeyDocument, MESSAGES,
    MemberDocument, SCHEMA, USERS, UserDocument,
};
use super::event_documents::EventDocument;
use super::failure::corrupt;
use super::fields::{RoleField, date, time};
use super::import::{ImportTx, ImportedChat};
use super::kept_rights::KeptDocument;
use super::lists::by_pk;
use super::message_document::{MessageDocument, original_key};
use super::retry::retry_until_deadline;
use super::sanction_documents::{AuditDocument, BanDocument, MuteDocument};
use super::schema::copy_mark;
use crate::model::{
    AuditId, AuditRecord, ChatId, ChatPk, EventPk, IdempotencyKey, MemberRights, Message,
    MessageId, Seq, User, UserId,
};
use crate::store::transfer::{ChatRecord, EventPart, EventRecord, MemberRecord, Pks, Transfer};
use crate::store::{PAGE_MEMBERS, StoreError};

/// How many members, bans and kept rights go into one transaction, which must be short.
const MEMBERS_AT_A_TIME: usize = 5_000;

#[async_trait]
impl Transfer for Mongo {
    async fn begin_copy(&self) -> Result<(), StoreError> {
        let schema = self.database.collection::<Document>(SCHEMA);
        retry_until_deadline(|| async {
            let begun = doc! { "$currentDate": { "begun": true } };
            let mark = schema.update_one(copy_mark(), begun).upsert(true);
            mark.await?;
            Ok(())
        })
        .await
    }

    async fn is_unfinished(&self) -> Result<bool, StoreError> {
        let schema = self.database.collection::<Document>(SCHEMA);
        retry_until_deadline(|| async { Ok(schema.find_one(copy_mark()).await?.is_some()) }).await
    }

    async fn finish_copy(&self) -> Result<(), StoreError> {
        let schema = self.database.collection::<Document>(SCHEMA);
        retry_until_deadline(|| async {
            schema.delete_one(copy_mark()).await?;
            Ok(())
        })
        .await
    }

    async fn greatest(&self) -> Result<Pks, StoreError> {
        retry_until_deadline(|| async {
            Ok(Pks {
                user: self.database.greatest_pk(USERS).await?,
                chat: self.database.greatest_pk(CHATS).await?,
                event: self.database.greatest_pk(EVENTS).await?,
            })
        })
        .await
    }

    async fn counters(&self) -> Result<Pks, StoreError> {
        retry_until_deadline(|| async {
            Ok(Pks {
                user: self.database.counter(USERS).await?,
                chat: self.database.counter(CHATS).await?,
                event: self.database.counter(EVENTS).await?,
            })
        })
        .await
    }

    async fn event_records(
        &self,
        after: EventPk,
        limit: usize,
    ) -> Result<Vec<EventRecord>, StoreError> {
        retry_until_deadline(|| self.list_event_records(after, limit)).await
    }

    async fn chat_records(
        &self,
        after: ChatPk,
        limit: usize,
    ) -> Result<Vec<ChatRecord>, StoreError> {
        let query = || by_pk(doc! { "pk": { "$gt": after } }, limit);
        let found = retry_until_deadline(|| async {
            let found = self.database.all::<ChatDocument>(query()).await?;
            self.with_heads(found).await
        });
        let (mut records, mut members) = (Vec::new(), 0);
        for found in found.await? {
            if members > PAGE_MEMBERS {
                break;
            }
            let record = retry_until_deadline(|| self.record(found.clone())).await?;
            members += record.members.len();
            records.push(record);
        }
        Ok(records)
    }

    async fn take_counters(&self, counters: Pks) -> Result<(), StoreError> {
        for (noun, last) in [
            (USERS, counters.user),
            (CHATS, counters.chat),
            (EVENTS, counters.event),
        ] {
            retry_until_deadline(|| self.database.set_counter(noun, last, None)).await?;
        }
        Ok(())
    }

    async fn take_users(&self, users: Vec<User>) -> Result<(), StoreError> {
        let documents = users.into_iter().map(UserDocument::from).collect();
        self.database.transaction(ImportTx::Users(documents)).await
    }

    async fn take_events(&self, events: Vec<EventRecord>) -> Result<(), StoreError> {
        let documents = events.into_iter().map(|record| {
            let EventRecord { event, key } = record;
            EventDocument::imported(event, key)
        });
        let documents = documents.collect();
        self.database.transaction(ImportTx::Events(documents)).await
    }

    async fn take_chats(&self, chats: Vec<ChatRecord>) -> Result<(), StoreError> {
        let ids = chats.iter().flat_map(|record| {
            let members = record.members.iter().map(|member| member.user);
            let bans = record.bans.iter().map(|ban| ban.user);
            members
                .chain(bans)
                .chain(record.kept.iter().map(|kept| kept.user))
        });
        let ids: Vec<_> = ids.collect();
        let known = retry_until_deadline(|| self.users_by_id(ids.iter().copied())).await?;
        if let Some(id) = ids.iter().find(|id| !known.contains_key(id)) {
            return Err(corrupt(format!("no user {id} to take part")));
        }
        let (mut some, mut members) = (Vec::new(), 0);
        for record in chats {
            let more = record.members.len() + record.bans.len() + record.kept.len();
            if members + more > MEMBERS_AT_A_TIME && !some.is_empty() {
                let full = std::mem::take(&mut some);
                self.database.transaction(ImportTx::Chats(full)).await?;
                members = 0;
            }
            members += more;
            some.push(self.taken(record).await?);
        }
        if some.is_empty() {
            return Ok(());
        }
        self.database.transaction(ImportTx::Chats(some)).await
    }

    async fn take_messages(&self, messages: Vec<Message>) -> Result<(), StoreError> {
        let Some(first) = messages.first() else {
            return Ok(());
        };
        let latest = retry_until_deadline(|| self.latest(first.chat)).await?;
        let mut head = latest.map_or(0, |latest| latest.seq);
        for message in &messages {
            head += 1;
            if message.seq != head || message.chat != first.chat {
                let (seq, chat) = (message.seq, message.chat);
                return Err(corrupt(format!(
                    "message {seq} does not follow upon the others of chat {chat}"
                )));
            }
        }
        let documents: Vec<_> = messages.into_iter().map(MessageDocument::from).collect();
        let collection = self.database.collection::<MessageDocument>(MESSAGES);
        // In order, so that after a failure the beginning is stored.
        collection.insert_many(documents).ordered(true).await?;
        Ok(())
    }

    async fn imported(
        &self,
        chat: ChatId,
        original_ids: Vec<String>,
    ) -> Result<Vec<Option<(Seq, MessageId)>>, StoreError> {
        let keys = original_ids.iter().map(|id| original_key(chat, id));
        let keys: Vec<Uuid> = keys.collect();
        let query = || Query::all(doc! { "key": { "$in": &keys } });
        let found = retry_until_deadline(|| self.database.all::<MessageDocument>(query())).await?;
        let found = found.iter().filter_map(|found| {
            let message = (found.chat_seq.seq, MessageId::from(found.id));
            Some((found.key?, message))
        });
        let found: HashMap<_, _> = found.collect();
        Ok(keys.iter().map(|key| found.get(key).copied()).collect())
    }

    async fn next_chat_pks(&self, from: ChatPk, count: usize) -> Result<Vec<ChatPk>, StoreError> {
        if count == 0 {
            return Ok(Vec::new());
        }
        self.database.next_pks(CHATS, from, count).await
    }

    async fn latest_audit(&self) -> Result<Option<AuditId>, StoreError> {
        retry_until_deadline(|| self.database.latest_audit()).await
    }

    async fn take_audit(&self, records: Vec<AuditRecord>) -> Result<(), StoreError> {
        let documents = records.iter().map(AuditDocument::new);
        let documents: Vec<_> = documents.collect::<Result<_, _>>()?;
        if documents.is_empty() {
            return Ok(());
        }
        let import = ImportTx::Audit(documents);
        self.database.transaction(import).await
    }
}

impl Mongo {
    async fn list_event_records(
        &self,
        after: EventPk,
        limit: usize,
    ) -> Result<Vec<EventRecord>, StoreError> {
        let query = Query {
            filter: doc! { "_id": { "$gt": after } },
            sort: doc! { "_id": 1 },
            limit,
            ..Query::default()
        };
        let found = self.database.all::<EventDocument>(query).await?;
        let owners = found.iter().map(|event| UserId::from(event.owner));
        let owners = self.users_by_id(owners).await?;
        let record = |document: EventDocument| {
            let key = document.key.clone().map(IdempotencyKey::from);
            let owner = owners.get(&document.owner.into());
            let event = super::events::with_owner(document, owner)?;
            Ok(EventRecord { event, key })
        };
        found.into_iter().map(record).collect()
    }

    /// A chat with all of its stored state except messages.
    async fn record(&self, found: FoundChat) -> Result<ChatRecord, StoreError> {
        let FoundChat {
            mut chat,
            latest_at,
            key,
            event_chat,
            ..
        } = found;
        let query = Query {
            sort: doc! { "place": 1 },
            ..Query::all(doc! { "chat": chat.id })
        };
        let (members, own, bans, kept) = tokio::try_join!(
            self.database.all::<MemberDocument>(query),
            self.own_latest(chat.id),
            self.bans_of(chat.id),
            self.database.kept_rights(chat.id)
        )?;
        let member = |member: &MemberDocument| {
            let MemberRights { user, role, mute } = member.rights()?;
            Ok::<_, StoreError>(MemberRecord {
                user,
                place: member.place,
                last_read: member.position_with(own.get(&member.user).copied().unwrap_or(0)),
                role,
                mute,
            })
        };
        let members: Vec<_> = members.iter().map(member).collect::<Result<_, _>>()?;
        chat.members = members.iter().map(|member| member.user).collect();
        Ok(ChatRecord {
            latest_at: match chat.head {
                0 => Timestamp::UNIX_EPOCH,
                _ => time(latest_at)?,
            },
            key: key.map(IdempotencyKey::from),
            of_event: event_chat.map(|event_chat| EventPart {
                guest: event_chat.guest.into(),
                access: event_chat.access.into(),
                access_version: event_chat.version,
            }),
            members,
            bans,
            kept,
            chat,
        })
    }

    /// The documents of a chat, its members, its bans and its kept rights.
    async fn taken(&self, record: ChatRecord) -> Result<ImportedChat, StoreError> {
        let chat = record.chat;
        let event = match (record.of_event, chat.event) {
            (Some(part), Some(pk)) => {
                let event =
                    retry_until_deadline(|| self.database.one::<EventDocument>(doc! { "_id": pk }))
                        .await?;
                let event = event.ok_or_else(|| corrupt(format!("no event {pk}")))?;
                Some(EventPartDocument {
                    pk,
                    owner: event.owner,
                    guest: part.guest.into(),
                    access: part.access.into(),
                    version: part.access_version,
                })
            }
            _ => None,
        };
        let members = record.members.iter().map(|member| MemberDocument {
            chat: chat.id.into(),
            user: member.user.into(),
            place: member.place,
            // The position is known, whatever the member has sent before it.
            since: chat.head,
            last_read: member.last_read,
            role: RoleField::of(member.role),
            mute: member.mute.map(MuteDocument::from),
            own: Vec::new(),
        });
        let members: Vec<_> = members.collect();
        let bans = record
            .bans
            .iter()
            .map(|ban| BanDocument::new(chat.id, *ban));
        let bans = bans.collect();
        let kept = record.kept.iter();
        let kept = kept.map(|kept| KeptDocument::new(chat.id.into(), *kept));
        let kept = kept.collect();
        let document = ChatDocument {
            id: chat.id.into(),
            pk: chat.pk,
            name: chat.name,
            policy: chat.policy.into(),
            owner: chat.owner,
            team: chat.team,
            places: members.last().map_or(0, |member| member.place + 1),
            members_version: chat.members_version,
            external_id: chat.external_id,
            created_at: date(chat.created_at),
            modified_at: date(chat.modified_at),
            active_at: date(chat.active_at),
            key: record.key.map(KeyDocument::from),
            event,
        };
        Ok(ImportedChat {
            chat: document,
            members,
            bans,
            kept,
        })
    }
}
