//! The options of `import` and `export`.
//! Does not open any file.

use std::path::PathBuf;

use clap::Args;
use secrecy::SecretString;

use super::{Config, ConfigError};

/// What to import, and where to.
#[derive(Debug, Clone, Args)]
pub struct ImportOptions {
    /// The file of JSON lines; - for standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// The address of a running server to send the records to; without one they are written into the store, which no
    /// server may use meanwhile
    #[arg(long, value_name = "URL")]
    pub to: Option<String>,

    /// A service token for that server; a server in open mode needs none
    #[arg(long, requires = "to", value_name = "TOKEN")]
    pub token: Option<SecretString>,

    /// A file with this token
    #[arg(long, requires = "to", conflicts_with = "token", value_name = "FILE")]
    pub token_file: Option<PathBuf>,

    /// Check the file and import nothing: every line at fault is named
    #[arg(long)]
    pub dry_run: bool,

    /// Add the members of the file to chats that exist already, also those that have left them since
    #[arg(long)]
    pub add_members: bool,

    /// Write the old and the new id of each record into this file, as JSON lines
    #[arg(long, value_name = "FILE")]
    pub map: Option<PathBuf>,

    /// The options of a server.
    #[command(flatten)]
    pub config: Config,
}

impl ImportOptions {
    /// The token for the running server, if one is given.
    ///
    /// # Errors
    /// Its file cannot be read.
    pub fn token(&self) -> Result<Option<SecretString>, ConfigError> {
        let Some(path) = &self.token_file else {
            return Ok(self.token.clone());
        };
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|error| {
            ConfigError::Wrong(format!("--token-file {}: {error}", path.display()))
        })?;
        Ok(Some(text.trim().to_owned().into()))
    }
}

/// What to export, and where to.
#[derive(Debug, Clone, Args)]
pub struct ExportOptions {
    /// The file to write, which must not exist [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// The options of a server.
    #[command(flatten)]
    pub config: Config,
}
