//! The option for the bus, which carries notices between nodes.
//! Does not open one.

use std::fmt;
use std::num::NonZeroU16;

use clap::Args;
use secrecy::{ExposeSecret, SecretString};

use super::{Config, ConfigError};

/// What can be written.
const FORMS: &str = "write local, mongodb, or redis://HOST or rediss://HOST of a Redis";

/// The bus.
#[derive(Debug, Clone, Args)]
pub struct BusOptions {
    /// How nodes that share a store notify each other: `local`, not at all; `mongodb`, through the store;
    /// or through a Redis, `redis://USER:PASSWORD@HOST:PORT/NUMBER`, with TLS `rediss://`; nodes of one
    /// store need the same one [default: local with SQLite, mongodb with MongoDB]
    #[arg(
        long,
        env = "POLYCHAT_BUS",
        hide_env_values = true,
        hide_default_value = true,
        value_name = "BUS"
    )]
    pub bus: Option<SecretString>,
}

/// How nodes notify each other.
#[derive(Debug, Clone)]
pub enum BusKind {
    /// Not at all: there is one.
    Local,
    /// Through the store.
    Mongodb,
    /// Through the Redis with this URL.
    Redis(SecretString),
}

impl fmt::Display for BusKind {
    /// Without user, password and number.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = match self {
            Self::Local => return out.write_str("local"),
            Self::Mongodb => return out.write_str("mongodb"),
            Self::Redis(url) => url.expose_secret(),
        };
        let (scheme, rest) = url.split_once("://").unwrap_or(("redis", url));
        let (authority, _) = rest.split_once('/').unwrap_or((rest, ""));
        let (_, place) = authority.rsplit_once('@').unwrap_or(("", authority));
        write!(out, "{scheme}://{place}")
    }
}

impl Config {
    /// The bus that was chosen, or that the store suggests.
    ///
    /// # Errors
    /// It is none, or not for this store. The sentence does not contain a password.
    pub fn bus(&self) -> Result<BusKind, ConfigError> {
        let is_shared =
            self.store.starts_with("mongodb:") || self.store.starts_with("mongodb+srv:");
        let Some(bus) = &self.bus.bus else {
            return Ok(if is_shared {
                BusKind::Mongodb
            } else {
                BusKind::Local
            });
        };
        let wrong = |why: &str| Err(ConfigError::Wrong(format!("--bus: {why}")));
        let kind = match bus.expose_secret() {
            "local" => BusKind::Local,
            "mongodb" => BusKind::Mongodb,
            url => match check_url(url) {
                Ok(()) => BusKind::Redis(bus.clone()),
                Err(why) => return wrong(why),
            },
        };
        match (&kind, is_shared) {
            (BusKind::Local, true) => wrong(
                "local does not notify the other nodes that may use a store of MongoDB; use mongodb, \
                 or redis://HOST of a Redis",
            ),
            (BusKind::Mongodb | BusKind::Redis(_), false) => wrong(
                "only nodes that share a store of MongoDB notify each other; leave it out, or use local",
            ),
            _ => Ok(kind),
        }
    }
}

