//! chat (closed loop), rate (open loop) and fanout: the same machine with other parameters.

use crate::client::{step, Common, Errors, Target, Vars};
use crate::net::{now, App, Net};
use crate::report::{self, hist, Hist};
use crate::sio::{self, Pkt, Tag};
use crate::sys::{Sample, Watch};
use crate::verify::{RoomCheck, Seen};
use clap::Args;
use serde_json::{json, Value};

#[derive(Args, Clone, Debug)]
pub struct Timing {
    /// Seconds of warm-up before the measured window
    #[arg(long, default_value_t = 2.0)]
    pub warmup: f64,
    /// Seconds measured
    #[arg(long, default_value_t = 10.0)]
    pub secs: f64,
    /// Length of the message text in bytes (at least 50)
    #[arg(long, default_value_t = 128)]
    pub msg_bytes: usize,
    /// After the window, wait this long for outstanding acks and deliveries, seconds
    #[arg(long, default_value_t = 10.0)]
    pub drain: f64,
    /// Pause between the last create-chat ack and the first message, ms
    #[arg(long, default_value_t = 300)]
    pub settle_ms: u64,
    /// How users and chats come to be: 'create' (create-user and create-chat over the socket), or 'file:PATH' or
    /// 'cmd:COMMAND' for chats that exist already and users that the handshake binds, as JSON:
    /// {"rooms":[{"id":"..","members":[{"user_id":"..","auth":{..},"query":"..","headers":[".."]}]}]}
    #[arg(long, default_value = "create")]
    pub setup: String,
}

pub struct Spec {
    pub scenario: &'static str,
    pub rooms: usize,
    pub members: usize,
    pub senders: usize,
    pub window: usize,
    /// total messages per second: open loop
    pub rate: Option<f64>,
    pub poisson: bool,
}

const ID_USER: u32 = 0;
const ID_CHAT: u32 = 1;
const ID_MSG: u32 = 16;

#[derive(PartialEq, Clone, Copy)]
enum Phase {
    Connect,
    Chats,
    Settle(u64),
    Warm(u64),
    Measure(u64),
    Drain(u64),
    Grace(u64),
    Done,
}

struct Member {
    room: u32,
    idx: u32,
    /// index into senders, or u32::MAX
    sender: u32,
    ready: bool,
    user_id: String,
    vars: Vars,
}

struct Room {
    id: String,
    first: usize,
    check: RoomCheck,
}

struct Sender {
    conn: usize,
    room: u32,
    local: u32,
    head: Vec<u8>,
    tail: Vec<u8>,
    ts: Vec<u64>,
    /// message id of the ack, and of the first delivery: they must agree
    ack_id: Vec<u64>,
    del_id: Vec<u64>,
    inflight: usize,
}

struct Chat<'a> {
    spec: &'a Spec,
    timing: &'a Timing,
    target: Target,
    concurrency: usize,
    create: bool,
    phase: Phase,
    members: Vec<Member>,
    rooms: Vec<Room>,
    senders: Vec<Sender>,
    started: usize,
    ready: usize,
    chats_started: usize,
    chats_done: usize,
    errors: Errors,
    fatal: Option<String>,
    disconnects: u64,
    nacks: u64,
    dup_acks: u64,
    stray: u64,
    unknown: u64,
    foreign_tag: u64,
    other_events: u64,
    sent: u64,
    acked: u64,
    unique: u64,
    expected: u64,
    t0: u64,
    t1: u64,
    ack_lat: Hist,
    del_lat: Hist,
    lag: Hist,
    scratch: Vec<u8>,
    next_due: f64,
    next_sender: usize,
    rng: u64,
}

