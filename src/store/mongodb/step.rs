//! What happens as a whole or not at all: a transaction, tried again while others are in its
//! way; and the numbers that are given out inside one.
//! It refuses to know what is done in it.

use async_trait::async_trait;
use mongodb::ClientSession;
use mongodb::bson::{Document, doc};
use mongodb::error::Error;
use mongodb::options::{ReadConcern, ReturnDocument};

use super::Mongo;
use super::connection::write_concern;
use super::documents::COUNTERS;
use super::failure::{Pauses, corrupt, passes, within_patience};
use crate::store::StoreError;

/// Something that is done as a whole or not at all.
#[async_trait]
pub(super) trait Step: Send + Sync {
    /// What it answers.
    type Answer: Send;

    /// Does it, in the transaction of this session. It may be asked again if others were in the
    /// way; what it did before is undone by then. An error undoes all of it.
    async fn take(
        &self,
        store: &Mongo,
        session: &mut ClientSession,
    ) -> Result<Self::Answer, StoreError>;
}

impl Mongo {
    /// Takes a step.
    pub(super) async fn in_one_step<S: Step>(&self, step: S) -> Result<S::Answer, StoreError> {
        within_patience(self.until_taken(step)).await
    }

    /// Takes a step that gives out a number.
    pub(super) async fn numbered<S: Step>(&self, step: S) -> Result<S::Answer, StoreError> {
        within_patience(async {
            let _turn = self.numbering.lock().await;
            self.until_taken(step).await
        })
        .await
    }

    async fn until_taken<S: Step>(&self, step: S) -> Result<S::Answer, StoreError> {
        let mut session = self.client.start_session().await?;
        let mut pauses = Pauses::begin();
        loop {
            session
                .start_transaction()
                .read_concern(ReadConcern::snapshot())
                .write_concern(write_concern())
                .await?;
            let error = match step.take(self, &mut session).await {
                Ok(answer) => match commit(&mut session).await {
                    Ok(()) => return Ok(answer),
                    Err(error) => error,
                },
                Err(error) => {
                    // Whoever cannot be told any more forgets it by itself.
                    let _ = session.abort_transaction().await;
                    error
                }
            };
            if !passes(&error) {
                return Err(error);
            }
            pauses.pause(error).await?;
        }
    }

    /// The next number of this noun: 1, 2, 3 … If the step is undone, so is this.
    pub(super) async fn next_pk(
        &self,
        noun: &str,
        session: &mut ClientSession,
    ) -> Result<i64, StoreError> {
        let counters = self.database.collection::<Document>(COUNTERS);
        let counted = counters
            .find_one_and_update(doc! { "_id": noun }, doc! { "$inc": { "value": 1_i64 } })
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

/// Commits, and asks again while it is not known what became of that.
async fn commit(session: &mut ClientSession) -> Result<(), StoreError> {
    let mut pauses = Pauses::begin();
    loop {
        let Err(error) = session.commit_transaction().await else {
            return Ok(());
        };
        if !unknown(&error) {
            return Err(error.into());
        }
        pauses.pause(error.into()).await?;
    }
}

fn unknown(error: &Error) -> bool {
    error.contains_label("UnknownTransactionCommitResult")
}
