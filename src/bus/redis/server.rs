//! The Redis: its connections, and errors that can be printed.
//! Does not open a connection again.

use std::fmt;
use std::time::Duration;

use redis::aio::{MultiplexedConnection, PubSubStream};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, IntoConnectionInfo, RedisError, RedisResult,
};
use tokio::time::timeout;

use super::super::link::LinkError;

/// How long connecting and a command may take together.
const DEADLINE: Duration = Duration::from_secs(2);

/// A Redis, and the channel of the nodes there.
pub(super) struct Server {
    client: Client,
    address: String,
    channel: String,
    password: Option<String>,
}

impl Server {
    /// The server with this URL.
    ///
    /// # Errors
    /// The URL is not one of Redis.
    pub(super) fn new(url: &str, database: &str) -> Result<Self, LinkError> {
        let wrong = |error: RedisError| LinkError(format!("the URL of the Redis: {error}"));
        let info = url.into_connection_info().map_err(wrong)?;
        let redis = info.redis_settings().clone();
        let redis = redis.set_lib_name("polychat", env!("CARGO_PKG_VERSION"));
        let tcp = info.tcp_settings().clone().set_nodelay(true);
        let (address, password) = (info.addr().to_string(), redis.password().map(str::to_owned));
        let info = info.set_redis_settings(redis).set_tcp_settings(tcp);
        Ok(Self {
            client: Client::open(info).map_err(wrong)?,
            address,
            channel: format!("polychat:{database}:notices"),
            password,
        })
    }

    /// The command that sends a batch to all subscribed nodes.
    pub(super) fn publish(&self, batch: &[u8]) -> Cmd {
        let mut command = redis::cmd("PUBLISH");
        command.arg(&self.channel).arg(batch);
        command
    }

    /// A connection to publish with. It has no time limit of its own.
    pub(super) async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None);
        let client = &self.client;
        client
            .get_multiplexed_async_connection_with_config(&config)
            .await
    }

    /// A connection that is subscribed.
    ///
    /// # Errors
    /// The server is not there in time, or refuses.
    pub(super) async fn subscribe(&self) -> Result<PubSubStream, LinkError> {
        let subscribing = async {
            let mut connection = self.client.get_async_pubsub().await?;
            connection.subscribe(&self.channel).await?;
            Ok(connection.into_on_message())
        };
        self.in_time(subscribing).await
    }

    /// Waits for work with the server until the deadline.
    ///
    /// # Errors
    /// Why it failed, in one sentence.
    pub(super) async fn in_time<T>(
        &self,
        work: impl Future<Output = RedisResult<T>>,
    ) -> Result<T, LinkError> {
        match timeout(DEADLINE, work).await {
            Ok(done) => done.map_err(|error| self.explain(&error)),
            Err(_) => Err(LinkError(format!(
                "{self}: no answer within {} seconds",
                DEADLINE.as_secs()
            ))),
        }
    }

    /// The text of an error. A server can repeat in it what it was sent, so also the password.
    fn explain(&self, error: &RedisError) -> LinkError {
        let text = match error.kind() {
            ErrorKind::AuthenticationFailed => "user or password is wrong".to_owned(),
            _ => error.to_string(),
        };
        let password = self.password.as_deref().filter(|it| !it.is_empty());
        let is_secret = password.is_some_and(|password| text.contains(password));
        let text = if is_secret {
            "it answered with an error that contains the password"
        } else {
            &text
        };
        LinkError(format!("{self}: {text}"))
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redis at {}", self.address)
    }
}
