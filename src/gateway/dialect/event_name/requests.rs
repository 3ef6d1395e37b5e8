//! From an event to a command.
//! Does not check rights: the service does.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::moderation;
use super::names::{Named, NamedUser, Users, named_chat, named_user, one_chat, users};
use super::responses::{
    BAN_USER, CREATE_CHAT, CREATE_USER, GET_USER, LIST_CHATS, LIST_MESSAGES, MUTE_USER,
    NEW_MESSAGE, SET_ROLE, SYNC, WHOAMI,
};
use crate::gateway::dialect::cursors::CursorText;
use crate::gateway::dialect::decode::{Content, Field, Object, Text, Whole, decode, id, missing};
use crate::gateway::dialect::incoming::{Event, Source, or_empty};
use crate::gateway::dialect::metadata;
use crate::gateway::dialect::sync::{SyncRequest, by_id};
use crate::gateway::dialect::timestamps::Moment;
use crate::model::{
    ChatChoice, Command, Draft, Error, History, Positions, Profile, Range, UserRef, Window,
};

/// Every event that is a request.
pub(super) const EVENTS: [&str; 11] = [
    CREATE_USER,
    GET_USER,
    WHOAMI,
    CREATE_CHAT,
    LIST_CHATS,
    LIST_MESSAGES,
    NEW_MESSAGE,
    SET_ROLE,
    MUTE_USER,
    BAN_USER,
    SYNC,
];

/// `create-user`
#[derive(Default, Deserialize)]
#[serde(default)]
struct CreateUser<'a> {
    #[serde(borrow)]
    user: Field<Object<UserFields<'a>>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct UserFields<'a> {
    #[serde(borrow)]
    id: Field<Text<'a>>,
    pk: Field<Whole<1>>,
    #[serde(borrow, rename = "externalUserId")]
    external_user_id: Field<Text<'a>>,
    #[serde(borrow)]
    external_id: Field<Text<'a>>,
    #[serde(borrow)]
    username: Field<Text<'a>>,
    #[serde(borrow)]
    name: Field<Text<'a>>,
    #[serde(borrow)]
    avatar: Field<Text<'a>>,
    #[serde(borrow)]
    photo: Field<Text<'a>>,
    #[serde(borrow)]
    github: Field<Text<'a>>,
    #[serde(borrow, rename = "imageUUID")]
    image_uuid: Field<Text<'a>>,
}

/// `get-user`
#[derive(Default, Deserialize)]
#[serde(default)]
struct GetUser<'a> {
    #[serde(borrow)]
    user: Field<Object<NamedUser<'a>>>,
}

/// `whoami`
#[derive(Deserialize)]
struct WhoAmI {}

/// `create-chat`
#[derive(Default, Deserialize)]
#[serde(default)]
struct CreateChat<'a> {
    #[serde(borrow)]
    chat: Field<Object<ChatFields<'a>>>,
    #[serde(borrow)]
    users: Field<Users<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ChatFields<'a> {
    #[serde(borrow)]
    name: Field<Text<'a>>,
    #[serde(borrow, rename = "externalChatId")]
    external_chat_id: Field<Text<'a>>,
}

/// `list-chats`
#[derive(Default, Deserialize)]
#[serde(default)]
struct ListChats<'a> {
    #[serde(borrow)]
    user: Field<Object<NamedUser<'a>>>,
    limit: Field<Whole<1>>,
    before: Field<CursorText>,
}

/// `list-messages`
#[derive(Default, Deserialize)]
#[serde(default)]
struct ListMessages<'a> {
    #[serde(borrow)]
    user: Field<Object<NamedUser<'a>>>,
    #[serde(borrow)]
    chat: Field<Object<Named<'a>>>,
    query: Field<Object<Query>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Query {
    from: Field<Moment>,
    to: Field<Moment>,
    limit: Field<Whole<1>>,
    before_seq: Field<Whole<0>>,
    after_seq: Field<Whole<0>>,
}

