//! Fuzz targets for the packets of Socket.IO's events, in both namespaces.
//! Does not run the targets: `crate::fuzz` does.

use std::sync::Arc;

use engineioxide_core::ProtocolVersion;
use serde_json::Value;
use tungstenite::Utf8Bytes;

use super::native::Native;
use super::packet::{Kind, Packet, connect_error};
use crate::fuzz::Target;
use crate::fuzz::invariants::{KINDS, hold_command, hold_error, is_code};
use crate::gateway::dialect::event_name::EventNameSession;
use crate::gateway::dialect::fixtures::{self, packet};
use crate::gateway::dialect::incoming::Event;
use crate::gateway::dialect::marketplace::MarketplaceSession;
use crate::gateway::dialect::untrusted_json::UntrustedJson;
use crate::gateway::dialect::{Decoded, DialectSession};
use crate::hub::{AckId, Body, Outgoing};
use crate::model::{Command, Error, UserId};

/// How much longer than its request a refusal may be, in bytes.
const ENVELOPE: usize = 8192;

/// The ack id of the requests.
const ACK: AckId = AckId(7);

/// Every target of this module.
pub const TARGETS: [Target; 3] = [EVENT_NAME, EVENTS, PACKET];

const EVENT_NAME: Target = Target {
    name: "event-name",
    check: |input| {
        let session: Arc<dyn DialectSession> = Arc::new(EventNameSession::new(None));
        packets(&session, input, hold_exception);
    },
};

const EVENTS: Target = Target {
    name: "events",
    check: |input| {
        let user = UserId::from_bytes([1; 16]);
        let session: Arc<dyn DialectSession> = Arc::new(MarketplaceSession::new(user));
        packets(&session, input, hold_debug_info);
    },
};

const PACKET: Target = Target {
    name: "packet",
    check: |input| {
        let text = String::from_utf8_lossy(input);
        text.lines().for_each(hold_packet);
    },
};

/// Both sides take the same event; the library's has the same head, and a name without escapes.
fn hold_packet(text: &str) {
    let Some(packet) = Packet::parse(text) else {
        return;
    };
    for protocol in [ProtocolVersion::V3, ProtocolVersion::V4] {
        let auth = packet.auth(protocol, text);
        assert!(auth.is_object() || protocol == ProtocolVersion::V4);
        let refused = connect_error(
            protocol,
            packet.namespace,
            crate::model::ErrorKind::Forbidden,
        );
        assert!(refused.len() <= text.len() + 100);
    }
    let Some(list) = packet.list().filter(|_| packet.kind == Kind::Event) else {
        return;
    };
    hold_native(&packet, list, text);
    let given = packet.for_library(list, text);
    // An escape of two bytes becomes a character of three.
    assert!(given.len() <= 2 * text.len() + 8, "{given}");
    let again = Packet::parse(&given).expect("a packet");
    let head = |it: &Packet<'_>| (it.kind, it.attachments, it.namespace.to_owned());
    assert_eq!(head(&again), head(&packet), "{given}");
    let (number, data) = again.list().expect("a list");
    assert_eq!(number, list.0, "{given}");
    assert_eq!(again.for_library((number, data), &given), given);
    let data = data.strip_prefix('[').expect("a list").trim_start();
    assert!(data.starts_with('"'), "{given}");
    let mut names = serde_json::Deserializer::from_str(data).into_iter::<String>();
    if let Some(Ok(_)) = names.next() {
        let name = &data[..names.byte_offset()];
        assert!(!name.contains('\\'), "{given}");
    }
}

/// Without the library an event is the list that was sent, after as many attachments as it has.
fn hold_native(packet: &Packet<'_>, list: (&str, &str), text: &str) {
    let native = Native::default();
    let mut event = native.event(packet, list, &Utf8Bytes::from(text));
    for _ in 0..packet.attachments {
        assert_eq!(event, None);
        event = native.attachment();
    }
    let event = event.expect("all has come");
    assert_eq!(event.text, list.1);
    assert_eq!(event.ack, list.0.parse().ok());
    assert_eq!(event.attachments, packet.attachments > 0);
    assert_eq!(native.attachment(), None);
}

/// Checks the form of a refusal: `hold(name, frames without and with an acknowledgement)`.
type Hold = fn(&str, &[Outgoing], &[Outgoing]);

/// One socket, on which each line of the input is a packet.
fn packets(session: &Arc<dyn DialectSession>, input: &[u8], hold: Hold) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    for (line, kind) in text.lines().zip(KINDS.iter().cycle()) {
        let name = packet(line, None).request_ref().name;
        assert!(name.len() <= line.len());
        match packet(line, None).event() {
            Ok(event) => {
                assert_eq!(event.name, name, "{line}");
                hold_rewritten(session, &event);
            }
            Err(error) => hold_error(&error),
        }
        if let Some(command) = command(session, line) {
            hold_command(&command, line.len());
        }
        let refused = |ack| match Arc::clone(session).decode(&packet(line, ack)) {
            Decoded::Refused(_, frames) => frames,
            Decoded::Request(_, respond) => {
                fixtures::respond(respond, Err(Error::new(*kind, "no")))
            }
        };
        let (events, acknowledged) = (refused(None), refused(Some(ACK)));
        for frame in events.iter().chain(&acknowledged) {
            assert!(frame.weight() <= line.len() + ENVELOPE, "{frame:?}");
        }
        hold(&name, &events, &acknowledged);
    }
}

fn command(session: &Arc<dyn DialectSession>, text: &str) -> Option<Command> {
    match Arc::clone(session).decode(&packet(text, None)) {
        Decoded::Request(command, _) => Some(command),
        Decoded::Refused(..) => None,
    }
}

