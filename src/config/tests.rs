//! Tests of the options, the file and the environment.

use std::io::Write;
use std::time::Duration;

use axum::http::HeaderValue;

use super::*;
use crate::limits::{Hosts, Origins};

fn read(arguments: &[&str]) -> Result<Config, ConfigError> {
    let all = std::iter::once("polychat").chain(arguments.iter().copied());
    Cli::read(all.map(OsString::from).collect()).map(|cli| cli.config)
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(text.as_bytes()).expect("room");
    file
}

fn with_file(text: &str, arguments: &[&str]) -> Result<Config, ConfigError> {
    let file = file(text);
    let path = file.path().to_str().expect("a readable path").to_owned();
    read(&[&["--config", &path], arguments].concat())
}

#[test]
fn the_command_line_is_well_formed() {
    Cli::command().debug_assert();
}

#[test]
fn a_value_of_the_file_stands_where_no_flag_does() {
    let config = with_file(
        "max-members = 7\nallowed-origins = [\"http://a\", \"http://b\"]",
        &[],
    );
    let config = config.expect("a good file");
    assert_eq!(config.max_members, 7);
    assert_eq!(config.web.allowed_origins, ["http://a", "http://b"]);
    let config = with_file("max-members = 7", &["--max-members", "8"]).expect("a good file");
    assert_eq!(config.max_members, 8);
}

#[test]
fn a_key_that_is_no_option_is_named() {
    let error = with_file("max-membres = 7", &[]).expect_err("no such option");
    assert!(error.to_string().contains("max-membres"));
}

#[test]
fn an_option_of_another_program_is_refused_with_the_one_that_is_meant() {
    for (arguments, hint) in [
        (
            &["--port", "3000"][..],
            "'--port' found; did you mean --listen?",
        ),
        (&["--port=3000"], "; did you mean --listen?"),
        (&["serve", "-p", "3000"], "; did you mean --listen?"),
        (&["--stor", "x.db"], "; did you mean --store?"),
        (&["--colour", "blue"], "; see polychat --help"),
    ] {
        let error = read(arguments).expect_err("no such option").to_string();
        assert!(error.ends_with(hint), "{error}");
    }
    let error = with_file("port = 3000", &[]).expect_err("no such option");
    assert!(
        error
            .to_string()
            .ends_with("\"port\"; did you mean listen?")
    );
}

#[test]
fn addresses_and_stores_are_taken_as_people_write_them() {
    let config = read(&["--listen", ":3000", "--store", "polychat.db"]).expect("options");
    assert_eq!(config.store, "sqlite:polychat.db");
    assert_eq!(config.auth_mode().ok(), Some(AuthMode::Jwt));
    let config = with_file("listen = \"localhost:7\"\nstore = \"./a.sqlite\"", &[]);
    let config = config.expect("options");
    assert_eq!(config.listen.to_string(), "127.0.0.1:7");
    assert_eq!(config.store, "sqlite:./a.sqlite");
    assert_eq!(config.auth_mode().ok(), Some(AuthMode::Open));
    let error = read(&["--store", "sqlite://x.db"]).expect_err("slashes");
    assert!(error.to_string().contains("write sqlite:x.db"), "{error}");
}

#[test]
fn a_value_of_the_wrong_type_is_refused_like_a_flag() {
    let error = with_file("max-members = \"many\"", &[]).expect_err("no number");
    assert!(error.to_string().contains("--max-members"));
}

#[test]
fn open_mode_is_for_loopback_addresses() {
    let local = read(&["--listen", "[::1]:0"]).expect("an address");
    assert_eq!(local.auth_mode().ok(), Some(AuthMode::Open));
    let public = read(&["--listen", "0.0.0.0:0"]).expect("an address");
    assert_eq!(public.auth_mode().ok(), Some(AuthMode::Jwt));
    let wrong = read(&["--listen", "0.0.0.0:0", "--auth", "open"]).expect("an address");
    assert!(wrong.auth_mode().is_err());
    let open = [
        "--listen",
        "0.0.0.0:0",
        "--auth",
        "open",
        "--insecure-open-auth",
    ];
    let insecure = read(&open).expect("an address");
    assert_eq!(insecure.auth_mode().ok(), Some(AuthMode::Open));
}

#[test]
fn any_page_may_connect_in_open_mode_only() {
    let config = read(&[]).expect("defaults");
    assert_eq!(config.web.origins(AuthMode::Open).ok(), Some(Origins::Any));
    assert_eq!(
        config.web.origins(AuthMode::Jwt).ok(),
        Some(Origins::Listed(Vec::new()))
    );
    let nothing = read(&["--allowed-origins", ""]).expect("nothing");
    assert_eq!(nothing.web.origins(AuthMode::Open).ok(), Some(Origins::Any));
    assert_eq!(
        nothing.web.origins(AuthMode::Jwt).ok(),
        Some(Origins::Listed(Vec::new()))
    );
    let listed = read(&["--allowed-origins", "https://a.example/"]).expect("an origin");
    let origin = HeaderValue::from_static("https://a.example");
    assert_eq!(
        listed.web.origins(AuthMode::Open).ok(),
        Some(Origins::Listed(vec![origin]))
    );
    assert!(
        read(&["--allowed-origins", "nonsense"])
            .expect("a text")
            .web
            .origins(AuthMode::Jwt)
            .is_err()
    );
}

