//! `polychat config`: every option of the server with its value and where that is from, or a file with
//! all defaults.
//! Does not print a secret.

use std::fmt::Write as _;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args};
use toml::Value;

use super::Config;
use super::file::ConfigFile;
use super::platform::{self, Platform};
use crate::telemetry::LEVEL_VARIABLE;

/// The longest line of a comment.
const WIDTH: usize = 100;

/// The width of the column of values; longer ones move the next column.
const VALUE_WIDTH: usize = 24;

/// What stands in place of a secret.
const SET: &str = "(set)";

/// The options whose values are printed.
#[derive(Debug, Clone, Args)]
pub struct ListingOptions {
    /// Print a file for --config instead, with every option, its help and its default, commented out
    #[arg(long)]
    pub default: bool,

    /// The options of the server.
    #[command(flatten)]
    pub config: Config,

    /// What to print.
    #[arg(skip)]
    pub text: String,
}

/// Where the values are from, other than from flags and their variables.
#[derive(Clone, Copy)]
pub(super) struct Sources<'a> {
    pub(super) file: Option<&'a ConfigFile>,
    pub(super) platform: Platform,
}

/// The options of the server, without `--help`.
fn options() -> Vec<Arg> {
    let command = Config::augment_args(clap::Command::new("polychat"));
    command.get_arguments().cloned().collect()
}

fn long(option: &Arg) -> &str {
    option.get_long().unwrap_or_default()
}

/// Every option with its value and its source, a line each.
pub(super) fn values(config: &Config, matches: &ArgMatches, sources: Sources<'_>) -> String {
    let options = options();
    let width = options.iter().map(|it| long(it).len()).max().unwrap_or(0);
    let mut text = String::new();
    for option in &options {
        let (value, source) = value(option, config, matches, sources);
        let name = long(option);
        let _ = writeln!(text, "{name:width$}  {value:VALUE_WIDTH$}  {source}");
    }
    text
}

/// The value of an option, and where it is from.
fn value(
    option: &Arg,
    config: &Config,
    matches: &ArgMatches,
    Sources { file, platform }: Sources<'_>,
) -> (String, String) {
    let id = option.get_id().as_str();
    let raw = matches.get_raw(id).map(|values| {
        let texts = values.map(|value| value.to_string_lossy());
        texts.collect::<Vec<_>>().join(",")
    });
    let in_file = file.filter(|file| file.has(long(option)));
    let source = match matches.value_source(id) {
        Some(ValueSource::CommandLine) => format!("flag --{}", long(option)),
        Some(ValueSource::EnvVariable) => {
            let name = option.get_env().unwrap_or_default();
            format!("variable {}", name.to_string_lossy())
        }
        _ => match in_file {
            Some(file) => format!("file {}", file.path.display()),
            None => "default".to_owned(),
        },
    };
    match id {
        "listen" if platform.port => {
            let port = format!("variable {}", platform::PORT);
            let source = in_file.map_or(port.clone(), |_| format!("{source}, {port}"));
            return (config.listen.to_string(), source);
        }
        "store" if platform.store => {
            let source = format!("variable {}", platform::STORE);
            return (without_password(&config.store), source);
        }
        "store" => return (without_password(&config.store), source),
        "bus" => {
            if let Some(bus) = &raw {
                return (without_password(bus), source);
            }
        }
        "log_level" if raw.is_none() => {
            let level = std::env::var(LEVEL_VARIABLE).ok();
            if let Some(level) = level.filter(|level| !level.trim().is_empty()) {
                return (level, format!("variable {LEVEL_VARIABLE}"));
            }
        }
        _ => {}
    }
    match raw {
        Some(_) if option.is_hide_env_values_set() => (SET.to_owned(), source),
        Some(value) => (value, source),
        None => {
            let default = default_in_help(option).unwrap_or_else(|| "not set".to_owned());
            ("-".to_owned(), format!("default: {default}"))
        }
    }
}

