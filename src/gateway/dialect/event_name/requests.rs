//! From an event to a command.
//! Does not judge who may do what: the service does.

use serde::Deserialize;
use serde_json::Value;

use super::responses::{CREATE_CHAT, CREATE_USER, LIST_CHATS, LIST_MESSAGES, NEW_MESSAGE};
use crate::gateway::dialect::cursors::Next;
use crate::gateway::dialect::decode::{Object, Text, Texts, Whole, decode, id, missing};
use crate::gateway::dialect::incoming::{Event, or_empty};
use crate::gateway::dialect::sync::{SyncRequest, by_id};
use crate::gateway::dialect::timestamps::Moment;
use crate::model::{
    ChatId, Command, Draft, Error, History, Positions, Profile, Range, UserId, UserRef, Window,
};

/// `create-user`
#[derive(Deserialize)]
struct CreateUser<'a> {
    #[serde(borrow)]
    user: Option<Object<UserFields<'a>>>,
}

#[derive(Deserialize)]
struct UserFields<'a> {
    #[serde(borrow)]
    id: Option<Text<'a>>,
    #[serde(borrow, rename = "externalUserId")]
    external_user_id: Option<Text<'a>>,
    #[serde(borrow)]
    external_id: Option<Text<'a>>,
    #[serde(borrow)]
    username: Option<Text<'a>>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    avatar: Option<Text<'a>>,
    #[serde(borrow)]
    photo: Option<Text<'a>>,
    #[serde(borrow)]
    github: Option<Text<'a>>,
    #[serde(borrow, rename = "imageUUID")]
    image_uuid: Option<Text<'a>>,
}

/// `create-chat`
#[derive(Deserialize)]
struct CreateChat<'a> {
    #[serde(borrow)]
    chat: Option<Object<ChatFields<'a>>>,
    #[serde(borrow)]
    users: Option<Texts<'a>>,
}

#[derive(Deserialize)]
struct ChatFields<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
}

/// `list-chats`
#[derive(Deserialize)]
struct ListChats<'a> {
    #[serde(borrow)]
    user: Option<Object<Named<'a>>>,
    limit: Option<Whole<1>>,
    before: Option<Next>,
}

/// `list-messages`
#[derive(Deserialize)]
struct ListMessages<'a> {
    #[serde(borrow)]
    user: Option<Object<Named<'a>>>,
    #[serde(borrow)]
    chat: Option<Object<Named<'a>>>,
    query: Option<Object<Query>>,
}

#[derive(Deserialize, Default)]
struct Query {
    from: Option<Moment>,
    to: Option<Moment>,
    limit: Option<Whole<1>>,
    before_seq: Option<Whole<0>>,
    after_seq: Option<Whole<0>>,
}

/// `new-message`, in all four forms of PROTOCOL §2.
#[derive(Deserialize)]
struct NewMessage<'a> {
    #[serde(borrow)]
    user: Option<Object<Named<'a>>>,
    #[serde(borrow)]
    chat: Option<Object<Named<'a>>>,
    #[serde(borrow)]
    room: Option<Text<'a>>,
    #[serde(borrow)]
    msg: Option<Text<'a>>,
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    client_id: Option<Text<'a>>,
    #[serde(borrow)]
    message: Option<Object<MessageFields<'a>>>,
}

#[derive(Deserialize)]
struct MessageFields<'a> {
    #[serde(borrow)]
    value: Option<Text<'a>>,
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
}

/// `sync`; the chats are read by [`SyncRequest`].
#[derive(Deserialize)]
struct Sync<'a> {
    #[serde(borrow)]
    user: Option<Object<Named<'a>>>,
}

/// A user or a chat, named by its id.
#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    id: Option<Text<'a>>,
}

/// The command that an event stands for.
///
/// # Errors
/// `Invalid`, with the field at fault; `NotFound`: an id that was never given out.
pub(super) fn command(event: Event) -> Result<Command, Error> {
    if event.name == NEW_MESSAGE {
        return new_message(event.arguments);
    }
    let name = event.name.clone();
    let body = event.into_body();
    match &*name {
        CREATE_USER => create_user(&decode(&body)?),
        CREATE_CHAT => create_chat(&decode(&body)?),
        LIST_CHATS => list_chats(&decode(&body)?),
        LIST_MESSAGES => list_messages(decode(&body)?),
        unknown => {
            let shown: String = unknown.chars().take(64).collect();
            Err(Error::invalid("event", &format!("there is no \"{shown}\"")))
        }
    }
}

/// The chats that a `sync` is about, and the command for it.
///
/// # Errors
/// As [`command`].
pub(super) fn sync(event: Event) -> Result<(SyncRequest, Command), Error> {
    let body = event.into_body();
    let Sync { user } = decode(&body)?;
    let user = named_user(user.as_ref())?;
    let request = SyncRequest::read(body.get("chats"), "chats", by_id)?;
    let command = request.command(user);
    Ok((request, command))
}

