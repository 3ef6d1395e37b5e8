//! Owns the dialects: encodes requests and decodes received frames. Does not know the purpose of a request.
//!
//! Only the frames of the raw dialects that a scenario sends stand here; Socket.IO's own packets are in `sio`.

use crate::sio::{self, Pkt, Tag};
use crate::verify::Own;
use serde_json::{Value, json};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Dialect {
    /// Event names over Socket.IO
    Socketio,
    /// The action dialect over a raw WebSocket; only polychat has it
    Action,
    /// The type dialect over a raw WebSocket; only polychat has it
    Type,
}

/// A request id before any message's: to subscribe.
pub const ID_SUBSCRIBE: u32 = 2;
/// The request id of the first page of missed messages; the next page has the next one.
pub const ID_SYNC: u32 = 3;
/// The request id of a sender's first message; the next message has the next one.
pub const ID_MESSAGE: u32 = 16;

/// A decoded frame.
pub enum Decoded<'a> {
    /// The answer to a request of this connection.
    Answer { id: u32, body: &'a [u8] },
    /// A message of a chat.
    Message(&'a [u8]),
    /// With `since`: more was missed than is replayed.
    Behind(&'a [u8]),
    /// Something else of the dialect.
    Other,
    /// A packet of the Socket.IO or Engine.IO session.
    Session(Pkt<'a>),
}

/// A message request, without the parts that differ: the request id and the tag in the text.
#[derive(Default)]
pub struct Template {
    before_id: Vec<u8>,
    before_text: Vec<u8>,
    after_text: Vec<u8>,
}

impl Template {
    pub fn write(&self, out: &mut Vec<u8>, id: u32, tag: &Tag) {
        out.extend_from_slice(&self.before_id);
        push_decimal(out, id);
        out.extend_from_slice(&self.before_text);
        tag.write(out);
        out.extend_from_slice(&self.after_text);
    }
}

impl Dialect {
    /// As it is given on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Dialect::Socketio => "socketio",
            Dialect::Action => "action",
            Dialect::Type => "type",
        }
    }

    /// Where a raw connection is made; Socket.IO has a path of its own.
    pub fn path(self) -> Option<&'static str> {
        match self {
            Dialect::Socketio => None,
            Dialect::Action => Some("/ws/chat/room/"),
            Dialect::Type => Some("/ws/chats/"),
        }
    }

    /// The query of a raw connection without a `--query`: in open mode a token is the external user id.
    pub fn query(self) -> Option<&'static str> {
        match self {
            Dialect::Socketio => None,
            Dialect::Action | Dialect::Type => Some("token={uid}"),
        }
    }

    /// In the type dialect a sender's own message comes as the answer alone, else as an event, too.
    pub fn own(self) -> Own {
        match self {
            Dialect::Socketio | Dialect::Action => Own::Delivered,
            Dialect::Type => Own::Answered,
        }
    }

    /// A chat's id there, as JSON: Socket.IO has texts, the raw dialects have integers.
    fn chat(self, id: &str) -> String {
        match self {
            Dialect::Socketio => Value::from(id).to_string(),
            Dialect::Action | Dialect::Type => id.to_string(),
        }
    }

    /// A message of this chat; `filling` follows the tag in its text.
    pub fn message(self, namespace: &str, chat: &str, filling: &str) -> Template {
        let chat = self.chat(chat);
        let (before_id, before_text, after_text) = match self {
            Dialect::Socketio => (
                format!("42{namespace}"),
                format!("[\"new-message\",{{\"room\":{chat},\"msg\":\""),
                format!("{filling}\",\"type\":\"text\"}}]"),
            ),
            Dialect::Action => (
                "{\"request_id\":".into(),
                format!(",\"action\":\"create_message\",\"pk\":{chat},\"message\":\""),
                format!("{filling}\"}}"),
            ),
            Dialect::Type => (
                "{\"request_id\":".into(),
                format!(",\"type\":\"newMessage\",\"data\":{{\"chat\":{chat},\"text\":\""),
                format!("{filling}\"}}}}"),
            ),
        };
        Template {
            before_id: before_id.into(),
            before_text: before_text.into(),
            after_text: after_text.into(),
        }
    }

    /// The request that subscribes to messages, if one is needed.
    pub fn subscribe(self, chat: &str) -> Option<Vec<u8>> {
        (self == Dialect::Action).then(|| {
            format!(
                "{{\"request_id\":{ID_SUBSCRIBE},\"action\":\"subscribe_to_messages_in_room\",\"pk\":{chat}}}"
            )
            .into_bytes()
        })
    }

    /// Requests the messages of a chat after this number.
    pub fn sync(self, namespace: &str, chat: &str, after: u32, id: u32) -> Vec<u8> {
        let chats = json!({ chat: after });
        match self {
            Dialect::Socketio => {
                format!("42{namespace}{id}{}", json!(["sync", { "chats": chats }]))
            }
            Dialect::Action => {
                json!({ "request_id": id, "action": "sync", "chats": chats }).to_string()
            }
            Dialect::Type => {
                json!({ "request_id": id, "type": "sync", "data": { "chats": chats } }).to_string()
            }
        }
        .into_bytes()
    }

    #[inline]
    pub fn decode(self, text: &[u8]) -> Decoded<'_> {
        match self {
            Dialect::Socketio => match sio::parse(text) {
                Pkt::Ack { id, body } => Decoded::Answer { id, body },
                Pkt::Event { body, .. } if body.starts_with(b"[\"new-message\"") => {
                    Decoded::Message(body)
                }
                Pkt::Event { body, .. } if body.starts_with(b"[\"sync\"") => Decoded::Behind(body),
                Pkt::Event { .. } => Decoded::Other,
                packet => Decoded::Session(packet),
            },
            Dialect::Action | Dialect::Type => match request_id(text) {
                Some(id) => Decoded::Answer { id, body: text },
                None if text.starts_with(self.message_start()) => Decoded::Message(text),
                None => Decoded::Other,
            },
        }
    }

    fn message_start(self) -> &'static [u8] {
        match self {
            Dialect::Socketio => b"[\"new-message\"",
            Dialect::Action => b"{\"data\":{\"id\":",
            Dialect::Type => b"{\"type\":\"messageCreated\"",
        }
    }
}

