//! The tables of the structure: what may name what.
//! Does not check them.

/// Which of our modules a module may name, from the lowest floor up: only modules above it in this
/// table. The table in docs/ARCHITECTURE.md is the same, in this order.
pub(super) const MAY_KNOW: [(&str, &[&str]); 18] = [
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
    ("progress", &[]),
    ("copy", &["model", "store", "progress"]),
    ("backup", &["store"]),
    ("export", &["model", "store", "gateway", "progress"]),
    (
        "import",
        &["model", "bus", "service", "gateway", "progress"],
    ),
    ("lease", &["store"]),
    ("check", &["store", "lease"]),
];

/// Modules that may name every other: the wiring, and tests of the whole crate.
pub(super) const EVERYTHING: [&str; 8] = [
    "server",
    "main",
    "layers",
    "catching_up_tests",
    "moving_in_tests",
    "membership_tests",
    FIXTURES,
    FUZZ,
];

/// The service over a store in memory: every module's tests may name it.
pub(super) const FIXTURES: &str = "fixtures";

/// Every module has a `fuzz.rs` that names this one, in tests only.
pub(super) const FUZZ: &str = "fuzz";

/// The only modules that may name an external crate.
pub(super) const AT_HOME: [(&str, &[&str]); 35] = [
    ("rusqlite", &["store/sqlite"]),
    ("tokio_rusqlite", &["store/sqlite"]),
    ("libc", &["store/sqlite"]),
    ("mongodb", &["store/mongodb", "bus/mongodb", "bus/wire"]),
    ("redis", &["bus/redis.rs", "bus/redis"]),
    ("tokio_rustls", &["bus/redis"]),
    ("bson", &["store/mongodb", "bus/mongodb"]),
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
    ("indicatif", &["progress.rs", "copy.rs"]),
    ("ureq", &["import"]),
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
pub(super) const NEVER: [&str; 5] = [
    "store::sqlite",
    "store::mongodb",
    "bus::local",
    "bus::mongodb",
    "bus::shared",
];