impl Chat<'_> {
    fn send_one(&mut self, net: &mut Net, s: usize, ts: u64) {
        let snd = &mut self.senders[s];
        let seq = snd.ts.len() as u32;
        let tag = Tag {
            nonce: self.target.nonce,
            room: snd.room,
            sender: snd.local,
            seq,
            ts,
        };
        let b = &mut self.scratch;
        b.clear();
        b.extend_from_slice(b"42");
        b.extend_from_slice(self.target.ns.as_bytes());
        push_dec(b, ID_MSG + seq);
        b.extend_from_slice(&snd.head);
        tag.write(b);
        b.extend_from_slice(&snd.tail);
        snd.ts.push(ts);
        snd.ack_id.push(0);
        snd.del_id.push(0);
        snd.inflight += 1;
        self.rooms[snd.room as usize].check.sent(snd.local as usize);
        self.sent += 1;
        let conn = snd.conn;
        net.send_text(conn, &self.scratch);
    }

    fn sending(&self) -> bool {
        matches!(self.phase, Phase::Warm(_) | Phase::Measure(_))
    }

    fn on_ack(&mut self, net: &mut Net, c: usize, id: u32, body: &[u8], t: u64) {
        if id >= ID_MSG {
            let s = self.members[c].sender;
            if s == u32::MAX {
                return self
                    .errors
                    .add("message ack on a connection that sent none");
            }
            let seq = id - ID_MSG;
            let snd = &mut self.senders[s as usize];
            if seq as usize >= snd.ts.len() {
                return self.errors.add("ack of a message that was not sent");
            }
            let room = &mut self.rooms[snd.room as usize];
            match sio::find_id(body) {
                Some(mid) if memchr::memmem::find(body, b"\"msg\"").is_some() => {
                    if !room.check.ack(snd.local as usize, seq) {
                        self.dup_acks += 1;
                        return;
                    }
                    snd.ack_id[seq as usize] = sio::hash(mid);
                    self.acked += 1;
                    self.expected += room.check.members() as u64;
                    let ts = snd.ts[seq as usize];
                    if ts >= self.t0 && ts < self.t1 {
                        self.ack_lat.add(t - ts);
                    }
                }
                _ => {
                    self.nacks += 1;
                    self.errors.add(&format!(
                        "new-message refused: {}",
                        String::from_utf8_lossy(body)
                    ));
                    if self.nacks >= 1000 {
                        self.fatal = Some("1000 messages were refused".into());
                    }
                }
            }
            snd.inflight -= 1;
            if self.spec.rate.is_none() && self.sending() {
                self.send_one(net, s as usize, now());
            }
            return;
        }
        let v: Value = match serde_json::from_slice(body) {
            Ok(v) => v,
            Err(e) => {
                self.fatal = Some(format!("ack is not JSON: {e}"));
                return;
            }
        };
        let m = &mut self.members[c];
        match id {
            ID_USER => match id_text(&v[0]["user"]["id"]) {
                Some(u) => {
                    m.user_id = u;
                    m.ready = true;
                    self.ready += 1;
                }
                None => self.fatal = Some(format!("create-user answered {v}")),
            },
            ID_CHAT => match id_text(&v[0]["chat"]["id"]) {
                Some(u) => {
                    self.rooms[m.room as usize].id = u;
                    self.chats_done += 1;
                }
                None => self.fatal = Some(format!("create-chat answered {v}")),
            },
            _ => self.errors.add("ack with an id that was not asked for"),
        }
    }

    fn on_event(&mut self, c: usize, body: &[u8], t: u64) {
        if !body.starts_with(b"[\"new-message\"") {
            self.other_events += 1;
            return;
        }
        let Some(tag) = Tag::find(body) else {
            self.foreign_tag += 1;
            return;
        };
        if tag.nonce != self.target.nonce {
            self.foreign_tag += 1;
            return;
        }
        let m = &self.members[c];
        if tag.room != m.room {
            self.stray += 1;
            return;
        }
        let room = &mut self.rooms[tag.room as usize];
        match room
            .check
            .deliver(m.idx as usize, tag.sender as usize, tag.seq)
        {
            Seen::First => {
                // the body's id is compared once per message: it is encoded once for everybody
                let s = self.members[room.first + tag.sender as usize].sender as usize;
                self.senders[s].del_id[tag.seq as usize] = sio::find_id(body).map_or(0, sio::hash);
            }
            Seen::InOrder | Seen::OutOfOrder => {}
            Seen::Duplicate => return,
            Seen::Unknown => {
                self.unknown += 1;
                return;
            }
        }
        self.unique += 1;
        if tag.ts >= self.t0 && tag.ts < self.t1 {
            self.del_lat.add(t.saturating_sub(tag.ts));
        }
    }

    fn pump_connect(&mut self, net: &mut Net) {
        while self.started < self.members.len() && self.started - self.ready < self.concurrency {
            let i = self.started;
            match self.target.start(net, &self.members[i].vars) {
                Ok(c) => assert_eq!(c, i),
                Err(e) => {
                    self.fatal = Some(format!("connect: {e}"));
                    return;
                }
            }
            self.started += 1;
        }
    }

    fn pump_chats(&mut self, net: &mut Net) {
        while self.chats_started < self.rooms.len() && self.chats_started - self.chats_done < 32 {
            let r = self.chats_started;
            let first = self.rooms[r].first;
            let n = self.rooms[r].check.members();
            let users: Vec<&str> = self.members[first..first + n]
                .iter()
                .map(|m| m.user_id.as_str())
                .collect();
            let p = self.target.event(
                ID_CHAT,
                "create-chat",
                &json!({"chat": {"name": format!("bench {r}")}, "users": users}),
            );
            net.send_text(first, &p);
            self.chats_started += 1;
        }
    }

    fn build_senders(&mut self) {
        for s in 0..self.senders.len() {
            let room = self.senders[s].room as usize;
            let id = &self.rooms[room].id;
            let pad = self.timing.msg_bytes.saturating_sub(sio::TAG_LEN);
            let head = format!(
                "[\"new-message\",{{\"room\":{},\"msg\":\"",
                Value::from(id.as_str())
            )
            .into_bytes();
            let tail = format!(
                "{}\",\"type\":\"text\"}}]",
                "lorem ipsum dolor sit amet "
                    .chars()
                    .cycle()
                    .take(pad)
                    .collect::<String>()
            )
            .into_bytes();
            self.senders[s].head = head;
            self.senders[s].tail = tail;
        }
    }

    /// Sends what is due; answers the time of the next one.
    fn pump_rate(&mut self, net: &mut Net, until: u64) -> u64 {
        let rate = self.spec.rate.unwrap();
        let gap = 1e9 / rate;
        loop {
            let due = self.next_due as u64;
            let t = now();
            if due > t || due >= until {
                return due.min(until);
            }
            let s = self.next_sender;
            self.next_sender = (s + 1) % self.senders.len();
            self.send_one(net, s, due);
            self.lag.add(t - due);
            self.next_due += if self.spec.poisson {
                self.rng ^= self.rng << 13;
                self.rng ^= self.rng >> 7;
                self.rng ^= self.rng << 17;
                let u = ((self.rng >> 11) as f64 + 1.0) / (1u64 << 53) as f64;
                -u.ln() * gap
            } else {
                gap
            };
        }
    }
}

