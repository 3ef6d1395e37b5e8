//! Reading the JSON of a request, with errors that name the field by its path.
//! Does not know any request.

use std::sync::Arc;
use std::time::Duration;

use axum::body::BodyDataStream;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::caller::Server;
use super::problem::Problem;
use crate::gateway::dialect::surrogates;
use crate::model::Error;

/// A request's body that reads as a `T`.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Arc<Server>> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, server: &Arc<Server>) -> Result<Self, Self::Rejection> {
        if !is_json(request.headers()) {
            return Err(wrong_media_type());
        }
        let bytes = collect(request.into_body(), server.body_bytes).await?;
        Ok(Self(read(&bytes)?))
    }
}

/// How much of a body that is too long is read and dropped before the answer, in bytes: many
/// clients read no answer before they have sent all, and take a connection that is closed
/// meanwhile for a failure.
const DROPPED: usize = 32 * 1024 * 1024;

/// How long that may take.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// The whole body.
///
/// # Errors
/// `TooLarge`: it is longer than `limit` bytes. `Invalid`: it ended early.
async fn collect(body: axum::body::Body, limit: usize) -> Result<Vec<u8>, Error> {
    let mut chunks = body.into_data_stream();
    let mut bytes = Vec::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Error::invalid("body", "ended before it was complete"))?;
        if bytes.len() + chunk.len() > limit {
            let _ = tokio::time::timeout(TIME_LIMIT, drop_rest(chunks)).await;
            return Err(Error::too_large("body", format_args!("{limit} bytes")));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

async fn drop_rest(mut chunks: BodyDataStream) {
    let mut dropped = 0;
    while dropped < DROPPED
        && let Some(Ok(chunk)) = chunks.next().await
    {
        dropped += chunk.len();
    }
}

/// The `T` that this JSON stands for.
///
/// # Errors
/// `Invalid`, with the path of the field at fault.
pub(super) fn read<T: DeserializeOwned>(json: &[u8]) -> Result<T, Error> {
    // Reading a list into a struct would take its items for the fields, one after the other.
    if !json.trim_ascii_start().starts_with(b"{") {
        return Err(Error::invalid("body", "must be a JSON object"));
    }
    // Invalid UTF-8 is invalid JSON.
    let text = std::str::from_utf8(json).map(surrogates::replaced);
    let json = text.as_ref().map_or(json, |text| text.as_bytes());
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let read = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let path = if path == "." { String::new() } else { path };
        invalid(&path, &error.into_inner())
    })?;
    deserializer.end().map_err(|error| invalid("", &error))?;
    Ok(read)
}

/// The words of `serde` for what is wrong with a field, up to its name, and ours.
const WORDS: [(&str, &str); 3] = [
    ("missing field `", "is missing"),
    ("unknown field `", "is not known here"),
    ("duplicate field `", "is given twice"),
];

/// How much of a text from outside an error repeats, in characters.
const SHOWN: usize = 256;

fn invalid(path: &str, error: &serde_json::Error) -> Error {
    let text = error.to_string();
    if error.classify() != Category::Data {
        let why = format!("is not JSON: {text}");
        return Error::invalid("body", &shown(&why));
    }
    let named = WORDS.iter().find_map(|(theirs, ours)| {
        let (field, _) = text.strip_prefix(theirs)?.split_once('`')?;
        Some((field, ours))
    });
    let (path, why) = match named {
        // The path ends where the field is, or should be.
        Some((field, why)) if path.is_empty() => (field.to_owned(), *why),
        Some((field, why)) if ends_with(path, field) => (path.to_owned(), *why),
        Some((field, why)) => (format!("{path}.{field}"), *why),
        None if path.is_empty() => ("body".to_owned(), &*text),
        None => (path.to_owned(), &*text),
    };
    Error::invalid(&shown(&path), &shown(why))
}

fn ends_with(path: &str, field: &str) -> bool {
    let before = path.strip_suffix(field);
    before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE);
    let Some(value) = value.and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let essence = value.split(';').next().unwrap_or_default();
    let essence = essence.trim().to_ascii_lowercase();
    let suffix = essence.strip_prefix("application/");
    suffix.is_some_and(|suffix| suffix == "json" || suffix.ends_with("+json"))
}

fn wrong_media_type() -> Problem {
    let error = Error::invalid("Content-Type", "must be application/json");
    Problem::with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE, error)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use serde::Deserialize;

    use super::*;
    use crate::model::ErrorKind;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only reading them is of interest")]
    struct Parcel {
        weight: i64,
        label: Option<String>,
        inside: Option<Vec<Parcel>>,
    }

    #[test]
    fn an_error_names_the_field_by_its_path() {
        let cases = [
            ("{}", "weight: is missing"),
            (r#"{"inside": [{}]}"#, "inside[0].weight: is missing"),
            (r#"{"colour": 1}"#, "colour: is not known here"),
            (
                r#"{"inside": [{"a": 1}]}"#,
                "inside[0].a: is not known here",
            ),
            (r#"{"weight": 1, "weight": 1}"#, "weight: is given twice"),
        ];
        for (json, expected) in cases {
            let error = read::<Parcel>(json.as_bytes()).expect_err(json);
            assert_eq!(error.message, expected);
        }
        let wrong = [
            (r#"{"weight": "1"}"#, "weight: invalid type"),
            (r#"{"weight": 1.5}"#, "weight: invalid type"),
            (r#"{"weight": 9223372036854775808}"#, "weight: "),
            (r#"{"weight": 1, "label": []}"#, "label: invalid type"),
            (r#"{"inside": [[1, 2]]}"#, "inside"),
            ("[1, null, null]", "body: must be a JSON object"),
            ("7", "body: must be a JSON object"),
        ];
        for (json, expected) in wrong {
            let error = read::<Parcel>(json.as_bytes()).expect_err(json);
            assert!(error.message.starts_with(expected), "{}", error.message);
        }
    }

    #[test]
    fn what_is_no_json_is_refused_as_such() {
        let deep = r#"{"inside": ["#.repeat(100_000);
        let cases: [&[u8]; 5] = [b"", b"{", b"{}}", b"{\xFF", deep.as_bytes()];
        for json in cases {
            let error = read::<Parcel>(json).expect_err("no JSON");
            assert_eq!(error.kind, ErrorKind::Invalid);
        }
    }

    #[test]
    fn half_a_character_is_a_replacement() {
        let json = br#"{"weight": 1, "label": "Hello \ud83d"}"#;
        let parcel: Parcel = read(json).expect("a parcel");
        assert_eq!(parcel.label.as_deref(), Some("Hello \u{FFFD}"));
    }

    #[test]
    fn only_json_is_read() {
        let declared = |value| HeaderMap::from_iter([(header::CONTENT_TYPE, value)]);
        for value in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/merge-patch+json",
        ] {
            assert!(is_json(&declared(HeaderValue::from_static(value))));
        }
        for value in ["text/json", "application/x-www-form-urlencoded", "json", ""] {
            assert!(!is_json(&declared(HeaderValue::from_static(value))));
        }
        assert!(!is_json(&HeaderMap::new()));
    }
}
