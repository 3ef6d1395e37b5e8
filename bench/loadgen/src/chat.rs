//! Owns the messages of chat, fanout and rate: sends them, and verifies all deliveries. Does not know when the measured
//! window begins and ends: `flow` does.

mod arrival;

use crate::args::{Spec, Timing};
use crate::client::{Errors, Target, Vars, step};
use crate::dialect::{Decoded, ID_MESSAGE};
use crate::net::{App, Net, now};
use crate::num::{fit, whole};
use crate::report::{Hist, hist};
use crate::rooms::{self};
use crate::sender::{Sender, filling};
use crate::sio::{self, Tag};
use crate::verify::{Own, RoomCheck, Seen};

/// A refusal is an error of the run; so many end it.
const MAX_REFUSED: u64 = 1000;

struct Member {
    room: u32,
    idx: u32,
    /// Index into the senders.
    sender: Option<usize>,
    ready: bool,
    user_id: String,
    vars: Vars,
}

pub struct Room {
    id: String,
    /// The connection of its first member; the others follow.
    first: usize,
    pub check: RoomCheck,
}

/// Whether users and chats are made over the members' own connections, or are there.
#[derive(Clone, Copy, PartialEq)]
pub enum Setup {
    Create,
    Exists,
}

/// Unexpected deliveries.
#[derive(Default)]
pub struct Faults {
    pub disconnects: u64,
    pub refused: u64,
    pub duplicate_acks: u64,
    pub stray: u64,
    pub unknown: u64,
    pub untagged: u64,
    pub errors: Errors,
    /// The run cannot go on.
    pub fatal: Option<String>,
}

pub struct Chat<'a> {
    spec: &'a Spec,
    timing: &'a Timing,
    target: Target,
    concurrency: usize,
    setup: Setup,
    members: Vec<Member>,
    pub rooms: Vec<Room>,
    pub senders: Vec<Sender>,
    /// An acknowledgement is followed by the next message: the closed loop, while it lasts.
    pub refill: bool,
    started: usize,
    pub ready: usize,
    chats_started: usize,
    pub chats_done: usize,
    pub faults: Faults,
    pub other_events: u64,
    pub sent: u64,
    pub acked: u64,
    pub unique: u64,
    pub expected: u64,
    /// The measured window; ns.
    pub window: std::ops::Range<u64>,
    pub ack_latency: Hist,
    pub delivery_latency: Hist,
    pub lag: Hist,
    scratch: Vec<u8>,
    pub next_due: f64,
    next_sender: usize,
    dice: u64,
}

