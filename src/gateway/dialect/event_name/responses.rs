//! From replies, errors and notices to JSON.
//! Does not know the receivers.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::moderation;
use crate::gateway::dialect::cursors::CursorText;
use crate::gateway::dialect::sync::{SyncRequest, SyncResponse, SyncedChat};
use crate::gateway::dialect::timestamps::time;
use crate::hub::{Body, Outgoing};
use crate::model::{
    Chat, ChatId, ChatPage, Error, Message, MessageId, MessagePage, Metadata, Missed, Reply, Seq,
    User, UserId,
};

/// Finds or creates a user.
pub(super) const CREATE_USER: &str = "create-user";
/// The public profile of a user.
pub(super) const GET_USER: &str = "get-user";
/// The user of the connection.
pub(super) const WHOAMI: &str = "whoami";
/// Creates a chat; also notifies its other members.
pub(super) const CREATE_CHAT: &str = "create-chat";
/// The chats of a user.
pub(super) const LIST_CHATS: &str = "list-chats";
/// The history of a chat.
pub(super) const LIST_MESSAGES: &str = "list-messages";
/// Sends a message; also delivers it to everyone in the chat.
pub(super) const NEW_MESSAGE: &str = "new-message";
/// Sets the role of a member; also notifies the others.
pub(super) const SET_ROLE: &str = "set-role";
/// Mutes a member, or lifts that; also notifies the others.
pub(super) const MUTE_USER: &str = "mute-user";
/// Bans a user, or lifts that; also notifies the others.
pub(super) const BAN_USER: &str = "ban-user";
/// The missed messages of chats; also lists the chats for which a connecting client has to `sync`.
pub(super) const SYNC: &str = "sync";
/// Names an error where no acknowledgement was requested.
const EXCEPTION: &str = "exception";

/// A message, as it is delivered and acknowledged.
pub(super) fn message(message: &Message) -> Arc<Body> {
    Body::of(&MessageBody::of(message))
}

/// A chat, as its members are notified of it.
pub(super) fn chat(chat: &Chat) -> Arc<Body> {
    Body::of(&ChatAnswer {
        chat: ChatBody::of(chat),
    })
}

/// The response to a request: the name of the event, and its body. `None`: to a command that this
/// dialect has no request for.
pub(super) fn response(reply: &Reply) -> Option<(&'static str, Arc<Body>)> {
    let user = |user| UserAnswer {
        user: UserBody::of(user),
    };
    Some(match reply {
        Reply::User(found) => (CREATE_USER, Body::of(&user(found))),
        Reply::Profile(found) => (GET_USER, Body::of(&ProfileAnswer::of(found))),
        Reply::Me(me) => (WHOAMI, Body::of(&user(me))),
        Reply::Chat(created) | Reply::ChatFound(created) => (CREATE_CHAT, chat(created)),
        Reply::Chats(page) => (LIST_CHATS, Body::of(&ChatsAnswer::of(page))),
        Reply::Messages(page, _) => (LIST_MESSAGES, Body::of(&MessagesAnswer::of(page))),
        Reply::Sent(sent) => (NEW_MESSAGE, message(sent.message())),
        Reply::RoleSet(change) => (SET_ROLE, moderation::role_set(change)),
        Reply::Muted(change) => (MUTE_USER, moderation::muted(change)),
        Reply::Banned(change) => (BAN_USER, moderation::banned(change)),
        _ => return None,
    })
}

/// The response to a `sync`.
pub(super) fn synced(request: &SyncRequest, synced: &[Option<Missed>]) -> Arc<Body> {
    Body::of(&request.response(synced, MessageBody::of))
}

/// The first frames for a client that connected with `since`: the chats that begin anew, the missed
/// messages, one by one, and then the chats that it has to `sync`, or cannot.
pub(super) fn replay(request: &SyncRequest, synced: &[Option<Missed>]) -> Vec<Outgoing> {
    let (mut news, mut seen) = (Vec::new(), HashSet::new());
    let mut first = SyncResponse::<MessageBody<'_>>::default();
    let mut rest = SyncResponse::<MessageBody<'_>>::default();
    for (name, missed) in request.found(synced) {
        // A chat may be named twice, by its id and by its name in the host application.
        let is_new = |missed: &&&Missed| seen.insert(missed.chat);
        let messages = missed
            .iter()
            .filter(is_new)
            .flat_map(|missed| &missed.messages);
        news.extend(messages.map(|sent| Outgoing::event(NEW_MESSAGE, message(sent))));
        match missed {
            Some(missed) if missed.reset => {
                first.chats.insert(name, SyncedChat::announced(missed));
            }
            Some(missed) if missed.has_more => {
                rest.chats.insert(name, SyncedChat::announced(missed));
            }
            Some(_) => {}
            None => {
                rest.chats.insert(name, SyncedChat::missing(name));
            }
        }
    }
    let [first, rest] = [first, rest].map(|part| {
        let is_needed = !part.chats.is_empty();
        is_needed.then(|| Outgoing::event(SYNC, Body::of(&part)))
    });
    first.into_iter().chain(news).chain(rest).collect()
}

/// An error as the body of an acknowledgement.
pub(super) fn refusal(error: &Error) -> Arc<Body> {
    Body::of(&Refusal {
        error: ErrorBody::of(error),
    })
}

/// An error as the event `exception`, which names the event of the request.
pub(super) fn exception(name: &str, error: &Error) -> Outgoing {
    let body = Body::of(&Exception {
        event: name,
        error: ErrorBody::of(error),
    });
    Outgoing::event(EXCEPTION, body)
}

#[derive(Serialize)]
struct UserAnswer<'a> {
    user: UserBody<'a>,
}

#[derive(Serialize)]
struct ProfileAnswer<'a> {
    user: ProfileBody<'a>,
}

impl<'a> ProfileAnswer<'a> {
    fn of(user: &'a User) -> Self {
        Self {
            user: ProfileBody::of(user),
        }
    }
}

/// The fields that other users are shown.
#[derive(Serialize)]
struct ProfileBody<'a> {
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
}

impl<'a> ProfileBody<'a> {
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
        }
    }
}

#[derive(Serialize)]
struct UserBody<'a> {
    #[serde(flatten)]
    profile: ProfileBody<'a>,
    #[serde(serialize_with = "time")]
    created_at: Timestamp,
    #[serde(serialize_with = "time")]
    modified_at: Timestamp,
}

impl<'a> UserBody<'a> {
    fn of(user: &'a User) -> Self {
        Self {
            profile: ProfileBody::of(user),
            created_at: user.created_at,
            modified_at: user.modified_at,
        }
    }
}

#[derive(Serialize)]
struct ChatAnswer<'a> {
    chat: ChatBody<'a>,
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
            next: page.next.map(|next| CursorText(next).to_string()),
        }
    }
}

#[derive(Serialize)]
struct ChatBody<'a> {
    id: ChatId,
    pk: i64,
    #[serde(rename = "externalChatId", skip_serializing_if = "Option::is_none")]
    external_id: Option<&'a str>,
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
            external_id: chat.external_id.as_deref(),
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
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a Metadata>,
    #[serde(skip_serializing_if = "Option::is_none")]
    original_id: Option<&'a str>,
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
            metadata: message.metadata.as_ref(),
            original_id: message.original_id.as_deref(),
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
    retryable: bool,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
}

impl<'a> ErrorBody<'a> {
    fn of(error: &'a Error) -> Self {
        Self {
            code: error.kind.code(),
            retryable: error.kind.is_retryable(),
            message: &error.message,
            retry_after_ms: error.retry_after_ms,
        }
    }
}
