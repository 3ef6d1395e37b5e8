//! Reading documents: one, those that match, those of an aggregation.
//! It refuses to know what is asked for.

use mongodb::bson::{Document, RawDocumentBuf, doc};
use mongodb::{Collection, Cursor};
use tracing::error;

use super::Mongo;
use super::fields::{Readable, decode};
use crate::store::StoreError;

/// How many documents come with one answer at most, as long as they fit into it: a page of a
/// thousand, and the one that says whether there is more.
const BATCH: u32 = 1_001;

/// The documents that match a filter, in an order, up to a limit.
pub(super) struct Query {
    pub(super) filter: Document,
    pub(super) sort: Document,
    pub(super) limit: usize,
    /// Which of their fields to read; without any: all.
    pub(super) fields: Document,
}

impl Default for Query {
    fn default() -> Self {
        Self::all(doc! {})
    }
}

impl Query {
    /// All that match, in any order.
    pub(super) fn all(filter: Document) -> Self {
        Self {
            filter,
            sort: doc! {},
            limit: usize::MAX,
            fields: doc! {},
        }
    }

    /// The limit as the server takes it.
    pub(super) fn server_limit(&self) -> i64 {
        i64::try_from(self.limit).unwrap_or(i64::MAX)
    }
}

impl Mongo {
    /// A collection whose documents are not understood yet.
    pub(super) fn raw(&self, name: &str) -> Collection<RawDocumentBuf> {
        self.database.collection(name)
    }

    /// The document that matches; `None`: there is none.
    pub(super) async fn one<D: Readable>(
        &self,
        filter: Document,
    ) -> Result<Option<D::Model>, StoreError> {
        let found = self.raw(D::COLLECTION).find_one(filter).await?;
        found.map(|document| decode::<D>(&document)).transpose()
    }

    /// The documents that match; `Corrupt` if one of them is of unknown shape.
    pub(super) async fn all<D: Readable>(&self, query: Query) -> Result<Vec<D::Model>, StoreError> {
        let mut found = Vec::new();
        // To the server no documents at all means all of them.
        if query.limit == 0 {
            return Ok(found);
        }
        let mut cursor = self.find::<D>(query).await?;
        while cursor.advance().await? {
            found.push(decode::<D>(cursor.current())?);
        }
        Ok(found)
    }

    /// The documents that match. One of unknown shape is reported in the log and left out, so
    /// that it does not stand in the way of the others.
    pub(super) async fn readable<D: Readable>(
        &self,
        query: Query,
    ) -> Result<Vec<D::Model>, StoreError> {
        if query.limit == 0 {
            return Ok(Vec::new());
        }
        let cursor = self.find::<D>(query).await?;
        those_readable::<D>(cursor).await
    }

    /// The same for what an aggregation yields.
    pub(super) async fn aggregated<D: Readable>(
        &self,
        stages: impl IntoIterator<Item = Document>,
    ) -> Result<Vec<D::Model>, StoreError> {
        let collection = self.raw(D::COLLECTION);
        let cursor = collection.aggregate(stages).batch_size(BATCH);
        those_readable::<D>(cursor.with_type().await?).await
    }

    /// A cursor over the documents that match.
    pub(super) async fn find<D: Readable>(
        &self,
        query: Query,
    ) -> Result<Cursor<RawDocumentBuf>, StoreError> {
        let limit = query.server_limit();
        let collection = self.raw(D::COLLECTION);
        let find = collection.find(query.filter);
        let find = find
            .sort(query.sort)
            .projection(query.fields)
            .batch_size(BATCH);
        Ok(match limit {
            i64::MAX => find.await?,
            limit => find.limit(limit).await?,
        })
    }
}

async fn those_readable<D: Readable>(
    mut cursor: Cursor<RawDocumentBuf>,
) -> Result<Vec<D::Model>, StoreError> {
    let mut found = Vec::new();
    while cursor.advance().await? {
        match decode::<D>(cursor.current()) {
            Ok(document) => found.push(document),
            Err(error) => error!(%error, "a document was left out"),
        }
    }
    Ok(found)
}
