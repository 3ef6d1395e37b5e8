//! How many log lines the refusals of an address may take, and the sums of those that took none.
//! Does not log, and does not know why a client was refused.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, MonotonicClock, Reference};
use governor::{Quota, RateLimiter};
use parking_lot::Mutex;

use super::network;
use super::rates::Bucket;

/// How many refusals of an address are logged at once.
const LINES: NonZeroU32 = NonZeroU32::new(10).unwrap();

/// How long until one more is.
const REFILL: Duration = Duration::from_secs(6);

/// After how long the budget of an address is whole again.
const WHOLE: Duration = Duration::from_mins(1);

/// How long after the first one that was left out they are summed up, at the earliest.
const SUMMED_UP_AFTER: Duration = Duration::from_secs(45);

/// How many addresses have a budget of their own; all others have one together.
const ADDRESSES: usize = 1024;

/// The budgets of all addresses.
pub(super) struct RefusalBudgets<C: Clock = MonotonicClock> {
    clock: C,
    state: Mutex<State<C>>,
}

struct State<C: Clock> {
    by_address: HashMap<IpAddr, Budget<C>>,
    /// Of addresses beyond [`ADDRESSES`], and of clients whose address is not known.
    others: Budget<C>,
}

struct Budget<C: Clock> {
    bucket: Bucket<C>,
    /// When it was used last.
    used: C::Instant,
    /// Since when refusals were left out, and how many they are.
    left_out: Option<(C::Instant, u64)>,
}

/// Refusals that were left out of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LeftOut {
    /// The address of the clients; `None`: several.
    pub(super) address: Option<IpAddr>,
    /// How many they are.
    pub(super) count: u64,
    /// Since the first one.
    pub(super) time: Duration,
}

impl<C: Clock + Clone> RefusalBudgets<C> {
    /// Budgets of which nothing was used.
    pub(super) fn new(clock: C) -> Self {
        let state = State {
            by_address: HashMap::new(),
            others: Budget::new(&clock),
        };
        let state = Mutex::new(state);
        Self { clock, state }
    }

    /// Whether a refusal of this client is to be logged; if not, it is counted.
    pub(super) fn take(&self, client: Option<IpAddr>) -> bool {
        let mut state = self.state.lock();
        let State { by_address, others } = &mut *state;
        let has_room = by_address.len() < ADDRESSES;
        let network = client.map(|client| network(client.to_canonical()));
        let budget = match network {
            Some(network) if has_room || by_address.contains_key(&network) => {
                let budget = by_address.entry(network);
                budget.or_insert_with(|| Budget::new(&self.clock))
            }
            _ => others,
        };
        budget.take(self.clock.now())
    }

    /// Takes the sums that are due, and forgets the addresses whose budgets are whole again.
    pub(super) fn due(&self) -> Vec<LeftOut> {
        let sums = self.sums(SUMMED_UP_AFTER);
        let now = self.clock.now();
        let mut state = self.state.lock();
        state.by_address.retain(|_, budget| {
            budget.left_out.is_some() || Duration::from(now.duration_since(budget.used)) < WHOLE
        });
        state.by_address.shrink_to_fit();
        sums
    }

    /// Takes all sums.
    pub(super) fn all(&self) -> Vec<LeftOut> {
        self.sums(Duration::ZERO)
    }

    /// Takes the sums that began at least so long ago.
    fn sums(&self, age: Duration) -> Vec<LeftOut> {
        let now = self.clock.now();
        let mut state = self.state.lock();
        let State { by_address, others } = &mut *state;
        let budgets = by_address.iter_mut();
        let budgets = budgets.map(|(address, budget)| (Some(*address), budget));
        let sums = budgets
            .chain([(None, others)])
            .filter_map(|(address, budget)| {
                let (since, count) = budget.left_out?;
                let time = Duration::from(now.duration_since(since));
                if time < age {
                    return None;
                }
                budget.left_out = None;
                Some(LeftOut {
                    address,
                    count,
                    time,
                })
            });
        sums.collect()
    }
}

impl<C: Clock + Clone> Budget<C> {
    fn new(clock: &C) -> Self {
        let quota = Quota::with_period(REFILL).unwrap_or_else(|| Quota::per_minute(LINES));
        Self {
            bucket: RateLimiter::direct_with_clock(quota.allow_burst(LINES), clock.clone()),
            used: clock.now(),
            left_out: None,
        }
    }

    fn take(&mut self, now: C::Instant) -> bool {
        self.used = now;
        if self.bucket.check().is_ok() {
            return true;
        }
        let (_, count) = self.left_out.get_or_insert((now, 0));
        *count += 1;
        false
    }
}

#[cfg(test)]
#[path = "refusals_tests.rs"]
mod tests;
