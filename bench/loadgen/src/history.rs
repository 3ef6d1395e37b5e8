//! history: pages of a very long chat, wherever in it they lie, and what else has to look at it.
//! It refuses to believe an answer: each is compared with what was acknowledged when it was filled.

use crate::client::{Common, Target};
use crate::lines::{self, Answer, Lines, Request};
use crate::report::{self, hist};
use crate::run::Outcome;
use crate::stored::{Filled, Shape, Stored};
use crate::sys::Watch;
use clap::Args;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;

#[derive(Args, Clone, Debug)]
pub struct HistoryArgs {
    /// What `fill` noted
    #[arg(long)]
    pub state: PathBuf,
    /// How often each question is asked, one at a time, and again eight at once
    #[arg(long, default_value_t = 1000)]
    pub reads: usize,
    /// Only questions whose name contains this
    #[arg(long, default_value = "")]
    pub only: String,
}

/// How many are asked at once, one on each line.
const AT_ONCE: usize = 8;

/// How many messages a page has.
const PAGE: u64 = 100;

/// Where the messages of an answer are, and which they have to be.
type Part = (&'static str, Shape, Chat, (u64, u64));

#[derive(Clone, Copy)]
enum Chat {
    Big,
    Market,
}

/// What an answer has to be.
enum Right {
    Messages(Part),
    /// Messages, the latest at the end of this time: looked up when the question is made.
    Chats(&'static str, usize),
    /// A list of at least so many.
    Any(&'static str),
}

/// A question that is asked again and again.
struct Question {
    name: &'static str,
    on: On,
    /// How often in relation to the others: those whose answers are large are asked less.
    share: usize,
    make: fn(&Known, &mut Dice) -> (Request, Right),
}

#[derive(Clone, Copy, PartialEq)]
enum On {
    SocketIo,
    Type,
    Action,
    Market,
    Http,
}

/// What the questions are about.
struct Known<'a> {
    stored: &'a Stored,
    /// Times, each with the number of the last message stored then.
    times: Vec<(String, u64)>,
}

struct Dice(u64);

impl Dice {
    /// A number of `first..=last`.
    fn roll(&mut self, first: u64, last: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        first + self.0 % (last + 1 - first)
    }
}

fn list(known: &Known, query: Value) -> Request {
    Request::Emit(
        "list-messages",
        json!({"chat": {"id": known.stored.chat.id}, "query": query}),
    )
}

fn rest(known: &Known, query: &str) -> Request {
    let chat = &known.stored.chat.id;
    Request::Get(format!("/api/v1/chats/{chat}/messages?limit={PAGE}{query}"))
}

fn market(known: &Known, before: u64) -> (Request, Right) {
    let data = json!({"chatId": known.stored.market.id, "lastMessageId": before});
    let range = (before.saturating_sub(50).max(1), before - 1);
    (
        Request::Frame(json!({"event": "load_history", "data": data})),
        Right::Messages(("/data/messages", Shape::Market, Chat::Market, range)),
    )
}

const SIO: &str = "/0/messages";
const REST: &str = "/messages";
const FULL: Shape = Shape::Full;

fn sio(request: Request, range: (u64, u64)) -> (Request, Right) {
    (request, Right::Messages((SIO, FULL, Chat::Big, range)))
}

fn http(request: Request, range: (u64, u64)) -> (Request, Right) {
    (request, Right::Messages((REST, FULL, Chat::Big, range)))
}

impl Known<'_> {
    fn end(&self) -> u64 {
        self.stored.chat.count()
    }

    fn latest(&self, count: u64) -> (u64, u64) {
        (self.end() + 1 - count, self.end())
    }
}

const QUESTIONS: &[Question] = &[
    Question {
        name: "socket.io first page",
        on: On::SocketIo,
        share: 1,
        make: |known, _| {
            sio(
                list(known, json!({"after_seq": 0, "limit": PAGE})),
                (1, PAGE),
            )
        },
    },
    Question {
        name: "socket.io last page",
        on: On::SocketIo,
        share: 1,
        make: |known, _| sio(list(known, json!({"limit": PAGE})), known.latest(PAGE)),
    },
    Question {
        name: "socket.io after any",
        on: On::SocketIo,
        share: 1,
        make: |known, dice| {
            let after = dice.roll(0, known.end() - PAGE);
            sio(
                list(known, json!({"after_seq": after, "limit": PAGE})),
                (after + 1, after + PAGE),
            )
        },
    },
    Question {
        name: "socket.io before any",
        on: On::SocketIo,
        share: 1,
        make: |known, dice| {
            let before = dice.roll(PAGE + 1, known.end());
            sio(
                list(known, json!({"before_seq": before, "limit": PAGE})),
                (before - PAGE, before - 1),
            )
        },
    },
    Question {
        name: "socket.io up to any time",
        on: On::SocketIo,
        share: 1,
        make: |known, dice| {
            let (time, last) = &known.times[dice.roll(0, known.times.len() as u64 - 1) as usize];
            sio(
                list(known, json!({"to": time, "limit": PAGE})),
                (last + 1 - PAGE, *last),
            )
        },
    },
    Question {
        name: "rest first page",
        on: On::Http,
        share: 1,
        make: |known, _| http(rest(known, "&after_seq=0"), (1, PAGE)),
    },
    Question {
        name: "rest last page",
        on: On::Http,
        share: 1,
        make: |known, _| http(rest(known, ""), known.latest(PAGE)),
    },
    Question {
        name: "rest after any",
        on: On::Http,
        share: 1,
        make: |known, dice| {
            let after = dice.roll(0, known.end() - PAGE);
            http(
                rest(known, &format!("&after_seq={after}")),
                (after + 1, after + PAGE),
            )
        },
    },
    Question {
        name: "rest by cursor",
        on: On::Http,
        share: 1,
        make: |known, dice| {
            let before = dice.roll(PAGE + 1, known.end());
            http(
                rest(known, &format!("&cursor=b{before}")),
                (before - PAGE, before - 1),
            )
        },
    },
    Question {
        name: "type last page",
        on: On::Type,
        share: 1,
        make: |known, _| {
            let data = json!({"chatId": known.stored.chat.pk, "last": PAGE});
            let range = known.latest(PAGE);
            let frame = Request::Frame(json!({"type": "getChatMessages", "data": data}));
            (
                frame,
                Right::Messages(("/data", Shape::Paired, Chat::Big, range)),
            )
        },
    },
    Question {
        name: "market first page (50)",
        on: On::Market,
        share: 1,
        make: |known, _| market(known, 51),
    },
    Question {
        name: "market last page (50)",
        on: On::Market,
        share: 1,
        make: |known, _| market(known, known.stored.market.count() + 1),
    },
    Question {
        name: "market any page (50)",
        on: On::Market,
        share: 1,
        make: |known, dice| market(known, dice.roll(2, known.stored.market.count())),
    },
    Question {
        name: "socket.io sync of 100",
        on: On::SocketIo,
        share: 1,
        make: |known, _| sync(known, known.end() - PAGE, known.latest(PAGE)),
    },
    Question {
        name: "socket.io sync from 0 (1000)",
        on: On::SocketIo,
        share: 4,
        make: |known, _| sync(known, 0, (1, 1000.min(known.end()))),
    },
    Question {
        name: "action retrieve (1000)",
        on: On::Action,
        share: 4,
        make: |known, _| {
            let frame = json!({"action": "retrieve", "pk": known.stored.chat.pk, "request_id": 1});
            let range = known.latest(1000.min(known.end()));
            (
                Request::Frame(frame),
                Right::Messages(("/data/messages", Shape::Paired, Chat::Big, range)),
            )
        },
    },
    Question {
        name: "socket.io list-chats",
        on: On::SocketIo,
        share: 4,
        make: |known, _| {
            (
                Request::Emit("list-chats", json!({})),
                Right::Chats("/0/chats", known.stored.chats),
            )
        },
    },
    Question {
        name: "type getChats",
        on: On::Type,
        share: 4,
        make: |known, _| {
            let frame = json!({"type": "getChats", "data": {}});
            (
                Request::Frame(frame),
                Right::Chats("/data", known.stored.chats),
            )
        },
    },
    Question {
        name: "action list",
        on: On::Action,
        share: 4,
        make: |_, _| {
            (
                Request::Frame(json!({"action": "list", "request_id": 1})),
                Right::Any("/data"),
            )
        },
    },
    Question {
        name: "rest chats of a user",
        on: On::Http,
        share: 4,
        make: |known, _| {
            let path = format!("/api/v1/chats?limit=1000&user={}", known.stored.users[0].1);
            (
                Request::Get(path),
                Right::Chats("/chats", known.stored.chats),
            )
        },
    },
];

fn sync(known: &Known, after: u64, range: (u64, u64)) -> (Request, Right) {
    let chats: Map<_, _> = [(known.stored.chat.id.clone(), json!(after))]
        .into_iter()
        .collect();
    sio(Request::Emit("sync", json!({"chats": chats})), range)
}

pub fn run(common: &Common, history: &HistoryArgs) -> Outcome {
    let stored = Stored::load(&history.state)?;
    if stored.chat.count() < PAGE * 10 || stored.market.count() < PAGE {
        return Err("the chat is too short for pages".into());
    }
    let mut watch = Watch::new(&common.pid, &common.also)?;
    let mut lines = Lines::new(Target::new(common)?, common.wait)?;
    let known = Known {
        times: times(&mut lines, &stored, 200)?,
        stored: &stored,
    };
    let mut reading = Reading {
        known,
        dice: Dice(0x9E37_79B9_7F4A_7C15),
        lines,
        result: Map::new(),
        answers: 0,
        wrong: BTreeMap::new(),
    };
    let a = watch.sample();
    reading.greetings(history)?;
    for on in [On::SocketIo, On::Http, On::Type, On::Market, On::Action] {
        let questions: Vec<_> = QUESTIONS
            .iter()
            .filter(|question| question.on == on && question.name.contains(&history.only))
            .collect();
        if questions.is_empty() {
            continue;
        }
        let open = (0..AT_ONCE)
            .map(|_| reading.open(on))
            .collect::<Result<Vec<_>, _>>()?;
        for question in questions {
            let reads = (history.reads / question.share).max(1);
            reading.measure(question, "alone", &open[..1], reads)?;
            reading.measure(question, "8 at once", &open, reads)?;
        }
        for c in open {
            reading.lines.close(c);
        }
        watch.tick(crate::net::now());
    }
    let b = watch.sample();
    let ok = reading.wrong.is_empty();
    Ok((
        json!({
            "scenario": "history", "label": common.run.label,
            "params": {
                "messages": stored.chat.count(), "market_messages": stored.market.count(), "chats": stored.chats,
                "reads": history.reads, "wait": common.wait.to_string(),
            },
            "result": reading.result,
            "verify": {"ok": ok, "answers": reading.answers, "errors": reading.wrong},
            "resources": watch.report(&a, &b, 0, 0),
        }),
        ok,
    ))
}

/// Times at which something was stored, and the number of the last message of each.
fn times(lines: &mut Lines, stored: &Stored, count: u64) -> Result<Vec<(String, u64)>, String> {
    let (c, _) = lines.socket_io(&stored.users[0].0)?;
    let mut dice = Dice(0xD1CE);
    let mut times = Vec::new();
    for _ in 0..count {
        let after = dice.roll(PAGE, stored.chat.count() - 1000);
        let query =
            json!({"chat": {"id": stored.chat.id}, "query": {"after_seq": after, "limit": 1000}});
        let told = lines::json(&lines.ask(c, Request::Emit("list-messages", query))?.body)?;
        let messages = told[0]["messages"].as_array().ok_or("no messages")?;
        let time = |message: &Value| {
            message["created_at"]
                .as_str()
                .unwrap_or_default()
                .to_string()
        };
        let first = messages.first().map(time).unwrap_or_default();
        let same = messages
            .iter()
            .take_while(|message| time(message) == first)
            .count() as u64;
        // All thousand of one millisecond: it is not known where that ends.
        if same < messages.len() as u64 {
            times.push((first, after + same));
        }
    }
    lines.close(c);
    match times.is_empty() {
        true => Err("no time at which something was stored".into()),
        false => Ok(times),
    }
}

struct Reading<'a> {
    known: Known<'a>,
    dice: Dice,
    lines: Lines,
    result: Map<String, Value>,
    answers: u64,
    wrong: BTreeMap<String, u64>,
}

