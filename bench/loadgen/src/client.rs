//! Owns the parts that every scenario shares: address, connecting, the client's identity, error counts. Does not know
//! how a scenario uses its connections.

use crate::dialect::Dialect;
use crate::net::{self, Net};
use crate::num::{fit, low};
use crate::run::RunArgs;
use crate::sio;
use crate::sys::Watch;
use clap::Args;
use serde_json::Value;
use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};

#[derive(Args, Clone, Debug)]
pub struct Common {
    /// Server, as ws://HOST:PORT (http:// is taken as the same; no TLS)
    #[arg(long, default_value = "ws://127.0.0.1:3000")]
    pub url: String,
    /// The dialect of the clients
    #[arg(long, value_enum, default_value_t = Dialect::Socketio)]
    pub dialect: Dialect,
    /// Path of the Engine.IO endpoint
    #[arg(long, default_value = "/socket.io/")]
    pub sio_path: String,
    /// Socket.IO namespace
    #[arg(long, default_value = "/")]
    pub namespace: String,
    /// JSON sent as the auth payload of the Socket.IO CONNECT packet; may hold the placeholders of --query
    #[arg(long)]
    pub auth_json: Option<String>,
    /// Extra query string of the upgrade request, e.g. 'token={uid}', which is the default of the raw dialects.
    /// Placeholders: {i} {room} {member} {uid} {nonce}
    #[arg(long)]
    pub query: Option<String>,
    /// Extra header of the upgrade request, 'Name: value'; repeatable; same placeholders
    #[arg(long)]
    pub header: Vec<String>,
    /// Process id of the server, for CPU and RSS; repeatable for a server of several processes
    #[arg(long)]
    pub pid: Vec<u32>,
    /// Another process to account for, NAME=PID (for example mongod=1234); repeatable
    #[arg(long)]
    pub also: Vec<String>,
    #[command(flatten)]
    pub run: RunArgs,
    /// How the generator waits for the server: block, spin, or nap:MICROSECONDS (see README)
    #[arg(long, default_value = "nap:100")]
    pub wait: crate::net::Wait,
    /// Connections being opened at any one time
    #[arg(long, default_value_t = 64)]
    pub concurrency: usize,
    /// Spread connections over this many source addresses 127.0.0.2.. (0: let the kernel choose; one address has ~28,000 ports)
    #[arg(long, default_value_t = 0)]
    pub src_ips: u32,
    /// Give up when connecting and setting up takes longer, seconds
    #[arg(long, default_value_t = 60)]
    pub setup_timeout: u64,
}

impl Common {
    /// Prepares a scenario: the target, the processes to account for, and an event loop without connections.
    pub fn open(&self) -> Result<(Target, Watch, Net), String> {
        Ok((
            Target::new(self)?,
            Watch::new(&self.pid, &self.also)?,
            Net::new(self.wait)?,
        ))
    }
}

/// Placeholder values of one connection.
#[derive(Clone, Default)]
pub struct Vars {
    pub i: usize,
    pub room: usize,
    pub member: usize,
    pub uid: String,
    /// from a setup file: take the place of the flags
    pub auth: Option<String>,
    pub query: Option<String>,
    pub headers: Vec<String>,
}

pub struct Target {
    pub addr: SocketAddr,
    host: String,
    path: String,
    pub ns: String,
    auth: Option<String>,
    query: Option<String>,
    headers: Vec<String>,
    src_ips: u32,
    pub nonce: u32,
    pub dialect: Dialect,
}

impl Target {
    pub fn new(c: &Common) -> Result<Target, String> {
        let rest = c
            .url
            .strip_prefix("ws://")
            .or(c.url.strip_prefix("http://"))
            .ok_or("--url must start with ws:// or http://")?;
        let host = rest.split('/').next().unwrap_or_default().to_string();
        let with_port = if host.contains(':') {
            host.clone()
        } else {
            format!("{host}:80")
        };
        let mut all: Vec<SocketAddr> = with_port
            .to_socket_addrs()
            .map_err(|e| format!("{with_port}: {e}"))?
            .collect();
        all.sort_by_key(SocketAddr::is_ipv6);
        let addr = *all.first().ok_or("no address")?;
        if !addr.ip().is_loopback() && std::env::var_os("LOADGEN_ALLOW_REMOTE").is_none() {
            return Err(format!(
                "{addr} is not a loopback address; set LOADGEN_ALLOW_REMOTE=1 if it is yours to load"
            ));
        }
        if let Some(a) = &c.auth_json {
            let probe = a
                .replace("{i}", "0")
                .replace("{room}", "0")
                .replace("{member}", "0")
                .replace("{uid}", "u")
                .replace("{nonce}", "0");
            serde_json::from_str::<Value>(&probe)
                .map_err(|e| format!("--auth-json is not JSON: {e}"))?;
        }
        let nonce = low(RandomState::new().build_hasher().finish());
        Ok(Target {
            addr,
            host,
            path: c.sio_path.clone(),
            ns: sio::ns_prefix(&c.namespace),
            auth: c.auth_json.clone(),
            query: c.query.clone(),
            headers: c.header.clone(),
            src_ips: c.src_ips,
            nonce,
            dialect: c.dialect,
        })
    }

