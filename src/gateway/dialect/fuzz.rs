//! The raw dialects and the texts that they share, under fire.
//! Does not drive: `crate::fuzz` does.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;
use serde_json::value::RawValue;

use super::cursors::Next;
use super::fixtures::{self, decode, texts};
use super::timestamps::Moment;
use super::untrusted_json::UntrustedJson;
use super::{
    Acks, Autodetect, Decoded, DialectSession, Push, SessionOptions, action, marketplace, type_data,
};
use crate::fuzz::bounds::{KINDS, hold_command, is_code};
use crate::fuzz::{Target, stage};
use crate::hub::{Outgoing, SharedEncoding};
use crate::model::{Clock, Command, ConnectionId, Error, Fact, Notice, UserId};

/// How much longer than its request an answer to it may be that has no news, in bytes.
const ENVELOPE: usize = 4096;

/// Every target of this module.
pub const TARGETS: [Target; 6] = [ACTION, TYPE, MARKETPLACE, UNDECIDED, CURSOR, MOMENT];

const ACTION: Target = Target {
    name: "action",
    judge: |input| conversation(&(action::DIALECT.begin)(options()), input, hold_action),
};

const TYPE: Target = Target {
    name: "type",
    judge: |input| conversation(&(type_data::DIALECT.begin)(options()), input, hold_type),
};

const MARKETPLACE: Target = Target {
    name: "marketplace",
    judge: |input| {
        let session = (marketplace::DIALECT.begin)(options());
        conversation(&session, input, hold_marketplace);
    },
};

const UNDECIDED: Target = Target {
    name: "undecided",
    judge: |input| {
        let session: Arc<dyn DialectSession> = Arc::new(Autodetect::new(options()));
        conversation(&session, input, hold_any);
    },
};

const CURSOR: Target = Target {
    name: "cursor",
    judge: |input| {
        let read = |text: &str| Next::from_str(text).ok().map(|Next(place)| place);
        if let Some(place) = std::str::from_utf8(input).ok().and_then(read) {
            assert_eq!(read(&Next(place).to_string()), Some(place));
        }
    },
};

const MOMENT: Target = Target {
    name: "moment",
    judge: |input| {
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
        connection: ConnectionId::from_bytes([1; 16]),
        user: UserId::from_bytes([1; 16]),
        clock: Clock::fixed(Timestamp::UNIX_EPOCH),
        zone: TimeZone::UTC,
        acks: Acks::Always,
        push: Push::On,
    }
}

/// What a refusal has to look like: `hold(request, answer)`.
type Hold = fn(&str, &str);

/// One connection, on which each line of the input is a frame.
fn conversation(session: &Arc<dyn DialectSession>, input: &[u8], hold: Hold) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    hold(
        "",
        &only(session.refuse(&fixtures::frame(""), &session.not_text())),
    );
    for (line, kind) in text.lines().zip(KINDS.iter().cycle()) {
        let command = match decode(session, line) {
            Decoded::Refused(_, frames) => {
                hold_refusal(line, &only(frames), hold);
                None
            }
            Decoded::Request(command, respond) => {
                hold_command(&command, line.len());
                let refused = only(fixtures::respond(respond, Err(Error::new(*kind, "no"))));
                hold_refusal(line, &refused, hold);
                assert_eq!(code(&refused), kind.code(), "{refused}");
                agree(session, line, &command);
                Some(command)
            }
        };
        hold_rewritten(session, line, command.as_ref());
    }
    tell(session, text);
}

fn hold_refusal(line: &str, refused: &str, hold: Hold) {
    assert!(refused.len() <= line.len() + ENVELOPE, "{line} {refused}");
    hold(line, refused);
}

/// The request is granted: what is answered then, if anything, is JSON, too.
fn agree(session: &Arc<dyn DialectSession>, line: &str, command: &Command) {
    if let Decoded::Request(_, respond) = decode(session, line)
        && let Some(reply) = stage::agree(command)
    {
        let frames = fixtures::respond(respond, Ok(reply));
        assert!(frames.len() <= 1, "{frames:?}");
        for frame in frames {
            let granted = only(vec![frame]);
            assert!(is_json(&granted), "{granted}");
            // A text is written again, which makes at most six bytes of one, beside the echo.
            assert!(granted.len() <= line.len() * 7 + ENVELOPE, "{granted}");
        }
    }
}