/// The request id of a raw answer. It stands last; so what is long is not searched for it.
#[inline]
fn request_id(text: &[u8]) -> Option<u32> {
    const KEY: &[u8] = b"\"request_id\":";
    let end = &text[text.len().saturating_sub(KEY.len() + 11)..];
    let digits = &end[memchr::memmem::find(end, KEY)? + KEY.len()..];
    let digits = digits.strip_suffix(b"}")?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn push_decimal(out: &mut Vec<u8>, mut value: u32) {
    let mut digits = [0u8; 10];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Dialect; 3] = [Dialect::Socketio, Dialect::Action, Dialect::Type];

    fn decoded(dialect: Dialect, text: &str) -> String {
        match dialect.decode(text.as_bytes()) {
            Decoded::Answer { id, .. } => format!("answer {id}"),
            Decoded::Message(_) => "message".into(),
            Decoded::Behind(_) => "behind".into(),
            Decoded::Other => "other".into(),
            Decoded::Session(_) => "session".into(),
        }
    }

    #[test]
    fn an_answer_is_told_from_what_comes_by_itself() {
        let cases = [
            (Dialect::Socketio, r#"4317[{"id":"m"}]"#, "answer 17"),
            (
                Dialect::Socketio,
                r#"42["new-message",{"id":"m"}]"#,
                "message",
            ),
            (Dialect::Socketio, r#"42["sync",{"chats":{}}]"#, "behind"),
            (Dialect::Socketio, r#"42["create-chat",{}]"#, "other"),
            (Dialect::Socketio, "2", "session"),
            (
                Dialect::Action,
                r#"{"errors":[],"data":{"id":3},"action":"create_message","response_status":200,"request_id":4294967295}"#,
                "answer 4294967295",
            ),
            (
                Dialect::Action,
                r#"{"data":{"id":3},"action":"create","pk":3}"#,
                "message",
            ),
            (Dialect::Action, r#"{"join_user":[]}"#, "other"),
            (
                Dialect::Type,
                r#"{"type":"messageCreated","data":{"id":3},"request_id":7}"#,
                "answer 7",
            ),
            (
                Dialect::Type,
                r#"{"type":"messageCreated","data":{"id":3}}"#,
                "message",
            ),
            (Dialect::Type, r#"{"type":"chatJoined","data":{}}"#, "other"),
        ];
        for (dialect, text, expected) in cases {
            assert_eq!(decoded(dialect, text), expected, "{text}");
        }
    }

    #[test]
    fn a_message_request_is_json_with_its_id_and_text() {
        let tag = Tag {
            nonce: 1,
            room: 2,
            sender: 3,
            seq: 4,
            ts: 5,
        };
        for dialect in ALL {
            let mut out = Vec::new();
            dialect
                .message("", "12", "lorem")
                .write(&mut out, 305, &tag);
            let text = String::from_utf8(out).unwrap();
            let (id, json) = if let Some(json) = text.strip_prefix("42305") {
                (305, serde_json::from_str::<Value>(json).unwrap())
            } else {
                let value: Value = serde_json::from_str(&text).unwrap();
                (value["request_id"].as_u64().unwrap(), value)
            };
            assert_eq!(id, 305);
            assert_eq!(Tag::find(json.to_string().as_bytes()), Some(tag));
        }
    }

    #[test]
    fn a_sync_names_the_chat_and_the_number() {
        for dialect in ALL {
            let text = String::from_utf8(dialect.sync("", "12", 7, 3)).unwrap();
            assert!(text.contains(r#""chats":{"12":7}"#), "{text}");
        }
    }
}
