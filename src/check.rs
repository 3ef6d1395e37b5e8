//! `polychat check` validates the options and opens the store; `polychat health` requests the
//! readiness of a running server.
//! Does not know how a store is built.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Collected, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::lease::{Lease, LeaseError};
use crate::store::transfer::Unfinished;
use crate::store::{self, InUse, OpenError, Seen, Store, StoreError, Totals};

/// The time limit of a request.
const TIME_LIMIT: Duration = Duration::from_secs(5);

/// The page by which a polychat is recognised, and where it serves nothing but metrics.
pub const INDEX: &str = "/";
/// The same there.
pub const METRICS: &str = "/metrics";

/// How long such a page may be, in bytes.
const LONGEST_PAGE: usize = 4 << 20;

/// What the check of a store found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// A line for each check.
    pub lines: Vec<String>,
    /// Whether another polychat uses the store.
    pub is_used: bool,
    /// The store in a few words, without a password.
    pub place: String,
}

/// Connects to the store, runs pending migrations as a start does, and closes it. A store that other processes use is checked as it is, with a line for each of them, and a file that does not exist is not
/// created.
///
/// # Errors
/// Why it cannot be used, in one sentence.
pub async fn store(url: &str) -> Result<Checked, CheckError> {
    if store::is_missing(url) {
        let line = format!("store    none yet: there is no such file as {url}; a start creates it");
        return Ok(Checked {
            lines: vec![line],
            is_used: false,
            place: url.to_owned(),
        });
    }
    let store = match store::connect_or_look(url).await? {
        Ok(store) => store,
        Err(used) => return beside(used),
    };
    let place = store.describe();
    let mut lines = vec![format!("store    ok: {place}")];
    let mut is_used = false;
    match Lease::try_take(&store, "check").await? {
        Ok(lease) => {
            let migrated = store.migrate(Unfinished::Refused).await;
            lease.release().await;
            migrated?;
        }
        Err(holders) => {
            is_used = true;
            for holder in holders {
                lines.push(format!("schema   not migrated: in use by {holder}"));
            }
        }
    }
    let seen = look(&*store).await;
    store.close().await?;
    lines.extend(of(&seen?)?);
    Ok(Checked {
        lines,
        is_used,
        place,
    })
}

/// The lines for a store that another process uses, and that cannot be opened beside it.
fn beside(used: InUse) -> Result<Checked, CheckError> {
    let process = used.in_brackets();
    let mut lines = vec![
        format!("store    ok: {}", used.store),
        format!("schema   not migrated: in use by another polychat{process}"),
    ];
    lines.extend(of(&used.seen?)?);
    Ok(Checked {
        lines,
        is_used: true,
        place: used.store,
    })
}

/// Queries the store, counts what is in it, and compares its indexes.
async fn look(store: &dyn Store) -> Result<Seen, CheckError> {
    store.ping().await?;
    Ok(Seen {
        totals: store.totals().await?,
        missing_indexes: store.missing_indexes().await?,
    })
}

/// The lines about what was seen.
fn of(seen: &Seen) -> Result<[String; 2], CheckError> {
    if !seen.missing_indexes.is_empty() {
        return Err(CheckError::Indexes(seen.missing_indexes.join(", ")));
    }
    let Totals {
        users,
        chats,
        messages,
    } = seen.totals;
    Ok([
        format!("content  {users} users, {chats} chats, {messages} messages"),
        "indexes  ok".to_owned(),
    ])
}

impl From<LeaseError> for CheckError {
    fn from(error: LeaseError) -> Self {
        Self::Lease(Box::new(error))
    }
}

/// Why a store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// It cannot be opened.
    #[error("--store")]
    Open(#[from] OpenError),
    /// Its lease cannot be taken.
    #[error(transparent)]
    Lease(Box<LeaseError>),
    /// It failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// These are not there.
    #[error("the store lacks indexes: {0}")]
    Indexes(String),
}

/// Requests `/readyz` of the server that listens on `address`.
///
/// # Errors
/// The response, or the reason why there is none.
pub async fn health(address: SocketAddr) -> Result<(), HealthError> {
    let address = reachable(address);
    match request(address, "/readyz", &address.to_string()).await? {
        (StatusCode::OK, _) => Ok(()),
        (status, _) => Err(HealthError::NotReady(status)),
    }
}

/// Whether the server that listens on `address` is a polychat, by its [`INDEX`] or its [`METRICS`].
pub async fn is_polychat(address: SocketAddr, page: &'static str) -> bool {
    // Under this name a polychat answers whatever its `--allowed-hosts` are.
    match request(reachable(address), page, "localhost").await {
        Ok((_, text)) => text.starts_with("polychat ") || text.contains(" polychat_"),
        Err(_) => false,
    }
}

