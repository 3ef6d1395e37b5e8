//! How requests name users and chats.
//! Does not know any request.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};

use crate::gateway::dialect::decode::{Field, Object, Text, Whole, chat_ref, id, missing};
use crate::model::{ChatRef, Error, UserRef};

/// A chat, named by its id.
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

/// A user, named by its id, by its number, or by its id in the host application: the first of these
/// counts, so that a user as the server sends it names itself.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct NamedUser<'a> {
    #[serde(borrow)]
    id: Field<Text<'a>>,
    pk: Field<Whole<1>>,
    #[serde(borrow, rename = "externalUserId")]
    external_user_id: Field<Text<'a>>,
    #[serde(borrow)]
    external_id: Field<Text<'a>>,
}

impl NamedUser<'_> {
    /// The user; `path` is that of this object.
    fn read(&self, path: &str) -> Result<UserRef, Error> {
        let field = |name: &str| format!("{path}.{name}");
        if let Some(Text(text)) = self.id.get(&field("id"))? {
            return id(text, "user").map(UserRef::Id);
        }
        if let Some(Whole(pk)) = self.pk.get(&field("pk"))? {
            return Ok(UserRef::Pk(*pk));
        }
        let external_id = self.external_user_id.get(&field("externalUserId"))?;
        let external_id = external_id.or(self.external_id.get(&field("external_id"))?);
        let Text(external_id) = external_id.ok_or_else(|| missing(&field("id")))?;
        Ok(UserRef::External((*external_id).to_owned()))
    }
}

/// The user that a request names, if it names one.
pub(super) fn named_user(user: &Field<Object<NamedUser<'_>>>) -> Result<Option<UserRef>, Error> {
    let user = user.get("user")?;
    user.map(|Object(named)| named.read("user")).transpose()
}

/// A list of users.
pub(super) struct Users<'a>(Vec<Item<'a>>);

/// A user in a list: the id, or an object. The list as a whole is at fault for anything else.
#[derive(Deserialize)]
#[serde(untagged)]
enum Item<'a> {
    #[serde(borrow)]
    Id(Text<'a>),
    #[serde(borrow)]
    Named(Object<NamedUser<'a>>),
    Other(IgnoredAny),
}

/// The users of a list; none if there is no list.
pub(super) fn users(users: &Field<Users<'_>>) -> Result<Vec<UserRef>, Error> {
    let users = users.get("users")?.map_or(&[][..], |Users(users)| users);
    let named = users.iter().map(|user| match user {
        Item::Id(Text(text)) => id(text, "user").map(UserRef::Id),
        Item::Named(Object(named)) => named.read("users"),
        Item::Other(_) => Err(Error::invalid("users", &format!("must be {LIST}"))),
    });
    named.collect()
}

/// What a list of users has to be.
const LIST: &str = "a list of ids, or of objects that name users";

impl<'de: 'a, 'a> Deserialize<'de> for Users<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;

        impl<'de> Visitor<'de> for List {
            type Value = Users<'de>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(LIST)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let mut users = Vec::new();
                while let Some(item) = items.next_element()? {
                    users.push(item);
                }
                Ok(Users(users))
            }
        }

        deserializer.deserialize_any(List)
    }
}
