//! Owns a reference server. It refuses to store or to check anything worth the name. Two uses: it shows how much the
//! generator can take before the generator is the limit, and with --fault that the verification catches faults.

use crate::net::{App, Net, now, server_text_frame};
use crate::sio::{self, Pkt};
use clap::Args;
use serde_json::{Value, json};
use std::collections::HashMap;

#[derive(Args, Clone, Debug)]
pub struct RefArgs {
    #[arg(long, default_value = "127.0.0.1:3000")]
    pub listen: std::net::SocketAddr,
    /// drop:N, dup:N, swap:N, stray:N, nack:N, loseack:N, kill:N: applied to every Nth delivery (or message)
    #[arg(long)]
    pub fault: Option<String>,
    /// Sleep this long, in ms, every --stall-every-ms: shows whether a latency figure hides a stall
    #[arg(long, default_value_t = 0)]
    pub stall_ms: u64,
    #[arg(long, default_value_t = 2000)]
    pub stall_every_ms: u64,
    /// One write per delivery, as a server without batching does
    #[arg(long)]
    pub no_batch: bool,
    #[arg(long)]
    pub pin: Option<String>,
    #[arg(long, default_value = "/")]
    pub namespace: String,
}

struct Ref {
    args: RefArgs,
    ns: String,
    fault: (String, u64),
    k: u64,
    users: HashMap<String, String>,
    online: HashMap<String, usize>,
    rooms: HashMap<String, Vec<usize>>,
    user_of: Vec<String>,
    /// frame held back by the swap fault: (conn, bytes)
    held: Option<(usize, Vec<u8>)>,
    next: u64,
    out: Vec<u8>,
    frame: Vec<u8>,
    last_stall: u64,
}

const WHEN: &str = "2026-01-01T00:00:00.000Z";

fn str_after<'a>(b: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    let i = memchr::memmem::find(b, key)? + key.len();
    Some(&b[i..i + memchr::memchr(b'"', &b[i..])?])
}

impl Ref {
    fn hit(&mut self, what: &str) -> bool {
        if self.fault.1 == 0 || self.fault.0 != what {
            return false;
        }
        self.k += 1;
        self.k.is_multiple_of(self.fault.1)
    }

    fn text(&mut self, net: &mut Net, c: usize, body: &[u8]) {
        self.frame.clear();
        server_text_frame(body, &mut self.frame);
        net.send_raw(c, &self.frame);
    }

    fn ack(&mut self, net: &mut Net, c: usize, id: Option<u32>, v: Value) {
        if let Some(id) = id {
            let p = format!("43{}{id}{}", self.ns, json!([v]));
            self.text(net, c, p.as_bytes());
        }
    }

    fn message(&mut self, net: &mut Net, c: usize, id: Option<u32>, body: &[u8]) {
        let (Some(room), Some(msg)) = (
            str_after(body, b"\"room\":\""),
            str_after(body, b"\"msg\":\""),
        ) else {
            return;
        };
        let room = std::str::from_utf8(room).unwrap_or("");
        let Some(to) = self.rooms.remove(room) else {
            return;
        };
        if !to.contains(&c) || self.hit("nack") {
            self.rooms.insert(room.to_string(), to);
            return self.ack(net, c, id, json!({"error": {"message": "refused"}}));
        }
        self.next += 1;
        let mut out = std::mem::take(&mut self.out);
        out.clear();
        let mid = format!("{:024x}", self.next);
        for part in [
            b"{\"id\":\"",
            mid.as_bytes(),
            b"\",\"room\":\"",
            room.as_bytes(),
            b"\",\"msg\":\"",
            msg,
            b"\",\"type\":\"text\",\"user_id\":\"",
            self.user_of[c].as_bytes(),
            b"\",\"created_at\":\"",
            WHEN.as_bytes(),
            b"\",\"modified_at\":\"",
            WHEN.as_bytes(),
            b"\"}",
        ] {
            out.extend_from_slice(part);
        }
        let mut ev = format!("42{}[\"new-message\",", self.ns).into_bytes();
        ev.extend_from_slice(&out);
        ev.push(b']');
        let mut f = Vec::with_capacity(ev.len() + 10);
        server_text_frame(&ev, &mut f);
        for &m in &to {
            if self.hit("drop") {
                continue;
            }
            if self.hit("swap") && self.held.is_none() {
                self.held = Some((m, f.clone()));
                continue;
            }
            net.send_raw(m, &f);
            if self.hit("dup") {
                net.send_raw(m, &f);
            }
            if let Some((h, hf)) = self.held.take() {
                if h == m && hf != f {
                    net.send_raw(h, &hf);
                } else {
                    self.held = Some((h, hf));
                }
            }
            if self.args.no_batch {
                net.flush_dirty(self);
            }
        }
        if self.hit("stray")
            && let Some(o) = self.rooms.values().next().and_then(|r| r.first())
        {
            net.send_raw(*o, &f);
        }
        if self.hit("kill") {
            net.drop_conn(to[to.len() - 1]);
        }
        if let Some(id) = id.filter(|_| !self.hit("loseack")) {
            let mut a = format!("43{}{id}[", self.ns).into_bytes();
            a.extend_from_slice(&out);
            a.push(b']');
            self.text(net, c, &a);
        }
        self.out = out;
        self.rooms.insert(room.to_string(), to);
    }
}

