//! Owns mongo-ceiling: the most inserts that a mongod takes, from a client that costs next to nothing (BSON and OP_MSG
//! written by hand, one epoll thread). It refuses to be a driver: none can be faster on the same mongod.

use crate::net::{App, Net, now};
use crate::report::{self, Hist, hist};
use crate::run::{Outcome, RunArgs};
use crate::sys::Watch;
use clap::Args;
use serde_json::json;
use std::io::{Read, Write};

#[derive(Args, Clone, Debug)]
pub struct MongoArgs {
    /// mongod, HOST:PORT (the primary; no TLS, no authentication)
    #[arg(long, default_value = "127.0.0.1:27117")]
    pub addr: String,
    #[arg(long, default_value = "chatbench_ceiling")]
    pub db: String,
    /// Connections, each with one command in flight
    #[arg(long, default_value_t = 64)]
    pub conns: usize,
    /// Documents per insert command
    #[arg(long, default_value_t = 1)]
    pub batch: usize,
    #[arg(long, default_value_t = 2.0)]
    pub warmup: f64,
    #[arg(long, default_value_t = 10.0)]
    pub secs: f64,
    #[arg(long, default_value_t = 128)]
    pub msg_bytes: usize,
    /// Leave out the index on (room, created_at)
    #[arg(long)]
    pub no_index: bool,
    /// w:1 without journal wait, for comparison (default w:majority, j:true)
    #[arg(long)]
    pub weak: bool,
    /// Process id of mongod
    #[arg(long)]
    pub pid: Vec<u32>,
    #[command(flatten)]
    pub run: RunArgs,
    /// block, spin or nap:MICROSECONDS
    #[arg(long, default_value = "nap:100")]
    pub wait: crate::net::Wait,
}

/// Appends to one BSON document; `end` fixes its length.
struct Doc<'a> {
    b: &'a mut Vec<u8>,
    at: usize,
}

impl<'a> Doc<'a> {
    fn new(b: &'a mut Vec<u8>) -> Doc<'a> {
        let at = b.len();
        b.extend_from_slice(&[0; 4]);
        Doc { b, at }
    }
    fn key(&mut self, t: u8, k: &str) {
        self.b.push(t);
        self.b.extend_from_slice(k.as_bytes());
        self.b.push(0);
    }
    fn str(mut self, k: &str, v: &str) -> Self {
        self.key(2, k);
        self.b
            .extend_from_slice(&(v.len() as i32 + 1).to_le_bytes());
        self.b.extend_from_slice(v.as_bytes());
        self.b.push(0);
        self
    }
    fn i32(mut self, k: &str, v: i32) -> Self {
        self.key(16, k);
        self.b.extend_from_slice(&v.to_le_bytes());
        self
    }
    fn bool(mut self, k: &str, v: bool) -> Self {
        self.key(8, k);
        self.b.push(v as u8);
        self
    }
    fn date(mut self, k: &str, ms: i64) -> Self {
        self.key(9, k);
        self.b.extend_from_slice(&ms.to_le_bytes());
        self
    }
    fn oid(mut self, k: &str, v: &[u8; 12]) -> Self {
        self.key(7, k);
        self.b.extend_from_slice(v);
        self
    }
    fn doc(mut self, k: &str, f: impl FnOnce(Doc)) -> Self {
        self.key(3, k);
        f(Doc::new(self.b));
        self
    }
    fn array(mut self, k: &str, f: impl FnOnce(Doc)) -> Self {
        self.key(4, k);
        f(Doc::new(self.b));
        self
    }
    fn end(self) {
        self.b.push(0);
        let n = (self.b.len() - self.at) as i32;
        self.b[self.at..self.at + 4].copy_from_slice(&n.to_le_bytes());
    }
}

fn op_msg(id: i32, body: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut b = vec![0; 16];
    b[4..8].copy_from_slice(&id.to_le_bytes());
    b[12..16].copy_from_slice(&2013i32.to_le_bytes());
    b.extend_from_slice(&[0, 0, 0, 0, 0]); // flags, section kind 0
    body(&mut b);
    let n = b.len() as i32;
    b[0..4].copy_from_slice(&n.to_le_bytes());
    b
}

/// Top-level numbers of a reply, and whether it names an error.
fn reply(d: &[u8]) -> (f64, i64, bool) {
    let (mut ok, mut n, mut err) = (0.0, -1, false);
    let d = &d[21..];
    let len = i32::from_le_bytes(d[0..4].try_into().unwrap()) as usize;
    let mut at = 4;
    while at < len - 1 {
        let t = d[at];
        let e = at + 1 + d[at + 1..].iter().position(|b| *b == 0).unwrap();
        let k = &d[at + 1..e];
        at = e + 1;
        let i = |a: usize| i32::from_le_bytes(d[a..a + 4].try_into().unwrap());
        match (k, t) {
            (b"ok", 1) => ok = f64::from_le_bytes(d[at..at + 8].try_into().unwrap()),
            (b"ok", 16) => ok = i(at) as f64,
            (b"n", 16) => n = i(at) as i64,
            (b"writeErrors" | b"writeConcernError", _) => err = true,
            _ => {}
        }
        at += match t {
            1 | 9 | 17 | 18 => 8,
            2 => 4 + i(at) as usize,
            3 | 4 => i(at) as usize,
            5 => 5 + i(at) as usize,
            7 => 12,
            8 => 1,
            16 => 4,
            10 => 0,
            _ => break,
        };
    }
    (ok, n, err)
}

struct Probe<'a> {
    a: &'a MongoArgs,
    seed: [u8; 5],
    counter: u32,
    sent_at: Vec<u64>,
    docs: u64,
    cmds: u64,
    lat: Hist,
    measuring: bool,
    stop: bool,
    text: String,
    fatal: Option<String>,
    rooms: Vec<[u8; 12]>,
    open: usize,
}

