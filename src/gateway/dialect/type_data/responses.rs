//! From replies, errors and notices to JSON.
//! Does not know the receivers.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use super::requests::{Order, Question};
use super::texts::{NO_CHAT, NOT_CREATED, NOT_RETRIEVED, UNEXPECTED};
use crate::gateway::dialect::cursors::CursorText;
use crate::gateway::dialect::sync::Numbered;
use crate::gateway::dialect::timestamps::time;
use crate::hub::Body;
use crate::model::{
    ChatPk, Error, ErrorKind, Joined, Membership, Message, MessagePage, Metadata, Reads, Reply,
    Room, User, UserPk, pair,
};

/// The error of a second join.
const ALREADY_IN: &str = "You are already a participant in this chat.";

impl Question {
    /// The answer, with the client's `request_id`.
    pub(super) fn answer(
        self,
        outcome: Result<Reply, Error>,
        request_id: Option<&RawValue>,
    ) -> Arc<Body> {
        let reply = match outcome {
            Ok(reply) => reply,
            Err(error) => return refusal(&self.excuse(error), request_id),
        };
        match (self, reply) {
            (Self::Chats, Reply::MyRooms(page)) => Body::of(&Success {
                kind: "chatsList",
                data: page.rooms.iter().map(ChatBody::of).collect::<Vec<_>>(),
                next: page.next.map(|next| CursorText(next).to_string()),
                request_id,
            }),
            (Self::EmptyChat, Reply::Room(room)) => {
                success("emptyChatCreated", ChatBody::of(&room), request_id)
            }
            (Self::Join { .. }, Reply::Joined(joined)) if !joined.fresh => {
                info(ALREADY_IN, request_id)
            }
            (Self::Join { last_read }, Reply::Joined(joined)) => success(
                "chatJoined",
                JoinedBody::of(&joined, last_read.as_deref()),
                request_id,
            ),
            (Self::Details, Reply::Room(room)) => {
                success("chatDetails", ChatBody::of(&room), request_id)
            }
            (Self::Message, Reply::Sent(sent)) => message_created(sent.message(), request_id),
            (Self::Messages(order), Reply::Messages(page, reads)) => {
                success("chatMessages", listed(&page, &reads, order), request_id)
            }
            (Self::Sync(request), Reply::Synced(synced)) => {
                success("sync", request.response(&synced, numbered), request_id)
            }
            (Self::Me, Reply::Me(me)) => success("me", Me::of(&me), request_id),
            // Not the response to a request.
            _ => refusal(&Error::new(ErrorKind::Internal, UNEXPECTED), request_id),
        }
    }

    /// The error in the words of the original server, where it had any for it.
    fn excuse(&self, error: Error) -> Error {
        let text = match (error.kind, self) {
            (ErrorKind::NotFound, Self::Chats | Self::EmptyChat | Self::Sync(_) | Self::Me)
            | (ErrorKind::Unavailable, Self::Me) => return error,
            (ErrorKind::NotFound, _) => NO_CHAT,
            (ErrorKind::Unavailable, _) => self.unavailable(),
            _ => return error,
        };
        Error {
            message: text.to_owned(),
            ..error
        }
    }

    const fn unavailable(&self) -> &'static str {
        match self {
            Self::Chats => "An error occurred while retrieving chats. Please try again later.",
            Self::EmptyChat => "Could not create chat. Please try again later.",
            Self::Join { .. } => "An unexpected error occurred. Please try again later.",
            Self::Details => {
                "An error occurred while retrieving chat details. Please try again later."
            }
            Self::Message => NOT_CREATED,
            Self::Messages(_) | Self::Sync(_) | Self::Me => NOT_RETRIEVED,
        }
    }
}

/// `messageCreated`, to the sender and to the other members.
pub(super) fn message_created(message: &Message, request_id: Option<&RawValue>) -> Arc<Body> {
    let body = MessageBody::of(message, message.sent_as_read);
    success("messageCreated", body, request_id)
}

/// A message as it is pushed, with its number.
fn numbered(message: &Message) -> Numbered<MessageBody<'_>> {
    Numbered {
        seq: message.seq,
        message: MessageBody::of(message, message.sent_as_read),
    }
}

/// `chatJoined`, to the members before the join. Without the read position of the new member, which
/// is private.
pub(super) fn member_joined(change: &Membership) -> Arc<Body> {
    let body = JoinedBody {
        chat: change.chat_pk,
        user: Person::of(&change.user),
        last_read_message: None,
    };
    success("chatJoined", body, None)
}

