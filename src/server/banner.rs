//! The banner: where the server listens, and how to try it.
//! Does not print a secret.

use std::fmt::Write as _;
use std::io::Write as _;

use tokio::net::TcpListener;
use tracing::{info, warn};

use crate::config::{AuthMode, Config};
use crate::limits::Origins;
use crate::telemetry::LogFormat;

/// Prints the address of the server and first steps: for people as text, for machines as a log
/// line.
pub(super) fn announce(
    config: &Config,
    mode: AuthMode,
    origins: &Origins,
    clients: &TcpListener,
    metrics: Option<&TcpListener>,
    store: &str,
) -> std::io::Result<()> {
    let address = clients.local_addr()?;
    let metrics = metrics.map(TcpListener::local_addr);
    let metrics = metrics.transpose()?;
    let metrics = metrics.map(|address| format!("http://{address}/metrics"));
    let auth = match mode {
        AuthMode::Open => "open",
        AuthMode::Jwt => "jwt",
    };
    if config.log_format == LogFormat::Json {
        info!(%address, store, auth, %origins, metrics, "listening on http://{address}");
        if mode == AuthMode::Open {
            warn!("open authentication: anyone who can connect may act as any user");
        }
        return Ok(());
    }
    let version = env!("CARGO_PKG_VERSION");
    let mut text = format!(
        "polychat {version} listening on http://{address}\n  store  {store}\n  auth   {auth}\n  origins {origins}\n"
    );
    if let Some(metrics) = metrics {
        let _ = writeln!(text, "  metrics {metrics}");
    }
    if mode == AuthMode::Open {
        text.push_str(
            "  WARNING: anyone who can connect may act as any user; for production: --auth jwt\n",
        );
    }
    text.push_str(match mode {
        AuthMode::Open => "Try it:  npm install socket.io-client, then\n",
        AuthMode::Jwt => {
            "Try it:  polychat token --user anna --jwt-secret ... prints a token for \
             auth: {token}\n"
        }
    });
    if mode == AuthMode::Open {
        let port = address.port();
        let _ = writeln!(
            text,
            "  node -e 'const s = require(\"socket.io-client\")(\"http://127.0.0.1:{port}\"); \
             s.emit(\"create-user\", {{user: {{externalUserId: \"anna\"}}}}, console.log)'"
        );
    }
    text.push_str("Stop with Ctrl-C. Every option: polychat --help\n");
    // Standard output may be closed.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(())
}
