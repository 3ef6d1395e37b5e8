//! The values of request fields, and their interpretation by the original server.
//! Does not know any request.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Number, Value};

use super::texts::{NO_CHAT, NO_CHAT_ID, NOT_JSON, UNEXPECTED, invalid};
use crate::gateway::dialect::untrusted_json::from_str;
use crate::model::{ChatPk, Error, ErrorKind, MAX_ID};

/// A field as the client wrote it, decoded where it is used: one that is broken spoils no other.
#[derive(Default)]
pub(super) struct RawField<'a>(Option<&'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for RawField<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Deserialize::deserialize(deserializer).map(|json| Self(Some(json)))
    }
}

impl RawField<'_> {
    pub(super) fn is_missing(&self) -> bool {
        self.0.is_none()
    }

    /// The JSON; that of a missing field is null.
    pub(super) fn written(&self) -> &str {
        self.0.map_or("null", RawValue::get)
    }

    /// The value.
    pub(super) fn value(&self) -> Result<Given, Error> {
        let json = self.written();
        if json.starts_with(['[', '{']) {
            let empty = json[1..json.len() - 1].trim().is_empty();
            return Ok(if empty { Given::Empty } else { Given::Nested });
        }
        match from_str(json) {
            Ok(Value::Null) => Ok(Given::Null),
            Ok(Value::Bool(value)) => Ok(Given::Bool(value)),
            Ok(Value::Number(number)) => Ok(Given::Number(number)),
            Ok(Value::String(text)) => Ok(Given::Text(text)),
            // A number beyond all bounds.
            _ => Err(invalid(NOT_JSON)),
        }
    }
}

/// The value of a field.
#[derive(Debug)]
pub(super) enum Given {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    /// A list or an object with nothing in it.
    Empty,
    /// A list or an object with something in it.
    Nested,
}

impl Given {
    /// Whether the original server treated it as missing: values that are false in Python.
    pub(super) fn is_nothing(&self) -> bool {
        match self {
            Self::Null | Self::Bool(false) | Self::Empty => true,
            Self::Number(number) => number.as_f64() == Some(0.0),
            Self::Text(text) => text.is_empty(),
            Self::Bool(true) | Self::Nested => false,
        }
    }

    /// The integer that it stands for, as the original server converted it; one beyond every id
    /// stays so.
    pub(super) fn integer(&self) -> Option<i64> {
        match self {
            Self::Bool(value) => Some(i64::from(*value)),
            Self::Number(number) => number.as_i64().or_else(|| number.as_f64().map(truncated)),
            Self::Text(text) => {
                let text = text.trim();
                let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
                is_digits(digits).then(|| text.parse().unwrap_or(i64::MAX))
            }
            Self::Null | Self::Empty | Self::Nested => None,
        }
    }

    /// The chat of this id.
    pub(super) fn chat(&self) -> Result<ChatPk, Error> {
        if matches!(self, Self::Null) {
            return Err(invalid(NO_CHAT_ID));
        }
        match self.integer() {
            Some(pk) if (1..=MAX_ID).contains(&pk) => Ok(pk),
            Some(_) => Err(Error::new(ErrorKind::NotFound, NO_CHAT)),
            None => Err(invalid(UNEXPECTED)),
        }
    }

    /// A number of messages; anything else is ignored.
    pub(super) fn count(&self) -> Option<usize> {
        let count = match self {
            Self::Number(number) => match number.as_f64() {
                Some(value) if value.fract() == 0.0 => self.integer(),
                _ => None,
            },
            Self::Text(text) if is_digits(text) => self.integer(),
            _ => None,
        };
        let count = count.filter(|count| *count > 0)?;
        Some(usize::try_from(count).unwrap_or(usize::MAX))
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[expect(clippy::cast_possible_truncation, reason = "cutting off is the rule")]
fn truncated(value: f64) -> i64 {
    value as i64
}
