//! How an address or a body names a user, a chat or an event: by the id, by the number, or, a user,
//! by the id in the host application.
//! Does not know whether there is such a thing.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Serialize, Serializer};
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, SchemaType, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::problem::Problem;
use crate::gateway::dialect::whole::of_float;
use crate::model::{ChatRef, Error, EventPk, MAX_ID, UserRef};

/// How many digits a number has at most; as many as [`MAX_ID`] has.
const DIGITS: usize = 16;

/// The form of a number.
pub const PK_PATTERN: &str = "^[1-9][0-9]{0,15}$";

/// Begins the name of a user or a chat by the id in the host application.
const EXTERNAL: &str = "external:";

/// The form of the name of a user or a chat.
pub const PATTERN: &str = "^([1-9][0-9]{0,15}|[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-\
     [0-9a-fA-F]{4}-[0-9a-fA-F]{12}|external:.+)$";

/// How much of a wrong name an error repeats.
const SHOWN: usize = 64;

/// A user: the UUID, the number, or the id in the host application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserName(pub UserRef);

/// A chat: the UUID, the number, or `external:` and the name in the host application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatName(pub ChatRef);

/// An event: the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventName(pub EventPk);

impl FromStr for UserName {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if let Some(external_id) = text.strip_prefix(EXTERNAL) {
            return Ok(Self(UserRef::External(external_id.to_owned())));
        }
        let pk = pk(text).map(UserRef::Pk);
        let named = pk.or_else(|| text.parse().ok().map(UserRef::Id));
        named.map(Self).ok_or(())
    }
}

impl FromStr for ChatName {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let pk = pk(text).map(ChatRef::Pk);
        let named = pk.or_else(|| ChatRef::external(text));
        let named = named.or_else(|| text.parse().ok().map(ChatRef::Id));
        named.map(Self).ok_or(())
    }
}

impl FromStr for EventName {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        pk(text).map(Self).ok_or(())
    }
}

/// A number as it is written: without zeros or a sign in front.
pub fn pk(text: &str) -> Option<i64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || text.starts_with('0') || text.len() > DIGITS {
        return None;
    }
    text.parse().ok()
}

/// A noun that stands in addresses, between braces, under its own name.
pub trait Noun: FromStr {
    /// The name.
    const NOUN: &'static str;
}

impl Noun for UserName {
    const NOUN: &'static str = "user";
}

impl Noun for ChatName {
    const NOUN: &'static str = "chat";
}

impl Noun for EventName {
    const NOUN: &'static str = "event";
}

/// The path parameter of a resource.
pub struct PathId<N>(pub N);

impl<N: Noun, S: Send + Sync> FromRequestParts<S> for PathId<N> {
    type Rejection = Problem;

    /// A malformed name is not found: it was never given out.
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let nothing = |shown: &str| Error::not_found(format_args!("{} {shown}", N::NOUN));
        let segments = RawPathParams::from_request_parts(parts, state).await;
        let segments = segments.map_err(|_| nothing("(not UTF-8)"))?;
        let mut segments = segments.iter();
        let text = segments.find_map(|(name, text)| (name == N::NOUN).then_some(text));
        let text = text.unwrap_or_default();
        let named = text.parse().map_err(|_| {
            let shown: String = text.chars().take(SHOWN).collect();
            nothing(&shown)
        })?;
        Ok(Self(named))
    }
}

impl Serialize for UserName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for UserName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

/// What names a user.
const FORMS: &str =
    "the UUID or the number of a user, or an object with its id, pk or externalUserId";

fn must_be<E: serde::de::Error>() -> E {
    E::custom(format_args!("must be {FORMS}"))
}

/// The users of a list.
///
/// # Errors
/// `TooLarge`: more than `most` are named.
pub fn user_refs(named: Vec<UserName>, most: usize) -> Result<Vec<UserRef>, Error> {
    if named.len() > most {
        return Err(Error::too_large("users", format_args!("{most} of them")));
    }
    Ok(named.into_iter().map(|UserName(user)| user).collect())
}

