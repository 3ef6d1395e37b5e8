//! Validates the fields of a request, with the error texts of the original server.
//! Does not know actions and frames.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::refusal::Refusal;
use crate::gateway::dialect::cursors::{NO_CURSOR, VisibleText};
use crate::gateway::dialect::decode::even_null;
use crate::gateway::dialect::metadata;
use crate::gateway::dialect::untrusted_json::{UntrustedJson, from_str};
use crate::model::{ChatChange, ChatPk, Draft, MAX_ID, VisibleCursor};

/// A field is missing.
pub(super) const REQUIRED: &str = "This field is required.";
const NULL: &str = "This field may not be null.";
const BLANK: &str = "This field may not be blank.";
const NO_TEXT: &str = "Not a valid string.";
const NO_INTEGER: &str = "A valid integer is required.";
const TOO_SMALL: &str = "Ensure this value is greater than or equal to 1.";

/// The longest name of a room, in characters.
const NAME_CHARS: usize = 255;

/// The room that a `pk` names in whatever form: a number, its whole part, a text of digits,
/// or `true` for 1.
pub(super) fn pk(value: &RawValue) -> Option<ChatPk> {
    let UntrustedJson(value) = from_str(value.get()).ok()?;
    whole(&value).filter(|pk| (1..=MAX_ID).contains(pk))
}

/// A message as it is to be sent: text as it came, anything else but null as its JSON.
///
/// # Errors
/// Nothing is to be sent, or the fields are of the wrong type.
pub(super) fn draft(
    message: Option<&RawValue>,
    client_id: Option<&RawValue>,
    metadata: Option<&RawValue>,
) -> Result<Draft, Refusal> {
    let text = content(message).map_err(|why| refuse("message", why))?;
    let client_id = client_id.map(|id| from_str(id.get()));
    let client_id = client_id
        .transpose()
        .map_err(|_| refuse("client_id", NO_TEXT))?;
    let metadata = metadata.map(|json| metadata::read(json.get(), "metadata"));
    let metadata = metadata.transpose().map_err(|error| {
        let why = error.message.strip_prefix("metadata: ");
        refuse("metadata", why.unwrap_or(&error.message))
    })?;
    Ok(Draft {
        client_id,
        metadata: metadata.flatten(),
        ..Draft::text(text)
    })
}

fn content(message: Option<&RawValue>) -> Result<String, &'static str> {
    let json = message.ok_or(REQUIRED)?.get();
    let text = match json.as_bytes() {
        b"null" => return Err(NULL),
        [b'"', ..] => from_str(json).map_err(|_| NO_TEXT)?,
        _ => json.to_owned(),
    };
    if text.trim().is_empty() {
        Err(BLANK)
    } else {
        Ok(text)
    }
}

/// The name and the team of a room to create.
///
/// # Errors
/// The fields that are wrong.
pub(super) fn new_room(data: &RawValue) -> Result<(String, Option<i64>), Refusal> {
    let data = dictionary(data)?;
    let name = name(&data).and_then(|name| name.ok_or(REQUIRED.to_owned()));
    let (name, team) = both("name", name, "team", team(&data))?;
    Ok((name, team.flatten()))
}

/// The changes of a room, with a mandatory name.
///
/// # Errors
/// The fields that are wrong.
pub(super) fn update(data: &RawValue) -> Result<ChatChange, Refusal> {
    let data = dictionary(data)?;
    let name = name(&data).and_then(|name| name.ok_or(REQUIRED.to_owned()));
    let (name, team) = both("name", name, "team", team(&data))?;
    let name = Some(name);
    Ok(ChatChange {
        name,
        team,
        policy: None,
    })
}

/// The changes of a room.
///
/// # Errors
/// The fields that are wrong.
pub(super) fn patch(data: &RawValue) -> Result<ChatChange, Refusal> {
    let data = dictionary(data)?;
    let (name, team) = both("name", name(&data), "team", team(&data))?;
    Ok(ChatChange {
        name,
        team,
        policy: None,
    })
}

/// The `data` of a room to create or to change. Null is another error than a missing field.
#[derive(Deserialize)]
struct RoomFields {
    #[serde(default, deserialize_with = "even_null")]
    name: Option<UntrustedJson>,
    #[serde(default, deserialize_with = "even_null")]
    team: Option<UntrustedJson>,
}

/// The length of a page of rooms, and the place where the page before it ended.
///
/// # Errors
/// The fields that are wrong.
pub(super) fn page(
    limit: Option<&RawValue>,
    before: Option<&RawValue>,
) -> Result<(Option<usize>, Option<VisibleCursor>), Refusal> {
    let limit = limit.map_or(Ok(None), |limit| size(limit).map(Some));
    let before = before.map_or(Ok(None), |before| place(before).map(Some));
    both("limit", limit, "before", before)
}

