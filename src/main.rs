//! The executable: reads the options, starts the log, runs the subcommand, prints an error in one
//! sentence.
//! Contains no logic of its own.

use std::io::{Read, Write};
use std::process::ExitCode;

use polychat::config::{
    BackupOptions, Cli, Command, Config, ConfigError, CopyOptions, ExportOptions, ImportOptions,
    RestoreOptions, TokenOptions, TokenRole,
};
use polychat::model::{Clock, Role};
use polychat::{auth, backup, check, config, server, telemetry};
use secrecy::{ExposeSecret, SecretString};
use tokio::runtime::Runtime;
use tracing::warn;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if let Some(ConfigError::Usage(usage)) = error.downcast_ref()
                && !usage.use_stderr()
            {
                // Not an error: the text of `--help` or `--version`.
                let _ = usage.print();
                return ExitCode::SUCCESS;
            }
            // Standard error may be closed; the exit code has the outcome.
            let _ = writeln!(std::io::stderr(), "polychat: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let cli = Cli::read(std::env::args_os().collect())?;
    let config = match cli.command {
        Some(Command::Token(options)) => {
            return match &options.check {
                Some(token) => check_token(&options, token),
                None => mint(&options, options.user.as_deref().unwrap_or_default()),
            };
        }
        Some(Command::Check(config)) => return check(&config),
        Some(Command::Health(config)) => {
            return Ok(Runtime::new()?.block_on(check::health(config.listen))?);
        }
        Some(Command::Copy(options)) => return copy(&options),
        Some(Command::Import(options)) => return import(&options),
        Some(Command::Export(options)) => return export(&options),
        Some(Command::Backup(options)) => return back_up(&options),
        Some(Command::Restore(options)) => return restore(&options),
        Some(Command::Completions(options)) => {
            return Ok(std::io::stdout().write_all(&options.script())?);
        }
        Some(Command::Config(options)) => {
            return Ok(std::io::stdout().write_all(options.text.as_bytes())?);
        }
        Some(Command::Man) => return Ok(std::io::stdout().write_all(&config::manual()?)?),
        Some(Command::Serve(config)) => *config,
        None => cli.config,
    };
    let level = telemetry::level(config.log_level.as_ref())?;
    telemetry::start(config.log_format, level);
    if let Some(unknown) = unknown_variables() {
        warn!("{unknown}");
    }
    let runtime = Runtime::new()?;
    let served = runtime.block_on(server::run(config));
    // Remaining tasks had their time.
    runtime.shutdown_background();
    served
}

/// A sentence about variables that look like options, if there are any.
fn unknown_variables() -> Option<String> {
    let unknown = config::unknown_variables().join(", ");
    (!unknown.is_empty()).then(|| {
        format!("no option reads {unknown} of the environment; polychat --help names the variables that count")
    })
}

/// Prints a line for each successful check.
fn check(config: &Config) -> anyhow::Result<()> {
    let options = server::check(config)?;
    telemetry::level(config.log_level.as_ref())?;
    let unknown = unknown_variables().map(|unknown| format!("options  {unknown}"));
    print(options.into_iter().chain(unknown))?;
    let runtime = Runtime::new()?;
    let store = runtime.block_on(check::store(&config.store))?;
    print(store.lines)?;
    print([runtime.block_on(server::check_bus(config, &store.place))?])?;
    print(runtime.block_on(server::check_ports(config, store.is_used))?)
}

/// Prints each line.
fn print(lines: impl IntoIterator<Item = String>) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    for line in lines {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// Copies, and prints the totals.
fn copy(options: &CopyOptions) -> anyhow::Result<()> {
    let copied = Runtime::new()?.block_on(server::copy(options))?;
    writeln!(
        std::io::stdout(),
        "copied and compared: {} users, {} events, {} chats, {} messages",
        copied.users,
        copied.events,
        copied.chats,
        copied.messages
    )?;
    Ok(())
}

/// Imports, and prints the lines at fault and the totals.
fn import(options: &ImportOptions) -> anyhow::Result<()> {
    let mut wrong = |line: u32, why: &str| {
        // Standard output may be closed; the exit code has the outcome.
        let _ = writeln!(std::io::stdout(), "line {line}: {why}");
    };
    let report = Runtime::new()?.block_on(server::import(options, &mut wrong))?;
    write!(std::io::stdout(), "{report}")?;
    if report.is_complete() {
        return Ok(());
    }
    anyhow::bail!("{} lines were refused", report.wrong + report.refused)
}

/// Exports, and prints the totals where the lines do not stand.
fn export(options: &ExportOptions) -> anyhow::Result<()> {
    let exported = Runtime::new()?.block_on(server::export(options))?;
    let _ = writeln!(
        std::io::stderr(),
        "exported: {} users, {} events, {} chats, {} messages",
        exported.users,
        exported.events,
        exported.chats,
        exported.messages
    );
    Ok(())
}

/// Backs up, and prints what the backup holds.
fn back_up(options: &BackupOptions) -> anyhow::Result<()> {
    let backed_up = backup::back_up(&options.of.store, &options.file);
    print(Runtime::new()?.block_on(backed_up)?)
}

/// Restores, and prints what the store holds.
fn restore(options: &RestoreOptions) -> anyhow::Result<()> {
    let now = Clock::system().now();
    let restored = backup::restore(&options.file, &options.into.store, options.replace, now);
    print(Runtime::new()?.block_on(restored)?)
}

/// Prints the caller of a token that a server with these keys accepts.
fn check_token(options: &TokenOptions, token: &SecretString) -> anyhow::Result<()> {
    let mut token = token.expose_secret().to_owned();
    if token == "-" {
        token.clear();
        std::io::stdin().read_to_string(&mut token)?;
    }
    let now = Clock::system().now();
    let caller = server::check_token(&options.keys, token.trim(), now)?;
    let who = match caller.role {
        Role::User => "a user",
        Role::Service => "a service",
    };
    let mut out = std::io::stdout();
    writeln!(out, "the token is valid, for {who}")?;
    writeln!(out, "  sub  {:?}", caller.external_id)?;
    if let Some(end) = caller.expires_at {
        writeln!(out, "  exp  {end}")?;
    }
    match caller.issued_at {
        Some(issue) => writeln!(out, "  iat  {issue}")?,
        None => writeln!(out, "  iat  none")?,
    }
    Ok(())
}

/// Prints a token that a server with the same secret accepts.
fn mint(options: &TokenOptions, user: &str) -> anyhow::Result<()> {
    let Some(secret) = options.keys.secret()? else {
        anyhow::bail!(
            "no secret to sign with: give --jwt-secret or --jwt-secret-file (with --auth open \
             the token is the external user id itself)"
        );
    };
    let role = match options.role {
        TokenRole::User => Role::User,
        TokenRole::Service => Role::Service,
    };
    let now = Clock::system().now();
    let token = auth::mint(&secret, user, role, options.ttl, now)?;
    writeln!(std::io::stdout(), "{token}")?;
    Ok(())
}
