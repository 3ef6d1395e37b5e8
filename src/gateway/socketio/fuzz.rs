//! The packets of Socket.IO's events under fire, in both namespaces.
//! It refuses to drive: `crate::fuzz` does.

use serde_json::Value;
use serde_json::value::RawValue;

use super::conversation::{Asked, Tongue};
use super::marketplace::Marketplace;
use super::packet::{Request, name_of};
use super::wire::EventName;
use crate::fuzz::Target;
use crate::fuzz::bounds::{KINDS, hold_command, hold_error, is_code};
use crate::gateway::dialect::Frame;
use crate::gateway::dialect::plain::Plain;
use crate::model::{Error, UserId};

/// How much longer than its request a refusal may be, in bytes.
const ENVELOPE: usize = 8192;

/// The number under which an acknowledgement is asked for.
const ACK: i64 = 7;

/// Every target of this module.
pub const TARGETS: [Target; 2] = [EVENT_NAME, EVENTS];

const EVENT_NAME: Target = Target {
    name: "event-name",
    judge: |input| packets(&EventName(None), input, hold_exception),
};

const EVENTS: Target = Target {
    name: "events",
    judge: |input| {
        let user = UserId::from_bytes([1; 16]);
        packets(&Marketplace::new(user), input, hold_debug_info);
    },
};

/// What a refusal has to look like: `hold(name, frames without and with an acknowledgement)`.
type Hold = fn(&str, &[Frame], &[Frame]);

/// One socket, on which each line of the input is a packet.
fn packets(tongue: &dyn Tongue, input: &[u8], hold: Hold) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    for (line, kind) in text.lines().zip(KINDS.iter().cycle()) {
        let name = name_of(line);
        assert!(name.len() <= line.len());
        let error = match Request::parse(line) {
            Ok(request) => {
                assert_eq!(request.name, name, "{line}");
                hold_rewritten(tongue, &request);
                match tongue.read(request) {
                    Ok((command, _)) => {
                        hold_command(&command, line.len());
                        Error::new(*kind, "no")
                    }
                    Err(error) => error,
                }
            }
            Err(error) => error,
        };
        if error.message != "no" {
            hold_error(&error);
        }
        let asked = |ack| Asked {
            name: name.clone(),
            ack,
        };
        let told = tongue.refuse(&asked(None), &error);
        let acknowledged = tongue.refuse(&asked(Some(ACK)), &error);
        for frame in told.iter().chain(&acknowledged) {
            assert!(frame.weight() <= line.len() + ENVELOPE, "{frame:?}");
        }
        hold(&name, &told, &acknowledged);
    }
}

/// A packet survives being written, and asks for the same then.
fn hold_rewritten(tongue: &dyn Tongue, request: &Request) {
    let mut packet = vec![Value::from(request.name.clone())];
    packet.extend(request.arguments.iter().cloned());
    let written = Value::from(packet).to_string();
    let again = Request::parse(&written).expect("it was a packet");
    assert_eq!(again.name, request.name);
    if again.arguments != request.arguments {
        // A number of which the library reads the last digit in one way and writes it in another.
        return;
    }
    let original = Request {
        name: request.name.clone(),
        arguments: request.arguments.clone(),
    };
    let (one, other) = (tongue.read(original), tongue.read(again));
    let command = |read: Result<(_, _), Error>| read.map(|(command, _)| command).ok();
    assert_eq!(command(one), command(other), "{written}");
}

fn parse(body: &RawValue) -> Value {
    let Plain(value) = serde_json::from_str(body.get()).expect("JSON");
    value
}

fn hold_body(error: &Value) {
    assert!(error["code"].as_str().is_some_and(is_code), "{error}");
    let message = error["message"].as_str();
    assert!(
        message.is_some_and(|message| !message.is_empty()),
        "{error}"
    );
}

/// PROTOCOL §2: `{"error"}` to the callback, else the event `exception`, which names its request.
fn hold_exception(name: &str, told: &[Frame], acknowledged: &[Frame]) {
    let [Frame::Event("exception", body)] = told else {
        panic!("no exception: {told:?}");
    };
    let body = parse(body);
    assert_eq!(body["event"], name);
    hold_body(&body["error"]);
    let [Frame::Ack(ACK, body)] = acknowledged else {
        panic!("no acknowledgement: {acknowledged:?}");
    };
    hold_body(&parse(body)["error"]);
}

