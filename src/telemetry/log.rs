//! The log: lines for people or JSON for machines, on standard output.
//! It refuses to carry a token or the text of a message: no caller hands it one, and what
//! libraries log through the older `log` facade is not listened to, since some log frames.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::SystemTime;

use crate::config::{ConfigError, LogFormat};

/// Starts logging. `level` as the option `--log-level`; without it the variable `RUST_LOG`
/// counts, and without that `info`.
///
/// # Errors
/// The level is none.
pub fn start(format: LogFormat, level: Option<&str>) -> Result<(), ConfigError> {
    let variable = std::env::var(EnvFilter::DEFAULT_ENV).ok();
    let level = level.or(variable.as_deref()).unwrap_or("info");
    let filter = EnvFilter::try_new(level)
        .map_err(|error| ConfigError::Wrong(format!("--log-level {level}: {error}")))?;
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
