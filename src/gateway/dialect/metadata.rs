//! The metadata of a message as clients write it.
//! Does not know where it stands in a request.

use serde_json::Value;

use super::surrogates;
use super::untrusted_json::{UntrustedJson, from_str};
use crate::model::{Error, Metadata};

/// How deep it may be nested: what a dialect puts around it must not exceed the limits of clients.
const DEPTH: usize = 64;

/// The metadata that this JSON is, in the field `path`; null and `{}` are none.
///
/// # Errors
/// `Invalid`: it is no object, nested too deeply, or no JSON that every client can read.
pub fn read(json: &str, path: &str) -> Result<Option<Metadata>, Error> {
    let wrong = |why: &str| Error::invalid(path, why);
    let json = surrogates::replaced(json);
    let value = from_str(&json).map(|UntrustedJson(value)| value);
    let value = value.map_err(|error| wrong(&format!("is not JSON: {error}")))?;
    match &value {
        Value::Null => return Ok(None),
        Value::Object(fields) if fields.is_empty() => return Ok(None),
        Value::Object(_) => {}
        _ => return Err(wrong("must be an object")),
    }
    if depth(&value) > DEPTH {
        return Err(wrong("is nested too deeply"));
    }
    let metadata = Metadata::of_json(json.into_owned());
    metadata.map(Some).ok_or_else(|| wrong("is not JSON"))
}

fn depth(value: &Value) -> usize {
    let inner = match value {
        Value::Array(items) => items.iter().map(depth).max(),
        Value::Object(fields) => fields.values().map(depth).max(),
        _ => return 0,
    };
    1 + inner.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_stays_as_it_was_written() {
        let json = r#"{"b": 1.0,"a":[]}"#;
        let metadata = read(json, "metadata").expect("an object");
        assert_eq!(metadata.expect("some").json(), json);
        let cut = read(r#"{"a":"\ud83d"}"#, "metadata").expect("an object");
        let replaced = cut.expect("some").json().to_ascii_lowercase();
        assert_eq!(replaced, r#"{"a":"\ufffd"}"#);
    }

    #[test]
    fn nothing_is_none_and_anything_else_an_error() {
        for nothing in ["null", "{}", "{ }"] {
            assert_eq!(read(nothing, "metadata").expect("none"), None);
        }
        for wrong in ["[]", "7", "\"{}\"", "true", r#"{"a":1e400}"#] {
            let error = read(wrong, "data.metadata").expect_err(wrong);
            assert!(error.message.starts_with("data.metadata: "), "{error}");
        }
    }

    #[test]
    fn depth_has_a_limit() {
        let nested = |levels: usize| {
            let (open, close) = ("[".repeat(levels - 1), "]".repeat(levels - 1));
            read(&format!(r#"{{"a":{open}{close}}}"#), "metadata")
        };
        assert!(nested(DEPTH).is_ok());
        for levels in [DEPTH + 1, 200, 100_000] {
            assert!(nested(levels).is_err(), "{levels}");
        }
    }
}
