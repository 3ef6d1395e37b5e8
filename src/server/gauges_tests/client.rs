//! A client of any dialect and transport over TCP, which reads or does not, and the connections that
//! have to be counted for it.
//! Does not decide what it does.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::node::BUFFER;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a frame may wait for room: a server that waits for a client reads no more from it.
const ROOM: Duration = Duration::from_millis(50);

/// How long the poll may take that waits while the transport is changed.
const LAST_POLL: Duration = Duration::from_millis(100);

/// The labels of a connection.
pub(super) type Labels = (&'static str, &'static str);

/// The kinds of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Action,
    Type,
    Undecided,
    RawMarketplace,
    EventName,
    Marketplace,
    PollingEventName,
    PollingMarketplace,
}

impl Kind {
    pub(super) const ALL: [Self; 8] = [
        Self::Action,
        Self::Type,
        Self::Undecided,
        Self::RawMarketplace,
        Self::EventName,
        Self::Marketplace,
        Self::PollingEventName,
        Self::PollingMarketplace,
    ];

    pub(super) fn labels(self) -> Labels {
        match self {
            Self::Action => ("action", "raw"),
            Self::Type => ("type", "raw"),
            Self::Undecided => ("undecided", "raw"),
            Self::RawMarketplace => ("marketplace", "raw"),
            Self::EventName => ("event-name", "websocket"),
            Self::Marketplace => ("marketplace", "websocket"),
            Self::PollingEventName => ("event-name", "polling"),
            Self::PollingMarketplace => ("marketplace", "polling"),
        }
    }

    /// The path of a raw WebSocket.
    fn path(self) -> Option<&'static str> {
        match self {
            Self::Action => Some("/ws/chat/room/"),
            Self::Type => Some("/ws/chats/"),
            Self::Undecided => Some("/ws"),
            Self::RawMarketplace => Some("/ws/events/"),
            _ => None,
        }
    }

    /// The namespace of Socket.IO.
    pub(super) fn namespace(self) -> &'static str {
        match self {
            Self::Marketplace | Self::PollingMarketplace => "/events,",
            _ => "",
        }
    }
}

enum Link {
    Socket(OwnedWriteHalf),
    Polling(String),
}

/// A client with an open connection, or one that the server has ended.
pub(super) struct Client {
    pub(super) user: usize,
    pub(super) kind: Kind,
    /// The connections that are counted for it: one for each namespace.
    pub(super) counted: Vec<Labels>,
    address: SocketAddr,
    link: Link,
    reads: watch::Sender<bool>,
    is_over: Arc<AtomicBool>,
    reading: JoinHandle<()>,
}

/// A frame of a client, masked with zeros.
fn frame(opcode: u8, payload: &str) -> Vec<u8> {
    let mut bytes = vec![0x80 | opcode];
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(short @ 0..=125), _) => bytes.push(0x80 | short),
        (_, Ok(length)) => {
            bytes.push(0x80 | 0x7e);
            bytes.extend(length.to_be_bytes());
        }
        _ => panic!("no frame of these tests is that long"),
    }
    bytes.extend([0; 4]);
    bytes.extend(payload.as_bytes());
    bytes
}

async fn dial(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(BUFFER).expect("a small buffer");
    socket.connect(address).await.expect("a connection")
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|part| part == text.as_bytes())
}

/// Reads until one of these texts has come: which one; `None`: the connection ended before.
async fn until(stream: &mut (impl AsyncReadExt + Unpin), texts: &[&str]) -> Option<usize> {
    let mut read = Vec::new();
    let reading = async {
        loop {
            if let Some(found) = texts.iter().position(|text| holds(&read, text)) {
                return Some(found);
            }
            if matches!(stream.read_buf(&mut read).await, Ok(0) | Err(_)) {
                return None;
            }
        }
    };
    let read = timeout(PATIENCE, reading).await;
    read.unwrap_or_else(|_| panic!("none of {texts:?}"))
}

