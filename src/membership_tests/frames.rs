//! What a frame of any dialect shows: the messages, names and chats in it, and the request that it
//! answers. Requests, texts and names carry the number of the operation that they belong to.
//! Does not know the model.

use serde_json::Value;

use super::record::OpNo;
use crate::hub::Outgoing;
use crate::model::{Seq, unpair};
use crate::telemetry::DialectLabel;

const TEXT: &str = "m#";
const NAME: &str = "n#";

/// The text of the message that is sent by this operation.
pub(super) fn text_of(op: OpNo) -> String {
    format!("{TEXT}{op}")
}

/// The name that a chat has by this operation.
pub(super) fn name_of(op: OpNo) -> String {
    format!("{NAME}{op}")
}

/// The operation of a name.
pub(super) fn op_of_name(name: &str) -> Option<OpNo> {
    name.strip_prefix(NAME)?.parse().ok()
}

/// The content of a frame.
#[derive(Debug, Default)]
pub(super) struct Content {
    /// The request that it may answer, and whether that succeeded.
    pub(super) answer: Option<(OpNo, bool)>,
    /// Whether its messages are delivered by it.
    pub(super) is_live: bool,
    /// The messages, by the operations that sent them.
    pub(super) messages: Vec<(OpNo, Seq)>,
    /// The operations that gave the names in it.
    pub(super) names: Vec<OpNo>,
    /// Other chats, each under its id or number, and its head where that is shown.
    pub(super) chats: Vec<(String, Option<Seq>)>,
}

/// Reads a frame.
pub(super) fn read(dialect: DialectLabel, frame: &Outgoing) -> Content {
    let body: Value = serde_json::from_str(frame.body.as_str()).expect("JSON");
    let mut content = Content::default();
    content.collect(&body);
    match dialect {
        DialectLabel::Action => content.read_action(&body),
        DialectLabel::Type => {
            let number = body.get("request_id").and_then(Value::as_u64);
            let succeeded = body["type"] != "error";
            content.answer = number.map(|number| (op(number), succeeded));
            content.is_live = body["type"] == "messageCreated";
        }
        _ => {
            let number = frame.ack.map(|ack| u64::try_from(ack.0).expect("a number"));
            let succeeded = body.get("error").is_none();
            content.answer = number.map(|number| (op(number), succeeded));
            content.is_live = matches!(frame.name, Some("new-message" | "chat_updates"));
        }
    }
    content
}

fn op(number: u64) -> OpNo {
    OpNo::try_from(number).expect("a small number")
}

impl Content {
    fn read_action(&mut self, body: &Value) {
        let body = body.get("payload").unwrap_or(body);
        let action = body["action"].as_str();
        let Some(status) = body.get("response_status").and_then(Value::as_u64) else {
            self.is_live = action == Some("create");
            return;
        };
        // Notifications of a subscription carry the number of its request.
        let number = body.get("request_id").and_then(Value::as_u64);
        let number = number.filter(|_| action != Some("update") && action != Some("delete"));
        self.answer = number.map(|number| (op(number), status < 400));
    }

    fn collect(&mut self, value: &Value) {
        match value {
            Value::Array(values) => values.iter().for_each(|value| self.collect(value)),
            Value::Object(fields) => {
                let text = |field: &str| fields.get(field).and_then(Value::as_str);
                let number = |field: &str| fields.get(field).and_then(Value::as_i64);
                let message = text("msg").or(text("text"));
                if let Some(op) = message.and_then(|text| text.strip_prefix(TEXT)) {
                    let paired = || unpair(number("id")?).map(|(_, seq)| seq);
                    let seq = number("seq").or(number("messageId")).or_else(paired);
                    let op = op.parse().expect("a number");
                    self.messages.push((op, seq.expect("a number")));
                    return;
                }
                self.names.extend(text("name").and_then(op_of_name));
                if let (Some(id), true) = (number("id"), fields.contains_key("participants")) {
                    self.chats.push((id.to_string(), None));
                }
                if let Some(Value::Object(chats)) = fields.get("chats") {
                    let shown = chats.iter().filter_map(|(name, part)| {
                        let head = part.get("head").and_then(Value::as_i64)?;
                        Some((name.clone(), Some(head)))
                    });
                    self.chats.extend(shown);
                }
                fields.values().for_each(|value| self.collect(value));
            }
            _ => {}
        }
    }
}
