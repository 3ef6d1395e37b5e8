//! From the text of an event to a command.
//! It refuses to know who is calling: what a field may say is for the service to judge.

use std::str::FromStr;

use serde_json::{Map, Value};

use super::super::packet::Request;
use super::{CREATE_CHAT, CREATE_USER, LIST_CHATS, LIST_MESSAGES, NEW_MESSAGE};
use crate::gateway::dialect::cursors::Next;
use crate::gateway::dialect::fields::{Fields, id};
use crate::gateway::dialect::moments::{Moment, NO_MOMENT};
use crate::gateway::dialect::sought::{Sought, by_id};
use crate::model::{
    ChatId, Command, Draft, Error, History, Positions, Profile, Range, UserId, UserRef, Window,
};

/// The command that a request stands for.
///
/// # Errors
/// `Invalid`, with the field at fault; `NotFound`: an id that was never given out.
pub fn decode(request: Request) -> Result<Command, Error> {
    let Request { name, arguments } = request;
    let mut arguments = arguments.into_iter();
    let first = match arguments.next() {
        None | Some(Value::Null) => Value::Object(Map::new()),
        Some(first) => first,
    };
    match &*name {
        CREATE_USER => create_user(&Fields::of_body(&first)?),
        CREATE_CHAT => create_chat(&Fields::of_body(&first)?),
        LIST_CHATS => list_chats(&Fields::of_body(&first)?),
        LIST_MESSAGES => list_messages(&Fields::of_body(&first)?),
        NEW_MESSAGE => match first {
            Value::String(room) => {
                let body = arguments.next().unwrap_or_default();
                new_message(Some(&room), &Fields::of_body(&body)?)
            }
            body => new_message(None, &Fields::of_body(&body)?),
        },
        unknown => {
            let shown: String = unknown.chars().take(64).collect();
            Err(Error::invalid("event", &format!("there is no \"{shown}\"")))
        }
    }
}

/// The chats that a `sync` asks about, and the command for it.
///
/// # Errors
/// As [`decode`].
pub fn sync(request: &Request) -> Result<(Sought, Command), Error> {
    let empty = Value::Object(Map::new());
    let body = request.arguments.first().filter(|body| !body.is_null());
    let body = body.unwrap_or(&empty);
    let user = named_user(&Fields::of_body(body)?)?;
    let sought = Sought::read(body.get("chats"), "chats", by_id)?;
    let chats = sought.chats();
    Ok((sought, Command::Sync { user, chats }))
}

fn create_user(body: &Fields<'_>) -> Result<Command, Error> {
    let user = body.object("user")?.ok_or_else(|| body.missing("user"))?;
    let profile = Profile {
        username: owned(user.text("username")?),
        name: owned(user.text("name")?),
        avatar: owned(user.text("avatar")?.or(user.text("photo")?)),
        github: owned(user.text("github")?),
        image_uuid: owned(user.text("imageUUID")?),
    };
    let external_id = user.text("externalUserId")?.or(user.text("external_id")?);
    match (external_id, user.id("id", "user")?) {
        (None, Some(_)) if profile != Profile::default() => Err(user.invalid(
            "externalUserId",
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

fn create_chat(body: &Fields<'_>) -> Result<Command, Error> {
    let name = match body.object("chat")? {
        Some(chat) => owned(chat.text("name")?),
        None => None,
    };
    let users = body.texts("users")?.unwrap_or_default();
    let members = users.into_iter().map(|user| id(user, "user"));
    Ok(Command::CreateChat {
        name,
        members: members.collect::<Result<_, _>>()?,
        key: None,
    })
}

fn list_chats(body: &Fields<'_>) -> Result<Command, Error> {
    let why = "must be the `next` of an earlier answer";
    let before: Option<Next> = body.parsed("before", why)?;
    Ok(Command::ListChats {
        user: named_user(body)?,
        limit: limit(body)?,
        before: before.map(|next| next.0),
    })
}

fn list_messages(body: &Fields<'_>) -> Result<Command, Error> {
    let mut range = Range::default();
    let mut window = Window::Last(usize::MAX);
    if let Some(query) = body.object("query")? {
        let from: Option<Moment> = query.parsed("from", NO_MOMENT)?;
        let to: Option<Moment> = query.parsed("to", NO_MOMENT)?;
        range = Range {
            after: query.whole("after_seq", 0)?,
            before: query.whole("before_seq", 0)?,
            from: from.map(Moment::first),
            to: to.map(Moment::last),
        };
        let limit = limit(&query)?.unwrap_or(usize::MAX);
        window = match range.after {
            Some(_) => Window::First(limit),
            None => Window::Last(limit),
        };
    }
    Ok(Command::ListMessages {
        user: named_user(body)?,
        chat: chat(body)?.ok_or_else(|| body.missing("chat.id"))?.into(),
        history: History { range, window },
        positions: Positions::Untold,
    })
}

/// All four forms of PROTOCOL §2: `room` is the chat id that came as an argument of its own.
fn new_message(room: Option<&str>, body: &Fields<'_>) -> Result<Command, Error> {
    let given = match room {
        Some(room) => Some(id(room, "chat")?),
        None => body.id("room", "chat")?,
    };
    let chat = match (given, chat(body)?) {
        (Some(room), Some(chat)) if room != chat => {
            return Err(body.invalid("room", "is another chat than chat.id"));
        }
        (room, chat) => room.or(chat).ok_or_else(|| body.missing("room"))?,
    };
    let message = body.object("message")?;
    let within = |key| {
        message
            .as_ref()
            .map_or(Ok(None), |message| message.text(key))
    };
    let text = match body.text("msg")? {
        Some(text) => Some(text),
        None => within("value")?,
    };
    let kind = match body.text("type")? {
        Some(kind) => Some(kind),
        None => within("type")?,
    };
    let user = named_user(body)?;
    let text = text.ok_or_else(|| match &message {
        Some(message) => message.missing("value"),
        None => body.missing("msg"),
    })?;
    let draft = Draft {
        kind: kind.unwrap_or("text").to_owned(),
        client_id: owned(body.text("client_id")?),
        ..Draft::text(text)
    };
    Ok(Command::SendMessage {
        user,
        chat: chat.into(),
        draft,
    })
}

fn named_user(body: &Fields<'_>) -> Result<Option<UserId>, Error> {
    required_id(body, "user")
}

fn chat(body: &Fields<'_>) -> Result<Option<ChatId>, Error> {
    required_id(body, "chat")
}

/// The id in the object `noun`, which has to have one if it is there.
fn required_id<T: FromStr>(body: &Fields<'_>, noun: &str) -> Result<Option<T>, Error> {
    let Some(object) = body.object(noun)? else {
        return Ok(None);
    };
    match object.id("id", noun)? {
        Some(id) => Ok(Some(id)),
        None => Err(object.missing("id")),
    }
}

fn limit(fields: &Fields<'_>) -> Result<Option<usize>, Error> {
    let limit = fields.whole("limit", 1)?;
    Ok(limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX)))
}

fn owned(text: Option<&str>) -> Option<String> {
    text.map(str::to_owned)
}
