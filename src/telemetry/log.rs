//! The log: lines for people or JSON for machines, on standard output.
//! Does not carry a token or the text of a message: no caller passes one, and the older `log`
//! facade is not connected, since some libraries log frames through it.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::IsTerminal;
use std::panic::PanicHookInfo;
use std::str::FromStr;

use tracing::level_filters::LevelFilter;
use tracing::{Dispatch, dispatcher, error};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::time::SystemTime;
use tracing_subscriber::layer::SubscriberExt;

use super::escape::{EscapedFields, EscapedJson};

/// The variable that counts without `--log-level`.
pub const LEVEL_VARIABLE: &str = "RUST_LOG";

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for machines.
    Json,
}

/// The levels, and how to write one for a part of the program.
const LEVELS: &str =
    "write error, warn, info, debug, trace, off, or a list like info,polychat::hub=debug";

/// The lines that are written: those of a level, or of a list of parts of the program with theirs.
#[derive(Debug, Clone, PartialEq)]
pub struct LogLevel(Targets);

impl FromStr for LogLevel {
    type Err = String;

    /// A variable that is set to nothing counts as none.
    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(Self::default());
        }
        if let Some(wrong) = text.split(',').find(|part| !is_directive(part)) {
            return Err(format!("\"{wrong}\" is no level; {LEVELS}"));
        }
        text.parse().map(Self).map_err(|_| LEVELS.to_owned())
    }
}

impl Default for LogLevel {
    fn default() -> Self {
        Self(Targets::new().with_default(LevelFilter::INFO))
    }
}

/// Whether this is a level, a path of modules with one, or a path alone, for all its lines. The parser takes
/// any word for such a path, so that a misspelt level would turn the whole log off.
fn is_directive(part: &str) -> bool {
    match part.rsplit_once('=') {
        Some((_, level)) => is_level(level),
        None => is_level(part) || part.starts_with("polychat") || part.contains("::"),
    }
}

fn is_level(text: &str) -> bool {
    !text.is_empty() && text.parse::<LevelFilter>().is_ok()
}

/// A log level in `RUST_LOG` that cannot be parsed.
#[derive(Debug, thiserror::Error)]
#[error("{LEVEL_VARIABLE}: {0}")]
pub struct LogLevelError(String);

/// The level that counts: `given` is the option `--log-level`; without it that of the variable `RUST_LOG`, and
/// without that `info`.
///
/// # Errors
/// The variable cannot be parsed.
pub fn level(given: Option<&LogLevel>) -> Result<LogLevel, LogLevelError> {
    match (given, std::env::var(LEVEL_VARIABLE)) {
        (Some(given), _) => Ok(given.clone()),
        (None, Ok(variable)) => variable.parse().map_err(LogLevelError),
        (None, Err(_)) => Ok(LogLevel::default()),
    }
}

/// Starts logging, panics included.
pub fn start(format: LogFormat, LogLevel(filter): LogLevel) {
    let is_terminal = std::io::stdout().is_terminal();
    let lines = lines(format, filter, is_terminal, std::io::stdout);
    // A process starts its log once, so none is there yet.
    let _ = dispatcher::set_global_default(lines);
    std::panic::set_hook(Box::new(log_panic));
}

/// Writes events to `writer`, with colours if it is a terminal.
fn lines<W>(format: LogFormat, filter: Targets, is_terminal: bool, writer: W) -> Dispatch
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_ansi(is_terminal)
        .with_timer(SystemTime)
        .with_writer(writer);
    match format {
        LogFormat::Text => lines.fmt_fields(EscapedFields).finish().with(filter).into(),
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true);
            let lines = lines.map_event_format(EscapedJson);
            lines.finish().with(filter).into()
        }
    }
}

/// The message of a panic may hold what a client sent, so it is escaped as every other line.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let location = panic.location().map(ToString::to_string);
    let location = location.as_deref().unwrap_or("an unknown place");
    let message = panic.payload_as_str().unwrap_or("no message");
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then_some(backtrace);
    let backtrace = backtrace.map(|backtrace| backtrace.to_string());
    error!(
        thread = thread.name(),
        backtrace, "panicked at {location}: {message}"
    );
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
