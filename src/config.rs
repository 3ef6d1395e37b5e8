//! Every option, its default and its check: flags, then environment, then a TOML file.
//! Does not leave `server`, which passes values on: no other module has a [`Config`].

mod bus;
mod completions;
mod environment;
mod errors;
mod file;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod import;
mod keys;
mod limits;
mod listing;
mod man;
mod numbers;
mod places;
mod platform;
mod shutdown;
mod stores;
mod tokens;
mod web;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::{BoolishValueParser, PossibleValue};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use jiff::tz::TimeZone;

use self::listing::Sources;
use crate::telemetry::{LogFormat, LogLevel};

pub use bus::{BusKind, BusOptions};
pub use completions::CompletionOptions;
pub use environment::unknown_variables;
pub use errors::ConfigError;
pub use import::{ExportOptions, ImportOptions};
pub use keys::KeyOptions;
pub use limits::{Limit, LimitOptions};
pub use listing::ListingOptions;
pub use man::manual;
pub use numbers::NumberOptions;
pub use shutdown::{Drain, ShutdownOptions};
pub use stores::{BackupOptions, CopyOptions, RestoreOptions};
pub use tokens::{TokenOptions, TokenRole};
pub use web::WebOptions;

/// One chat server for four existing chat protocols: an acknowledged message is never lost.
#[derive(Debug, Parser)]
#[command(version, about, args_conflicts_with_subcommands = true)]
#[command(
    after_help = "Every option can also stand in the file that --config names, under its \
                        long name: listen = \"127.0.0.1:3000\". Flags go before environment \
                        variables, those before the file."
)]
pub struct Cli {
    /// The subcommand; without one: serve.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// The options of the server, without a subcommand.
    #[command(flatten)]
    pub config: Config,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server (the default)
    Serve(Box<Config>),
    /// Print a token for development, signed with the shared secret, or check one
    Token(TokenOptions),
    /// Check the options, the keys and the addresses, and open the store, printing a line for each; runs
    /// pending migrations unless a server uses the store
    Check(Box<Config>),
    /// Query the readiness of the server with these options: for a container's health check
    Health(Box<Config>),
    /// Copy everything from one store into another, and compare it; no other process may use
    /// either meanwhile
    Copy(CopyOptions),
    /// Move in users, chats and messages from a file of JSON lines (docs/IMPORT.md)
    Import(Box<ImportOptions>),
    /// Write all users, chats and messages as JSON lines, which import reads; no other process may use
    /// the store meanwhile
    Export(Box<ExportOptions>),
    /// Write a checked copy of the store into a new file, while its server goes on: `SQLite` only
    Backup(BackupOptions),
    /// Put a backup in the place of the store, which no server may use meanwhile: `SQLite` only
    Restore(RestoreOptions),
    /// Print every option with its value and where that is from, secrets as (set); or a file with all
    /// defaults
    Config(Box<ListingOptions>),
    /// Print the manual page, for man
    Man,
    /// Print the completions of this command line for a shell
    Completions(CompletionOptions),
}

/// The options of the server.
#[derive(Debug, Clone, Args)]
pub struct Config {
    /// A TOML file with further options
    #[arg(long, env = "POLYCHAT_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// The address to listen on, `localhost:3000`, or `:3000` for all addresses; port 0 picks a free
    /// one. The variable PORT changes the port of the file or of the default
    #[arg(
        long,
        env = "POLYCHAT_LISTEN",
        default_value = "127.0.0.1:3000",
        value_parser = places::address,
        value_name = "ADDRESS:PORT"
    )]
    pub listen: SocketAddr,

    /// The address that serves /metrics for Prometheus, without a token [default: that of
    /// --listen, with a service token unless in open mode]
    #[arg(long, env = "POLYCHAT_METRICS_LISTEN", value_parser = places::address, value_name = "ADDRESS:PORT")]
    pub metrics_listen: Option<SocketAddr>,

    /// The URL of the store: `sqlite:PATH`, `sqlite::memory:` in memory alone, or
    /// `mongodb://HOST/DATABASE` of a replica set; a path that contains a / or ends with .db is one of
    /// SQLite. The variable `MONGODB_URI` changes the default
    #[arg(
        long,
        env = "POLYCHAT_STORE",
        hide_env_values = true,
        default_value = stores::DEFAULT,
        value_parser = places::store,
        value_name = "URL"
    )]
    pub store: String,

    /// The bus.
    #[command(flatten)]
    pub bus: BusOptions,

    /// How callers authenticate [default: open on a loopback address, else jwt]
    #[arg(long, env = "POLYCHAT_AUTH")]
    pub auth: Option<AuthMode>,

    /// Allow --auth open on an address other than loopback: any client may then act as any
    /// user
    #[arg(long, env = "POLYCHAT_INSECURE_OPEN_AUTH", value_parser = BoolishValueParser::new())]
    pub insecure_open_auth: bool,

    /// The keys of tokens.
    #[command(flatten)]
    pub keys: KeyOptions,

    /// The web pages that may use the server.
    #[command(flatten)]
    pub web: WebOptions,

    /// The integer ids.
    #[command(flatten)]
    pub numbers: NumberOptions,

    /// The time zone, by its IANA name, in which some dialects print times and count days
    #[arg(long, env = "POLYCHAT_TIMEZONE", default_value = "UTC", value_parser = time_zone, value_name = "ZONE")]
    pub timezone: TimeZone,

    /// The decoder of Socket.IO events
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
        value_parser = limits::positive,
        value_name = "BYTES"
    )]
    pub max_message_bytes: usize,

    /// The longest request, in bytes: a WebSocket frame, a polling request's body
    #[arg(
        long,
        env = "POLYCHAT_MAX_FRAME_BYTES",
        default_value_t = 1_048_576,
        value_parser = limits::positive,
        value_name = "BYTES"
    )]
    pub max_frame_bytes: usize,

    /// The most members of one chat
    #[arg(
        long,
        env = "POLYCHAT_MAX_MEMBERS",
        default_value_t = 10_000,
        value_parser = limits::positive,
        value_name = "NUMBER"
    )]
    pub max_members: usize,

    /// The bytes that may queue for one connection before it is closed as lagging
    #[arg(
        long,
        env = "POLYCHAT_MAX_OUTBOX_BYTES",
        default_value_t = 4_194_304,
        value_parser = limits::positive,
        value_name = "BYTES"
    )]
    pub max_outbox_bytes: usize,

    /// The messages that may queue for one connection before it is closed as lagging
    #[arg(
        long,
        env = "POLYCHAT_MAX_OUTBOX_MESSAGES",
        default_value_t = 16_384,
        value_parser = limits::positive,
        value_name = "NUMBER"
    )]
    pub max_outbox_messages: usize,

    /// The limits of one client.
    #[command(flatten)]
    pub limits: LimitOptions,

    /// The shutdown.
    #[command(flatten)]
    pub shutdown: ShutdownOptions,

    /// The format of the log
    #[arg(long, env = "POLYCHAT_LOG_FORMAT", default_value = "text")]
    pub log_format: LogFormat,

    /// The level of the log: error, warn, info, debug, or a list like `info,polychat::hub=debug`.
    /// The variable `RUST_LOG` has the same effect
    #[arg(long, env = "POLYCHAT_LOG_LEVEL", value_name = "LEVEL")]
    pub log_level: Option<LogLevel>,

    /// Log each request in a line: dialect, name, user, code and time, never a text or a token
    #[arg(long, env = "POLYCHAT_LOG_REQUESTS", value_parser = BoolishValueParser::new())]
    pub log_requests: bool,
}

