//! The options of `token`.
//! Does not sign or check tokens.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use secrecy::SecretString;

use super::KeyOptions;

/// The user of a token to mint, or a token to check.
#[derive(Debug, Clone, Args)]
pub struct TokenOptions {
    /// The external user id that the token is for
    #[arg(long, required_unless_present = "check")]
    pub user: Option<String>,

    /// Check this token instead, as a server with these keys does, and print what is wrong with it; - reads it
    /// from standard input, out of sight of other users of the machine
    #[arg(long, value_name = "TOKEN", conflicts_with_all = ["user", "role", "ttl"])]
    pub check: Option<SecretString>,

    /// service: the token may act for any user
    #[arg(long, default_value = "user")]
    pub role: TokenRole,

    /// The lifetime of the token
    #[arg(long, default_value = "1h", value_parser = humantime::parse_duration, value_name = "TIME")]
    pub ttl: Duration,

    /// A TOML file with further options
    #[arg(long, env = "POLYCHAT_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// The keys of tokens.
    #[command(flatten)]
    pub keys: KeyOptions,
}

/// The role in a minted token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TokenRole {
    /// One person
    User,
    /// The host application's backend
    Service,
}