fn id_text(v: &Value) -> Option<String> {
    v.as_str()
        .map(str::to_owned)
        .or_else(|| v.as_u64().map(|n| n.to_string()))
}

fn push_dec(b: &mut Vec<u8>, mut v: u32) {
    let mut d = [0u8; 10];
    let mut i = 10;
    loop {
        i -= 1;
        d[i] = b'0' + (v % 10) as u8;
        v /= 10;
        if v == 0 {
            break;
        }
    }
    b.extend_from_slice(&d[i..]);
}

impl App for Chat<'_> {
    fn on_text(&mut self, net: &mut Net, c: usize, text: &[u8], t: u64) {
        match sio::parse(text) {
            Pkt::Event { body, .. } => self.on_event(c, body, t),
            Pkt::Ack { id, body } => self.on_ack(net, c, id, body, t),
            p => match step(net, c, &self.target, &self.members[c].vars, &p) {
                Ok(true) if self.create => {
                    let p = self.target.event(
                        ID_USER,
                        "create-user",
                        &json!({"user": {"externalUserId": self.members[c].vars.uid}}),
                    );
                    net.send_text(c, &p);
                }
                Ok(true) => {
                    self.members[c].ready = true;
                    self.ready += 1;
                }
                Ok(false) => {}
                Err(e) => {
                    self.errors.add(&e);
                    self.fatal.get_or_insert(e);
                }
            },
        }
    }

    fn on_close(&mut self, _net: &mut Net, c: usize, why: &str) {
        self.disconnects += 1;
        self.errors.add(&format!("connection closed: {why}"));
        if !self.members[c].ready || matches!(self.phase, Phase::Connect | Phase::Chats) {
            self.fatal
                .get_or_insert(format!("connection {c} failed during setup: {why}"));
        }
    }
}

