//! fill: one chat with very many messages, written by several senders, and other chats. Does not read them: it records
//! the acknowledged messages, in `stored`.

use crate::client::{Common, Target, Vars, step};
use crate::lines::{self, Lines, Request};
use crate::net::{App, Net, now};
use crate::num::fit;
use crate::run::Outcome;
use crate::sender::filling;
use crate::sio::{self, Pkt, Tag};
use crate::stored::{Filled, Stored};
use clap::Args;
use serde_json::{Value, json};
use std::path::PathBuf;

#[derive(Args, Clone, Debug)]
pub struct FillArgs {
    /// Where to record the acknowledged messages
    #[arg(long)]
    pub state: PathBuf,
    /// Messages in the big chat
    #[arg(long, default_value_t = 1_000_000)]
    pub messages: usize,
    /// Messages in the big chat of an event, none of which its owner reads
    #[arg(long, default_value_t = 100_000)]
    pub market_messages: usize,
    /// Members of the big chat; the first is in all other chats, too
    #[arg(long, default_value_t = 10)]
    pub members: usize,
    /// How many of them write
    #[arg(long, default_value_t = 4)]
    pub senders: usize,
    /// Unacked messages in flight per sender
    #[arg(long, default_value_t = 128)]
    pub window: usize,
    /// Other chats of the first member, half of them of events
    #[arg(long, default_value_t = 200)]
    pub others: usize,
    /// Messages in each of them
    #[arg(long, default_value_t = 30)]
    pub in_others: usize,
    /// Length of a message's text in bytes (at least 50)
    #[arg(long, default_value_t = 128)]
    pub msg_bytes: usize,
}

const ID_USER: u32 = 1;
const ID_MSG: u32 = 16;

pub fn run(common: &Common, fill: &FillArgs) -> Outcome {
    if fill.members < 2 || !(1..=fill.members).contains(&fill.senders) {
        return Err(
            "--members: at least 2; --senders: at least 1, and no more than members".into(),
        );
    }
    std::fs::create_dir_all(&fill.state).map_err(|e| e.to_string())?;
    let target = Target::new(common)?;
    let nonce = target.nonce;
    let mut setup = Setup::create(Lines::new(target, common.wait)?, nonce, fill)?;
    let begin = now();
    let senders: Vec<&str> = setup.users[..fill.senders].iter().map(|u| &*u.0).collect();
    write(common, fill, nonce, &mut setup.chat, &senders)?;
    let ns = now() - begin;
    let guest = [setup.users[1].0.as_str()];
    write(common, fill, nonce, &mut setup.market, &guest)?;
    let stored = Stored {
        nonce,
        users: setup.users,
        chat: setup.chat,
        market: setup.market,
        chats: fill.others + 2,
        talks: fill.others / 2 + 1,
    };
    stored.save(&fill.state)?;
    Ok((
        json!({
            "scenario": "fill", "label": common.run.label,
            "params": {
                "messages": fill.messages, "market_messages": fill.market_messages, "members": fill.members,
                "senders": fill.senders, "window": fill.window, "others": fill.others, "msg_bytes": fill.msg_bytes,
            },
            "result": {"fill_s": ns as f64 / 1e9, "acked_msgs_per_s": fill.messages as f64 * 1e9 / ns as f64},
            "verify": {"ok": true, "answers": fill.messages + fill.market_messages, "errors": {}},
        }),
        true,
    ))
}

/// Users and chats, before the two big ones are filled.
struct Setup {
    users: Vec<(String, String)>,
    chat: Filled,
    market: Filled,
}

impl Setup {
    fn create(mut lines: Lines, nonce: u32, fill: &FillArgs) -> Result<Self, String> {
        let line = lines.http()?;
        let mut post = |path: &str, body: Value| -> Result<Value, String> {
            let path = format!("/api/v1{path}");
            lines::json(&lines.ask(line, &Request::Post(path, body))?.body)
        };
        let mut users = Vec::new();
        for i in 0..fill.members {
            let uid = format!("million-{nonce:08x}-{i}");
            let user = post("/users", json!({"externalUserId": uid}))?;
            users.push((uid, text(&user, "id")));
        }
        let ids: Vec<_> = users.iter().map(|(_, id)| id.clone()).collect();
        let talk = |post: &mut dyn FnMut(&str, Value) -> Result<Value, String>, guest: usize| {
            let event = post(
                "/events",
                json!({"eventOwnerId": ids[0], "name": "Picnic", "iconsUUIDs": [], "location": "ONLINE",
                       "dateFromS": 1_740_837_113, "dateToS": 1_740_844_313}),
            )?;
            post(
                &format!("/events/{}/chats", event["id"]),
                json!({"userId": ids[guest]}),
            )
        };
        let chat = post("/chats", json!({"name": "A million", "users": ids}))?;
        let market = talk(&mut post, 1)?;
        let mut messages = Vec::new();
        for i in 0..fill.others {
            let other = 1 + i % (fill.members - 1);
            let (id, senders) = if i % 2 == 0 {
                let chat = post(
                    "/chats",
                    json!({"name": format!("Other {i}"), "users": [ids[0], ids[other]]}),
                )?;
                (text(&chat, "id"), [0, other])
            } else {
                (talk_id(&talk(&mut post, other)?), [other, other])
            };
            for n in 0..fill.in_others {
                let body = json!({"userId": ids[senders[n % 2]], "text": format!("{n} of {i}")});
                messages.push(Request::Post(format!("/api/v1/chats/{id}/messages"), body));
            }
        }
        let mut on = vec![line];
        for _ in 1..16 {
            on.push(lines.http()?);
        }
        lines.series(&on, &messages)?;
        let pk = chat["pk"].as_u64().ok_or("a chat without a number")?;
        Ok(Setup {
            chat: Filled::new(text(&chat, "id"), pk, 0, fill.messages),
            market: Filled::new(talk_id(&market), 0, 1, fill.market_messages),
            users,
        })
    }
}