impl Probe<'_> {
    fn insert(&mut self, id: i32) -> Vec<u8> {
        let ms = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_millis() as i64;
        let a = self.a;
        op_msg(id, |b| {
            Doc::new(b)
                .str("insert", "messages")
                .bool("ordered", true)
                .str("$db", &a.db)
                .doc("writeConcern", |d| {
                    if a.weak {
                        d.i32("w", 1).bool("j", false).end()
                    } else {
                        d.str("w", "majority").bool("j", true).end()
                    }
                })
                .end();
            b.push(1);
            let at = b.len();
            b.extend_from_slice(&[0; 4]);
            b.extend_from_slice(b"documents\0");
            for _ in 0..a.batch {
                self.counter += 1;
                let mut o = [0u8; 12];
                o[..4].copy_from_slice(&((ms / 1000) as u32).to_be_bytes());
                o[4..9].copy_from_slice(&self.seed);
                o[9..].copy_from_slice(&self.counter.to_be_bytes()[1..]);
                let room = self.rooms[self.counter as usize % self.rooms.len()];
                Doc::new(b)
                    .oid("_id", &o)
                    .oid("room", &room)
                    .str("msg", &self.text)
                    .str("type", "text")
                    .oid("user_id", &room)
                    .date("created_at", ms)
                    .date("modified_at", ms)
                    .end();
            }
            let n = (b.len() - at) as i32;
            b[at..at + 4].copy_from_slice(&n.to_le_bytes());
        })
    }

    fn go(&mut self, net: &mut Net, c: usize) {
        let m = self.insert(c as i32 + 1);
        if self.sent_at.len() <= c {
            self.sent_at.resize(c + 1, 0);
        }
        self.sent_at[c] = now();
        net.send_raw(c, &m);
    }
}

impl App for Probe<'_> {
    fn on_ws_open(&mut self, net: &mut Net, c: usize, _t: u64) {
        self.open += 1;
        self.go(net, c);
    }

    fn on_raw(&mut self, net: &mut Net, c: usize, data: &[u8], t: u64) -> usize {
        if data.len() < 16 {
            return 0;
        }
        let n = i32::from_le_bytes(data[0..4].try_into().unwrap()) as usize;
        if data.len() < n {
            return 0;
        }
        let (ok, docs, err) = reply(&data[..n]);
        if ok != 1.0 || err || docs != self.a.batch as i64 {
            self.fatal = Some(format!(
                "insert answered ok={ok} n={docs} error={err}: {}",
                String::from_utf8_lossy(&data[21..n])
            ));
            return n;
        }
        self.docs += docs as u64;
        self.cmds += 1;
        if self.measuring {
            self.lat.add(t - self.sent_at[c]);
        }
        if !self.stop {
            self.go(net, c);
        }
        n
    }

    fn on_close(&mut self, _net: &mut Net, _c: usize, why: &str) {
        self.fatal
            .get_or_insert(format!("connection closed: {why}"));
    }
}

