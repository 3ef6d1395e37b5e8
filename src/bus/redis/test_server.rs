//! The redis-server of a test, with its own port and folder, removed with the process however that ends.
//! Does not skip a test: without a redis-server it fails with instructions.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use redis::{Client, RedisResult};

/// How long it may take to start.
const START: Duration = Duration::from_mins(1);

/// Runs the server beside a shell that waits for its own input to end, which it does when the test process does;
/// then both are over, and the folder is gone.
const SUPERVISOR: &str = r#"
trap "" INT TERM HUP
"$0" "$@" >"$FOLDER/log" 2>&1 &
read -r _
kill -9 $! 2>/dev/null
wait
rm -rf "$FOLDER"
"#;

/// A redis-server that runs as long as this. Nothing in it outlives a restart.
pub(super) struct TestServer {
    port: u16,
    arguments: Vec<String>,
    /// `None`: it is not running.
    supervisor: Option<Child>,
}

impl TestServer {
    /// Starts one with these arguments beside those that every one has.
    pub(super) fn start(arguments: &[&str]) -> Self {
        // Free at this moment; the kernel does not assign it again for a while.
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = free.local_addr().expect("an address").port();
        drop(free);
        let mut server = Self {
            port,
            arguments: arguments.iter().map(|&it| it.to_owned()).collect(),
            supervisor: None,
        };
        server.start_again();
        server
    }

    /// Its port on this machine.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Its URL, with a `user:password@` or nothing before the host.
    pub(super) fn url(&self, credentials: &str) -> String {
        format!("redis://{credentials}127.0.0.1:{}", self.port)
    }

    /// Runs a command as the user of all connections without a password.
    pub(super) async fn command<T: redis::FromRedisValue>(&self, words: &[&str]) -> RedisResult<T> {
        let client = Client::open(self.url(""))?;
        let mut connection = client.get_multiplexed_async_connection().await?;
        let mut command = redis::Cmd::new();
        command.arg(words).query_async(&mut connection).await
    }

    /// Kills the process, and waits for its end.
    pub(super) fn kill(&mut self) {
        if let Some(mut supervisor) = self.supervisor.take() {
            supervisor.stdin.take();
            supervisor.wait().expect("the end of the shell");
        }
    }

    /// Starts the process on the same port after it was killed, and waits until it answers.
    pub(super) fn start_again(&mut self) {
        let folder = tempfile::tempdir().expect("a folder").keep();
        let supervisor = Command::new("/bin/sh")
            .args(["-c", SUPERVISOR])
            .arg(binary())
            .args(["--bind", "127.0.0.1", "--port", &self.port.to_string()])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(&folder)
            .args(&self.arguments)
            .env("FOLDER", &folder)
            .stdin(Stdio::piped())
            .spawn();
        self.supervisor = Some(supervisor.expect("a shell"));
        let begun = Instant::now();
        while !self.answers() {
            let log = || std::fs::read_to_string(folder.join("log")).unwrap_or_default();
            assert!(
                begun.elapsed() < START,
                "no redis-server answers:\n{}",
                log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Whether it answers at all: also that a password is missing.
    fn answers(&self) -> bool {
        let answering = || {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
            stream.write_all(b"PING\r\n")?;
            stream.read_exact(&mut [0])
        };
        answering().is_ok()
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Where the redis-server is.
fn binary() -> PathBuf {
    let fetched = || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/redis/redis-server");
    let path = std::env::var_os("REDIS_SERVER").map_or_else(fetched, PathBuf::from);
    assert!(
        path.is_file(),
        "the tests of the bus over Redis need a redis-server, and there is none at {}: run `make redis`, or let \
         REDIS_SERVER name one",
        path.display()
    );
    path
}
