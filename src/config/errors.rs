//! Errors in the options, each in one sentence.
//! Does not find them.

use clap::error::{ContextKind, ContextValue};

use super::places;

/// An error in the options, in one sentence.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The command line or the environment; also a request for help, which is none.
    #[error("{}", in_one_line(.0))]
    Usage(clap::Error),
    /// The file, or options that do not go together.
    #[error("{0}")]
    Wrong(String),
}

/// The first paragraph of clap's message, which is the error; the rest repeats the usage.
fn in_one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let first = text.split("\n\n").next().unwrap_or_default();
    let lines: Vec<_> = first.lines().map(str::trim).collect();
    let sentence = lines.join(" ");
    let sentence = sentence.trim_start_matches("error: ");
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(&**text),
        _ => None,
    };
    let meant = text(ContextKind::InvalidArg).and_then(places::meant);
    let hint = match meant.or_else(|| text(ContextKind::SuggestedArg)) {
        Some(option) => format!("; did you mean {option}?"),
        None => "; see polychat --help".to_owned(),
    };
    format!("{sentence}{hint}")
}