fn command(addr: &str, body: impl FnOnce(&mut Vec<u8>)) -> Result<(f64, Vec<u8>), String> {
    let mut s = std::net::TcpStream::connect(addr).map_err(|e| format!("{addr}: {e}"))?;
    s.write_all(&op_msg(1, body)).map_err(|e| e.to_string())?;
    let mut h = [0; 4];
    s.read_exact(&mut h).map_err(|e| e.to_string())?;
    let mut d = h.to_vec();
    d.resize(i32::from_le_bytes(h) as usize, 0);
    s.read_exact(&mut d[4..]).map_err(|e| e.to_string())?;
    Ok((reply(&d).0, d))
}

pub fn run(a: &MongoArgs) -> Outcome {
    let mut watch = Watch::new(&a.pid, &[])?;
    command(&a.addr, |b| {
        Doc::new(b).i32("dropDatabase", 1).str("$db", &a.db).end()
    })?;
    if !a.no_index {
        let (ok, d) = command(&a.addr, |b| {
            Doc::new(b)
                .str("createIndexes", "messages")
                .array("indexes", |d| {
                    d.doc("0", |d| {
                        d.doc("key", |d| d.i32("room", 1).i32("created_at", 1).end())
                            .str("name", "room_1_created_at_1")
                            .end()
                    })
                    .end()
                })
                .str("$db", &a.db)
                .end()
        })?;
        if ok != 1.0 {
            return Err(format!(
                "createIndexes: {}",
                String::from_utf8_lossy(&d[21..])
            ));
        }
    }
    let mut net = Net::new(a.wait)?;
    let pid = std::process::id();
    let mut app = Probe {
        a,
        seed: [1, (pid >> 8) as u8, pid as u8, (now() >> 8) as u8, 7],
        counter: 0,
        sent_at: Vec::new(),
        docs: 0,
        cmds: 0,
        lat: hist(),
        measuring: false,
        stop: false,
        text: "lorem ipsum dolor sit amet "
            .chars()
            .cycle()
            .take(a.msg_bytes)
            .collect(),
        fatal: None,
        rooms: (0..20u8)
            .map(|i| [0x66, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, i])
            .collect(),
        open: 0,
    };
    let addr = std::net::ToSocketAddrs::to_socket_addrs(&a.addr)
        .map_err(|e| e.to_string())?
        .next()
        .ok_or("no address")?;
    for _ in 0..a.conns {
        net.connect(addr, None, None).map_err(|e| e.to_string())?;
    }
    let spin =
        |net: &mut Net, app: &mut Probe, watch: &mut Watch, until: u64| -> Result<(), String> {
            loop {
                let t = now();
                if t >= until {
                    return Ok(());
                }
                watch.tick(t);
                net.poll(app, Some((until - t).min(100_000_000)))
                    .map_err(|e| e.to_string())?;
                if let Some(f) = &app.fatal {
                    return Err(f.clone());
                }
            }
        };
    let until = now() + (a.warmup * 1e9) as u64;
    spin(&mut net, &mut app, &mut watch, until)?;
    if app.open < a.conns {
        return Err(format!(
            "only {} of {} connections are open",
            app.open, a.conns
        ));
    }
    app.measuring = true;
    let s0 = watch.sample();
    let (d0, c0) = (app.docs, app.cmds);
    spin(
        &mut net,
        &mut app,
        &mut watch,
        s0.at + (a.secs * 1e9) as u64,
    )?;
    let s1 = watch.sample();
    let (d1, c1) = (app.docs, app.cmds);
    app.stop = true;
    let until = now() + 500_000_000;
    spin(&mut net, &mut app, &mut watch, until)?;
    command(&a.addr, |b| {
        Doc::new(b).i32("dropDatabase", 1).str("$db", &a.db).end()
    })?;
    let wall = (s1.at - s0.at) as f64 / 1e9;
    let mut res = watch.report(&s0, &s1, d1 - d0, 0);
    if let Some(o) = res["server"].as_object_mut() {
        o.insert("cpu_us_per_insert".into(), o["cpu_us_per_ack"].clone());
    }
    Ok((
        json!({
            "scenario": "mongo-ceiling", "label": a.run.label,
            "params": {"conns": a.conns, "batch": a.batch, "msg_bytes": a.msg_bytes, "index": !a.no_index, "write_concern": if a.weak {"w:1 j:false"} else {"w:majority j:true"}},
            "result": {
                "inserts_per_s": (d1 - d0) as f64 / wall,
                "commands_per_s": (c1 - c0) as f64 / wall,
                "command_latency_ms": report::percentiles(&app.lat),
            },
            "resources": res,
        }),
        true,
    ))
}
