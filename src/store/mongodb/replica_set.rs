//! The `mongod` of the tests: one replica set per test process, with its own port and folder,
//! removed with the process however that ends.
//! Does not skip a test: without a `mongod` it fails with instructions.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use mongodb::bson::{DateTime, Document, doc};
use mongodb::options::ClientOptions;
use mongodb::{Client, Database};

use super::connection::options;
use super::documents::{LEASES, USERS, UserDocument};
use crate::model::NodeId;
use crate::store::Store;

/// How long it may take to start.
const START: Duration = Duration::from_mins(1);

/// Runs `mongod` beside a shell that waits for its own input to end, which it does when the
/// test process does; then both are over, and the folder is gone. A line of input kills the `mongod`, and the
/// next line starts it again.
const SUPERVISOR: &str = r#"
trap "" INT TERM HUP
while
    "$0" "$@" >>"$FOLDER/log" 2>&1 &
    read -r _
do
    { kill -9 $!; wait $!; } 2>/dev/null
    read -r _ || break
done
kill -9 $! 2>/dev/null
rm -rf "$FOLDER"
"#;

/// A running replica set.
struct ReplicaSet {
    /// The URL up to the database's name, and the options after it.
    url: (String, String),
    /// The one that was started for it.
    mongod: Option<Mongod>,
}

/// A database for one test; dropped with this.
pub(crate) struct Scratch {
    name: String,
    /// Its own replica set, if it is not on that of the other tests.
    own: Option<ReplicaSet>,
}

impl Scratch {
    /// A name that no other test has.
    pub(crate) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        Self {
            name: format!("polychat_test_{process}_{number}"),
            own: None,
        }
    }

    /// Lets the lease of this process lapse, as if it had not renewed it for long.
    pub(crate) async fn lapse(&self, process: NodeId) {
        let leases = self.database().await.collection::<Document>(LEASES);
        let held = doc! { "holders.holder": process };
        let past = doc! { "$set": { "holders.$.until": DateTime::from_millis(0) } };
        let updated = leases.update_one(held, past).await.expect("updated");
        assert_eq!(updated.modified_count, 1, "it holds the lease");
    }

    /// The same on a server that no other test uses, so that it can be killed.
    pub(crate) fn on_own_server() -> Self {
        let own = std::thread::spawn(start).join().expect("a mongod");
        let mut scratch = Self::new();
        scratch.own = Some(own);
        scratch
    }

    /// Kills its own server, and starts it again the next time.
    pub(crate) fn kill_or_start_server(&self) {
        let own = self.own.as_ref().and_then(|own| own.mongod.as_ref());
        let own = own.expect("a server of its own");
        let mut input = own.supervisor.stdin.as_ref().expect("an input");
        input.write_all(b"\n").expect("a supervisor");
    }

    /// The name of the database.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The URL of the database.
    pub(crate) fn url(&self) -> String {
        let set = self.own.as_ref().unwrap_or_else(|| replica_set());
        let (server, options) = &set.url;
        format!("{server}/{}?{options}", self.name)
    }

    /// A store over it, as one node has it.
    pub(super) async fn node(&self) -> Arc<dyn Store> {
        let store = crate::store::open(&self.url()).await;
        store.expect("a database")
    }

    /// The same under a name that a failpoint can mean it by.
    pub(crate) async fn node_called(&self, name: &str) -> Arc<dyn Store> {
        let store = crate::store::open(&format!("{}&appName={name}", self.url())).await;
        store.expect("a database")
    }

    /// The database itself, for operations that no store has.
    pub(crate) async fn database(&self) -> Database {
        let client = Client::with_uri_str(self.url()).await.expect("a client");
        client.database(&self.name)
    }
}

/// A transaction that was neither committed nor aborted.
pub(crate) struct LeftOpen(mongodb::ClientSession);

impl LeftOpen {
    /// Commits it, as the process would do whose commit was delayed.
    pub(super) async fn commit(mut self) -> Result<(), mongodb::error::Error> {
        self.0.commit_transaction().await
    }

    /// Aborts it, as the server does once it has lasted too long.
    pub(crate) async fn abort(mut self) {
        self.0.abort_transaction().await.expect("aborted");
    }
}

impl Scratch {
    /// Leaves the transaction of a killed copy open, which has inserted this user.
    pub(crate) async fn killed_copy(&self, user: crate::model::User) -> LeftOpen {
        let options = ClientOptions::parse(self.url()).await.expect("a URL");
        self.left_open(options, user).await
    }

    /// Leaves a transaction of this node open, which has inserted this user.
    pub(super) async fn left_open_by(&self, node: NodeId, user: crate::model::User) -> LeftOpen {
        let options = options(&self.url(), node).await.expect("a URL");
        self.left_open(options, user).await
    }

    /// The same of a process of a version before there were nodes.
    pub(super) async fn left_open_before(&self, user: crate::model::User) -> LeftOpen {
        let options = ClientOptions::parse(self.url()).await;
        let mut options = options.expect("a URL");
        options.app_name = Some(format!("polychat/{}", self.name));
        self.left_open(options, user).await
    }

