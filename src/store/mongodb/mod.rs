//! The store for several machines: a database of a MongoDB replica set. What a chat's messages
//! say by themselves (its head, its latest activity, how far their senders have read) is asked
//! of them and stored nowhere else: so a message is one document, and is there or is not.
//! It refuses to remember anything that another node may change, except as a hint.

mod append;
mod batch;
mod chats;
mod connection;
mod documents;
mod event_chats;
mod event_documents;
mod events;
mod failure;
mod fields;
mod heads;
mod latest;
mod lists;
mod members;
mod messages;
mod reading;
mod retry;
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
pub(in crate::store) mod replica_set;

use async_trait::async_trait;
use mongodb::bson::doc;
use mongodb::{Client, Database};
use tokio::sync::Mutex;
use tokio::time::timeout;

use self::connection::{Connection, connect, refuse};
use self::documents::{CHATS, SCHEMA};
use self::heads::Heads;
use self::retry::{DEADLINE, retry_until_deadline};
use self::sweep::Sweep;
use self::users::KnownUsers;
use super::{OpenError, Store, StoreError};

/// One MongoDB database, as one node sees it.
pub struct Mongo {
    client: Client,
    database: Database,
    place: String,
    /// The heads of chats, as far as this node knows.
    heads: Heads,
    /// Ids of users that exist.
    known_users: KnownUsers,
    /// One number is given out at a time on this node: two at once would only undo each other.
    pk_lock: Mutex<()>,
}

impl Mongo {
    /// Opens the database that `url` names and makes its indexes.
    ///
    /// # Errors
    /// One sentence: the URL cannot be read, nobody answers, the credentials are wrong, it is no
    /// replica set, or it was written by a newer version.
    pub(super) async fn open(url: &str) -> Result<Self, OpenError> {
        let Connection {
            client,
            database,
            place,
        } = connect(url).await?;
        if let Err(OpenError(why)) = schema::prepare(&database).await {
            return Err(refuse(&place, &why));
        }
        let store = Self {
            client,
            database,
            place,
            heads: Heads::default(),
            known_users: KnownUsers::default(),
            pk_lock: Mutex::default(),
        };
        // What another run did not get round to; it is out of everybody's sight already.
        store.sweep_or_leave(Sweep::All).await;
        Ok(store)
    }

    /// A question that only the primary answers, and only with a majority behind it.
    async fn ask(&self) -> Result<(), StoreError> {
        let chats = self.raw(CHATS);
        let known = doc! { "_id": 1 };
        chats.find_one(doc! {}).projection(known).await?;
        Ok(())
    }

    /// A write that changes nothing, on the way that all writes take.
    async fn knock(&self) -> Result<(), StoreError> {
        let mark = doc! { "$set": { "asked": true } };
        let schema = self.raw(SCHEMA);
        schema
            .update_one(doc! { "_id": "ping" }, mark)
            .upsert(true)
            .await?;
        Ok(())
    }
}

#[async_trait]
impl Store for Mongo {
    async fn ping(&self) -> Result<(), StoreError> {
        retry_until_deadline(|| async {
            self.knock().await?;
            self.ask().await
        })
        .await
    }

    async fn missing_indexes(&self) -> Result<Vec<String>, StoreError> {
        retry_until_deadline(|| schema::missing_indexes(&self.database)).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        let waiting = self.client.clone().shutdown();
        if timeout(DEADLINE, waiting).await.is_err() {
            self.client.clone().shutdown().immediate(true).await;
        }
        Ok(())
    }

    fn describe(&self) -> String {
        self.place.clone()
    }
}
