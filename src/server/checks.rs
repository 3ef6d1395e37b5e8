//! The checks of `polychat check` that need no store: the options, the keys, the pages and names that
//! are allowed, and the addresses to listen on.
//! Does not listen, and does not print a key.

use std::io::ErrorKind;
use std::net::SocketAddr;

use anyhow::anyhow;

use super::Admission;
use super::listeners::bind;
use crate::auth::Authenticator;
use crate::check;
use crate::config::{Config, KeyOptions};

/// Checks the combination of options, without using the store. Returns a line for each part of it.
///
/// # Errors
/// The error, in one sentence.
pub fn check(config: &Config) -> anyhow::Result<Vec<String>> {
    let admission = Admission::of(config)?;
    Ok(vec![
        "options  ok".to_owned(),
        format!("keys     {}", keys(&admission.authenticator, &config.keys)),
        format!("origins  {}", admission.origins),
        format!("hosts    {}", admission.hosts),
    ])
}

/// Which keys verify tokens.
fn keys(authenticator: &Authenticator, options: &KeyOptions) -> String {
    if matches!(authenticator, Authenticator::Open) {
        return "none: with --auth open any client may act as any user".to_owned();
    }
    let has_secret = options.jwt_secret.is_some() || options.jwt_secret_file.is_some();
    let secret = has_secret.then(|| "the shared secret".to_owned());
    let in_files = authenticator.keys() - usize::from(has_secret);
    let public = (in_files > 0).then(|| {
        let files = options.jwt_keys.len();
        format!(
            "{} in {}",
            count(in_files, "public key"),
            count(files, "file")
        )
    });
    let keys: Vec<_> = secret.into_iter().chain(public).collect();
    format!("ok: {}", keys.join(", "))
}

fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Checks whether the addresses can be listened on. Returns a line for each. `beside`: a polychat uses
/// the store of these options, so that it may well use the addresses, too.
///
/// # Errors
/// Why that cannot be, in one sentence.
pub async fn check_ports(config: &Config, beside: bool) -> anyhow::Result<Vec<String>> {
    let clients = check_port("--listen", config.listen, check::INDEX, beside).await?;
    let mut lines = vec![format!("listen   {clients}")];
    if let Some(address) = config.metrics_listen {
        let metrics = check_port("--metrics-listen", address, check::METRICS, beside).await?;
        lines.push(format!("metrics  {metrics}"));
    }
    Ok(lines)
}

/// Checks one address, where a polychat serves `page`.
async fn check_port(
    option: &str,
    address: SocketAddr,
    page: &'static str,
    beside: bool,
) -> anyhow::Result<String> {
    let error = match bind(address) {
        Ok(_) if address.port() == 0 => return Ok(format!("ok: a free port of {}", address.ip())),
        Ok(_) => return Ok(format!("ok: {address}")),
        Err(error) => error,
    };
    let is_polychat =
        error.kind() == ErrorKind::AddrInUse && check::is_polychat(address, page).await;
    match (is_polychat, beside) {
        (true, true) => Ok(format!("{address} is in use by the running polychat")),
        (true, false) => Err(anyhow!(
            "{option}: cannot listen on {address}: a running polychat has it, with another store"
        )),
        (false, _) => Err(anyhow!(error).context(format!("{option}: cannot listen on {address}"))),
    }
}
