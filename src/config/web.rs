//! The options against web pages that are not meant to use the server: their origins, and the names
//! by which they address it.
//! Does not check requests: `gateway` does.

use std::net::SocketAddr;

use axum::http::HeaderValue;
use clap::Args;

use super::{AuthMode, ConfigError};
use crate::limits::{Hosts, Origins};

/// The web pages that may use the server.
#[derive(Debug, Clone, Args)]
pub struct WebOptions {
    /// Origins of web pages that may connect, separated by commas; * for any [default: any with
    /// --auth open, else none but the server's own]
    #[arg(
        long,
        env = "POLYCHAT_ALLOWED_ORIGINS",
        value_delimiter = ',',
        value_name = "ORIGINS"
    )]
    pub allowed_origins: Vec<String>,

    /// Names of the server, separated by commas; * for any. Requests with another one in Host are
    /// refused, except loopback names and addresses [default: any, but none with --auth open on a
    /// loopback address]
    #[arg(
        long,
        env = "POLYCHAT_ALLOWED_HOSTS",
        value_delimiter = ',',
        value_name = "HOSTS"
    )]
    pub allowed_hosts: Vec<String>,
}

impl WebOptions {
    /// Which web pages may connect.
    ///
    /// # Errors
    /// Something that is no origin.
    pub fn origins(&self, mode: AuthMode) -> Result<Origins, ConfigError> {
        // A variable that is set to nothing has one empty text.
        let given = self.allowed_origins.iter().map(|origin| origin.trim());
        let given: Vec<_> = given.filter(|origin| !origin.is_empty()).collect();
        if given.is_empty() && mode == AuthMode::Open || given.contains(&"*") {
            return Ok(Origins::Any);
        }
        let parse = |origin: &&str| {
            let value = origin.trim_end_matches('/').parse::<HeaderValue>().ok();
            value.filter(|_| origin.contains("://")).ok_or_else(|| {
                ConfigError::Wrong(format!(
                    "--allowed-origins: \"{origin}\" is no origin; write https://chat.example"
                ))
            })
        };
        let listed = given.iter().map(parse);
        Ok(Origins::Listed(listed.collect::<Result<_, _>>()?))
    }

    /// The names by which requests to this address may address the server. Without a list they are
    /// checked where a request needs no token and a page can send it only by DNS rebinding: in
    /// open mode on a loopback address.
    ///
    /// # Errors
    /// Something that is no name of a host.
    pub fn hosts(&self, address: SocketAddr, mode: AuthMode) -> Result<Hosts, ConfigError> {
        let exposed = mode == AuthMode::Open && address.ip().is_loopback();
        if self.allowed_hosts.is_empty() && !exposed
            || self.allowed_hosts.iter().any(|host| host == "*")
        {
            return Ok(Hosts::Any);
        }
        let parse = |host: &String| {
            host.parse().map_err(|why| {
                ConfigError::Wrong(format!("--allowed-hosts: \"{host}\" is no host; {why}"))
            })
        };
        let listed = self.allowed_hosts.iter().map(parse);
        Ok(Hosts::Listed(listed.collect::<Result<_, _>>()?))
    }
}
