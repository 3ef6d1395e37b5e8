//! A link over the pub/sub of Redis: one connection publishes, another one is subscribed.
//! Does not keep batches: what is published while a node is not subscribed never reaches it.

mod echo;
mod inbox;
mod server;

#[cfg(test)]
mod proxy;
#[cfg(test)]
mod test_server;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(super) mod world;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use redis::aio::{MultiplexedConnection, PubSubStream};
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use self::echo::Echo;
use self::inbox::Inbox;
use self::server::Server;
use super::link::{Link, LinkError, Received};

/// How long the subscription may be silent before it is opened anew. Every node sends something each second.
const SILENCE: Duration = Duration::from_secs(5);

/// How long to wait after a failed subscription: at first, and at most.
const WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// How many bytes may wait to be received. Redis itself disconnects a subscriber that is as far behind.
const ROOM: usize = 32 << 20;

/// A node's two connections to a Redis.
pub(super) struct Redis {
    shared: Arc<Shared>,
    /// Reads the subscription until it is closed.
    tasks: TaskTracker,
    closed: CancellationToken,
    /// Closes it if it is dropped before.
    _dropped: DropGuard,
}

/// What sending and reading share.
struct Shared {
    server: Server,
    /// `None`: to be connected by the next batch.
    publisher: Mutex<Option<MultiplexedConnection>>,
    echo: Echo,
    inbox: Inbox,
}

impl Redis {
    /// Subscribes to the notices about this database: batches that are sent from now on are received. Nodes with
    /// another name of the database share the Redis without hearing these, whatever number is in the URL.
    ///
    /// # Errors
    /// The URL is not one of Redis, or the server is not there or refuses, in one sentence without the password.
    pub(super) async fn open(url: &str, database: &str) -> Result<Self, LinkError> {
        let shared = Arc::new(Shared {
            server: Server::new(url, database)?,
            publisher: Mutex::default(),
            echo: Echo::default(),
            inbox: Inbox::new(ROOM),
        });
        let messages = shared.server.subscribe().await?;
        let (tasks, closed) = (TaskTracker::new(), CancellationToken::new());
        let (reading, stop) = (Arc::clone(&shared), closed.clone());
        tasks.spawn(async move { stop.run_until_cancelled(reading.read(messages)).await });
        Ok(Self {
            shared,
            tasks,
            _dropped: closed.clone().drop_guard(),
            closed,
        })
    }
}

#[async_trait]
impl Link for Redis {
    async fn send(&self, batch: Vec<u8>) -> Result<(), LinkError> {
        if self.closed.is_cancelled() {
            return Err(LinkError("the link is closed".to_owned()));
        }
        self.shared.send(batch).await
    }

    async fn receive(&self) -> Received {
        self.shared.inbox.next().await
    }

    fn window(&self, _: usize) -> Duration {
        Duration::ZERO
    }

    async fn close(&self) {
        self.closed.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.shared.publisher.lock().await.take();
    }
}

impl Shared {
    /// Publishes a batch. A connection with which that fails is not used again.
    async fn send(&self, batch: Vec<u8>) -> Result<(), LinkError> {
        let command = self.server.publish(&batch);
        // It may come back before the reply of the command does.
        let sent = self.echo.sent(batch);
        let publish = async {
            let mut publisher = self.publisher.lock().await;
            let mut connection = match publisher.take() {
                Some(connection) => connection,
                None => self.server.connect().await?,
            };
            command.exec_async(&mut connection).await?;
            *publisher = Some(connection);
            Ok(())
        };
        let published = self.server.in_time(publish).await;
        if published.is_err() {
            self.echo.failed(sent);
        }
        published
    }

    /// Reads the subscription, and opens it anew after each break.
    async fn read(&self, mut messages: PubSubStream) {
        loop {
            let why = self.read_until_broken(&mut messages).await;
            drop(messages);
            warn!("{}: {why}; subscribing again", self.server);
            messages = self.subscribe_again().await;
            self.echo.forget();
            self.inbox.reopened();
            info!("{}: subscribed again", self.server);
        }
    }

    /// Reads until the subscription brings nothing more, or not what this node has sent: why.
    async fn read_until_broken(&self, messages: &mut PubSubStream) -> &'static str {
        loop {
            match timeout(SILENCE, messages.next()).await {
                Err(_) => return "the subscription is silent",
                Ok(None) => return "the subscription was closed",
                Ok(Some(message)) => {
                    let batch = message.get_payload_bytes().to_vec();
                    self.echo.received(&batch);
                    self.inbox.push(batch);
                }
            }
            if self.echo.is_missing(SILENCE) {
                // Either connection may be the one to another server than that of the others.
                self.publisher.lock().await.take();
                return "what this node publishes does not come back";
            }
        }
    }

    /// Tries until it is subscribed.
    async fn subscribe_again(&self) -> PubSubStream {
        let mut wait = WAIT;
        loop {
            match self.server.subscribe().await {
                Ok(messages) => return messages,
                Err(error) => debug!("{error}"),
            }
            sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }
}
