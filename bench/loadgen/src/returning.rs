//! Owns clients that are disconnected and reconnect: the messages each knows, the requests for the rest, and whether it
//! got each message once and in order. Does not know when they are disconnected.
//!
//! A room has one sender, which is never cut. So the room's number of a message is its place among the sender's.

mod receiving;

use crate::client::{Errors, Target, Vars};
use crate::dialect::{Dialect, ID_SYNC};
use crate::net::Net;
use crate::num::fit;
use crate::report::{Hist, hist};
use crate::rooms::Room;
use crate::sender::{Sender, filling};
use crate::sio::Tag;
use crate::verify::RoomCheck;
use serde_json::{Value, json};

#[derive(Clone, Copy, PartialEq, Debug)]
enum State {
    Away,
    /// Its connection is being made.
    Coming,
    /// It requests the missed messages; live ones queue.
    Asking {
        id: u32,
    },
    /// It has caught up: all messages are live.
    Live,
}

struct Client {
    room: usize,
    /// Its place among the room's members; the sender is the first.
    place: usize,
    vars: Vars,
    connection: Option<usize>,
    state: State,
    /// It has all messages up to this number.
    known: u32,
    /// It has caught up once it knows this number.
    goal: u32,
    /// Its catching up has been counted.
    counted: bool,
    waiting: Vec<Tag>,
}

/// The owner of a connection.
#[derive(Clone, Copy)]
enum Owner {
    Sender(usize),
    Client(usize),
    /// It was cut.
    Cut,
}

/// Unexpected deliveries.
#[derive(Default)]
struct Faults {
    disconnects: u64,
    refused: u64,
    stray: u64,
    unknown: u64,
    wrong_number: u64,
    duplicate_acks: u64,
    errors: Errors,
}

pub struct Crowd {
    target: Target,
    dialect: Dialect,
    chats: Vec<String>,
    checks: Vec<RoomCheck>,
    senders: Vec<Sender>,
    sender_vars: Vec<Vars>,
    senders_ready: usize,
    /// By room: the sender has been acknowledged all messages up to this number.
    acked: Vec<u32>,
    clients: Vec<Client>,
    owners: Vec<Owner>,
    /// How many of the clients have begun to come; they begin in order.
    begun: usize,
    there: usize,
    back_at: Option<u64>,
    /// When the last client had caught up.
    pub last_there: u64,
    pub caught_up: Hist,
    /// Messages that the clients did not know when they came back.
    pub missed: u64,
    faults: Faults,
    sent: u64,
    unique: u64,
    expected: u64,
    next_sender: usize,
    scratch: Vec<u8>,
    pub fatal: Option<String>,
}

impl Crowd {
    /// The first member of each room sends.
    pub fn new(target: Target, plan: Vec<Room>, msg_bytes: usize) -> Crowd {
        let dialect = target.dialect;
        let filling = filling(msg_bytes);
        let rooms = plan.len();
        let mut crowd = Crowd {
            target,
            dialect,
            chats: Vec::with_capacity(rooms),
            checks: Vec::with_capacity(rooms),
            senders: Vec::with_capacity(rooms),
            sender_vars: Vec::with_capacity(rooms),
            senders_ready: 0,
            acked: vec![0; rooms],
            clients: Vec::new(),
            owners: Vec::new(),
            begun: 0,
            there: 0,
            back_at: None,
            last_there: 0,
            caught_up: hist(),
            missed: 0,
            faults: Faults::default(),
            sent: 0,
            unique: 0,
            expected: 0,
            next_sender: 0,
            scratch: Vec::new(),
            fatal: None,
        };
        for (index, room) in plan.into_iter().enumerate() {
            let mut sender = Sender::new(index, fit(index), 0);
            sender.template = dialect.message(&crowd.target.ns, &room.id, &filling);
            crowd.senders.push(sender);
            crowd
                .checks
                .push(RoomCheck::new(room.members.len(), 1, dialect.own()));
            crowd.chats.push(room.id);
            for (place, mut vars) in room.members.into_iter().enumerate() {
                (vars.i, vars.room, vars.member) = (index * 1000 + place, index, place);
                if place == 0 {
                    vars.auth = Some(json!({"token": vars.uid}).to_string());
                    crowd.sender_vars.push(vars);
                } else {
                    crowd.clients.push(Client::new(index, place, vars));
                }
            }
        }
        crowd
    }

    pub fn clients(&self) -> usize {
        self.clients.len()
    }

    /// Begins connections, up to so many at once: the senders' first.
    pub fn come(&mut self, net: &mut Net, at_once: usize) {
        if self.owners.is_empty() {
            for index in 0..self.senders.len() {
                self.start(net, Owner::Sender(index));
            }
        }
        while self.begun < self.clients.len() && self.begun - self.there < at_once {
            let index = self.begun;
            self.begun += 1;
            let client = &mut self.clients[index];
            client.state = State::Coming;
            let since = json!({"token": client.vars.uid, "since": {self.chats[client.room].as_str(): client.known}});
            client.vars.auth = Some(since.to_string());
            self.start(net, Owner::Client(index));
        }
    }

