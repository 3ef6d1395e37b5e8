//! Owns a reference server. Does not store or check anything. Two uses: it shows how much the
//! generator can take before the generator is the limit, and with --fault that the verification catches faults.

mod fanout;
mod message;

use crate::dialect::Dialect;
use crate::net::{App, Net, Wait, now, server_text_frame};
use crate::num::fit;
use crate::sio::{self, Pkt};
use clap::Args;
use message::{Message, answer, long_id, number_after, text_after};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::convert::Infallible;

#[derive(Args, Clone, Debug)]
pub struct RefArgs {
    #[arg(long, default_value = "127.0.0.1:3000")]
    pub listen: std::net::SocketAddr,
    /// drop:N, dup:N, swap:N, stray:N, nack:N, loseack:N, kill:N: applied to every Nth delivery (or message); with
    /// `told:` before the name, to every Nth missed message of a reconnecting client, e.g. told:drop:50
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
    /// Remember the messages, for clients that reconnect
    #[arg(long)]
    pub remember: bool,
    #[arg(long)]
    pub pin: Option<String>,
    #[arg(long, default_value = "/")]
    pub namespace: String,
}

#[derive(Default)]
struct Room {
    users: Vec<usize>,
    listeners: Vec<usize>,
    head: u32,
    history: Vec<Message>,
}

struct Peer {
    dialect: Dialect,
    user: Option<usize>,
    /// By room: messages after this number are delivered live.
    live_after: HashMap<usize, u32>,
}

struct Ref {
    args: RefArgs,
    ns: String,
    fault: (String, u64),
    faults_counted: u64,
    users: HashMap<String, usize>,
    online: HashMap<usize, usize>,
    rooms: Vec<Room>,
    peers: HashMap<usize, Peer>,
    /// Frame held back by the swap fault, and its connection.
    held: Option<(usize, Vec<u8>)>,
    next_id: u64,
    last_stall: u64,
}

impl Ref {
    fn hit(&mut self, what: &str) -> bool {
        if self.fault.1 == 0 || self.fault.0 != what {
            return false;
        }
        self.faults_counted += 1;
        self.faults_counted.is_multiple_of(self.fault.1)
    }

    fn text(net: &mut Net, c: usize, body: &[u8]) {
        let mut frame = Vec::with_capacity(body.len() + 10);
        server_text_frame(body, &mut frame);
        net.send_raw(c, &frame);
    }

    /// From now on this connection receives the rooms of its user, or this room only.
    fn listen(&mut self, c: usize, only: Option<usize>) {
        let Some(peer) = self.peers.get_mut(&c) else {
            return;
        };
        for (index, room) in self.rooms.iter_mut().enumerate() {
            let here = peer.user.is_some_and(|user| room.users.contains(&user));
            if here && only.is_none_or(|each| each == index) && !room.listeners.contains(&c) {
                room.listeners.push(c);
                peer.live_after.insert(index, room.head);
            }
        }
    }

    fn user(&mut self, name: &str) -> usize {
        let next = self.users.len() + 1;
        *self.users.entry(name.to_string()).or_insert(next)
    }

    fn message(&mut self, net: &mut Net, c: usize, id: Option<u64>, room: u64, text: &[u8]) {
        let Some(Peer {
            dialect,
            user: Some(user),
            ..
        }) = self.peers.get(&c)
        else {
            return;
        };
        let (dialect, user) = (*dialect, *user);
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        let may = self
            .rooms
            .get(room)
            .is_some_and(|room| room.users.contains(&user));
        if !may || self.hit("nack") {
            let error = answer(
                dialect,
                &self.ns,
                id.unwrap_or(0),
                "error",
                b"{\"error\":{\"message\":\"refused\"}}",
            );
            return Self::text(net, c, &error);
        }
        self.next_id += 1;
        self.rooms[room].head += 1;
        let seq = self.rooms[room].head;
        let message = Message {
            id: self.next_id,
            seq,
            room,
            user,
            text: text.to_vec(),
        };
        let own = (dialect == Dialect::Type).then_some(c);
        self.tell_all(net, &message, own);
        if let Some(id) = id.filter(|_| !self.hit("loseack")) {
            let name = if dialect == Dialect::Action {
                "create_message"
            } else {
                "messageCreated"
            };
            Self::text(
                net,
                c,
                &answer(dialect, &self.ns, id, name, &message.body(dialect)),
            );
        }
        if self.args.remember {
            self.rooms[room].history.push(message);
        }
    }

