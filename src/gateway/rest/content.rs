//! The text of a message in a body: a string, or anything else, which counts as its JSON; and its
//! metadata.
//! Does not know messages.

use serde::de::{Deserialize, Deserializer, Error};
use serde_json::value::RawValue;
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{RefOr, Schema};

use crate::gateway::dialect::metadata;
use crate::gateway::dialect::untrusted_json::{UntrustedJson, from_str};
use crate::model::Metadata;

/// A text as it came, anything else but null as its JSON.
pub fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    optional_text(deserializer)?.ok_or_else(|| D::Error::custom("must not be null"))
}

/// The same where there may be none, or null.
pub fn optional_text<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    let json = Box::<RawValue>::deserialize(deserializer)?;
    match json.get().as_bytes() {
        b"null" => Ok(None),
        [b'"', ..] => serde_json::from_str(json.get())
            .map(Some)
            .map_err(D::Error::custom),
        _ => {
            // JSON that not every client can read is no text.
            let UntrustedJson(_) = from_str(json.get()).map_err(D::Error::custom)?;
            Ok(Some(json.get().to_owned()))
        }
    }
}

/// The metadata of a message.
pub fn metadata<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Metadata>, D::Error> {
    let json = Box::<RawValue>::deserialize(deserializer)?;
    // The path is added where the body is read.
    metadata::read(json.get(), "").map_err(|error| {
        let why = error.message.trim_start_matches(": ");
        D::Error::custom(why)
    })
}

/// The schema of such a text.
pub fn text_schema() -> RefOr<Schema> {
    let types = vec![
        Type::String,
        Type::Number,
        Type::Boolean,
        Type::Array,
        Type::Object,
    ];
    let any = ObjectBuilder::new().schema_type(SchemaType::Array(types));
    any.description(Some(
        "The text. Blank only with photos. Anything but a string is stored as its JSON. The server limits its \
         length, by default to 16384 bytes.",
    ))
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    struct Body {
        #[serde(deserialize_with = "text")]
        text: String,
    }

    #[test]
    fn anything_but_null_is_a_text() {
        let read = |json: &str| {
            let body: Result<Body, _> = crate::gateway::rest::body::read(json.as_bytes());
            body.map(|body| body.text).map_err(|error| error.message)
        };
        for (json, expected) in [
            (r#""a\"b""#, "a\"b"),
            ("7", "7"),
            ("1.50", "1.50"),
            ("false", "false"),
            ("[ 1,2]", "[ 1,2]"),
            (r#"{"b":1,"a":2}"#, r#"{"b":1,"a":2}"#),
        ] {
            let body = format!(r#"{{"text":{json}}}"#);
            assert_eq!(read(&body).as_deref(), Ok(expected));
        }
        let null = read(r#"{"text":null}"#).expect_err("null");
        assert!(null.starts_with("text: must not be null"), "{null}");
        assert_eq!(read("{}"), Err("text: is missing".to_owned()));
    }
}
