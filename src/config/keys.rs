//! The options for the keys of tokens.
//! Does not know the use of a key: `auth` does.

use std::path::PathBuf;

use clap::Args;
use secrecy::SecretString;

use super::ConfigError;

/// The keys that check tokens.
#[derive(Debug, Clone, Args)]
pub struct KeyOptions {
    /// The shared secret of HS256 tokens, of 32 bytes or more
    #[arg(
        long,
        env = "POLYCHAT_JWT_SECRET",
        hide_env_values = true,
        hide_default_value = true,
        value_name = "SECRET"
    )]
    pub jwt_secret: Option<SecretString>,

    /// A file with that secret; white space around it does not count
    #[arg(long, env = "POLYCHAT_JWT_SECRET_FILE", value_name = "FILE")]
    pub jwt_secret_file: Option<PathBuf>,

    /// A file with public keys, PEM or JWKS; may be given several times
    #[arg(
        long,
        env = "POLYCHAT_JWT_KEYS",
        value_delimiter = ',',
        value_name = "FILE"
    )]
    pub jwt_keys: Vec<PathBuf>,
}

impl KeyOptions {
    /// The shared secret, from the option or the file.
    ///
    /// # Errors
    /// Its file cannot be read.
    pub fn secret(&self) -> Result<Option<SecretString>, ConfigError> {
        match (&self.jwt_secret, &self.jwt_secret_file) {
            (None, Some(path)) => {
                let text = read("--jwt-secret-file", path)?;
                Ok(Some(SecretString::from(text.trim())))
            }
            (secret, _) => Ok(secret.clone()),
        }
    }

    /// The text of every file with public keys.
    ///
    /// # Errors
    /// One of them cannot be read.
    pub fn files(&self) -> Result<Vec<String>, ConfigError> {
        let read = |path| read("--jwt-keys", path);
        self.jwt_keys.iter().map(read).collect()
    }
}

fn read(option: &str, path: &PathBuf) -> Result<String, ConfigError> {
    std::fs::read_to_string(path)
        .map_err(|error| ConfigError::Wrong(format!("{option} {}: {error}", path.display())))
}
