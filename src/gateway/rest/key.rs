//! The header `Idempotency-Key`, which identifies a repeated request.
//! Does not know the request.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::Serialize;

use super::problem::Problem;
use crate::model::{Error, Fingerprint, IdempotencyKey};

/// The header.
pub const NAME: &str = "Idempotency-Key";

/// The longest name.
const LONGEST: usize = 255;

/// The name that the caller gave the request, if it gave one.
pub struct Key(pub Option<String>);

impl Key {
    /// This name for this request.
    pub fn of(self, request: &impl Serialize) -> Option<IdempotencyKey> {
        let name = self.0?;
        // A request that was read from JSON can be written as JSON.
        let content = serde_json::to_string(request).unwrap_or_default();
        Some(IdempotencyKey {
            name,
            content: Fingerprint::of(&content),
        })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Key {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let mut values = parts.headers.get_all(NAME).iter();
        match (values.next(), values.next()) {
            (None, _) => Ok(Self(None)),
            (Some(value), None) => Ok(Self(Some(read(value.as_bytes())?))),
            (Some(_), Some(_)) => Err(Error::invalid(NAME, "is given twice").into()),
        }
    }
}

pub(super) fn read(value: &[u8]) -> Result<String, Error> {
    let visible = value.iter().all(u8::is_ascii_graphic);
    let name = String::from_utf8(value.to_owned()).ok();
    name.filter(|name| visible && (1..=LONGEST).contains(&name.len()))
        .ok_or_else(|| Error::invalid(NAME, "must be 1 to 255 visible ASCII characters"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_of_visible_characters() {
        assert_eq!(read(b"order-7").expect("a name"), "order-7");
        assert!(read(&[b'a'; 255]).is_ok());
        for wrong in [
            &b""[..],
            b"a b",
            b"\t",
            "é".as_bytes(),
            &[b'a'; 256],
            &[0xFF],
        ] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_same_request_has_the_same_content() {
        let key = |request: &str| Key(Some("k".into())).of(&request).expect("a key");
        assert_eq!(key("a"), key("a"));
        assert_ne!(key("a"), key("b"));
        assert!(Key(None).of(&"a").is_none());
    }
}