fn read_setup(how: &str) -> Result<Value, String> {
    let text = if let Some(p) = how.strip_prefix("file:") {
        std::fs::read_to_string(p).map_err(|e| format!("{p}: {e}"))?
    } else if let Some(c) = how.strip_prefix("cmd:") {
        let o = std::process::Command::new("sh")
            .args(["-c", c])
            .stderr(std::process::Stdio::inherit())
            .output()
            .map_err(|e| e.to_string())?;
        if !o.status.success() {
            return Err(format!("setup command: {}", o.status));
        }
        String::from_utf8_lossy(&o.stdout).into_owned()
    } else {
        return Err(format!(
            "--setup must be create, file:PATH or cmd:COMMAND, not {how}"
        ));
    };
    serde_json::from_str(&text).map_err(|e| format!("setup JSON: {e}"))
}

pub fn run(common: &Common, timing: &Timing, spec: &Spec) -> Result<(Value, bool), String> {
    let target = Target::new(common)?;
    let mut watch = Watch::new(&common.pid, &common.also)?;
    let create = timing.setup == "create";
    // (chat id, members)
    let mut plan: Vec<(String, Vec<Vars>)> = Vec::new();
    if create {
        for r in 0..spec.rooms {
            let vars = (0..spec.members)
                .map(|m| Vars {
                    uid: target.uid(r, m),
                    ..Default::default()
                })
                .collect();
            plan.push((String::new(), vars));
        }
    } else {
        let v = read_setup(&timing.setup)?;
        for r in v["rooms"].as_array().ok_or("setup JSON has no rooms")? {
            let id = id_text(&r["id"]).ok_or("a room without id")?;
            let ms = r["members"].as_array().ok_or("a room without members")?;
            let vars = ms
                .iter()
                .map(|m| Vars {
                    uid: id_text(&m["user_id"]).unwrap_or_default(),
                    auth: (!m["auth"].is_null()).then(|| m["auth"].to_string()),
                    query: m["query"].as_str().map(str::to_owned),
                    headers: m["headers"]
                        .as_array()
                        .map(|a| {
                            a.iter()
                                .filter_map(|x| x.as_str().map(str::to_owned))
                                .collect()
                        })
                        .unwrap_or_default(),
                    ..Default::default()
                })
                .collect();
            plan.push((id, vars));
        }
    }
    let mut members = Vec::new();
    let mut rooms = Vec::new();
    let mut senders = Vec::new();
    for (r, (id, vars)) in plan.into_iter().enumerate() {
        let n = vars.len();
        let s_here = spec.senders.min(n);
        let first = members.len();
        for (m, mut v) in vars.into_iter().enumerate() {
            v.i = members.len();
            v.room = r;
            v.member = m;
            let sender = if m < s_here {
                senders.len() as u32
            } else {
                u32::MAX
            };
            if m < s_here {
                senders.push(Sender {
                    conn: members.len(),
                    room: r as u32,
                    local: m as u32,
                    head: vec![],
                    tail: vec![],
                    ts: vec![],
                    ack_id: vec![],
                    del_id: vec![],
                    inflight: 0,
                });
            }
            members.push(Member {
                room: r as u32,
                idx: m as u32,
                sender,
                ready: false,
                user_id: v.uid.clone(),
                vars: v,
            });
        }
        rooms.push(Room {
            id,
            first,
            check: RoomCheck::new(n, s_here),
        });
    }
    // in an open loop consecutive messages go to different rooms
    if spec.rate.is_some() {
        let mut order: Vec<usize> = (0..senders.len()).collect();
        order.sort_by_key(|&i| (senders[i].local, senders[i].room));
        let mut slots: Vec<Option<Sender>> = senders.into_iter().map(Some).collect();
        senders = order.iter().map(|&i| slots[i].take().unwrap()).collect();
        for (i, s) in senders.iter().enumerate() {
            members[s.conn].sender = i as u32;
        }
    }
    let total = members.len();
    if total + 64 > crate::sys::nofile() as usize {
        return Err(format!(
            "{total} connections, but the open files limit is {}",
            crate::sys::nofile()
        ));
    }
    let mut app = Chat {
        spec,
        timing,
        target,
        concurrency: common.concurrency,
        create,
        phase: Phase::Connect,
        members,
        rooms,
        senders,
        started: 0,
        ready: 0,
        chats_started: 0,
        chats_done: 0,
        errors: Errors::default(),
        fatal: None,
        disconnects: 0,
        nacks: 0,
        dup_acks: 0,
        stray: 0,
        unknown: 0,
        foreign_tag: 0,
        other_events: 0,
        sent: 0,
        acked: 0,
        unique: 0,
        expected: 0,
        t0: u64::MAX,
        t1: u64::MAX,
        ack_lat: hist(),
        del_lat: hist(),
        lag: hist(),
        scratch: Vec::with_capacity(4096),
        next_due: 0.0,
        next_sender: 0,
        rng: 0x2545_F491_4F6C_DD1D,
    };
    let mut net = Net::new().map_err(|e| e.to_string())?;
    net.wait = common.wait;
    let secs = |s: f64| (s * 1e9) as u64;
    let begin = now();
    let rss_before = watch.server.as_ref().map_or(0, |g| g.rss());
    let mut a: Option<(Sample, u64, u64, [u64; 4])> = None;
    let mut b: Option<(Sample, u64, u64, [u64; 4])> = None;
    let mut series: Vec<u64> = Vec::new();
    let mut series_at = (0u64, 0u64);
    let mut setup_ns = 0;
    loop {
        let t = now();
        watch.tick(t);
        let ios = [net.polls, net.reads, net.writes, net.busy_ns];
        let mut wake = t + 100_000_000;
        match app.phase {
            Phase::Connect => {
                app.pump_connect(&mut net);
                if app.ready == total {
                    app.phase = if app.create {
                        Phase::Chats
                    } else {
                        Phase::Settle(t + timing.settle_ms * 1_000_000)
                    };
                    continue;
                }
            }
            Phase::Chats => {
                app.pump_chats(&mut net);
                if app.chats_done == app.rooms.len() {
                    app.phase = Phase::Settle(t + timing.settle_ms * 1_000_000);
                }
            }
            Phase::Settle(until) if t >= until => {
                setup_ns = t - begin;
                app.build_senders();
                app.phase = Phase::Warm(t + secs(timing.warmup));
                app.next_due = t as f64;
                if spec.rate.is_none() {
                    for s in 0..app.senders.len() {
                        for _ in 0..spec.window {
                            app.send_one(&mut net, s, now());
                        }
                    }
                }
                continue;
            }
            Phase::Warm(until) if t >= until => {
                app.t0 = t;
                app.lag = hist();
                a = Some((watch.sample(), app.acked, app.unique, ios));
                series_at = (t, app.acked);
                app.phase = Phase::Measure(t + secs(timing.secs));
                continue;
            }
            Phase::Measure(until) if t >= until => {
                app.t1 = until.min(t);
                b = Some((watch.sample(), app.acked, app.unique, ios));
                app.phase = Phase::Drain(t + secs(timing.drain));
                continue;
            }
            Phase::Settle(u) => wake = wake.min(u),
            Phase::Warm(u) | Phase::Measure(u) => {
                wake = wake.min(u);
                if spec.rate.is_some() {
                    wake = wake.min(app.pump_rate(&mut net, u));
                }
                if matches!(app.phase, Phase::Measure(_)) && t - series_at.0 >= 1_000_000_000 {
                    series.push(
                        ((app.acked - series_at.1) as f64 * 1e9 / (t - series_at.0) as f64) as u64,
                    );
                    series_at = (t, app.acked);
                }
            }
            Phase::Drain(deadline) => {
                let open: usize = app.senders.iter().map(|s| s.inflight).sum();
                if (open == 0 && app.unique >= app.expected) || t >= deadline || app.disconnects > 0
                {
                    app.phase = Phase::Grace(t + 300_000_000);
                }
                wake = t + 10_000_000;
            }
            Phase::Grace(until) if t >= until => app.phase = Phase::Done,
            Phase::Grace(u) => wake = wake.min(u),
            Phase::Done => break,
        }
        if matches!(app.phase, Phase::Connect | Phase::Chats)
            && t - begin > common.setup_timeout * 1_000_000_000
        {
            app.fatal.get_or_insert(format!(
                "setup took longer than {} s: {}/{total} ready, {}/{} chats",
                common.setup_timeout,
                app.ready,
                app.chats_done,
                app.rooms.len()
            ));
        }
        if let Some(f) = &app.fatal {
            return Err(f.clone());
        }
        let t = now();
        net.poll(&mut app, Some(wake.saturating_sub(t)))
            .map_err(|e| e.to_string())?;
    }
    let end = now();
    let ((a, ack_a, del_a, io_a), (b, ack_b, del_b, io_b)) = (a.unwrap(), b.unwrap());

    // verification
    let (mut lost, mut never, mut unacked, mut dups, mut order) = (0, 0, 0, 0, 0);
    for r in &app.rooms {
        let x = r.check.finish();
        lost += x.lost;
        never += x.acked_never_delivered;
        unacked += x.delivered_unacked;
        dups += r.check.duplicates;
        order += r.check.order_violations;
    }
    let mut unfinished = 0u64;
    let mut unfinished_window = 0u64;
    let mut id_mismatch = 0u64;
    for s in &app.senders {
        for q in 0..s.ts.len() {
            if s.ack_id[q] == 0 {
                unfinished += 1;
                if s.ts[q] >= app.t0 && s.ts[q] < app.t1 {
                    unfinished_window += 1;
                    app.ack_lat.add(end - s.ts[q]); // at least this long: keeps the tail honest
                }
            } else if s.del_id[q] != 0 && s.del_id[q] != s.ack_id[q] {
                id_mismatch += 1;
            }
        }
    }
    let violations = lost + dups + order + app.stray + app.unknown + app.dup_acks + id_mismatch;
    let ok = violations == 0
        && app.nacks == 0
        && app.disconnects == 0
        && unfinished == 0
        && app.acked > 0;

    let wall = (b.at - a.at) as f64 / 1e9;
    let (acks, dels) = (ack_b - ack_a, del_b - del_a);
    let acks_s = acks as f64 / wall;
    let dels_s = dels as f64 / wall;
    let res = watch.report(&a, &b, acks, dels);
    let mut result = json!({
        "acked_msgs_per_s": acks_s,
        "deliveries_per_s": dels_s,
        "ack_latency_ms": report::percentiles(&app.ack_lat),
        "delivery_latency_ms": report::percentiles(&app.del_lat),
        "acks_per_s_series": series,
        "setup_s": setup_ns as f64 / 1e9,
        "connections": total,
        "rss_before_bytes": rss_before,
        "generator_reads_per_delivery": report::r3((io_b[1] - io_a[1]) as f64 / dels.max(1) as f64),
        "generator_busy_pct": report::r3((io_b[3] - io_a[3]) as f64 / (b.at - a.at) as f64 * 100.0),
    });
    if let Some(r) = spec.rate {
        result["target_rate"] = json!(r);
        result["generator_lag_ms"] = report::percentiles(&app.lag);
    }
    let verify = json!({
        "ok": ok, "sent": app.sent, "acked": app.acked, "delivered_unique": app.unique, "expected_deliveries": app.expected,
        "lost": lost, "acked_never_delivered": never, "duplicates": dups, "order_violations": order, "stray": app.stray,
        "unknown": app.unknown, "duplicate_acks": app.dup_acks, "id_mismatch": id_mismatch, "delivered_unacked": unacked,
        "unacked": unfinished, "unacked_in_window": unfinished_window, "refused": app.nacks, "disconnects": app.disconnects,
        "untagged_messages": app.foreign_tag, "other_events": app.other_events, "errors": app.errors.map,
    });
    let params = json!({
        "rooms": app.rooms.len(), "members": spec.members, "senders_per_room": spec.senders,
        "window": if spec.rate.is_some() { Value::Null } else { json!(spec.window) },
        "wait": common.wait.to_string(), "rate": spec.rate, "poisson": spec.poisson, "warmup_s": timing.warmup, "secs": timing.secs, "msg_bytes": timing.msg_bytes.max(sio::TAG_LEN),
    });
    for c in 0..total {
        net.say_bye(c);
    }
    net.flush_dirty(&mut app);
    Ok((
        json!({"scenario": spec.scenario, "label": common.label, "params": params, "result": result, "verify": verify, "resources": res}),
        ok,
    ))
}
