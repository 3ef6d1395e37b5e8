//! The log: lines for people or JSON for machines, on standard output.
//! Does not carry a token or the text of a message: no caller passes one, and the older `log`
//! facade is not connected, since some libraries log frames through it.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::time::SystemTime;

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

/// Starts logging. `level` is the option `--log-level`; without it the variable `RUST_LOG`
/// counts, and without that `info`.
///
/// # Errors
/// The level cannot be parsed.
pub fn start(format: LogFormat, level: Option<&str>) -> Result<(), LogLevelError> {
    let variable = std::env::var(EnvFilter::DEFAULT_ENV).ok();
    let level = level.or(variable.as_deref()).unwrap_or("info");
    let filter = EnvFilter::try_new(level).map_err(|why| LogLevelError {
        level: level.to_owned(),
        why,
    })?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stdout().is_terminal())
        .with_timer(SystemTime);
    match format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
    Ok(())
}
