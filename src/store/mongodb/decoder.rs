//! Decodes documents through `serde`, like the deserializer of `bson`, but with one kind of map for
//! all values. The one of `bson` has a dozen, for each of which the compiler generates the code of
//! each document again: a seventh of the whole of polychat.
//! Does not know which fields a document has, nor values that no document of ours has.

use std::iter;

use mongodb::bson::raw::RawIter;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{RawBsonRef, RawDocument};
use serde::de::value::{Error, MapDeserializer};
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error as _, IntoDeserializer, MapAccess,
    SeqAccess, Visitor,
};
use serde::forward_to_deserialize_any;

/// The key under which `bson` expects the milliseconds of a time.
const DATE: &str = "$date";

/// Decodes a document.
///
/// # Errors
/// A field is missing, or has another type; or the bytes are not BSON.
pub(super) fn from_document<T: DeserializeOwned>(document: &RawDocument) -> Result<T, Error> {
    T::deserialize(Value(RawBsonRef::Document(document)))
}

/// A value of a document.
struct Value<'de>(RawBsonRef<'de>);

impl<'de> Deserializer<'de> for Value<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            RawBsonRef::Null => visitor.visit_unit(),
            RawBsonRef::Boolean(value) => visitor.visit_bool(value),
            RawBsonRef::Int32(number) => visitor.visit_i32(number),
            RawBsonRef::Int64(number) => visitor.visit_i64(number),
            RawBsonRef::Double(number) => visitor.visit_f64(number),
            RawBsonRef::String(text) => visitor.visit_borrowed_str(text),
            RawBsonRef::DateTime(at) => {
                let fields = iter::once((DATE, at.timestamp_millis()));
                visitor.visit_map(MapDeserializer::new(fields))
            }
            RawBsonRef::Binary(binary) if binary.subtype == BinarySubtype::Uuid => {
                visitor.visit_borrowed_bytes(binary.bytes)
            }
            RawBsonRef::Document(document) => {
                visitor.visit_map(Values::of(document.iter_elements()))
            }
            RawBsonRef::Array(array) => visitor.visit_seq(Values::of(array.iter_elements())),
            other => {
                let kind = other.element_type();
                Err(Error::custom(format_args!("a value of type {kind:?}")))
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            RawBsonRef::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.0 {
            RawBsonRef::String(text) => visitor.visit_enum(text.into_deserializer()),
            _ => Err(Error::custom("expected a string")),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier
    }
}

/// The fields of a document, or the values of an array, in order.
struct Values<'de> {
    rest: RawIter<'de>,
    /// Of the key that was read last.
    value: Option<RawBsonRef<'de>>,
}

impl<'de> Values<'de> {
    fn of(rest: RawIter<'de>) -> Self {
        Self { rest, value: None }
    }
}

impl<'de> MapAccess<'de> for Values<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        let Some(element) = self.rest.next() else {
            return Ok(None);
        };
        let element = element.map_err(Error::custom)?;
        self.value = Some(element.value().map_err(Error::custom)?);
        let key = element.key().as_str();
        seed.deserialize(key.into_deserializer()).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let value = self.value.take().unwrap_or(RawBsonRef::Null);
        seed.deserialize(Value(value))
    }
}

impl<'de> SeqAccess<'de> for Values<'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        let Some(element) = self.rest.next() else {
            return Ok(None);
        };
        let value = element.and_then(|element| element.value());
        let value = value.map_err(Error::custom)?;
        seed.deserialize(Value(value)).map(Some)
    }
}
