//! Fuzz targets for the configuration file and the command line.
//! Does not run the targets: `crate::fuzz` does.

use std::path::Path;

use clap::{CommandFactory, FromArgMatches};

use super::{AuthMode, Cli, ConfigError, file};
use crate::fuzz::Target;

/// Every target of this module.
pub const TARGETS: &[Target] = &[FILE, ARGUMENTS];

const FILE: Target = Target {
    name: "config-file",
    check: |input| {
        let Ok(text) = std::str::from_utf8(input) else {
            return;
        };
        match file::read_into(Path::new("polychat.toml"), text, Cli::command()) {
            Ok((command, _)) => hold(command, &["polychat".to_owned()]),
            Err(error) => hold_error(&error),
        }
    },
};

const ARGUMENTS: Target = Target {
    name: "arguments",
    check: |input| {
        let Ok(text) = std::str::from_utf8(input) else {
            return;
        };
        let arguments = ["polychat"].into_iter().chain(text.lines());
        let arguments: Vec<_> = arguments.map(str::to_owned).collect();
        hold(Cli::command(), &arguments);
    },
};

/// Options that are read are usable; an error is one line.
fn hold(command: clap::Command, arguments: &[String]) {
    let matches = command.try_get_matches_from(arguments);
    match matches.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => {
            for mode in [AuthMode::Open, AuthMode::Jwt] {
                if let Err(error) = cli.config.web.origins(mode) {
                    hold_error(&error);
                }
                if let Err(error) = cli.config.web.hosts(cli.config.listen, mode) {
                    hold_error(&error);
                }
            }
            if let Err(error) = cli.config.auth_mode() {
                hold_error(&error);
            }
            if let Err(error) = cli.config.bus() {
                hold_error(&error);
            }
        }
        Err(help) if !help.use_stderr() => {}
        Err(error) => hold_error(&ConfigError::Usage(error)),
    }
}

fn hold_error(error: &ConfigError) {
    let sentence = error.to_string();
    assert!(!sentence.is_empty());
    assert!(!sentence.contains('\n'), "{sentence:?}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzz::mutator::{bytes, text};
    use crate::fuzz::run;

    #[test]
    fn configuration_files() {
        let inputs = text(&[
            "listen = \"127.0.0.1:3000\"\nmax-members = 10\n",
            "allowed-origins = [\"https://a.example\", \"*\"]\nauth = \"open\"",
            "insecure-open-auth = true\ntimezone = \"Europe/Moscow\"\nshutdown-timeout = \"20s\"",
            "max-frame-bytes = 9223372036854775808\nlog-format = \"json\" # жук\n",
            "[table]\na = 1979-05-27T07:32:00Z\n",
        ]);
        run(&FILE, &bytes(inputs));
    }

    #[test]
    fn command_lines() {
        let inputs = text(&[
            "--listen=127.0.0.1:0\n--auth=jwt",
            "--listen=[::1]:3000\n--allowed-origins=https://a.example,http://b/",
            "--allowed-hosts=chat.example,[::1],10.0.0.1,*\n--allowed-hosts=a.example:80",
            "serve\n--timezone=Europe/Moscow\n--shutdown-timeout=1h 2m",
            "token\n--user=anna\n--ttl=5m\n--role=service",
            "--max-message-bytes=18446744073709551616\n--insecure-open-auth=yes",
            "--shutdown-timeout=99999999999y",
            "--store=mongodb://h/db\n--bus=rediss://anna:p%23@[::1]:6380/15",
        ]);
        run(&ARGUMENTS, &bytes(inputs));
    }
}
