//! Every option, its default and its check: flags, then environment, then a TOML file.
//! It refuses to travel: `server` hands values on, nobody else sees a [`Config`].

mod file;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod keys;
mod limits;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use axum::http::HeaderValue;
use clap::builder::{BoolishValueParser, PossibleValue};
use clap::parser::ValueSource;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use jiff::tz::TimeZone;

use crate::limits::Origins;
use crate::telemetry::LogFormat;

pub use keys::KeyOptions;
pub use limits::{Limit, LimitOptions};

/// One chat server for four existing chat protocols: what is acknowledged is never lost.
#[derive(Debug, Parser)]
#[command(version, about, args_conflicts_with_subcommands = true)]
#[command(
    after_help = "Every option can also stand in the file that --config names, under its \
                        long name: listen = \"127.0.0.1:3000\". Flags go before environment \
                        variables, those before the file."
)]
pub struct Cli {
    /// What to do; without one: serve.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// How to serve, when no command is given.
    #[command(flatten)]
    pub config: Config,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server (the default)
    Serve(Box<Config>),
    /// Print a token for development, signed with the shared secret
    Token(TokenOptions),
    /// Say whether the options are right and the store can be used, a line each; it is brought
    /// up to date as a start would do it
    Check(Box<Config>),
    /// Ask the server that these options start whether it is ready: for a container's health
    /// check
    Health(Box<Config>),
    /// Copy everything from one store into another, and compare it; nobody may use either
    /// meanwhile
    Copy(CopyOptions),
}

/// How to serve.
#[derive(Debug, Clone, Args)]
pub struct Config {
    /// A TOML file with further options
    #[arg(long, env = "POLYCHAT_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Where to listen; port 0 picks a free one. The variable PORT changes the port of the file
    /// or of the default
    #[arg(
        long,
        env = "POLYCHAT_LISTEN",
        default_value = "127.0.0.1:3000",
        value_name = "ADDRESS:PORT"
    )]
    pub listen: SocketAddr,

    /// Where to serve /metrics for Prometheus, to whoever asks, and nowhere else [default: on
    /// --listen, in open mode to whoever asks, else to a service token]
    #[arg(long, env = "POLYCHAT_METRICS_LISTEN", value_name = "ADDRESS:PORT")]
    pub metrics_listen: Option<SocketAddr>,

    /// Where to keep everything: `sqlite:PATH`, `sqlite::memory:` for a try, or
    /// `mongodb://HOST/DATABASE` of a replica set. The variable `MONGODB_URI` changes the default
    #[arg(
        long,
        env = "POLYCHAT_STORE",
        default_value = "sqlite:polychat.db",
        value_name = "URL"
    )]
    pub store: String,

    /// How callers prove who they are [default: open on a loopback address, else jwt]
    #[arg(long, env = "POLYCHAT_AUTH")]
    pub auth: Option<AuthMode>,

    /// Allow --auth open on an address that others can reach: anyone may then act as anyone
    #[arg(long, env = "POLYCHAT_INSECURE_OPEN_AUTH", value_parser = BoolishValueParser::new())]
    pub insecure_open_auth: bool,

    /// Where the tokens' keys are.
    #[command(flatten)]
    pub keys: KeyOptions,

    /// Origins of web pages that may connect, separated by commas; * for any [default: any with
    /// --auth open, else none but the server's own]
    #[arg(
        long,
        env = "POLYCHAT_ALLOWED_ORIGINS",
        value_delimiter = ',',
        value_name = "ORIGINS"
    )]
    pub allowed_origins: Vec<String>,

    /// The time zone, by its IANA name, in which some dialects print times and count days
    #[arg(long, env = "POLYCHAT_TIMEZONE", default_value = "UTC", value_parser = time_zone, value_name = "ZONE")]
    pub timezone: TimeZone,

    /// What decodes the events of Socket.IO clients
    #[arg(
        long,
        env = "POLYCHAT_SOCKETIO",
        default_value = "socketioxide",
        value_name = "SIDE"
    )]
    pub socketio: SocketIo,

    /// The longest text of a message, in bytes
    #[arg(
        long,
        env = "POLYCHAT_MAX_MESSAGE_BYTES",
        default_value_t = 16_384,
        value_name = "BYTES"
    )]
    pub max_message_bytes: usize,

    /// The longest request, in bytes: a WebSocket frame, a polling request's body
    #[arg(
        long,
        env = "POLYCHAT_MAX_FRAME_BYTES",
        default_value_t = 1_048_576,
        value_name = "BYTES"
    )]
    pub max_frame_bytes: usize,

    /// The most members of one chat
    #[arg(
        long,
        env = "POLYCHAT_MAX_MEMBERS",
        default_value_t = 10_000,
        value_name = "NUMBER"
    )]
    pub max_members: usize,

    /// How much may wait for one connection before it counts as lagging and is closed
    #[arg(
        long,
        env = "POLYCHAT_MAX_OUTBOX_BYTES",
        default_value_t = 4_194_304,
        value_name = "BYTES"
    )]
    pub max_outbox_bytes: usize,

    /// The same as a number of messages
    #[arg(
        long,
        env = "POLYCHAT_MAX_OUTBOX_MESSAGES",
        default_value_t = 16_384,
        value_name = "NUMBER"
    )]
    pub max_outbox_messages: usize,

    /// How much one client may take.
    #[command(flatten)]
    pub limits: LimitOptions,

    /// How long to wait for clients and the store at the end
    #[arg(long, env = "POLYCHAT_SHUTDOWN_TIMEOUT", default_value = "20s", value_parser = humantime::parse_duration, value_name = "TIME")]
    pub shutdown_timeout: Duration,

    /// How to log
    #[arg(long, env = "POLYCHAT_LOG_FORMAT", default_value = "text")]
    pub log_format: LogFormat,

    /// What to log: error, warn, info, debug, or a list like `info,polychat::hub=debug`.
    /// The variable `RUST_LOG` does the same
    #[arg(long, env = "POLYCHAT_LOG_LEVEL", value_name = "LEVEL")]
    pub log_level: Option<String>,
}

