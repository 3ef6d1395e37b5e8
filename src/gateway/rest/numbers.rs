//! Whole numbers as JSON has them: `5`, but also `5.0` and `5e0`.
//! Does not know the unit of a number.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

use crate::gateway::dialect::whole::of_float;

/// A whole number from a body.
pub fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    Whole::deserialize(deserializer).map(|Whole(number)| number)
}

/// The same where it may be missing, or null.
pub fn optional<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    let number: Option<Whole> = Option::deserialize(deserializer)?;
    Ok(number.map(|Whole(number)| number))
}

/// An integer id that may be missing, or null; it may also be written as a string.
pub fn optional_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Id<'a> {
        Text(std::borrow::Cow<'a, str>),
        Number(Whole),
    }
    let expected = || D::Error::custom("expected a whole number");
    match Option::deserialize(deserializer).map_err(|_| expected())? {
        None => Ok(None),
        Some(Id::Number(Whole(number))) => Ok(Some(number)),
        Some(Id::Text(text)) => text.parse().map(Some).map_err(|_| expected()),
    }
}

struct Whole(i64);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader).map(Self)
    }
}

struct Reader;

impl Visitor<'_> for Reader {
    type Value = i64;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a whole number")
    }

    fn visit_i64<E>(self, number: i64) -> Result<i64, E> {
        Ok(number)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<i64, E> {
        i64::try_from(number).map_err(|_| E::custom("is too large"))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<i64, E> {
        of_float(number).ok_or_else(|| E::custom("must be a whole number"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Option<i64> {
        let mut deserializer = serde_json::Deserializer::from_str(json);
        whole(&mut deserializer).ok()
    }

    #[test]
    fn a_whole_number_may_be_written_with_a_point() {
        for json in ["5", "5.0", "5e0", "0.5e1"] {
            assert_eq!(read(json), Some(5), "{json}");
        }
        assert_eq!(read("2238836601637891.0"), Some(2_238_836_601_637_891));
        assert_eq!(read("-9223372036854775808"), Some(i64::MIN));
        assert_eq!(read("9223372036854775807"), Some(i64::MAX));
    }

    #[test]
    fn nothing_else_is_one() {
        for json in [
            "5.5",
            "9223372036854775808",
            "1e300",
            "\"5\"",
            "true",
            "null",
            "[5]",
        ] {
            assert_eq!(read(json), None, "{json}");
        }
    }
}
