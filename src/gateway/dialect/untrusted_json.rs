//! Decodes untrusted JSON.
//! Does not know the meaning of a document.
//!
//! Half of a character, which JavaScript sends where it cuts a text, counts as U+FFFD wherever it
//! stands ([`surrogates`]).
//!
//! With the feature `raw_value`, `serde_json::Value` unpacks an object whose first key is
//! `$serde_json::private::RawValue` as JSON inside JSON, each time with a fresh limit on depth:
//! a frame of 100 KB ends the stack, and with it the process. A [`UntrustedJson`] reads that key like
//! any other, and so the limit of 128 levels holds.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{
    Deserialize, DeserializeOwned, Deserializer, Error, MapAccess, SeqAccess, Visitor,
};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::surrogates;

/// Decodes JSON from outside.
///
/// # Errors
/// It is no JSON, or of another type.
pub fn from_str<T: DeserializeOwned>(json: &str) -> serde_json::Result<T> {
    serde_json::from_str(&surrogates::replaced(json))
}

/// The fields of a JSON object, undecoded: a broken one spoils no other, and what is echoed stays
/// as it was written. The last of the same name counts.
#[derive(Debug)]
pub struct RawFields<'a>(pub BTreeMap<String, &'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for RawFields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = RawFields<'de>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
                let mut fields = BTreeMap::new();
                while let Some((name, value)) = entries.next_entry::<&RawValue, &RawValue>()? {
                    let name = from_str(name.get()).map_err(A::Error::custom)?;
                    fields.insert(name, value);
                }
                Ok(RawFields(fields))
            }
        }

        deserializer.deserialize_map(Fields)
    }
}

/// A JSON value from outside.
#[derive(Debug)]
pub struct UntrustedJson(pub Value);

impl<'de> Deserialize<'de> for UntrustedJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader).map(Self)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("any JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(UntrustedJson(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((key, UntrustedJson(value))) = entries.next_entry()? {
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
pub mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// The JSON that a `Value` unpacks level by level.
    pub fn packed(levels: usize) -> String {
        let quote = |depth: usize| match depth {
            0 => "\"".to_owned(),
            depth => format!("\\{}u0022", "u005c".repeat(depth - 1)),
        };
        let open = |depth| {
            let quote = quote(depth);
            let arrays = "[".repeat(100);
            format!("{arrays}{{{quote}$serde_json::private::RawValue{quote}:{quote}")
        };
        let close = |depth| format!("{}}}{}", quote(depth), "]".repeat(100));
        let opened: String = (0..levels).map(open).collect();
        let closed: String = (0..levels).rev().map(close).collect();
        format!("{opened}1{closed}")
    }

    #[test]
    fn nothing_is_unpacked() {
        let UntrustedJson(value) = from_str(&packed(200)).expect("JSON");
        assert!(value.to_string().len() > 100_000);
        let two = packed(2);
        let UntrustedJson(plain) = from_str(&two).expect("JSON");
        let unpacked: Value = serde_json::from_str(&two).expect("JSON");
        assert_ne!(plain, unpacked);
    }

    #[test]
    fn depth_has_a_limit() {
        assert!(from_str::<UntrustedJson>(&"[".repeat(100_000)).is_err());
    }

    #[test]
    fn half_a_character_is_a_replacement_in_names_and_values() {
        let UntrustedJson(value) = from_str(r#"{"\ud83d\ud800":["\udc00"]}"#).expect("JSON");
        assert_eq!(value, json!({"\u{FFFD}\u{FFFD}": ["\u{FFFD}"]}));
    }

    #[test]
    fn fields_stay_as_they_were_written() {
        let json = r#"{"a":1,"\ud83d":"\ud83d","\u0061": [ "\ud800" ],"$serde_json::private::RawValue":""}"#;
        let RawFields(fields) = serde_json::from_str(json).expect("an object");
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, json)| (&**name, json.get()))
            .collect();
        let expected = [
            ("$serde_json::private::RawValue", "\"\""),
            ("a", r#"[ "\ud800" ]"#),
            ("\u{FFFD}", r#""\ud83d""#),
        ];
        assert_eq!(fields, expected);
        for wrong in ["[]", "7", r#"{"\ud8":1}"#, r#"{"a":1"#, "{1:2}"] {
            assert!(
                serde_json::from_str::<RawFields<'_>>(wrong).is_err(),
                "{wrong}"
            );
        }
    }

    proptest! {
        #[test]
        fn everything_else_is_read_as_ever(text in "[\\[\\]{}:,\"a0-9.eE\\-+ tfnruels\\\\]{0,40}") {
            let value = serde_json::from_str::<Value>(&text).ok();
            let plain = from_str::<UntrustedJson>(&text).ok();
            prop_assert_eq!(plain.map(|UntrustedJson(value)| value), value);
        }
    }
}
