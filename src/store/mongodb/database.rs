//! The database underneath the store: its connection, its collections, and queries for documents.
//! Does not know the contract in `store`, and caches nothing.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use futures_util::TryStreamExt;
use mongodb::bson::{Document, RawDocumentBuf, doc};
use mongodb::options::{Hint, ReadConcern};
use mongodb::{Client, ClientSession, Collection, Cursor};
use tokio::sync::{Mutex, Semaphore};
use tokio::time::timeout;
use tracing::{error, info};

use super::commit::Commits;
use super::documents::{CHATS, MESSAGES, SCHEMA, USERS};
use super::fields::{Readable, decode};
use super::retry::DEADLINE;
use crate::model::NodeId;
use crate::store::{StoreError, Totals};

/// The most documents in one reply, as far as they fit into it: a page of a thousand, and the one
/// that shows whether there is more.
const BATCH: u32 = 1_001;

/// How many transactions that add a member may run at once, beside the one that assigns a `pk`.
pub(super) const ADDITIONS: usize = 64;

/// The name of the driver, as the server knows it.
const DRIVER: &str = "mongo-rust-driver";

/// The application as which the server knows connections to a database, unless the URL has another.
pub(super) fn app_name(database: &str) -> String {
    format!("polychat/{database}")
}

/// How the server distinguishes the connections of this node, whatever the application is: this stands in the name of
/// their driver, after a `|`.
pub(super) fn mark(database: &str, node: NodeId) -> String {
    format!("{}/{node}", app_name(database))
}

/// The database of a replica set.
pub(super) struct Database {
    client: Client,
    driver: mongodb::Database,
    /// The application as which the server knows the connections of this and every other node: the default one, or
    /// that of the URL.
    app_name: String,
    /// Hosts and database, without credentials and options.
    place: String,
    /// Serialises the transactions of this node that assign a `pk`: they would only conflict.
    pub(super) pk_lock: Mutex<()>,
    /// Whether a `pk` that was next had been chosen by the host application: from then on, the next ones are
    /// searched for.
    pub(super) searches_pks: AtomicBool,
    pub(super) commits: Arc<Commits>,
    /// Permits for transactions that add a member (`limits.rs`).
    pub(super) additions: Semaphore,
}

/// The documents that match a filter, in an order, up to a limit.
pub(super) struct Query {
    pub(super) filter: Document,
    pub(super) sort: Document,
    pub(super) limit: usize,
    /// The fields to read; empty: all.
    pub(super) fields: Document,
    /// The index to use; `None`: that of the server's choice.
    pub(super) index: Option<&'static str>,
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
            index: None,
        }
    }

    /// The limit as the server takes it.
    pub(super) fn server_limit(&self) -> i64 {
        i64::try_from(self.limit).unwrap_or(i64::MAX)
    }
}

impl Database {
    pub(super) fn new(
        client: Client,
        driver: mongodb::Database,
        app_name: String,
        place: String,
    ) -> Self {
        Self {
            client,
            driver,
            app_name,
            place,
            pk_lock: Mutex::default(),
            searches_pks: AtomicBool::default(),
            commits: Arc::default(),
            additions: Semaphore::new(ADDITIONS),
        }
    }

    /// The database of the driver.
    pub(super) fn driver(&self) -> &mongodb::Database {
        &self.driver
    }

    /// Hosts and database, without credentials and options.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// A collection.
    pub(super) fn collection<T: Send + Sync>(&self, name: &str) -> Collection<T> {
        self.driver.collection(name)
    }

    /// A collection whose documents are not decoded.
    pub(super) fn raw(&self, name: &str) -> Collection<RawDocumentBuf> {
        self.collection(name)
    }

    /// A session for a transaction.
    pub(super) async fn session(&self) -> Result<ClientSession, StoreError> {
        Ok(self.client.start_session().await?)
    }

