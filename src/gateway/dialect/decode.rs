//! Decoding of JSON bodies into the request structs of the dialects.
//! Does not know any request: the dialects define them.

use std::fmt;
use std::str::FromStr;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::whole;
use crate::model::Error;

/// Decodes the body of a request, all of whose fields are [`Field`]s.
///
/// # Errors
/// `Invalid`: it is no object.
pub fn decode<'de, T: Deserialize<'de>>(body: &'de Value) -> Result<T, Error> {
    let decoded = Object::deserialize(body);
    let Object(request) = decoded.map_err(|_| Error::invalid("body", "must be an object"))?;
    Ok(request)
}

/// A field of a request. One of the wrong type is an error only where it is used: so a request is
/// judged field by field in the order in which it is read.
#[derive(Debug, Default)]
pub enum Field<T> {
    /// It is not there, or null.
    #[default]
    Missing,
    /// It is there.
    Given(T),
    /// It is of the wrong type; the required type.
    Wrong(String),
}

impl<T> Field<T> {
    /// The value. `path` is its path in the body, for the error.
    ///
    /// # Errors
    /// `Invalid`: it is of the wrong type.
    pub fn get(&self, path: &str) -> Result<Option<&T>, Error> {
        match self {
            Self::Missing => Ok(None),
            Self::Given(value) => Ok(Some(value)),
            Self::Wrong(reason) => Err(Error::invalid(path, reason)),
        }
    }

    /// The same for a field that has to be there.
    ///
    /// # Errors
    /// `Invalid`: it is missing, or of the wrong type.
    pub fn required(&self, path: &str) -> Result<&T, Error> {
        self.get(path)?.ok_or_else(|| missing(path))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Option::deserialize(deserializer) {
            Ok(None) => Self::Missing,
            Ok(Some(value)) => Self::Given(value),
            Err(error) => Self::Wrong(reason(&error.to_string())),
        })
    }
}

/// Rewords the errors of `serde` about a wrong type. The `expecting` of each type below completes
/// the sentence "must be …".
fn reason(text: &str) -> String {
    let expected = text
        .starts_with("invalid ")
        .then(|| text.rsplit_once(", expected "));
    match expected.flatten() {
        Some((_, expected)) => format!("must be {expected}"),
        None => text.to_owned(),
    }
}

/// Decodes an optional field in which null is a value: for `deserialize_with`.
///
/// # Errors
/// As the field's type.
pub fn even_null<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// The error for a field that has to be there.
pub fn missing(path: &str) -> Error {
    Error::invalid(path, "is missing")
}

/// The id of a `noun`, as a text. A text that is no id at all is the id of nothing: it was never
/// given out.
///
/// # Errors
/// `NotFound`: it is no id.
pub fn id<T: FromStr>(text: &str, noun: &str) -> Result<T, Error> {
    /// As much of a wrong id as an error repeats, in characters.
    const SHOWN: usize = 64;
    text.parse().map_err(|_| {
        let shown: String = text.chars().take(SHOWN).collect();
        Error::not_found(format_args!("{noun} {shown}"))
    })
}

/// An object, and nothing else: `derive(Deserialize)` would read a list as the fields of a struct
/// in their order.
#[derive(Debug)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = Object<T>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(fields)).map(Object)
            }
        }

        deserializer.deserialize_any(Fields(std::marker::PhantomData))
    }
}

/// A string.
#[derive(Debug, Clone, Copy)]
pub struct Text<'a>(pub &'a str);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrowed;

        impl<'de> Visitor<'de> for Borrowed {
            type Value = Text<'de>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(text))
            }
        }

        deserializer.deserialize_any(Borrowed)
    }
}

/// A list of strings.
#[derive(Debug, Default)]
pub struct Texts<'a>(pub Vec<&'a str>);

impl<'de: 'a, 'a> Deserialize<'de> for Texts<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;

        impl<'de> Visitor<'de> for List {
            type Value = Texts<'de>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a list of strings")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let mut texts = Vec::new();
                while let Some(Content(text)) = items.next_element()? {
                    let wrong = || serde::de::Error::custom("must be a list of strings");
                    texts.push(text.ok_or_else(wrong)?);
                }
                Ok(Texts(texts))
            }
        }

        deserializer.deserialize_any(List)
    }
}

/// A string, or anything else: a text that counts as its JSON then.
#[derive(Debug, Clone, Copy)]
pub struct Content<'a>(pub Option<&'a str>);

impl<'de: 'a, 'a> Deserialize<'de> for Content<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Content<'de>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("anything")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Content(Some(text)))
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Content(None))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
                Ok(Content(None))
            }

            fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
                Ok(Content(None))
            }

            fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
                Ok(Content(None))
            }

            fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
                Ok(Content(None))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Content(None))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
                while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Content(None))
            }
        }

        deserializer.deserialize_any(Any)
    }
}

/// True or false.
#[derive(Debug, Clone, Copy)]
pub struct Flag(pub bool);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bool;

        impl Visitor<'_> for Bool {
            type Value = Flag;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("true or false")
            }

            fn visit_bool<E>(self, flag: bool) -> Result<Self::Value, E> {
                Ok(Flag(flag))
            }
        }

        deserializer.deserialize_any(Bool)
    }
}

/// A whole number of at least `LEAST`, in whatever spelling: other languages write `2.0`, and front
/// ends send back as a text what they read from an address.
#[derive(Debug, Clone, Copy)]
pub struct Whole<const LEAST: i64>(pub i64);

impl<'de, const LEAST: i64> Deserialize<'de> for Whole<LEAST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number<const LEAST: i64>;

        impl<const LEAST: i64> Number<LEAST> {
            fn large_enough<E: serde::de::Error>(number: Option<i64>) -> Result<Whole<LEAST>, E> {
                let number = number.filter(|number| *number >= LEAST);
                number.map(Whole).ok_or_else(|| {
                    E::custom(format_args!("must be a whole number of at least {LEAST}"))
                })
            }
        }

        impl<const LEAST: i64> Visitor<'_> for Number<LEAST> {
            type Value = Whole<LEAST>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(out, "a whole number of at least {LEAST}")
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Self::Value, E> {
                Self::large_enough(Some(number))
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Self::Value, E> {
                Self::large_enough(i64::try_from(number).ok())
            }

            fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Self::Value, E> {
                Self::large_enough(whole::of_float(number))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Self::large_enough(whole::of_text(text))
            }
        }

        deserializer.deserialize_any(Number::<LEAST>)
    }
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
