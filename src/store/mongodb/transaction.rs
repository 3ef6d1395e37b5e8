//! Transactions, retried on transient conflicts.
//! Does not know the writes of a transaction.

use async_trait::async_trait;
use mongodb::ClientSession;
use mongodb::bson::Document;
use mongodb::options::ReadConcern;

use super::connection::write_concern;
use super::database::Database;
use super::failure::is_transient;
use super::retry::{Backoff, with_deadline};
use crate::model::AuditRecord;
use crate::store::StoreError;

/// The body of a transaction.
#[async_trait]
pub(super) trait Transactional: Send + Sync {
    /// The result.
    type Output: Send;

    /// Runs the body in the transaction of `session`. Called again after a transient conflict,
    /// when the writes of the previous call are rolled back. An error aborts the transaction.
    async fn run(
        &self,
        database: &Database,
        session: &mut ClientSession,
    ) -> Result<Self::Output, StoreError>;
}

impl Database {
    /// Runs a transaction, retrying on transient conflicts until the deadline.
    pub(super) async fn transaction<T: Transactional>(
        &self,
        body: T,
    ) -> Result<T::Output, StoreError> {
        with_deadline(self.run_transaction(&body)).await
    }

    /// Like [`Self::transaction`], for one that adds a member.
    pub(super) async fn adding_transaction<T: Transactional>(
        &self,
        body: T,
    ) -> Result<T::Output, StoreError> {
        with_deadline(async {
            let _permit = self.additions.acquire().await;
            self.run_transaction(&body).await
        })
        .await
    }

    /// The same without a deadline.
    pub(super) async fn run_transaction<T: Transactional>(
        &self,
        body: &T,
    ) -> Result<T::Output, StoreError> {
        let mut session = self.session().await?;
        let mut backoff = Backoff::start();
        loop {
            session
                .start_transaction()
                .read_concern(ReadConcern::snapshot())
                .write_concern(write_concern())
                .await?;
            let error = match body.run(self, &mut session).await {
                Ok(output) => {
                    let (returned, outcome) = self.commits.commit(session).await;
                    session = returned;
                    match outcome {
                        Ok(()) => return Ok(output),
                        Err(error) => error,
                    }
                }
                Err(error) => {
                    // If the abort does not reach the server, the transaction expires there.
                    let _ = session.abort_transaction().await;
                    error
                }
            };
            if !is_transient(&error) {
                return Err(error);
            }
            backoff.wait(error).await?;
        }
    }
}

/// Updates one document, and records the act. Returns whether there is such a document.
pub(super) struct UpdateTx {
    pub(super) collection: &'static str,
    /// Matches the document.
    pub(super) due: Document,
    pub(super) update: Document,
    pub(super) audit: Option<AuditRecord>,
}

#[async_trait]
impl Transactional for UpdateTx {
    type Output = bool;

    async fn run(
        &self,
        database: &Database,
        session: &mut ClientSession,
    ) -> Result<bool, StoreError> {
        let documents = database.raw(self.collection);
        let update = documents.update_one(self.due.clone(), self.update.clone());
        if update.session(&mut *session).await?.matched_count == 0 {
            return Ok(false);
        }
        database.record(self.audit.as_ref(), session).await?;
        Ok(true)
    }
}