impl<'de> Visitor<'de> for Reader {
    type Value = UserName;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(FORMS)
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<UserName, E> {
        let pk = i64::try_from(number).ok();
        let pk = pk.filter(|pk| (1..=MAX_ID).contains(pk));
        let named = pk.map(|pk| UserName(UserRef::Pk(pk)));
        named.ok_or_else(must_be)
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<UserName, E> {
        // Negative numbers are invalid, too.
        let number = of_float(number).unwrap_or(0);
        self.visit_u64(u64::try_from(number).unwrap_or(0))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<UserName, E> {
        let named = text.parse();
        named.map_err(|()| must_be())
    }

    /// An object that names a user, as a user that was answered: the first of the fields counts.
    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<UserName, A::Error> {
        let (mut id, mut pk, mut external) = (None, None, None);
        while let Some(field) = fields.next_key::<Cow<'_, str>>()? {
            match &*field {
                "id" => id = fields.next_value::<Option<UserName>>()?,
                "pk" => pk = fields.next_value::<Option<UserName>>()?,
                "externalUserId" => external = fields.next_value::<Option<String>>()?,
                _ => drop(fields.next_value::<IgnoredAny>()?),
            }
        }
        let external = external.map(|external| UserName(UserRef::External(external)));
        id.or(pk).or(external).ok_or_else(must_be)
    }
}

impl PartialSchema for UserName {
    fn schema() -> RefOr<Schema> {
        let number = ObjectBuilder::new()
            .schema_type(SchemaType::Type(Type::Integer))
            .minimum(Some(1_isize))
            .maximum(isize::try_from(MAX_ID).ok());
        let text = ObjectBuilder::new()
            .schema_type(SchemaType::Type(Type::String))
            .pattern(Some(PATTERN));
        let external = ObjectBuilder::new()
            .schema_type(SchemaType::Type(Type::Object))
            .property("externalUserId", String::schema())
            .required("externalUserId");
        let either = OneOfBuilder::new()
            .item(number)
            .item(text)
            .item(external)
            .description(Some(
                "A user: the number (`pk`), the same as a string, the UUID (`id`), `external:` with the \
                 id in your application, or an object with one of `id`, `pk` and `externalUserId`.",
            ))
            .examples([serde_json::Value::from(1)]);
        either.into()
    }
}

impl ToSchema for UserName {
    fn name() -> std::borrow::Cow<'static, str> {
        "UserName".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::UserId;

    const ID: &str = "0195512c-5c75-7000-8000-000000000001";

    fn read(json: &str) -> Option<UserName> {
        serde_json::from_str(json).ok()
    }

    #[test]
    fn a_user_is_named_by_number_text_and_id() {
        let seven = Some(UserName(UserRef::Pk(7)));
        assert_eq!(read("7"), seven);
        assert_eq!(read("\"7\""), seven);
        assert_eq!(read("7.0"), seven);
        let id: UserId = ID.parse().expect("an id");
        let named = Some(UserName(UserRef::Id(id)));
        assert_eq!(read(&format!("\"{ID}\"")), named);
        assert_eq!(read(&format!("{{\"pk\":7,\"id\":\"{ID}\"}}")), named);
        assert_eq!(read("{\"name\":\"x\",\"pk\":\"7\"}"), seven);
        let anna = Some(UserName(UserRef::External("anna".into())));
        assert_eq!(read("{\"externalUserId\":\"anna\",\"pk\":null}"), anna);
        assert_eq!(read("\"external:anna\""), anna);
    }

    #[test]
    fn nothing_else_names_a_user() {
        let wrong = [
            "0",
            "-1",
            "-1.0",
            "1.5",
            "1e300",
            "true",
            "null",
            "[]",
            "{}",
            "{\"id\":true}",
            "{\"externalUserId\":7}",
            "\"\"",
            "\"07\"",
            "\"+7\"",
            "\"anna\"",
            "9007199254740992",
            "18446744073709551616",
            "\"12345678901234567\"",
        ];
        for json in wrong {
            assert_eq!(read(json), None, "{json}");
        }
    }

    #[test]
    fn numbers_are_written_in_one_way() {
        assert_eq!(pk("9999999999999999"), Some(9_999_999_999_999_999));
        for text in [
            "",
            "0",
            "01",
            "+1",
            "-1",
            " 1",
            "1 ",
            "٣",
            "99999999999999999",
        ] {
            assert_eq!(pk(text), None, "{text}");
        }
    }
}