    fn start(&mut self, net: &mut Net, owner: Owner) {
        let vars = match owner {
            Owner::Client(index) => &self.clients[index].vars,
            Owner::Sender(index) => &self.sender_vars[index],
            Owner::Cut => return,
        };
        match self.target.start(net, vars) {
            Ok(connection) => {
                assert_eq!(connection, self.owners.len());
                self.owners.push(owner);
                if let Owner::Client(index) = owner {
                    self.clients[index].connection = Some(connection);
                }
            }
            Err(e) => self.fatal = Some(format!("connect: {e}")),
        }
    }

    /// All clients are connected and know the messages that had been acknowledged when they reconnected.
    pub fn all_there(&self) -> bool {
        self.there == self.clients.len() && self.senders_ready == self.senders.len()
    }

    /// The clients that are not, in words.
    pub fn missing(&self) -> String {
        let late = self.clients.iter().find(|each| !each.counted);
        let first =
            late.map(|each| format!("{:?}, knows {} of {}", each.state, each.known, each.goal));
        format!(
            "{} of {} have caught up; the first that has not: {first:?}",
            self.there,
            self.clients.len()
        )
    }

    /// Ends all clients' connections without a close frame.
    pub fn cut(&mut self, net: &mut Net) {
        for client in &mut self.clients {
            if let Some(connection) = client.connection.take() {
                net.drop_conn(connection);
                self.owners[connection] = Owner::Cut;
            }
            client.state = State::Away;
        }
    }

    /// From now on the clients reconnect, and catch up with the acknowledged messages.
    pub fn call_back(&mut self, t: u64) {
        self.back_at = Some(t);
        self.begun = 0;
        self.there = 0;
        for client in &mut self.clients {
            client.goal = self.acked[client.room];
            client.counted = false;
            self.missed += u64::from(client.goal.saturating_sub(client.known));
        }
    }

    /// The next sender sends a message.
    pub fn send_next(&mut self, net: &mut Net, t: u64) {
        let index = self.next_sender;
        self.next_sender = (index + 1) % self.senders.len();
        self.checks[index].sent(0);
        self.sent += 1;
        self.senders[index].send(net, &mut self.scratch, self.target.nonce, t);
    }

    /// All messages have been acknowledged and received by all clients.
    pub fn is_drained(&self) -> bool {
        let open = self.senders.iter().any(|each| each.in_flight > 0);
        !open && self.unique >= self.expected
    }

    pub fn verify(&self) -> (Value, bool) {
        let found = crate::verify::sum(self.checks.iter());
        let faults = &self.faults;
        let unacked = self
            .senders
            .iter()
            .map(|each| each.in_flight as u64)
            .sum::<u64>();
        let acked: u64 = self.acked.iter().map(|each| u64::from(*each)).sum();
        let ok = found.lost + found.duplicates + found.order_violations + unacked == 0
            && faults.disconnects + faults.refused + faults.stray + faults.unknown == 0
            && faults.wrong_number + faults.duplicate_acks + faults.errors.total == 0
            && acked > 0
            && self.missed > 0;
        let verify = json!({
            "ok": ok, "sent": self.sent, "acked": acked, "delivered_unique": self.unique, "expected_deliveries": self.expected,
            "lost": found.lost, "duplicates": found.duplicates, "order_violations": found.order_violations,
            "stray": faults.stray, "unknown": faults.unknown, "wrong_number": faults.wrong_number,
            "duplicate_acks": faults.duplicate_acks, "unacked": unacked, "refused": faults.refused,
            "disconnects": faults.disconnects, "errors": faults.errors.map,
        });
        (verify, ok)
    }

    /// A connection is one of its user's, in the sense of its dialect.
    fn joined(&mut self, net: &mut Net, c: usize, t: u64) {
        let owner = self.owners[c];
        let room = match owner {
            Owner::Sender(index) => index,
            Owner::Client(index) => self.clients[index].room,
            Owner::Cut => return,
        };
        let subscribe = self.dialect.subscribe(&self.chats[room]);
        match owner {
            Owner::Sender(_) if subscribe.is_none() => self.senders_ready += 1,
            Owner::Client(index) if self.dialect == Dialect::Socketio => {
                self.clients[index].state = State::Live; // `since` was the request
                self.look(index, t);
            }
            _ => {}
        }
        if let Some(request) = subscribe {
            net.send_text(c, &request);
        }
        if let (Owner::Client(index), true) = (owner, self.dialect != Dialect::Socketio) {
            self.ask(net, index);
        }
    }

    /// Requests the messages that a client does not know.
    fn ask(&mut self, net: &mut Net, index: usize) {
        let client = &mut self.clients[index];
        let id = match client.state {
            State::Asking { id } => id + 1,
            _ => ID_SYNC,
        };
        client.state = State::Asking { id };
        let chat = &self.chats[client.room];
        let request = self.dialect.sync(&self.target.ns, chat, client.known, id);
        if let Some(connection) = client.connection {
            net.send_text(connection, &request);
        }
    }
}

impl Client {
    fn new(room: usize, place: usize, vars: Vars) -> Client {
        Client {
            room,
            place,
            vars,
            connection: None,
            state: State::Away,
            known: 0,
            goal: 0,
            counted: false,
            waiting: Vec::new(),
        }
    }
}
