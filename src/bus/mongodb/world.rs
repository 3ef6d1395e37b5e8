//! A database of a real `mongod` as the medium of the contract, and the ways in which it breaks.
//! Does not know the promises.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::TryStreamExt;
use mongodb::bson::{Bson, Document, doc};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::sleep;

use super::{Mongo, NOTICES};
use crate::bus::contract::world::{Medium, World, node_id};
use crate::bus::link::Link;
use crate::bus::{Bus, open};
use crate::fixtures::Scratch;
use crate::model::{Clock, NodeId};

/// A database for one test.
pub(in crate::bus) struct Mongod {
    pub(super) scratch: Scratch,
    /// Held from the first failpoint on.
    alone: Mutex<Option<MutexGuard<'static, ()>>>,
}

impl From<Scratch> for Mongod {
    fn from(scratch: Scratch) -> Self {
        Self {
            scratch,
            alone: Mutex::default(),
        }
    }
}

impl Mongod {
    /// A server that no other test uses.
    pub(in crate::bus) fn on_own_server() -> Self {
        Scratch::on_own_server().into()
    }

    /// The URL, with the name under which the server knows this node.
    pub(super) fn url(&self, name: &str) -> String {
        let app_name = self.app_name(name);
        format!("{}&appName={app_name}", self.scratch.url())
    }

    /// A failpoint means nodes of other tests, too, if they have the same name.
    fn app_name(&self, name: &str) -> String {
        format!("{}-{name}", self.scratch.name())
    }

    async fn fail(&self, name: &str, mode: impl Into<Bson>, data: Document) {
        let mut alone = self.alone.lock().await;
        if alone.is_none() {
            *alone = Some(Scratch::failpoints().await);
        }
        if let Some(alone) = &*alone {
            let name = self.app_name(name);
            self.scratch.fail(alone, &name, mode, data).await;
        }
    }

    /// The server has nothing any more from where the stream of this node could go on.
    pub(in crate::bus) async fn losing_history(&self, name: &str) {
        let lost = doc! {
            "failCommands": ["getMore"],
            "errorCode": 286,
            "errorLabels": ["NonResumableChangeStreamError"],
        };
        self.fail(name, doc! { "times": 1 }, lost).await;
    }

    /// The connections of this node break, and so do those of its attempts to go on.
    pub(in crate::bus) async fn breaking_connections(&self, name: &str) {
        let broken = doc! { "failCommands": ["getMore", "aggregate"], "closeConnection": true };
        self.fail(name, doc! { "times": 6 }, broken).await;
    }

    /// The collection is dropped.
    pub(in crate::bus) async fn dropping_the_collection(&self, _: &str) {
        let notices = self.scratch.database().await;
        let notices = notices.collection::<Document>(NOTICES);
        notices.drop().await.expect("dropped");
    }

    /// The streams of all nodes are killed.
    pub(in crate::bus) async fn killing_cursors(&self, _: &str) {
        let database = self.scratch.database().await;
        let admin = database.client().database("admin");
        let found = admin.aggregate([
            doc! { "$currentOp": { "allUsers": true, "idleCursors": true } },
            doc! { "$match": { "ns": format!("{}.{NOTICES}", self.scratch.name()) } },
            doc! { "$match": { "cursor.cursorId": { "$exists": true } } },
            doc! { "$project": { "id": "$cursor.cursorId" } },
        ]);
        let found: Vec<Document> = found
            .await
            .expect("a list")
            .try_collect()
            .await
            .expect("a list");
        let found: Vec<_> = found
            .iter()
            .filter_map(|one| one.get_i64("id").ok())
            .collect();
        assert!(!found.is_empty(), "no node has a stream");
        let kill = doc! { "killCursors": NOTICES, "cursors": found };
        database.run_command(kill).await.expect("killed");
    }

    /// The server is killed, and is back after a while.
    pub(in crate::bus) async fn restarting_the_server(&self, _: &str) {
        self.scratch.kill_or_start_server();
        sleep(Duration::from_secs(2)).await;
        self.scratch.kill_or_start_server();
    }
}

#[async_trait]
impl World for Mongod {
    fn new() -> Self {
        Scratch::new().into()
    }

    async fn open(&self) -> Arc<dyn Bus> {
        self.node("only", node_id()).await
    }
}

#[async_trait]
impl Medium for Mongod {
    async fn node(&self, name: &str, id: NodeId) -> Arc<dyn Bus> {
        let bus = open(
            crate::bus::Medium::Mongodb(&self.url(name)),
            id,
            Clock::system(),
        )
        .await;
        bus.expect("a bus")
    }

    async fn link(&self) -> Box<dyn Link> {
        let link = Mongo::open(&self.url("link")).await;
        Box::new(link.expect("a link"))
    }

    async fn cut(&self, name: &str) {
        let refused = doc! { "failCommands": ["insert"], "errorCode": 1 };
        self.fail(name, "alwaysOn", refused).await;
    }

    async fn restore(&self, name: &str) {
        let nothing = doc! { "failCommands": [] };
        self.fail(name, "off", nothing).await;
    }
}
