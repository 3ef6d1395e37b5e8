//! How fast: token buckets for each connection and for each user, by `governor`.
//! Does not know the operation that a token pays for.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::sync::OnceLock;

use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::state::{InMemoryState, NotKeyed};
use governor::{NotUntil, Quota, RateLimiter};
use parking_lot::Mutex;

use crate::model::UserId;

/// How many bursts of refused requests a connection may send before it is closed
/// (docs/CONFIGURATION.md).
const BURSTS_OVER: u32 = 10;

/// Which part of a burst one request costs at most, beside its frame.
const PART: u32 = 5;

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
    /// The tokens that payers owe, since their buckets had fewer than a request cost.
    debts: Mutex<HashMap<Payer, u32>>,
}

/// A connection's own share in a [`Pace`].
pub struct Gauge<C: Clock = MonotonicClock> {
    own: Bucket<C>,
    /// The tokens that it owes, without a payer.
    debt: Mutex<u32>,
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
            debts: Mutex::default(),
            clock,
        }
    }

    /// The share of a new connection.
    pub fn gauge(&self) -> Gauge<C> {
        Gauge {
            own: self.bucket(self.quota),
            debt: Mutex::default(),
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
    /// One of the two has none left, or owes some.
    pub fn take(&self, payer: Option<Payer>, gauge: Option<&Gauge<C>>) -> Result<(), Over> {
        let over = |retry_after_ms| Over {
            retry_after_ms,
            verdict: gauge.map_or(Verdict::Refuse, |gauge| self.judge(gauge)),
        };
        let owed = self.charge(payer, gauge, 0);
        if owed > 0 {
            return Err(over(self.wait_for(owed.saturating_add(1))));
        }
        let paid = payer.map_or(Ok(()), |payer| self.payers.check_key(&payer));
        let paid = paid.and_then(|()| gauge.map_or(Ok(()), |gauge| gauge.own.check()));
        paid.map_err(|not_until| over(self.wait(&not_until)))
    }

    /// Takes so many tokens from the payer, without one from the connection, at most a fifth of a
    /// burst. Those that are missing are owed: [`Pace::take`] refuses until they are paid. Returns
    /// how many are owed.
    pub fn charge(&self, payer: Option<Payer>, gauge: Option<&Gauge<C>>, tokens: usize) -> u32 {
        let burst = self.quota.burst_size().get();
        let tokens = u32::try_from(tokens).unwrap_or(u32::MAX);
        let tokens = tokens.min((burst / PART).max(1));
        let add = |debt: u32| debt.saturating_add(tokens).min(burst);
        let Some(payer) = payer else {
            return gauge.map_or(0, |gauge| {
                let mut debt = gauge.debt.lock();
                *debt = pay(add(*debt), |part| {
                    matches!(gauge.own.check_n(part), Ok(Ok(())))
                });
                *debt
            });
        };
        let mut debts = self.debts.lock();
        if tokens == 0 && debts.is_empty() {
            return 0;
        }
        let debt = debts.get(&payer).copied().unwrap_or_default();
        let debt = pay(add(debt), |part| self.pays(payer, part));
        if debt > 0 {
            debts.insert(payer, debt);
        } else {
            debts.remove(&payer);
        }
        debt
    }

    fn pays(&self, payer: Payer, tokens: NonZeroU32) -> bool {
        matches!(self.payers.check_key_n(&payer, tokens), Ok(Ok(())))
    }

    /// Forgets the payers whose buckets are full again.
    pub fn sweep(&self) {
        self.debts.lock().retain(|payer, debt| {
            *debt = pay(*debt, |part| self.pays(*payer, part));
            *debt > 0
        });
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

    /// How long so many tokens take to come back, in milliseconds.
    fn wait_for(&self, tokens: u32) -> u64 {
        let wait = self.quota.replenish_interval().saturating_mul(tokens);
        u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
    }

    /// Rounded up, so that a client that waits for so long is not refused for a fraction.
    fn wait(&self, not_until: &NotUntil<C::Instant>) -> u64 {
        let wait = not_until.wait_time_from(self.clock.now());
        let milliseconds = wait.as_nanos().div_ceil(1_000_000);
        u64::try_from(milliseconds).unwrap_or(u64::MAX).max(1)
    }
}

/// Takes as many of these tokens as there are, and returns how many are missing.
fn pay(mut tokens: u32, mut take: impl FnMut(NonZeroU32) -> bool) -> u32 {
    let mut part = tokens;
    while let Some(taken) = NonZeroU32::new(part) {
        if take(taken) {
            tokens -= part;
            part = part.min(tokens);
        } else {
            part /= 2;
        }
    }
    tokens
}

#[cfg(test)]
#[path = "rates_tests.rs"]
mod tests;
