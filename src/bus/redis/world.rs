//! A redis-server as the medium of the contract, and the ways in which it breaks.
//! Does not know the promises.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Mutex;
use tokio::time::sleep;

use super::Redis;
use super::proxy::Proxy;
use super::test_server::TestServer;
use crate::bus::contract::world::{Medium, World, node_id};
use crate::bus::link::Link;
use crate::bus::{Bus, open};
use crate::model::{Clock, NodeId};

/// The name of the database in all tests.
const DATABASE: &str = "chat";

/// A server for one test, and a proxy before it.
pub(in crate::bus) struct RedisServer {
    server: Mutex<TestServer>,
    proxy: Proxy,
}

impl RedisServer {
    /// The user of a node has its name, so that it can be deprived of a right.
    fn url(&self, name: &str) -> String {
        format!("redis://{name}:any@127.0.0.1:{}", self.proxy.port())
    }

    async fn command(&self, words: &str) {
        let words: Vec<_> = words.split(' ').collect();
        let server = self.server.lock().await;
        server.command::<()>(&words).await.expect("carried out");
    }

    /// The subscriptions of all nodes are ended.
    pub(in crate::bus) async fn killing_subscriptions(&self, _: &str) {
        self.command("CLIENT KILL TYPE pubsub").await;
    }

    /// The connections with which all nodes publish are ended.
    pub(in crate::bus) async fn killing_publishers(&self, _: &str) {
        self.command("CLIENT KILL TYPE normal").await;
    }

    /// The server executes no command for a while.
    pub(in crate::bus) async fn pausing(&self, _: &str) {
        self.command("CLIENT PAUSE 7000").await;
    }

    /// All connections stay open and bring nothing more, and after a while so do those that came since.
    pub(in crate::bus) async fn freezing_connections(&self, _: &str) {
        self.proxy.freeze();
        sleep(Duration::from_secs(1)).await;
        self.proxy.freeze();
    }

    /// The server is killed, and is back after a while.
    pub(in crate::bus) async fn restarting_the_server(&self, _: &str) {
        let mut server = self.server.lock().await;
        server.kill();
        sleep(Duration::from_secs(2)).await;
        server.start_again();
    }
}

#[async_trait]
impl World for RedisServer {
    fn new() -> Self {
        // Their passwords do not count. A restart keeps them.
        let users = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "only"];
        let users = users.map(|name| format!("--user {name} on nopass +@all allchannels"));
        let users = users.join(" ");
        let server = TestServer::start(&users.split(' ').collect::<Vec<_>>());
        let proxy = Proxy::start(server.port(), None);
        let server = Mutex::new(server);
        Self { server, proxy }
    }

    async fn open(&self) -> Arc<dyn Bus> {
        self.node("only", node_id()).await
    }
}

#[async_trait]
impl Medium for RedisServer {
    async fn node(&self, name: &str, id: NodeId) -> Arc<dyn Bus> {
        let url = &self.url(name);
        let medium = crate::bus::Medium::Redis {
            url,
            database: DATABASE,
        };
        let bus = open(medium, id, Clock::system()).await;
        bus.expect("a bus")
    }

    async fn link(&self) -> Box<dyn Link> {
        let url = self.server.lock().await.url("");
        let link = Redis::open(&url, DATABASE).await;
        Box::new(link.expect("a link"))
    }

    async fn cut(&self, name: &str) {
        self.command(&format!("ACL SETUSER {name} -publish")).await;
    }

    async fn restore(&self, name: &str) {
        self.command(&format!("ACL SETUSER {name} +publish")).await;
    }
}