    /// Ends the open transactions of every other process on this database than these nodes, so that none is committed
    /// later. Transactions of a node that is still running are retried by it.
    pub(super) async fn end_transactions(&self, live: &[NodeId]) -> Result<(), StoreError> {
        let admin = self.client.database("admin");
        let open = vec![
            doc! { "$currentOp": { "allUsers": false, "idleSessions": true } },
            doc! { "$match": { "transaction.parameters.autocommit": false } },
            doc! { "$group": {
                "_id": "$lsid.id",
                "app": { "$first": "$appName" },
                "driver": { "$first": "$clientMetadata.driver.name" },
            } },
        ];
        let found = admin
            .aggregate(open)
            .read_concern(ReadConcern::local())
            .await?;
        let found: Vec<Document> = found.try_collect().await?;
        let live: Vec<_> = live.iter().map(|node| self.mark(*node)).collect();
        let ended = found.iter().filter(|found| self.is_of_others(found, &live));
        let ids = ended.filter_map(|found| found.get("_id"));
        let sessions: Vec<_> = ids.map(|id| doc! { "id": id }).collect();
        if !sessions.is_empty() {
            info!(
                count = sessions.len(),
                "ending transactions of an earlier node"
            );
            admin.run_command(doc! { "killSessions": sessions }).await?;
        }
        Ok(())
    }

    /// Whether an open transaction is one of a process on this database that is none of the nodes with these marks.
    fn is_of_others(&self, open: &Document, live: &[String]) -> bool {
        let driver = open.get_str("driver").unwrap_or_default();
        match driver.split_once('|') {
            Some((_, mark)) => {
                let base = mark.rsplit_once('/').map_or(mark, |(base, _)| base);
                base == app_name(self.driver.name()) && !live.iter().any(|live| live == mark)
            }
            // Versions without marks are known by their application.
            None => driver == DRIVER && open.get_str("app").unwrap_or_default() == self.app_name,
        }
    }

    fn mark(&self, node: NodeId) -> String {
        mark(self.driver.name(), node)
    }

    /// Checks that the primary answers a read with a majority behind it.
    pub(super) async fn check_read(&self) -> Result<(), StoreError> {
        let chats = self.raw(CHATS);
        let known = doc! { "_id": 1 };
        chats.find_one(doc! {}).projection(known).await?;
        Ok(())
    }

    /// Checks that a write is acknowledged by a majority; it changes nothing.
    pub(super) async fn check_write(&self) -> Result<(), StoreError> {
        let mark = doc! { "$set": { "asked": true } };
        let schema = self.raw(SCHEMA);
        schema
            .update_one(doc! { "_id": "ping" }, mark)
            .upsert(true)
            .await?;
        Ok(())
    }

    /// How many documents there are, by the server's own count.
    pub(super) async fn totals(&self) -> Result<Totals, StoreError> {
        Ok(Totals {
            users: self.raw(USERS).estimated_document_count().await?,
            chats: self.raw(CHATS).estimated_document_count().await?,
            messages: self.raw(MESSAGES).estimated_document_count().await?,
        })
    }

    /// Closes all connections, once the operations under way are done or the deadline has passed.
    pub(super) async fn close(&self) {
        let waiting = self.client.clone().shutdown();
        if timeout(DEADLINE, waiting).await.is_err() {
            self.client.clone().shutdown().immediate(true).await;
        }
    }

    /// The document that matches; `None`: there is none.
    pub(super) async fn one<D: Readable>(
        &self,
        filter: Document,
    ) -> Result<Option<D::Model>, StoreError> {
        let found = self.raw(D::COLLECTION).find_one(filter).await?;
        found.map(|document| decode::<D>(&document)).transpose()
    }

    /// The documents that match; `Corrupt` if one of them cannot be decoded.
    pub(super) async fn all<D: Readable>(&self, query: Query) -> Result<Vec<D::Model>, StoreError> {
        let mut found = Vec::new();
        // The server takes a limit of 0 for none.
        if query.limit == 0 {
            return Ok(found);
        }
        let mut cursor = self.find::<D>(query).await?;
        while cursor.advance().await? {
            found.push(decode::<D>(cursor.current())?);
        }
        Ok(found)
    }

    /// The documents that match, without those that cannot be decoded: each is logged.
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

    /// The same for the results of an aggregation.
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
        let find = match query.index {
            Some(index) => find.hint(Hint::Name(index.to_owned())),
            None => find,
        };
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