/// An error.
pub(super) fn refusal(error: &Error, request_id: Option<&RawValue>) -> Arc<Body> {
    Body::of(&Remark {
        kind: "error",
        message: &error.message,
        code: Some(error.kind.code()),
        retryable: Some(error.kind.is_retryable()),
        retry_after_ms: error.retry_after_ms,
        request_id,
    })
}

fn info(message: &str, request_id: Option<&RawValue>) -> Arc<Body> {
    Body::of(&Remark {
        kind: "info",
        message,
        code: None,
        retryable: None,
        retry_after_ms: None,
        request_id,
    })
}

fn success(kind: &'static str, data: impl Serialize, request_id: Option<&RawValue>) -> Arc<Body> {
    Body::of(&Success {
        kind,
        data,
        next: None,
        request_id,
    })
}

fn listed<'a>(page: &'a MessagePage, reads: &Reads, order: Order) -> Vec<MessageBody<'a>> {
    let item = |message: &'a Message| MessageBody {
        sender_username: Some(&message.sender.username),
        ..MessageBody::of(
            message,
            message.sent_as_read || reads.all_but(message.sender.id, message.seq),
        )
    };
    match order {
        Order::OldestFirst => page.messages.iter().map(item).collect(),
        Order::NewestFirst => page.messages.iter().rev().map(item).collect(),
    }
}

#[derive(Serialize)]
struct Success<'a, Data> {
    #[serde(rename = "type")]
    kind: &'static str,
    data: Data,
    /// The `before` of the next page of a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a RawValue>,
}

/// An error or a piece of information: it has a `message` and no `data`.
#[derive(Serialize)]
struct Remark<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retryable: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct Person<'a> {
    id: UserPk,
    username: &'a str,
}

impl<'a> Person<'a> {
    fn of(user: &'a User) -> Self {
        Self {
            id: user.pk,
            username: &user.username,
        }
    }
}

/// The user of the connection.
#[derive(Serialize)]
struct Me<'a> {
    #[serde(flatten)]
    user: Person<'a>,
    #[serde(rename = "externalUserId")]
    external_user_id: &'a str,
}

impl<'a> Me<'a> {
    fn of(user: &'a User) -> Self {
        Self {
            user: Person::of(user),
            external_user_id: &user.external_id,
        }
    }
}

#[derive(Serialize)]
struct ChatBody<'a> {
    id: ChatPk,
    participants: Vec<Person<'a>>,
    #[serde(serialize_with = "time")]
    created_at: Timestamp,
    #[serde(serialize_with = "time")]
    updated_at: Timestamp,
}

impl<'a> ChatBody<'a> {
    fn of(room: &'a Room) -> Self {
        let members = room.members.iter();
        Self {
            id: room.chat.pk,
            participants: members.map(|member| Person::of(member)).collect(),
            created_at: room.chat.created_at,
            updated_at: room.chat.active_at.max(room.chat.modified_at),
        }
    }
}

#[derive(Serialize)]
struct JoinedBody<'a> {
    chat: ChatPk,
    user: Person<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_read_message: Option<Box<RawValue>>,
}

impl<'a> JoinedBody<'a> {
    /// Names the message that the client has `given`, else the newest; only a given one moves
    /// the read position.
    fn of(joined: &'a Joined, given: Option<&str>) -> Self {
        let chat = &joined.chat;
        let newest = || match chat.head {
            0 => None,
            head => pair(chat.pk, head).map(|id| id.to_string()),
        };
        let shown = given.map(ToOwned::to_owned).or_else(newest);
        Self {
            chat: chat.pk,
            user: Person::of(&joined.user),
            last_read_message: shown.and_then(|json| RawValue::from_string(json).ok()),
        }
    }
}

#[derive(Serialize)]
struct MessageBody<'a> {
    id: Option<i64>,
    chat: ChatPk,
    sender: Person<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sender_username: Option<&'a str>,
    text: &'a str,
    #[serde(serialize_with = "time")]
    timestamp: Timestamp,
    is_read: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    photos: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a Metadata>,
}

impl<'a> MessageBody<'a> {
    fn of(message: &'a Message, is_read: bool) -> Self {
        Self {
            // A message without an integer id was refused before it was stored.
            id: pair(message.chat_pk, message.seq),
            chat: message.chat_pk,
            sender: Person::of(&message.sender),
            sender_username: None,
            text: &message.text,
            timestamp: message.created_at,
            is_read,
            client_id: message.client_id.as_deref(),
            photos: &message.photos,
            metadata: message.metadata.as_ref(),
        }
    }
}