/// For whom to mint a token.
#[derive(Debug, Clone, Args)]
pub struct TokenOptions {
    /// The external user id that the token is for
    #[arg(long)]
    pub user: String,

    /// service: the token may act for any user
    #[arg(long, default_value = "user")]
    pub role: TokenRole,

    /// How long it is valid
    #[arg(long, default_value = "1h", value_parser = humantime::parse_duration, value_name = "TIME")]
    pub ttl: Duration,

    /// A TOML file with further options
    #[arg(long, env = "POLYCHAT_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Where the secret is.
    #[command(flatten)]
    pub keys: KeyOptions,
}

/// What to copy where.
#[derive(Debug, Clone, Args)]
pub struct CopyOptions {
    /// The store to copy from, as in --store
    #[arg(long, value_name = "URL")]
    pub from: String,

    /// The store to copy to: an empty one
    #[arg(long, value_name = "URL")]
    pub to: String,

    /// Go on with a copy that was interrupted
    #[arg(long)]
    pub resume: bool,
}

/// How callers prove who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AuthMode {
    /// The token is the external user id, taken at its word: for development
    Open,
    /// The token is a signed JWT
    Jwt,
}

/// What decodes the events of Socket.IO clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SocketIo {
    /// The crate socketioxide
    Socketioxide,
    /// The server itself: a tenth of the memory for each client that is silent
    Native,
}

/// For whom a minted token speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TokenRole {
    /// One person
    User,
    /// The host application's backend
    Service,
}

impl ValueEnum for LogFormat {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Text, Self::Json]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(match self {
            Self::Text => PossibleValue::new("text").help("For people"),
            Self::Json => PossibleValue::new("json").help("One JSON object a line, for machines"),
        })
    }
}