impl<'a> Chat<'a> {
    pub fn new(
        spec: &'a Spec,
        timing: &'a Timing,
        target: Target,
        concurrency: usize,
        setup: Setup,
        plan: Vec<rooms::Room>,
    ) -> Chat<'a> {
        let mut chat = Chat {
            spec,
            timing,
            target,
            concurrency,
            setup,
            members: Vec::new(),
            rooms: Vec::new(),
            senders: Vec::new(),
            refill: false,
            started: 0,
            ready: 0,
            chats_started: 0,
            chats_done: 0,
            faults: Faults::default(),
            other_events: 0,
            sent: 0,
            acked: 0,
            unique: 0,
            expected: 0,
            window: u64::MAX..u64::MAX,
            ack_latency: hist(),
            delivery_latency: hist(),
            lag: hist(),
            scratch: Vec::with_capacity(4096),
            next_due: 0.0,
            next_sender: 0,
            dice: 0x2545_F491_4F6C_DD1D,
        };
        for (index, room) in plan.into_iter().enumerate() {
            chat.add_room(index, room);
        }
        // in an open loop consecutive messages go to different rooms
        if spec.rate.is_some() {
            chat.senders.sort_by_key(|each| (each.local, each.room));
        }
        for (index, sender) in chat.senders.iter().enumerate() {
            chat.members[sender.connection].sender = Some(index);
        }
        chat
    }

    fn add_room(&mut self, index: usize, room: rooms::Room) {
        let first = self.members.len();
        let senders = self.spec.senders.min(room.members.len());
        self.rooms.push(Room {
            id: room.id,
            first,
            check: RoomCheck::new(room.members.len(), senders, self.target.dialect.own()),
        });
        for (place, mut vars) in room.members.into_iter().enumerate() {
            vars.i = self.members.len();
            vars.room = index;
            vars.member = place;
            if place < senders {
                self.senders
                    .push(Sender::new(vars.i, fit(index), fit(place)));
            }
            self.members.push(Member {
                room: fit(index),
                idx: fit(place),
                sender: None,
                ready: false,
                user_id: vars.uid.clone(),
                vars,
            });
        }
    }

    pub fn connections(&self) -> usize {
        self.members.len()
    }

    pub fn send(&mut self, net: &mut Net, sender: usize, ts: u64) {
        let sender = &mut self.senders[sender];
        self.rooms[sender.room as usize]
            .check
            .sent(sender.local as usize);
        self.sent += 1;
        sender.send(net, &mut self.scratch, self.target.nonce, ts);
    }

    /// The answer to a message.
    fn on_ack(&mut self, net: &mut Net, c: usize, seq: u32, body: &[u8], t: u64) {
        let Some(index) = self.members[c].sender else {
            let what = "message ack on a connection that sent none";
            return self.faults.errors.add(what);
        };
        let sender = &mut self.senders[index];
        let at = seq as usize;
        let Some(&ts) = sender.sent_at.get(at) else {
            return self.faults.errors.add("ack of a message that was not sent");
        };
        let check = &mut self.rooms[sender.room as usize].check;
        match (sio::find_id(body), Tag::find(body)) {
            (Some(id), Some(tag)) if tag.seq == seq => {
                if !check.ack(sender.local as usize, seq) {
                    self.faults.duplicate_acks += 1;
                    return;
                }
                sender.acked_id[at] = sio::hash(id);
                sender.in_flight -= 1;
                self.acked += 1;
                self.expected += check.members() as u64;
                if self.window.contains(&ts) {
                    self.ack_latency.add(t - ts);
                }
                if self.target.dialect.own() == Own::Answered {
                    self.delivered(ts, t);
                }
            }
            _ => {
                sender.in_flight -= 1;
                self.faults.refused += 1;
                let answer = String::from_utf8_lossy(body);
                self.faults
                    .errors
                    .add(&format!("new-message refused: {answer}"));
                if self.faults.refused >= MAX_REFUSED {
                    self.faults.fatal = Some(format!("{MAX_REFUSED} messages were refused"));
                }
            }
        }
        if self.refill {
            self.send(net, index, now());
        }
    }

    fn on_message(&mut self, c: usize, body: &[u8], t: u64) {
        let tag = match Tag::find(body) {
            Some(tag) if tag.nonce == self.target.nonce => tag,
            _ => {
                self.faults.untagged += 1;
                return;
            }
        };
        let member = &self.members[c];
        if tag.room != member.room {
            self.faults.stray += 1;
            return;
        }
        let room = &mut self.rooms[tag.room as usize];
        let place = member.idx as usize;
        match room.check.deliver(place, tag.sender as usize, tag.seq) {
            Seen::First => {
                // the body's id is compared once per message: it is encoded once for all members
                let sender = self.members[room.first + tag.sender as usize].sender;
                if let Some(sender) = sender {
                    let id = sio::find_id(body).map_or(0, sio::hash);
                    self.senders[sender].delivered_id[tag.seq as usize] = id;
                }
            }
            Seen::InOrder | Seen::OutOfOrder => {}
            Seen::Duplicate => return,
            Seen::Unknown => {
                self.faults.unknown += 1;
                return;
            }
        }
        self.delivered(tag.ts, t);
    }

    fn delivered(&mut self, ts: u64, t: u64) {
        self.unique += 1;
        if self.window.contains(&ts) {
            self.delivery_latency.add(t.saturating_sub(ts));
        }
    }

    /// Once every room has its id.
    pub fn write_templates(&mut self) {
        let filling = filling(self.timing.msg_bytes);
        for sender in &mut self.senders {
            let room = &self.rooms[sender.room as usize].id;
            sender.template = self.target.dialect.message(&self.target.ns, room, &filling);
        }
    }

    /// Sends what is due; answers the time of the next one.
    pub fn pump_rate(&mut self, net: &mut Net, rate: f64, until: u64) -> u64 {
        let gap = 1e9 / rate;
        loop {
            let due = whole(self.next_due);
            let t = now();
            if due > t || due >= until {
                return due.min(until);
            }
            let sender = self.next_sender;
            self.next_sender = (sender + 1) % self.senders.len();
            self.send(net, sender, due);
            self.lag.add(t - due);
            self.next_due += if self.spec.poisson {
                self.dice ^= self.dice << 13;
                self.dice ^= self.dice >> 7;
                self.dice ^= self.dice << 17;
                let u = ((self.dice >> 11) as f64 + 1.0) / (1u64 << 53) as f64;
                -u.ln() * gap
            } else {
                gap
            };
        }
    }
}

impl App for Chat<'_> {
    fn on_ws_open(&mut self, net: &mut Net, c: usize, _now: u64) {
        if self.target.dialect.path().is_some() {
            self.joined(net, c);
        }
    }

    fn on_text(&mut self, net: &mut Net, c: usize, text: &[u8], t: u64) {
        match self.target.dialect.decode(text) {
            Decoded::Message(body) => self.on_message(c, body, t),
            Decoded::Answer { id, body } if id >= ID_MESSAGE => {
                self.on_ack(net, c, id - ID_MESSAGE, body, t);
            }
            Decoded::Answer { id, body } => self.on_answer(c, id, body),
            Decoded::Behind(_) | Decoded::Other => self.other_events += 1,
            Decoded::Session(packet) => {
                match step(net, c, &self.target, &self.members[c].vars, &packet) {
                    Ok(true) => self.joined(net, c),
                    Ok(false) => {}
                    Err(e) => {
                        self.faults.errors.add(&e);
                        self.faults.fatal.get_or_insert(e);
                    }
                }
            }
        }
    }

    fn on_close(&mut self, _net: &mut Net, c: usize, why: &str) {
        self.faults.disconnects += 1;
        self.faults.errors.add(&format!("connection closed: {why}"));
        if !self.members[c].ready || self.sent == 0 {
            let what = format!("connection {c} failed during setup: {why}");
            self.faults.fatal.get_or_insert(what);
        }
    }
}