/// A packet that is written again decodes to the same request.
fn hold_rewritten(session: &Arc<dyn DialectSession>, event: &Event) {
    let written = |event: &Event| {
        let mut packet = vec![Value::from(event.name.clone())];
        packet.extend(event.arguments.iter().cloned());
        Value::from(packet).to_string()
    };
    let once = written(event);
    let again = packet(&once, None).event().expect("it was a packet");
    assert_eq!(again.name, event.name);
    if again.arguments != event.arguments {
        // A number of which the library reads the last digit in one way and writes it in another.
        return;
    }
    let (first, second) = (command(session, &once), command(session, &written(&again)));
    assert_eq!(first, second, "{once}");
}

fn parse(body: &Body) -> Value {
    let UntrustedJson(value) = serde_json::from_str(body.as_str()).expect("JSON");
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

/// In event-name: `{"error"}` to the callback, else the event `exception`, which names its request.
fn hold_exception(name: &str, events: &[Outgoing], acknowledged: &[Outgoing]) {
    let [exception] = events else {
        panic!("not one frame: {events:?}");
    };
    assert_eq!((exception.name, exception.ack), (Some("exception"), None));
    let body = parse(&exception.body);
    assert_eq!(body["event"], name);
    hold_body(&body["error"]);
    let [ack] = acknowledged else {
        panic!("not one frame: {acknowledged:?}");
    };
    assert_eq!(ack.ack, Some(ACK));
    hold_body(&parse(&ack.body)["error"]);
}

/// In marketplace: `debug_info`, and the same to the callback as well.
fn hold_debug_info(name: &str, events: &[Outgoing], acknowledged: &[Outgoing]) {
    let [debug_info] = events else {
        panic!("not one frame: {events:?}");
    };
    assert_eq!(
        (debug_info.name, debug_info.ack),
        (Some("debug_info"), None)
    );
    let body = parse(&debug_info.body);
    hold_body(&body);
    let echo = body["event"].as_str().expect("a text");
    assert!(name.starts_with(echo) && echo.chars().count() <= 64);
    let [again, ack] = acknowledged else {
        panic!("not two frames: {acknowledged:?}");
    };
    assert_eq!((again.name, ack.ack), (Some("debug_info"), Some(ACK)));
    assert_eq!(parse(&again.body), body);
    hold_body(&parse(&ack.body)["error"]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzz::mutator::{Words, bytes, lines, text};
    use crate::fuzz::run;

    const EVENT_NAME_WORDS: Words = Words {
        samples: &[
            r#"["create-user",{"user":{"externalUserId":"anna","name":"Anna","photo":"p","imageUUID":"u"}}]"#,
            r#"["create-user",{"user":{"id":"01a20107-7bba-7000-8000-000000000001"}}]"#,
            r#"["create-chat",{"chat":{"name":"Lunch"},"users":["01a20107-7bba-7000-8000-000000000001"]}]"#,
            r#"["list-chats",{"user":{"id":"01a20107-7bba-7000-8000-000000000001"},"limit":50,"before":"1795313631698.1"}]"#,
            r#"["list-messages",{"chat":{"id":"01a20107-7bba-7000-8000-000000000001"},"query":{"from":"2025-03-01","to":"2025-03-01T10:00:00Z","limit":2,"before_seq":9,"after_seq":1}}]"#,
            r#"["sync",{"chats":{"01a20107-7bba-7000-8000-000000000001":0,"x":"3"}}]"#,
            r#"["new-message",{"room":"01a20107-7bba-7000-8000-000000000001","msg":"Soup?","type":"text","client_id":"c"}]"#,
            r#"["new-message","01a20107-7bba-7000-8000-000000000001",{"msg":"Soup?"}]"#,
            r#"["new-message",{"chat":{"id":"01a20107-7bba-7000-8000-000000000001"},"user":{"id":"01a20107-7bba-7000-8000-000000000001"},"message":{"value":"Soup?","type":"text"}}]"#,
            r#"["set-role",{"room":"01a20107-7bba-7000-8000-000000000001","user":{"id":"01a20107-7bba-7000-8000-000000000001"},"role":"moderator"}]"#,
            r#"["mute-user",{"chat":{"id":"01a20107-7bba-7000-8000-000000000001"},"user":{"id":"01a20107-7bba-7000-8000-000000000001"},"seconds":60}]"#,
            r#"["ban-user",{"room":"01a20107-7bba-7000-8000-000000000001","user":{"id":"01a20107-7bba-7000-8000-000000000001"},"seconds":"0"}]"#,
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
            "chats",
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
            "role",
            "seconds",
        ],
        texts: &[
            "sync",
            "create-user",
            "create-chat",
            "list-chats",
            "list-messages",
            "new-message",
            "set-role",
            "mute-user",
            "ban-user",
            "reader",
            "owner",
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
    fn heads_of_packets() {
        let inputs = text(&[
            r#"0{"token":"a"}"#,
            "0/events?token=a%20b,",
            "1/events,",
            r#"21["new-message",{"msg":"\u00fc"}]"#,
            r#"52-/events,9["\u0061\"",{"_placeholder":true,"num":0}]"#,
            r#"2/?a=1,["\ud83d\\",[]]"#,
            "2[5]",
            "3/events,1[]",
        ]);
        run(&PACKET, &bytes(inputs));
    }

    #[test]
    fn packets_of_the_event_name_dialect() {
        run(&EVENT_NAME, &lines(EVENT_NAME_WORDS));
    }

    #[test]
    fn packets_of_the_marketplace() {
        run(&EVENTS, &lines(EVENTS_WORDS));
    }
}