/// PROTOCOL §5: `debug_info`, and the same to the callback as well.
fn hold_debug_info(name: &str, told: &[Frame], acknowledged: &[Frame]) {
    let [Frame::Event("debug_info", body)] = told else {
        panic!("no debug_info: {told:?}");
    };
    let body = parse(body);
    hold_body(&body);
    let echo = body["event"].as_str().expect("a text");
    assert!(name.starts_with(echo) && echo.chars().count() <= 64);
    let [Frame::Event("debug_info", again), Frame::Ack(ACK, ack)] = acknowledged else {
        panic!("no acknowledgement: {acknowledged:?}");
    };
    assert_eq!(parse(again), body);
    hold_body(&parse(ack)["error"]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzz::likely::{Words, lines};
    use crate::fuzz::run;

    const EVENT_NAME_WORDS: Words = Words {
        samples: &[
            r#"["create-user",{"user":{"externalUserId":"anna","name":"Anna","photo":"p","imageUUID":"u"}}]"#,
            r#"["create-user",{"user":{"id":"01a20107-7bba-7000-8000-000000000001"}}]"#,
            r#"["create-chat",{"chat":{"name":"Lunch"},"users":["01a20107-7bba-7000-8000-000000000001"]}]"#,
            r#"["list-chats",{"user":{"id":"01a20107-7bba-7000-8000-000000000001"},"limit":50,"before":"1795313631698.1"}]"#,
            r#"["list-messages",{"chat":{"id":"01a20107-7bba-7000-8000-000000000001"},"query":{"from":"2025-03-01","to":"2025-03-01T10:00:00Z","limit":2,"before_seq":9,"after_seq":1}}]"#,
            r#"["new-message",{"room":"01a20107-7bba-7000-8000-000000000001","msg":"Soup?","type":"text","client_id":"c"}]"#,
            r#"["new-message","01a20107-7bba-7000-8000-000000000001",{"msg":"Soup?"}]"#,
            r#"["new-message",{"chat":{"id":"01a20107-7bba-7000-8000-000000000001"},"user":{"id":"01a20107-7bba-7000-8000-000000000001"},"message":{"value":"Soup?","type":"text"}}]"#,
        ],
        keys: &[
            "user",
            "externalUserId",
            "external_id",
            "username",
            "name",
            "avatar",
            "photo",
            "imageUUID",
            "id",
            "chat",
            "users",
            "limit",
            "before",
            "query",
            "from",
            "to",
            "before_seq",
            "after_seq",
            "room",
            "msg",
            "type",
            "client_id",
            "message",
            "value",
        ],
        texts: &[
            "create-user",
            "create-chat",
            "list-chats",
            "list-messages",
            "new-message",
            "exception",
            "01a20107-7bba-7000-8000-000000000001",
            "1795313631698.1",
            "2025-03-01",
            "9999-12-31T23:59:59Z",
        ],
    };

    const EVENTS_WORDS: Words = Words {
        samples: &[
            r#"["open_chat",{"eventId":1}]"#,
            r#"["send_message",{"chatId":"01010101-0101-0101-0101-010101010101","message":{"text":"","photos":["u1","u2"],"attachedPhotos":["u2"],"client_id":"mine"}}]"#,
            r#"["read_messages",{"chatId":"01010101-0101-0101-0101-010101010101","lastReadedMessageId":"1000000"}]"#,
            r#"["load_history",{"chatId":"01010101-0101-0101-0101-010101010101","lastMessageId":3}]"#,
            r#"["request_access",{"eventId":"1","message":"Let me in","client_id":"c"}]"#,
            r#"["grant_access",{"chatId":"01010101-0101-0101-0101-010101010101","granted":true}]"#,
        ],
        keys: &[
            "chatId",
            "eventId",
            "message",
            "text",
            "photos",
            "attachedPhotos",
            "client_id",
            "lastReadedMessageId",
            "lastMessageId",
            "granted",
        ],
        texts: &[
            "open_chat",
            "send_message",
            "read_messages",
            "load_history",
            "request_access",
            "grant_access",
            "01010101-0101-0101-0101-010101010101",
            "1",
            "u1",
        ],
    };

    #[test]
    fn packets_of_the_event_name_dialect() {
        run(&EVENT_NAME, &lines(EVENT_NAME_WORDS));
    }

    #[test]
    fn packets_of_the_marketplace() {
        run(&EVENTS, &lines(EVENTS_WORDS));
    }
}