/// The same JSON in other letters asks for the same.
fn hold_rewritten(session: &Arc<dyn DialectSession>, line: &str, command: Option<&Command>) {
    let Some(written) = rewritten(line) else {
        return;
    };
    match (command, decode(session, &written)) {
        (Some(command), Decoded::Request(again, _)) => {
            assert!(is_same(command, &again), "{command:?} {again:?}");
        }
        (None, Decoded::Refused(..)) => {}
        // What is kept may be too long in one spelling only.
        (None, Decoded::Request(..)) => {
            assert!(code(&only_said(session, line)) == "too_large", "{line}")
        }
        (Some(_), Decoded::Refused(_, frames)) => {
            assert!(code(&only(frames)) == "too_large", "{line}");
        }
    }
}

/// The same JSON as the library writes it. `None`: it is no JSON, or has a number of which the
/// library reads the last digit in one way and writes it in another.
fn rewritten(json: &str) -> Option<String> {
    let UntrustedJson(value) = serde_json::from_str(json).ok()?;
    let written = value.to_string();
    let UntrustedJson(again) = serde_json::from_str(&written).ok()?;
    (again == value).then_some(written)
}

fn only_said(session: &Arc<dyn DialectSession>, line: &str) -> String {
    match decode(session, line) {
        Decoded::Refused(_, frames) => only(frames),
        Decoded::Request(command, _) => panic!("now it asks: {command:?}"),
    }
}

/// What is no text is sent as its JSON: there the letters matter.
fn is_same(one: &Command, other: &Command) -> bool {
    let (mut one, other) = (one.clone(), other.clone());
    if let Command::SendMessage { draft: one, .. } = &mut one
        && let Command::SendMessage { draft: other, .. } = &other
        && let (Ok(UntrustedJson(value)), Ok(UntrustedJson(same))) = (
            serde_json::from_str(&one.text),
            serde_json::from_str(&other.text),
        )
        && value == same
    {
        one.text.clone_from(&other.text);
    }
    one == other
}

/// What the connection has subscribed to is told in frames that are JSON, no more of them than
/// it asked for.
fn tell(session: &Arc<dyn DialectSession>, text: &str) {
    let asked = text.lines().count();
    for pk in [1, 4] {
        let room = stage::room(pk);
        let gone = Fact::ChatDeleted {
            chat: room.chat.id,
            pk,
        };
        for fact in [Fact::ChatChanged(Arc::new(room)), gone] {
            let notice = Notice {
                origin: None,
                fact,
                durable: None,
            };
            let frames = fixtures::encode(&**session, &notice, &mut SharedEncoding::default());
            assert!(frames.len() <= asked);
            for frame in frames {
                let told = only(vec![frame]);
                assert!(is_json(&told), "{told}");
                assert!(told.len() <= text.len() + ENVELOPE, "{told}");
            }
        }
    }
}

fn only(frames: Vec<Outgoing>) -> String {
    match <[String; 1]>::try_from(texts(&frames)) {
        Ok([text]) => text,
        Err(other) => panic!("not one frame: {other:?}"),
    }
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<&RawValue>(text).is_ok()
}

type Object<'a> = BTreeMap<String, &'a RawValue>;

/// The fields of an object, unread.
fn object(text: &str) -> Option<Object<'_>> {
    serde_json::from_str(text).ok()
}

/// A field that is there and not null, as it was written.
fn given<'a>(object: Option<&Object<'a>>, key: &str) -> Option<&'a str> {
    let value = object?.get(key)?.get();
    (value != "null").then_some(value)
}

