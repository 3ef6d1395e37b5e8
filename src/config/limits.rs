//! The options for the limits of one client.
//! Does not limit anything: `limits` does.

use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use ipnet::IpNet;

use crate::limits::{LimitSettings, Proxies, Rate};

/// A limit, or `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit<T> {
    /// Unlimited.
    Off,
    /// This limit.
    At(T),
}

impl<T> Limit<T> {
    /// The limit; `None`: unlimited.
    pub fn value(self) -> Option<T> {
        match self {
            Self::Off => None,
            Self::At(value) => Some(value),
        }
    }
}

impl FromStr for Limit<Rate> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            rate => rate
                .parse()
                .map(Self::At)
                .map_err(|why| format!("{why}, or off")),
        }
    }
}

impl FromStr for Limit<usize> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = || text.parse().ok().filter(|number| *number > 0);
        match text {
            "off" => Ok(Self::Off),
            _ => number()
                .map(Self::At)
                .ok_or("write a number from 1, or off".into()),
        }
    }
}

/// The limits of one client.
#[derive(Debug, Clone, Args)]
pub struct LimitOptions {
    /// The messages of a user, and of a connection: so many a second, and so many in a burst; or
    /// off
    #[arg(
        long,
        env = "POLYCHAT_RATE_LIMIT",
        default_value = "20:100",
        value_name = "RATE:BURST"
    )]
    pub rate_limit: Limit<Rate>,

    /// The frames of any kind and calls of the API, likewise [default: 100:500, or off with
    /// --rate-limit off]
    #[arg(long, env = "POLYCHAT_FRAME_LIMIT", value_name = "RATE:BURST")]
    pub frame_limit: Option<Limit<Rate>>,

    /// The most connections of one user, or off; each namespace of Socket.IO counts
    #[arg(
        long,
        env = "POLYCHAT_MAX_CONNECTIONS_PER_USER",
        default_value = "100",
        value_name = "NUMBER"
    )]
    pub max_connections_per_user: Limit<usize>,

    /// The most connections, and the most Engine.IO sessions, from one address (of IPv6: from
    /// one network of 64 bits), or off; loopback addresses are exempt
    #[arg(
        long,
        env = "POLYCHAT_MAX_CONNECTIONS_PER_ADDRESS",
        default_value = "1000",
        value_name = "NUMBER"
    )]
    pub max_connections_per_address: Limit<usize>,

    /// The most connections, and the most Engine.IO sessions, that are not authenticated yet, or
    /// off
    #[arg(
        long,
        env = "POLYCHAT_MAX_UNAUTHENTICATED",
        default_value = "4096",
        value_name = "NUMBER"
    )]
    pub max_unauthenticated: Limit<usize>,

    /// The time limit until a connection is authenticated or a request is served, and for the
    /// body of a request, with a second more for each KiB
    #[arg(long, env = "POLYCHAT_HANDSHAKE_TIMEOUT", default_value = "10s", value_parser = time_limit, value_name = "TIME")]
    pub handshake_timeout: Duration,

    /// Addresses, or ranges like 10.0.0.0/8, separated by commas, of trusted proxies: their
    /// clients are counted by the last other address in X-Forwarded-For
    #[arg(
        long,
        env = "POLYCHAT_TRUSTED_PROXIES",
        value_delimiter = ',',
        value_parser = range,
        value_name = "ADDRESSES"
    )]
    pub trusted_proxies: Vec<IpNet>,

    /// The most chats that a user may be a member or the owner of, or off
    #[arg(
        long,
        env = "POLYCHAT_MAX_CHATS_PER_USER",
        default_value = "10000",
        value_name = "NUMBER"
    )]
    pub max_chats_per_user: Limit<usize>,
}

impl LimitOptions {
    /// The limits that the gateways enforce.
    pub fn settings(&self) -> LimitSettings {
        let messages = self.rate_limit.value();
        // A load test needs one option.
        let frames = match self.frame_limit {
            Some(limit) => limit.value(),
            None => messages.and_then(|_| "100:500".parse().ok()),
        };
        LimitSettings {
            messages,
            frames,
            connections_per_user: self.max_connections_per_user.value(),
            connections_per_address: self.max_connections_per_address.value(),
            unauthenticated: self.max_unauthenticated.value(),
            handshake: self.handshake_timeout,
            proxies: Proxies(self.trusted_proxies.clone()),
        }
    }
}

/// A size: without one nothing could be served.
pub(super) fn positive(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| "write a number from 1".to_owned())
}

/// A time limit that something can keep.
fn time_limit(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if !time.is_zero() => Ok(time),
        Ok(_) => Err("nobody can keep it; write a time like 10s".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn range(text: &str) -> Result<IpNet, String> {
    let address = || text.parse::<IpAddr>().map(IpNet::from);
    let range = text.parse().or_else(|_| address());
    range.map_err(|_| "write an address, or a range like 10.0.0.0/8".to_owned())
}
