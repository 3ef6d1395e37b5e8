//! Transactions, retried on transient conflicts, and the assignment of `pk`s within one.
//! Does not know the writes of a transaction.

use async_trait::async_trait;
use mongodb::ClientSession;
use mongodb::bson::{Document, doc};
use mongodb::options::{ReadConcern, ReturnDocument};

use super::connection::write_concern;
use super::database::Database;
use super::documents::COUNTERS;
use super::failure::{corrupt, is_transient};
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
        with_deadline(self.run_transaction(body)).await
    }

    /// Like [`Self::transaction`], for one that assigns a `pk`.
    pub(super) async fn pk_transaction<T: Transactional>(
        &self,
        body: T,
    ) -> Result<T::Output, StoreError> {
        with_deadline(async {
            let _turn = self.pk_lock.lock().await;
            self.run_transaction(body).await
        })
        .await
    }

    /// Like [`Self::transaction`], for one that adds a member.
    pub(super) async fn adding_transaction<T: Transactional>(
        &self,
        body: T,
    ) -> Result<T::Output, StoreError> {
        with_deadline(async {
            let _permit = self.additions.acquire().await;
            self.run_transaction(body).await
        })
        .await
    }

    async fn run_transaction<T: Transactional>(&self, body: T) -> Result<T::Output, StoreError> {
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

    /// The next `pk` of this noun: 1, 2, 3 … Rolled back with the transaction.
    pub(super) async fn next_pk(
        &self,
        noun: &str,
        session: &mut ClientSession,
    ) -> Result<i64, StoreError> {
        self.next_pks(noun, 1, session).await
    }

    /// The same for so many at once: the last of them.
    pub(super) async fn next_pks(
        &self,
        noun: &str,
        count: usize,
        session: &mut ClientSession,
    ) -> Result<i64, StoreError> {
        let counters = self.collection::<Document>(COUNTERS);
        let counted = counters
            .find_one_and_update(
                doc! { "_id": noun },
                doc! { "$inc": { "value": pks(count) } },
            )
            .upsert(true)
            .return_document(ReturnDocument::After)
            .session(session)
            .await?;
        let value = counted
            .as_ref()
            .and_then(|counted| counted.get_i64("value").ok());
        value.ok_or_else(|| corrupt(format!("the document {noun} in {COUNTERS} has no value")))
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

/// So many `pk`s.
pub(super) fn pks(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
