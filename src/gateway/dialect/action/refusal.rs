//! The error of a request, with the status and the text of the original server.
//! Does not know the frame around it.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::model::{Error, ErrorKind};

/// The error of a request, with the text of the original server.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) error: Complaint,
}

/// A text, or one for each field.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Complaint {
    /// One sentence.
    Text(String),
    /// By the names of the fields.
    Fields(BTreeMap<&'static str, [String; 1]>),
}

impl Refusal {
    /// One sentence.
    pub(super) fn text(status: u16, text: impl Into<String>) -> Self {
        let error = Complaint::Text(text.into());
        Self { status, error }
    }

    /// A sentence for each field that is wrong.
    pub(super) fn fields(wrong: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        let wrong = wrong.into_iter().map(|(field, why)| (field, [why]));
        Self {
            status: 400,
            error: Complaint::Fields(wrong.collect()),
        }
    }

    /// The code that all dialects share.
    pub(super) const fn kind(&self) -> ErrorKind {
        match self.status {
            401 => ErrorKind::Unauthenticated,
            403 => ErrorKind::Forbidden,
            404 => ErrorKind::NotFound,
            409 => ErrorKind::Conflict,
            413 => ErrorKind::TooLarge,
            429 => ErrorKind::RateLimited,
            500 => ErrorKind::Internal,
            503 => ErrorKind::Unavailable,
            // 400, and 405: no such action.
            _ => ErrorKind::Invalid,
        }
    }

    /// There is no such room, or none that the caller may see.
    pub(super) fn not_found() -> Self {
        Self::text(404, "Not found")
    }
}

impl From<&Error> for Refusal {
    fn from(error: &Error) -> Self {
        let status = match error.kind {
            ErrorKind::NotFound => return Self::not_found(),
            ErrorKind::Forbidden => {
                let why = "You do not have permission to perform this action";
                return Self::text(
                    403,
                    match error.retry_after_ms {
                        Some(wait) => format!("{why}; retry_after_ms: {wait}"),
                        None => format!("{why}."),
                    },
                );
            }
            ErrorKind::Invalid => 400,
            ErrorKind::Unauthenticated => 401,
            ErrorKind::Conflict => 409,
            ErrorKind::TooLarge => 413,
            ErrorKind::RateLimited => 429,
            ErrorKind::Internal => 500,
            ErrorKind::Unavailable => 503,
        };
        let message = &error.message;
        match error.retry_after_ms {
            Some(wait) => Self::text(status, format!("{message}; retry_after_ms: {wait}")),
            None => Self::text(status, message),
        }
    }
}
