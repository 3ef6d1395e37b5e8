//! Variables of the environment that look like options and are none.
//! Does not read a value into an option: the command line does.

use clap::{Command, CommandFactory};

use super::Cli;

/// What the names of the server's variables begin with.
const PREFIX: &str = "POLYCHAT_";

/// Variables of the tests, which may run a server with their own environment, and of programs in the documents.
const OTHERS: [&str; 5] = [
    "POLYCHAT_BIN",
    "POLYCHAT_FUZZ_SEED",
    "POLYCHAT_SEED",
    "POLYCHAT_TESTS",
    "POLYCHAT_URL",
];

/// The variables of this process that look like options and are none, by name.
pub fn unknown_variables() -> Vec<String> {
    let lossy = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    unknown(std::env::vars_os().map(|(name, value)| (lossy(name), lossy(value))))
}

fn unknown(variables: impl Iterator<Item = (String, String)>) -> Vec<String> {
    let command = Cli::command();
    let mut unknown: Vec<_> = variables
        .filter(|(name, value)| name.starts_with(PREFIX) && !is_other(name, value))
        .map(|(name, _)| name)
        .filter(|name| !reads(&command, name))
        .collect();
    unknown.sort();
    unknown
}

/// Whether an option of the command or of its subcommands has this variable.
fn reads(command: &Command, name: &str) -> bool {
    let named = |variable: &std::ffi::OsStr| variable == name;
    command
        .get_arguments()
        .any(|option| option.get_env().is_some_and(named))
        || command
            .get_subcommands()
            .any(|command| reads(command, name))
}

/// Whether a variable is for another program. Kubernetes sets some for each service, after its name: that
/// may be polychat, or begin with it.
fn is_other(name: &str, value: &str) -> bool {
    OTHERS.contains(&name)
        || name.starts_with("POLYCHAT_TEST_")
        || name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || name.contains("_TCP_")
        || name.contains("_UDP_")
        || value.starts_with("tcp://")
        || value.starts_with("udp://")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Vec<String> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        unknown(variables.iter().map(owned))
    }

    #[test]
    fn misspelt_variables_are_found() {
        let found = of(&[
            ("POLYCHAT_STORRE", "sqlite:x.db"),
            ("POLYCHAT_PORT", "3000"),
            ("POLYCHAT_LISTEN", "127.0.0.1:0"),
            ("POLYCHAT_JWT_SECRET", "secret"),
            ("PATH", "/bin"),
            ("polychat_store", "x"),
        ]);
        assert_eq!(found, ["POLYCHAT_PORT", "POLYCHAT_STORRE"]);
    }

    #[test]
    fn those_of_tests_and_of_kubernetes_are_left_out() {
        let found = of(&[
            ("POLYCHAT_BIN", "target/release/polychat"),
            ("POLYCHAT_TEST_MONGODB", "mongodb://x"),
            ("POLYCHAT_PORT", "tcp://10.0.0.1:3000"),
            ("POLYCHAT_PORT_3000_TCP", "tcp://10.0.0.1:3000"),
            ("POLYCHAT_PORT_3000_TCP_ADDR", "10.0.0.1"),
            ("POLYCHAT_SERVICE_HOST", "10.0.0.1"),
            ("POLYCHAT_MONGO_SERVICE_PORT_DB", "27017"),
        ]);
        assert!(found.is_empty(), "{found:?}");
    }
}
