//! The structure of the house, as a test: who may know whom, how long a file may be, what
//! stands at its top.
//! It refuses to know what any file does.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The longest file, in lines.
const LINES: usize = 400;

/// Which of our modules a module may name.
const MAY_KNOW: [(&str, &[&str]); 12] = [
    ("model", &[]),
    ("telemetry", &["model", "config"]),
    ("store", &["model", "telemetry"]),
    ("bus", &["model"]),
    ("auth", &["model"]),
    ("service", &["model", "telemetry", "store", "bus"]),
    ("hub", &["model", "telemetry", "gateway::dialect"]),
    ("relay", &["model", "telemetry", "hub", "store", "bus"]),
    ("gateway", &["model", "telemetry", "service", "hub", "auth"]),
    ("config", &["gateway::Origins", "gateway::limits"]),
    ("copy", &["model", "store"]),
    ("check", &["store"]),
];

/// What every module may name: it stands in tests only.
const EVERYBODY: &str = "fuzz";

/// Where alone a crate of the outside world may be named.
const AT_HOME: [(&str, &[&str]); 23] = [
    ("rusqlite", &["store/sqlite"]),
    ("tokio_rusqlite", &["store/sqlite"]),
    ("libc", &["store/sqlite"]),
    ("mongodb", &["store/mongodb"]),
    ("bson", &["store/mongodb"]),
    ("socketioxide", &["gateway/socketio"]),
    (
        "axum",
        &["gateway", "server.rs", "config.rs", "config", "check.rs"],
    ),
    ("hyper", &["check.rs", "gateway/socketio"]),
    ("indicatif", &["copy.rs"]),
    ("tower_http", &["gateway"]),
    ("utoipa", &["gateway/rest"]),
    ("utoipa_axum", &["gateway/rest"]),
    ("utoipa_swagger_ui", &["gateway/rest"]),
    ("serde_path_to_error", &["gateway/rest"]),
    ("http_body", &["gateway/visit.rs"]),
    ("governor", &["gateway/limits"]),
    ("ipnet", &["gateway/limits", "config"]),
    ("jsonwebtoken", &["auth"]),
    ("clap", &["config.rs", "config"]),
    ("toml", &["config"]),
    ("prometheus_client", &["telemetry"]),
    ("procfs", &["telemetry/process.rs"]),
    ("anyhow", &["main.rs", "server.rs"]),
];

/// What is never named: the traits are the way in.
const NEVER: [&str; 3] = ["store::sqlite", "store::mongodb", "bus::local"];

#[test]
fn every_module_knows_only_whom_it_may() {
    let mut strangers = Vec::new();
    for (path, code) in sources() {
        let module = top(&path);
        let allowed = MAY_KNOW.iter().find(|(name, _)| *name == module);
        for named in mentions(&code, "crate::") {
            let hidden = NEVER.iter().any(|hidden| named.starts_with(hidden));
            let own = named.split("::").next() == Some(&module);
            let known =
                allowed.is_none_or(|(_, known)| known.iter().any(|known| named.starts_with(known)));
            let in_tests = named.split("::").next() == Some(EVERYBODY);
            if !own && !in_tests && (hidden || !known) {
                strangers.push(format!("{} names {named}", path.display()));
            }
        }
    }
    assert!(strangers.is_empty(), "{strangers:#?}");
}

#[test]
fn every_crate_of_the_outside_world_stays_where_it_belongs() {
    let mut strangers = Vec::new();
    for (path, code) in sources() {
        for (name, homes) in AT_HOME {
            let at_home = homes.iter().any(|home| path.starts_with(home));
            let named = code.lines().any(|line| names_crate(line, name));
            if named && !at_home {
                strangers.push(format!("{} names {name}", path.display()));
            }
        }
    }
    assert!(strangers.is_empty(), "{strangers:#?}");
}

#[test]
fn no_file_is_longer_than_a_person_reads() {
    let long = |(path, text): (PathBuf, String)| {
        let lines = text.lines().count();
        (lines > LINES).then_some((path, lines))
    };
    let long: BTreeMap<_, _> = files().into_iter().filter_map(long).collect();
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn every_file_says_first_what_it_owns() {
    let silent = |(path, text): (PathBuf, String)| (!text.starts_with("//! ")).then_some(path);
    let silent: Vec<_> = files().into_iter().filter_map(silent).collect();
    assert!(silent.is_empty(), "{silent:#?}");
}

/// Every file below `src` with its path from there.
fn files() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a text");
                let path = path.strip_prefix(&root).expect("below src").to_owned();
                found.push((path, text));
            }
        }
    }
    assert!(found.len() > 20, "the sources are not where they were");
    found
}

/// The same without comments, and without this file, which names everything.
fn sources() -> Vec<(PathBuf, String)> {
    let code = |text: String| {
        let lines = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        lines.collect::<Vec<_>>().join("\n")
    };
    let others = files()
        .into_iter()
        .filter(|(path, _)| path != Path::new("layers.rs"));
    others.map(|(path, text)| (path, code(text))).collect()
}

/// The module at the top that a file belongs to.
fn top(path: &Path) -> String {
    let first = path.components().next().expect("a name").as_os_str();
    first.to_string_lossy().trim_end_matches(".rs").to_owned()
}

/// What follows each `prefix` in the code, up to the end of the path.
fn mentions<'a>(code: &'a str, prefix: &str) -> Vec<&'a str> {
    let part = |character: char| character.is_alphanumeric() || "_:".contains(character);
    let after = code.split(prefix).skip(1);
    after
        .map(|rest| {
            rest.split(|character| !part(character))
                .next()
                .unwrap_or("")
        })
        .collect()
}

fn names_crate(line: &str, name: &str) -> bool {
    let path = format!("{name}::");
    line.match_indices(&path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|before| !before.is_alphanumeric() && before != '_' && before != ':')
    })
}
