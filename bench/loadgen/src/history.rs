//! history: pages of a very long chat, anywhere in it, and other requests about it. Does not trust an answer: each is
//! compared with the messages that were acknowledged when it was filled.

mod questions;

use crate::client::{Common, Target};
use crate::lines::{self, Answer, Lines, Request};
use crate::report::{self, hist};
use crate::run::Outcome;
use crate::stored::{Filled, Shape, Stored};
use crate::sys::Watch;
use clap::Args;
use questions::{Chat, Dice, Known, On, PAGE, QUESTIONS, Question, Right};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;

#[derive(Args, Clone, Debug)]
pub struct HistoryArgs {
    /// The record of `fill`
    #[arg(long)]
    pub state: PathBuf,
    /// How often each request is sent, one at a time, and again eight at once
    #[arg(long, default_value_t = 1000)]
    pub reads: usize,
    /// Only requests whose name contains this
    #[arg(long, default_value = "")]
    pub only: String,
}

/// How many are sent at once, one on each connection.
const AT_ONCE: usize = 8;

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
        let parsed = lines::json(&lines.ask(c, &Request::Emit("list-messages", query))?.body)?;
        let messages = parsed[0]["messages"].as_array().ok_or("no messages")?;
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
    if times.is_empty() {
        return Err("no time at which something was stored".into());
    }
    Ok(times)
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

    /// Connecting in the marketplace dialect: the first frame has everything.
    fn greetings(&mut self, history: &HistoryArgs) -> Result<(), String> {
        let name = "market initial_data";
        if !name.contains(&history.only) {
            return Ok(());
        }
        let uid = self.known.stored.users[0].0.clone();
        let mut answers = Vec::new();
        for _ in 0..(history.reads / 10).max(1) {
            let c = self.lines.raw(&format!("/ws/events/?token={uid}"))?;
            answers.push(self.lines.greeting(c)?);
            self.lines.close(c);
        }
        self.note(name, "alone", &answers);
        for answer in &answers {
            let right = self.initial_data(&answer.body);
            self.judge(name, right);
        }
        Ok(())
    }

    fn initial_data(&self, body: &[u8]) -> Result<(), String> {
        let parsed = lines::json(body)?;
        let events = parsed["data"].as_array().ok_or("no list of events")?;
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
        let answers = self.lines.series(on, &requests)?;
        self.note(question.name, how, &answers);
        for (answer, right) in answers.iter().zip(&rights) {
            let judged = self.right(right, &answer.body);
            self.judge(question.name, judged);
        }
        Ok(())
    }

    fn note(&mut self, name: &str, how: &str, answers: &[Answer]) {
        let mut times = hist();
        for answer in answers {
            times.add(answer.ns);
        }
        self.result
            .insert(format!("{name}, {how}"), report::percentiles(&times));
        self.answers += answers.len() as u64;
    }

    fn judge(&mut self, name: &str, judged: Result<(), String>) {
        if let Err(why) = judged
            && self.wrong.len() < 20
        {
            *self.wrong.entry(format!("{name}: {why}")).or_default() += 1;
        }
    }

    fn right(&self, right: &Right, body: &[u8]) -> Result<(), String> {
        let parsed = lines::json(body)?;
        let error = || {
            String::from_utf8_lossy(body)
                .chars()
                .take(120)
                .collect::<String>()
        };
        let list = |at: &str| {
            parsed
                .pointer(at)
                .and_then(Value::as_array)
                .ok_or_else(error)
        };
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
                if chats.len() != *count || ids.len() != *count {
                    return Err(format!("{} chats instead of {count}", chats.len()));
                }
                Ok(())
            }
            Right::Any(at) if list(at)?.is_empty() => Err("an empty list".into()),
            Right::Any(_) => Ok(()),
        }
    }
}
