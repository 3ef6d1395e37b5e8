//! The integer ids of users, chats and events on MongoDB: chosen ones, and the next free ones.
//! Does not know what has them.
//!
//! A counter has the last one that was not chosen. A transaction that takes the next ones increments it, so
//! two of them never take the same. It does not look whether they are free: that is checked by the unique
//! index, and only after the first violation are chosen ones looked for ([`Database::searches_pks`]).

use std::collections::HashSet;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use futures_util::TryStreamExt;
use mongodb::ClientSession;
use mongodb::bson::{Document, doc};
use mongodb::options::ReturnDocument;

use super::database::Database;
use super::documents::{COUNTERS, EVENTS};
use super::failure::corrupt;
use super::retry::{Backoff, with_deadline};
use super::transaction::Transactional;
use crate::model::NewPk;
use crate::store::StoreError;

/// How many are looked through at once at most.
const WIDEST: i64 = 4_096;

impl Database {
    /// Runs a transaction that assigns these. `PkTaken`: another record has a chosen one.
    pub(super) async fn pk_transaction<T: Transactional>(
        &self,
        pks: &[NewPk],
        body: T,
    ) -> Result<T::Output, StoreError> {
        let all_next = pks.iter().all(|pk| pk.chosen().is_none());
        with_deadline(async {
            let _turn = self.pk_lock.lock().await;
            let mut backoff = Backoff::start();
            loop {
                match self.run_transaction(&body).await {
                    Err(error @ StoreError::PkTaken) if all_next => {
                        // The next one was chosen before, or just now.
                        if self.searches_pks.swap(true, Ordering::AcqRel) {
                            backoff.wait(error).await?;
                        }
                    }
                    Err(StoreError::PkTaken) if !self.searches_pks.swap(true, Ordering::AcqRel) => {
                    }
                    result => return result,
                }
            }
        })
        .await
    }

    /// The next `count` free ones from `from` on. They count as given out.
    pub(super) async fn next_pks(
        &self,
        noun: &'static str,
        from: i64,
        count: usize,
    ) -> Result<Vec<i64>, StoreError> {
        // Nothing is inserted that would show whether they are free.
        self.searches_pks.store(true, Ordering::Release);
        let _turn = self.pk_lock.lock().await;
        self.transaction(NextPks { noun, from, count }).await
    }

    /// One for each of these, in their order; rolled back with the transaction. Whether a chosen one is
    /// free is found when it is inserted.
    pub(super) async fn assign(
        &self,
        noun: &'static str,
        pks: &[NewPk],
        session: &mut ClientSession,
    ) -> Result<Vec<i64>, StoreError> {
        let next = pks.iter().filter(|pk| pk.chosen().is_none()).count();
        let from = pks.iter().filter_map(|pk| match pk {
            NewPk::NextFrom(from) => Some(*from),
            NewPk::Chosen(_) => None,
        });
        let from = from.max().unwrap_or(1);
        let mut next = match next {
            0 => Vec::new(),
            count => self.next(noun, count, from, session).await?,
        }
        .into_iter();
        let all = pks.iter().map(|pk| pk.chosen().or_else(|| next.next()));
        let all: Option<Vec<_>> = all.collect();
        all.ok_or_else(|| corrupt(format!("fewer numbers of {noun} than requested")))
    }

    /// [`Self::assign`] for one.
    pub(super) async fn assign_one(
        &self,
        noun: &'static str,
        pk: NewPk,
        session: &mut ClientSession,
    ) -> Result<i64, StoreError> {
        let assigned = self.assign(noun, &[pk], session).await?;
        let assigned = assigned.first().copied();
        assigned.ok_or_else(|| corrupt(format!("no number of {noun}")))
    }

