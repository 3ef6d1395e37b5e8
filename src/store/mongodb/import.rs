//! The import of records, a transaction for some at a time.
//! Does not check them: `transfer` does.

use async_trait::async_trait;
use mongodb::ClientSession;
use serde::Serialize;

use super::database::Database;
use super::documents::{CHATS, ChatDocument, EVENTS, MEMBERS, MemberDocument, USERS, UserDocument};
use super::event_documents::EventDocument;
use super::kept_rights::{KEPT_RIGHTS, KeptDocument};
use super::sanction_documents::{AUDIT, AuditDocument, BANS, BanDocument};
use super::transaction::Transactional;
use crate::store::StoreError;

/// Imports records.
pub(super) enum ImportTx {
    Users(Vec<UserDocument>),
    Events(Vec<EventDocument>),
    Chats(Vec<ImportedChat>),
    Audit(Vec<AuditDocument>),
}

/// The documents of a chat, its members, its bans and its kept rights.
pub(super) struct ImportedChat {
    pub(super) chat: ChatDocument,
    pub(super) members: Vec<MemberDocument>,
    pub(super) bans: Vec<BanDocument>,
    pub(super) kept: Vec<KeptDocument>,
}

#[async_trait]
impl Transactional for ImportTx {
    type Output = ();

    async fn run(
        &self,
        database: &Database,
        session: &mut ClientSession,
    ) -> Result<(), StoreError> {
        // Nothing was chosen: a record with this number is there already.
        let inserted = self.insert(database, session).await;
        inserted.map_err(|error| match error {
            StoreError::PkTaken => StoreError::Duplicate,
            error => error,
        })
    }
}

impl ImportTx {
    async fn insert(
        &self,
        database: &Database,
        session: &mut ClientSession,
    ) -> Result<(), StoreError> {
        match self {
            Self::Users(users) => {
                let collection = database.collection::<UserDocument>(USERS);
                collection.insert_many(users).session(session).await?;
                Ok(())
            }
            Self::Events(events) => {
                let collection = database.collection::<EventDocument>(EVENTS);
                collection.insert_many(events).session(session).await?;
                Ok(())
            }
            Self::Chats(chats) => {
                let collection = database.collection::<ChatDocument>(CHATS);
                let documents = chats.iter().map(|imported| &imported.chat);
                let documents = collection.insert_many(documents);
                documents.session(&mut *session).await?;
                let members = chats.iter().flat_map(|imported| &imported.members);
                database.import(MEMBERS, members, session).await?;
                let bans = chats.iter().flat_map(|imported| &imported.bans);
                database.import(BANS, bans, session).await?;
                let kept = chats.iter().flat_map(|imported| &imported.kept);
                database.import(KEPT_RIGHTS, kept, session).await
            }
            Self::Audit(records) => {
                let collection = database.collection::<AuditDocument>(AUDIT);
                collection.insert_many(records).session(session).await?;
                Ok(())
            }
        }
    }
}

impl Database {
    /// Inserts these documents, if there are any.
    async fn import<'a, D: Serialize + Send + Sync + 'a>(
        &self,
        name: &str,
        documents: impl Iterator<Item = &'a D>,
        session: &mut ClientSession,
    ) -> Result<(), StoreError> {
        let documents: Vec<_> = documents.collect();
        if !documents.is_empty() {
            let collection = self.collection::<D>(name);
            collection.insert_many(documents).session(session).await?;
        }
        Ok(())
    }
}