fn create_user(request: &CreateUser<'_>) -> Result<Command, Error> {
    let Object(user) = request.user.as_ref().ok_or_else(|| missing("user"))?;
    let profile = Profile {
        username: owned(user.username),
        name: owned(user.name),
        avatar: owned(user.avatar.or(user.photo)),
        github: owned(user.github),
        image_uuid: owned(user.image_uuid),
    };
    let external_id = user.external_user_id.or(user.external_id);
    let user_id = user.id.map(|Text(text)| id(text, "user")).transpose()?;
    match (external_id, user_id) {
        (None, Some(_)) if profile != Profile::default() => Err(Error::invalid(
            "user.externalUserId",
            "is missing: a profile is updated under it",
        )),
        (None, Some(id)) => Ok(Command::GetUser {
            user: UserRef::Id(id),
        }),
        (external_id, _) => Ok(Command::CreateUser {
            external_id: owned(external_id),
            profile,
        }),
    }
}

fn create_chat(request: &CreateChat<'_>) -> Result<Command, Error> {
    let name = request.chat.as_ref().and_then(|Object(chat)| chat.name);
    let users = request.users.iter().flat_map(|Texts(users)| users);
    let members = users.map(|user| id(user, "user"));
    Ok(Command::CreateChat {
        name: owned(name),
        members: members.collect::<Result<_, _>>()?,
        key: None,
    })
}

fn list_chats(request: &ListChats<'_>) -> Result<Command, Error> {
    Ok(Command::ListChats {
        user: named_user(request.user.as_ref())?,
        limit: size(request.limit),
        before: request.before.as_ref().map(|Next(before)| *before),
    })
}

fn list_messages(request: ListMessages<'_>) -> Result<Command, Error> {
    let query = request
        .query
        .map_or_else(Query::default, |Object(query)| query);
    let range = Range {
        after: query.after_seq.map(|Whole(seq)| seq),
        before: query.before_seq.map(|Whole(seq)| seq),
        from: query.from.map(Moment::first),
        to: query.to.map(Moment::last),
    };
    let limit = size(query.limit).unwrap_or(usize::MAX);
    let window = match range.after {
        Some(_) => Window::First(limit),
        None => Window::Last(limit),
    };
    let chat = named_chat(request.chat.as_ref())?;
    Ok(Command::ListMessages {
        user: named_user(request.user.as_ref())?,
        chat: chat.ok_or_else(|| missing("chat.id"))?.into(),
        history: History { range, window },
        positions: Positions::Untold,
    })
}

/// The chat id may come as an argument of its own, before the body.
fn new_message(arguments: Vec<Value>) -> Result<Command, Error> {
    let mut arguments = arguments.into_iter();
    let (room, mut body) = match arguments.next() {
        Some(Value::String(room)) => (Some(room), arguments.next().unwrap_or_default()),
        first => (None, or_empty(first)),
    };
    if room.is_some()
        && let Value::Object(body) = &mut body
    {
        body.remove("room");
    }
    let request: NewMessage<'_> = decode(&body)?;
    let room = room.as_deref().or(request.room.map(|Text(room)| room));
    let room = room.map(|room| id(room, "chat")).transpose()?;
    let chat = match (room, named_chat(request.chat.as_ref())?) {
        (Some(room), Some(chat)) if room != chat => {
            return Err(Error::invalid("room", "is another chat than chat.id"));
        }
        (room, chat) => room.or(chat).ok_or_else(|| missing("room"))?,
    };
    let message = request.message.as_ref().map(|Object(message)| message);
    let text = request.msg.or(message.and_then(|message| message.value));
    let kind = request.kind.or(message.and_then(|message| message.kind));
    let field = message.map_or("msg", |_| "message.value");
    let user = named_user(request.user.as_ref())?;
    let Text(text) = text.ok_or_else(|| missing(field))?;
    let draft = Draft {
        kind: kind.map_or("text", |Text(kind)| kind).to_owned(),
        client_id: owned(request.client_id),
        ..Draft::text(text)
    };
    Ok(Command::SendMessage {
        user,
        chat: chat.into(),
        draft,
    })
}

fn named_user(user: Option<&Object<Named<'_>>>) -> Result<Option<UserId>, Error> {
    let Some(Object(user)) = user else {
        return Ok(None);
    };
    let Text(text) = user.id.ok_or_else(|| missing("user.id"))?;
    id(text, "user").map(Some)
}

fn named_chat(chat: Option<&Object<Named<'_>>>) -> Result<Option<ChatId>, Error> {
    let Some(Object(chat)) = chat else {
        return Ok(None);
    };
    let Text(text) = chat.id.ok_or_else(|| missing("chat.id"))?;
    id(text, "chat").map(Some)
}

fn size(limit: Option<Whole<1>>) -> Option<usize> {
    limit.map(|Whole(limit)| usize::try_from(limit).unwrap_or(usize::MAX))
}

fn owned(text: Option<Text<'_>>) -> Option<String> {
    text.map(|Text(text)| text.to_owned())
}
