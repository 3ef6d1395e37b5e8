//! The options for the shutdown: how long clients are served on, and how fast they are disconnected.
//! Does not shut anything down: `server` does.

use std::time::Duration;

use clap::Args;
use humantime::format_duration;

use super::ConfigError;

/// What the shutdown needs after the last connection was closed, for the store and for clients
/// that read slowly.
const REST: Duration = Duration::from_secs(2);

/// The defaults of a store that other nodes can reach, too. A load balancer that requests `/readyz`
/// every two seconds, and believes the second answer, needs five.
const SHARED: Drain = Drain {
    delay: Duration::from_secs(5),
    spread: Duration::from_secs(5),
};

/// The shutdown.
#[derive(Debug, Clone, Args)]
pub struct ShutdownOptions {
    /// How long clients are served on after the signal, while /readyz is 503 and new connections are
    /// refused: until a load balancer has noticed [default: 5s with MongoDB, else 0s; 0s at Ctrl-C]
    #[arg(long, env = "POLYCHAT_DRAIN_DELAY", value_parser = humantime::parse_duration, value_name = "TIME")]
    pub drain_delay: Option<Duration>,

    /// The time after that over which the connections are closed, evenly, so that the clients do not
    /// all reconnect at once [default: 5s with MongoDB, else 0s; 0s at Ctrl-C]
    #[arg(long, env = "POLYCHAT_DRAIN", value_parser = humantime::parse_duration, value_name = "TIME")]
    pub drain: Option<Duration>,

    /// The time limit of the whole shutdown, for clients and the store
    #[arg(long, env = "POLYCHAT_SHUTDOWN_TIMEOUT", default_value = "20s", value_parser = humantime::parse_duration, value_name = "TIME")]
    pub shutdown_timeout: Duration,
}

/// How the connections end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drain {
    /// How long all are served on.
    pub delay: Duration,
    /// Over which time they are closed then.
    pub spread: Duration,
}

impl ShutdownOptions {
    /// How the connections end at SIGTERM; `is_shared`: whether other nodes can reach the store.
    ///
    /// # Errors
    /// The times do not fit into that of the whole shutdown. Defaults are reduced to what fits.
    pub fn drain(&self, is_shared: bool) -> Result<Drain, ConfigError> {
        let room = self.shutdown_timeout.saturating_sub(REST);
        let given = self.given();
        let taken = given.delay.saturating_add(given.spread);
        if !taken.is_zero() && taken > room {
            return Err(ConfigError::Wrong(format!(
                "--drain-delay {} and --drain {} have to be {} less than --shutdown-timeout {} \
                 together",
                format_duration(given.delay),
                format_duration(given.spread),
                format_duration(REST),
                format_duration(self.shutdown_timeout),
            )));
        }
        if !is_shared {
            return Ok(given);
        }
        let left = room.saturating_sub(taken);
        let delay = self.drain_delay.unwrap_or(SHARED.delay.min(left));
        let left = room.saturating_sub(delay);
        let spread = self.drain.unwrap_or(SHARED.spread.min(left));
        Ok(Drain { delay, spread })
    }

    /// The times without the defaults of the store. SIGINT is sent by a person, who waits for the end.
    pub fn given(&self) -> Drain {
        Drain {
            delay: self.drain_delay.unwrap_or_default(),
            spread: self.drain.unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(times: [Option<u64>; 2], timeout: u64, is_shared: bool) -> Option<[u64; 2]> {
        let [drain_delay, drain] = times.map(|time| time.map(Duration::from_secs));
        let options = ShutdownOptions {
            drain_delay,
            drain,
            shutdown_timeout: Duration::from_secs(timeout),
        };
        let Drain { delay, spread } = options.drain(is_shared).ok()?;
        Some([delay.as_secs(), spread.as_secs()])
    }

    #[test]
    fn what_is_given_has_to_fit_and_defaults_are_made_to_fit() {
        for (given, timeout, of_sqlite, of_mongodb) in [
            ([None, None], 20, Some([0, 0]), Some([5, 5])),
            ([None, None], 9, Some([0, 0]), Some([5, 2])),
            ([None, None], 4, Some([0, 0]), Some([2, 0])),
            ([None, None], 1, Some([0, 0]), Some([0, 0])),
            ([None, Some(16)], 20, Some([0, 16]), Some([2, 16])),
            ([Some(1), None], 20, Some([1, 0]), Some([1, 5])),
            ([Some(0), Some(0)], 1, Some([0, 0]), Some([0, 0])),
            ([Some(8), Some(10)], 20, Some([8, 10]), Some([8, 10])),
            ([Some(8), Some(11)], 20, None, None),
            ([None, Some(19)], 20, None, None),
            ([Some(u64::MAX), Some(u64::MAX)], 20, None, None),
            ([Some(3600), None], 7200, Some([3600, 0]), Some([3600, 5])),
        ] {
            assert_eq!(drain(given, timeout, false), of_sqlite, "{given:?}");
            assert_eq!(drain(given, timeout, true), of_mongodb, "{given:?}");
        }
    }
}
