//! [`Audit`] on MongoDB.
//! Does not know anything about the audit log beyond the contract in `store`.

use async_trait::async_trait;
use mongodb::ClientSession;
use mongodb::bson::{Document, doc};

use super::Mongo;
use super::database::{Database, Query};
use super::retry::retry_until_deadline;
use super::sanction_documents::{AUDIT, AuditDocument};
use super::transaction::Transactional;
use crate::model::{AuditFilter, AuditId, AuditRecord};
use crate::store::{Audit, StoreError};

#[async_trait]
impl Audit for Mongo {
    async fn audit_records(
        &self,
        filter: AuditFilter,
        after: Option<AuditId>,
        limit: usize,
    ) -> Result<Vec<AuditRecord>, StoreError> {
        let AuditFilter { chat, user } = filter;
        let mut matching = Document::new();
        if let Some(chat) = chat {
            matching.insert("chat", chat);
        }
        if let Some(user) = user {
            matching.insert("user", user);
        }
        if let Some(after) = after {
            matching.insert("_id", doc! { "$gt": after });
        }
        retry_until_deadline(|| {
            self.database.readable::<AuditDocument>(Query {
                filter: matching.clone(),
                sort: doc! { "_id": 1 },
                limit,
                ..Query::default()
            })
        })
        .await
    }

    async fn add_audit(&self, record: AuditRecord) -> Result<(), StoreError> {
        self.database.transaction(RecordTx(record)).await
    }
}

/// Stores a record alone. Repeated after a lost answer it would exist already, unlike in a transaction.
struct RecordTx(AuditRecord);

#[async_trait]
impl Transactional for RecordTx {
    type Output = ();

    async fn run(
        &self,
        database: &Database,
        session: &mut ClientSession,
    ) -> Result<(), StoreError> {
        database.record(Some(&self.0), session).await
    }
}

impl Database {
    /// Stores these records, if there are any, in the transaction of the act.
    pub(super) async fn record(
        &self,
        records: impl IntoIterator<Item = &AuditRecord>,
        session: &mut ClientSession,
    ) -> Result<(), StoreError> {
        let documents = records.into_iter().map(AuditDocument::new);
        let documents: Vec<_> = documents.collect::<Result<_, _>>()?;
        if !documents.is_empty() {
            let log = self.collection::<AuditDocument>(AUDIT);
            log.insert_many(documents).session(session).await?;
        }
        Ok(())
    }

    /// The greatest id in the log.
    pub(super) async fn latest_audit(&self) -> Result<Option<AuditId>, StoreError> {
        let latest = self.all::<AuditDocument>(Query {
            sort: doc! { "_id": -1 },
            limit: 1,
            ..Query::default()
        });
        Ok(latest.await?.first().map(|record| record.id))
    }
}
