//! The structure of the crate, as tests: which module may name which, that no files import each
//! other in a circle, the length of files and their first line.
//! Does not know what any file does.

mod prose;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The longest file, in lines.
const LINES: usize = 400;

/// Which of our modules a module may name, from the lowest floor up: only modules above it in this
/// table. The table in docs/ARCHITECTURE.md is the same, in this order.
const MAY_KNOW: [(&str, &[&str]); 14] = [
    ("model", &[]),
    ("bus", &["model"]),
    ("auth", &["model"]),
    ("limits", &["model"]),
    ("telemetry", &["model"]),
    ("store", &["model", "telemetry"]),
    ("hub", &["model", "telemetry"]),
    ("service", &["model", "telemetry", "store", "bus"]),
    ("relay", &["model", "telemetry", "store", "bus", "hub"]),
    (
        "gateway",
        &["model", "telemetry", "limits", "auth", "hub", "service"],
    ),
    ("config", &["limits", "telemetry"]),
    ("copy", &["model", "store"]),
    ("lease", &["store"]),
    ("check", &["store", "lease"]),
];

/// Modules that may name every other: the wiring, and tests of the whole crate.
const EVERYTHING: [&str; 7] = [
    "server",
    "main",
    "layers",
    "catching_up_tests",
    "membership_tests",
    FIXTURES,
    FUZZ,
];

/// The service over a store in memory: every module's tests may name it.
const FIXTURES: &str = "fixtures";

/// Every module has a `fuzz.rs` that names this one, in tests only.
const FUZZ: &str = "fuzz";

/// The only modules that may name an external crate.
const AT_HOME: [(&str, &[&str]); 32] = [
    ("rusqlite", &["store/sqlite"]),
    ("tokio_rusqlite", &["store/sqlite"]),
    ("libc", &["store/sqlite"]),
    ("mongodb", &["store/mongodb"]),
    ("bson", &["store/mongodb"]),
    ("socketioxide", &["gateway/socketio/oxide"]),
    ("socketioxide_core", &["gateway/socketio"]),
    ("socketioxide_parser_common", &["gateway/socketio"]),
    (
        "axum",
        &[
            "gateway",
            "limits",
            "server.rs",
            "server",
            "config.rs",
            "config",
            "check.rs",
        ],
    ),
    (
        "hyper",
        &["check.rs", "gateway/socketio/oxide", "gateway/websocket"],
    ),
    ("hyper_util", &["check.rs", "gateway/websocket"]),
    (
        "engineioxide_core",
        &["gateway/engineio", "gateway/socketio"],
    ),
    ("tungstenite", &["gateway"]),
    ("form_urlencoded", &["gateway"]),
    ("http_body_util", &["check.rs", "gateway/engineio"]),
    ("indicatif", &["copy.rs"]),
    ("tower_http", &["gateway"]),
    ("utoipa", &["gateway/rest"]),
    ("utoipa_axum", &["gateway/rest"]),
    ("utoipa_swagger_ui", &["gateway/rest"]),
    ("serde_path_to_error", &["gateway/rest"]),
    (
        "http_body",
        &["gateway/request_guard.rs", "gateway/engineio"],
    ),
    ("governor", &["limits"]),
    ("ipnet", &["limits", "config"]),
    ("jsonwebtoken", &["auth"]),
    ("clap", &["config.rs", "config"]),
    ("clap_complete", &["config"]),
    ("clap_mangen", &["config"]),
    ("toml", &["config"]),
    ("prometheus_client", &["telemetry"]),
    (
        "rustix",
        &["lease.rs", "store/mongodb/lease.rs", "telemetry/process.rs"],
    ),
    ("anyhow", &["main.rs", "server.rs", "server"]),
];

/// Paths that are never named: others use the traits.
const NEVER: [&str; 3] = ["store::sqlite", "store::mongodb", "bus::local"];