/// The help of an option, in one line.
fn help(option: &Arg) -> String {
    let help = option.get_long_help().or_else(|| option.get_help());
    let help = help.map(ToString::to_string).unwrap_or_default();
    help.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The default that the help of an option describes, if that is not a value.
fn default_in_help(option: &Arg) -> Option<String> {
    let help = help(option);
    let (_, default) = help.split_once("[default: ")?;
    Some(default.trim_end_matches(']').to_owned())
}

/// The URL of a store or a bus without what only its owner may know.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once(':').filter(|(kind, _)| *kind != "sqlite") else {
        return url.to_owned();
    };
    let rest = match rest.rsplit_once('@') {
        Some((credentials, place)) => {
            let bare = credentials.trim_start_matches('/');
            let user = bare.split(':').next().unwrap_or_default();
            let password = if bare.contains(':') { ":(set)" } else { "" };
            format!("//{user}{password}@{place}")
        }
        None => rest.to_owned(),
    };
    let Some((place, query)) = rest.split_once('?') else {
        return format!("{scheme}:{rest}");
    };
    let parameters = query.split('&').map(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let lower = name.to_ascii_lowercase();
        let is_secret = lower.contains("password") || lower.contains("properties");
        format!("{name}={}", if is_secret { SET } else { value })
    });
    format!(
        "{scheme}:{place}?{}",
        parameters.collect::<Vec<_>>().join("&")
    )
}

/// A file with every option, its help and its default, all of it comments. An option begins right behind its #.
pub(super) fn defaults() -> String {
    let mut text = format!(
        "# The options of polychat {}, for --config. All are commented out, with their defaults: remove\n\
         # the # before an option to change it.\n",
        env!("CARGO_PKG_VERSION")
    );
    for option in options().iter().filter(|it| it.get_id() != "config") {
        text.push('\n');
        comment(&mut text, &help(option));
        let is_switch = matches!(option.get_action(), ArgAction::SetTrue);
        for possible in option.get_possible_values() {
            if let (Some(help), false) = (possible.get_help(), is_switch) {
                comment(&mut text, &format!("- {}: {help}", possible.get_name()));
            }
        }
        let _ = writeln!(text, "{}", line(option, is_switch));
    }
    text
}

/// An option with its default; without one it is a comment, too.
fn line(option: &Arg, is_switch: bool) -> String {
    let name = long(option);
    if is_switch {
        return format!("#{name} = false");
    }
    if let Some(default) = option.get_default_values().first() {
        return format!("#{name} = {}", literal(&default.to_string_lossy()));
    }
    if option.get_value_delimiter().is_some() {
        return format!("#{name} = []");
    }
    let form = option.get_value_names().and_then(|names| names.first());
    let form = form.map_or("...", |form| form.as_str());
    format!("# Not set by default: {name} = \"{form}\"")
}

/// A default as a value of TOML.
fn literal(value: &str) -> Value {
    match value.parse() {
        Ok(number) => Value::Integer(number),
        Err(_) => Value::String(value.to_owned()),
    }
}

