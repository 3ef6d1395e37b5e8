//! The log lines of requests, one for each, with `--log-requests`.
//! Does not log what a client sent: names are those that the server has.

use tokio::time::Instant;
use tracing::info;

use crate::model::{ErrorKind, UserId};
use crate::telemetry::DialectLabel;

/// The name of a request that there is not.
pub const UNKNOWN: &str = "unknown";

/// The name, if it is one of `names`.
pub fn known(names: &[&'static str], name: &str) -> &'static str {
    let known = names.iter().find(|known| **known == name);
    known.copied().unwrap_or(UNKNOWN)
}

/// Logs a request that was read at this instant and is answered now; `refused`: with this error.
pub fn log(
    dialect: DialectLabel,
    request: &str,
    user: Option<UserId>,
    refused: Option<ErrorKind>,
    read: Instant,
) {
    let user = user.map_or_else(|| "none".to_owned(), |user| user.to_string());
    let code = refused.map_or("ok", ErrorKind::code);
    // More than an hour counts as that: a float has every smaller number exactly.
    let micros = u32::try_from(read.elapsed().as_micros()).unwrap_or(u32::MAX);
    let ms = f64::from(micros) / 1000.0;
    info!(
        dialect = dialect.name(),
        name = request,
        user,
        code,
        ms,
        "request"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_the_server_are_logged() {
        assert_eq!(known(&["sync", "list"], "list"), "list");
        for name in ["", "List", "a text\n", "sync "] {
            assert_eq!(known(&["sync", "list"], name), UNKNOWN);
        }
    }
}
