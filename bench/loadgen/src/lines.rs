//! Request and answer over any transport of a chat server: Socket.IO, raw WebSocket, HTTP.
//! Does not know the requests: it measures from the first byte sent to the last one read.

use crate::client::{Target, Vars, step};
use crate::net::{self, App, Net, now};
use crate::sio::{self, Pkt};
use serde_json::Value;

/// How long an answer may take, ns.
const TIME_LIMIT: u64 = 60_000_000_000;

/// The transport of a connection.
#[derive(Clone, Copy, PartialEq)]
enum Speech {
    SocketIo,
    Raw,
    Http,
}

/// Something that is answered once.
pub enum Request {
    Emit(&'static str, Value),
    Frame(Value),
    Get(String),
    Post(String, Value),
}

/// An answer, and how long it took, ns.
pub struct Answer {
    pub body: Vec<u8>,
    pub ns: u64,
}

struct Line {
    speech: Speech,
    vars: Vars,
    up: bool,
    asked: u32,
    sent: u64,
    answer: Option<Answer>,
}

/// The connections of one scenario. On each one request is under way at a time; any frame on a raw one counts as its
/// answer, so no other client may write into its chats.
pub struct Lines {
    net: Net,
    state: State,
}

struct State {
    target: Target,
    lines: Vec<Line>,
    broken: Option<String>,
}

impl Lines {
    pub fn new(target: Target, wait: net::Wait) -> Result<Self, String> {
        Ok(Lines {
            net: Net::new(wait)?,
            state: State {
                target,
                lines: Vec::new(),
                broken: None,
            },
        })
    }

    /// A Socket.IO connection that acts as this user; returns the connection and the answer to `create-user`.
    pub fn socket_io(&mut self, uid: &str) -> Result<(usize, Value), String> {
        let vars = Vars {
            uid: uid.to_string(),
            ..Default::default()
        };
        let c = self.state.target.start(&mut self.net, &vars);
        let c = self.add(c, Speech::SocketIo, vars)?;
        let user = serde_json::json!({"user": {"externalUserId": uid}});
        let answer = self.ask(c, &Request::Emit("create-user", user))?;
        Ok((c, json(&answer.body)?))
    }

    /// A raw WebSocket.
    pub fn raw(&mut self, path: &str) -> Result<usize, String> {
        let addr = self.state.target.addr;
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: {addr}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {}\r\n\r\n",
            net::WS_KEY
        );
        let c = self.net.connect(addr, None, Some(head.into_bytes()));
        self.add(c, Speech::Raw, Vars::default())
    }

    /// An HTTP connection that stays open.
    pub fn http(&mut self) -> Result<usize, String> {
        let c = self.net.connect(self.state.target.addr, None, None);
        self.add(c, Speech::Http, Vars::default())
    }

    fn add(
        &mut self,
        c: std::io::Result<usize>,
        speech: Speech,
        vars: Vars,
    ) -> Result<usize, String> {
        let c = c.map_err(|e| format!("connect: {e}"))?;
        assert_eq!(c, self.state.lines.len());
        self.state.lines.push(Line {
            speech,
            vars,
            up: false,
            asked: 0,
            sent: now(),
            answer: None,
        });
        self.until(|state| state.lines[c].up)?;
        Ok(c)
    }

    /// The first frame of the server on this connection; timed from the beginning of the connection.
    pub fn greeting(&mut self, c: usize) -> Result<Answer, String> {
        self.until(|state| state.lines[c].answer.is_some())?;
        Ok(self.state.lines[c].answer.take().expect("an answer"))
    }

    pub fn ask(&mut self, c: usize, request: &Request) -> Result<Answer, String> {
        self.send(c, request);
        self.greeting(c)
    }