    fn raw(&mut self, net: &mut Net, c: usize, dialect: Dialect, text: &[u8]) {
        let id = number_after(text, b"\"request_id\":");
        let message = match dialect {
            Dialect::Action => (
                number_after(text, b"\"pk\":"),
                text_after(text, b"\"message\":\""),
            ),
            _ => (
                number_after(text, b"\"chat\":"),
                text_after(text, b"\"text\":\""),
            ),
        };
        if let (Some(room), Some(words)) = message {
            return self.message(net, c, id, room, words);
        }
        let (Ok(asked), Some(id)) = (serde_json::from_slice::<Value>(text), id) else {
            return;
        };
        if let Some("subscribe_to_messages_in_room") = asked["action"].as_str() {
            self.listen(c, asked["pk"].as_u64().map(fit));
            return Self::text(
                net,
                c,
                &answer(dialect, "", id, "subscribe_to_messages_in_room", b"null"),
            );
        }
        let chats = if dialect == Dialect::Action {
            &asked["chats"]
        } else {
            &asked["data"]["chats"]
        };
        let pages = self.sync(c, dialect, chats);
        Self::text(net, c, &answer(dialect, "", id, "sync", &pages));
    }

    fn joined(&mut self, net: &mut Net, c: usize, auth: &[u8]) {
        Self::text(
            net,
            c,
            format!("40{}{{\"sid\":\"n{c}\"}}", self.ns).as_bytes(),
        );
        let auth: Value = serde_json::from_slice(auth).unwrap_or_default();
        let Some(token) = auth["token"].as_str() else {
            return;
        };
        let user = self.user(token);
        if let Some(peer) = self.peers.get_mut(&c) {
            peer.user = Some(user);
        }
        self.listen(c, None);
        for (name, known) in auth["since"].as_object().into_iter().flatten() {
            let room = usize::from_str_radix(name, 16).unwrap_or(usize::MAX);
            for message in self.missed(c, room, known.as_u64().map_or(0, fit)) {
                Self::text(net, c, &message.event(Dialect::Socketio, &self.ns));
            }
        }
    }

    fn event(&mut self, net: &mut Net, c: usize, id: Option<u32>, body: &[u8]) {
        let id = id.map(u64::from);
        if body.starts_with(b"[\"new-message\"") {
            let room = text_after(body, b"\"room\":\"")
                .and_then(|id| u64::from_str_radix(std::str::from_utf8(id).ok()?, 16).ok());
            if let (Some(room), Some(text)) = (room, text_after(body, b"\"msg\":\"")) {
                self.message(net, c, id, room, text);
            }
            return;
        }
        let Ok(asked) = serde_json::from_slice::<Value>(body) else {
            return;
        };
        let answered = match asked[0].as_str() {
            Some("create-user") => {
                let name = asked[1]["user"]["externalUserId"]
                    .as_str()
                    .unwrap_or_default();
                let user = self.user(name);
                self.online.insert(user, c);
                if let Some(peer) = self.peers.get_mut(&c) {
                    peer.user = Some(user);
                }
                json!({"user": {"id": long_id(user as u64), "externalUserId": name}})
            }
            Some("create-chat") => self.create_chat(&asked[1]),
            _ => json!({"error": {"message": "unknown event"}}),
        };
        let body = answered.to_string();
        Self::text(
            net,
            c,
            &answer(
                Dialect::Socketio,
                &self.ns,
                id.unwrap_or(0),
                "",
                body.as_bytes(),
            ),
        );
    }