#[test]
fn names_of_hosts_are_checked_in_open_mode_on_loopback_or_where_they_are_listed() {
    let hosts = |arguments: &[&str], address: &str, mode| {
        let config = read(arguments).expect("options");
        config.web.hosts(address.parse().expect("an address"), mode)
    };
    let (local, six, public) = ("127.0.0.1:3000", "[::1]:0", "0.0.0.0:3000");
    let none = Hosts::Listed(Vec::new());
    for (address, mode, expected) in [
        (local, AuthMode::Open, none.clone()),
        (six, AuthMode::Open, none),
        (local, AuthMode::Jwt, Hosts::Any),
        (public, AuthMode::Open, Hosts::Any),
        (public, AuthMode::Jwt, Hosts::Any),
    ] {
        assert_eq!(hosts(&[], address, mode).ok(), Some(expected), "{address}");
    }
    let names = ["chat.example", "10.0.0.1"].map(|name| name.parse().expect("a name"));
    for (address, mode) in [(local, AuthMode::Open), (public, AuthMode::Jwt)] {
        let listed = hosts(&["--allowed-hosts", "chat.example,10.0.0.1"], address, mode);
        assert_eq!(listed.ok(), Some(Hosts::Listed(names.to_vec())));
        let any = hosts(&["--allowed-hosts", "chat.example,*"], address, mode);
        assert_eq!(any.ok(), Some(Hosts::Any));
        let wrong = hosts(&["--allowed-hosts", "https://chat.example"], address, mode);
        let why = wrong.expect_err("a scheme").to_string();
        assert!(
            why.starts_with("--allowed-hosts: \"https://chat.example\""),
            "{why}"
        );
    }
}

#[test]
fn a_secret_is_not_shown() {
    let config = read(&["--jwt-secret", "do-not-show-me"]).expect("a secret");
    assert!(!format!("{config:?}").contains("do-not-show-me"));
}

#[test]
fn help_has_no_value_that_may_contain_a_secret() {
    let text = "jwt-secret = \"s3cret\"\nstore = \"mongodb://anna:s3cret@h/db\"\n\
                bus = \"redis://:s3cret@h\"\nmax-members = 77";
    let file = file(text);
    let path = file.path().to_str().expect("a readable path");
    for arguments in [
        &["--config", path, "--help"][..],
        &["backup", "--config", path, "--help"],
    ] {
        let help = read(arguments).expect_err("a text");
        let ConfigError::Usage(help) = help else {
            panic!("{help}");
        };
        let help = help.to_string();
        assert!(
            help.contains("--store") && !help.contains("s3cret"),
            "{help}"
        );
    }
    let command = Cli::command();
    for name in ["jwt-secret", "store", "bus"] {
        let mut options = command.get_arguments();
        let option = options.find(|option| option.get_long() == Some(name));
        assert!(option.expect(name).is_hide_env_values_set(), "{name}");
    }
}

#[test]
fn the_file_names_the_address_where_no_flag_does() {
    let config = with_file("listen = \"[::1]:7\"", &[]).expect("a good file");
    assert_eq!(config.listen.to_string(), "[::1]:7");
}

#[test]
fn every_limit_has_a_default_and_can_be_off() {
    let settings = read(&[]).expect("defaults").limits.settings();
    let rate = |text: &str| text.parse().ok();
    assert_eq!(settings.messages, rate("20:100"));
    assert_eq!(settings.frames, rate("100:500"));
    assert_eq!(settings.connections_per_user, Some(100));
    assert_eq!(settings.connections_per_address, Some(1000));
    assert_eq!(settings.unauthenticated, Some(4096));
    assert_eq!(settings.handshake, Duration::from_secs(10));
    let file = "rate-limit = \"off\"\nmax-connections-per-user = \"off\"\n\
                max-connections-per-address = 7\nmax-chats-per-user = \"off\"";
    let config = with_file(file, &["--max-unauthenticated", "off"]).expect("limits");
    assert_eq!(config.limits.max_chats_per_user, Limit::Off);
    let settings = config.limits.settings();
    assert_eq!((settings.messages, settings.frames), (None, None));
    assert_eq!(settings.connections_per_user, None);
    assert_eq!(settings.connections_per_address, Some(7));
    assert_eq!(settings.unauthenticated, None);
}

#[test]
fn frames_are_limited_without_messages_only_if_that_is_configured() {
    let limits = ["--rate-limit", "off", "--frame-limit", "5:6"];
    let settings = read(&limits).expect("rates").limits.settings();
    assert_eq!(
        (settings.messages, settings.frames),
        (None, "5:6".parse().ok())
    );
    let settings = read(&["--frame-limit", "off"])
        .expect("a rate")
        .limits
        .settings();
    assert_eq!(
        (settings.messages, settings.frames),
        ("20:100".parse().ok(), None)
    );
}

#[test]
fn a_wrong_limit_is_refused_with_what_to_write() {
    for (option, value, reason) in [
        ("--rate-limit", "20", "RATE:BURST"),
        ("--rate-limit", "0:5", "RATE:BURST"),
        ("--frame-limit", "none", "or off"),
        ("--max-connections-per-user", "0", "or off"),
        ("--trusted-proxies", "10.0.0.0/40", "10.0.0.0/8"),
    ] {
        let error = read(&[option, value]).expect_err(value).to_string();
        assert!(error.contains(option) && error.contains(reason), "{error}");
    }
    let ranges = ["--trusted-proxies", "127.0.0.1,10.0.0.0/8,fd00::/8"];
    let config = read(&ranges).expect("ranges");
    assert_eq!(config.limits.trusted_proxies.len(), 3);
}