/// `new-message`, in all four forms of docs/protocols/event-name.md.
#[derive(Default, Deserialize)]
#[serde(default)]
struct NewMessage<'a> {
    #[serde(borrow)]
    user: Field<Object<NamedUser<'a>>>,
    #[serde(borrow)]
    chat: Field<Object<Named<'a>>>,
    #[serde(borrow)]
    room: Field<Text<'a>>,
    #[serde(borrow)]
    msg: Field<Content<'a>>,
    #[serde(borrow, rename = "type")]
    kind: Field<Text<'a>>,
    #[serde(borrow)]
    client_id: Field<Text<'a>>,
    #[serde(borrow)]
    message: Field<Object<MessageFields<'a>>>,
    metadata: Field<IgnoredAny>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct MessageFields<'a> {
    #[serde(borrow)]
    value: Field<Content<'a>>,
    #[serde(borrow, rename = "type")]
    kind: Field<Text<'a>>,
}

/// `sync`; the chats are read by [`SyncRequest`].
#[derive(Default, Deserialize)]
#[serde(default)]
struct Sync<'a> {
    #[serde(borrow)]
    user: Field<Object<NamedUser<'a>>>,
}

/// The command that an event stands for.
///
/// # Errors
/// `Invalid`, with the field at fault; `NotFound`: an id that was never given out.
pub(super) fn command(event: Event) -> Result<Command, Error> {
    if event.name == NEW_MESSAGE {
        return new_message(event.arguments, &event.source);
    }
    let name = event.name.clone();
    let body = event.into_body();
    match &*name {
        CREATE_USER => create_user(&decode(&body)?),
        GET_USER => get_user(&decode(&body)?),
        WHOAMI => decode::<WhoAmI>(&body).map(|WhoAmI {}| Command::WhoAmI),
        CREATE_CHAT => create_chat(&decode(&body)?),
        LIST_CHATS => list_chats(&decode(&body)?),
        LIST_MESSAGES => list_messages(&decode(&body)?),
        SET_ROLE => moderation::set_role(&decode(&body)?),
        MUTE_USER => moderation::mute_user(&decode(&body)?),
        BAN_USER => moderation::ban_user(&decode(&body)?),
        unknown => {
            let shown: String = unknown.chars().take(64).collect();
            Err(Error::invalid("event", &format!("there is no \"{shown}\"")))
        }
    }
}

/// The chats that a `sync` requests, and the command for it.
///
/// # Errors
/// As [`command`].
pub(super) fn sync(event: Event) -> Result<(SyncRequest, Command), Error> {
    let body = event.into_body();
    let Sync { user } = decode(&body)?;
    let user = named_user(&user)?;
    let request = SyncRequest::read(body.get("chats"), "chats", by_id)?;
    let command = request.command(user);
    Ok((request, command))
}

fn create_user(request: &CreateUser<'_>) -> Result<Command, Error> {
    let Object(user) = request.user.required("user")?;
    let avatar = owned(&user.avatar, "user.avatar")?;
    let profile = Profile {
        username: owned(&user.username, "user.username")?,
        name: owned(&user.name, "user.name")?,
        avatar: avatar.or(owned(&user.photo, "user.photo")?),
        github: owned(&user.github, "user.github")?,
        image_uuid: owned(&user.image_uuid, "user.imageUUID")?,
    };
    let external_id = owned(&user.external_user_id, "user.externalUserId")?;
    let external_id = external_id.or(owned(&user.external_id, "user.external_id")?);
    let user_id = user.id.get("user.id")?;
    let user_id = user_id.map(|Text(text)| id(text, "user")).transpose()?;
    let pk = user.pk.get("user.pk")?.map(|Whole(pk)| *pk);
    let user_id = user_id.map(UserRef::Id).or(pk.map(UserRef::Pk));
    match (external_id, user_id) {
        (None, Some(_)) if profile != Profile::default() => Err(Error::invalid(
            "user.externalUserId",
            "is missing: a profile is updated under it",
        )),
        (None, Some(user)) => Ok(Command::GetUser { user }),
        (external_id, _) => Ok(Command::CreateUser {
            external_id,
            pk,
            profile,
        }),
    }
}

fn get_user(request: &GetUser<'_>) -> Result<Command, Error> {
    let user = named_user(&request.user)?;
    let user = user.ok_or_else(|| missing("user"))?;
    Ok(Command::GetProfile { user })
}