impl Reading<'_> {
    fn open(&mut self, on: On) -> Result<usize, String> {
        let uid = &self.known.stored.users[0].0;
        match on {
            On::SocketIo => Ok(self.lines.socket_io(uid)?.0),
            On::Http => self.lines.http(),
            On::Type => self.lines.raw(&format!("/ws/chats/?token={uid}&push=0")),
            On::Action => self.lines.raw(&format!("/ws/chat/room/?token={uid}")),
            On::Market => {
                let c = self.lines.raw(&format!("/ws/events/?token={uid}"))?;
                self.lines.greeting(c).map(|_| c)
            }
        }
    }

    /// Connecting in the marketplace dialect: the first frame tells everything.
    fn greetings(&mut self, history: &HistoryArgs) -> Result<(), String> {
        let name = "market initial_data";
        if !name.contains(&history.only) {
            return Ok(());
        }
        let uid = self.known.stored.users[0].0.clone();
        let mut told = Vec::new();
        for _ in 0..(history.reads / 10).max(1) {
            let c = self.lines.raw(&format!("/ws/events/?token={uid}"))?;
            told.push(self.lines.greeting(c)?);
            self.lines.close(c);
        }
        self.note(name, "alone", &told);
        for answer in &told {
            let right = self.initial_data(&answer.body);
            self.judge(name, right);
        }
        Ok(())
    }

    fn initial_data(&self, body: &[u8]) -> Result<(), String> {
        let told = lines::json(body)?;
        let events = told["data"].as_array().ok_or("no list of events")?;
        let stored = self.known.stored;
        let chats = || {
            events
                .iter()
                .filter_map(|event| event["chats"].as_array())
                .flatten()
        };
        if chats().count() != stored.talks {
            return Err(format!("{} chats of events", chats().count()));
        }
        let big = chats().find(|chat| chat["chatId"] == json!(stored.market.id));
        let big = big.ok_or("the big chat is missing")?;
        let (head, unread) = (stored.market.count(), &big["myUnreadCount"]);
        if *unread != json!(head) {
            return Err(format!("{unread} unread"));
        }
        let messages = big["messages"].as_array().ok_or("no messages")?;
        stored.check(&stored.market, Shape::Market, messages, (head - 199, head))
    }

    fn measure(
        &mut self,
        question: &Question,
        how: &str,
        on: &[usize],
        reads: usize,
    ) -> Result<(), String> {
        let asked = (0..reads).map(|_| (question.make)(&self.known, &mut self.dice));
        let (requests, rights): (Vec<_>, Vec<_>) = asked.unzip();
        let told = self.lines.series(on, &requests)?;
        self.note(question.name, how, &told);
        for (answer, right) in told.iter().zip(&rights) {
            let judged = self.right(right, &answer.body);
            self.judge(question.name, judged);
        }
        Ok(())
    }

    fn note(&mut self, name: &str, how: &str, told: &[Answer]) {
        let mut times = hist();
        for answer in told {
            times.add(answer.ns);
        }
        self.result
            .insert(format!("{name}, {how}"), report::percentiles(&times));
        self.answers += told.len() as u64;
    }

    fn judge(&mut self, name: &str, judged: Result<(), String>) {
        if let Err(why) = judged
            && self.wrong.len() < 20
        {
            *self.wrong.entry(format!("{name}: {why}")).or_default() += 1;
        }
    }

    fn right(&self, right: &Right, body: &[u8]) -> Result<(), String> {
        let told = lines::json(body)?;
        let said = || {
            String::from_utf8_lossy(body)
                .chars()
                .take(120)
                .collect::<String>()
        };
        let list = |at: &str| told.pointer(at).and_then(Value::as_array).ok_or_else(said);
        let stored = self.known.stored;
        match right {
            Right::Messages((at, shape, chat, range)) => {
                let filled: &Filled = match chat {
                    Chat::Big => &stored.chat,
                    Chat::Market => &stored.market,
                };
                let sync = format!("/0/chats/{}/messages", filled.id);
                let mut found = list(at).or_else(|_| list(&sync))?.clone();
                // With `last` the type dialect lists the newest first.
                if *at == "/data" {
                    found.reverse();
                }
                stored.check(filled, *shape, &found, *range)
            }
            Right::Chats(at, count) => {
                let chats = list(at)?;
                let ids: std::collections::BTreeSet<_> =
                    chats.iter().map(|chat| chat["id"].to_string()).collect();
                match chats.len() == *count && ids.len() == *count {
                    true => Ok(()),
                    false => Err(format!("{} chats instead of {count}", chats.len())),
                }
            }
            Right::Any(at) => match list(at)?.is_empty() {
                false => Ok(()),
                true => Err("an empty list".into()),
            },
        }
    }
}
