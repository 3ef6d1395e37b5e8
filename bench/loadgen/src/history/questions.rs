//! The requests that history measures, and the expected response to each.

use crate::lines::Request;
use crate::num::fit;
use crate::stored::{Shape, Stored};
use serde_json::{Map, Value, json};

/// How many messages a page has.
pub(super) const PAGE: u64 = 100;

/// The place of the messages in an answer, and the expected ones.
pub(super) type Part = (&'static str, Shape, Chat, (u64, u64));

#[derive(Clone, Copy)]
pub(super) enum Chat {
    Big,
    Market,
}

/// The expected answer.
pub(super) enum Right {
    Messages(Part),
    /// Messages, the latest at the end of this time: looked up when the request is made.
    Chats(&'static str, usize),
    /// A list of at least so many.
    Any(&'static str),
}

/// A request that is sent again and again.
pub(super) struct Question {
    pub name: &'static str,
    pub on: On,
    /// How often in relation to the others: those with large answers are sent less often.
    pub share: usize,
    pub make: fn(&Known, &mut Dice) -> (Request, Right),
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum On {
    SocketIo,
    Type,
    Action,
    Market,
    Http,
}

/// The subject of the requests.
pub(super) struct Known<'a> {
    pub stored: &'a Stored,
    /// Times, each with the number of the last message stored then.
    pub times: Vec<(String, u64)>,
}

pub(super) struct Dice(pub(super) u64);

impl Dice {
    /// A number of `first..=last`.
    pub(super) fn roll(&mut self, first: u64, last: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        first + self.0 % (last + 1 - first)
    }
}

fn list(known: &Known, query: &Value) -> Request {
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

pub(super) const QUESTIONS: &[Question] = &[
    Question {
        name: "socket.io first page",
        on: On::SocketIo,
        share: 1,
        make: |known, _| {
            sio(
                list(known, &json!({"after_seq": 0, "limit": PAGE})),
                (1, PAGE),
            )
        },
    },
    Question {
        name: "socket.io last page",
        on: On::SocketIo,
        share: 1,
        make: |known, _| sio(list(known, &json!({"limit": PAGE})), known.latest(PAGE)),
    },
    Question {
        name: "socket.io after any",
        on: On::SocketIo,
        share: 1,
        make: |known, dice| {
            let after = dice.roll(0, known.end() - PAGE);
            sio(
                list(known, &json!({"after_seq": after, "limit": PAGE})),
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
                list(known, &json!({"before_seq": before, "limit": PAGE})),
                (before - PAGE, before - 1),
            )
        },
    },
    Question {
        name: "socket.io up to any time",
        on: On::SocketIo,
        share: 1,
        make: |known, dice| {
            let any = dice.roll(1, known.times.len() as u64) - 1;
            let (time, last) = &known.times[fit::<_, usize>(any)];
            sio(
                list(known, &json!({"to": time, "limit": PAGE})),
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
