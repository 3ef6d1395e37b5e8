//! Owns the members of chats: read from a file, printed by a command, or created on the server before a scenario
//! begins. Does not know the messages.

use crate::client::{Target, Vars, step};
use crate::dialect::Dialect;
use crate::net::{App, Net, Wait, now};
use crate::sio::{self, Pkt};
use serde_json::{Value, json};

/// Users being made at any one time, and the connections that they are made over: each answers one after the other.
const AT_ONCE: usize = 64;
const LINES: usize = 16;

/// A chat and its members.
pub struct Room {
    /// Empty until it is made.
    pub id: String,
    pub members: Vec<Vars>,
}

/// Rooms that are still to be made.
pub fn unmade(target: &Target, rooms: usize, members: usize) -> Vec<Room> {
    let member = |room, member| Vars {
        uid: target.uid(room, member),
        ..Default::default()
    };
    let room = |room| Room {
        id: String::new(),
        members: (0..members).map(|each| member(room, each)).collect(),
    };
    (0..rooms).map(room).collect()
}

/// Rooms that exist, from `--setup`: `file:PATH` or `cmd:COMMAND`.
pub fn read(how: &str) -> Result<Vec<Room>, String> {
    let text = if let Some(path) = how.strip_prefix("file:") {
        std::fs::read_to_string(path).map_err(|e| format!("{path}: {e}"))?
    } else if let Some(command) = how.strip_prefix("cmd:") {
        let output = std::process::Command::new("sh")
            .args(["-c", command])
            .stderr(std::process::Stdio::inherit())
            .output()
            .map_err(|e| e.to_string())?;
        if !output.status.success() {
            return Err(format!("setup command: {}", output.status));
        }
        String::from_utf8_lossy(&output.stdout).into_owned()
    } else {
        return Err(format!(
            "--setup must be create, file:PATH or cmd:COMMAND, not {how}"
        ));
    };
    let setup: Value = serde_json::from_str(&text).map_err(|e| format!("setup JSON: {e}"))?;
    let rooms = setup["rooms"].as_array();
    rooms
        .ok_or("setup JSON has no rooms")?
        .iter()
        .map(room)
        .collect()
}

fn room(json: &Value) -> Result<Room, String> {
    let members = json["members"].as_array();
    Ok(Room {
        id: id_text(&json["id"]).ok_or("a room without id")?,
        members: members
            .ok_or("a room without members")?
            .iter()
            .map(member)
            .collect(),
    })
}

fn member(json: &Value) -> Vars {
    let headers = json["headers"].as_array().into_iter().flatten();
    Vars {
        uid: id_text(&json["user_id"]).unwrap_or_default(),
        auth: (!json["auth"].is_null()).then(|| json["auth"].to_string()),
        query: json["query"].as_str().map(str::to_owned),
        headers: headers
            .filter_map(|each| each.as_str().map(str::to_owned))
            .collect(),
        ..Default::default()
    }
}

/// An id as text, whether it came as a text or as a number.
pub fn id_text(id: &Value) -> Option<String> {
    id.as_str()
        .map(str::to_owned)
        .or_else(|| id.as_u64().map(|number| number.to_string()))
}

/// Makes users and chats over a few Socket.IO connections, which are gone afterwards. Each room gets the id that its chat
/// has in this dialect.
pub fn make(
    target: &Target,
    rooms: &mut [Room],
    dialect: Dialect,
    timeout_s: u64,
) -> Result<(), String> {
    let users: Vec<(usize, String)> = rooms
        .iter()
        .enumerate()
        .flat_map(|(room, each)| {
            each.members
                .iter()
                .map(move |member| (room, member.uid.clone()))
        })
        .collect();
    let key = if dialect == Dialect::Socketio {
        "id"
    } else {
        "pk"
    };
    let mut maker = Maker {
        target,
        key,
        ids: vec![Vec::new(); rooms.len()],
        users,
        asked: 0,
        answered: 0,
        rooms,
        joined: 0,
        fatal: None,
    };
    let mut net = Net::new(Wait::Block)?;
    for _ in 0..LINES {
        let started = target.start_as(&mut net, &anonymous(), Dialect::Socketio);
        started.map_err(|e| format!("connect: {e}"))?;
    }
    let end = now() + timeout_s * 1_000_000_000;
    while maker.answered < maker.all() {
        maker.ask(&mut net);
        net.poll(&mut maker, Some(100_000_000))
            .map_err(|e| e.to_string())?;
        if let Some(fatal) = maker.fatal.take() {
            return Err(fatal);
        }
        if now() > end {
            return Err(format!(
                "users and chats took longer than {timeout_s} s to make"
            ));
        }
    }
    for line in 0..LINES {
        net.send_close(line);
    }
    net.flush_dirty(&mut maker);
    Ok(())
}

/// In open mode a connection that creates users has no user at first.
fn anonymous() -> Vars {
    Vars {
        query: Some(String::new()),
        ..Default::default()
    }
}

/// Requests all users, then all chats: the request ids count through both.
struct Maker<'a> {
    target: &'a Target,
    key: &'static str,
    /// Each user's room and external id.
    users: Vec<(usize, String)>,
    /// Each room's user ids, as the server gave them.
    ids: Vec<Vec<String>>,
    rooms: &'a mut [Room],
    asked: usize,
    answered: usize,
    joined: usize,
    fatal: Option<String>,
}

impl Maker<'_> {
    fn all(&self) -> usize {
        self.users.len() + self.rooms.len()
    }

    fn ask(&mut self, net: &mut Net) {
        // a chat is only made once all its members are there
        while self.joined == LINES
            && self.asked < self.all()
            && self.asked - self.answered < AT_ONCE
        {
            if self.asked == self.users.len() && self.answered < self.asked {
                return;
            }
            let id = u32::try_from(self.asked).unwrap_or(u32::MAX);
            let request = if let Some((_, name)) = self.users.get(self.asked) {
                let user = json!({"user": {"externalUserId": name}});
                self.target.event(id, "create-user", &user)
            } else {
                let room = self.asked - self.users.len();
                let chat =
                    json!({"chat": {"name": format!("bench {room}")}, "users": self.ids[room]});
                self.target.event(id, "create-chat", &chat)
            };
            net.send_text(self.asked % LINES, &request);
            self.asked += 1;
        }
    }

    fn answered(&mut self, id: usize, body: &[u8]) -> Option<()> {
        let answer: Value = serde_json::from_slice(body).ok()?;
        if let Some((room, _)) = self.users.get(id) {
            self.ids[*room].push(id_text(&answer[0]["user"]["id"])?);
        } else {
            let room = self.rooms.get_mut(id - self.users.len())?;
            room.id = id_text(&answer[0]["chat"][self.key])?;
        }
        self.answered += 1;
        Some(())
    }
}

impl App for Maker<'_> {
    fn on_text(&mut self, net: &mut Net, c: usize, text: &[u8], _now: u64) {
        match sio::parse(text) {
            Pkt::Ack { id, body } => {
                if self.answered(id as usize, body).is_none() {
                    let answer = String::from_utf8_lossy(body);
                    self.fatal = Some(format!("making users and chats was answered {answer}"));
                }
                self.ask(net);
            }
            packet => match step(net, c, self.target, &anonymous(), &packet) {
                Ok(joined) => self.joined += usize::from(joined),
                Err(e) => self.fatal = Some(e),
            },
        }
    }

    fn on_close(&mut self, _net: &mut Net, _c: usize, why: &str) {
        self.fatal = Some(format!(
            "a connection that makes users and chats was closed: {why}"
        ));
    }
}
