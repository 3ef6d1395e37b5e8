//! `polychat export`: everything that people see, as lines that `polychat import` reads.
//! Does not export the audit log, and does not know the kind of the store.

use std::collections::{HashMap, HashSet};
use std::io::{self, Write};
use std::sync::Arc;

use jiff::Timestamp;

use crate::gateway::archive;
use crate::model::{
    Chat, ChatRef, History, ImportRecord, ImportedChat, ImportedEvent, ImportedEventPart,
    ImportedMember, ImportedMessage, ImportedNumbers, ImportedUser, MemberRole, Message, Profile,
    Range, Sanction, Seq, User, UserId, UserPk, UserRef, Window,
};
use crate::progress;
use crate::store::transfer::{ChatRecord, EventRecord, Pks};
use crate::store::{Store, StoreError};

/// How many users, events and chats are read at a time.
const RECORDS: usize = 500;

/// How many messages are read at a time.
const MESSAGES: usize = 1000;

/// The totals of an export.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exported {
    /// How many users.
    pub users: usize,
    /// How many events.
    pub events: usize,
    /// How many chats.
    pub chats: usize,
    /// How many messages.
    pub messages: usize,
}

/// Why an export is not complete, in one sentence.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The lines cannot be written.
    #[error("cannot write the export")]
    Write(#[from] io::Error),
}

/// Writes everything. No other process may use the store meanwhile.
///
/// # Errors
/// See [`ExportError`]. What was written is not complete then.
pub async fn export(
    store: &dyn Store,
    out: &mut (dyn Write + Send),
    now: Timestamp,
) -> Result<Exported, ExportError> {
    let mut export = Export {
        store,
        out,
        exported: Exported::default(),
    };
    writeln!(export.out, "{}", archive::header(now))?;
    let Pks { user, chat, event } = store.counters().await?;
    export.line(&ImportRecord::Numbers(ImportedNumbers {
        users: user,
        chats: chat,
        events: event,
    }))?;
    export.users().await?;
    export.events().await?;
    export.chats().await?;
    export.messages().await?;
    export.out.flush()?;
    let (there, exported) = (store.totals().await?, export.exported);
    let count = |count| u64::try_from(count).unwrap_or(u64::MAX);
    if (there.users, there.chats) != (count(exported.users), count(exported.chats)) {
        // A list leaves them out, with a line in the log.
        let why = "some users or chats cannot be read, and are not in the export";
        return Err(StoreError::Corrupt(why.into()).into());
    }
    Ok(exported)
}

struct Export<'a> {
    store: &'a dyn Store,
    out: &'a mut (dyn Write + Send),
    exported: Exported,
}

impl Export<'_> {
    fn line(&mut self, record: &ImportRecord) -> io::Result<()> {
        writeln!(self.out, "{}", archive::write(record))
    }

    async fn users(&mut self) -> Result<(), ExportError> {
        let mut after = 0;
        loop {
            let users = self.store.users_after(after, RECORDS).await?;
            let Some(last) = users.last() else {
                return Ok(());
            };
            after = last.pk;
            self.exported.users += users.len();
            for user in users {
                self.line(&ImportRecord::User(Box::new(of_user(user))))?;
            }
        }
    }

    async fn events(&mut self) -> Result<(), ExportError> {
        let mut after = 0;
        loop {
            let events = self.store.event_records(after, RECORDS).await?;
            let Some(last) = events.last() else {
                return Ok(());
            };
            after = last.event.pk;
            self.exported.events += events.len();
            for event in events {
                self.line(&ImportRecord::Event(Box::new(of_event(event))))?;
            }
        }
    }

    async fn chats(&mut self) -> Result<(), ExportError> {
        let mut after = 0;
        loop {
            let chats = self.store.chat_records(after, RECORDS).await?;
            let Some(last) = chats.last() else {
                return Ok(());
            };
            after = last.chat.pk;
            self.exported.chats += chats.len();
            let named = Named::read(self.store, &chats).await?;
            for chat in chats {
                let chat = of_chat(chat, &named)?;
                self.line(&ImportRecord::Chat(Box::new(chat)))?;
            }
        }
    }

    async fn messages(&mut self) -> Result<(), ExportError> {
        let total = self.store.totals().await?.messages;
        let progress = progress::bar("exporting", total, "messages");
        let mut after = 0;
        loop {
            let chats = self.store.chats_after(after, RECORDS).await?;
            let Some(last) = chats.last() else {
                progress.finish();
                return Ok(());
            };
            after = last.pk;
            for chat in chats {
                let mut seq = 0;
                while seq < chat.head {
                    let page = self.page(&chat, seq).await?;
                    progress.inc((page.1 - seq).unsigned_abs());
                    seq = page.1;
                    for message in page.0 {
                        self.exported.messages += 1;
                        self.line(&ImportRecord::Message(Box::new(of_message(message))))?;
                    }
                }
            }
        }
    }

    /// The messages after one of a chat, and the number of the last of them.
    async fn page(&self, chat: &Chat, after: Seq) -> Result<(Vec<Message>, Seq), ExportError> {
        let history = History {
            range: Range {
                after: Some(after),
                ..Range::default()
            },
            window: Window::First(MESSAGES),
        };
        let messages = self.store.messages(chat.id, history).await?.messages;
        let last = messages.last().map(|last| last.seq).ok_or_else(|| {
            StoreError::Corrupt(format!("chat {} lacks messages after {after}", chat.id))
        })?;
        Ok((messages, last))
    }
}

