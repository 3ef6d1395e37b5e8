//! The store on a database of a MongoDB replica set, shared by any number of nodes. Data that
//! follows from a chat's messages (its head, its latest activity, the read positions of their
//! senders) is queried and stored nowhere else: so a message is one document, and a write of it is
//! atomic.
//!
//! [`Mongo`] implements the contract over [`Database`], the connection and its queries.
//! Does not cache anything that another node may change, except as a hint.

mod append;
mod audit;
mod batch;
mod chats;
mod commit;
mod connection;
mod database;
mod decoder;
mod documents;
mod event_chats;
mod event_documents;
mod events;
mod failure;
mod fields;
mod heads;
mod import;
mod kept_rights;
mod latest;
mod lease;
mod lease_document;
mod limits;
mod lists;
mod members;
mod message_document;
mod messages;
mod numbers;
mod retry;
mod rights;
mod sanction_documents;
mod sanctions;
mod schema;
mod sweep;
mod transaction;
mod transfer;
mod users;

#[cfg(test)]
mod append_tests;
#[cfg(test)]
mod corrupt_data_tests;
#[cfg(test)]
mod differential_tests;
#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod heads_tests;
#[cfg(test)]
mod lease_tests;
#[cfg(test)]
mod lease_transaction_tests;
#[cfg(test)]
mod lease_version_tests;
#[cfg(test)]
mod lists_tests;
#[cfg(test)]
mod numbers_tests;
#[cfg(test)]
pub(in crate::store) mod replica_set;
#[cfg(test)]
mod sanctions_tests;

use async_trait::async_trait;

use self::connection::{connect, refuse};
use self::database::Database;
use self::heads::Heads;
use self::lease::OwnLease;
use self::retry::retry_until_deadline;
use self::users::KnownUsers;
use super::transfer::Unfinished;
use super::{OpenError, Store, StoreError, Totals};
use crate::model::{Clock, NodeId};

/// The store, as one node has it.
pub struct Mongo {
    database: Database,
    /// The heads of chats, as far as this node knows.
    heads: Heads,
    /// Ids of users that exist.
    known_users: KnownUsers,
    /// The lease on the database.
    lease: OwnLease,
}

impl Mongo {
    /// Connects to the database that `url` names.
    ///
    /// # Errors
    /// One sentence: the URL cannot be parsed, no server answers, the credentials are wrong, it is
    /// no replica set, or it was written by a newer version.
    pub(super) async fn connect(url: &str) -> Result<Self, OpenError> {
        let node = NodeId::new(Clock::system().now());
        let database = connect(url, node).await?;
        if let Err(OpenError(why)) = schema::version(database.driver()).await {
            return Err(refuse(database.place(), &why));
        }
        Ok(Self {
            database,
            heads: Heads::default(),
            known_users: KnownUsers::default(),
            lease: OwnLease::new(node),
        })
    }
}

#[async_trait]
impl Store for Mongo {
    async fn is_current(&self) -> Result<bool, OpenError> {
        match schema::version(self.database.driver()).await {
            Ok(version) => Ok(version == Some(schema::VERSION)),
            Err(OpenError(why)) => Err(refuse(self.database.place(), &why)),
        }
    }

    async fn migrate(&self, unfinished: Unfinished) -> Result<(), OpenError> {
        if let Err(OpenError(why)) = schema::migrate(self.database.driver(), unfinished).await {
            return Err(refuse(self.database.place(), &why));
        }
        self.database.sweep_again().await;
        Ok(())
    }

    async fn ping(&self) -> Result<(), StoreError> {
        retry_until_deadline(|| async {
            self.database.check_write().await?;
            self.database.check_read().await
        })
        .await
    }

    async fn missing_indexes(&self) -> Result<Vec<String>, StoreError> {
        retry_until_deadline(|| schema::missing_indexes(self.database.driver())).await
    }

    async fn totals(&self) -> Result<Totals, StoreError> {
        retry_until_deadline(|| self.database.totals()).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.database.close().await;
        Ok(())
    }

    fn describe(&self) -> String {
        self.database.place().to_owned()
    }
}