    fn fill(&self, t: &str, v: &Vars) -> String {
        t.replace("{i}", &v.i.to_string())
            .replace("{room}", &v.room.to_string())
            .replace("{member}", &v.member.to_string())
            .replace("{uid}", &v.uid)
            .replace("{nonce}", &format!("{:08x}", self.nonce))
    }

    pub fn uid(&self, room: usize, member: usize) -> String {
        format!("bench-{:08x}-{room}-{member}", self.nonce)
    }

    /// Begins a connection in the dialect of the scenario.
    pub fn start(&self, net: &mut Net, v: &Vars) -> std::io::Result<usize> {
        self.start_as(net, v, self.dialect)
    }

    pub fn start_as(&self, net: &mut Net, v: &Vars, dialect: Dialect) -> std::io::Result<usize> {
        let q = self.request_target(v, dialect);
        let mut h = format!(
            "GET {q} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {}\r\n",
            self.host,
            net::WS_KEY
        );
        for x in self.headers.iter().chain(&v.headers) {
            h.push_str(&self.fill(x, v));
            h.push_str("\r\n");
        }
        h.push_str("\r\n");
        net.connect(self.addr, self.source(v.i), Some(h.into_bytes()))
    }

    /// Source address of connection `i`; `None` without `--src-ips`.
    fn source(&self, i: usize) -> Option<Ipv4Addr> {
        let host = u64::try_from(i).ok()?.checked_rem(self.src_ips.into())?;
        let (third, fourth) = (u8::try_from(host / 250).ok()?, fit(2 + host % 250));
        Some(Ipv4Addr::new(127, 0, third, fourth))
    }

    fn request_target(&self, v: &Vars, dialect: Dialect) -> String {
        let path = dialect.path().unwrap_or(&self.path);
        let mut parts = Vec::new();
        if dialect == Dialect::Socketio {
            parts.push("EIO=4&transport=websocket".to_string());
        }
        let given = v.query.as_deref().or(self.query.as_deref());
        if let Some(query) = given.or(dialect.query()).filter(|each| !each.is_empty()) {
            let query = self.fill(query, v);
            parts.push(query.trim_start_matches(['?', '&']).to_string());
        }
        if dialect == Dialect::Action {
            parts.push("ack=1".to_string()); // without it a successful request is not answered
        }
        let separator = if path.contains('?') { '&' } else { '?' };
        format!("{path}{separator}{}", parts.join("&"))
    }

    /// The Socket.IO CONNECT packet.
    pub fn hello(&self, v: &Vars) -> Vec<u8> {
        let auth = v
            .auth
            .as_ref()
            .or(self.auth.as_ref())
            .map(|a| self.fill(a, v))
            .unwrap_or_default();
        format!("40{}{auth}", self.ns).into_bytes()
    }

    /// An EVENT packet that requests an ack.
    pub fn event(&self, id: u32, name: &str, arg: &Value) -> Vec<u8> {
        format!("42{}{id}{}", self.ns, serde_json::json!([name, arg])).into_bytes()
    }
}

/// Distinct messages with counts, a handful of them.
#[derive(Default)]
pub struct Errors {
    pub map: BTreeMap<String, u64>,
    pub total: u64,
}

impl Errors {
    pub fn add(&mut self, e: &str) {
        self.total += 1;
        let k: String = e.chars().take(160).collect();
        if self.map.len() < 20 || self.map.contains_key(&k) {
            *self.map.entry(k).or_default() += 1;
        } else {
            *self.map.entry("(others)".into()).or_default() += 1;
        }
    }
}

/// Answers the Engine.IO and CONNECT steps that every scenario goes through. True when the namespace is joined.
pub fn step(
    net: &mut Net,
    c: usize,
    target: &Target,
    vars: &Vars,
    pkt: &sio::Pkt,
) -> Result<bool, String> {
    match pkt {
        sio::Pkt::Open(_) => {
            let h = target.hello(vars);
            net.send_text(c, &h);
            Ok(false)
        }
        sio::Pkt::Ping(p) => {
            let mut m = b"3".to_vec();
            m.extend_from_slice(p);
            net.send_text(c, &m);
            Ok(false)
        }
        sio::Pkt::Connect(_) => Ok(true),
        sio::Pkt::ConnectError(b) => Err(format!("CONNECT_ERROR {}", String::from_utf8_lossy(b))),
        sio::Pkt::Disconnect => Err("Socket.IO DISCONNECT from the server".into()),
        sio::Pkt::EioClose => Err("Engine.IO close from the server".into()),
        sio::Pkt::Bad => Err("a packet that is not Socket.IO".into()),
        _ => Ok(false),
    }
}
