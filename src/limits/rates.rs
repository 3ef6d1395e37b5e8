//! How fast: token buckets for each connection and for each user, by `governor`.
//! Does not know the operation that a token pays for.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::sync::OnceLock;

use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::state::{InMemoryState, NotKeyed};
use governor::{NotUntil, Quota, RateLimiter};

use crate::model::UserId;

/// How many bursts of refused requests a connection may send before it is closed
/// (docs/CONFIGURATION.md).
const BURSTS_OVER: u32 = 10;

/// The greatest number in a [`Rate`].
const MOST: u32 = 1_000_000;

/// So many a second in the long run, and so many at once after a time of silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many tokens are refilled in a second.
    pub per_second: NonZeroU32,
    /// How many there are at most.
    pub burst: NonZeroU32,
}

impl FromStr for Rate {
    type Err = String;

    /// Reads `RATE:BURST`, two whole numbers from 1 to 1,000,000.
    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| {
            let number = text.parse().ok();
            number.filter(|number: &NonZeroU32| number.get() <= MOST)
        };
        let parts = text.split_once(':');
        let rate = parts.and_then(|(per_second, burst)| {
            Some(Self {
                per_second: number(per_second)?,
                burst: number(burst)?,
            })
        });
        let why = || format!("write RATE:BURST, as 20:100, each from 1 to {MOST}");
        rate.ok_or_else(why)
    }
}

/// The owner of a bucket, across connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Payer {
    /// A user, with all its connections together.
    User(UserId),
    /// Callers without a user from this address.
    Address(IpAddr),
}

/// A rate limit was exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Over {
    /// After how many milliseconds it would pass.
    pub retry_after_ms: u64,
    /// The outcome for the connection.
    pub verdict: Verdict,
}

/// The outcome for a connection over its rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It stays open.
    Refuse,
    /// It has exceeded the limit by ten bursts: it is to be closed.
    Close,
}

type UntrustedJson<C> = NoOpMiddleware<<C as Clock>::Instant>;
/// One bucket.
pub(super) type Bucket<C> = RateLimiter<NotKeyed, InMemoryState, C, UntrustedJson<C>>;
type Buckets<C> = RateLimiter<Payer, DashMapStateStore<Payer>, C, UntrustedJson<C>>;

/// One rate, kept for every payer and for every connection.
pub struct Pace<C: Clock = MonotonicClock> {
    quota: Quota,
    over: Quota,
    clock: C,
    payers: Buckets<C>,
}

/// A connection's own share in a [`Pace`].
pub struct Gauge<C: Clock = MonotonicClock> {
    own: Bucket<C>,
    /// The bucket of refused requests; few connections ever have one.
    over: OnceLock<Box<Bucket<C>>>,
}

impl<C: Clock + Clone> Pace<C> {
    /// A rate without buckets.
    pub fn new(rate: Rate, clock: C) -> Self {
        let bursts = NonZeroU32::MIN.saturating_add(BURSTS_OVER - 1);
        let quota = Quota::per_second(rate.per_second).allow_burst(rate.burst);
        Self {
            quota,
            over: quota.allow_burst(rate.burst.saturating_mul(bursts)),
            payers: RateLimiter::dashmap_with_clock(quota, clock.clone()),
            clock,
        }
    }

    /// The share of a new connection.
    pub fn gauge(&self) -> Gauge<C> {
        Gauge {
            own: self.bucket(self.quota),
            over: OnceLock::new(),
        }
    }

    /// Takes one token from the payer, if there is one, and one from the connection, if it
    /// came on one.
    ///
    /// The payer's bucket is charged first. A user's tokens are fewer than those of any of its
    /// connections, so a refusal there costs the connection nothing.
    ///
    /// # Errors
    /// One of the two has none left.
    pub fn take(&self, payer: Option<Payer>, gauge: Option<&Gauge<C>>) -> Result<(), Over> {
        let paid = payer.map_or(Ok(()), |payer| self.payers.check_key(&payer));
        let paid = paid.and_then(|()| gauge.map_or(Ok(()), |gauge| gauge.own.check()));
        paid.map_err(|not_until| Over {
            retry_after_ms: self.wait(&not_until),
            verdict: gauge.map_or(Verdict::Refuse, |gauge| self.judge(gauge)),
        })
    }

    /// Forgets the payers whose buckets are full again.
    pub fn sweep(&self) {
        self.payers.retain_recent();
        self.payers.shrink_to_fit();
    }

    /// How many payers are remembered.
    #[cfg(test)]
    pub fn payers(&self) -> usize {
        self.payers.len()
    }

    fn judge(&self, gauge: &Gauge<C>) -> Verdict {
        let over = gauge.over.get_or_init(|| Box::new(self.bucket(self.over)));
        match over.check() {
            Ok(()) => Verdict::Refuse,
            Err(_) => Verdict::Close,
        }
    }

    fn bucket(&self, quota: Quota) -> Bucket<C> {
        RateLimiter::direct_with_clock(quota, self.clock.clone())
    }

    /// Rounded up, so that a client that waits for so long is not refused for a fraction.
    fn wait(&self, not_until: &NotUntil<C::Instant>) -> u64 {
        let wait = not_until.wait_time_from(self.clock.now());
        let milliseconds = wait.as_nanos().div_ceil(1_000_000);
        u64::try_from(milliseconds).unwrap_or(u64::MAX).max(1)
    }
}

#[cfg(test)]
#[path = "rates_tests.rs"]
mod tests;