fn talk_id(talk: &Value) -> String {
    text(talk, "chatId")
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_default().to_string()
}

/// Writes the whole chat: each sender keeps its window full.
fn write(
    common: &Common,
    fill: &FillArgs,
    nonce: u32,
    chat: &mut Filled,
    senders: &[&str],
) -> Result<(), String> {
    let mut app = Writing {
        target: Target::new(common)?,
        nonce,
        window: fill.window,
        padding: filling(fill.msg_bytes),
        senders: senders.iter().map(|uid| Sender::of(uid)).collect(),
        left: chat.count(),
        open: chat.count(),
        chat,
        broken: None,
    };
    let mut net = Net::new(common.wait)?;
    for i in 0..app.senders.len() {
        let c = app.target.start(&mut net, &app.senders[i].vars);
        assert_eq!(c.map_err(|e| format!("connect: {e}"))?, i);
    }
    let mut moved = (now(), app.open);
    while app.open > 0 {
        net.poll(&mut app, Some(100_000_000))
            .map_err(|e| e.to_string())?;
        if let Some(why) = app.broken.take() {
            return Err(why);
        }
        if app.open != moved.1 {
            moved = (now(), app.open);
        } else if now() - moved.0 > 60_000_000_000 {
            return Err("nothing was acknowledged for a minute".into());
        }
    }
    if !app.chat.complete() {
        return Err("the numbers have holes".into());
    }
    Ok(())
}

struct Sender {
    vars: Vars,
    sent: u32,
}

impl Sender {
    fn of(uid: &str) -> Self {
        let uid = uid.to_string();
        Sender {
            vars: Vars {
                uid,
                ..Default::default()
            },
            sent: 0,
        }
    }
}

struct Writing<'a> {
    target: Target,
    nonce: u32,
    window: usize,
    padding: String,
    senders: Vec<Sender>,
    chat: &'a mut Filled,
    /// Messages to send yet.
    left: u64,
    /// Messages to be acknowledged yet.
    open: u64,
    broken: Option<String>,
}

impl Writing<'_> {
    fn send(&mut self, net: &mut Net, c: usize) {
        if self.left == 0 {
            return;
        }
        self.left -= 1;
        let number = self.senders[c].sent;
        self.senders[c].sent += 1;
        let tag = Tag {
            nonce: self.nonce,
            room: self.chat.room,
            sender: fit(c),
            seq: number,
            ts: now(),
        };
        let mut packet = format!("42{}{}", self.target.ns, ID_MSG + number).into_bytes();
        packet.extend_from_slice(b"[\"new-message\",{\"room\":\"");
        packet.extend_from_slice(self.chat.id.as_bytes());
        packet.extend_from_slice(b"\",\"msg\":\"");
        tag.write(&mut packet);
        packet.extend_from_slice(self.padding.as_bytes());
        packet.extend_from_slice(b"\"}]");
        net.send_text(c, &packet);
    }

    fn acked(&mut self, net: &mut Net, c: usize, id: u32, body: &[u8]) -> Result<(), String> {
        let refused = || format!("refused: {}", String::from_utf8_lossy(body));
        if id == ID_USER {
            sio::find_id(body).ok_or_else(refused)?;
            for _ in 0..self.window {
                self.send(net, c);
            }
            return Ok(());
        }
        let message = sio::find_id(body).ok_or_else(refused)?;
        let seq = seq(body).ok_or_else(refused)?;
        self.chat.acked(seq, fit(c), id - ID_MSG, message)?;
        self.open -= 1;
        self.send(net, c);
        Ok(())
    }
}

impl App for Writing<'_> {
    fn on_text(&mut self, net: &mut Net, c: usize, text: &[u8], _t: u64) {
        let packet = sio::parse(text);
        let done = match packet {
            Pkt::Event { .. } => return,
            Pkt::Ack { id, body } => self.acked(net, c, id, body),
            packet => step(net, c, &self.target, &self.senders[c].vars, &packet).map(|joined| {
                if joined {
                    let user = json!({"user": {"externalUserId": self.senders[c].vars.uid}});
                    net.send_text(c, &self.target.event(ID_USER, "create-user", &user));
                }
            }),
        };
        if let Err(why) = done {
            self.broken = Some(why);
        }
    }

    fn on_close(&mut self, _net: &mut Net, _c: usize, why: &str) {
        self.broken = Some(why.to_string());
    }
}

/// The number of a message in a body.
fn seq(body: &[u8]) -> Option<u64> {
    let rest = &body[memchr::memmem::find(body, b"\"seq\":")? + 6..];
    let end = rest.iter().position(|b| !b.is_ascii_digit())?;
    std::str::from_utf8(&rest[..end]).ok()?.parse().ok()
}
