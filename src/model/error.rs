//! Why a request was refused, in the kinds that a client can act on.
//! Does not know the encoding of an error.

use std::sync::Arc;

/// A refused request.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{kind}: {message}")]
pub struct Error {
    /// The kind, by which a client acts.
    pub kind: ErrorKind,
    /// For people: which field, which limit, which id.
    pub message: String,
    /// With [`ErrorKind::RateLimited`], and with [`ErrorKind::Forbidden`] where that ends: how long to
    /// wait, in milliseconds.
    pub retry_after_ms: Option<u64>,
    /// For the log only.
    #[source]
    pub source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

/// The codes of docs/protocols/README.md. A new one only if a client would act differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request is malformed; the message names the field and the reason.
    Invalid,
    /// No valid token.
    Unauthenticated,
    /// Known, but not allowed.
    Forbidden,
    /// No such thing, or not visible to the caller.
    NotFound,
    /// Exists already with other content.
    Conflict,
    /// Over a limit; the message gives the limit.
    TooLarge,
    /// Too fast.
    RateLimited,
    /// The store does not answer now; nothing was stored.
    Unavailable,
    /// A bug; the message is an id to look up in the log.
    Internal,
}

impl ErrorKind {
    /// The code as every dialect spells it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::TooLarge => "too_large",
            Self::RateLimited => "rate_limited",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }

    /// Whether the same request may succeed later.
    pub const fn is_retryable(self) -> bool {
        match self {
            Self::RateLimited | Self::Unavailable | Self::Internal => true,
            Self::Invalid
            | Self::Unauthenticated
            | Self::Forbidden
            | Self::NotFound
            | Self::Conflict
            | Self::TooLarge => false,
        }
    }
}

impl std::fmt::Display for ErrorKind {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.code())
    }
}

impl Error {
    /// An error of this kind, with a text for people.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            retry_after_ms: None,
            source: None,
        }
    }

    /// The same with the field that the message begins with under another name: `names` has pairs of the
    /// beginnings of messages.
    #[must_use]
    pub fn with_names(self, names: &[(&str, &str)]) -> Self {
        let renamed = names.iter().find_map(|(theirs, ours)| {
            let rest = self.message.strip_prefix(theirs)?;
            Some(format!("{ours}{rest}"))
        });
        match renamed {
            Some(message) => Self { message, ..self },
            None => self,
        }
    }

    /// [`ErrorKind::Invalid`]: `field` is the one at fault, `why` continues the sentence.
    pub fn invalid(field: &str, why: &str) -> Self {
        Self::new(ErrorKind::Invalid, format!("{field}: {why}"))
    }

    /// [`ErrorKind::NotFound`]: `what` is a noun with its id.
    pub fn not_found(what: impl std::fmt::Display) -> Self {
        Self::new(ErrorKind::NotFound, format!("no such {what}"))
    }

    /// [`ErrorKind::Forbidden`].
    pub fn forbidden(why: &str) -> Self {
        Self::new(ErrorKind::Forbidden, why)
    }

    /// [`ErrorKind::TooLarge`]: `limit` with its unit.
    pub fn too_large(field: &str, limit: impl std::fmt::Display) -> Self {
        Self::new(ErrorKind::TooLarge, format!("{field}: at most {limit}"))
    }

    /// [`ErrorKind::Unavailable`].
    pub fn unavailable(why: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, why)
    }

    /// [`ErrorKind::RateLimited`], to be tried again after this time.
    pub fn rate_limited(retry_after_ms: u64) -> Self {
        Self {
            retry_after_ms: Some(retry_after_ms),
            ..Self::new(ErrorKind::RateLimited, "too many requests at once")
        }
    }

    /// The same error with its cause attached, for the log.
    #[must_use]
    pub fn because(self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self {
            source: Some(Arc::new(source)),
            ..self
        }
    }
}
