//! Owns mongo-ceiling: the most inserts that a mongod takes, from a client that costs next to nothing (BSON and `OP_MSG`
//! written by hand, one epoll thread). Does not do the work of a driver: none can be faster on the same mongod.

mod wire;

use crate::net::{App, Net, now};
use crate::num::{fit, ns};
use crate::report::{self, Hist, hist};
use crate::run::{Outcome, RunArgs};
use crate::sys::Watch;
use clap::Args;
use serde_json::json;
use std::io::{Read, Write};
use wire::{BODY, Doc, Reply, op_msg, put_length};

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
    /// Leave out the index on `(room, created_at)`
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
            .unwrap_or_default()
            .as_millis();
        let ms: i64 = fit(ms);
        let seconds: u32 = fit(ms / 1000);
        let a = self.a;
        op_msg(id, |b| {
            Doc::new(b)
                .str("insert", "messages")
                .bool("ordered", true)
                .str("$db", &a.db)
                .doc("writeConcern", |d| {
                    let d = if a.weak {
                        d.i32("w", 1)
                    } else {
                        d.str("w", "majority")
                    };
                    d.bool("j", !a.weak).end();
                })
                .end();
            b.push(1);
            let at = b.len();
            b.extend_from_slice(&[0; 4]);
            b.extend_from_slice(b"documents\0");
            for _ in 0..a.batch {
                self.counter += 1;
                let mut o = [0u8; 12];
                o[..4].copy_from_slice(&seconds.to_be_bytes());
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
            put_length(b, at);
        })
    }

    fn go(&mut self, net: &mut Net, c: usize) {
        let m = self.insert(fit(c + 1));
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
        let Some(n) = length(data).filter(|n| *n <= data.len()) else {
            return 0;
        };
        let reply = Reply::of(&data[..n]);
        if !reply.ok || reply.failed || reply.n != self.a.batch as u64 {
            self.fatal = Some(format!(
                "insert answered {reply:?}: {}",
                String::from_utf8_lossy(data[..n].get(BODY..).unwrap_or_default())
            ));
            return n;
        }
        self.docs += reply.n;
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

/// The length field of a message.
fn length(data: &[u8]) -> Option<usize> {
    usize::try_from(i32::from_le_bytes(*data.first_chunk()?)).ok()
}

/// Runs one command on a new connection.
fn command(addr: &str, body: impl FnOnce(Doc)) -> Result<(), String> {
    let request = op_msg(1, |b| body(Doc::new(b)));
    let answer = exchange(addr, &request).map_err(|e| format!("{addr}: {e}"))?;
    if Reply::of(&answer).ok {
        return Ok(());
    }
    let reply = answer.get(BODY..).unwrap_or_default();
    Err(format!("{addr}: {}", String::from_utf8_lossy(reply)))
}

fn exchange(addr: &str, request: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = std::net::TcpStream::connect(addr)?;
    stream.write_all(request)?;
    let mut answer = vec![0; 4];
    stream.read_exact(&mut answer)?;
    answer.resize(length(&answer).unwrap_or(0).max(4), 0);
    stream.read_exact(&mut answer[4..])?;
    Ok(answer)
}

fn drop_database(a: &MongoArgs) -> Result<(), String> {
    command(&a.addr, |d| {
        d.i32("dropDatabase", 1).str("$db", &a.db).end();
    })
}

fn create_index(a: &MongoArgs) -> Result<(), String> {
    let index = |d: Doc| {
        d.doc("key", |d| d.i32("room", 1).i32("created_at", 1).end())
            .str("name", "room_1_created_at_1")
            .end();
    };
    command(&a.addr, |d| {
        d.str("createIndexes", "messages")
            .array("indexes", |d| d.doc("0", index).end())
            .str("$db", &a.db)
            .end();
    })
}

impl<'a> Probe<'a> {
    fn new(a: &'a MongoArgs) -> Probe<'a> {
        let [low, high, ..] = std::process::id().to_le_bytes();
        let [_, time, ..] = now().to_le_bytes();
        Probe {
            a,
            seed: [1, high, low, time, 7],
            counter: 0,
            sent_at: Vec::new(),
            docs: 0,
            cmds: 0,
            lat: hist(),
            measuring: false,
            stop: false,
            text: crate::sender::lorem(a.msg_bytes),
            fatal: None,
            rooms: (0..20u8)
                .map(|i| [0x66, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, i])
                .collect(),
            open: 0,
        }
    }

    fn run_until(&mut self, net: &mut Net, watch: &mut Watch, until: u64) -> Result<(), String> {
        loop {
            let t = now();
            if t >= until {
                return Ok(());
            }
            watch.tick(t);
            net.poll(self, Some((until - t).min(100_000_000)))
                .map_err(|e| e.to_string())?;
            if let Some(f) = &self.fatal {
                return Err(f.clone());
            }
        }
    }
}

pub fn run(a: &MongoArgs) -> Outcome {
    let mut watch = Watch::new(&a.pid, &[])?;
    drop_database(a)?;
    if !a.no_index {
        create_index(a)?;
    }
    let mut net = Net::new(a.wait)?;
    let mut app = Probe::new(a);
    let addr = std::net::ToSocketAddrs::to_socket_addrs(&a.addr)
        .map_err(|e| e.to_string())?
        .next()
        .ok_or("no address")?;
    for _ in 0..a.conns {
        net.connect(addr, None, None).map_err(|e| e.to_string())?;
    }
    app.run_until(&mut net, &mut watch, now() + ns(a.warmup))?;
    if app.open < a.conns {
        return Err(format!(
            "only {} of {} connections are open",
            app.open, a.conns
        ));
    }
    app.measuring = true;
    let from = watch.sample();
    let (docs, cmds) = (app.docs, app.cmds);
    app.run_until(&mut net, &mut watch, from.at + ns(a.secs))?;
    let to = watch.sample();
    let (docs, cmds) = (app.docs - docs, app.cmds - cmds);
    app.stop = true;
    app.run_until(&mut net, &mut watch, now() + 500_000_000)?;
    drop_database(a)?;
    let seconds = (to.at - from.at) as f64 / 1e9;
    let mut resources = watch.report(&from, &to, docs, 0);
    if let Some(server) = resources["server"].as_object_mut() {
        server.insert("cpu_us_per_insert".into(), server["cpu_us_per_ack"].clone());
    }
    let write_concern = if a.weak {
        "w:1 j:false"
    } else {
        "w:majority j:true"
    };
    let result = json!({
        "scenario": "mongo-ceiling", "label": a.run.label,
        "params": {
            "conns": a.conns, "batch": a.batch, "msg_bytes": a.msg_bytes, "index": !a.no_index,
            "write_concern": write_concern,
        },
        "result": {
            "inserts_per_s": docs as f64 / seconds,
            "commands_per_s": cmds as f64 / seconds,
            "command_latency_ms": report::percentiles(&app.lat),
        },
        "resources": resources,
    });
    Ok((result, true))
}