    fn create_chat(&mut self, asked: &Value) -> Value {
        let users = asked["users"].as_array().into_iter().flatten();
        let users = users.filter_map(|id| usize::from_str_radix(id.as_str()?, 16).ok());
        let users: Vec<usize> = users.collect();
        let listeners = users
            .iter()
            .filter_map(|user| self.online.get(user).copied())
            .collect();
        self.rooms.push(Room {
            users,
            listeners,
            ..Room::default()
        });
        let pk = self.rooms.len() - 1;
        json!({"chat": {"id": long_id(pk as u64), "pk": pk, "name": asked["chat"]["name"], "users": asked["users"]}})
    }

    fn stall(&mut self, t: u64) {
        if self.args.stall_ms > 0
            && t.saturating_sub(self.last_stall) > self.args.stall_every_ms * 1_000_000
        {
            if self.last_stall > 0 {
                std::thread::sleep(std::time::Duration::from_millis(self.args.stall_ms));
            }
            self.last_stall = now();
        }
    }
}

impl App for Ref {
    fn on_ws_open(&mut self, net: &mut Net, c: usize, _t: u64) {
        let asked = net.conns[c].request_target.clone();
        let (path, query) = asked.split_once('?').unwrap_or((&asked, ""));
        let raw = [Dialect::Action, Dialect::Type]
            .into_iter()
            .find(|each| each.path() == Some(path));
        let dialect = raw.unwrap_or(Dialect::Socketio);
        let token = query
            .split('&')
            .find_map(|each| each.strip_prefix("token="));
        let user = token
            .filter(|_| raw.is_some())
            .map(|token| self.user(token));
        self.peers.insert(
            c,
            Peer {
                dialect,
                user,
                live_after: HashMap::new(),
            },
        );
        match dialect {
            Dialect::Socketio => {
                let open = format!(
                    "0{{\"sid\":\"s{c}\",\"upgrades\":[],\"pingInterval\":25000,\"pingTimeout\":20000,\"maxPayload\":1000000}}"
                );
                Self::text(net, c, open.as_bytes());
            }
            Dialect::Action => {}
            Dialect::Type => self.listen(c, None),
        }
    }

    fn on_text(&mut self, net: &mut Net, c: usize, text: &[u8], t: u64) {
        self.stall(t);
        let dialect = self
            .peers
            .get(&c)
            .map_or(Dialect::Socketio, |peer| peer.dialect);
        if dialect != Dialect::Socketio {
            return self.raw(net, c, dialect, text);
        }
        match sio::parse(text) {
            Pkt::Connect(auth) => self.joined(net, c, auth),
            Pkt::Event { id, body } => self.event(net, c, id, body),
            _ => {}
        }
    }

    fn on_close(&mut self, _net: &mut Net, c: usize, _why: &str) {
        self.peers.remove(&c);
        self.online.retain(|_, connection| *connection != c);
        for room in &mut self.rooms {
            room.listeners.retain(|each| *each != c);
        }
    }
}

/// Serves until it is killed.
pub fn run(args: &RefArgs) -> Result<Infallible, String> {
    crate::sys::prepare(0);
    if let Some(p) = &args.pin {
        crate::sys::pin(p)?;
    }
    let fault = match &args.fault {
        None => (String::new(), 0),
        Some(f) => {
            let (a, n) = f.rsplit_once(':').ok_or("--fault wants NAME:N")?;
            (
                a.to_string(),
                n.parse().map_err(|_| "--fault wants NAME:N")?,
            )
        }
    };
    let mut net = Net::new(Wait::Block)?;
    net.flush_per_batch = true;
    net.listen(args.listen).map_err(|e| e.to_string())?;
    let mut app = Ref {
        args: args.clone(),
        ns: sio::ns_prefix(&args.namespace),
        fault,
        faults_counted: 0,
        users: HashMap::new(),
        online: HashMap::new(),
        rooms: Vec::new(),
        peers: HashMap::new(),
        held: None,
        next_id: 0,
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
