//! The frames of requests in each dialect.
//! Does not send them.

use serde_json::{Value, json};

use super::frames::{name_of, text_of};
use super::record::{OpNo, UserNo};
use crate::gateway::dialect::{Incoming, fixtures};
use crate::hub::AckId;
use crate::model::{ChatId, Seq};
use crate::telemetry::DialectLabel;

/// What a client may request of a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Request {
    Send,
    /// The latest messages.
    Read,
    /// The missed messages after this seq.
    Sync(Seq),
    /// The room without its messages.
    Show,
    /// The chats of the user.
    List,
    Join,
    Leave,
    /// The messages from now on.
    Listen,
    /// The changes of the room from now on.
    Watch,
    Rename,
    /// Moves the read position.
    Advance(Seq),
}

impl Request {
    /// Whether the dialect has it.
    pub(super) fn exists_in(self, dialect: DialectLabel) -> bool {
        match self {
            Self::Send | Self::Read => true,
            Self::Sync(_) | Self::List => dialect != DialectLabel::Marketplace,
            Self::Show | Self::Join => {
                matches!(dialect, DialectLabel::Action | DialectLabel::Type)
            }
            Self::Leave | Self::Listen | Self::Watch | Self::Rename => {
                dialect == DialectLabel::Action
            }
            Self::Advance(_) => dialect == DialectLabel::Marketplace,
        }
    }

    /// The frame of this operation on a chat.
    pub(super) fn frame(
        self,
        dialect: DialectLabel,
        op: OpNo,
        (id, pk): (ChatId, i64),
    ) -> Incoming {
        match dialect {
            DialectLabel::Action => self.action(op, pk),
            DialectLabel::Type => self.type_data(op, pk),
            DialectLabel::Marketplace => packet(op, &self.marketplace(op, id)),
            _ => packet(op, &self.event_name(op, id)),
        }
    }

    fn event_name(self, op: OpNo, id: ChatId) -> Value {
        match self {
            Self::Read => json!(["list-messages", { "chat": { "id": id } }]),
            Self::Sync(after) => json!(["sync", { "chats": { id.to_string(): after } }]),
            Self::List => json!(["list-chats", {}]),
            _ => json!(["new-message", { "room": id, "msg": text_of(op) }]),
        }
    }

    fn action(self, op: OpNo, pk: i64) -> Incoming {
        let mut request = match self {
            Self::Send => json!({ "action": "create_message", "message": text_of(op) }),
            Self::Read => json!({ "action": "retrieve" }),
            Self::Sync(after) => json!({ "action": "sync", "chats": { pk.to_string(): after } }),
            Self::Show => json!({ "action": "unsubscribe_instance" }),
            Self::List => json!({ "action": "list" }),
            Self::Join => json!({ "action": "join_room" }),
            Self::Leave => json!({ "action": "leave_room" }),
            Self::Listen => json!({ "action": "subscribe_to_messages_in_room" }),
            Self::Watch => json!({ "action": "subscribe_instance" }),
            Self::Rename | Self::Advance(_) => {
                json!({ "action": "patch", "data": { "name": name_of(op) } })
            }
        };
        request["pk"] = pk.into();
        request["request_id"] = op.into();
        if op.is_multiple_of(3) {
            request = json!({ "stream": format!("chat-{pk}"), "payload": request });
        }
        fixtures::frame(&request.to_string())
    }

    fn type_data(self, op: OpNo, pk: i64) -> Incoming {
        let (kind, data) = match self {
            Self::Read => ("getChatMessages", json!({ "chatId": pk })),
            Self::Sync(after) => ("sync", json!({ "chats": { pk.to_string(): after } })),
            Self::Show => ("getChatDetails", json!({ "chatId": pk })),
            Self::List => ("getChats", json!({})),
            Self::Join => ("joinChat", json!({ "chat": pk })),
            _ => ("newMessage", json!({ "chat": pk, "text": text_of(op) })),
        };
        let request = json!({ "type": kind, "data": data, "request_id": op });
        fixtures::frame(&request.to_string())
    }

    fn marketplace(self, op: OpNo, id: ChatId) -> Value {
        match self {
            Self::Read => {
                json!(["load_history", { "chatId": id, "lastMessageId": 1_000_000_000 }])
            }
            Self::Advance(seq) => {
                json!(["read_messages", { "chatId": id, "lastReadedMessageId": seq }])
            }
            _ => json!(["send_message", { "chatId": id, "message": { "text": text_of(op) } }]),
        }
    }
}

/// The request of a client of the event-name dialect that finds a user. The first one on a
/// connection without a user binds it.
pub(super) fn create_user(op: OpNo, user: UserNo) -> Incoming {
    let user = json!({ "externalUserId": format!("user-{user}") });
    packet(op, &json!(["create-user", { "user": user }]))
}

fn packet(op: OpNo, event: &Value) -> Incoming {
    let ack = AckId(i64::try_from(op).expect("a small number"));
    fixtures::packet(&event.to_string(), Some(ack))
}
