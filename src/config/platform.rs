//! The variables that hosting platforms set: the port that they expect, and the database that they
//! have made.
//! Does not read the variables of the options.

use std::net::SocketAddr;

use clap::ArgMatches;
use clap::parser::ValueSource;

use super::ConfigError;
use super::file::ConfigFile;

/// The variable of the port.
pub(super) const PORT: &str = "PORT";

/// The variable of the store.
pub(super) const STORE: &str = "MONGODB_URI";

/// Which of these variables count.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Platform {
    pub(super) port: bool,
    pub(super) store: bool,
}

/// Changes the address, if the command has one, and the store by these variables. None of them overrides an option that was given to this server by
/// name; `PORT` overrides the port of a file, which may be that of an image.
///
/// # Errors
/// `PORT` is no port, or the store none of MongoDB.
pub(super) fn apply(
    listen: Option<&mut SocketAddr>,
    store: &mut String,
    matches: &ArgMatches,
    file: Option<&ConfigFile>,
) -> Result<Platform, ConfigError> {
    let by_default = |id| matches.value_source(id) == Some(ValueSource::DefaultValue);
    let mut platform = Platform::default();
    if let Some(listen) = listen
        && let Ok(port) = std::env::var(PORT)
        && by_default("listen")
    {
        let wrong = |_| ConfigError::Wrong(format!("{PORT} is no port number: {port}"));
        listen.set_port(port.parse().map_err(wrong)?);
        platform.port = true;
    }
    if let Ok(url) = std::env::var(STORE)
        && by_default("store")
        && !file.is_some_and(|file| file.has("store"))
    {
        if !url.starts_with("mongodb:") && !url.starts_with("mongodb+srv:") {
            // It may have a password, so it is not printed.
            return Err(ConfigError::Wrong(format!(
                "{STORE} is no URL of MongoDB; --store may name another store"
            )));
        }
        *store = url;
        platform.store = true;
    }
    Ok(platform)
}
