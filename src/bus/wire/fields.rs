//! The fields of documents on the wire, written and read one by one. A field that is not looked for is skipped
//! without being decoded: `serde` would descend into it, however deep it is.
//! Does not know which fields a document has.

use jiff::Timestamp;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{DateTime, RawBinaryRef, RawBsonRef, RawDocument};

use super::UnknownContent;
use crate::model::{ChatId, ConnectionId, MessageId, NodeId, UserId};

/// The last millisecond that can be read as a time again: [`Timestamp::MAX`] lies in a later one.
const LAST: i64 = 253_402_207_200_000;

/// A document that is read.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a>(&'a RawDocument);

impl<'a> Fields<'a> {
    /// The document that these bytes are, and nothing else.
    pub(super) fn of_bytes(bytes: &'a [u8]) -> Result<Self, UnknownContent> {
        let document = RawDocument::from_bytes(bytes);
        document
            .map(Self)
            .map_err(|error| UnknownContent(error.to_string()))
    }

    /// A field that may be absent.
    pub(super) fn find<T: Value<'a>>(self, key: &str) -> Result<Option<T>, UnknownContent> {
        let found = self.0.get(key);
        let found = found.map_err(|error| UnknownContent(error.to_string()))?;
        let value = found.map(T::of).transpose();
        value.map_err(|UnknownContent(why)| UnknownContent(format!("{key}: {why}")))
    }

    /// A field that is there.
    pub(super) fn get<T: Value<'a>>(self, key: &str) -> Result<T, UnknownContent> {
        let missing = || UnknownContent(format!("{key} is missing"));
        self.find(key)?.ok_or_else(missing)
    }
}

/// The value of a field.
pub(super) trait Value<'a>: Sized {
    /// Decodes it.
    fn of(value: RawBsonRef<'a>) -> Result<Self, UnknownContent>;
}

/// The error for a value of another type than the field has.
pub(super) fn other_type<T>() -> Result<T, UnknownContent> {
    Err(UnknownContent("it has another type".to_owned()))
}

/// The error for a value that the field does not have in any version that is known.
pub(super) fn other_value(key: &str) -> UnknownContent {
    UnknownContent(format!("{key}: it has an unknown value"))
}

impl<'a> Value<'a> for Fields<'a> {
    fn of(value: RawBsonRef<'a>) -> Result<Self, UnknownContent> {
        value
            .as_document()
            .map_or_else(other_type, |it| Ok(Self(it)))
    }
}

impl Value<'_> for i64 {
    fn of(value: RawBsonRef<'_>) -> Result<Self, UnknownContent> {
        match value {
            RawBsonRef::Int64(number) => Ok(number),
            RawBsonRef::Int32(number) => Ok(number.into()),
            _ => other_type(),
        }
    }
}

impl Value<'_> for u32 {
    fn of(value: RawBsonRef<'_>) -> Result<Self, UnknownContent> {
        let number = i64::of(value)?;
        Self::try_from(number).or_else(|_| other_type())
    }
}

impl Value<'_> for bool {
    fn of(value: RawBsonRef<'_>) -> Result<Self, UnknownContent> {
        value.as_bool().map_or_else(other_type, Ok)
    }
}

impl<'a> Value<'a> for &'a str {
    fn of(value: RawBsonRef<'a>) -> Result<Self, UnknownContent> {
        value.as_str().map_or_else(other_type, Ok)
    }
}

impl Value<'_> for String {
    fn of(value: RawBsonRef<'_>) -> Result<Self, UnknownContent> {
        <&str>::of(value).map(str::to_owned)
    }
}

impl<'a, T: Value<'a>> Value<'a> for Vec<T> {
    fn of(value: RawBsonRef<'a>) -> Result<Self, UnknownContent> {
        let RawBsonRef::Array(array) = value else {
            return other_type();
        };
        let elements = array.into_iter().map(|element| {
            let element = element.map_err(|error| UnknownContent(error.to_string()))?;
            T::of(element)
        });
        elements.collect()
    }
}

/// The bytes that another codec wrote.
impl<'a> Value<'a> for &'a [u8] {
    fn of(value: RawBsonRef<'a>) -> Result<Self, UnknownContent> {
        match value {
            RawBsonRef::Binary(binary) if binary.subtype == BinarySubtype::Generic => {
                Ok(binary.bytes)
            }
            _ => other_type(),
        }
    }
}

impl Value<'_> for [u8; 16] {
    fn of(value: RawBsonRef<'_>) -> Result<Self, UnknownContent> {
        match value {
            RawBsonRef::Binary(binary) if binary.subtype == BinarySubtype::Uuid => {
                Self::try_from(binary.bytes).or_else(|_| other_type())
            }
            _ => other_type(),
        }
    }
}

macro_rules! id {
    ($($name:ident),+) => {
        $(impl Value<'_> for $name {
            fn of(value: RawBsonRef<'_>) -> Result<Self, UnknownContent> {
                <[u8; 16]>::of(value).map(Self::from_bytes)
            }
        })+
    };
}

id!(UserId, ChatId, MessageId, ConnectionId, NodeId);

impl Value<'_> for Timestamp {
    fn of(value: RawBsonRef<'_>) -> Result<Self, UnknownContent> {
        let RawBsonRef::DateTime(date) = value else {
            return other_type();
        };
        Self::from_millisecond(date.timestamp_millis())
            .map_err(|error| UnknownContent(error.to_string()))
    }
}

/// An id as the value of a field.
pub(super) const fn uuid(bytes: &[u8; 16]) -> RawBinaryRef<'_> {
    RawBinaryRef {
        subtype: BinarySubtype::Uuid,
        bytes,
    }
}

/// Bytes as the value of a field.
pub(super) const fn binary(bytes: &[u8]) -> RawBinaryRef<'_> {
    RawBinaryRef {
        subtype: BinarySubtype::Generic,
        bytes,
    }
}

/// A time as the value of a field: whole milliseconds, as in every store.
pub(super) fn date(at: Timestamp) -> DateTime {
    DateTime::from_millis(at.as_millisecond().min(LAST))
}
