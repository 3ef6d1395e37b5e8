//! From replies, errors and notices to JSON.
//! It refuses to know to whom they go.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::{CREATE_CHAT, CREATE_USER, EXCEPTION, LIST_CHATS, LIST_MESSAGES, NEW_MESSAGE, SYNC};
use crate::gateway::dialect::cursors::Next;
use crate::gateway::dialect::moments::time;
use crate::gateway::dialect::sought::{Chats, Part, Sought};
use crate::gateway::dialect::{Frame, Json};
use crate::model::{
    Chat, ChatId, ChatPage, Error, Fact, Message, MessageId, MessagePage, Missed, Reply, Seq, User,
    UserId,
};

/// What is told of `fact`; `None`: this dialect has no words for it.
pub(super) fn encode(fact: &Fact) -> Option<Frame> {
    match fact {
        Fact::MessageSent(message) => Some(event(NEW_MESSAGE, &MessageBody::of(message))),
        Fact::ChatCreated(chat) => Some(event(CREATE_CHAT, &chat_answer(chat))),
        _ => None,
    }
}

/// The answer to a request: the name of the event, and its body. `None`: to something that
/// this dialect cannot ask.
pub fn answer(reply: &Reply) -> Option<(&'static str, Arc<Json>)> {
    let user = |user| UserAnswer {
        user: UserBody::of(user),
    };
    Some(match reply {
        Reply::User(found) => (CREATE_USER, Json::of(&user(found))),
        Reply::Chat(chat) => (CREATE_CHAT, Json::of(&chat_answer(chat))),
        Reply::Chats(page) => (LIST_CHATS, Json::of(&ChatsAnswer::of(page))),
        Reply::Messages(page, _) => (LIST_MESSAGES, Json::of(&MessagesAnswer::of(page))),
        Reply::Sent(sent) => (NEW_MESSAGE, Json::of(&MessageBody::of(sent.message()))),
        _ => return None,
    })
}

/// The answer to a `sync`.
pub(super) fn synced(sought: &Sought, synced: &[Option<Missed>]) -> Arc<Json> {
    Json::of(&sought.answer(synced, MessageBody::of))
}

/// What a client is told first that has said what it knows: the messages that it has missed,
/// one by one, and then of which chats it has to ask for more, or cannot.
pub(super) fn replay(sought: &Sought, synced: &[Option<Missed>]) -> Vec<Frame> {
    let mut frames = Vec::new();
    let mut rest = Chats::<MessageBody<'_>>::default();
    for (name, missed) in sought.found(synced) {
        let messages = missed.iter().flat_map(|missed| &missed.messages);
        frames.extend(messages.map(|message| event(NEW_MESSAGE, &MessageBody::of(message))));
        match missed {
            Some(missed) if missed.has_more => {
                rest.chats.insert(name, Part::more(missed.head));
            }
            Some(_) => {}
            None => {
                rest.chats.insert(name, Part::missing(name));
            }
        }
    }
    if !rest.chats.is_empty() {
        frames.push(event(SYNC, &rest));
    }
    frames
}

/// An error as the body of an acknowledgement.
pub fn refusal(error: &Error) -> Arc<Json> {
    Json::of(&Refusal {
        error: ErrorBody::of(error),
    })
}

/// An error as the event `exception`, which names the event that it answers.
pub fn exception(name: &str, error: &Error) -> Frame {
    event(
        EXCEPTION,
        &Exception {
            event: name,
            error: ErrorBody::of(error),
        },
    )
}

fn event(name: &'static str, body: &impl Serialize) -> Frame {
    Frame::Event(name, Json::of(body))
}

#[derive(Serialize)]
struct UserAnswer<'a> {
    user: UserBody<'a>,
}

#[derive(Serialize)]
struct UserBody<'a> {
    id: UserId,
    pk: i64,
    #[serde(rename = "externalUserId")]
    external_user_id: &'a str,
    username: &'a str,
    name: &'a str,
    avatar: &'a str,
    github: &'a str,
    #[serde(rename = "imageUUID")]
    image_uuid: Option<&'a str>,
    #[serde(serialize_with = "time")]
    created_at: Timestamp,
    #[serde(serialize_with = "time")]
    modified_at: Timestamp,
}

impl<'a> UserBody<'a> {
    fn of(user: &'a User) -> Self {
        Self {
            id: user.id,
            pk: user.pk,
            external_user_id: &user.external_id,
            username: &user.username,
            name: &user.name,
            avatar: &user.avatar,
            github: &user.github,
            image_uuid: user.image_uuid.as_deref(),
            created_at: user.created_at,
            modified_at: user.modified_at,
        }
    }
}

#[derive(Serialize)]
struct ChatAnswer<'a> {
    chat: ChatBody<'a>,
}

fn chat_answer(chat: &Chat) -> ChatAnswer<'_> {
    ChatAnswer {
        chat: ChatBody::of(chat),
    }
}

#[derive(Serialize)]
struct ChatsAnswer<'a> {
    chats: Vec<ChatBody<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

impl<'a> ChatsAnswer<'a> {
    fn of(page: &'a ChatPage) -> Self {
        Self {
            chats: page.chats.iter().map(ChatBody::of).collect(),
            next: page.next.map(|next| Next(next).to_string()),
        }
    }
}

#[derive(Serialize)]
struct ChatBody<'a> {
    id: ChatId,
    pk: i64,
    name: Option<&'a str>,
    users: &'a [UserId],
    #[serde(serialize_with = "time")]
    created_at: Timestamp,
    #[serde(serialize_with = "time")]
    modified_at: Timestamp,
}

impl<'a> ChatBody<'a> {
    fn of(chat: &'a Chat) -> Self {
        Self {
            id: chat.id,
            pk: chat.pk,
            name: chat.name.as_deref(),
            users: &chat.members,
            created_at: chat.created_at,
            modified_at: chat.modified_at,
        }
    }
}

#[derive(Serialize)]
struct MessagesAnswer<'a> {
    messages: Vec<MessageBody<'a>>,
    has_more: bool,
}

impl<'a> MessagesAnswer<'a> {
    fn of(page: &'a MessagePage) -> Self {
        Self {
            messages: page.messages.iter().map(MessageBody::of).collect(),
            has_more: page.has_more,
        }
    }
}

#[derive(Serialize)]
struct MessageBody<'a> {
    id: MessageId,
    seq: Seq,
    room: ChatId,
    msg: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    user_id: UserId,
    #[serde(serialize_with = "time")]
    created_at: Timestamp,
    #[serde(serialize_with = "time")]
    modified_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    photos: &'a [String],
}

impl<'a> MessageBody<'a> {
    fn of(message: &'a Message) -> Self {
        Self {
            id: message.id,
            seq: message.seq,
            room: message.chat,
            msg: &message.text,
            kind: &message.kind,
            user_id: message.sender.id,
            created_at: message.created_at,
            modified_at: message.modified_at,
            client_id: message.client_id.as_deref(),
            photos: &message.photos,
        }
    }
}

#[derive(Serialize)]
struct Refusal<'a> {
    error: ErrorBody<'a>,
}

#[derive(Serialize)]
struct Exception<'a> {
    event: &'a str,
    error: ErrorBody<'a>,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    code: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
}

impl<'a> ErrorBody<'a> {
    fn of(error: &'a Error) -> Self {
        Self {
            code: error.kind.code(),
            message: &error.message,
            retry_after_ms: error.retry_after_ms,
        }
    }
}