/// What is wrong with the options, in one sentence.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The command line or the environment; also a request for help, which is none.
    #[error("{}", in_one_line(.0))]
    Usage(clap::Error),
    /// The file, or options that do not go together.
    #[error("{0}")]
    Wrong(String),
}

impl Cli {
    /// Reads the command line, the environment and the file that they may name.
    ///
    /// # Errors
    /// What is wrong, or what was asked for instead: help, the version.
    pub fn read(arguments: Vec<OsString>) -> Result<Self, ConfigError> {
        let mut command = Self::command();
        if let Some(path) = file::named_in(&arguments) {
            command = file::apply(&path, command)?;
        }
        let matches = command.try_get_matches_from(arguments);
        let matches = matches.map_err(ConfigError::Usage)?;
        let mut cli = Self::from_arg_matches(&matches).map_err(ConfigError::Usage)?;
        let (config, matches) = match (&mut cli.command, matches.subcommand()) {
            (
                Some(Command::Serve(config) | Command::Check(config) | Command::Health(config)),
                Some((_, matches)),
            ) => (&mut **config, matches),
            _ => (&mut cli.config, &matches),
        };
        // Hosting platforms say by this variable where they expect a server. It goes before
        // the file, not before what was said to this server by name.
        let by_default = matches.value_source("listen") == Some(ValueSource::DefaultValue);
        if let Ok(port) = std::env::var("PORT")
            && by_default
        {
            let wrong = |_| ConfigError::Wrong(format!("PORT is no port number: {port}"));
            config.listen.set_port(port.parse().map_err(wrong)?);
        }
        // The same of a database.
        let by_default = matches.value_source("store") == Some(ValueSource::DefaultValue);
        if let Ok(url) = std::env::var("MONGODB_URI")
            && by_default
        {
            config.store = url;
        }
        Ok(cli)
    }
}

impl Config {
    /// The mode that was chosen, or that the address suggests.
    ///
    /// # Errors
    /// Open mode on an address that others can reach.
    pub fn auth_mode(&self) -> Result<AuthMode, ConfigError> {
        let loopback = self.listen.ip().is_loopback();
        match self.auth {
            Some(AuthMode::Open) if !loopback && !self.insecure_open_auth => {
                Err(ConfigError::Wrong(format!(
                    "--auth open lets anyone who can reach {} act as anyone; use --auth jwt, or \
                     add --insecure-open-auth if that is what you want",
                    self.listen
                )))
            }
            Some(mode) => Ok(mode),
            None if loopback => Ok(AuthMode::Open),
            None => Ok(AuthMode::Jwt),
        }
    }

    /// Which web pages may connect.
    ///
    /// # Errors
    /// Something that is no origin.
    pub fn origins(&self, mode: AuthMode) -> Result<Origins, ConfigError> {
        if self.allowed_origins.is_empty() && mode == AuthMode::Open
            || self.allowed_origins.iter().any(|origin| origin == "*")
        {
            return Ok(Origins::Any);
        }
        let parse = |origin: &String| {
            let value = origin.trim_end_matches('/').parse::<HeaderValue>().ok();
            value.filter(|_| origin.contains("://")).ok_or_else(|| {
                ConfigError::Wrong(format!(
                    "--allowed-origins: \"{origin}\" is no origin; write https://chat.example"
                ))
            })
        };
        let listed = self.allowed_origins.iter().map(parse);
        Ok(Origins::Listed(listed.collect::<Result<_, _>>()?))
    }
}

fn time_zone(name: &str) -> Result<TimeZone, String> {
    TimeZone::get(name).map_err(|_| "no time zone of that name is known".to_owned())
}

/// The first paragraph of what clap says, which is what is wrong; the rest repeats the usage.
fn in_one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let first = text.split("\n\n").next().unwrap_or_default();
    let lines: Vec<_> = first.lines().map(str::trim).collect();
    let sentence = lines.join(" ");
    let sentence = sentence.trim_start_matches("error: ");
    format!("{sentence}; see polychat --help")
}

#[cfg(test)]
mod tests;