/// One request on a connection of its own: the whole response.
async fn exchange(address: SocketAddr, method: &str, target: &str, body: &str) -> String {
    let mut stream = dial(address).await;
    let length = body.len();
    let request = format!(
        "{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.expect("room");
    let mut response = Vec::new();
    // A connection may be reset behind the response.
    let _ = stream.read_to_end(&mut response).await;
    String::from_utf8_lossy(&response).into_owned()
}

fn session(sid: &str, transport: &str) -> String {
    format!("/socket.io/?EIO=4&transport={transport}&sid={sid}")
}

fn sid_of(text: &str) -> String {
    let rest = text.split("\"sid\":\"").nth(1).expect("a session id");
    rest.split('"').next().expect("its end").to_owned()
}

/// A WebSocket at this target.
async fn upgrade(address: SocketAddr, target: &str) -> TcpStream {
    let mut stream = dial(address).await;
    let request = format!(
        "GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.expect("room");
    stream
}

/// A raw WebSocket; `None`: refused.
async fn open_raw(address: SocketAddr, target: &str) -> Option<TcpStream> {
    let mut stream = upgrade(address, target).await;
    let answer = until(&mut stream, &[" 101 ", "HTTP/1.1 4"]).await;
    (answer == Some(0)).then_some(stream)
}

/// A WebSocket of Socket.IO that has connected to its namespace; `None`: refused.
async fn open_socket(address: SocketAddr, kind: Kind, connect: &str) -> Option<TcpStream> {
    let mut stream = upgrade(address, "/socket.io/?EIO=4&transport=websocket").await;
    until(&mut stream, &["0{\"sid\""]).await?;
    stream.write_all(&frame(1, connect)).await.ok()?;
    let (accepted, refused) = answers(kind);
    let answer = until(&mut stream, &[&accepted, &refused]).await;
    (answer == Some(0)).then_some(stream)
}

/// A polling session that has connected to its namespace; `None`: refused.
async fn open_polling(address: SocketAddr, kind: Kind, connect: &str) -> Option<String> {
    let handshake = "/socket.io/?EIO=4&transport=polling";
    let sid = sid_of(&exchange(address, "GET", handshake, "").await);
    let target = session(&sid, "polling");
    exchange(address, "POST", &target, connect).await;
    let answer = exchange(address, "GET", &target, "").await;
    if holds(answer.as_bytes(), &answers(kind).0) {
        return Some(sid);
    }
    exchange(address, "POST", &target, "1").await;
    None
}

/// How the packets begin that accept and that refuse a CONNECT.
fn answers(kind: Kind) -> (String, String) {
    let namespace = kind.namespace();
    (format!("40{namespace}{{\"sid\""), format!("44{namespace}"))
}

impl Client {
    /// Connects a user with this token; `since` is JSON. `None`: the server refused.
    pub(super) async fn open(
        address: SocketAddr,
        tasks: &TaskTracker,
        kind: Kind,
        (user, token): (usize, &str),
        since: Option<&str>,
    ) -> Option<Self> {
        let since = since.map_or(String::new(), |since| format!(",\"since\":{since}"));
        let connect = format!("40{}{{\"token\":\"{token}\"{since}}}", kind.namespace());
        let (reads, is_read) = watch::channel(true);
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let (link, reading) = if kind.labels().1 == "polling" {
            let sid = open_polling(address, kind, &connect).await?;
            let polling = poll(address, session(&sid, "polling"), is_read, over);
            (Link::Polling(sid), tasks.spawn(polling))
        } else {
            let stream = match kind.path() {
                Some(path) => open_raw(address, &format!("{path}?token={token}")).await?,
                None => open_socket(address, kind, &connect).await?,
            };
            let (read, write) = stream.into_split();
            (
                Link::Socket(write),
                tasks.spawn(discard(read, is_read, over)),
            )
        };
        Some(Self {
            user,
            kind,
            counted: vec![kind.labels()],
            address,
            link,
            reads,
            is_over,
            reading,
        })
    }

    /// Whether the server has ended the connection, as far as the client has read.
    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// Reads from now on, or does not.
    pub(super) fn reads(&self, reads: bool) {
        self.reads.send_replace(reads);
    }

    /// Breaks the protocol of its transport. `None`: the server does not accept it.
    pub(super) async fn send_rubbish(&mut self) -> Option<()> {
        match &mut self.link {
            Link::Socket(socket) => {
                let sent = timeout(ROOM, socket.write_all(&frame(3, ""))).await;
                sent.ok()?.ok()
            }
            Link::Polling(_) => self.send("9").await,
        }
    }

    /// Sends a text. `None`: the server does not accept it.
    pub(super) async fn send(&mut self, text: &str) -> Option<()> {
        match &mut self.link {
            Link::Socket(socket) => {
                let sent = timeout(ROOM, socket.write_all(&frame(1, text))).await;
                sent.ok()?.ok()
            }
            Link::Polling(sid) => {
                let target = session(sid, "polling");
                let posted = timeout(ROOM, exchange(self.address, "POST", &target, text)).await;
                posted
                    .is_ok_and(|answer| answer.contains(" 200 "))
                    .then_some(())
            }
        }
    }

    /// A client with a polling session changes to a WebSocket.
    pub(super) async fn change_transport(&mut self, tasks: &TaskTracker) {
        let Link::Polling(sid) = &self.link else {
            return;
        };
        self.reads(true);
        let mut stream = upgrade(self.address, &session(sid, "websocket")).await;
        let probe = frame(1, "2probe");
        if until(&mut stream, &[" 101 "]).await.is_none()
            || stream.write_all(&probe).await.is_err()
            || until(&mut stream, &["3probe"]).await.is_none()
        {
            return;
        }
        // The waiting poll ends with NOOP, or with what there is to read.
        self.reads(false);
        let _ = timeout(LAST_POLL, &mut self.reading).await;
        self.reading.abort();
        let _ = stream.write_all(&frame(1, "5")).await;
        let (read, write) = stream.into_split();
        self.reads(true);
        let is_read = self.reads.subscribe();
        let over = Arc::clone(&self.is_over);
        self.link = Link::Socket(write);
        self.reading = tasks.spawn(discard(read, is_read, over));
        for (_, transport) in &mut self.counted {
            *transport = "websocket";
        }
    }

    /// Ends the connection: in order, or without a word. A polling session ends in order only.
    pub(super) async fn end(mut self, in_order: bool) {
        match &mut self.link {
            Link::Socket(socket) if in_order => {
                let _ = timeout(ROOM, socket.write_all(&frame(8, ""))).await;
            }
            Link::Socket(_) => {}
            Link::Polling(sid) => {
                let target = session(sid, "polling");
                exchange(self.address, "POST", &target, "1").await;
            }
        }
        self.reading.abort();
    }
}

/// Reads and discards, while it is to be read, until the end.
async fn discard(
    mut stream: OwnedReadHalf,
    mut reads: watch::Receiver<bool>,
    over: Arc<AtomicBool>,
) {
    let mut buffer = vec![0; 65_536];
    loop {
        if reads.wait_for(|reads| *reads).await.is_err() {
            return;
        }
        tokio::select! {
            read = stream.read(&mut buffer) => {
                // A close frame is alone in what is read, or the last.
                if matches!(read, Ok(0) | Err(_)) {
                    return over.store(true, Ordering::Relaxed);
                }
            }
            changed = reads.changed() => {
                if changed.is_err() {
                    return;
                }
            }
        }
    }
}

/// Polls, while it is to be read, until the end of the session.
async fn poll(
    address: SocketAddr,
    target: String,
    mut reads: watch::Receiver<bool>,
    over: Arc<AtomicBool>,
) {
    while reads.wait_for(|reads| *reads).await.is_ok() {
        let answer = exchange(address, "GET", &target, "").await;
        if !answer.starts_with("HTTP/1.1 200") {
            return over.store(true, Ordering::Relaxed);
        }
        if answer.ends_with("\r\n\r\n6") || answer.ends_with("\u{1e}6") {
            return;
        }
    }
}
