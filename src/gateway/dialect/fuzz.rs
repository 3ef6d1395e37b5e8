//! Fuzz targets of the raw dialects and of the texts that they share.
//! Does not run the targets: `crate::fuzz` does.

mod refusals;

use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::value::RawValue;

use self::refusals::{code, hold_action, hold_any, hold_marketplace, hold_type};
use super::cursors::CursorText;
use super::fixtures::{self, decode, texts};
use super::timestamps::Moment;
use super::untrusted_json::{UntrustedJson, from_str};
use super::{
    Acks, Autodetect, Decoded, DialectSession, Push, SessionOptions, action, marketplace, type_data,
};
use crate::fuzz::Target;
use crate::fuzz::fixtures::{CONNECTION, Fixture, ROOMS, USER};
use crate::fuzz::invariants::{KINDS, hold_command};
use crate::hub::{Outgoing, SharedEncoding};
use crate::model::{ChatPk, ChatRef, Clock, Command, Draft, Error, Fact, Notice, Reply};

/// How much longer than its request an answer without stored data may be, in bytes.
const ENVELOPE: usize = 4096;

/// Every target of this module.
pub const TARGETS: [Target; 6] = [ACTION, TYPE, MARKETPLACE, AUTODETECT, CURSOR, MOMENT];

const ACTION: Target = Target {
    name: "action",
    check: |input| conversation(&(action::DIALECT.begin)(options()), input, hold_action),
};

const TYPE: Target = Target {
    name: "type",
    check: |input| conversation(&(type_data::DIALECT.begin)(options()), input, hold_type),
};

const MARKETPLACE: Target = Target {
    name: "marketplace",
    check: |input| {
        let session = (marketplace::DIALECT.begin)(options());
        conversation(&session, input, hold_marketplace);
    },
};

const AUTODETECT: Target = Target {
    name: "undecided",
    check: |input| {
        let session: Arc<dyn DialectSession> = Arc::new(Autodetect::new(options()));
        conversation(&session, input, hold_any);
    },
};

const CURSOR: Target = Target {
    name: "cursor",
    check: |input| {
        let read = |text: &str| {
            CursorText::from_str(text)
                .ok()
                .map(|CursorText(place)| place)
        };
        if let Some(place) = std::str::from_utf8(input).ok().and_then(read) {
            assert_eq!(read(&CursorText(place).to_string()), Some(place));
        }
    },
};

const MOMENT: Target = Target {
    name: "moment",
    check: |input| {
        let Ok(text) = std::str::from_utf8(input) else {
            return;
        };
        let read = || Moment::from_str(text).ok();
        let Some((first, last)) = read().map(Moment::first).zip(read().map(Moment::last)) else {
            return;
        };
        assert!(first <= last, "{text}");
        let written = first.to_string();
        let again = Moment::from_str(&written).ok().map(Moment::first);
        assert_eq!(again, Some(first), "{text}");
    },
};

fn options() -> SessionOptions {
    SessionOptions {
        connection: CONNECTION,
        user: USER,
        clock: Clock::fixed(Timestamp::UNIX_EPOCH),
        zone: TimeZone::UTC,
        acks: Acks::Always,
        push: Push::On,
    }
}

/// Checks the form of a refusal: `hold(request, answer)`.
type Hold = fn(&str, &str);

/// One connection, on which each line of the input is a frame.
fn conversation(session: &Arc<dyn DialectSession>, input: &[u8], hold: Hold) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    hold(
        "",
        &only(&session.refuse(&fixtures::frame(""), &session.not_text())),
    );
    let mut service = Fixture::seeded();
    open(session, &mut service);
    let mut received = Received::default();
    for (line, kind) in text.lines().zip(KINDS.iter().cycle()) {
        received.add(line);
        let decoded = decode(session, line);
        // This frame may have decided the dialect.
        open(session, &mut service);
        let command = match decoded {
            Decoded::Refused(_, frames) => {
                hold_refusal(line, &only(&frames), hold);
                None
            }
            Decoded::Request(command, respond) => {
                hold_command(&command, line.len());
                let refused = only(&fixtures::respond(respond, Err(Error::new(*kind, "no"))));
                hold_refusal(line, &refused, hold);
                assert_eq!(code(&refused), kind.code(), "{refused}");
                execute(session, &mut service, line, received, hold);
                Some(command)
            }
        };
        hold_rewritten(session, line, command.as_ref());
    }
    for pk in ROOMS {
        change_and_delete(session, &mut service, pk, received);
    }
}

/// The most that an answer may hold after the frames so far: the store only has the seed besides.
#[derive(Default, Clone, Copy)]
struct Received {
    lines: usize,
    bytes: usize,
}

impl Received {
    const fn add(&mut self, line: &str) {
        self.lines += 1;
        self.bytes += line.len();
    }

