//! The packets of Socket.IO as far as they are decoded and encoded here: the head of a client's
//! packet, and the server's answers to CONNECT.
//! Does not know the meaning of events.

use std::borrow::Cow;

use engineioxide_core::ProtocolVersion;
use serde::de::IgnoredAny;
use serde_json::Value;
use tungstenite::Utf8Bytes;

use crate::gateway::credentials;
use crate::gateway::dialect::untrusted_json::{self, UntrustedJson};
use crate::gateway::websocket::Frame;
use crate::model::ErrorKind;

/// How many attachments an event may have.
const ATTACHMENTS: usize = 16;

/// The whitespace of JSON.
const WHITESPACE: [char; 4] = [' ', '\t', '\n', '\r'];

/// The kind of a client's packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It connects to a namespace.
    Connect,
    /// It leaves one.
    Disconnect,
    /// An event, with an acknowledgement or without.
    Event,
    /// The acknowledgement of an event of the server.
    Ack,
}

/// A decoded event of a client.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct EventPacket {
    /// `[name, argument, …]`, as it was sent.
    pub(super) text: Utf8Bytes,
    /// The number of the acknowledgement that the client waits for.
    pub(super) ack: Option<i64>,
    /// Whether binary attachments came with it.
    pub(super) attachments: bool,
}

/// The beginning of a packet: `kind[attachments-][/namespace[?query],]rest`.
#[derive(Debug)]
pub(super) struct Packet<'a> {
    pub(super) kind: Kind,
    /// How many binary attachments follow.
    pub(super) attachments: usize,
    pub(super) namespace: &'a str,
    /// The query that clients of version 2 send with a namespace, since they have no `auth`.
    query: Option<&'a str>,
    /// The number of the acknowledgement, and the data.
    pub(super) rest: &'a str,
}

impl<'a> Packet<'a> {
    /// Reads the beginning of a packet; `None`: it is none that a client may send.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (first, rest) = text.split_at_checked(1)?;
        let (kind, binary) = match first {
            "0" => (Kind::Connect, false),
            "1" => (Kind::Disconnect, false),
            "2" => (Kind::Event, false),
            "3" => (Kind::Ack, false),
            "5" => (Kind::Event, true),
            "6" => (Kind::Ack, true),
            _ => return None,
        };
        let (attachments, rest) = if binary {
            let (count, rest) = rest.split_once('-')?;
            (count.parse().ok()?, rest)
        } else {
            (0, rest)
        };
        if attachments > ATTACHMENTS {
            return None;
        }
        let (namespace, rest) = if rest.starts_with('/') {
            rest.split_once(',').unwrap_or((rest, ""))
        } else {
            ("/", rest)
        };
        let (namespace, query) = match namespace.split_once('?') {
            Some((namespace, query)) => (namespace, Some(query)),
            None => (namespace, None),
        };
        Some(Self {
            kind,
            attachments,
            namespace,
            query,
            rest,
        })
    }

    /// The client's options when it connects. Clients of version 2 can only send them in a query:
    /// of the namespace, or `opening`, of the first request.
    pub(super) fn auth(&self, protocol: ProtocolVersion, opening: &str) -> Value {
        if protocol == ProtocolVersion::V3 {
            return credentials::query(self.query.unwrap_or(opening));
        }
        if self.rest.is_empty() {
            return Value::Null;
        }
        let auth: Option<UntrustedJson> = untrusted_json::from_str(self.rest).ok();
        auth.map_or(Value::Null, |UntrustedJson(auth)| auth)
    }

    /// The digits of the acknowledgement's number, and the list behind them; `None`: the data is no
    /// JSON, or no list, or one without a name.
    pub(super) fn list(&self) -> Option<(&'a str, &'a str)> {
        let end = self.rest.find(|it: char| !it.is_ascii_digit())?;
        let (number, list) = self.rest.split_at_checked(end)?;
        let list = list.trim_start_matches(WHITESPACE);
        let first = list.strip_prefix('[')?.trim_start_matches(WHITESPACE);
        (!first.starts_with(']') && is_json(list)).then_some((number, list))
    }

    /// An event as the library reads it, without the text before the namespace; `list` is
    /// [`Packet::list`].
    pub(super) fn for_library(&self, list: (&str, &str), text: &'a str) -> Cow<'a, str> {
        let (number, data) = list;
        let named = plainly_named(data);
        let is_plain = named.is_none() && self.query.is_none();
        let is_binary = text.starts_with('5');
        if is_plain
            && self.rest.len() == number.len() + data.len()
            && is_binary == (self.attachments > 0)
        {
            return text.into();
        }
        let first = match self.attachments {
            0 => "2".to_owned(),
            attachments => format!("5{attachments}-"),
        };
        let namespace = prefix(self.namespace);
        let data = named.as_deref().unwrap_or(data);
        format!("{first}{namespace}{number}{data}").into()
    }
}

