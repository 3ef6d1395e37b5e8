//! The TOML file: its values become the defaults of the command line, so that names, types
//! and error messages are the same in all three places.
//! Does not know which options there are.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Arg, Command};
use toml::{Table, Value};

use super::{ConfigError, places};

/// A file with options.
pub(super) struct ConfigFile {
    pub(super) path: PathBuf,
    /// The options that it has, by their long names.
    keys: Vec<String>,
}

impl ConfigFile {
    /// Whether it has this option.
    pub(super) fn has(&self, key: &str) -> bool {
        self.keys.iter().any(|it| it == key)
    }
}

/// The file that the command line or else the environment names. It has to be known before
/// the command line is read, since it changes how that is read.
pub(super) fn named_in(arguments: &[OsString]) -> Option<PathBuf> {
    let mut arguments = arguments.iter().map(|argument| argument.to_string_lossy());
    while let Some(argument) = arguments.next() {
        match argument.strip_prefix("--config") {
            Some("") => return arguments.next().map(|path| PathBuf::from(&*path)),
            Some(rest) if rest.starts_with('=') => return Some(PathBuf::from(&rest[1..])),
            _ => {}
        }
    }
    std::env::var_os("POLYCHAT_CONFIG").map(PathBuf::from)
}

/// Makes the file's values the defaults of `command` and of its subcommands.
///
/// # Errors
/// The file cannot be read, is no TOML, or has a key that is no option.
pub(super) fn apply(path: &Path, command: Command) -> Result<(Command, ConfigFile), ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| ConfigError::Wrong(format!("--config {}: {error}", path.display())))?;
    read_into(path, &text, command)
}

/// The same with the content of the file.
///
/// # Errors
/// It is no TOML, or has a key that is no option.
pub(super) fn read_into(
    path: &Path,
    text: &str,
    mut command: Command,
) -> Result<(Command, ConfigFile), ConfigError> {
    let wrong = |why: String| ConfigError::Wrong(format!("{}: {why}", path.display()));
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        let before = &text[..error.span().map_or(0, |span| span.start)];
        wrong(format!(
            "line {}: {}",
            before.matches('\n').count() + 1,
            error.message()
        ))
    })?;
    let mut keys = Vec::new();
    for (key, value) in table {
        let known = |argument: &Arg| argument.get_long() == Some(&*key) && key != "config";
        if !command.get_arguments().any(known) {
            let meant = places::meant(&format!("--{key}"));
            let meant = meant.map(|option| format!("; did you mean {}?", &option[2..]));
            let hint = meant.unwrap_or_default();
            return Err(wrong(format!("there is no option \"{key}\"{hint}")));
        }
        let value = match value {
            Value::Array(values) if values.is_empty() => None,
            value => Some(plain(value).ok_or_else(|| {
                wrong(format!(
                    "{key} must be a text, a number, true, false or a list of texts"
                ))
            })?),
        };
        // An empty list is as good as none.
        if let Some(value) = value {
            command = set_default(command, &key, &value);
        }
        keys.push(key);
    }
    let path = path.to_owned();
    Ok((command, ConfigFile { path, keys }))
}

/// Sets the default of the option `long` in `command` and in its subcommands.
fn set_default(command: Command, long: &str, value: &str) -> Command {
    let set = |argument: Arg| {
        if argument.get_long() == Some(long) {
            // Help has defaults, and a value may contain a password.
            let is_secret = argument.is_hide_env_values_set();
            let argument = argument.default_value(value.to_owned());
            argument.hide_default_value(is_secret)
        } else {
            argument
        }
    };
    command
        .mut_args(set)
        .mut_subcommands(|command| command.mut_args(set))
}

/// A value as it would stand on the command line.
fn plain(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Integer(number) => Some(number.to_string()),
        Value::Boolean(switch) => Some(switch.to_string()),
        Value::Array(values) => {
            let texts: Option<Vec<_>> = values.into_iter().map(plain).collect();
            texts.map(|texts| texts.join(","))
        }
        Value::Float(_) | Value::Datetime(_) | Value::Table(_) => None,
    }
}