fn size(limit: &RawValue) -> Result<usize, String> {
    let value = from_str(limit.get()).map(|UntrustedJson(value)| value);
    let size = value.ok().filter(|value| !value.is_boolean());
    match size.as_ref().and_then(whole) {
        None => Err(NO_INTEGER.to_owned()),
        Some(size) if size < 1 => Err(TOO_SMALL.to_owned()),
        Some(size) => Ok(usize::try_from(size).unwrap_or(usize::MAX)),
    }
}

fn place(before: &RawValue) -> Result<VisibleCursor, String> {
    let text: Option<String> = from_str(before.get()).ok();
    let place = text.and_then(|text| text.parse().ok());
    let VisibleText(place) = place.ok_or_else(|| NO_CURSOR.to_owned())?;
    Ok(place)
}

fn dictionary(data: &RawValue) -> Result<RoomFields, Refusal> {
    let not_json = |error| Refusal::text(400, format!("JSON parse error - {error}"));
    let UntrustedJson(data) = from_str(data.get()).map_err(not_json)?;
    match data {
        Value::Object(_) => RoomFields::deserialize(data).map_err(not_json),
        other => {
            let found = type_name(&other);
            let why = format!("Invalid data. Expected a dictionary, but got {found}.");
            Err(Refusal::fields([("non_field_errors", why)]))
        }
    }
}

/// The `name`, if it is there.
fn name(data: &RoomFields) -> Result<Option<String>, String> {
    let name = match data.name.as_ref().map(|UntrustedJson(name)| name) {
        None => return Ok(None),
        Some(Value::String(name)) => name.trim().to_owned(),
        Some(Value::Number(name)) => name.to_string(),
        Some(Value::Null) => return Err(NULL.to_owned()),
        Some(_) => return Err(NO_TEXT.to_owned()),
    };
    if name.is_empty() {
        Err(BLANK.to_owned())
    } else if name.chars().count() > NAME_CHARS {
        Err(format!(
            "Ensure this field has no more than {NAME_CHARS} characters."
        ))
    } else {
        Ok(Some(name))
    }
}

/// The `team`, if it is there; null and `""` take it away.
#[expect(clippy::option_option, reason = "as in ChatChange")]
fn team(data: &RoomFields) -> Result<Option<Option<i64>>, String> {
    let value = match data.team.as_ref().map(|UntrustedJson(team)| team) {
        None => return Ok(None),
        Some(Value::Null) => return Ok(Some(None)),
        Some(Value::String(text)) if text.is_empty() => return Ok(Some(None)),
        Some(value) => value,
    };
    let unlike = || {
        let found = type_name(value);
        format!("Incorrect type. Expected pk value, received {found}.")
    };
    match whole(value) {
        _ if value.is_boolean() => Err(unlike()),
        Some(team) if (1..=MAX_ID).contains(&team) => Ok(Some(Some(team))),
        None if !value.is_number() => Err(unlike()),
        _ => Err(format!(
            "Invalid pk {} - object does not exist.",
            quoted(value)
        )),
    }
}

fn both<A, B>(
    first_field: &'static str,
    first: Result<A, String>,
    second_field: &'static str,
    second: Result<B, String>,
) -> Result<(A, B), Refusal> {
    match (first, second) {
        (Ok(first), Ok(second)) => Ok((first, second)),
        (first, second) => {
            let first = first.err().map(|why| (first_field, why));
            let second = second.err().map(|why| (second_field, why));
            Err(Refusal::fields(first.into_iter().chain(second)))
        }
    }
}

fn refuse(field: &'static str, why: &str) -> Refusal {
    Refusal::fields([(field, why.to_owned())])
}

/// The result of Python's `int()`.
fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Bool(value) => Some(i64::from(*value)),
        Value::Number(number) => number.as_i64().or_else(|| truncated(number.as_f64()?)),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn truncated(number: f64) -> Option<i64> {
    /// Every whole number below is exact.
    const LIMIT: f64 = 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "that is what is wanted")]
    (number.abs() < LIMIT).then_some(number as i64)
}

fn quoted(value: &Value) -> String {
    match value {
        Value::String(text) => format!("\"{}\"", text.trim()),
        other => format!("\"{other}\""),
    }
}

/// The name of the type in Python.
fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "str",
        Value::Array(_) => "list",
        Value::Object(_) => "dict",
    }
}