/// A namespace as it stands in a packet.
pub(super) fn prefix(namespace: &str) -> String {
    match namespace {
        "/" => String::new(),
        namespace => format!("{namespace},"),
    }
}

/// The answer to a CONNECT that was refused. Clients of version 2 read the bare text.
pub(super) fn connect_error(protocol: ProtocolVersion, namespace: &str, kind: ErrorKind) -> Frame {
    let (code, retryable) = (kind.code(), kind.is_retryable());
    let body = match protocol {
        ProtocolVersion::V3 => format!(r#""{code}""#),
        ProtocolVersion::V4 => {
            format!(r#"{{"message":"{code}","data":{{"code":"{code}","retryable":{retryable}}}}}"#)
        }
    };
    refusal(namespace, &body)
}

/// The answer to a CONNECT to a namespace that there is not: the same for clients of all versions,
/// as Node's server has it.
pub(super) fn invalid_namespace(namespace: &str) -> Frame {
    refusal(namespace, r#"{"message":"Invalid namespace"}"#)
}

fn refusal(namespace: &str, body: &str) -> Frame {
    let namespace = prefix(namespace);
    Frame::text(&[b"44", namespace.as_bytes(), body.as_bytes()])
}

/// The answer to a CONNECT that succeeded; `data` has the id of the socket, which clients of
/// version 2 do not receive.
pub(super) fn connected(protocol: ProtocolVersion, namespace: &str, data: &str) -> Frame {
    let data = match protocol {
        ProtocolVersion::V3 => "",
        ProtocolVersion::V4 => data,
    };
    Frame::text(&[b"40", prefix(namespace).as_bytes(), data.as_bytes()])
}

/// Whether this is JSON as far as JavaScript is concerned: a text may have half of a surrogate pair.
fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// Where the text at the beginning of this JSON ends, its quotes included.
fn name_end(json: &str) -> Option<usize> {
    let mut end = 1;
    loop {
        match json.as_bytes().get(end)? {
            b'"' => return Some(end + 1),
            b'\\' => end += 2,
            _ => end += 1,
        }
    }
}

/// The list of an event whose name the library cannot read, with one that it can and that no
/// dialect knows: so the event is refused, rather than the connection ended. `None`: it can.
///
/// It knows no names with escapes, and none but texts. An escape that need not be one is undone:
/// clients in other languages write every letter beyond ASCII so.
fn plainly_named(list: &str) -> Option<String> {
    let data = list.get(1..)?.trim_start_matches(WHITESPACE);
    if !data.starts_with('"') {
        return Some(format!(r#"["",{data}"#));
    }
    let (name, arguments) = data.split_at_checked(name_end(data)?)?;
    if !name.contains('\\') {
        return None;
    }
    let name: String = serde_json::from_str(name).unwrap_or_default();
    // Only characters that JSON has to escape: so the name is at most half as long again.
    let unreadable = |it: char| it < ' ' || matches!(it, '"' | '\\');
    let name = name.replace(unreadable, "\u{fffd}");
    Some(format!(r#"["{name}"{arguments}"#))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn library(text: &str) -> String {
        let packet = Packet::parse(text).expect("a packet");
        let list = packet.list().expect("a list");
        packet.for_library(list, text).into_owned()
    }

    #[test]
    fn what_stands_before_the_data_is_read() {
        let packet = Packet::parse(r#"52-/events,7["a",{}]"#).expect("a packet");
        assert_eq!((packet.kind, packet.attachments), (Kind::Event, 2));
        assert_eq!((packet.namespace, packet.rest), ("/events", r#"7["a",{}]"#));
        let packet = Packet::parse("0/events").expect("a packet");
        assert_eq!((packet.kind, packet.namespace), (Kind::Connect, "/events"));
        for text in ["", "4", "7[]", "é", "5[]", "517-[]", "5x-[]"] {
            assert!(Packet::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_client_of_version_2_says_who_it_is_in_a_query() {
        let auth = |text, opening| {
            let packet = Packet::parse(text).expect("a packet");
            packet.auth(ProtocolVersion::V3, opening)["token"].clone()
        };
        assert_eq!(auth("0/events?token=a%20b", "token=c"), "a b");
        assert_eq!(auth("0", "EIO=3&token=c"), "c");
        assert_eq!(auth("0", "EIO=3"), Value::Null);
        let packet = Packet::parse(r#"0{"token":"d"}"#).expect("a packet");
        assert_eq!(packet.auth(ProtocolVersion::V4, "token=c")["token"], "d");
    }

    #[test]
    fn the_library_is_given_names_that_it_can_read() {
        let cases = [
            (r#"21["plain",{}]"#, r#"21["plain",{}]"#),
            (
                r#"21["\u00fc",{"a":"\u00fc"}]"#,
                r#"21["ü",{"a":"\u00fc"}]"#,
            ),
            (r#"2/events,["a\"b",{}]"#, "2/events,[\"a\u{fffd}b\",{}]"),
            ("2[5]", r#"2["",5]"#),
            ("2[null]", r#"2["",null]"#),
            (
                r#"51-["\u0061",{"_placeholder":true,"num":0}]"#,
                r#"51-["a",{"_placeholder":true,"num":0}]"#,
            ),
            (r#"2/events?token=a,["b"]"#, r#"2/events,["b"]"#),
            (r#"2["\ud83d"]"#, r#"2[""]"#),
            (r#"27 ["a"]"#, r#"27["a"]"#),
            (r#"50-["a"]"#, r#"2["a"]"#),
            // Only what cannot stand in a name is replaced.
            ("2[\"\\u0061\u{7f}\\n\"]", "2[\"a\u{7f}\u{fffd}\"]"),
        ];
        for (sent, read) in cases {
            assert_eq!(library(sent), read);
        }
    }

    #[test]
    fn an_event_is_a_list_behind_a_number() {
        let list = |text| Packet::parse(text).expect("a packet").list();
        assert_eq!(list(r#"2["a"]"#), Some(("", r#"["a"]"#)));
        assert_eq!(
            list(r#"2/events,17 [ "a",{}]"#),
            Some(("17", r#"[ "a",{}]"#))
        );
        for text in [
            "2",
            "27",
            "2{}",
            r#"2"a""#,
            "2x[]",
            r#"2["a"#,
            r#"2["a\"#,
            r#"2["a\"b"#,
        ] {
            assert_eq!(list(text), None, "{text}");
        }
        for text in [
            "2[",
            "2[]",
            "27[ ]",
            r#"2["a",{"#,
            r#"2["a",]"#,
            r#"2["a"]x"#,
            "2['a']",
            "2\u{a0}[\"a\"]",
            r#"2/?a,/events,["b"]"#,
        ] {
            assert_eq!(list(text), None, "{text}");
        }
        // The dialect returns the error of these.
        for text in ["2[5]", "2[null,{}]", r#"2["\ud83d"]"#, r#"2["a",1e400]"#] {
            assert!(list(text).is_some(), "{text}");
        }
    }

    #[test]
    fn a_refusal_is_what_each_version_reads() {
        let refused = |protocol| {
            let frame = connect_error(protocol, "/events", ErrorKind::Unauthenticated);
            String::from_utf8_lossy(frame.payload()).into_owned()
        };
        assert_eq!(
            refused(ProtocolVersion::V4),
            r#"44/events,{"message":"unauthenticated","data":{"code":"unauthenticated","retryable":false}}"#
        );
        assert_eq!(
            refused(ProtocolVersion::V3),
            r#"44/events,"unauthenticated""#
        );
    }
}