#[test]
fn every_module_names_only_what_it_may() {
    let mut wrong = Vec::new();
    for (path, code) in sources() {
        let module = top(&path);
        if EVERYTHING.contains(&&*module) || module == "lib" {
            continue;
        }
        let known = MAY_KNOW.iter().find(|(name, _)| *name == module);
        let Some((_, known)) = known else {
            wrong.push(format!("{} is in no row of the table", path.display()));
            continue;
        };
        for named in mentions(&code, "crate::") {
            let hidden = NEVER.iter().any(|hidden| named.starts_with(hidden));
            let first = named.split("::").next().unwrap_or_default();
            let own = [module.as_str(), FIXTURES, FUZZ].contains(&first);
            if !own && (hidden || !known.contains(&first)) {
                wrong.push(format!("{} names {named}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_arrow_runs_up() {
    for (floor, (module, known)) in MAY_KNOW.iter().enumerate() {
        for lower in *known {
            let below = MAY_KNOW[..floor].iter().any(|(name, _)| name == lower);
            assert!(below, "{module} may know {lower}, which stands above it");
        }
    }
}

#[test]
fn the_table_in_the_docs_says_what_is_tested() {
    let docs = include_str!("../docs/ARCHITECTURE.md");
    let table = docs
        .lines()
        .skip_while(|line| !line.starts_with("| module |"));
    let table = table.skip(2).take_while(|line| line.starts_with('|'));
    let rows = table.filter_map(|line| {
        let mut cells = line.strip_prefix("| ")?.trim_end_matches(" |").split(" | ");
        let module = cells.next()?.trim_matches('`').to_owned();
        let known = cells.next()?.split('`').skip(1).step_by(2);
        Some((module, known.map(str::to_owned).collect::<Vec<_>>()))
    });
    let written: Vec<_> = rows.collect();
    let tested = MAY_KNOW.iter().map(|(module, known)| {
        let known = known.iter().map(|known| (*known).to_owned());
        ((*module).to_owned(), known.collect())
    });
    assert_eq!(written, tested.collect::<Vec<(String, Vec<String>)>>());
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let code: BTreeMap<_, _> = sources().into_iter().collect();
    let is_fuzz = |path: &Path| {
        path.components()
            .any(|part| Path::new(part.as_os_str()).file_stem() == Some(FUZZ.as_ref()))
    };
    let mut imports: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for (path, code_of) in code.iter().filter(|(path, _)| !is_fuzz(path)) {
        let own = module_of(path);
        let named = uses(code_of)
            .into_iter()
            .map(|named| absolute(&own, &named));
        let named = named.filter_map(|named| file_of(&named, &code));
        // A file belongs to the modules around it and names what they declare.
        let others = named.filter(|other| !own.starts_with(&module_of(other)));
        imports.insert(path.clone(), others.collect());
    }
    // Files that import none of the others are on no circle.
    while let Some(path) = imports.iter().find_map(|(path, named)| {
        let free = !named.iter().any(|named| imports.contains_key(named));
        free.then(|| path.clone())
    }) {
        imports.remove(&path);
    }
    assert!(imports.is_empty(), "{imports:#?}");
}

#[test]
fn a_frame_passes_few_types_and_the_docs_name_them() {
    const MOST: usize = 30;
    let docs = include_str!("../docs/ARCHITECTURE.md");
    let table = docs
        .lines()
        .skip_while(|line| !line.starts_with("| where |"));
    let rows = table.skip(2).take_while(|line| line.starts_with('|'));
    let named: BTreeSet<_> = rows
        .flat_map(|row| row.split('`').skip(1).step_by(2))
        .collect();
    assert!(
        !named.is_empty() && named.len() <= MOST,
        "{}: {named:?}",
        named.len()
    );
    let code: Vec<_> = sources().into_iter().map(|(_, code)| code).collect();
    for name in named {
        let kinds = ["struct", "enum", "type"].map(|kind| format!("{kind} {name}"));
        let is_defined = |code: &String| {
            kinds.iter().any(|defined| {
                let after = code.split(defined.as_str()).skip(1);
                let mut next = after.filter_map(|after| after.chars().next());
                next.any(|next| !next.is_alphanumeric())
            })
        };
        assert!(code.iter().any(is_defined), "there is no {name}");
    }
}

#[test]
fn every_crate_of_the_outside_world_stays_where_it_belongs() {
    let mut wrong = Vec::new();
    for (path, code) in sources() {
        for (name, homes) in AT_HOME {
            let at_home = homes.iter().any(|home| path.starts_with(home));
            let named = code.lines().any(|line| names_crate(line, name));
            if named && !at_home {
                wrong.push(format!("{} names {name}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
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

/// The module at the top that a file belongs to; `a_tests.rs` to `a`.
fn top(path: &Path) -> String {
    let first = path.components().next().expect("a name").as_os_str();
    let first = first.to_string_lossy();
    let name = first.trim_end_matches(".rs");
    let tested = name.strip_suffix("_tests");
    tested
        .filter(|name| MAY_KNOW.iter().any(|(module, _)| module == name))
        .unwrap_or(name)
        .to_owned()
}

/// The path of the module that a file is: `a/mod.rs` and `a.rs` are `[a]`.
fn module_of(file: &Path) -> Vec<String> {
    let parts = file.with_extension("");
    let parts = parts.iter().map(|part| part.to_string_lossy().into_owned());
    parts
        .filter(|part| part != "mod" && part != "lib")
        .collect()
}

/// The file of the innermost module in a path.
fn file_of(named: &[String], files: &BTreeMap<PathBuf, String>) -> Option<PathBuf> {
    (1..=named.len()).rev().find_map(|length| {
        let module = PathBuf::from_iter(&named[..length]);
        let places = [module.with_extension("rs"), module.join("mod.rs")];
        places.into_iter().find(|place| files.contains_key(place))
    })
}

/// A path of ours as it is named from the crate's root; empty if it is not of ours.
fn absolute(own: &[String], named: &str) -> Vec<String> {
    let mut base = own.to_vec();
    let mut parts = named.split("::").peekable();
    match parts.next() {
        Some("crate") => base.clear(),
        Some("self") => {}
        Some("super") => {
            base.pop();
            while parts.next_if_eq(&"super").is_some() {
                base.pop();
            }
        }
        _ => return Vec::new(),
    }
    base.extend(parts.map(str::to_owned));
    base
}

/// Every path that the `use` lines at the top of a file name.
fn uses(code: &str) -> Vec<String> {
    let statements = code.split("\nuse ").skip(1);
    let statements = statements.filter_map(|after| after.split(';').next());
    let flat = statements.map(|one| one.split_whitespace().collect::<String>());
    flat.flat_map(|one| paths(&one)).collect()
}

/// The paths in one `use`, its braces multiplied out.
fn paths(tree: &str) -> Vec<String> {
    let Some((prefix, inner)) = tree.split_once('{') else {
        return vec![tree.to_owned()];
    };
    let inner = inner.trim_end_matches('}');
    let (mut depth, mut branches) = (0_usize, vec![String::new()]);
    for character in inner.chars() {
        match character {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                branches.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(branch) = branches.last_mut() {
            branch.push(character);
        }
    }
    let paths = branches.iter().flat_map(|branch| paths(branch));
    paths.map(|path| format!("{prefix}{path}")).collect()
}

/// The text after each `prefix` in the code, up to the end of the path.
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