    /// Sends these requests over these connections, one at a time on each; the answers in the same order.
    pub fn series(&mut self, on: &[usize], requests: &[Request]) -> Result<Vec<Answer>, String> {
        let mut answers: Vec<Option<Answer>> = requests.iter().map(|_| None).collect();
        let mut doing: Vec<Option<usize>> = vec![None; on.len()];
        let (mut next, mut done) = (0, 0);
        while done < requests.len() {
            for (slot, c) in on.iter().enumerate() {
                if let (Some(i), true) = (doing[slot], self.state.lines[*c].answer.is_some()) {
                    answers[i] = self.state.lines[*c].answer.take();
                    doing[slot] = None;
                    done += 1;
                }
                if doing[slot].is_none() && next < requests.len() {
                    self.send(*c, &requests[next]);
                    doing[slot] = Some(next);
                    next += 1;
                }
            }
            if done < requests.len() {
                self.until(|state| on.iter().any(|c| state.lines[*c].answer.is_some()))?;
            }
        }
        Ok(answers.into_iter().flatten().collect())
    }

    pub fn close(&mut self, c: usize) {
        self.net.drop_conn(c);
    }

    fn send(&mut self, c: usize, request: &Request) {
        let line = &mut self.state.lines[c];
        line.answer = None;
        line.asked += 1;
        line.sent = now();
        let addr = self.state.target.addr;
        match request {
            Request::Emit(name, body) => {
                let packet = self.state.target.event(line.asked, name, body);
                self.net.send_text(c, &packet);
            }
            Request::Frame(frame) => self.net.send_text(c, frame.to_string().as_bytes()),
            Request::Get(path) => {
                let head = format!("GET {path} HTTP/1.1\r\nHost: {addr}\r\n\r\n");
                self.net.send_raw(c, head.as_bytes());
            }
            Request::Post(path, body) => {
                let body = body.to_string();
                let head = format!(
                    "POST {path} HTTP/1.1\r\nHost: {addr}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                );
                self.net.send_raw(c, head.as_bytes());
            }
        }
    }

    fn until(&mut self, ready: impl Fn(&State) -> bool) -> Result<(), String> {
        let end = now() + TIME_LIMIT;
        while !ready(&self.state) {
            if let Some(why) = self.state.broken.take() {
                return Err(why);
            }
            if now() > end {
                return Err("no answer within a minute".into());
            }
            self.net
                .poll(&mut self.state, Some(100_000_000))
                .map_err(|e| e.to_string())?;
        }
        Ok(())
    }
}

impl State {
    fn answered(&mut self, c: usize, body: &[u8], t: u64) {
        let line = &mut self.lines[c];
        let (body, ns) = (body.to_vec(), t.saturating_sub(line.sent));
        line.answer = Some(Answer { body, ns });
    }
}

impl App for State {
    fn on_ws_open(&mut self, _net: &mut Net, c: usize, _t: u64) {
        self.lines[c].up = self.lines[c].speech != Speech::SocketIo;
    }

    fn on_text(&mut self, net: &mut Net, c: usize, text: &[u8], t: u64) {
        if self.lines[c].speech == Speech::Raw {
            return self.answered(c, text, t);
        }
        let packet = sio::parse(text);
        if let Pkt::Ack { body, .. } = packet {
            return self.answered(c, body, t);
        }
        match step(net, c, &self.target, &self.lines[c].vars, &packet) {
            Ok(joined) => self.lines[c].up |= joined,
            Err(why) => self.broken = Some(why),
        }
    }

    fn on_raw(&mut self, _net: &mut Net, c: usize, data: &[u8], t: u64) -> usize {
        let Some(head) = memchr::memmem::find(data, b"\r\n\r\n") else {
            return 0;
        };
        let text = String::from_utf8_lossy(&data[..head]).to_ascii_lowercase();
        let length = text
            .lines()
            .find_map(|line| line.strip_prefix("content-length:"))
            .and_then(|n| n.trim().parse::<usize>().ok());
        let Some(length) = length else {
            self.broken = Some(format!("an answer without a length: {text}"));
            return data.len();
        };
        let end = head + 4 + length;
        if data.len() < end {
            return 0;
        }
        let body = &data[head + 4..end];
        if !text.starts_with("http/1.1 2") {
            let said = String::from_utf8_lossy(body);
            self.broken = Some(format!("{}: {said}", text.lines().next().unwrap_or("")));
        }
        self.answered(c, body, t);
        end
    }

    fn on_close(&mut self, _net: &mut Net, _c: usize, why: &str) {
        self.broken = Some(why.to_string());
    }
}

pub fn json(body: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(body).map_err(|e| format!("no JSON: {e}"))
}