fn create_chat(request: &CreateChat<'_>) -> Result<Command, Error> {
    let (name, external_id) = match request.chat.get("chat")? {
        Some(Object(chat)) => (
            owned(&chat.name, "chat.name")?,
            owned(&chat.external_chat_id, "chat.externalChatId")?,
        ),
        None => (None, None),
    };
    Ok(Command::CreateChat {
        name,
        members: users(&request.users)?,
        key: None,
        chosen: ChatChoice {
            external_id,
            ..ChatChoice::default()
        },
    })
}

fn list_chats(request: &ListChats<'_>) -> Result<Command, Error> {
    let before = request.before.get("before")?;
    Ok(Command::ListChats {
        user: named_user(&request.user)?,
        limit: size(&request.limit, "limit")?,
        before: before.map(|CursorText(before)| *before),
    })
}

fn list_messages(request: &ListMessages<'_>) -> Result<Command, Error> {
    let (mut range, mut window) = (Range::default(), Window::Last(usize::MAX));
    if let Some(Object(query)) = request.query.get("query")? {
        let from = query.from.get("query.from")?;
        let to = query.to.get("query.to")?;
        let seq = |Whole(seq): &Whole<0>| *seq;
        range = Range {
            after: query.after_seq.get("query.after_seq")?.map(seq),
            before: query.before_seq.get("query.before_seq")?.map(seq),
            from: from.map(|from| from.first()),
            to: to.map(|to| to.last()),
        };
        let limit = size(&query.limit, "query.limit")?.unwrap_or(usize::MAX);
        window = match range.after {
            Some(_) => Window::First(limit),
            None => Window::Last(limit),
        };
    }
    let user = named_user(&request.user)?;
    let chat = named_chat(&request.chat)?;
    Ok(Command::ListMessages {
        user,
        chat: chat.ok_or_else(|| missing("chat.id"))?,
        history: History { range, window },
        positions: Positions::Omitted,
    })
}

/// The chat id may come as an argument of its own, before the body.
fn new_message(arguments: Vec<Value>, source: &Source) -> Result<Command, Error> {
    let mut arguments = arguments.into_iter();
    let (room, body) = match arguments.next() {
        Some(Value::String(room)) => (Some(room), arguments.next().unwrap_or_default()),
        first => (None, or_empty(first)),
    };
    let argument = usize::from(room.is_some());
    let request: NewMessage<'_> = decode(&body)?;
    let room = match &room {
        Some(room) => Some(&**room),
        None => request.room.get("room")?.map(|Text(room)| *room),
    };
    let chat = one_chat(room, &request.chat)?;
    let message = request.message.get("message")?;
    let message = message.map(|Object(message)| message);
    let mut text = request.msg.get("msg")?;
    let mut keys: &[&str] = &["msg"];
    if let (None, Some(message)) = (text, message) {
        text = message.value.get("message.value")?;
        keys = &["message", "value"];
    }
    let mut kind = request.kind.get("type")?;
    if let (None, Some(message)) = (kind, message) {
        kind = message.kind.get("message.type")?;
    }
    let user = named_user(&request.user)?;
    let field = message.map_or("msg", |_| "message.value");
    let Content(text) = text.ok_or_else(|| missing(field))?;
    let text = if let Some(text) = text {
        (*text).to_owned()
    } else {
        // Anything but a text is stored as its JSON.
        let written = source.field(argument, keys);
        written.ok_or_else(|| Error::invalid(field, "must be a string"))?
    };
    let metadata = match &request.metadata {
        Field::Missing => None,
        _ => source.field(argument, &["metadata"]),
    };
    let metadata = metadata.map(|json| metadata::read(&json, "metadata"));
    let draft = Draft {
        metadata: metadata.transpose()?.flatten(),
        kind: kind.map_or("text", |Text(kind)| kind).to_owned(),
        client_id: owned(&request.client_id, "client_id")?,
        ..Draft::text(text)
    };
    Ok(Command::SendMessage { user, chat, draft })
}

fn size(limit: &Field<Whole<1>>, path: &str) -> Result<Option<usize>, Error> {
    let limit = limit.get(path)?;
    Ok(limit.map(|Whole(limit)| usize::try_from(*limit).unwrap_or(usize::MAX)))
}

fn owned(text: &Field<Text<'_>>, path: &str) -> Result<Option<String>, Error> {
    Ok(text.get(path)?.map(|Text(text)| (*text).to_owned()))
}