/// The code in a refusal of any dialect.
fn code(refused: &str) -> String {
    let text = |json: &str| serde_json::from_str::<String>(json).expect("a text");
    let frame = object(refused).expect("an object");
    let frame = frame.get("payload").map_or(frame.clone(), |payload| {
        object(payload.get()).expect("an object")
    });
    if let Some(code) = frame.get("code") {
        return text(code.get());
    }
    if let Some(data) = frame.get("data").and_then(|data| object(data.get())) {
        return text(data["code"].get());
    }
    let code = match frame["response_status"].get() {
        "400" | "405" => "invalid",
        "401" => "unauthenticated",
        "403" => "forbidden",
        "404" => "not_found",
        "409" => "conflict",
        "413" => "too_large",
        "429" => "rate_limited",
        "500" => "internal",
        "503" => "unavailable",
        other => panic!("an unknown status: {other}"),
    };
    code.to_owned()
}

/// ORIGINALS A3, A7: the five keys, with the action and the id of the request as they came.
fn hold_action(request: &str, refused: &str) {
    let whole = object(request);
    let enveloped = whole
        .as_ref()
        .is_some_and(|whole| whole.contains_key("stream") && !whole.contains_key("action"));
    let answer = object(refused).expect("an object");
    let wrapped = answer.get("payload").map(|payload| payload.get());
    assert!(enveloped || wrapped.is_none(), "{refused}");
    let inner = match (&whole, wrapped) {
        (Some(whole), Some(_)) => {
            assert_eq!(given(Some(&answer), "stream"), given(Some(whole), "stream"));
            whole
                .get("payload")
                .and_then(|payload| object(payload.get()))
        }
        // A stream that is too long to be kept is not repeated, and nothing in it is read.
        _ if enveloped => None,
        (whole, _) => whole.clone(),
    };
    let reply = object(wrapped.unwrap_or(refused)).expect("an object");
    let keys: Vec<_> = reply.keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        ["action", "data", "errors", "request_id", "response_status"]
    );
    assert_eq!(reply["data"].get(), "null");
    let errors: Vec<Value> = serde_json::from_str(reply["errors"].get()).expect("a list");
    let [Value::String(_) | Value::Object(_)] = &errors[..] else {
        panic!("not one error: {refused}");
    };
    assert!(is_code(&code(refused)));
    for key in ["action", "request_id"] {
        assert_eq!(
            given(Some(&reply), key),
            given(inner.as_ref(), key),
            "{request} {refused}"
        );
    }
}

/// PROTOCOL §4: `{"type": "error", "message", "code"}`, with the id of the request as it came.
fn hold_type(request: &str, refused: &str) {
    let answer = object(refused).expect("an object");
    assert_eq!(answer["type"].get(), r#""error""#);
    let message: String = serde_json::from_str(answer["message"].get()).expect("a text");
    assert!(!message.is_empty());
    assert!(is_code(&code(refused)), "{refused}");
    let echo = given(Some(&answer), "request_id");
    assert_eq!(
        echo,
        given(object(request).as_ref(), "request_id"),
        "{request}"
    );
}

/// PROTOCOL §5: `debug_info`, with the beginning of the request's name.
fn hold_marketplace(request: &str, refused: &str) {
    let answer = object(refused).expect("an object");
    assert_eq!(answer["event"].get(), r#""debug_info""#);
    let Ok(UntrustedJson(data)) = serde_json::from_str(answer["data"].get()) else {
        panic!("no JSON: {refused}");
    };
    assert!(data["code"].as_str().is_some_and(is_code), "{refused}");
    assert!(
        data["message"]
            .as_str()
            .is_some_and(|text| !text.is_empty())
    );
    let echo = data["event"].as_str().expect("a text");
    assert!(echo.chars().count() <= 64);
    let Ok(UntrustedJson(frame)) = serde_json::from_str(request) else {
        return assert_eq!(echo, "");
    };
    let name = frame["event"].as_str().unwrap_or_default();
    assert!(name.starts_with(echo) && (echo == name || name.chars().count() > 64));
}

/// Until a frame has decided, and in whatever dialect it has decided for.
fn hold_any(request: &str, refused: &str) {
    let answer = object(refused).expect("an object");
    if answer.contains_key("response_status") || answer.contains_key("payload") {
        hold_action(request, refused);
    } else if answer.contains_key("event") {
        hold_marketplace(request, refused);
    } else {
        hold_type(request, refused);
    }
}

#[cfg(test)]
mod tests;