    async fn next(
        &self,
        noun: &'static str,
        count: usize,
        from: i64,
        session: &mut ClientSession,
    ) -> Result<Vec<i64>, StoreError> {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let before = doc! { "$max": [{ "$ifNull": ["$value", 0_i64] }, from - 1] };
        let counted = self
            .collection::<Document>(COUNTERS)
            .find_one_and_update(
                doc! { "_id": noun },
                vec![doc! { "$set": { "value": { "$add": [before, count] } } }],
            )
            .upsert(true)
            .return_document(ReturnDocument::After)
            .session(&mut *session)
            .await?;
        let last = counted
            .as_ref()
            .and_then(|counted| counted.get_i64("value").ok());
        let last =
            last.ok_or_else(|| corrupt(format!("the document {noun} in {COUNTERS} has no value")))?;
        let first = last - count + 1;
        if !self.searches_pks.load(Ordering::Acquire) {
            return Ok((first..=last).collect());
        }
        let free = self.free(noun, first, count, session).await?;
        if let Some(end) = free.last().filter(|end| **end != last) {
            self.set_counter(noun, *end, Some(session)).await?;
        }
        Ok(free)
    }

    /// The first `count` from `first` on that no record has.
    async fn free(
        &self,
        noun: &'static str,
        first: i64,
        count: i64,
        session: &mut ClientSession,
    ) -> Result<Vec<i64>, StoreError> {
        let field = field_of(noun);
        let records = self.collection::<Document>(noun);
        let (mut free, mut next, mut width) = (Vec::new(), first, count);
        let missing = |free: &[i64]| {
            usize::try_from(count)
                .unwrap_or(0)
                .saturating_sub(free.len())
        };
        while missing(&free) > 0 {
            let end = next.saturating_add(width);
            let mut found = records
                .find(doc! { field: { "$gte": next, "$lt": end } })
                .projection(doc! { field: 1 })
                .session(&mut *session)
                .await?;
            let found: Vec<Document> = found.stream(&mut *session).try_collect().await?;
            let taken = found.iter().map(|record| record.get_i64(field));
            let taken: Result<HashSet<_>, _> = taken.collect();
            let taken = taken.map_err(|error| corrupt(format!("a number of {noun}: {error}")))?;
            let others = (next..end).filter(|pk| !taken.contains(pk));
            free.extend(others.take(missing(&free)));
            (next, width) = (end, (width * 2).min(WIDEST));
        }
        Ok(free)
    }

    /// The last one that was not chosen; 0: there was none.
    pub(super) async fn counter(&self, noun: &'static str) -> Result<i64, StoreError> {
        let counters = self.collection::<Document>(COUNTERS);
        let found = counters.find_one(doc! { "_id": noun }).await?;
        Ok(found.map_or(0, |found| found.get_i64("value").unwrap_or(0)))
    }

    /// Sets that one.
    pub(super) async fn set_counter(
        &self,
        noun: &'static str,
        last: i64,
        session: Option<&mut ClientSession>,
    ) -> Result<(), StoreError> {
        let counters = self.collection::<Document>(COUNTERS);
        let set = doc! { "$set": { "value": last } };
        let update = counters.update_one(doc! { "_id": noun }, set).upsert(true);
        match session {
            Some(session) => update.session(session).await?,
            None => update.await?,
        };
        Ok(())
    }

    /// The greatest one, chosen or not; 0: there is no record.
    pub(super) async fn greatest_pk(&self, noun: &'static str) -> Result<i64, StoreError> {
        let field = field_of(noun);
        let records = self.collection::<Document>(noun);
        let greatest = records
            .find_one(doc! {})
            .sort(doc! { field: -1 })
            .projection(doc! { field: 1 })
            .await?;
        Ok(greatest.map_or(0, |record| record.get_i64(field).unwrap_or(0)))
    }
}

/// Takes the next ones, without records.
struct NextPks {
    noun: &'static str,
    from: i64,
    count: usize,
}

#[async_trait]
impl Transactional for NextPks {
    type Output = Vec<i64>;

    async fn run(
        &self,
        database: &Database,
        session: &mut ClientSession,
    ) -> Result<Vec<i64>, StoreError> {
        database
            .next(self.noun, self.count, self.from, session)
            .await
    }
}

/// The field that has it.
fn field_of(noun: &str) -> &'static str {
    if noun == EVENTS { "_id" } else { "pk" }
}