    /// Checks that these frames are JSON, and no more and no longer than they may be.
    fn hold(self, frames: Vec<Outgoing>, most: usize) {
        assert!(frames.len() <= most, "{frames:?}");
        for frame in frames {
            let sent = only(&[frame]);
            assert!(is_json(&sent), "{sent}");
            // A text is written again, which makes at most six bytes of one, beside the echo.
            assert!(sent.len() <= self.bytes * 7 + ENVELOPE, "{sent}");
        }
    }
}

/// The initial data, if the dialect has any and it was not sent.
fn open(session: &Arc<dyn DialectSession>, service: &mut Fixture) {
    if let Some(command) = session.opening() {
        let reply = service.execute(&command).expect("initial data");
        let mut frames = Vec::new();
        session.opened(reply, &mut |frame| frames.push(frame));
        Received::default().hold(frames, 1);
    }
}

fn hold_refusal(line: &str, refused: &str, hold: Hold) {
    assert!(refused.len() <= line.len() + ENVELOPE, "{line} {refused}");
    hold(line, refused);
}

/// The service executes the request: checks the response, if there is one, and the frames of the
/// published notices.
fn execute(
    session: &Arc<dyn DialectSession>,
    service: &mut Fixture,
    line: &str,
    received: Received,
    hold: Hold,
) {
    if let Decoded::Request(command, respond) = decode(session, line) {
        let reply = service.execute(&command);
        let granted = reply.is_ok();
        let frames = fixtures::respond(respond, reply);
        if granted {
            received.hold(frames, 1);
        } else {
            hold_refusal(line, &only(&frames), hold);
        }
        for notice in service.notices() {
            let frames = fixtures::encode(&**session, &notice, &mut SharedEncoding::default());
            // One for each subscription, or a message with the state of its chat.
            received.hold(frames, received.lines.max(2));
        }
    }
}

/// The same JSON in another spelling decodes to the same request.
fn hold_rewritten(session: &Arc<dyn DialectSession>, line: &str, command: Option<&Command>) {
    let Some(written) = rewritten(line) else {
        return;
    };
    match (command, decode(session, &written)) {
        (Some(command), Decoded::Request(again, _)) => {
            assert!(is_same(command, &again), "{command:?} {again:?}");
        }
        (None, Decoded::Refused(..)) => {}
        // A field that is kept may be too long in one spelling only.
        (None, Decoded::Request(..)) => {
            assert!(code(&only_frame(session, line)) == "too_large", "{line}");
        }
        (Some(_), Decoded::Refused(_, frames)) => {
            assert!(code(&only(&frames)) == "too_large", "{line}");
        }
    }
}

/// The same JSON as the library writes it. `None`: it is no JSON.
fn rewritten(json: &str) -> Option<String> {
    let UntrustedJson(value) = from_str(json).ok()?;
    Some(value.to_string())
}

fn only_frame(session: &Arc<dyn DialectSession>, line: &str) -> String {
    match decode(session, line) {
        Decoded::Refused(_, frames) => only(&frames),
        Decoded::Request(command, _) => panic!("now it is a request: {command:?}"),
    }
}

/// A value that is no text is sent as its JSON: there the spelling matters.
fn is_same(one: &Command, other: &Command) -> bool {
    let (mut one, mut other) = (one.clone(), other.clone());
    let json = |draft: &Draft| from_str(&draft.text).map(|UntrustedJson(value)| value);
    if let Some(one) = draft_mut(&mut one)
        && let Some(other) = draft_mut(&mut other)
        && let (Ok(value), Ok(same)) = (json(one), json(other))
        && value == same
    {
        one.text.clone_from(&other.text);
    }
    one == other
}

fn draft_mut(command: &mut Command) -> Option<&mut Draft> {
    match command {
        Command::SendMessage { draft, .. } => Some(draft),
        Command::RequestAccess { draft, .. } => draft.as_mut(),
        _ => None,
    }
}

/// A change and the end of this room as the connection is notified of them: in no more frames
/// than it has subscriptions.
fn change_and_delete(
    session: &Arc<dyn DialectSession>,
    service: &mut Fixture,
    pk: ChatPk,
    received: Received,
) {
    let get = Command::GetRoom {
        chat: ChatRef::Pk(pk),
        messages: 1000,
    };
    // The input may have deleted it.
    if let Ok(Reply::Room(room)) = service.execute(&get) {
        let chat = room.chat.id;
        let deleted = Fact::ChatDeleted { chat, pk };
        for fact in [Fact::ChatChanged(Arc::new(room)), deleted] {
            let notice = Notice {
                origin: None,
                fact,
                durable: None,
            };
            let frames = fixtures::encode(&**session, &notice, &mut SharedEncoding::default());
            received.hold(frames, received.lines);
        }
    }
}

fn only(frames: &[Outgoing]) -> String {
    match <[String; 1]>::try_from(texts(frames)) {
        Ok([text]) => text,
        Err(other) => panic!("not one frame: {other:?}"),
    }
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<&RawValue>(text).is_ok()
}

#[cfg(test)]
mod tests;