/// Adds a text as comments, in lines that can be read.
fn comment(text: &mut String, content: &str) {
    let mut line = "#".to_owned();
    for word in content.split(' ') {
        if line.len() + word.len() >= WIDTH {
            let _ = writeln!(text, "{line}");
            "#".clone_into(&mut line);
        }
        line.push(' ');
        line.push_str(word);
    }
    let _ = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::io::Write as _;

    use super::*;
    use crate::config::{Cli, Command};

    fn listing(arguments: &[&str]) -> String {
        let all = ["polychat", "config"].iter().chain(arguments);
        let cli = Cli::read(all.map(OsString::from).collect()).expect("options");
        match cli.command {
            Some(Command::Config(options)) => options.text,
            other => panic!("{other:?}"),
        }
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(text.as_bytes()).expect("room");
        file
    }

    fn read(file: &tempfile::NamedTempFile) -> String {
        let path = file.path().to_str().expect("a readable path");
        let arguments = ["polychat", "--config", path].map(OsString::from);
        let mut config = Cli::read(arguments.into()).expect("options").config;
        config.config = None;
        format!("{config:?}")
    }

    /// The line of an option, with single spaces.
    fn line_of(listing: &str, name: &str) -> String {
        let mut lines = listing.lines().map(|line| line.split_whitespace());
        let line = lines.find(|line| line.clone().next() == Some(name));
        line.expect(name).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn every_option_is_listed_with_the_source_of_its_value() {
        let file = file(
            "max-members = 7\nstore = \"a.db\"\nallowed-origins = [\"http://a\", \"http://b\"]",
        );
        let path = file.path().to_str().expect("a readable path");
        let listing = listing(&["--config", path, "--listen", ":7", "--log-requests"]);
        let options = options();
        assert_eq!(listing.lines().count(), options.len());
        for option in &options {
            line_of(&listing, long(option));
        }
        for expected in [
            format!("config {path} flag --config"),
            "listen :7 flag --listen".to_owned(),
            format!("store sqlite:a.db file {path}"),
            format!("max-members 7 file {path}"),
            format!("allowed-origins http://a,http://b file {path}"),
            "log-requests true flag --log-requests".to_owned(),
            "insecure-open-auth false default".to_owned(),
            "rate-limit 20:100 default".to_owned(),
            "bus - default: local with SQLite, mongodb with MongoDB".to_owned(),
            "auth - default: open on a loopback address, else jwt".to_owned(),
            "jwt-secret - default: not set".to_owned(),
        ] {
            let name = expected.split(' ').next().unwrap_or_default();
            assert_eq!(line_of(&listing, name), expected);
        }
    }

    #[test]
    fn no_secret_is_printed() {
        let url = "mongodb://anna:s3cret@h/db?replicaSet=a&tlsCertificateKeyFilePassword=s3cret";
        let bus = "rediss://anna:s3cret@h:6380/1";
        let text = format!("jwt-secret = \"s3cret\"\nstore = \"{url}\"\nbus = \"{bus}\"");
        let file = file(&text);
        let path = file.path().to_str().expect("a readable path");
        for arguments in [
            &["--jwt-secret", "s3cret", "--store", url, "--bus", bus][..],
            &["--config", path],
            &["--default", "--config", path, "--jwt-secret", "s3cret"],
        ] {
            let listing = listing(arguments);
            assert!(!listing.contains("s3cret"), "{listing}");
        }
        let listing = listing(&["--config", path]);
        assert_eq!(
            line_of(&listing, "jwt-secret"),
            format!("jwt-secret (set) file {path}")
        );
        assert_eq!(
            line_of(&listing, "bus"),
            format!("bus rediss://anna:(set)@h:6380/1 file {path}")
        );
        let shown = "mongodb://anna:(set)@h/db?replicaSet=a&tlsCertificateKeyFilePassword=(set)";
        assert_eq!(without_password(url), shown);
        for url in [
            "sqlite:a:b@c.db",
            "mongodb://h/db",
            "mongodb+srv://anna@h/db?w=1",
            "redis://h:6379",
            "local",
        ] {
            assert_eq!(without_password(url), url);
        }
        assert_eq!(
            without_password("mongodb:anna:p@/?q@h/db"),
            "mongodb://anna:(set)@h/db"
        );
        assert_eq!(without_password("redis://:p#/?@h/1"), "redis://:(set)@h/1");
    }

    #[test]
    fn the_file_of_defaults_has_every_option_and_changes_nothing() {
        let text = listing(&["--default"]);
        for option in options().iter().filter(|it| it.get_id() != "config") {
            assert!(text.contains(&format!("{} = ", long(option))), "{option}");
        }
        let is_option = |line: &str| line.starts_with('#') && !line.starts_with("# ");
        let uncommented = text.lines().map(|line| match line.strip_prefix('#') {
            Some(option) if is_option(line) => option,
            _ => line,
        });
        let uncommented = uncommented.collect::<Vec<_>>().join("\n");
        assert!(
            uncommented
                .lines()
                .filter(|line| line.contains(" = ") && !line.starts_with('#'))
                .count()
                > 20
        );
        let defaults = read(&file(""));
        assert_eq!(read(&file(&text)), defaults);
        assert_eq!(read(&file(&uncommented)), defaults);
        assert!(text.lines().all(|line| line.len() <= WIDTH), "{text}");
    }
}
