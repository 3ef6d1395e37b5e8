//! Parts of the document that do not follow from the types.
//! Does not know the operations that they are parts of.

use serde_json::{Value, json};
use utoipa::openapi::schema::{
    AnyOfBuilder, ArrayBuilder, KnownFormat, ObjectBuilder, SchemaFormat, SchemaType, Type,
};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::names;
use super::query::PAGE;

/// A user, where only text can stand.
pub struct UserInPath;

/// A chat, where only text can stand.
pub struct ChatInPath;

/// An event, where only text can stand.
pub struct EventInPath;

/// How many things are wanted at most.
pub struct Limit;

/// The number of a message, or 0.
pub struct SeqInQuery;

/// A point in time, or a day.
pub struct MomentInQuery;

impl PartialSchema for UserInPath {
    fn schema() -> RefOr<Schema> {
        text(names::PATTERN)
    }
}

impl PartialSchema for ChatInPath {
    fn schema() -> RefOr<Schema> {
        text(names::PATTERN)
    }
}

impl PartialSchema for EventInPath {
    fn schema() -> RefOr<Schema> {
        text(names::PK_PATTERN)
    }
}

impl PartialSchema for Limit {
    fn schema() -> RefOr<Schema> {
        number(1, Some(json!(PAGE)))
    }
}

impl PartialSchema for SeqInQuery {
    fn schema() -> RefOr<Schema> {
        number(0, None)
    }
}

impl PartialSchema for MomentInQuery {
    fn schema() -> RefOr<Schema> {
        moment_texts().into()
    }
}

/// A time in a body, which may be null.
pub fn moment() -> RefOr<Schema> {
    let number = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(-377_705_023_201_000_i64))
        .maximum(Some(253_402_207_200_000_i64));
    let why = "Those that were issued before this time: RFC 3339, a date, YYYY-MM-DD HH:MM:SS in UTC, or \
               milliseconds since 1970. Null, or not given: before now.";
    let either = moment_texts()
        .item(number)
        .item(ObjectBuilder::new().schema_type(Type::Null))
        .description(Some(why));
    either.into()
}

/// The texts that are a time.
fn moment_texts() -> AnyOfBuilder {
    let formatted = |format, example| {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(format)))
            .examples([json!(example)])
    };
    let shaped = |pattern: &str, example| {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(pattern))
            .examples([json!(example)])
    };
    AnyOfBuilder::new()
        .item(formatted(KnownFormat::DateTime, "2025-03-01T13:51:53Z"))
        .item(formatted(KnownFormat::Date, "2025-03-01"))
        .item(shaped(
            "^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}$",
            "2025-03-01 13:51:53",
        ))
        .item(shaped("^[0-9]{1,14}$", "1740837113000"))
}

impl ToSchema for Limit {}
impl ToSchema for SeqInQuery {}
impl ToSchema for MomentInQuery {}
impl ToSchema for UserInPath {}
impl ToSchema for ChatInPath {}
impl ToSchema for EventInPath {}

fn text(pattern: &str) -> RefOr<Schema> {
    let text = ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some(pattern))
        .examples([json!("1")]);
    text.into()
}

fn number(least: isize, usual: Option<Value>) -> RefOr<Schema> {
    let number = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(least))
        .default(usual);
    number.into()
}

/// The ids of a message's pictures.
pub fn photos() -> Schema {
    let photo = ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some(r"\S"))
        .min_length(Some(1))
        .max_length(Some(256));
    ids(
        photo,
        "The ids of at most 20 pictures that go with it, of at most 256 bytes each.",
    )
}

/// The ids of an event's pictures.
pub fn icons() -> Schema {
    let icon = ObjectBuilder::new()
        .schema_type(Type::String)
        .max_length(Some(256));
    ids(
        icon,
        "The ids of at most 20 pictures, of at most 256 bytes each.",
    )
}

/// Constraints between the fields of some requests.
pub fn conditions() -> [(&'static str, &'static str, Value); 3] {
    let given = |field: &str, other: &str| {
        json!({
            "required": [field],
            "properties": {field: {"not": {"type": "null"}}, other: {"type": "null"}}
        })
    };
    let one_user = json!([
        given("userId", "externalUserId"),
        given("externalUserId", "userId")
    ]);
    let something = json!([
        {"properties": {"text": {"pattern": r"\S"}}},
        {"required": ["photos"], "properties": {"photos": {"type": "array", "minItems": 1}}}
    ]);
    let somebody = json!([
        {"required": ["users"], "properties": {"users": {"minItems": 1}}},
        {"required": ["policy"], "properties": {"policy": {"const": "open"}}}
    ]);
    [
        ("NewChat", "anyOf", somebody),
        ("NewMessage", "anyOf", something),
        ("NewToken", "oneOf", one_user),
    ]
}

/// A list of at most 20 of these, or null.
fn ids(item: ObjectBuilder, description: &str) -> Schema {
    let list = ArrayBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Array, Type::Null]))
        .items(item)
        .max_items(Some(20))
        .description(Some(description));
    list.into()
}