/// How callers authenticate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AuthMode {
    /// The token is the external user id, unchecked: for development
    Open,
    /// The token is a signed JWT
    Jwt,
}

/// The decoder of Socket.IO events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SocketIo {
    /// The crate socketioxide
    Socketioxide,
    /// The server itself: a tenth of the memory for each client that is silent
    Native,
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

impl Cli {
    /// Reads the command line, the environment and the file that they may name.
    ///
    /// # Errors
    /// The invalid option, or the text of `--help` or `--version`.
    pub fn read(arguments: Vec<OsString>) -> Result<Self, ConfigError> {
        let mut command = Self::command();
        let mut file = None;
        if let Some(path) = file::named_in(&arguments) {
            let (with_file, read) = file::apply(&path, command)?;
            (command, file) = (with_file, Some(read));
        }
        let matches = command.try_get_matches_from(arguments);
        let matches = matches.map_err(ConfigError::Usage)?;
        let mut cli = Self::from_arg_matches(&matches).map_err(ConfigError::Usage)?;
        let (listen, store, matches) = match (&mut cli.command, matches.subcommand()) {
            (
                Some(Command::Serve(config) | Command::Check(config) | Command::Health(config)),
                Some((_, matches)),
            ) => (Some(&mut config.listen), &mut config.store, matches),
            (Some(Command::Config(options)), Some((_, matches))) => {
                let config = &mut options.config;
                (Some(&mut config.listen), &mut config.store, matches)
            }
            (Some(Command::Import(options)), Some((_, matches))) => {
                (None, &mut options.config.store, matches)
            }
            (Some(Command::Export(options)), Some((_, matches))) => {
                (None, &mut options.config.store, matches)
            }
            (Some(Command::Backup(options)), Some((_, matches))) => {
                (None, &mut options.of.store, matches)
            }
            (Some(Command::Restore(options)), Some((_, matches))) => {
                (None, &mut options.into.store, matches)
            }
            _ => (
                Some(&mut cli.config.listen),
                &mut cli.config.store,
                &matches,
            ),
        };
        let file = file.as_ref();
        let platform = platform::apply(listen, store, matches, file)?;
        if let Some(Command::Config(options)) = &mut cli.command {
            options.text = if options.default {
                listing::defaults()
            } else {
                listing::values(&options.config, matches, Sources { file, platform })
            };
        }
        if let Some(config) = cli.server() {
            config.bus()?;
        }
        Ok(cli)
    }

    /// The options of the server, if the command uses all of them.
    fn server(&self) -> Option<&Config> {
        match &self.command {
            None => Some(&self.config),
            Some(Command::Serve(config) | Command::Check(config)) => Some(config),
            Some(_) => None,
        }
    }
}

impl Config {
    /// Checks that the addresses can be listened on together.
    ///
    /// # Errors
    /// They cannot.
    pub fn check_addresses(&self) -> Result<(), ConfigError> {
        match self.metrics_listen {
            Some(metrics) if places::collide(self.listen, metrics) => {
                Err(ConfigError::Wrong(format!(
                    "--metrics-listen {metrics} is the address of --listen {}; leave it out, or choose \
                     another port",
                    self.listen
                )))
            }
            _ => Ok(()),
        }
    }

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
}

fn time_zone(name: &str) -> Result<TimeZone, String> {
    TimeZone::get(name).map_err(|_| "no time zone of that name is known".to_owned())
}

#[cfg(test)]
mod tests;