/// Why a server counts as not ready.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// The server answered with this status.
    #[error("not ready: {0}")]
    NotReady(StatusCode),
    /// The connection failed.
    #[error("nobody answers")]
    Unreachable(#[from] std::io::Error),
    /// The response is not HTTP.
    #[error("no valid HTTP response")]
    Http(#[from] hyper::Error),
    /// The time limit passed.
    #[error("no answer within {} seconds", TIME_LIMIT.as_secs())]
    Silent,
}

/// The status and the text of a page.
async fn request(
    address: SocketAddr,
    page: &'static str,
    host: &str,
) -> Result<(StatusCode, String), HealthError> {
    let response = tokio::time::timeout(TIME_LIMIT, exchange(address, page, host));
    response.await.unwrap_or(Err(HealthError::Silent))
}

async fn exchange(
    address: SocketAddr,
    page: &'static str,
    host: &str,
) -> Result<(StatusCode, String), HealthError> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = axum::http::Uri::from_static(page);
    if let Ok(host) = host.parse() {
        request.headers_mut().insert(header::HOST, host);
    }
    let answer = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), LONGEST_PAGE).collect();
        let text = body.await.map(Collected::to_bytes).unwrap_or_default();
        Ok((status, String::from_utf8_lossy(&text).into_owned()))
    };
    tokio::select! {
        answer = answer => answer,
        Err(error) = connection => Err(error.into()),
    }
}

/// The address to connect to: a server may listen on an unspecified one.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers one request with this text, or closes the connection.
    async fn answering(text: &'static str) -> Result<(), HealthError> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let server = async {
            let (mut stream, _) = listener.accept().await.expect("a client");
            let mut request = [0; 1024];
            let read = stream.read(&mut request).await.expect("a request");
            assert!(request[..read].starts_with(b"GET /readyz HTTP/1.1\r\n"));
            stream.write_all(text.as_bytes()).await.expect("written");
        };
        let (answer, ()) = tokio::join!(health(address), server);
        answer
    }

    #[tokio::test]
    async fn only_ok_is_ready() {
        let ready = answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        assert!(ready.is_ok(), "{ready:?}");
        let starting = answering("HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n").await;
        assert!(
            matches!(starting, Err(HealthError::NotReady(_))),
            "{starting:?}"
        );
        let other = answering("SSH-2.0-OpenSSH\r\n").await;
        assert!(matches!(other, Err(HealthError::Http(_))), "{other:?}");
        let gone = answering("").await;
        assert!(gone.is_err(), "{gone:?}");
    }

    #[tokio::test]
    async fn where_nobody_listens_nobody_is_ready() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        drop(listener);
        let answer = health(address).await;
        assert!(
            matches!(answer, Err(HealthError::Unreachable(_))),
            "{answer:?}"
        );
    }

    #[test]
    fn an_address_for_all_is_asked_at_home() {
        for (listens, connects) in [
            ("0.0.0.0:3000", "127.0.0.1:3000"),
            ("[::]:3000", "[::1]:3000"),
            ("10.1.2.3:80", "10.1.2.3:80"),
        ] {
            let address = listens.parse().expect("an address");
            assert_eq!(reachable(address).to_string(), connects);
        }
    }

    #[tokio::test]
    async fn a_file_is_checked_beside_its_server_and_stays_as_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite:{}", folder.path().join("chat.db").display());
        let store = crate::store::connect(&url).await.expect("a file");
        let held = Lease::take(&store, "serve").await.expect("taken");
        // Its server has not created the schema yet.
        let empty = super::store(&url).await.expect_err("no tables");
        let why = std::error::Error::source(&empty).map(ToString::to_string);
        assert!(
            why.is_some_and(|why| why.contains("no such table")),
            "{empty}"
        );
        store.migrate(Unfinished::Refused).await.expect("a schema");
        let Checked { lines, is_used, .. } = super::store(&url).await.expect("usable");
        assert!(is_used);
        let process = std::process::id();
        let expected = [
            format!("store    ok: {}", store.describe()),
            format!("schema   not migrated: in use by another polychat (process {process})"),
            "content  0 users, 0 chats, 0 messages".to_owned(),
            "indexes  ok".to_owned(),
        ];
        assert_eq!(lines, expected);
        store.ping().await.expect("the server continues");
        held.release().await;
        store.close().await.expect("closed");
        drop(store);
        let Checked { lines, is_used, .. } = super::store(&url).await.expect("usable");
        assert!(!is_used);
        assert_eq!(lines, [&*expected[0], &expected[2], "indexes  ok"]);
    }

    #[tokio::test]
    async fn each_server_on_a_database_is_named_and_nothing_is_migrated() {
        let scratch = crate::store::Scratch::new();
        let url = scratch.url();
        let mut held = Vec::new();
        for _ in 0..2 {
            let store = crate::store::connect(&url).await.expect("a database");
            let mut lease = Lease::share(&store).await.expect("taken");
            lease.migrate().await.expect("a schema");
            held.push(lease);
        }
        let Checked { lines, is_used, .. } = super::store(&url).await.expect("usable");
        assert!(is_used);
        let named = "schema   not migrated: in use by polychat serve on ";
        let named = lines.iter().filter(|line| line.starts_with(named));
        assert_eq!(named.count(), 2, "{lines:?}");
        for lease in held {
            lease.release().await;
        }
        let Checked { lines, is_used, .. } = super::store(&url).await.expect("usable");
        assert!(!is_used && lines.iter().all(|line| !line.starts_with("schema")));
    }

    #[tokio::test]
    async fn a_file_that_does_not_exist_is_not_created() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("typo.db");
        let url = format!("sqlite:{}", place.display());
        let Checked { lines, .. } = super::store(&url).await.expect("a start would work");
        assert!(lines[0].contains("no such file"), "{lines:?}");
        assert!(!place.exists());
        let nowhere = format!("sqlite:{}", folder.path().join("missing/chat.db").display());
        super::store(&nowhere).await.expect_err("no folder");
    }
}
