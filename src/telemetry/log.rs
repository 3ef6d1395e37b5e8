//! The log: lines for people or JSON for machines, on standard output.
//! Does not carry a token or the text of a message: no caller passes one, and the older `log`
//! facade is not connected, since some libraries log frames through it.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::IsTerminal;
use std::panic::PanicHookInfo;

use tracing::level_filters::LevelFilter;
use tracing::{Dispatch, dispatcher, error};
use tracing_subscriber::filter::{ParseError, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::time::SystemTime;
use tracing_subscriber::layer::SubscriberExt;

use super::escape::{EscapedFields, EscapedJson};

/// The variable that counts without `--log-level`.
const LEVEL_VARIABLE: &str = "RUST_LOG";

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for machines.
    Json,
}

/// A log level that cannot be parsed.
#[derive(Debug, thiserror::Error)]
#[error("--log-level {level}: {why}")]
pub struct LogLevelError {
    level: String,
    why: ParseError,
}

/// Starts logging, panics included. `level` is the option `--log-level`; without it the variable
/// `RUST_LOG` counts, and without that `info`.
///
/// # Errors
/// The level cannot be parsed.
pub fn start(format: LogFormat, level: Option<&str>) -> Result<(), LogLevelError> {
    let variable = std::env::var(LEVEL_VARIABLE).ok();
    let level = level.or(variable.as_deref()).unwrap_or("info");
    let filter = level.parse().map_err(|why| LogLevelError {
        level: level.to_owned(),
        why,
    })?;
    let is_terminal = std::io::stdout().is_terminal();
    let lines = lines(format, filter, is_terminal, std::io::stdout);
    // A process starts its log once, so none is there yet.
    let _ = dispatcher::set_global_default(lines);
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
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