impl App for Ref {
    fn on_accept(&mut self, _net: &mut Net, c: usize) {
        self.user_of.resize(c + 1, String::new());
    }

    fn on_ws_open(&mut self, net: &mut Net, c: usize, _t: u64) {
        self.text(net, c, format!("0{{\"sid\":\"s{c}\",\"upgrades\":[],\"pingInterval\":25000,\"pingTimeout\":20000,\"maxPayload\":1000000}}").as_bytes());
    }

    fn on_text(&mut self, net: &mut Net, c: usize, text: &[u8], t: u64) {
        if self.args.stall_ms > 0
            && t.saturating_sub(self.last_stall) > self.args.stall_every_ms * 1_000_000
        {
            if self.last_stall > 0 {
                std::thread::sleep(std::time::Duration::from_millis(self.args.stall_ms));
            }
            self.last_stall = now();
        }
        match sio::parse(text) {
            Pkt::Connect(_) => {
                let p = format!("40{}{{\"sid\":\"n{c}\"}}", self.ns);
                self.text(net, c, p.as_bytes());
            }
            Pkt::Event { id, body } if body.starts_with(b"[\"new-message\"") => {
                self.message(net, c, id, body)
            }
            Pkt::Event { id, body } => {
                let Ok(v) = serde_json::from_slice::<Value>(body) else {
                    return;
                };
                match v[0].as_str() {
                    Some("create-user") => {
                        let ext = v[1]["user"]["externalUserId"]
                            .as_str()
                            .unwrap_or("")
                            .to_string();
                        let n = self.users.len();
                        let uid = self
                            .users
                            .entry(ext.clone())
                            .or_insert_with(|| format!("{n:024x}"))
                            .clone();
                        self.user_of[c] = uid.clone();
                        self.online.insert(uid.clone(), c);
                        self.ack(net, c, id, json!({"user": {"id": uid, "externalUserId": ext, "created_at": WHEN, "modified_at": WHEN}}));
                    }
                    Some("create-chat") => {
                        let rid = format!("{:024x}", 0xC0000000u64 + self.rooms.len() as u64);
                        let to = v[1]["users"]
                            .as_array()
                            .into_iter()
                            .flatten()
                            .filter_map(|u| self.online.get(u.as_str()?).copied())
                            .collect();
                        self.rooms.insert(rid.clone(), to);
                        self.ack(net, c, id, json!({"chat": {"id": rid, "name": v[1]["chat"]["name"], "users": v[1]["users"], "created_at": WHEN, "modified_at": WHEN}}));
                    }
                    _ => self.ack(net, c, id, json!({"error": {"message": "unknown event"}})),
                }
            }
            _ => {}
        }
    }
}

pub fn run(args: &RefArgs) -> Result<(), String> {
    if let Some(p) = &args.pin {
        crate::sys::pin(p)?;
    }
    let fault = match &args.fault {
        None => (String::new(), 0),
        Some(f) => {
            let (a, n) = f.split_once(':').ok_or("--fault wants NAME:N")?;
            (
                a.to_string(),
                n.parse().map_err(|_| "--fault wants NAME:N")?,
            )
        }
    };
    let mut net = Net::new().map_err(|e| e.to_string())?;
    net.flush_per_batch = true;
    net.listen(args.listen).map_err(|e| e.to_string())?;
    let mut app = Ref {
        args: args.clone(),
        ns: sio::ns_prefix(&args.namespace),
        fault,
        k: 0,
        users: HashMap::new(),
        online: HashMap::new(),
        rooms: HashMap::new(),
        user_of: vec![String::new()],
        held: None,
        next: 0,
        out: Vec::new(),
        frame: Vec::new(),
        last_stall: 0,
    };
    println!(
        "ready port={} pid={}",
        args.listen.port(),
        std::process::id()
    );
    loop {
        net.poll(&mut app, None).map_err(|e| e.to_string())?;
    }
}