/// Checks that a URL is one of Redis with nothing in it that would be ignored.
fn check_url(url: &str) -> Result<(), &'static str> {
    let rest = url.strip_prefix("redis://");
    let rest = rest
        .or_else(|| url.strip_prefix("rediss://"))
        .ok_or(FORMS)?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if path.contains('@') {
        return Err(
            "in the password of a URL write %2F for a slash, %3F for a question mark, %23 for a hash",
        );
    }
    if path.contains(['?', '#']) {
        return Err("the URL of a Redis ends with the number of its database, if it has one");
    }
    let place = authority
        .rsplit_once('@')
        .map_or(authority, |(_, place)| place);
    let (host, port) = match place
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    {
        Some((address, "")) => (address, None),
        Some((address, port)) => (address, Some(port.strip_prefix(':').unwrap_or(port))),
        None => match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    if host.is_empty() {
        return Err(FORMS);
    }
    if port.is_some_and(|port| port.parse::<NonZeroU16>().is_err()) {
        return Err("the port of the Redis is no number from 1 to 65535");
    }
    let number = path.trim_matches('/');
    if !number.is_empty() && number.parse::<u32>().is_err() {
        return Err("the database of a Redis is a number, as in redis://HOST/1");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Cli;

    fn bus(store: &str, bus: Option<&str>) -> Result<BusKind, ConfigError> {
        let mut arguments = vec!["polychat", "--store", store];
        arguments.extend(bus.into_iter().flat_map(|bus| ["--bus", bus]));
        let cli = Cli::read(arguments.into_iter().map(Into::into).collect());
        // Reading refuses what the method does.
        cli.and_then(|cli| cli.config.bus())
    }

    const SQLITE: &str = "sqlite:polychat.db";
    const MONGODB: &str = "mongodb://h/db";

    #[test]
    fn the_store_suggests_the_bus() {
        assert!(matches!(bus(SQLITE, None), Ok(BusKind::Local)));
        assert!(matches!(bus(MONGODB, None), Ok(BusKind::Mongodb)));
        assert!(matches!(
            bus("mongodb+srv://h/db", None),
            Ok(BusKind::Mongodb)
        ));
        assert!(matches!(bus(SQLITE, Some("local")), Ok(BusKind::Local)));
        assert!(matches!(
            bus(MONGODB, Some("mongodb")),
            Ok(BusKind::Mongodb)
        ));
    }

    #[test]
    fn a_redis_is_taken_as_it_is_written() {
        for (url, shown) in [
            ("redis://h", "redis://h"),
            ("redis://h/", "redis://h"),
            ("redis://:s3cret@h:6379/3", "redis://h:6379"),
            (
                "rediss://anna:s%23cret@chat.example:6380",
                "rediss://chat.example:6380",
            ),
            ("redis://anna:s@cret@h", "redis://h"),
            ("redis://[::1]:6379", "redis://[::1]:6379"),
            ("redis://anna@[::1]/0", "redis://[::1]"),
        ] {
            let taken = bus(MONGODB, Some(url)).expect(shown);
            assert_eq!(taken.to_string(), shown);
            match taken {
                BusKind::Redis(taken) => assert_eq!(taken.expose_secret(), url),
                other => panic!("{url}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_bus_that_is_wrong_or_not_for_the_store_is_refused_without_its_password() {
        for (store, url, why) in [
            (MONGODB, "", FORMS),
            (MONGODB, "Redis", FORMS),
            (MONGODB, "nats://anna:s3cret@h", FORMS),
            (MONGODB, "redis:h", FORMS),
            (MONGODB, "redis://", FORMS),
            (MONGODB, "redis://anna:s3cret@:6379", FORMS),
            (MONGODB, "redis://:s3cret@h:x", "port"),
            (MONGODB, "redis://:s3cret@h:0", "port"),
            (MONGODB, "redis://:s3cret@h:65536", "port"),
            (MONGODB, "redis://:s3cret@[::1]x", "port"),
            (MONGODB, "redis://:s3cret@h/chat", "is a number"),
            (MONGODB, "redis://:s3cret@h/1?protocol=resp3", "ends with"),
            (MONGODB, "rediss://:s3cret@h#insecure", "ends with"),
            (MONGODB, "redis://:s3cret/@h", "%2F"),
            (MONGODB, "redis://:s3cret?a@h", "%3F"),
            (MONGODB, "redis://:s3cret#a@h", "%23"),
            (MONGODB, "local", "local does not notify"),
            (SQLITE, "mongodb", "share a store of MongoDB"),
            (SQLITE, "redis://:s3cret@h", "share a store of MongoDB"),
        ] {
            let error = bus(store, Some(url)).expect_err(url).to_string();
            assert!(
                error.starts_with("--bus: ") && error.contains(why),
                "{url}: {error}"
            );
            assert!(!error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let url = "redis://:s3cret@h";
        let kind = bus(MONGODB, Some(url)).expect("a bus");
        let cli = Cli::read(
            ["polychat", "--store", MONGODB, "--bus", url]
                .map(Into::into)
                .into(),
        );
        let config = cli.expect("options").config;
        assert!(!format!("{kind:?} {config:?}").contains("s3cret"));
    }
}
