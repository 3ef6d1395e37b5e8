//! The import of records, a transaction for some at a time.
//! Does not check them: `transfer` does.

use async_trait::async_trait;
use mongodb::ClientSession;

use super::database::Database;
use super::documents::{CHATS, ChatDocument, EVENTS, MEMBERS, MemberDocument, USERS, UserDocument};
use super::event_documents::EventDocument;
use super::sanction_documents::{AUDIT, AuditDocument, BANS, BanDocument};
use super::transaction::Transactional;
use crate::store::StoreError;

/// Imports records, and raises the counter to the greatest of their `pk`s.
pub(super) enum ImportTx {
    Users(Vec<UserDocument>, i64),
    Events(Vec<EventDocument>, i64),
    Chats(Vec<ImportedChat>),
    Audit(Vec<AuditDocument>),
}

/// The documents of a chat, its members and its bans.
pub(super) struct ImportedChat {
    pub(super) chat: ChatDocument,
    pub(super) members: Vec<MemberDocument>,
    pub(super) bans: Vec<BanDocument>,
}

#[async_trait]
impl Transactional for ImportTx {
    type Output = ();

    async fn run(
        &self,
        database: &Database,
        session: &mut ClientSession,
    ) -> Result<(), StoreError> {
        match self {
            Self::Users(users, greatest) => {
                let collection = database.collection::<UserDocument>(USERS);
                collection.insert_many(users).session(&mut *session).await?;
                database.count_up(USERS, *greatest, Some(session)).await
            }
            Self::Events(events, greatest) => {
                let collection = database.collection::<EventDocument>(EVENTS);
                collection
                    .insert_many(events)
                    .session(&mut *session)
                    .await?;
                database.count_up(EVENTS, *greatest, Some(session)).await
            }
            Self::Chats(chats) => {
                let collection = database.collection::<ChatDocument>(CHATS);
                let documents = chats.iter().map(|imported| &imported.chat);
                let documents = collection.insert_many(documents);
                documents.session(&mut *session).await?;
                let members = chats.iter().flat_map(|imported| &imported.members);
                let members: Vec<_> = members.collect();
                if !members.is_empty() {
                    let collection = database.collection::<MemberDocument>(MEMBERS);
                    let members = collection.insert_many(members);
                    members.session(&mut *session).await?;
                }
                let bans: Vec<_> = chats.iter().flat_map(|imported| &imported.bans).collect();
                if !bans.is_empty() {
                    let collection = database.collection::<BanDocument>(BANS);
                    let bans = collection.insert_many(bans);
                    bans.session(&mut *session).await?;
                }
                let greatest = chats.iter().map(|imported| imported.chat.pk).max();
                let greatest = greatest.unwrap_or(0);
                database.count_up(CHATS, greatest, Some(session)).await
            }
            Self::Audit(records) => {
                let collection = database.collection::<AuditDocument>(AUDIT);
                collection.insert_many(records).session(session).await?;
                Ok(())
            }
        }
    }
}
