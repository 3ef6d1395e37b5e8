//! Idempotency keys: make a repeated request to create something harmless.
//! Does not know headers: the host application's own name for a request comes in as text.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// A request's idempotency key and its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The caller, and the name that the caller gave the request: the same twice is a repetition.
    pub name: String,
    /// A hash of the content: under one name it must not differ.
    pub content: Fingerprint,
}

/// Stands for a text so that two different texts never have the same in practice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(Uuid);

impl Fingerprint {
    /// The fingerprint of this text.
    pub fn of(text: &str) -> Self {
        Self(Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes()))
    }

    /// The fingerprint that these 16 bytes stand for.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The 16 bytes under which a store keeps it.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.simple().fmt(out)
    }
}

impl FromStr for Fingerprint {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_have_equal_fingerprints_and_others_do_not() {
        assert_eq!(Fingerprint::of("a"), Fingerprint::of("a"));
        assert_ne!(Fingerprint::of("a"), Fingerprint::of("b"));
        let same = Fingerprint::from_bytes(*Fingerprint::of("a").as_bytes());
        assert_eq!(same, Fingerprint::of("a"));
    }
}