/// The external ids of users that some chats name.
struct Named {
    by_id: HashMap<UserId, Arc<User>>,
    owners: HashMap<UserPk, String>,
}

impl Named {
    async fn read(store: &dyn Store, chats: &[ChatRecord]) -> Result<Self, StoreError> {
        let ids = chats.iter().flat_map(|record| {
            let members = record.members.iter().map(|member| member.user);
            let bans = record.bans.iter().map(|ban| ban.user);
            let kept = record.kept.iter().map(|kept| kept.user);
            let guest = record.of_event.iter().map(|part| part.guest);
            members.chain(bans).chain(kept).chain(guest)
        });
        let ids: HashSet<_> = ids.collect();
        let ids: Vec<_> = ids.into_iter().collect();
        let users = store.users(&ids).await?;
        let by_id: HashMap<_, _> = users.into_iter().map(|user| (user.id, user)).collect();
        let mut owners: HashMap<_, _> = by_id
            .values()
            .map(|user| (user.pk, user.external_id.clone()))
            .collect();
        for owner in chats.iter().filter_map(|record| record.chat.owner) {
            if !owners.contains_key(&owner)
                && let Some(user) = store.user_by_pk(owner).await?
            {
                owners.insert(owner, user.external_id);
            }
        }
        Ok(Self { by_id, owners })
    }

    fn user(&self, id: UserId) -> Result<UserRef, StoreError> {
        let user = self.by_id.get(&id);
        let user = user.ok_or_else(|| StoreError::Corrupt(format!("there is no user {id}")))?;
        Ok(UserRef::External(user.external_id.clone()))
    }

    fn owner(&self, pk: UserPk) -> Result<UserRef, StoreError> {
        let owner = self.owners.get(&pk).cloned().map(UserRef::External);
        owner.ok_or_else(|| StoreError::Corrupt(format!("there is no user {pk}")))
    }

    fn member(
        &self,
        user: UserId,
        role: MemberRole,
        mute: Option<Sanction>,
        last_read: Seq,
    ) -> Result<ImportedMember, StoreError> {
        Ok(ImportedMember {
            user: self.user(user)?,
            role,
            mute,
            last_read,
        })
    }
}

fn of_user(user: User) -> ImportedUser {
    ImportedUser {
        external_id: user.external_id,
        id: Some(user.id),
        pk: Some(user.pk),
        profile: Profile {
            username: Some(user.username),
            name: Some(user.name),
            avatar: Some(user.avatar),
            github: Some(user.github),
            image_uuid: user.image_uuid,
        },
        created_at: Some(user.created_at),
        modified_at: Some(user.modified_at),
        revoked_before: user.revoked_before,
    }
}

fn of_event(record: EventRecord) -> ImportedEvent {
    let EventRecord { event, key } = record;
    ImportedEvent {
        pk: event.pk,
        owner: UserRef::External(event.owner.external_id.clone()),
        details: event.details,
        key,
        created_at: Some(event.created_at),
        modified_at: Some(event.modified_at),
    }
}

fn of_chat(record: ChatRecord, named: &Named) -> Result<ImportedChat, StoreError> {
    let chat = record.chat;
    let owner = chat.owner.map(|owner| named.owner(owner)).transpose()?;
    let part = match (record.of_event, chat.event) {
        (Some(part), Some(event)) => Some(ImportedEventPart {
            event,
            guest: named.user(part.guest)?,
            access: part.access,
        }),
        _ => None,
    };
    let members = record.members.iter();
    let members = members.map(|it| named.member(it.user, it.role, it.mute, it.last_read));
    let bans = record.bans.iter();
    let bans = bans.map(|ban| Ok((named.user(ban.user)?, ban.sanction)));
    let kept = record.kept.iter();
    let kept = kept.map(|it| named.member(it.user, it.role, it.mute, 0));
    Ok(ImportedChat {
        id: Some(chat.id),
        pk: Some(chat.pk),
        external_id: chat.external_id,
        name: chat.name,
        policy: Some(chat.policy),
        owner,
        team: chat.team,
        of_event: part,
        members: members.collect::<Result<_, StoreError>>()?,
        add_members: false,
        bans: bans.collect::<Result<_, StoreError>>()?,
        kept: kept.collect::<Result<_, StoreError>>()?,
        key: record.key,
        head: chat.head,
        created_at: Some(chat.created_at),
        modified_at: Some(chat.modified_at),
        active_at: Some(chat.active_at),
    })
}

fn of_message(message: Message) -> ImportedMessage {
    ImportedMessage {
        chat: ChatRef::Id(message.chat),
        exported: Some((message.id, message.seq)),
        sender: UserRef::External(message.sender.external_id.clone()),
        created_at: message.created_at,
        draft: message.into_draft(),
    }
}