    async fn left_open(&self, options: ClientOptions, user: crate::model::User) -> LeftOpen {
        let client = Client::with_options(options).expect("a client");
        let mut session = client.start_session().await.expect("a session");
        session.start_transaction().await.expect("a transaction");
        let users = client.database(&self.name).collection(USERS);
        let insert = users.insert_one(UserDocument::from(user));
        insert.session(&mut session).await.expect("inserted");
        LeftOpen(session)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let (url, name) = (self.url(), self.name.clone());
        let dropping = std::thread::spawn(move || {
            block_on(async {
                let client = Client::with_uri_str(url).await?;
                client.database(&name).drop().await?;
                client.shutdown().immediate(true).await;
                Ok::<_, mongodb::error::Error>(())
            })
        });
        // A database that stays is no reason to fail.
        let _ = dropping.join();
    }
}

/// An empty store, and the database that must outlive it.
pub(in crate::store) async fn subject() -> (Arc<dyn Store>, Scratch) {
    let scratch = Scratch::new();
    let store = crate::store::open(&scratch.url()).await;
    (store.expect("a database"), scratch)
}

fn replica_set() -> &'static ReplicaSet {
    static RUNNING: OnceLock<ReplicaSet> = OnceLock::new();
    RUNNING.get_or_init(|| match std::env::var("MONGODB_URI") {
        Ok(url) => existing(&url),
        // A runtime of its own: the one of the test that comes first ends before the others.
        Err(_) => std::thread::spawn(start).join().expect("a mongod"),
    })
}

/// The replica set that `MONGODB_URI` names.
fn existing(url: &str) -> ReplicaSet {
    let (base, options) = url.split_once('?').unwrap_or((url, ""));
    let (scheme, rest) = base.split_once("://").expect("MONGODB_URI is a URL");
    let hosts = rest.split('/').next().unwrap_or(rest);
    ReplicaSet {
        url: (format!("{scheme}://{hosts}"), options.to_owned()),
        mongod: None,
    }
}

/// Where `mongod` is.
fn binary() -> PathBuf {
    let fetched = || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/mongod/mongod");
    let path = std::env::var_os("MONGOD").map_or_else(fetched, PathBuf::from);
    assert!(
        path.is_file(),
        "the tests of the MongoDB store need a mongod, and there is none at {}: run `make mongod`, \
         or let MONGOD name one, or let MONGODB_URI name a replica set",
        path.display()
    );
    path
}

/// A `mongod` that runs as long as this.
pub(super) struct Mongod {
    port: u16,
    folder: PathBuf,
    /// It is not awaited: it runs while its input is open.
    supervisor: Child,
}

impl Mongod {
    /// Starts one with these arguments.
    pub(super) fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder").keep();
        // Free at this moment; the kernel does not assign it again for a while.
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = free.local_addr().expect("an address").port();
        drop(free);
        let supervisor = Command::new("/bin/sh")
            .args(["-c", SUPERVISOR])
            .arg(binary())
            .args(["--bind_ip", "127.0.0.1", "--nounixsocket"])
            .args(["--port", &port.to_string()])
            .arg("--dbpath")
            .arg(&folder)
            .args(["--wiredTigerCacheSizeGB", "0.25"])
            .args(["--setParameter", "diagnosticDataCollectionEnabled=false"])
            .args(arguments)
            .env("FOLDER", &folder)
            .stdin(Stdio::piped())
            .spawn();
        Self {
            port,
            folder,
            supervisor: supervisor.expect("a shell"),
        }
    }

    /// Its URL, without a database.
    pub(super) fn server(&self) -> String {
        format!("mongodb://127.0.0.1:{}", self.port)
    }
}

fn start() -> ReplicaSet {
    let test_commands = ["--setParameter", "enableTestCommands=1"];
    let set = ["--replSet", "rs0", "--oplogSize", "64"];
    let mongod = Mongod::start(&[set.as_slice(), &test_commands].concat());
    if let Err(error) = block_on(initiate(&mongod.server(), mongod.port)) {
        let log = fs::read_to_string(mongod.folder.join("log")).unwrap_or_default();
        let lines: Vec<_> = log.lines().rev().take(5).collect();
        panic!("the mongod did not become a replica set: {error}\n{lines:#?}");
    }
    ReplicaSet {
        url: (mongod.server(), "replicaSet=rs0".into()),
        mongod: Some(mongod),
    }
}

/// Makes it a replica set of one, and waits until that is writable.
async fn initiate(server: &str, port: u16) -> mongodb::error::Result<()> {
    let begun = Instant::now();
    let mut options = ClientOptions::parse(server).await?;
    options.direct_connection = Some(true);
    options.server_selection_timeout = Some(START);
    let admin = Client::with_options(options)?.database("admin");
    let member = doc! { "_id": 0, "host": format!("127.0.0.1:{port}") };
    let set = doc! { "_id": "rs0", "members": [member] };
    admin.run_command(doc! { "replSetInitiate": set }).await?;
    loop {
        let hello: Document = admin.run_command(doc! { "hello": 1 }).await?;
        if hello.get_bool("isWritablePrimary").unwrap_or(false) {
            return Ok(());
        }
        if begun.elapsed() > START {
            return Err(mongodb::error::Error::custom(
                "it never became writable".to_owned(),
            ));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().expect("a runtime");
    runtime.block_on(work)
}
