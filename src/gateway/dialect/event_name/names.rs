//! How requests name users and chats.
//! Does not know any request.

use std::str::FromStr;

use serde::Deserialize;

use crate::gateway::dialect::decode::{Field, Object, Text, chat_ref, id, missing};
use crate::model::{ChatRef, Error};

/// A user or a chat, named by its id.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Named<'a> {
    #[serde(borrow)]
    id: Field<Text<'a>>,
}

/// The chat that a request names, in one of two ways or in both.
pub(super) fn one_chat(
    room: Option<&str>,
    chat: &Field<Object<Named<'_>>>,
) -> Result<ChatRef, Error> {
    let room = room.map(chat_ref).transpose()?;
    match (room, named_chat(chat)?) {
        (Some(room), Some(chat)) if room != chat => {
            Err(Error::invalid("room", "is another chat than chat.id"))
        }
        (room, chat) => room.or(chat).ok_or_else(|| missing("room")),
    }
}

/// The chat in the object `chat`, which has to name one if it is there.
pub(super) fn named_chat(chat: &Field<Object<Named<'_>>>) -> Result<Option<ChatRef>, Error> {
    let Some(Object(named)) = chat.get("chat")? else {
        return Ok(None);
    };
    let Text(text) = named.id.required("chat.id")?;
    chat_ref(text).map(Some)
}

/// The id in the object `noun`, which has to have one if it is there.
pub(super) fn named<T: FromStr>(
    object: &Field<Object<Named<'_>>>,
    noun: &str,
) -> Result<Option<T>, Error> {
    let Some(Object(named)) = object.get(noun)? else {
        return Ok(None);
    };
    let Text(text) = named.id.required(&format!("{noun}.id"))?;
    id(text, noun).map(Some)
}
